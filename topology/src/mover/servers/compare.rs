//! Whether two schemas are equal, as far as MySQL itself can say: definitions, triggers, views, and for each table the number of its rows and two sums over a hash of
//! each row, which depend neither on order nor on how a server stores them.

use super::super::error::MoveError;
use super::arrival::Arrival;
use super::columns::columns;
use super::control::Control;
use super::layout::{definition, without_counter};
use super::objects::{tables, triggers};
use super::text::name;

/// Refuses two schemas, each its session's current one, that differ in anything.
pub(super) async fn compare(
    source: &mut Control,
    target: &mut Control,
    arrival: &Arrival<'_>,
) -> Result<(), MoveError> {
    let (from, to) = (arrival.from_schema, arrival.to_schema);
    for (kind, what) in [("BASE TABLE", "tables"), ("VIEW", "views")] {
        let (here, there) = (tables(source, from, kind).await?, tables(target, to, kind).await?);
        if here != there {
            return Err(MoveError::Refused(format!(
                "the {what} differ: {here:?} on the source, {there:?} on the target"
            )));
        }
        for table in here {
            let is_view = kind == "VIEW";
            let (here, there) = tokio::try_join!(
                Fingerprint::of(source, from, &table, is_view),
                Fingerprint::of(target, to, &table, is_view)
            )?;
            if let Some(difference) = here.difference(&there) {
                return Err(MoveError::Refused(format!(
                    "{table} differs on source and target: {difference}"
                )));
            }
        }
    }
    let (here, there) = (triggers(source, from).await?, triggers(target, to).await?);
    if here != there {
        return Err(MoveError::Refused("the triggers differ on source and target".to_owned()));
    }
    Ok(())
}

/// What a table or a view is.
#[derive(Debug)]
struct Fingerprint {
    definition: String,
    version: String,
    columns: Vec<super::columns::Column>,
    rows: Option<(u64, u64, String, String)>,
}

impl Fingerprint {
    async fn of(
        control: &mut Control,
        schema: &str,
        table: &str,
        is_view: bool,
    ) -> Result<Fingerprint, MoveError> {
        let version: String = control.row("SELECT SUBSTRING_INDEX(@@version, '.', 2)").await?;
        if is_view {
            let (_, definition, _, _): (String, String, String, String) =
                control.row(&format!("SHOW CREATE VIEW {}", name(table))).await?;
            return Ok(Fingerprint { definition, version, columns: Vec::new(), rows: None });
        }
        let (definition, _rows_may_raise_it) = without_counter(&definition(control, table).await?);
        let columns = columns(control, schema, table).await?;
        // A NULL is told from every value; a hash of NULL would be left out of the sums without a word, so hashes are counted.
        let digests: Vec<String> =
            columns.iter().map(|column| format!("IFNULL({}, 'NULL')", column.digest())).collect();
        let sum =
            |from: u8| format!("COALESCE(SUM(CAST(CONV(SUBSTR(h, {from}, 15), 16, 10) AS UNSIGNED)), 0)");
        let sql = format!(
            "SELECT COUNT(*), COUNT(h), {}, {} FROM (SELECT SHA2(CONCAT_WS('|', {}), 256) AS h FROM {}) AS hashed",
            sum(1),
            sum(16),
            digests.join(", "),
            name(table)
        );
        let rows: (u64, u64, String, String) = control.row(&sql).await?;
        if rows.0 != rows.1 {
            return Err(MoveError::Refused(format!(
                "table {table} of server {} has rows that cannot be compared",
                control.server()
            )));
        }
        Ok(Fingerprint { definition, version, columns, rows: Some(rows) })
    }

    fn difference(&self, other: &Fingerprint) -> Option<String> {
        // Versions may spell the same definition in different ways.
        if self.version == other.version && self.definition != other.definition {
            return Some(format!("{} / {}", self.definition, other.definition));
        }
        if self.columns != other.columns {
            return Some("its columns".to_owned());
        }
        if self.rows != other.rows {
            let count = |one: &Fingerprint| one.rows.as_ref().map_or(0, |rows| rows.0);
            return Some(match count(self) == count(other) {
                true => "some of its rows".to_owned(),
                false => format!("{} and {} rows", count(self), count(other)),
            });
        }
        None
    }
}
