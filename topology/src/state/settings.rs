//! Settings of the whole cluster: which there are, what they take, what counts if nobody sets them. Only what was set is kept, in the map.

use podway_model::{Change, Map};
use podway_topology_api::{Done, Refusal, SettingCommand, SettingView, Thing};

use super::names::{clipped, unknown};
use super::outcome::{Effect, Outcome};

/// How long a proxy may be silent.
pub(super) const PROXY_LEASE: &str = "proxy.lease";
/// How long a shard may be frozen.
pub(super) const FREEZE_HOLD: &str = "freeze.hold";
/// The setting that bounds how long a shard is frozen.
pub(super) const FREEZE_LIMIT: &str = "freeze.limit";
/// How long what a shard left behind is kept.
pub(super) const RETIRED_RETENTION: &str = "retired.retention";

/// How often the shards are compared with the map.
pub(super) const SCHEMA_CHECK: &str = "schema.check";

/// A setting that there is.
struct Known {
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
}

/// What a setting takes.
#[derive(Clone, Copy)]
enum Kind {
    /// A time between these, in milliseconds.
    Span { shortest_ms: u64, longest_ms: u64 },
    /// A whole number between these.
    Number { least: u64, most: u64 },
}

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;

/// Every setting there is, by name.
const KNOWN: [Known; 8] = [
    Known {
        name: "freeze.drain",
        kind: Kind::Span { shortest_ms: 10, longest_ms: 600 * SECOND },
        default: "5s",
        doc: "how long statements and transactions that run on a frozen shard may go on; then the proxy aborts them with error 1213",
    },
    Known {
        name: FREEZE_HOLD,
        kind: Kind::Span { shortest_ms: 10, longest_ms: 600 * SECOND },
        default: "10s",
        doc: "how long a new statement for a frozen shard waits; then it is answered with an error that can be retried",
    },
    Known {
        name: FREEZE_LIMIT,
        kind: Kind::Span { shortest_ms: 100, longest_ms: 24 * HOUR },
        default: "1m",
        doc: "how long a shard may be frozen while it moves, its rows being copied meanwhile; then the move is cancelled by itself",
    },
    Known {
        name: PROXY_LEASE,
        kind: Kind::Span { shortest_ms: 3 * SECOND, longest_ms: 600 * SECOND },
        default: "10s",
        doc: "how long a proxy may be silent before its lease ends and it must register again",
    },
    Known {
        name: RETIRED_RETENTION,
        kind: Kind::Span { shortest_ms: 0, longest_ms: 24 * 365 * HOUR },
        default: "24h",
        doc: "how long the schema that a shard moved away from is kept on its server before it is dropped",
    },
    Known {
        name: SCHEMA_CHECK,
        kind: Kind::Span { shortest_ms: 0, longest_ms: 24 * HOUR },
        default: "1m",
        doc: "how often the tables on the shards are compared with each other and with the map; 0s: only when somebody asks",
    },
    Known {
        name: "stamp.single_shard",
        kind: Kind::Number { least: 0, most: 1 },
        default: "0",
        doc: "1: transactions that wrote on one server are stamped as well, in sessions that have not set podway_stamp_single_shard",
    },
    Known {
        name: "wrong_shard.retries",
        kind: Kind::Number { least: 0, most: 10 },
        default: "3",
        doc: "how often a statement that a shard refused as no longer its own is routed again by a newer map",
    },
];

/// Times as they are typed, longest unit first.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", SECOND), ("m", 60 * SECOND), ("h", HOUR)];

/// Does a command of settings.
pub(super) fn execute(command: &SettingCommand, map: &Map) -> Outcome {
    match command {
        SettingCommand::Set { name, value } => {
            let known = find(name)?;
            let value = value.trim();
            if !known.kind.takes(value) {
                return Err(Refusal::Setting {
                    name: known.name.into(),
                    value: clipped(value),
                    takes: known.kind.described().into(),
                });
            }
            if map.setting(known.name) == Some(value) {
                return Ok(Effect::unchanged());
            }
            let change = Change::Setting { name: known.name.into(), value: Some(value.into()) };
            Ok(Effect::new(Done::Changed, vec![change], format!("setting {} is {value}", known.name)))
        }
        SettingCommand::Reset { name } => {
            let known = find(name)?;
            if map.setting(known.name).is_none() {
                return Ok(Effect::unchanged());
            }
            let change = Change::Setting { name: known.name.into(), value: None };
            let what = format!("setting {} is {} again", known.name, known.default);
            Ok(Effect::new(Done::Changed, vec![change], what))
        }
    }
}

/// What counts for a setting that is a time, in milliseconds.
pub(super) fn span_ms(name: &str, map: &Map) -> u64 {
    let known = KNOWN.iter().find(|known| known.name == name);
    let value = map.setting(name).or(known.map(|known| known.default));
    value.and_then(parse_span).unwrap_or_default()
}

pub(super) fn view(map: &Map) -> Vec<SettingView> {
    let view = |known: &Known| SettingView {
        name: known.name.into(),
        value: map.setting(known.name).unwrap_or(known.default).into(),
        default: known.default.into(),
        takes: known.kind.described().into(),
        doc: known.doc.into(),
    };
    KNOWN.iter().map(view).collect()
}

fn find(name: &str) -> Result<&'static Known, Refusal> {
    let known = KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(name));
    known.ok_or_else(|| unknown(Thing::Setting, name, KNOWN.iter().map(|known| known.name)))
}

impl Kind {
    fn takes(self, value: &str) -> bool {
        match self {
            Kind::Span { shortest_ms, longest_ms } => {
                parse_span(value).is_some_and(|ms| (shortest_ms..=longest_ms).contains(&ms))
            }
            Kind::Number { least, most } => {
                parse_number(value).is_some_and(|number| (least..=most).contains(&number))
            }
        }
    }

    fn described(self) -> String {
        match self {
            Kind::Span { shortest_ms, longest_ms } => {
                format!(
                    "a time such as 500ms, 5s, 2m or 1h, from {} to {}",
                    print_span(shortest_ms),
                    print_span(longest_ms)
                )
            }
            Kind::Number { least, most } => format!("a whole number from {least} to {most}"),
        }
    }
}

fn parse_number(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A number with a unit behind it.
fn parse_span(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = (parse_number(&text[..end])?, &text[end..]);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

fn print_span(ms: u64) -> String {
    let unit = UNITS.iter().rev().find(|(_, factor)| ms >= *factor && ms.is_multiple_of(*factor));
    unit.map_or_else(|| format!("{ms}ms"), |(name, factor)| format!("{}{name}", ms / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_one_that_its_setting_takes() {
        for known in &KNOWN {
            assert!(known.kind.takes(known.default), "{}", known.name);
        }
        assert!(KNOWN.is_sorted_by_key(|known| known.name));
    }

    #[test]
    fn times_are_read_with_their_units() {
        let cases = [
            ("500ms", Some(500)),
            ("5s", Some(5_000)),
            ("2m", Some(120_000)),
            ("24h", Some(86_400_000)),
            ("0s", Some(0)),
            ("5", None),
            ("s", None),
            ("5 s", None),
            ("-5s", None),
            ("+5s", None),
            ("5d", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_span(text), expected, "{text:?}");
        }
    }

    #[test]
    fn times_are_printed_in_the_largest_whole_unit() {
        for (ms, text) in
            [(0, "0ms"), (10, "10ms"), (3_000, "3s"), (600_000, "10m"), (HOUR, "1h"), (1_500, "1500ms")]
        {
            assert_eq!(print_span(ms), text);
        }
    }
}
