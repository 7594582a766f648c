//! The schema `_podway` as far as transactions over several servers need it, as SQL: tables, privileges, and the procedures by which sessions of users write what
//! is Podway's own. Whether a server has all this is not decided here.
//!
//! A procedure takes a token that only a proxy can compute, and minds nothing of its session's settings: its sql_mode, character set and collation are those that it was made under, a temporary
//! table that stands before one of Podway's goes, the clock is SYSDATE in UTC (NOW is what the session says), and COMMIT neither chains nor releases. An error ends it before COMMIT.

use podway_model::transaction_token;

/// Counts up when what is here changes; what a later version made stays.
pub(super) const VERSION: u32 = 2;

/// A session in which procedures are made: they keep these settings.
pub(super) const SETTINGS: [(&str, &str); 4] = [
    ("sql_mode", "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"),
    ("character_set_client", "utf8mb4"),
    ("collation_connection", "utf8mb4_bin"),
    ("lock_wait_timeout", "5"),
];

/// Names in rows of `_podway.secret`: the procedures' padded keys, and what shows that the account's password is the right one.
pub(super) const PADS: &str = "pads";
pub(super) const PASSWORD: &str = "password";

/// Privileges of the account on everything. SYSTEM_USER keeps whoever has CREATE USER from changing it.
/// TRIGGER lets it see which tables have triggers and foreign keys, SHOW_ROUTINE what procedures do.
pub(super) const PRIVILEGES: [&str; 6] =
    ["SYSTEM_USER", "PROCESS", "TRIGGER", "SHOW_ROUTINE", "CONNECTION_ADMIN", "XA_RECOVER_ADMIN"];

/// What the account reads of performance_schema: who waits for whose locks, what proxies tell each other of it, and which proxies have connections. Where a server does not let it,
/// deadlocks over it and others end by lock timeouts, and what a dead proxy left by the patience that a stopped one is given.
pub(super) const WATCHED: [&str; 4] =
    ["data_lock_waits", "threads", "user_variables_by_thread", "session_connect_attrs"];

/// A table of `_podway`.
pub(super) struct MetaTable {
    pub(super) name: &'static str,
    pub(super) columns: &'static str,
    /// What the account may do with it.
    pub(super) privileges: &'static [&'static str],
}

/// The tables.
pub(super) const TABLES: [MetaTable; 3] = [
    MetaTable {
        name: "decision",
        columns: "g VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, st ENUM('C','A') NOT NULL, \
                  cts BIGINT UNSIGNED NULL, parts VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, \
                  t TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)",
        privileges: &["SELECT", "INSERT", "DELETE"],
    },
    MetaTable {
        name: "mark",
        columns: "g VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, ts BIGINT UNSIGNED NOT NULL, \
                  parts VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, \
                  t TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), KEY (ts)",
        privileges: &["SELECT", "INSERT", "DELETE"],
    },
    MetaTable {
        name: "secret",
        columns: "name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, value VARBINARY(255) NOT NULL",
        privileges: &["SELECT"],
    },
];

/// A procedure of `_podway`.
pub(super) struct Procedure {
    pub(super) name: &'static str,
    parameters: &'static str,
    body: &'static str,
}

/// The procedures.
pub(super) const PROCEDURES: [Procedure; 4] = [
    Procedure {
        name: "mark",
        parameters: "IN token CHAR(64) CHARACTER SET ascii COLLATE ascii_bin, \
                     IN g VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin, IN ts BIGINT UNSIGNED, \
                     IN parts VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin",
        body: "BEGIN
  {check 'mark/', CONNECTION_ID(), '/', g, '/', ts, '/', parts}
  INSERT /*+ SET_VAR(time_zone = '+00:00') */ INTO _podway.mark (g, ts, parts, t)
    VALUES (g, ts, parts, SYSDATE(6));
END",
    },
    Procedure {
        name: "decide",
        parameters: "IN token CHAR(64) CHARACTER SET ascii COLLATE ascii_bin, \
                     IN g VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin, IN deadline BIGINT, IN cts BIGINT UNSIGNED, \
                     IN parts VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin",
        body: "BEGIN
  {check 'decide/', CONNECTION_ID(), '/', g, '/', deadline, '/', cts, '/', parts}
  INSERT /*+ SET_VAR(time_zone = '+00:00') */ INTO _podway.decision (g, st, cts, parts, t)
    VALUES (g, IF(@@SESSION.time_zone = '+00:00'
      AND TIMESTAMPDIFF(MICROSECOND, '1970-01-01', SYSDATE(6)) < deadline, 'C', NULL), cts, parts, SYSDATE(6));
  INSERT /*+ SET_VAR(time_zone = '+00:00') */ INTO _podway.mark (g, ts, parts, t)
    VALUES (g, cts, parts, SYSDATE(6));
  COMMIT AND NO CHAIN NO RELEASE;
END",
    },
    // It refuses to run in a transaction, whose snapshot could be old; with autocommit off it would otherwise leave one open.
    Procedure {
        name: "highest",
        parameters: "",
        body: "BEGIN
  SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
  DROP TEMPORARY TABLE IF EXISTS _podway.mark;
  SELECT COALESCE(MAX(m.ts), 0) AS ts FROM _podway.mark AS m LIMIT 1;
  COMMIT AND NO CHAIN NO RELEASE;
END",
    },
    // It runs in a snapshot that is open, and tells which transactions are in it: those with stamps from `since` on, and those of the given names (a JSON array). The
    // transaction may be READ ONLY, where no temporary table can be dropped: whoever has put one before the marks deceives his own snapshot alone.
    Procedure {
        name: "seen",
        parameters: "IN since BIGINT UNSIGNED, IN names LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, \
                     OUT marks LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        body: "BEGIN
  SELECT JSON_ARRAYAGG(CONCAT(s.g, ' ', s.parts)) INTO marks FROM (
    SELECT m.g, m.parts FROM _podway.mark AS m WHERE m.ts >= since
    UNION DISTINCT
    SELECT k.g, k.parts FROM JSON_TABLE(names, '$[*]' COLUMNS (g VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin PATH '$')) AS n
      STRAIGHT_JOIN _podway.mark AS k ON k.g = n.g
  ) AS s LIMIT 1;
END",
    },
];

