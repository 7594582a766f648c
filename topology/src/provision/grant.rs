//! Privileges on one physical schema, as GRANT takes them. Whom they are granted to is the caller's to say.

use super::schema::quote_name;

/// For example "SELECT ON `shop\_\_2`.*": GRANT reads `_` and `%` of a schema's name as wildcards unless they are escaped.
pub fn schema_grant(privileges: &str, schema: &str) -> String {
    let literal = schema.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%");
    format!("{privileges} ON {}.*", quote_name(&literal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_schemas_name_are_taken_literally() {
        assert_eq!(schema_grant("SELECT", "shop"), "SELECT ON `shop`.*");
        assert_eq!(schema_grant("ALL PRIVILEGES", "shop__2"), "ALL PRIVILEGES ON `shop\\_\\_2`.*");
    }
}
