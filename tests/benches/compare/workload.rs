//! The statements, and the rows that they are about. Every one of them names one sharding key.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};
use podway_wire::{Command, HEADER, Header, ResponseKind};

/// Rows of `points`, by their ids from 1.
pub const POINTS: u64 = 10_000;
/// Owners of 100 entries each, from 1.
pub const SMALL_OWNERS: u64 = 100;
/// The first owner of 10,000 entries.
pub const FIRST_LARGE_OWNER: u64 = 1_001;
/// Owners of 10,000 entries each.
pub const LARGE_OWNERS: u64 = 8;

/// The tables.
pub const TABLES: [(&str, &str, &str); 2] = [
    (
        "points",
        "id",
        "CREATE TABLE points (id BIGINT NOT NULL PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL)",
    ),
    (
        "entries",
        "owner",
        "CREATE TABLE entries (owner BIGINT NOT NULL, n INT NOT NULL, note VARCHAR(60) NOT NULL, PRIMARY KEY (owner, n))",
    ),
];

/// A kind of statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Workload {
    /// A row by its key, as text.
    PointText,
    /// A row by its key, as the execution of a prepared statement.
    PointPrepared,
    /// A row changed by its key, as text, in a transaction of its own.
    Update,
    /// 100 rows of one key, as text.
    #[value(name = "rows-100")]
    Rows100,
    /// 10,000 rows of one key, as text.
    #[value(name = "rows-10000")]
    Rows10000,
}

impl Workload {
    /// All of them.
    pub const ALL: [Workload; 5] = [
        Workload::PointText,
        Workload::PointPrepared,
        Workload::Update,
        Workload::Rows100,
        Workload::Rows10000,
    ];

    /// Its name on the command line and in the results.
    pub fn name(self) -> &'static str {
        match self {
            Workload::PointText => "point-text",
            Workload::PointPrepared => "point-prepared",
            Workload::Update => "update",
            Workload::Rows100 => "rows-100",
            Workload::Rows10000 => "rows-10000",
        }
    }

    /// What is prepared first, if anything is.
    pub fn prepared_text(self) -> Option<&'static str> {
        (self == Workload::PointPrepared).then_some("SELECT c FROM points WHERE id = ?")
    }

    /// What its answer looks like.
    pub fn kind(self) -> ResponseKind {
        match self {
            Workload::PointPrepared => ResponseKind::Execute,
            _ => ResponseKind::Query,
        }
    }

    /// How many rows its answer has.
    pub fn rows(self) -> u64 {
        match self {
            Workload::PointText | Workload::PointPrepared => 1,
            Workload::Update => 0,
            Workload::Rows100 => 100,
            Workload::Rows10000 => 10_000,
        }
    }

    /// Writes the packet of one statement with a key made of `random`.
    pub fn write(self, random: u64, statement: u32, out: &mut BytesMut) {
        let key = match self {
            Workload::Rows100 => 1 + random % SMALL_OWNERS,
            Workload::Rows10000 => FIRST_LARGE_OWNER + random % LARGE_OWNERS,
            _ => 1 + random % POINTS,
        };
        out.clear();
        out.put_bytes(0, HEADER);
        match self {
            Workload::PointPrepared => write_execute(statement, key, out),
            _ => {
                out.put_u8(Command::COM_QUERY as u8);
                // Writing into memory cannot fail.
                let _ = match self {
                    Workload::Update => write!(out, "UPDATE points SET k = k + 1 WHERE id = {key}"),
                    Workload::Rows100 | Workload::Rows10000 => {
                        write!(out, "SELECT n, note FROM entries WHERE owner = {key}")
                    }
                    _ => write!(out, "SELECT c FROM points WHERE id = {key}"),
                };
            }
        }
        let head = Header { len: out.len() - HEADER, seq: 0 }.to_bytes();
        out[..HEADER].copy_from_slice(&head);
    }
}

/// COM_STMT_EXECUTE with one BIGINT, its type sent along as most drivers do.
fn write_execute(statement: u32, key: u64, out: &mut BytesMut) {
    const BIGINT: [u8; 2] = [8, 0];
    out.put_u8(Command::COM_STMT_EXECUTE as u8);
    out.put_u32_le(statement);
    out.put_u8(0);
    out.put_u32_le(1);
    out.put_u8(0);
    out.put_u8(1);
    out.put_slice(&BIGINT);
    out.put_u64_le(key);
}
