//! Privileges that name a schema: brought to where it goes, taken away where it was, and written down so that they can be given back. Privileges on everything are nobody's
//! business here.

use super::super::error::MoveError;
use super::arrival::Arrival;
use super::control::Control;
use super::text::{account, literal_pattern, name, quoted};
use super::threads::NAMED;

/// Somebody with privileges on a schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Grantee {
    pub(super) user: String,
    pub(super) host: String,
}

/// A line of SHOW GRANTS about a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Granted {
    /// `SELECT, INSERT (`a`)`.
    privileges: String,
    /// `` `shop`.`orders` ``, or with PROCEDURE before it, without the schema: what stands before it, and behind.
    kind: String,
    object: String,
    /// The schema as it is spelled there.
    pattern: String,
    may_grant: bool,
    /// It takes privileges on everything back for this schema.
    is_restriction: bool,
}

/// Who has privileges that name a schema.
pub(super) async fn grantees(control: &mut Control, schema: &str) -> Result<Vec<Grantee>, MoveError> {
    let (exact, escaped) = (quoted(schema), quoted(&literal_pattern(schema)));
    let admin = quoted(control.user());
    let sql = format!(
        "SELECT DISTINCT User, Host FROM (SELECT User, Host FROM mysql.db WHERE Db IN ({exact}, {escaped}) \
         UNION SELECT User, Host FROM mysql.tables_priv WHERE Db = {exact} \
         UNION SELECT User, Host FROM mysql.columns_priv WHERE Db = {exact} \
         UNION SELECT User, Host FROM mysql.procs_priv WHERE Db = {exact} \
         UNION SELECT User, Host FROM mysql.user WHERE JSON_SEARCH(User_attributes, 'one', {exact}, '|', \
         '$.Restrictions[*].Database') IS NOT NULL) AS all_of_them WHERE User <> {admin} ORDER BY 1, 2"
    );
    let found: Vec<(String, String)> = control.rows(&sql).await?;
    Ok(found.into_iter().map(|(user, host)| Grantee { user, host }).collect())
}

