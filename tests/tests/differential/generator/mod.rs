//! Statements from a seed, of growing depth, most of them with a condition on a sharding key in one of many shapes. The same seed
//! makes the same statements. Never makes one whose answer depends on chance, time or the order in which rows are found.
//!
//! Reading order: `predicate` (conditions) → `query` (SELECT) → `write`.

mod predicate;
mod query;
mod write;

use mysql_async::Value;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::tables::{TABLES, Table};

/// A statement.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// Its text.
    pub sql: String,
    /// What its `?` stand for.
    pub params: Vec<Value>,
    /// Whether it is to be prepared.
    pub prepared: bool,
    /// Whether its rows come in one order only.
    pub ordered: bool,
}

/// What makes them.
pub struct Generator {
    rng: StdRng,
    params: Vec<Value>,
    prepared: bool,
    next_id: u32,
    /// Pieces that a sql_mode gives another meaning are only made where it does not.
    ansi_quotes: bool,
}

/// A table as a statement names it.
#[derive(Clone)]
struct Named {
    table: &'static Table,
    /// What stands before its columns.
    alias: String,
    /// What stands in FROM.
    reference: String,
}

/// Encloses the number of a parameter while its statement is made.
const MARK: char = '\u{1}';

const SESSIONS: [&str; 16] = [
    "SET sql_mode = DEFAULT",
    "SET sql_mode = DEFAULT",
    "SET sql_mode = DEFAULT",
    "SET sql_mode = ''",
    "SET sql_mode = 'PIPES_AS_CONCAT'",
    "SET sql_mode = 'ANSI_QUOTES,STRICT_TRANS_TABLES'",
    "SET sql_mode = 'HIGH_NOT_PRECEDENCE'",
    "SET sql_mode = 'NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'",
    "SET sql_mode = 'ANSI'",
    "SET sql_mode = 'PAD_CHAR_TO_FULL_LENGTH'",
    "SET sql_mode = 'TIME_TRUNCATE_FRACTIONAL,ALLOW_INVALID_DATES'",
    "SET sql_mode = 'IGNORE_SPACE,TRADITIONAL'",
    "SET NAMES latin1",
    "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
    "SET NAMES gbk",
    "SET collation_connection = 'utf8mb4_general_ci'",
];

impl Generator {
    /// What makes this seed's statements.
    pub fn new(seed: u64) -> Generator {
        Generator {
            rng: StdRng::seed_from_u64(seed),
            params: Vec::new(),
            prepared: false,
            next_id: 1_000,
            ansi_quotes: false,
        }
    }

