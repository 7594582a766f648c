//! What a server is set to, and where two servers differ in a way that a statement could see. Decides only; reads settings, changes none.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::MySqlVersion;

use super::error::ProvisionError;
use super::login::{ServerFacts, read_facts};

/// The settings that must be the same on all servers, or a statement would mean something else depending on where its rows are.
const MUST_AGREE: [&str; 9] = [
    "lower_case_table_names",
    "sql_mode",
    TIME_ZONE,
    "character_set_server",
    "collation_server",
    "default_collation_for_utf8mb4",
    "explicit_defaults_for_timestamp",
    "innodb_rollback_on_timeout",
    "max_allowed_packet",
];
const TIME_ZONE: &str = "time_zone";
const SYSTEM_TIME_ZONE: &str = "system_time_zone";
/// What writes over several shards and moves of shards need; until then a note is enough.
const WANTED: [(&str, &str); 4] =
    [("log_bin", "ON"), ("gtid_mode", "ON"), ("binlog_format", "ROW"), ("xa_detach_on_prepare", "ON")];

/// What a server is and is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTraits {
    /// What it is.
    pub facts: ServerFacts,
    /// Its global settings of interest, as the server prints them, by name.
    settings: Vec<(String, String)>,
}

/// A setting in which two servers differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub setting: &'static str,
    /// The newcomer's.
    pub own: String,
    /// The others'.
    pub theirs: String,
}

impl ServerTraits {
    /// Why the server cannot be one of a cluster at all.
    pub fn unfit(&self) -> Option<String> {
        let version = &self.facts.version;
        if version.to_ascii_lowercase().contains("mariadb") {
            return Some(format!(
                "it is a MariaDB ({version}), which Podway does not serve; MySQL {} or later is needed",
                MySqlVersion::FLOOR
            ));
        }
        (MySqlVersion::parse(version) < MySqlVersion::FLOOR)
            .then(|| format!("its version is {version}; {} or later is needed", MySqlVersion::FLOOR))
    }

    /// Where it differs from a server that is there, as far as that matters.
    pub fn differences(&self, other: &ServerTraits) -> Vec<Difference> {
        let differing = |setting: &&'static str| {
            let (own, theirs) = (self.effective(setting), other.effective(setting));
            (own != theirs).then_some(Difference { setting, own, theirs })
        };
        MUST_AGREE.iter().filter_map(differing).collect()
    }

    /// What somebody may want to know, though it does not keep the server out.
    pub fn notes(&self, other: Option<&ServerTraits>) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(other) = other
            && MySqlVersion::parse(&self.facts.version) != MySqlVersion::parse(&other.facts.version)
        {
            notes.push(format!(
                "its version is {}, another server's {}",
                self.facts.version, other.facts.version
            ));
        }
        for (setting, wanted) in WANTED {
            if let Some(value) = self.setting(setting).filter(|value| !value.eq_ignore_ascii_case(wanted)) {
                notes.push(format!(
                    "its {setting} is {value}; writes over several shards and moves of shards will need {wanted}"
                ));
            }
        }
        notes
    }

    /// Why no transaction over several servers can be one of this server's too.
    pub fn unfit_for_transactions(&self) -> Option<String> {
        let differs = |(setting, wanted): (&str, &str)| {
            let value = self.setting(setting)?;
            (!value.eq_ignore_ascii_case(wanted))
                .then(|| format!("its {setting} is {value}; transactions over several servers need {wanted}"))
        };
        WANTED.into_iter().find_map(differs)
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.settings
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// What counts: SYSTEM is the time zone that the machine has. A setting that the server's version lacks is empty.
    fn effective(&self, name: &str) -> String {
        match self.setting(name) {
            Some("SYSTEM") if name == TIME_ZONE => {
                self.setting(SYSTEM_TIME_ZONE).unwrap_or("SYSTEM").to_owned()
            }
            value => value.unwrap_or_default().to_owned(),
        }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is {:?}, the others' is {:?}", self.setting, self.own, self.theirs)
    }
}

/// Asks a server what it is and is set to.
pub async fn read_traits(conn: &mut Conn) -> Result<ServerTraits, ProvisionError> {
    let facts = read_facts(conn).await?;
    let names = MUST_AGREE.into_iter().chain([SYSTEM_TIME_ZONE]).chain(WANTED.map(|(name, _)| name));
    let listed: Vec<String> = names.map(|name| format!("'{name}'")).collect();
    // SHOW needs no privilege and leaves out what a version does not know.
    let sql = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})", listed.join(", "));
    let settings = conn.query(sql).await.map_err(ProvisionError::doing("reading the server's settings"))?;
    Ok(ServerTraits { facts, settings })
}

#[cfg(test)]
impl ServerTraits {
    /// Of a version and with these settings.
    pub(crate) fn of(version: &str, settings: &[(&str, &str)]) -> ServerTraits {
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let facts =
            ServerFacts { uuid: "u".to_owned(), version: version.to_owned(), lower_case_table_names: 0 };
        ServerTraits { facts, settings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits(version: &str, settings: &[(&str, &str)]) -> ServerTraits {
        ServerTraits::of(version, settings)
    }

    #[test]
    fn a_difference_that_a_statement_could_see_is_named() {
        let one = traits(
            "8.4.3",
            &[("sql_mode", "STRICT_TRANS_TABLES"), ("time_zone", "SYSTEM"), ("system_time_zone", "UTC")],
        );
        let two = traits("8.4.3", &[("sql_mode", ""), ("time_zone", "UTC")]);
        let differences = two.differences(&one);
        assert_eq!(differences.len(), 1, "SYSTEM is UTC there: {differences:?}");
        assert_eq!(differences[0].to_string(), "sql_mode is \"\", the others' is \"STRICT_TRANS_TABLES\"");
        assert!(one.differences(&one.clone()).is_empty());
    }

    #[test]
    fn what_cannot_be_served_is_unfit_and_what_is_merely_odd_a_note() {
        assert!(traits("10.11.6-MariaDB", &[]).unfit().unwrap().contains("MariaDB"));
        assert!(traits("8.0.29", &[]).unfit().unwrap().contains("8.0.30"));
        let good = traits("8.4.3", &[("gtid_mode", "ON"), ("binlog_format", "ROW"), ("log_bin", "ON")]);
        assert_eq!((good.unfit(), good.notes(None)), (None, Vec::new()));
        assert_eq!(good.unfit_for_transactions(), None);
        let odd = traits("8.0.40", &[("gtid_mode", "OFF")]);
        assert!(odd.unfit_for_transactions().is_some_and(|why| why.contains("gtid_mode is OFF")));
        let notes = odd.notes(Some(&good));
        assert!(
            notes.len() == 2 && notes[0].contains("8.4.3") && notes[1].contains("gtid_mode"),
            "{notes:?}"
        );
    }
}
