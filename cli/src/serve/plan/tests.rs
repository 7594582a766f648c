//! Cluster files that are good, and what is said of those that are not.

use super::*;
use podway_model::{AccountName, AuthPlugin};

const SERVERS: &str = r#"
    secret_file = "cluster.secret"
    [servers.a]
    address = "10.0.0.1:3307"
    admin_user = "admin"
    admin_password = "letmein"
    [servers.b]
    address = "[fd00::2]"
    admin_user = "admin"
    admin_password_file = "b.password"
"#;

fn read(text: &str) -> Result<(ClusterPlan, Vec<String>), String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("b.password"), "from a file\n").unwrap();
    let path = folder.path().join("cluster.toml");
    fs::write(&path, text).unwrap();
    let mut notes = Vec::new();
    let plan = ClusterPlan::read(&path, &mut notes).map_err(|error| error.to_string())?;
    Ok((plan, notes))
}

fn account(user: &str, host: &str, string: &str, locked: bool) -> Account {
    let name = AccountName { user: user.into(), host: HostPattern::new(host) };
    let authentication_string = string.as_bytes().into();
    Account {
        name,
        plugin: AuthPlugin::CachingSha2Password,
        authentication_string,
        requires_tls: false,
        locked,
    }
}

#[test]
fn a_full_file_is_decided() {
    let text = format!(
        "default_keyspace = \"shop\"\n{SERVERS}
        [keyspaces.archive]
        shards = [{{ server = \"a\" }}]
        [keyspaces.shop]
        shards = [{{ server = \"a\" }}, {{ server = \"b\", schema = \"shop__2\", home = true }}]
        [keyspaces.shop.tables]
        customers = {{ shard_by = [\"id\"] }}
        countries = {{ reference = true }}
        old = {{ shard_by = [\"x\"], vindex = \"hash\" }}
        [users]
        grant = \"SELECT\"
        [limits]
        client.max_sessions = 9
        shutdown_deadline = \"3s\""
    );
    let (plan, notes) = read(&text).unwrap();
    let logins: Vec<_> = plan.servers.iter().map(|server| (&*server.login.host, server.login.port)).collect();
    assert_eq!(logins, [("10.0.0.1", 3307), ("fd00::2", 3306)]);
    assert_eq!(plan.servers[1].login.password, "from a file");
    let names: Vec<_> = plan.keyspaces.iter().map(|keyspace| &*keyspace.name).collect();
    assert_eq!(names, ["shop", "archive"], "the default one is first");
    let shop = &plan.keyspaces[0];
    assert_eq!(shop.home, ShardIndex(1));
    assert_eq!(shop.shards[1], ShardPlan { server: 1, schema: "shop__2".to_owned(), ranges: Vec::new() });
    assert_eq!(shop.shards[0].schema, "shop");
    let hash =
        Declaration::Sharded { columns: vec!["x".to_owned()], vindex: Vindex::Hash, unique_per_shard: false };
    let expected = [
        ("countries".to_owned(), Declaration::Reference),
        ("customers".to_owned(), Declaration::sharded_by(&["id"])),
        ("old".to_owned(), hash),
    ];
    assert_eq!(shop.tables, expected);
    assert!(notes.len() == 1 && notes[0].contains("cluster.secret"), "{notes:?}");
}

#[test]
fn what_cannot_be_is_refused_with_its_place_in_the_file() {
    let shop = |shards: &str| format!("{SERVERS}[keyspaces.shop]\nshards = [{shards}]\n");
    let cases = [
        ("servers = {}".to_owned(), "secret_file"),
        ("secret_file = \"s\"\nservers = {}".to_owned(), "there is none"),
        (SERVERS.replace("10.0.0.1:3307", "10.0.0.1:x"), "servers.a: \"10.0.0.1:x\" is no address"),
        (SERVERS.replace("admin_password = \"letmein\"", ""), "servers.a: say one of admin_password"),
        (SERVERS.replace("admin_password = ", "admin_password_env = "), "the environment has no letmein"),
        (SERVERS.replace("b.password", "c.password"), "c.password"),
        (SERVERS.to_owned(), "with several servers"),
        (shop(""), "keyspaces.shop: it has 0 shards"),
        (shop("{ server = \"c\" }"), "keyspaces.shop: there is no server c"),
        (shop("{ server = \"a\" }, { server = \"a\" }"), "named for two shards"),
        (shop("{ server = \"a\", home = true }, { server = \"b\", home = true }"), "two shards are home"),
        (shop("{ server = \"a\", hom = true }"), "unknown field"),
        (
            shop("{ server = \"a\" }").replace("keyspaces.shop", "keyspaces.mysql"),
            "a database of the server's own",
        ),
        (shop("{ server = \"a\" }") + "tables.t = {}", "keyspaces.shop.tables.t: say shard_by"),
        (shop("{ server = \"a\" }") + "tables.t = { shard_by = [\"a\"], reference = true }", "say shard_by"),
        (shop("{ server = \"a\" }") + "[users]\nadopt = \"some\"", "users.adopt: \"some\" is neither"),
        (shop("{ server = \"a\" }") + "[limits]\nclient.max_packet = \"5 apples\"", "a size such as"),
        (format!("default_keyspace = \"x\"\n{}", shop("{ server = \"a\" }")), "there is no keyspace x"),
    ];
    for (text, expected) in cases {
        let refused = read(&text).err().unwrap_or_else(|| panic!("taken: {text}"));
        assert!(refused.contains(expected), "{expected:?} is not in {refused:?}");
    }
}

#[test]
fn all_means_whoever_can_log_in_with_a_password() {
    let plan = users_of(UsersEntry::default()).unwrap();
    let cases = [
        (account("ann", "%", "$A$005$…", false), Ok(true)),
        (account("role", "%", "", true), Ok(false)),
        (account("ben", "%", "", false), Err("it has no password; give it one")),
    ];
    for (account, expected) in cases {
        assert_eq!(plan.wants(&account), expected, "{}", account.name);
    }
}

#[test]
fn named_users_are_adopted_and_no_others() {
    let names = ["ben", "ann@10.%", "eve", "tim"].map(str::to_owned).to_vec();
    let plan = users_of(UsersEntry { adopt: AdoptEntry::Names(names), grant: None }).unwrap();
    let found = [account("ben", "%", "$A$", true), account("ann", "10.%", "$A$", false)];
    assert!(found.iter().all(|account| plan.wants(account) == Ok(true)));
    assert_eq!(plan.wants(&account("ann", "%", "$A$", false)), Ok(false));
    assert!(plan.wants(&account("tim", "%", "", false)).is_err());
    assert_eq!(plan.missing_from(found.iter()), ["eve", "tim"]);
}

#[test]
fn a_secret_is_made_once_and_must_be_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let mut notes = Vec::new();
    let account = account("ann", "%", "", false).name;
    let first = secret(&path, &mut notes).unwrap().backend_password(&account, "uuid");
    let again = secret(&path, &mut notes).unwrap().backend_password(&account, "uuid");
    assert!(first == again && notes.len() == 1, "{notes:?}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::write(&path, "short").unwrap();
    assert!(matches!(secret(&path, &mut notes), Err(PlanError::ShortSecret { bytes: 5, .. })));
}
