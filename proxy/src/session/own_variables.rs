//! The session variables that are Podway's own: `podway_read`, `podway_after`, `podway_last_commit`; and whether a client is told of the last. Pure.

use podway_model::HybridTime;
use podway_router::PodwayVariables;
use podway_wire::SessionTrack;

use crate::error::{ClientError, ErrorCode};

/// How a client is told of a commit's stamp.
const LAST_COMMIT: &str = "podway_last_commit";
/// `session_track_system_variables` of a new session: MySQL's default, and Podway's own variable.
const TRACKED: &str = "time_zone,autocommit,character_set_client,character_set_results,character_set_connection,podway_last_commit";
/// Digits of a stamp.
const STAMP_DIGITS: usize = 16;

/// What reads over several servers see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// Each server's own snapshot.
    #[default]
    Fast,
    /// One snapshot in which no transaction is seen in part.
    Atomic,
    /// What is read is locked.
    Serializable,
}

/// A session's values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnVariables {
    /// `podway_read`.
    pub read: ReadMode,
    /// `podway_read` for the next transaction alone: SET @@podway_read.
    pub read_next: Option<ReadMode>,
    /// `podway_after`.
    pub after: Option<HybridTime>,
    /// `podway_stamp_single_shard`, where it was set.
    pub stamps_single_shard: Option<bool>,
    /// `podway_last_commit`.
    last_commit: Option<HybridTime>,
    /// Whether the client has not been told of it yet.
    is_untold: bool,
    /// `session_track_system_variables`, where it was set.
    tracked: Option<String>,
}

impl ReadMode {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            ReadMode::Fast => "fast",
            ReadMode::Atomic => "atomic",
            ReadMode::Serializable => "serializable",
        }
    }

    /// The mode of this name, in any case.
    pub fn parse(text: &str) -> Option<ReadMode> {
        let all = [ReadMode::Fast, ReadMode::Atomic, ReadMode::Serializable];
        all.into_iter().find(|mode| mode.as_str().eq_ignore_ascii_case(text))
    }
}

impl OwnVariables {
    /// A transaction was committed; with this stamp, if it wrote on several servers.
    pub fn committed(&mut self, stamp: Option<HybridTime>) {
        if stamp.is_some() {
            self.last_commit = stamp;
            self.is_untold = true;
        }
    }

    /// Appends what the client is to be told with an OK, if it wants to know.
    pub fn tell(&mut self, session_track: &mut Vec<u8>) {
        if !std::mem::take(&mut self.is_untold) || !self.tracks(LAST_COMMIT) {
            return;
        }
        let value = shown(self.last_commit).into_bytes();
        SessionTrack::SystemVariable { name: LAST_COMMIT.into(), value }.encode(session_track);
    }

    /// As statements read them.
    /// `stamps_single_shard`: what counts where it was not set.
    pub fn facts(&self, stamps_single_shard: bool) -> PodwayVariables<'_> {
        PodwayVariables {
            read: self.read.as_str(),
            after: self.after,
            last_commit: self.last_commit,
            stamps_single_shard: self.stamps_single_shard.unwrap_or(stamps_single_shard),
            tracked: self.tracked(),
        }
    }

    /// `session_track_system_variables`; none: the default.
    pub fn track(&mut self, list: Option<String>) {
        self.tracked = list;
    }

    fn tracked(&self) -> &str {
        self.tracked.as_deref().unwrap_or(TRACKED)
    }

    /// As MySQL reads the list: names with commas between, blanks around them count for nothing, `*` is all.
    fn tracks(&self, name: &str) -> bool {
        self.tracked().split(',').map(str::trim).any(|one| one == "*" || one.eq_ignore_ascii_case(name))
    }

    /// Those whose names are LIKE the pattern, as SHOW VARIABLES gives them.
    pub fn like(&self, pattern: &[u8], stamps_single_shard: bool) -> Vec<(&'static str, String)> {
        let all = [
            ("podway_after", shown(self.after)),
            (LAST_COMMIT, shown(self.last_commit)),
            ("podway_read", self.read.as_str().to_owned()),
            (
                "podway_stamp_single_shard",
                if self.stamps_single_shard.unwrap_or(stamps_single_shard) { "ON" } else { "OFF" }.to_owned(),
            ),
        ];
        all.into_iter().filter(|(name, _)| is_like(name.as_bytes(), pattern)).collect()
    }
}

