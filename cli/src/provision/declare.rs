//! From a table as a server has it to a table as the map has it: where its rows are to lie. Decides only; nothing is read or written.

use podway_model::{Name, NameRule, Sharding, Table, TableKind, Vindex};

use podway_topology::provision::{ProvisionError, TableDefinition, names_of_keys, unique_on_each_shard_only};

/// Where a table's rows are to lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declaration {
    /// Each row on the shard that these columns lead to.
    Sharded {
        /// The sharding key's columns, in its order.
        columns: Vec<String>,
        /// The function that makes a keyspace id of them.
        vindex: Vindex,
        /// Whether UNIQUE keys may be unique on each shard only.
        unique_per_shard: bool,
    },
    /// A copy on every shard.
    Reference,
    /// Whole, on the home shard.
    Home,
}

impl Declaration {
    /// Sharded by these columns with the default function.
    pub fn sharded_by(columns: &[&str]) -> Declaration {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Declaration::Sharded { columns, vindex: Vindex::Xxh3, unique_per_shard: false }
    }
}

/// The table as the map is to have it, or why it cannot be. A view is a view, whatever is declared of it.
pub fn declare(
    names: NameRule,
    definition: &TableDefinition,
    declaration: &Declaration,
) -> Result<Table, ProvisionError> {
    let kind = match declaration {
        _ if definition.is_view => TableKind::View,
        Declaration::Reference => TableKind::Reference,
        Declaration::Home => TableKind::Home,
        Declaration::Sharded { columns, vindex, unique_per_shard } => {
            let sharding = sharding(definition, columns, *vindex)?;
            TableKind::Sharded(Sharding { unique_per_shard: *unique_per_shard, ..sharding })
        }
    };
    Ok(Table { name: names.name(&definition.name), kind, columns: definition.columns.clone() })
}

/// Whether the rows of a table that the map has lie as a declaration says, whatever it says of UNIQUE keys.
pub fn lies_so(table: &Table, declaration: &Declaration) -> bool {
    let (TableKind::Sharded(sharding), Declaration::Sharded { columns, vindex, .. }) =
        (&table.kind, declaration)
    else {
        return false;
    };
    let key = table.key_columns().map(|column| &column.name);
    sharding.vindex == *vindex && key.eq(&columns.iter().map(|name| Name::caseless(name)).collect::<Vec<_>>())
}

/// Refuses a sharded table with UNIQUE keys that no shard can keep, unless the declaration says that they may be so.
pub fn check_unique_keys(table: &Table, definition: &TableDefinition) -> Result<(), ProvisionError> {
    let loose = unique_on_each_shard_only(table, &definition.unique_keys);
    match (&table.kind, &loose[..]) {
        (TableKind::Sharded(sharding), [_, ..]) if !sharding.unique_per_shard => {
            let key: Vec<&str> = table.key_columns().map(|column| column.name.as_str()).collect();
            Err(ProvisionError::Refused {
                table: definition.name.clone(),
                reason: format!(
                    "{} does not contain the sharding key ({}), so it would be unique on each shard only; add the sharding key to it, or accept this by the words unique per shard (podway table declare --unique-per-shard)",
                    names_of_keys(&loose),
                    key.join(", ")
                ),
            })
        }
        _ => Ok(()),
    }
}

fn sharding(
    definition: &TableDefinition,
    key: &[String],
    vindex: Vindex,
) -> Result<Sharding, ProvisionError> {
    let table = || definition.name.clone();
    let refused = |reason: String| ProvisionError::Refused { table: table(), reason };
    if definition.primary_key.is_empty() {
        return Err(refused("a sharded table needs a primary key; add one".to_owned()));
    }
    let position = |column: &String| {
        let name = Name::caseless(column);
        let found = definition.columns.iter().position(|candidate| candidate.name == name);
        found.ok_or_else(|| ProvisionError::NoColumn { table: table(), column: column.clone() })
    };
    let columns = key.iter().map(position).collect::<Result<Vec<usize>, ProvisionError>>()?;
    let sharding = Sharding::by(columns, vindex);
    podway_router::check_declaration(&definition.columns, &sharding)
        .map_err(|error| ProvisionError::Key { table: table(), reason: error.to_string() })?;
    for column in sharding.columns.iter().map(|&position| &definition.columns[position]) {
        if definition.set_on_update.contains(&column.name) {
            return Err(refused(format!(
                "{} is set ON UPDATE, and a sharding key must not change by itself",
                column.name
            )));
        }
        if let Some(body) = definition.trigger_that_may_set(&column.name) {
            let shown: String = body.chars().take(60).collect();
            return Err(refused(format!(
                "a BEFORE trigger may set its key {} ({shown} …); drop the trigger",
                column.name
            )));
        }
    }
    Ok(sharding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use podway_model::{Column, ColumnDefault, ColumnType};

    fn definition() -> TableDefinition {
        let column = |name: &str, column_type| Column {
            name: Name::caseless(name),
            column_type,
            collation: None,
            nullable: false,
            auto_increment: false,
            generated: false,
            default: ColumnDefault::None,
            invisible: false,
        };
        let id = ColumnType::Integer { bytes: 8, unsigned: true };
        TableDefinition {
            name: "Orders".into(),
            is_view: false,
            columns: vec![
                column("id", id.clone()),
                column("Customer_Id", id),
                column("weight", ColumnType::Float),
            ],
            primary_key: vec![Name::caseless("id")],
            unique_keys: Vec::new(),
            set_on_update: Vec::new(),
            before_triggers: Vec::new(),
        }
    }

    #[test]
    fn a_sharded_table_knows_its_key_by_position() {
        let table =
            declare(NameRule::CaseSensitive, &definition(), &Declaration::sharded_by(&["customer_id"]))
                .unwrap();
        assert_eq!(table.kind, TableKind::Sharded(Sharding::by(vec![1], Vindex::Xxh3)));
        assert_eq!(table.key_columns().next().unwrap().name, Name::caseless("customer_id"));
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_with_the_reason() {
        let key = |column: &str| Declaration::sharded_by(&[column]);
        let without_primary = TableDefinition { primary_key: Vec::new(), ..definition() };
        let touched = TableDefinition { set_on_update: vec![Name::caseless("id")], ..definition() };
        let triggered = TableDefinition { before_triggers: vec!["SET NEW.`ID` = 5".into()], ..definition() };
        let cases = [
            (definition(), key("nope"), "no column nope"),
            (definition(), key("weight"), "weight"),
            (without_primary, key("id"), "needs a primary key"),
            (touched, key("id"), "ON UPDATE"),
            (triggered, key("id"), "BEFORE trigger"),
        ];
        for (definition, declaration, expected) in cases {
            let text = declare(NameRule::CaseSensitive, &definition, &declaration).unwrap_err().to_string();
            assert!(text.contains("Orders") && text.contains(expected), "{expected:?} is not in {text}");
        }
    }

    #[test]
    fn a_view_is_a_view_whatever_is_said_of_it() {
        let view = TableDefinition { is_view: true, ..definition() };
        let table = declare(NameRule::CaseSensitive, &view, &Declaration::Reference).unwrap();
        assert_eq!(table.kind, TableKind::View);
    }
}
