//! Physical schemas, and names in statements.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::error::ProvisionError;

/// A name between backticks.
pub fn quote_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Makes a schema, if there is none of that name.
pub async fn create_schema(conn: &mut Conn, schema: &str) -> Result<(), ProvisionError> {
    let sql = format!("CREATE DATABASE IF NOT EXISTS {}", quote_name(schema));
    conn.query_drop(sql).await.map_err(ProvisionError::doing(format!("creating schema {schema}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled_inside_quotes() {
        assert_eq!(quote_name("a`b"), "`a``b`");
    }
}