    /// How the session begins.
    pub fn session(&mut self) -> &'static str {
        let sql = self.pick(&SESSIONS);
        self.ansi_quotes = sql.contains("ANSI");
        sql
    }

    /// The next statement.
    pub fn statement(&mut self, depth: u32) -> Made {
        self.params.clear();
        self.prepared = self.chance(30);
        let mut made = match self.rng.random_range(0..100) {
            0..70 => self.select(depth),
            70..73 => self.session_statement(),
            _ => self.write(depth),
        };
        if self.ansi_quotes {
            made.sql = made.sql.replace("\"b\"", "'b'");
        }
        self.put_params(&mut made);
        made.prepared = self.prepared;
        made
    }

    fn session_statement(&mut self) -> Made {
        self.prepared = false;
        let choices = ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "SET @v = 5", "SET @w = 'a'"];
        Made { sql: self.pick(&choices).to_owned(), ..Made::default() }
    }

    /// Replaces the marks of parameters by `?`, and puts the parameters into the order of the text.
    fn put_params(&mut self, made: &mut Made) {
        let text = std::mem::take(&mut made.sql);
        let mut pieces = text.split(MARK);
        made.sql = pieces.next().unwrap_or_default().to_owned();
        for (n, piece) in pieces.enumerate() {
            match piece.parse::<usize>() {
                Ok(number) if n % 2 == 0 => {
                    made.params.push(self.params[number].clone());
                    made.sql.push('?');
                }
                _ => made.sql.push_str(piece),
            }
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        *choices.choose(&mut self.rng).unwrap()
    }

    fn below(&mut self, end: u32) -> u32 {
        self.rng.random_range(0..end)
    }

    fn sharded(&mut self) -> &'static Table {
        loop {
            let table = TABLES.choose(&mut self.rng).unwrap();
            if !table.key.is_empty() {
                return table;
            }
        }
    }

    fn any_table(&mut self) -> &'static Table {
        match self.chance(80) {
            true => self.sharded(),
            false => TABLES.choose(&mut self.rng).unwrap(),
        }
    }

    /// The table under a name of one kind or another; `tag` tells it from the statement's other tables.
    fn named(&mut self, table: &'static Table, tag: &str) -> Named {
        let name = table.name;
        let spelled = match self.below(5) {
            0 => format!("`{name}`"),
            1 => format!("shopdiff.{name}"),
            2 => format!("`shopdiff` . `{name}`"),
            _ => name.to_owned(),
        };
        let alias = match self.below(4) {
            0 if tag.is_empty() => name.to_owned(),
            1 if tag == "x" => self.any_table().name.to_owned(),
            _ => format!("t{tag}"),
        };
        let reference = match (alias == name, self.chance(50)) {
            (true, _) => spelled,
            (_, true) => format!("{spelled} AS {alias}"),
            _ => format!("{spelled} {alias}"),
        };
        Named { table, alias, reference }
    }

    /// A literal for the table's key, or `?`.
    fn key_value(&mut self, table: &'static Table) -> String {
        let literal = match self.chance(92) {
            true => self.pick(table.values),
            false => self.any_literal(),
        };
        self.literal(literal)
    }

    fn any_literal(&mut self) -> &'static str {
        TABLES.choose(&mut self.rng).unwrap().values.choose(&mut self.rng).unwrap()
    }

    /// The literal itself, or a parameter with its value.
    fn literal(&mut self, literal: &'static str) -> String {
        if !self.prepared || self.chance(40) {
            return literal.to_owned();
        }
        let Some(value) = self.as_param(literal) else { return literal.to_owned() };
        self.params.push(value);
        format!("{MARK}{}{MARK}", self.params.len() - 1)
    }

    fn as_param(&mut self, literal: &str) -> Option<Value> {
        if let Ok(number) = literal.parse::<i64>() {
            return Some(match self.below(4) {
                0 if number >= 0 => Value::UInt(number as u64),
                1 => Value::Bytes(literal.into()),
                2 => Value::Double(number as f64),
                _ => Value::Int(number),
            });
        }
        if literal == "NULL" {
            return Some(Value::NULL);
        }
        if let Ok(number) = literal.parse::<f64>() {
            return Some(if self.chance(50) { Value::Double(number) } else { Value::Bytes(literal.into()) });
        }
        let inner = literal.strip_prefix('\'')?.strip_suffix('\'')?;
        if let Some((year, rest)) =
            inner.split_once('-').filter(|(year, rest)| year.len() == 4 && rest.len() == 5)
        {
            let (month, day) = rest.split_once('-')?;
            let number = |text: &str| text.parse::<u8>().ok();
            if self.chance(50) {
                return Some(Value::Date(year.parse().ok()?, number(month)?, number(day)?, 0, 0, 0, 0));
            }
        }
        (!inner.contains(['\\', '\''])).then(|| Value::Bytes(inner.into()))
    }

    /// Blanks and comments between two words.
    fn gap(&mut self) -> &'static str {
        const GAPS: [&str; 10] = [
            "\n",
            "\t ",
            "/**/",
            " /* k = 1 or */ ",
            " -- x' \n",
            " # \" \n",
            " /*! */ ",
            " /*!99999 OR TRUE */ ",
            " /*!80000 */ ",
            "  ",
        ];
        if self.chance(88) { " " } else { self.pick(&GAPS) }
    }
}
