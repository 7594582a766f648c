//! A change that was acknowledged is there in the end, once; one that was not is there once or not at all; and nothing is there that nobody asked for.

use std::collections::BTreeMap;

use podway_topology_api::View;

use super::Verdict;
use crate::history::{Answered, Asked};
use crate::run::Outcome;

pub fn check(outcome: &Outcome) -> Verdict {
    let Some(end) = &outcome.shared.ends()[0] else { return Ok(()) };
    let view: View = serde_json::from_str(end).map_err(|error| error.to_string())?;
    let mut there: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for proxy in &view.proxies {
        there.entry(&proxy.name).or_default().push(proxy.incarnation.0);
    }
    outcome.shared.history.look(|events| {
        for operation in &events.operations {
            let Asked::Register { name } = &operation.asked else { continue };
            let numbers = there.remove(name.as_str()).unwrap_or_default();
            match (&numbers[..], &operation.answer) {
                ([number], Some((_, Answered::Registered(told)))) if number == told => {}
                ([] | [_], None) => {}
                _ => return Err(format!("{name}, answered {:?}, is there as {numbers:?}", operation.answer)),
            }
        }
        if there.is_empty() { Ok(()) } else { Err(format!("nobody asked for {there:?}")) }
    })
}