/// A switch as MySQL reads one: 0, 1, ON, OFF, TRUE, FALSE.
pub fn parse_switch(text: &str) -> Option<bool> {
    let is = |words: [&str; 3]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    match () {
        () if is(["1", "ON", "TRUE"]) => Some(true),
        () if is(["0", "OFF", "FALSE"]) => Some(false),
        () => None,
    }
}

/// A stamp that a client carries: 16 hexadecimal digits, and nothing else.
pub fn parse_stamp(text: &str) -> Option<HybridTime> {
    let is_whole = text.len() == STAMP_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_whole.then(|| u64::from_str_radix(text, 16).ok().map(HybridTime)).flatten()
}

/// ER_WRONG_VALUE_FOR_VAR.
pub fn wrong_value(name: &str, value: &str) -> ClientError {
    let code = ErrorCode { number: 1231, state: *b"42000" };
    ClientError::new(code, format!("Variable '{name}' can't be set to the value of '{value}'"))
}

/// ER_INCORRECT_GLOBAL_LOCAL_VAR.
pub fn read_only(name: &str) -> ClientError {
    let code = ErrorCode { number: 1238, state: *b"HY000" };
    ClientError::new(code, format!("Variable '{name}' is a read only variable"))
}

fn shown(stamp: Option<HybridTime>) -> String {
    stamp.map_or_else(String::new, |stamp| stamp.to_string())
}

