//! Every server of the cluster made ready for transactions over several servers, by whichever node leads: once in each of its terms, and when a server is new or another one stands at
//! its place. It sees to servers that were there before Podway could do this. Whether a server is ready is not in the map: a proxy finds out when it asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use podway_model::{ClusterSecret, ServerId};
use podway_topology_api::Term;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::keeper::{Keeper, lead_each_term};
use crate::provision::{AdminLogin, TransactionsReady, ensure_transactions};

/// Without news, the leader looks this often whether there is something to do.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// A server that could not be prepared is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(30);
/// All of it is done on a server within this, or it is tried again.
const WITHIN: Duration = Duration::from_secs(60);

/// A server as it has to be prepared: whose password and key change with its uuid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Which {
    id: ServerId,
    uuid: Box<str>,
}

/// One that is to be prepared.
struct Wanted {
    which: Which,
    name: Box<str>,
    login: AdminLogin,
    secret: ClusterSecret,
}

/// When each server is to be looked at again; `None`: not in this term.
type Seen = BTreeMap<Which, Option<Instant>>;

/// Prepares servers as long as this node runs, whenever it leads.
pub async fn prepare(keeper: Arc<Keeper>) {
    lead_each_term(keeper, lead).await;
}

/// One term's work.
async fn lead(keeper: Arc<Keeper>, term: Term) {
    let mut seen = Seen::new();
    let mut under_way = JoinSet::new();
    let mut news = keeper.raft.metrics();
    while keeper.leads(&news.borrow_and_update()) == Some(term) {
        for wanted in wanted(&keeper, &seen) {
            seen.insert(wanted.which.clone(), None);
            under_way.spawn(prepare_one(wanted));
        }
        tokio::select! {
            Some(done) = under_way.join_next() => {
                if let Ok((which, again)) = done {
                    seen.insert(which, again);
                }
            }
            _either = timeout(LOOK_AGAIN, news.changed()) => {}
        }
    }
}

fn wanted(keeper: &Keeper, seen: &Seen) -> Vec<Wanted> {
    let now = Instant::now();
    keeper.machine.look(|state| {
        let Some(secret) = state.secret() else { return Vec::new() };
        let wanted = |server: &Arc<podway_model::Server>| {
            let which = Which { id: server.id, uuid: server.uuid.clone() };
            if seen.get(&which).is_some_and(|again| again.is_none_or(|again| again > now)) {
                return None;
            }
            let admin = state.admin(server.id)?;
            let login = AdminLogin {
                host: server.host.to_string(),
                port: server.port,
                user: admin.user.to_string(),
                password: admin.password.reveal().to_owned(),
            };
            Some(Wanted { which, name: state.server_name(server.id), login, secret: secret.clone() })
        };
        state.map().servers().filter_map(wanted).collect()
    })
}

async fn prepare_one(wanted: Wanted) -> (Which, Option<Instant>) {
    let Wanted { which, name, login, secret } = wanted;
    let preparing = async {
        let mut conn = login.connect().await?;
        let ready = ensure_transactions(&mut conn, &secret, &which.uuid).await;
        // What was done is done, however the session ends.
        let _ = conn.disconnect().await;
        ready
    };
    let again = match timeout(WITHIN, preparing).await {
        Ok(Ok(TransactionsReady::Ready)) => None,
        Ok(Ok(TransactionsReady::Unfit(why))) => {
            tracing::info!(server = %name, %why, "a server takes no part in transactions over several servers");
            None
        }
        Ok(Err(error)) => {
            tracing::warn!(server = %name, %error, "a server could not be prepared for transactions over several servers");
            Some(Instant::now() + TRY_AGAIN)
        }
        Err(_) => {
            tracing::warn!(server = %name, "a server was not prepared for transactions over several servers within {WITHIN:?}");
            Some(Instant::now() + TRY_AGAIN)
        }
    };
    (which, again)
}
