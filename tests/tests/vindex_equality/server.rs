//! The server that is asked, and tables of the router's model to ask the router with. Never starts a server.

use anyhow::Result;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{Column, ColumnDefault, ColumnType, Name, NameRule, Sharding, Table, TableKind, Vindex};

/// A connection in a database of its own, which is empty.
pub async fn connect(database: &str) -> Result<Conn> {
    // A statement is prepared anew for each execution: MySQL keeps a parameter's first type, and converts what later executions
    // bind to it ('+5' is stored as '5' after a 5).
    let options = podway_tests::plain_server().stmt_cache_size(0);
    let mut conn = Conn::new(options).await?;
    let database = format!("podway_vindex_{database}");
    conn.query_drop(format!("DROP DATABASE IF EXISTS {database}")).await?;
    conn.query_drop(format!("CREATE DATABASE {database}")).await?;
    conn.query_drop(format!("USE {database}")).await?;
    conn.query_drop("SET NAMES utf8mb4").await?;
    Ok(conn)
}

/// A table that is sharded by its one column.
pub fn sharded_by(column_type: ColumnType, collation: Option<&str>) -> Table {
    let column = Column {
        name: Name::caseless("k"),
        column_type,
        collation: collation.map(Into::into),
        nullable: true,
        auto_increment: false,
        generated: false,
        default: ColumnDefault::Null,
        invisible: false,
    };
    let sharding = Sharding::by(vec![0], Vindex::Xxh3);
    let name = NameRule::CaseSensitive.name("t");
    Table { name, kind: TableKind::Sharded(sharding), columns: vec![column] }
}

/// Random numbers from a seed that is printed, so that a failure can be seen again: set `PODWAY_SEED`.
pub struct Random(u64);

impl Random {
    /// From `PODWAY_SEED`, or from the clock.
    pub fn from_environment() -> Self {
        let given = std::env::var("PODWAY_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |now| now.as_nanos());
        let seed = given.unwrap_or(now as u64);
        println!("PODWAY_SEED={seed}");
        Random(seed)
    }

    /// A number below `bound` (splitmix64).
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