/// LIKE over ASCII in any case: `%`, `_`, and a backslash before either. Of several `%` only the last can need another try, so the work is bounded by the product of the lengths.
fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut wanted) = (0, 0);
    // Behind the last `%`, and where in the text it was tried last.
    let mut again: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(wanted..).unwrap_or_default(), text.get(at)) {
            ([b'%', ..], _) => {
                again = Some((wanted + 1, at));
                wanted += 1;
                continue;
            }
            ([], None) => return true,
            ([b'\\', escaped, ..], Some(byte)) if byte.eq_ignore_ascii_case(escaped) => Some(2),
            ([b'\\', _, ..], _) => None,
            ([b'_', ..], Some(_)) => Some(1),
            ([one, ..], Some(byte)) if byte.eq_ignore_ascii_case(one) => Some(1),
            _ => None,
        };
        match (step, again) {
            (Some(step), _) => (at, wanted) = (at + 1, wanted + step),
            (None, Some((behind, tried))) if tried < text.len() => {
                again = Some((behind, tried + 1));
                (at, wanted) = (tried + 1, behind);
            }
            (None, _) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_of_a_stamp_once_and_only_if_it_tracks_it() {
        let lists: [(Option<&str>, bool); 9] = [
            (None, true),
            (Some("*"), true),
            (Some(""), false),
            (Some("autocommit"), false),
            (Some("podway_last_commit"), true),
            (Some("autocommit, PODWAY_LAST_COMMIT "), true),
            (Some("podway_last_commits"), false),
            (Some(" * "), true),
            (Some(","), false),
        ];
        for (list, is_told) in lists {
            let mut own = OwnVariables::default();
            own.track(list.map(str::to_owned));
            let told = |own: &mut OwnVariables| {
                let mut out = Vec::new();
                own.tell(&mut out);
                !out.is_empty()
            };
            assert!(!told(&mut own), "nothing was committed");
            own.committed(None);
            assert!(!told(&mut own), "one server's commit has no stamp");
            own.committed(Some(HybridTime(7)));
            assert_eq!(told(&mut own), is_told, "{list:?}");
            assert!(!told(&mut own), "once");
            assert_eq!(own.facts(false).last_commit, Some(HybridTime(7)));
        }
    }

    #[test]
    fn a_stamp_is_read_as_it_is_shown() {
        for (text, expected) in [
            ("6a1b2c3d4e5f6071", Some(0x6a1b_2c3d_4e5f_6071)),
            ("6A1B2C3D4E5F6071", Some(0x6a1b_2c3d_4e5f_6071)),
            ("0000000000000000", Some(0)),
            ("6a1b2c3d4e5f607", None),
            ("6a1b2c3d4e5f60712", None),
            ("+a1b2c3d4e5f6071", None),
            (" a1b2c3d4e5f6071", None),
            ("6a1b2c3d4e5f607g", None),
            ("", None),
        ] {
            assert_eq!(parse_stamp(text), expected.map(HybridTime), "{text}");
        }
        assert_eq!(parse_stamp(&HybridTime(u64::MAX).to_string()), Some(HybridTime(u64::MAX)));
    }

    #[test]
    fn variables_are_found_by_patterns_as_mysql_compares_them() {
        let own = OwnVariables { read: ReadMode::Atomic, ..OwnVariables::default() };
        for (pattern, expected) in [
            (
                "podway%",
                vec!["podway_after", "podway_last_commit", "podway_read", "podway_stamp_single_shard"],
            ),
            ("PODWAY\\_READ", vec!["podway_read"]),
            ("podway_r%d", vec!["podway_read"]),
            ("podway\\%", vec![]),
            ("podway", vec![]),
            ("podway____t%", vec!["podway_last_commit"]),
            ("podwayxread", vec![]),
        ] {
            let found: Vec<&str> =
                own.like(pattern.as_bytes(), true).into_iter().map(|(name, _)| name).collect();
            assert_eq!(found, expected, "{pattern}");
        }
    }

    #[test]
    fn a_switch_is_read_as_mysql_reads_one_and_counts_before_the_clusters() {
        for (text, on) in
            [("1", true), ("on", true), ("TRUE", true), ("0", false), ("Off", false), ("false", false)]
        {
            assert_eq!(parse_switch(text), Some(on), "{text}");
        }
        for text in ["", "2", "yes", "-1", " 1"] {
            assert_eq!(parse_switch(text), None, "{text}");
        }
        for (set, cluster, counts) in
            [(None, true, true), (None, false, false), (Some(false), true, false), (Some(true), false, true)]
        {
            let own = OwnVariables { stamps_single_shard: set, ..OwnVariables::default() };
            assert_eq!(own.facts(cluster).stamps_single_shard, counts);
            let shown = own.like(b"podway_stamp%", cluster);
            assert_eq!(shown[0].1, if counts { "ON" } else { "OFF" });
        }
    }

    #[test]
    fn read_modes_are_read_as_they_are_shown() {
        for mode in [ReadMode::Fast, ReadMode::Atomic, ReadMode::Serializable] {
            assert_eq!(ReadMode::parse(&mode.as_str().to_uppercase()), Some(mode));
        }
        assert_eq!(ReadMode::parse("atomically"), None);
    }

    #[test]
    fn a_pattern_is_likes_and_no_pattern_takes_long() {
        let cases: [(&str, &str, bool); 14] = [
            ("podway_read", "podway_read", true),
            ("podway_read", "PODWAY%", true),
            ("podway_read", "%READ", true),
            ("podway_read", "p%y%d", true),
            ("podway_read", "p%y%x", false),
            ("podway_read", "podway\\_read", true),
            ("podwayxread", "podway\\_read", false),
            ("podway_read", "podway_rea_", true),
            ("podway_read", "podway_read_", false),
            ("podway_read", "", false),
            ("podway_read", "%", true),
            ("podway_read", "%%%_%%", true),
            ("aab", "%ab", true),
            ("abab", "%ab%ab%ab", false),
        ];
        for (text, pattern, is) in cases {
            assert_eq!(is_like(text.as_bytes(), pattern.as_bytes()), is, "{text} LIKE {pattern}");
        }
        let endless = ["%a"; 20_000].concat() + "x";
        assert!(!is_like(b"podway_last_commit_aaaaaaaaaaaaaaaaaaaaa", endless.as_bytes()));
    }
}
