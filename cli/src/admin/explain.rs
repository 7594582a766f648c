//! `podway explain`: how a statement would be run, by the map alone. No server is asked, and nothing is run: whether the tables' columns are there, and who may read
//! them, MySQL says where a proxy is asked (EXPLAIN FORMAT=PODWAY).

use futures::StreamExt;
use podway_model::{Map, NameRule};
use podway_router::{ClientCharset, Facts, Normalised, PlanContext, Scene, SqlMode, Target, plan_uncached};
use podway_topology_api::{SILENCE, TopologyStore, WatchMessage};
use tokio::time::timeout;

use super::context::{Common, Context};
use super::error::AdminError;
use super::find;
use super::print;

/// MySQL's default.
const SQL_MODE: &str = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";
const COLLATION: &str = "utf8mb4_0900_ai_ci";

/// Shows how a statement would be run: which way, on which shards, with which text
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  podway explain 'SELECT name FROM customers ORDER BY name' --keyspace shop\n  podway explain 'UPDATE orders SET price = 1 WHERE customer_id = ?' --keyspace shop\n\nIt is read under MySQL's default settings. In SQL, EXPLAIN FORMAT=PODWAY says it for a session as it is, and EXPLAIN ANALYZE FORMAT=PODWAY runs it."
)]
pub struct ExplainArgs {
    /// The statement
    #[arg(value_name = "STATEMENT")]
    statement: String,
    /// The current database
    #[arg(long, value_name = "KEYSPACE")]
    keyspace: Option<String>,
    /// The session's sql_mode
    #[arg(long, value_name = "MODE", default_value = SQL_MODE)]
    sql_mode: String,
    /// The topology, and how to answer
    #[command(flatten)]
    common: Common,
}

/// Runs it.
pub(super) async fn run(args: ExplainArgs) -> Result<(), AdminError> {
    let context = Context::new(&args.common)?;
    let map = map(&context).await?;
    if let Some(name) = &args.keyspace {
        find::keyspace(&context.view().await?, name)?;
    }
    let keyspace = args.keyspace.as_ref().map(|name| map.names.name(name));
    let sql = args.statement.trim_end_matches([';', ' ', '\n']).as_bytes();
    let ctx = PlanContext {
        map: &map,
        keyspace: keyspace.as_ref(),
        sql_mode: SqlMode::parse(&args.sql_mode),
        charset: ClientCharset::from_name("utf8mb4"),
        collation: COLLATION,
        time_zone: "SYSTEM",
        temporary_tables: &[],
    };
    let mut n = Normalised::new();
    n.set_version(map.lowest_version());
    let refused = |error: podway_router::RouterError| AdminError::refused(error.to_string());
    n.run(sql, ctx.sql_mode, ctx.charset).map_err(refused)?;
    let plan = plan_uncached(&ctx, sql, &n);
    if let Target::Refused(error) = &plan.target {
        return Err(refused(error.clone()));
    }
    let facts = Facts::of_new_session(&ctx);
    let scene = Scene { map: &map, sql, n: &n, facts, is_inside: false, is_limited: false };
    let explanation = plan.explained(&scene).map_err(refused)?;
    let text = explanation.printed(&map, None, true);
    let shown = match context.is_json {
        true => {
            let lines: Vec<&str> = text.lines().collect();
            serde_json::json!({ "way": explanation.way.to_string(), "explanation": lines }).to_string()
        }
        false => text,
    };
    Ok(print::out(&shown)?)
}

/// The map as it is now.
async fn map(context: &Context) -> Result<Map, AdminError> {
    let mut stream =
        context.store.watch(podway_model::Revision(0)).await.map_err(|error| context.failed(error))?;
    let mut map = Map::empty(NameRule::default());
    let silent = || AdminError::refused("the topology did not tell its map in time");
    while let Some(message) = timeout(SILENCE, stream.next()).await.map_err(|_| silent())? {
        match message.map_err(|error| context.failed(error))? {
            WatchMessage::Snapshot(event) => {
                let changed = map.changed(event.revision, &event.changes);
                return changed.map_err(|error| AdminError::refused(error.to_string()));
            }
            WatchMessage::Event(event) => {
                let changed = map.changed(event.revision, &event.changes);
                map = changed.map_err(|error| AdminError::refused(error.to_string()))?;
            }
            WatchMessage::Progress { .. } => return Ok(map),
        }
    }
    Err(AdminError::refused("the topology ended its answer before the map was told"))
}
