//! Accounts that must come over TLS (REQUIRE SSL) are refused without it as MySQL refuses them, by login and by COM_CHANGE_USER.

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Conn, Error, OptsBuilder, SslOpts};
use podway_tests::{Password, Pod, User, is_left_out, plain_server};

const PASSWORD: &str = "under TLS only";

/// Any certificate will do: the proxy's is one it made itself.
fn tls() -> SslOpts {
    SslOpts::default().with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true)
}

/// The number, the SQLSTATE and the text of the error that a login without TLS gets, and of the one with a wrong password.
async fn refusals(options: OptsBuilder) -> [(u16, String, String); 2] {
    let mut found = Vec::new();
    for password in [PASSWORD, "wrong"] {
        match Conn::new(options.clone().pass(Some(password))).await {
            Err(Error::Server(error)) => found.push((error.code, error.state, error.message)),
            other => panic!("{password}: an error of the server's was expected, not {other:?}"),
        }
    }
    found.try_into().unwrap()
}

#[tokio::test]
async fn accounts_that_require_tls_are_refused_without_it_as_in_mysql() {
    if is_left_out("a map of its own making") {
        return;
    }
    let pod = Pod::shared().await;
    let user = User::new("guarded", Password::Sha2(PASSWORD.to_owned()));
    let name = user.account_name();
    pod.add_user(user).await.unwrap();
    let demand = |map: &mut podway_model::Map| {
        let account = map.accounts.iter_mut().find(|account| account.name == name).unwrap();
        Arc::make_mut(account).requires_tls = true;
    };
    pod.change_map(demand).await.unwrap();

    let mut root = Conn::new(plain_server()).await.unwrap();
    let create = format!("CREATE USER guarded@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL");
    root.query_drop(create).await.unwrap();
    let expected = refusals(plain_server().user(Some("guarded"))).await;
    assert_eq!((expected[0].0, &*expected[0].1), (1045, "28000"), "{expected:?}");

    let options = pod.client_options().user(Some("guarded"));
    let told = refusals(options.clone()).await;
    // Where the client comes from is spelled as the server resolves it.
    let spelled = |text: &str| text.replace("'localhost'", "'127.0.0.1'");
    for (told, expected) in told.into_iter().zip(expected) {
        assert_eq!((told.0, told.1, told.2), (expected.0, expected.1, spelled(&expected.2)));
    }
    let mut conn = Conn::new(options.pass(Some(PASSWORD)).ssl_opts(tls())).await.unwrap();
    let user: Option<String> = conn.query_first("SELECT CURRENT_USER()").await.unwrap();
    assert_eq!(user.as_deref(), Some("guarded@%"));

    for (ssl, is_let_in) in [(None, false), (Some(tls()), true)] {
        let mut conn = Conn::new(pod.client_options().ssl_opts(ssl)).await.unwrap();
        let change = ChangeUserOpts::new().with_user(Some("guarded".into())).with_pass(Some(PASSWORD.into()));
        let changed = conn.change_user(change).await;
        assert_eq!(changed.is_ok(), is_let_in, "COM_CHANGE_USER: {changed:?}");
    }
}
