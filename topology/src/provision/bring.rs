//! The users and roles of one server brought to another: themselves, what they may do on the whole server, their roles and which of these are defaults. What
//! they may do in a keyspace's schemas comes with the schemas. Run again it changes nothing.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{AccountName, HostPattern};

use super::error::ProvisionError;
use super::literal::account_literal;

/// Schemas that every server has.
const EVERYWHERE: [&str; 3] = ["mysql", "sys", "performance_schema"];

/// An account as statements that make it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    name: AccountName,
    /// CREATE USER IF NOT EXISTS …, without default roles.
    create: String,
    /// ALTER USER … DEFAULT ROLE …, if it has some.
    defaults: Option<String>,
    grants: Vec<String>,
}

/// Brings all accounts but MySQL's own, Podway's and `spared`, the administrators. Who is there already keeps his password. Returns what the other server did not take.
pub async fn bring_accounts(
    from: &mut Conn,
    to: &mut Conn,
    spared: &[&str],
) -> Result<Vec<String>, ProvisionError> {
    let made = read(from, spared).await?;
    let doing = || ProvisionError::doing("bringing users and roles");
    for account in &made {
        to.query_drop(&account.create).await.map_err(doing())?;
    }
    let mut refused = Vec::new();
    // Who is granted as a role has to be there first.
    let later = made.iter().flat_map(|account| account.grants.iter().chain(&account.defaults));
    for sql in later {
        match to.query_drop(sql).await {
            // A privilege of another version of MySQL's, say.
            Err(mysql_async::Error::Server(error)) => refused.push(format!("{sql}: {}", error.message)),
            done => done.map_err(doing())?,
        }
    }
    Ok(refused)
}

async fn read(from: &mut Conn, spared: &[&str]) -> Result<Vec<Made>, ProvisionError> {
    let doing = || ProvisionError::doing("reading users and roles");
    from.query_drop("SET SESSION print_identified_with_as_hex = 1").await.map_err(doing())?;
    let sql = "SELECT user, host FROM mysql.user WHERE user NOT LIKE 'mysql.%' AND user <> '_podway' ORDER BY user, host";
    let names: Vec<(String, String)> = from.query(sql).await.map_err(doing())?;
    let mut all = Vec::new();
    for (user, host) in names.into_iter().filter(|(user, _)| !spared.contains(&user.as_str())) {
        let name = AccountName { user: user.into(), host: HostPattern::new(&host) };
        let whom = account_literal(&name);
        let create: Option<String> =
            from.query_first(format!("SHOW CREATE USER {whom}")).await.map_err(doing())?;
        let grants: Vec<String> = from.query(format!("SHOW GRANTS FOR {whom}")).await.map_err(doing())?;
        all.extend(create.and_then(|create| made(name, &create, &grants)));
    }
    Ok(all)
}

/// What SHOW CREATE USER and SHOW GRANTS say, as statements for another server.
fn made(name: AccountName, create: &str, grants: &[String]) -> Option<Made> {
    let whom = account_literal(&name);
    let rest = create.strip_prefix("CREATE USER ")?.strip_prefix(&whom)?;
    // The clause stands between the proof and REQUIRE, which is always there.
    let (rest, roles) = match (rest.find(" DEFAULT ROLE `"), rest.find(" REQUIRE ")) {
        (Some(at), Some(end)) if at < end => {
            let roles = rest[at..end].trim_start_matches(" DEFAULT ROLE ");
            (format!("{}{}", &rest[..at], &rest[end..]), Some(roles))
        }
        _ => (rest.to_owned(), None),
    };
    let is_for_all = |line: &&String| {
        let on_schema = line.split_once(" ON `").map(|(_, rest)| rest);
        line.starts_with("GRANT ")
            && !line.contains(" ON PROCEDURE `_podway`.`")
            && on_schema.is_none_or(|rest| {
                EVERYWHERE.iter().any(|own| rest.strip_prefix(own).is_some_and(|rest| rest.starts_with('`')))
            })
    };
    Some(Made {
        create: format!("CREATE USER IF NOT EXISTS {whom}{rest}"),
        defaults: roles.map(|roles| format!("ALTER USER {whom} DEFAULT ROLE {roles}")),
        grants: grants.iter().filter(is_for_all).cloned().collect(),
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_an_account_makes_it_on_another() {
        let name = AccountName { user: "app".into(), host: HostPattern::new("%") };
        let create = "CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x2441 DEFAULT ROLE `reader`@`%`,`b`@`%` \
                      REQUIRE NONE PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK";
        let grants = [
            "GRANT PROCESS ON *.* TO `app`@`%`",
            "GRANT SELECT ON `shop`.* TO `app`@`%`",
            "GRANT SELECT ON `sys`.* TO `app`@`%`",
            "GRANT SELECT ON `system`.* TO `app`@`%`",
            "GRANT EXECUTE ON PROCEDURE `_podway`.`mark` TO `app`@`%`",
            "GRANT `reader`@`%`,`b`@`%` TO `app`@`%` WITH ADMIN OPTION",
            "REVOKE SELECT ON `mysql`.* FROM `app`@`%`",
        ]
        .map(str::to_owned);
        let expected = Made {
            name: name.clone(),
            create: "CREATE USER IF NOT EXISTS `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x2441 REQUIRE NONE PASSWORD \
                     EXPIRE DEFAULT ACCOUNT UNLOCK"
                .to_owned(),
            defaults: Some("ALTER USER `app`@`%` DEFAULT ROLE `reader`@`%`,`b`@`%`".to_owned()),
            grants: vec![grants[0].clone(), grants[2].clone(), grants[5].clone()],
        };
        assert_eq!(made(name, create, &grants), Some(expected));
    }
}
