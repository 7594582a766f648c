//! The UNIQUE keys of a table as a server has them, and those of a sharded table that no shard can keep: a shard looks at its own rows alone.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use podway_model::{Name, Table};

use super::error::ProvisionError;

/// A UNIQUE key, or the primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueKey {
    /// Its name; that of the primary key is `PRIMARY`.
    pub name: String,
    /// Its columns that count as a whole: not those of which only the beginning counts, nor expressions.
    pub columns: Vec<Name>,
    /// How many parts it has.
    pub parts: usize,
    /// All its parts, as a person reads them.
    pub shown: String,
}

impl UniqueKey {
    /// As a person calls it: "UNIQUE KEY by_email (email)".
    pub fn named(&self) -> String {
        match self.name.as_str() {
            "PRIMARY" => format!("PRIMARY KEY ({})", self.shown),
            name => format!("UNIQUE KEY {name} ({})", self.shown),
        }
    }
}

/// A row of `information_schema.statistics`: the key's name, a column (none: an expression), how much of it counts.
type Part = (String, Option<String>, Option<u64>);

/// Reads a table's UNIQUE keys.
pub(super) async fn read_unique_keys(
    conn: &mut Conn,
    schema: &str,
    table: &str,
) -> Result<Vec<UniqueKey>, ProvisionError> {
    let sql = "SELECT index_name, column_name, sub_part FROM information_schema.statistics \
               WHERE table_schema = ? AND table_name = ? AND non_unique = 0 ORDER BY index_name, seq_in_index";
    let doing = ProvisionError::doing(format!("reading the UNIQUE keys of {schema}.{table}"));
    let parts: Vec<Part> = conn.exec(sql, (schema, table)).await.map_err(doing)?;
    Ok(keys(parts))
}

fn keys(parts: Vec<Part>) -> Vec<UniqueKey> {
    let mut keys: Vec<UniqueKey> = Vec::new();
    for (name, column, length) in parts {
        let shown = match (&column, length) {
            (Some(column), None) => column.clone(),
            (Some(column), Some(length)) => format!("{column}({length})"),
            (None, _) => "(…)".to_owned(),
        };
        let whole = column.filter(|_| length.is_none()).map(|column| Name::caseless(&column));
        match keys.last_mut().filter(|key| key.name == name) {
            Some(key) => {
                key.columns.extend(whole);
                key.parts += 1;
                key.shown += &format!(", {shown}");
            }
            None => keys.push(UniqueKey { name, columns: whole.into_iter().collect(), parts: 1, shown }),
        }
    }
    keys
}

/// The keys that are unique on each shard only, of a table that lies so.
pub fn unique_on_each_shard_only<'k>(table: &Table, keys: &'k [UniqueKey]) -> Vec<&'k UniqueKey> {
    keys.iter().filter(|key| !table.is_unique_over_shards(&key.columns)).collect()
}

/// Keys as a sentence has them.
pub fn names_of_keys(keys: &[&UniqueKey]) -> String {
    keys.iter().map(|key| key.named()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use podway_model::{Column, ColumnDefault, ColumnType, NameRule, Sharding, TableKind, Vindex};

    use super::*;

    fn table(auto_increment: bool) -> Table {
        let column = |name: &str, auto_increment| Column {
            name: Name::caseless(name),
            column_type: ColumnType::Integer { bytes: 8, unsigned: false },
            collation: None,
            nullable: false,
            auto_increment,
            generated: false,
            default: ColumnDefault::None,
            invisible: false,
        };
        Table {
            name: NameRule::CaseSensitive.name("orders"),
            kind: TableKind::Sharded(Sharding::by(vec![0, 1], Vindex::Xxh3)),
            columns: vec![column("tenant", false), column("customer", false), column("id", auto_increment)],
        }
    }

    #[test]
    fn a_key_is_unique_over_shards_if_it_contains_the_whole_sharding_key_or_the_clusters_numbers() {
        let part =
            |name: &str, column: Option<&str>, length| (name.to_owned(), column.map(str::to_owned), length);
        let parts = vec![
            part("PRIMARY", Some("id"), None),
            part("by_both", Some("Customer"), None),
            part("by_both", Some("note"), Some(9)),
            part("by_both", Some("tenant"), None),
            part("by_part", Some("tenant"), Some(3)),
            part("by_part", Some("customer"), None),
            part("computed", None, None),
            part("computed", Some("tenant"), None),
        ];
        let keys = keys(parts);
        let found = |table: &Table| -> Vec<String> {
            unique_on_each_shard_only(table, &keys).iter().map(|key| key.named()).collect()
        };
        let others = ["UNIQUE KEY by_part (tenant(3), customer)", "UNIQUE KEY computed ((…), tenant)"];
        assert_eq!(found(&table(true)), others);
        let with_primary = ["PRIMARY KEY (id)", others[0], others[1]];
        assert_eq!(found(&table(false)), with_primary);
        let reference = Table { kind: TableKind::Reference, ..table(false) };
        assert!(found(&reference).is_empty());
    }
}
