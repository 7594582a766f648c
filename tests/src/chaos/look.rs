//! What there is afterwards, and whether it is what clients were told: accounts and the ledger, lists, and what Podway has written of its own.

use std::collections::{BTreeMap, BTreeSet};

use podway_model::{Gtrid, ServerId};

use super::Report;
use super::clients::{ACCOUNTS, OPENING, Told, values};
use super::history::{Anomaly, End, Fault, Mode, Seen, faults, is_excluded, only};
use super::stage::Stage;

/// Looks at everything.
pub async fn look(stage: &Stage, told: &[Told], report: &mut Report) -> anyhow::Result<()> {
    for one in told {
        let ends = one.transfers.values().copied().chain(one.history.iter().map(|seen| seen.end));
        for end in ends {
            match end {
                End::Committed => report.committed += 1,
                End::Aborted => report.aborted += 1,
                End::Unknown => report.unknown += 1,
            }
        }
        for (code, count) in &one.refusals {
            *report.refusals.entry(*code).or_default() += count;
        }
        for (mode, sum) in &one.sums {
            *report.sums.entry(*mode).or_default() += 1;
            if *sum == ACCOUNTS as i64 * OPENING {
                continue;
            }
            *report.fractured.entry(*mode).or_default() += 1;
            if *mode != Mode::Fast {
                report.wrong.push(format!("{mode:?}: the sum was {sum}"));
            }
        }
    }
    report.wrong.extend(wrong_books(stage, told).await?);
    report.wrong.extend(orphans(stage).await?);
    let history: Vec<Seen> = told.iter().flat_map(|one| one.history.iter().cloned()).collect();
    report.stamped = history.iter().filter(|seen| seen.stamp.is_some()).count();
    for seen in history.iter().filter(|seen| seen.end == End::Committed && seen.only_reads()) {
        *report.readers.entry(seen.mode).or_default() += 1;
    }
    let mut lists: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for of_shard in stage.rows::<(u64, String)>("SELECT id, body FROM lists").await? {
        let here: BTreeMap<u64, Vec<u64>> =
            of_shard.into_iter().map(|(id, body)| (id, values(&body))).collect();
        report.wrong.extend(wrong_on_one_shard(&history, &here));
        lists.extend(here);
    }
    for Fault { anomaly, by } in faults(&history, &lists) {
        let mode = history[by].mode;
        if is_excluded(anomaly, mode) {
            report.wrong.push(format!("{anomaly:?}: {:?}", history[by]));
        } else if anomaly == Anomaly::Fractured {
            *report.fractured.entry(mode).or_default() += 1;
        } else {
            *report.skewed.entry(mode).or_default() += 1;
        }
    }
    Ok(())
}

/// On one shard a reader has one snapshot. Who writes reads the newest besides, as in MySQL.
fn wrong_on_one_shard(history: &[Seen], here: &BTreeMap<u64, Vec<u64>>) -> Vec<String> {
    let part = only(history, |list| here.contains_key(&list));
    let is_mysqls = |fault: &Fault| {
        matches!(fault.anomaly, Anomaly::Fractured | Anomaly::Skewed) && !history[fault.by].only_reads()
    };
    let all = faults(&part, here).into_iter().filter(|fault| !is_mysqls(fault));
    all.map(|Fault { anomaly, by }| format!("on one shard: {anomaly:?}: {:?}", history[by])).collect()
}

