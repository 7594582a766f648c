//! What shards say of tables that they look after (ANALYZE, CHECK, CHECKSUM, REPAIR TABLE), as one MySQL would say it: nothing twice, nothing left out. Pure: rows in,
//! rows out. Read next: `session/gather/maintain.rs`, which asks them.

use super::catalog::Line;

/// The place of a table's name in a row.
const TABLE: usize = 0;
/// The places of a message's kind and text.
const MESSAGE: [usize; 2] = [2, 3];
/// The place of a table's sum.
const SUM: usize = 1;

/// A message that not every shard has for its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Which of those that were asked says it.
    pub by: usize,
    /// The table.
    pub table: Vec<u8>,
    /// The message, with its kind.
    pub text: Vec<u8>,
}

/// The shards' messages, table by table in the first shard's order, and who says what others do not. Where all say the same of a table it is said once; else each message
/// is, the states last, and none says that all is well unless all do.
pub fn maintained(said: Vec<Vec<Line>>) -> (Vec<Line>, Vec<Remark>) {
    let (mut lines, mut remarks) = (Vec::new(), Vec::new());
    for table in tables(&said) {
        let own = |(by, lines): (usize, &Vec<Line>)| {
            let own: Vec<Line> = lines.iter().filter(|line| cell(line, TABLE) == table).cloned().collect();
            (!own.is_empty()).then_some((by, own))
        };
        let mut shards: Vec<(usize, Vec<Line>)> = said.iter().enumerate().filter_map(own).collect();
        if shards.iter().all(|(_, own)| *own == shards[0].1) {
            lines.append(&mut shards[0].1);
            continue;
        }
        let is_everybodys = |line: &Line| shards.iter().all(|(_, own)| own.contains(line));
        let mut distinct: Vec<&Line> = Vec::new();
        for (by, line) in shards.iter().flat_map(|(by, own)| own.iter().map(move |line| (*by, line))) {
            if is_well(line) && !shards.iter().all(|(_, own)| own.last().is_some_and(is_well)) {
                continue;
            }
            if !is_everybodys(line) {
                remarks.push(Remark { by, table: table.to_vec(), text: message(line) });
            }
            if !distinct.contains(&line) {
                distinct.push(line);
            }
        }
        let (states, messages): (Vec<&Line>, Vec<&Line>) =
            distinct.into_iter().partition(|line| is_state(line));
        lines.extend(messages.into_iter().chain(states).cloned());
    }
    (lines, remarks)
}

/// The tables' sums: MySQL's own is the sum of what it makes of each row, as 32 bits. Where a shard has none there is none.
pub fn checksums(said: Vec<Vec<Line>>) -> Vec<Line> {
    let of_shards = |table: &[u8]| {
        let lines = said.iter().flatten().filter(|line| cell(line, TABLE) == table);
        let numbers: Option<Vec<u32>> = lines.map(number).collect();
        numbers.map(|numbers| numbers.into_iter().fold(0, u32::wrapping_add))
    };
    let line =
        |table: &[u8]| vec![Some(table.to_vec()), of_shards(table).map(|sum| sum.to_string().into_bytes())];
    tables(&said).into_iter().map(line).collect()
}