/// Refuses to move a schema to where somebody who has privileges on it is unknown.
pub(super) async fn check_users(
    source: &mut Control,
    target: &mut Control,
    schema: &str,
) -> Result<(), MoveError> {
    let mut missing = Vec::new();
    for grantee in grantees(source, schema).await? {
        let values = (grantee.user.clone(), grantee.host.clone());
        let sql = "SELECT COUNT(*) FROM mysql.user WHERE User = ? AND Host = ?";
        let known: Vec<u64> = target.rows_with(sql, values).await?;
        if known != [1] {
            missing.push(account(&grantee.user, &grantee.host));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    missing.truncate(NAMED);
    Err(MoveError::Refused(format!(
        "{} have privileges on schema {schema} of server {} and are not known on server {}: create them there, or revoke",
        missing.join(", "),
        source.server(),
        target.server()
    )))
}

/// Gives everybody on the target what he has on the source, where he has not yet.
pub(super) async fn bring_grants(
    source: &mut Control,
    target: &mut Control,
    arrival: &Arrival<'_>,
) -> Result<(), MoveError> {
    let wanted = statements(&collected(source, arrival.from_schema).await?, arrival.to_schema);
    let there = statements(&collected(target, arrival.to_schema).await?, arrival.to_schema);
    for sql in wanted.into_iter().filter(|sql| !there.contains(sql)) {
        target.change(sql).await?;
    }
    Ok(())
}

/// What gives back everything that anybody has on a schema, a statement for each kind.
pub(super) async fn given(control: &mut Control, schema: &str) -> Result<Vec<String>, MoveError> {
    let held = collected(control, schema).await?;
    let held: Vec<Held> = held.into_iter().filter(|held| !held.granted.is_restriction).collect();
    Ok(statements(&held, schema))
}

/// Takes everybody's privileges on a schema away, but not the administrator's.
pub(super) async fn revoke_all(control: &mut Control, schema: &str) -> Result<(), MoveError> {
    for held in collected(control, schema).await? {
        for sql in held.granted.take(&held.by) {
            control.change(sql).await?;
        }
    }
    Ok(())
}

/// The same privileges, held by these.
struct Held {
    granted: Granted,
    by: Vec<Grantee>,
}

/// All that is held on a schema: who holds the same stands together, so that one statement is enough for all of them.
async fn collected(control: &mut Control, schema: &str) -> Result<Vec<Held>, MoveError> {
    let mut all: Vec<Held> = Vec::new();
    for grantee in grantees(control, schema).await? {
        for granted in granted(control, &grantee, schema).await? {
            match all.iter_mut().find(|held| held.granted == granted) {
                Some(held) => held.by.push(grantee.clone()),
                None => all.push(Held { granted, by: vec![grantee.clone()] }),
            }
        }
    }
    Ok(all)
}

fn statements(all: &[Held], schema: &str) -> Vec<String> {
    all.iter().map(|held| held.granted.give(schema, &held.by)).collect()
}

async fn granted(control: &mut Control, grantee: &Grantee, schema: &str) -> Result<Vec<Granted>, MoveError> {
    let whom = account(&grantee.user, &grantee.host);
    let lines: Vec<String> = control.rows(&format!("SHOW GRANTS FOR {whom}")).await?;
    Ok(lines.iter().filter_map(|line| parse(line, &whom, schema)).collect())
}

/// What a line of SHOW GRANTS says about a schema, if it is about this one.
fn parse(line: &str, whom: &str, schema: &str) -> Option<Granted> {
    let is_restriction = line.starts_with("REVOKE ");
    let rest = line.strip_prefix("GRANT ").or_else(|| line.strip_prefix("REVOKE "))?;
    let (rest, may_grant) = match rest.strip_suffix(" WITH GRANT OPTION") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let to = if is_restriction { " FROM " } else { " TO " };
    let rest = rest.strip_suffix(whom)?.strip_suffix(to)?;
    for pattern in [name(schema), name(&literal_pattern(schema))] {
        for kind in ["", "PROCEDURE ", "FUNCTION "] {
            if let Some((privileges, object)) = rest.split_once(&format!(" ON {kind}{pattern}.")) {
                return Some(Granted {
                    privileges: privileges.to_owned(),
                    kind: kind.to_owned(),
                    object: object.to_owned(),
                    pattern,
                    may_grant,
                    is_restriction,
                });
            }
        }
    }
    None
}

impl Granted {
    /// The same for another schema.
    fn give(&self, schema: &str, whom: &[Grantee]) -> String {
        // Only a whole schema's name is a pattern.
        let schema = if self.object == "*" { name(&literal_pattern(schema)) } else { name(schema) };
        let (verb, to) = if self.is_restriction { ("REVOKE", "FROM") } else { ("GRANT", "TO") };
        let option = if self.may_grant { " WITH GRANT OPTION" } else { "" };
        let Granted { privileges, kind, object, .. } = self;
        format!("{verb} {privileges} ON {kind}{schema}.{object} {to} {}{option}", accounts(whom))
    }

    /// What takes it away.
    fn take(&self, whom: &[Grantee]) -> Vec<String> {
        if self.is_restriction {
            return Vec::new();
        }
        let Granted { privileges, kind, object, pattern, may_grant, .. } = self;
        let whom = accounts(whom);
        let option =
            may_grant.then(|| format!("REVOKE GRANT OPTION ON {kind}{pattern}.{object} FROM {whom}"));
        let rest = (privileges != "USAGE")
            .then(|| format!("REVOKE {privileges} ON {kind}{pattern}.{object} FROM {whom}"));
        option.into_iter().chain(rest).collect()
    }
}

fn accounts(whom: &[Grantee]) -> String {
    let accounts = whom.iter().map(|grantee| account(&grantee.user, &grantee.host));
    accounts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> [Grantee; 1] {
        [Grantee { user: "app".to_owned(), host: "%".to_owned() }]
    }

    #[test]
    fn who_has_the_same_is_served_by_one_statement() {
        let line = "GRANT SELECT ON `a_b`.`t` TO `app`@`%` WITH GRANT OPTION";
        let granted = parse(line, "`app`@`%`", "a_b").unwrap();
        let other = Grantee { user: "it's".to_owned(), host: "10.%".to_owned() };
        let both = [&app()[..], &[other]].concat();
        assert_eq!(
            granted.give("a_b", &both),
            "GRANT SELECT ON `a_b`.`t` TO `app`@`%`, `it's`@`10.%` WITH GRANT OPTION"
        );
        assert_eq!(
            granted.take(&both),
            [
                "REVOKE GRANT OPTION ON `a_b`.`t` FROM `app`@`%`, `it's`@`10.%`",
                "REVOKE SELECT ON `a_b`.`t` FROM `app`@`%`, `it's`@`10.%`",
            ]
        );
    }

    #[test]
    fn grants_on_the_schema_are_found_brought_and_taken() {
        type Said<'a> = Option<(&'a str, &'a [&'a str])>;
        let cases: [(&str, Said<'_>); 8] = [
            ("GRANT USAGE ON *.* TO `app`@`%`", None),
            ("GRANT `reader`@`%` TO `app`@`%`", None),
            ("GRANT SELECT ON `other`.* TO `app`@`%`", None),
            (
                r"GRANT SELECT, INSERT ON `a\_b`.* TO `app`@`%`",
                Some((
                    r"GRANT SELECT, INSERT ON `c\_d`.* TO `app`@`%`",
                    &[r"REVOKE SELECT, INSERT ON `a\_b`.* FROM `app`@`%`"],
                )),
            ),
            (
                "GRANT SELECT (`x`), UPDATE ON `a_b`.`t` TO `app`@`%` WITH GRANT OPTION",
                Some((
                    "GRANT SELECT (`x`), UPDATE ON `c_d`.`t` TO `app`@`%` WITH GRANT OPTION",
                    &[
                        "REVOKE GRANT OPTION ON `a_b`.`t` FROM `app`@`%`",
                        "REVOKE SELECT (`x`), UPDATE ON `a_b`.`t` FROM `app`@`%`",
                    ],
                )),
            ),
            (
                "GRANT EXECUTE ON PROCEDURE `a_b`.`p` TO `app`@`%`",
                Some((
                    "GRANT EXECUTE ON PROCEDURE `c_d`.`p` TO `app`@`%`",
                    &["REVOKE EXECUTE ON PROCEDURE `a_b`.`p` FROM `app`@`%`"],
                )),
            ),
            (
                "REVOKE SELECT ON `a_b`.* FROM `app`@`%`",
                Some((r"REVOKE SELECT ON `c\_d`.* FROM `app`@`%`", &[])),
            ),
            ("GRANT SELECT (`` ON ``a_b``.``) ON `z`.`t` TO `app`@`%`", None),
        ];
        for (line, expected) in cases {
            let found = parse(line, "`app`@`%`", "a_b");
            let said = found.map(|granted| (granted.give("c_d", &app()), granted.take(&app())));
            let expected = expected.map(|(give, take)| {
                (give.to_owned(), take.iter().map(|sql| (*sql).to_owned()).collect::<Vec<_>>())
            });
            assert_eq!(said, expected, "{line}");
        }
    }
}
