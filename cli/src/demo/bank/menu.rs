//! What is typed at the bank, and what is printed. Pure but for [`say`].

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use super::tellers::Told;

/// What can be chosen.
pub(super) const CHOICES: &str = "  p  kill a proxy (SIGKILL)           it is started again after 3 s
  m  kill a MySQL server (SIGKILL)    it is started again after 3 s
  q  stop and count
Type a letter and Enter.
";

/// What somebody chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    KillProxy,
    KillServer,
    Quit,
}

/// What a line means; none: nothing that there is.
pub(super) fn parse(line: &str) -> Option<Choice> {
    match line.trim().to_ascii_lowercase().as_str() {
        "p" => Some(Choice::KillProxy),
        "m" => Some(Choice::KillServer),
        "q" => Some(Choice::Quit),
        _ => None,
    }
}

/// What is printed at first.
pub(super) fn text(accounts: u64, opening: i64, servers: usize, proxies: &[SocketAddr]) -> String {
    let proxies: Vec<String> = proxies.iter().map(ToString::to_string).collect();
    format!(
        "\nThe bank: {accounts} accounts with {opening} each, on {servers} MySQL servers; money moves between them through proxies of its own at {}.\n\
         Each second: what tellers were told, the branches that are prepared, and the sum of all accounts as of one moment. Beside it the sum with podway_read = 'fast', which may see a transfer in part.\n{CHOICES}",
        proxies.join(" and ")
    )
}

/// For whoever watches; somebody who has closed the pipe does not want to know.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// What there is to see at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Since the bank opened.
    pub(super) after: Duration,
    /// What tellers were told.
    pub(super) told: Told,
    /// Branches that are prepared, as the demo's proxy has seen them last.
    pub(super) in_doubt: usize,
    /// The sum as of one moment, if it could be read.
    pub(super) sum: Option<i64>,
    /// The sum of each server's own moment, if it could be read.
    pub(super) fast: Option<i64>,
    /// What the sum is to be.
    pub(super) expected: i64,
}

impl Moment {
    /// Whether there is nothing left to wait for, and all is right.
    pub(super) fn is_settled(&self) -> bool {
        self.in_doubt == 0 && self.sum == Some(self.expected)
    }

    /// Whether money came or went. A sum as of one moment is right also while something is in doubt.
    pub(super) fn is_wrong(&self) -> bool {
        self.sum.is_some_and(|sum| sum != self.expected)
    }

    /// What has come of it.
    pub(super) fn verdict(&self) -> String {
        let Told { committed, undone, unknown } = self.told;
        let told = format!(
            "{committed} transfers were committed, {undone} rolled back, of {unknown} their tellers do not know"
        );
        match self.sum {
            Some(sum) if sum == self.expected => {
                format!("The sum is what it was: {sum}; {told}; {} branches are in doubt.\n", self.in_doubt)
            }
            Some(sum) => format!("THE SUM IS WRONG: {sum}, not {}; {told}\n", self.expected),
            None => format!("The sum cannot be read; {told}; {} branches are in doubt\n", self.in_doubt),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told { committed, undone, unknown } = self.told;
        write!(
            f,
            "{:>4} s  {committed} committed, {undone} rolled back, {unknown} unknown",
            self.after.as_secs()
        )?;
        write!(f, "  {} in doubt", self.in_doubt)?;
        match self.sum {
            Some(sum) if sum == self.expected => write!(f, "  sum {sum}")?,
            Some(sum) => write!(f, "  SUM {sum}, NOT {}", self.expected)?,
            None => write!(f, "  sum not to be read just now")?,
        }
        match self.fast {
            Some(sum) => writeln!(f, "  fast {sum}"),
            None => writeln!(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Moment = Moment {
        after: Duration::from_secs(7),
        told: Told { committed: 412, undone: 3, unknown: 1 },
        in_doubt: 2,
        sum: Some(60_000),
        fast: Some(59_950),
        expected: 60_000,
    };

    #[test]
    fn a_letter_is_a_choice_and_all_else_is_none() {
        for (line, choice) in [
            ("p", Some(Choice::KillProxy)),
            (" M ", Some(Choice::KillServer)),
            ("q", Some(Choice::Quit)),
            ("", None),
            ("pm", None),
        ] {
            assert_eq!(parse(line), choice, "{line:?}");
        }
    }

    #[test]
    fn a_moment_says_what_is_wrong_and_what_is_not_known() {
        let line = |moment: Moment| moment.to_string();
        let told = "   7 s  412 committed, 3 rolled back, 1 unknown  2 in doubt";
        assert_eq!(line(MOMENT), format!("{told}  sum 60000  fast 59950\n"));
        let wrong = Moment { sum: Some(59_999), fast: None, ..MOMENT };
        assert_eq!(line(wrong), format!("{told}  SUM 59999, NOT 60000\n"));
        assert!(wrong.is_wrong() && wrong.verdict().starts_with("THE SUM IS WRONG: 59999, not 60000"));
        let unread = Moment { sum: None, fast: None, ..MOMENT };
        assert_eq!(line(unread), format!("{told}  sum not to be read just now\n"));
        assert!(!unread.is_wrong() && !unread.is_settled());
    }

    #[test]
    fn it_is_settled_when_the_sum_is_right_and_nothing_is_in_doubt() {
        assert!(!MOMENT.is_settled() && !MOMENT.is_wrong());
        let settled = Moment { in_doubt: 0, ..MOMENT };
        assert!(settled.is_settled());
        assert!(settled.verdict().starts_with("The sum is what it was: 60000; 412 transfers"));
        assert!(!Moment { sum: Some(0), ..settled }.is_settled());
    }
}