/// What is wrong with accounts and the ledger.
async fn wrong_books(stage: &Stage, told: &[Told]) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let accounts = stage.rows::<(u64, i64)>("SELECT id, balance FROM accounts").await?;
    let balances: BTreeMap<u64, i64> = accounts.into_iter().flatten().collect();
    let mut ledger: BTreeMap<u64, Vec<(u64, i64)>> = BTreeMap::new();
    for (id, account, amount) in
        stage.rows::<(u64, u64, i64)>("SELECT id, account, amount FROM ledger").await?.into_iter().flatten()
    {
        ledger.entry(id).or_default().push((account, amount));
    }
    let mut expected: BTreeMap<u64, i64> = (1..=ACCOUNTS).map(|account| (account, OPENING)).collect();
    for (id, entries) in &ledger {
        if entries.len() != 2 || entries[0].1 + entries[1].1 != 0 {
            wrong.push(format!("transfer {id} is {entries:?}"));
        }
        for (account, amount) in entries {
            *expected.entry(*account).or_default() += amount;
        }
    }
    if balances != expected {
        wrong.push(format!("balances are {balances:?}, by the ledger {expected:?}"));
    }
    for (id, end) in told.iter().flat_map(|one| &one.transfers) {
        match (end, ledger.contains_key(id)) {
            (End::Committed, false) => {
                wrong.push(format!("transfer {id} was acknowledged, and is not there"))
            }
            (End::Aborted, true) => wrong.push(format!("transfer {id} was rolled back, and is there")),
            _ => {}
        }
    }
    Ok(wrong)
}

type Decision = (String, String, Option<u64>, String);

/// Decisions and marks that do not belong together.
async fn orphans(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let decisions: Vec<(ServerId, Decision)> =
        stage.on_servers("SELECT g, st, cts, parts FROM _podway.decision").await?;
    let marks: Vec<(ServerId, (String, u64))> = stage.on_servers("SELECT g, ts FROM _podway.mark").await?;
    Ok(wrong_meta(&decisions, &marks))
}

fn wrong_meta(decisions: &[(ServerId, Decision)], marks: &[(ServerId, (String, u64))]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut parts: BTreeMap<&str, BTreeSet<ServerId>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for (server, (g, standing, _, of)) in decisions {
        if !known.insert(g) {
            wrong.push(format!("{g} is decided on several servers"));
        }
        if standing != "C" {
            continue;
        }
        let of: Vec<ServerId> = of.split(',').filter_map(|part| part.parse().ok().map(ServerId)).collect();
        if of.first() != Some(server) {
            wrong.push(format!("{g} is decided on {server:?}, which is not its first server: {of:?}"));
        }
        parts.insert(g, of.into_iter().collect());
    }
    let mut marked: BTreeMap<&str, BTreeSet<ServerId>> = BTreeMap::new();
    for (server, (g, _)) in marks.iter().filter(|(_, (g, _))| Gtrid::parse(g).is_some()) {
        marked.entry(g).or_default().insert(*server);
    }
    for g in parts.keys().chain(marked.keys()).collect::<BTreeSet<_>>() {
        let (wanted, there) = (parts.get(*g), marked.get(*g));
        if wanted != there {
            wrong.push(format!("{g} has marks on {there:?}, and is decided for {wanted:?}"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: &str = "6a1b2c3d4e5f6071-0007-0003-0000a91f";

    fn check(decisions: &[(u32, &str, &str)], marks: &[(u32, &str)], wrongs: usize) {
        let decisions: Vec<(ServerId, Decision)> = decisions
            .iter()
            .map(|(server, standing, parts)| {
                (ServerId(*server), (G.to_owned(), (*standing).to_owned(), Some(9), (*parts).to_owned()))
            })
            .collect();
        let marks: Vec<(ServerId, (String, u64))> =
            marks.iter().map(|(server, g)| (ServerId(*server), ((*g).to_owned(), 9))).collect();
        let wrong = wrong_meta(&decisions, &marks);
        assert_eq!(wrong.len(), wrongs, "{wrong:?}");
    }

    #[test]
    fn decisions_and_marks_belong_together() {
        check(&[(1, "C", "1,2")], &[(1, G), (2, G), (2, "a floor")], 0);
        check(&[(1, "A", "1,2")], &[], 0);
        check(&[(1, "A", "1,2")], &[(2, G)], 1);
        check(&[(1, "C", "1,2")], &[(1, G)], 1);
        check(&[(1, "C", "1,2")], &[(1, G), (2, G), (3, G)], 1);
        check(&[(2, "C", "1,2")], &[(1, G), (2, G)], 1);
        check(&[(1, "C", "1,2"), (2, "A", "1,2")], &[(1, G), (2, G)], 1);
        check(&[], &[(2, G)], 1);
    }
}
