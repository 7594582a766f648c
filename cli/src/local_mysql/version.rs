//! What `mysqld --version` says: MySQL or not, and which version.

use podway_model::MySqlVersion;

/// Why a program is not a server that Podway can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("it is MariaDB ({0}), not MySQL")]
    MariaDb(String),
    #[error("its version is {0}; {floor} or later is needed", floor = MySqlVersion::FLOOR)]
    TooOld(String),
    #[error("it printed no version but {0:?}")]
    NoVersion(String),
}

/// Reads the version out of what `mysqld --version` or `mysql --version` printed, e.g.
/// `/usr/sbin/mysqld  Ver 8.4.3 for Linux on x86_64 (MySQL Community Server - GPL)`.
pub(super) fn parse(printed: &str) -> Result<String, Unfit> {
    let mut words = printed.split_whitespace().skip_while(|word| *word != "Ver").skip(1);
    let version = words.next().unwrap_or_default().trim_end_matches(',').to_owned();
    if printed.contains("MariaDB") {
        return Err(Unfit::MariaDb(version));
    }
    if !version.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Unfit::NoVersion(printed.trim().chars().take(120).collect()));
    }
    if MySqlVersion::parse(&version) < MySqlVersion::FLOOR {
        return Err(Unfit::TooOld(version));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_the_unfit_named() {
        let cases = [
            ("/usr/sbin/mysqld  Ver 8.4.3 for Linux on x86_64 (MySQL Community Server - GPL)", Ok("8.4.3")),
            ("mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", Ok("9.7.4-2")),
            ("mysql  Ver 8.0.30 for Linux on x86_64 (MySQL Community Server - GPL)", Ok("8.0.30")),
            ("mysqld  Ver 8.0.29 for Linux", Err(Unfit::TooOld("8.0.29".into()))),
            (
                "mysqld  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu",
                Err(Unfit::MariaDb("10.11.6-MariaDB-0+deb12u1".into())),
            ),
            ("sh: no such thing\n", Err(Unfit::NoVersion("sh: no such thing".into()))),
        ];
        for (printed, expected) in cases {
            assert_eq!(parse(printed), expected.map(str::to_owned), "{printed}");
        }
    }
}