/// The tables in the order in which they are named first.
fn tables(said: &[Vec<Line>]) -> Vec<&[u8]> {
    let mut tables: Vec<&[u8]> = Vec::new();
    for line in said.iter().flatten() {
        let table = cell(line, TABLE);
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    tables
}

fn number(line: &Line) -> Option<u32> {
    std::str::from_utf8(line.get(SUM)?.as_ref()?).ok()?.parse().ok()
}

fn cell(line: &Line, at: usize) -> &[u8] {
    line.get(at).and_then(Option::as_deref).unwrap_or_default()
}

fn is_state(line: &Line) -> bool {
    cell(line, MESSAGE[0]) == b"status"
}

fn is_well(line: &Line) -> bool {
    is_state(line) && cell(line, MESSAGE[1]) == b"OK"
}

fn message(line: &Line) -> Vec<u8> {
    [cell(line, MESSAGE[0]), b": ", cell(line, MESSAGE[1])].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Said<'a> = &'a [(&'a str, &'a str, &'a str)];

    fn lines(said: Said<'_>) -> Vec<Line> {
        let line = |(table, kind, text): &(&str, &str, &str)| {
            [table, "check", kind, text].map(|cell| Some(cell.as_bytes().to_vec())).to_vec()
        };
        said.iter().map(line).collect()
    }

    fn check(shards: &[Said<'_>], expected: Said<'_>, remarks: &[(usize, &str)]) {
        let (lines_, remarks_) = maintained(shards.iter().map(|said| lines(said)).collect());
        assert_eq!(lines_, lines(expected), "{shards:?}");
        let texts: Vec<(usize, String)> = remarks_
            .iter()
            .map(|remark| (remark.by, String::from_utf8_lossy(&remark.text).into_owned()))
            .collect();
        let expected: Vec<(usize, String)> =
            remarks.iter().map(|(by, text)| (*by, (*text).to_owned())).collect();
        assert_eq!(texts, expected, "{shards:?}");
    }

    #[test]
    fn what_all_shards_say_is_said_once() {
        let (a, b) = (("s.a", "status", "OK"), ("s.b", "status", "OK"));
        check(&[&[a], &[a], &[a]], &[a], &[]);
        check(&[&[a, b], &[a], &[a]], &[a, b], &[]);
        check(&[&[b, a], &[a, b]], &[b, a], &[]);
        let note = ("s.a", "note", "recreate");
        check(&[&[note, a], &[note, a]], &[note, a], &[]);
        // In MySQL's order, whatever it is.
        let (made, not) = (("s.a", "status", "made for c"), ("s.a", "Error", "no column d"));
        check(&[&[made, not], &[made, not]], &[made, not], &[]);
        check(&[], &[], &[]);
    }

    #[test]
    fn nothing_that_one_shard_says_is_left_out() {
        let ok = ("s.a", "status", "OK");
        let (warning, corrupt) = (("s.a", "Warning", "index i"), ("s.a", "error", "Corrupt"));
        let other = ("s.b", "status", "OK");
        check(
            &[&[ok, other], &[warning, corrupt], &[ok]],
            &[warning, corrupt, other],
            &[(1, "Warning: index i"), (1, "error: Corrupt")],
        );
        let failed = ("s.a", "status", "Operation failed");
        let lost = ("s.a", "Error", "lock wait");
        check(
            &[&[ok], &[lost, failed], &[warning, failed]],
            &[lost, warning, failed],
            &[
                (1, "Error: lock wait"),
                (1, "status: Operation failed"),
                (2, "Warning: index i"),
                (2, "status: Operation failed"),
            ],
        );
        // A warning alone: all is well in the end.
        check(&[&[warning, ok], &[ok]], &[warning, ok], &[(0, "Warning: index i")]);
        check(
            &[&[ok], &[("s.a", "note", "no repair")]],
            &[("s.a", "note", "no repair")],
            &[(1, "note: no repair")],
        );
    }

    #[test]
    fn sums_are_added_as_mysql_adds_those_of_rows() {
        let shard = |sums: &[(&str, Option<&str>)]| -> Vec<Line> {
            let line = |(table, sum): &(&str, Option<&str>)| {
                vec![Some(table.as_bytes().to_vec()), sum.map(|sum| sum.as_bytes().to_vec())]
            };
            sums.iter().map(line).collect()
        };
        let said = vec![
            shard(&[
                ("s.a", Some("3796764910")),
                ("s.home", Some("7")),
                ("s.b", Some("1")),
                ("s.none", None),
            ]),
            shard(&[("s.a", Some("3824850117")), ("s.b", None)]),
        ];
        let expected =
            shard(&[("s.a", Some("3326647731")), ("s.home", Some("7")), ("s.b", None), ("s.none", None)]);
        assert_eq!(checksums(said), expected);
    }
}