/// What a procedure does first. `{}`: the token's message. A key is never in a variable, whose value MySQL would show in a statement's text. A statement that cannot be run in a transaction tells whether one is open:
/// one that the server has rolled back by itself must not be taken for decided.
const CHECK: &str = "DECLARE is_open BOOLEAN DEFAULT FALSE;
  DROP TEMPORARY TABLE IF EXISTS _podway.secret, _podway.decision, _podway.mark;
  IF NOT EXISTS (SELECT 1 FROM _podway.secret AS s WHERE s.name = 'pads'
    AND SHA2(token, 256) = SHA2(SHA2(CONCAT(RIGHT(s.value, 64), UNHEX(SHA2(CONCAT(LEFT(s.value, 64),
      {}), 256))), 256), 256)) THEN
    SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = 1370, MESSAGE_TEXT = 'execute command denied: only Podway calls this routine';
  END IF;
  BEGIN
    DECLARE EXIT HANDLER FOR 1568 SET is_open = TRUE;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
  END;
  IF NOT is_open THEN
    SIGNAL SQLSTATE '25000' SET MESSAGE_TEXT = 'Podway: no transaction is open in this session';
  END IF;";

impl Procedure {
    /// CREATE PROCEDURE, with the account as its definer.
    pub(super) fn create(&self, definer: &str) -> String {
        let text = self.text();
        let comment = self.comment();
        let (head, body) = text.split_at(self.parameters.len());
        format!(
            "CREATE DEFINER = {definer} PROCEDURE _podway.{}({head}) MODIFIES SQL DATA SQL SECURITY DEFINER COMMENT '{comment}' {body}",
            self.name
        )
    }

    /// Which text it has, in a few characters: the version, and a digest.
    pub(super) fn comment(&self) -> String {
        let digest = transaction_token("podway", &[&self.text()]);
        format!("podway {VERSION} {}", &digest[..16])
    }

    /// Parameters and body.
    fn text(&self) -> String {
        let body = match (self.body.find("{check "), self.body.find('}')) {
            (Some(from), Some(to)) => {
                let message = &self.body[from + "{check ".len()..to];
                format!("{}{}{}", &self.body[..from], CHECK.replace("{}", message), &self.body[to + 1..])
            }
            _ => self.body.to_owned(),
        };
        format!("{}{body}", self.parameters)
    }
}

/// Whether a procedure with this comment is of a later version than this one's.
pub(super) fn is_later(comment: &str) -> bool {
    let version = comment.strip_prefix("podway ").and_then(|rest| rest.split(' ').next());
    version.and_then(|version| version.parse::<u32>().ok()).is_some_and(|version| version > VERSION)
}

/// HMAC's two padded keys, one behind the other, of a key as long as SHA-256's block.
pub(super) fn pads(key: &str) -> Vec<u8> {
    let padded = |with: u8| key.bytes().map(move |byte| byte ^ with);
    padded(0x36).chain(padded(0x5c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn procedures_are_whole_and_told_apart() {
        let texts: Vec<String> = PROCEDURES.iter().map(|one| one.create("`_podway`@`%`")).collect();
        for text in &texts {
            assert!(!text.contains('{') && text.ends_with("END"), "{text}");
        }
        assert!(
            texts[0].contains("'mark/', CONNECTION_ID(), '/', g, '/', ts, '/', parts), 256)"),
            "{}",
            texts[0]
        );
        assert_ne!(PROCEDURES[0].comment(), PROCEDURES[1].comment());
    }

    #[test]
    fn what_a_later_version_made_is_known() {
        assert!(is_later(&format!("podway {} 0123", VERSION + 1)));
        assert!(!is_later(&PROCEDURES[0].comment()));
        assert!(!is_later("") && !is_later("podway x"));
    }

    #[test]
    fn pads_are_of_one_block_each() {
        let pads = pads(&"0".repeat(64));
        assert_eq!((pads.len(), pads[0], pads[64]), (128, b'0' ^ 0x36, b'0' ^ 0x5c));
    }
}
