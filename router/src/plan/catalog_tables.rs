//! The tables of `information_schema` that tell of databases: where they name one, what tells their rows apart, and which of their numbers are one server's. Data only.
//! Tables that are not here say the same whichever databases there are. Read next: [`super::gather`]'s `catalog`.

use std::sync::Arc;

use podway_model::{Column, ColumnType, Name, Table, TableKind};

/// The database that is spoken of here.
pub const INFORMATION_SCHEMA: &str = "information_schema";

/// The collation of names, as far as it has to be the same for all of them.
const NAMES: &str = "utf8mb3_bin";

/// A table of `information_schema` that tells of databases.
#[derive(Debug, PartialEq, Eq)]
pub struct CatalogTable {
    /// Its name, in capitals.
    pub name: &'static str,
    /// Columns that hold a database's name.
    pub schemas: &'static [&'static str],
    /// How many of them, from the first, say whose the row is; all of these say the same.
    pub owners: usize,
    /// Columns that hold a table's file or InnoDB's own name for it, `shop/orders` or `./shop/orders.ibd`; where no column holds a database's name, the first says
    /// whose the row is.
    pub paths: &'static [&'static str],
    /// Columns that hold SQL, in which databases stand in backticks.
    pub texts: &'static [&'static str],
    /// The column with the name of a table, where rows tell of tables.
    pub table: Option<&'static str>,
    /// Further columns by which conditions narrow what is read: texts that every shard has alike.
    pub plain: &'static [&'static str],
    /// What each shard knows for its own rows alone.
    pub numbers: Numbers,
}

/// Numbers that are one shard's.
#[derive(Debug, PartialEq, Eq)]
pub struct Numbers {
    /// What tells rows of one table apart, besides its name.
    pub key: &'static [&'static str],
    /// Added up over the shards.
    pub sums: &'static [&'static str],
    /// The highest of all shards, be it a number or a time.
    pub highest: &'static [&'static str],
    /// A mean: its column, that of the sum, and that of the count.
    pub mean: Option<[&'static str; 3]>,
}

impl Numbers {
    /// All columns with such numbers.
    pub fn columns(&self) -> impl Iterator<Item = &'static str> {
        let mean = self.mean.iter().flatten().copied();
        self.sums.iter().chain(self.highest).copied().chain(mean)
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }
}

const NONE: Numbers = Numbers { key: &[], sums: &[], highest: &[], mean: None };

/// A table whose rows name databases in columns, and that has no numbers.
const fn of(
    name: &'static str,
    schemas: &'static [&'static str],
    table: Option<&'static str>,
    plain: &'static [&'static str],
) -> CatalogTable {
    CatalogTable { name, schemas, owners: 1, paths: &[], texts: &[], table, plain, numbers: NONE }
}

const TABLE: Option<&str> = Some("TABLE_NAME");

/// All of them, by name.
static TABLES: [CatalogTable; 40] = [
    of("CHECK_CONSTRAINTS", &["CONSTRAINT_SCHEMA"], None, &["CONSTRAINT_NAME"]),
    of("COLUMNS", &["TABLE_SCHEMA"], TABLE, &["COLUMN_NAME", "DATA_TYPE", "COLUMN_KEY", "EXTRA"]),
    of("COLUMNS_EXTENSIONS", &["TABLE_SCHEMA"], TABLE, &["COLUMN_NAME"]),
    of("COLUMN_PRIVILEGES", &["TABLE_SCHEMA"], TABLE, &["COLUMN_NAME", "PRIVILEGE_TYPE"]),
    of("COLUMN_STATISTICS", &["SCHEMA_NAME"], TABLE, &["COLUMN_NAME"]),
    of("EVENTS", &["EVENT_SCHEMA"], None, &["EVENT_NAME"]),
    CatalogTable {
        name: "FILES",
        schemas: &[],
        owners: 0,
        paths: &["FILE_NAME", "TABLESPACE_NAME"],
        texts: &[],
        table: None,
        plain: &["FILE_TYPE", "ENGINE", "LOGFILE_GROUP_NAME"],
        numbers: Numbers {
            key: &[],
            sums: &["FREE_EXTENTS", "TOTAL_EXTENTS", "DATA_FREE"],
            highest: &[],
            mean: None,
        },
    },
    CatalogTable { paths: &["PATH"], owners: 0, ..of("INNODB_DATAFILES", &[], None, &[]) },
    CatalogTable { paths: &["NAME"], owners: 0, ..of("INNODB_TABLES", &[], None, &[]) },
    CatalogTable {
        paths: &["NAME"],
        numbers: Numbers { key: &[], sums: &["FILE_SIZE", "ALLOCATED_SIZE"], highest: &[], mean: None },
        owners: 0,
        ..of("INNODB_TABLESPACES", &[], None, &[])
    },
    CatalogTable { paths: &["NAME", "PATH"], owners: 0, ..of("INNODB_TABLESPACES_BRIEF", &[], None, &[]) },
    CatalogTable {
        paths: &["NAME"],
        numbers: Numbers {
            key: &[],
            sums: &["NUM_ROWS", "CLUST_INDEX_SIZE", "OTHER_INDEX_SIZE", "MODIFIED_COUNTER"],
            highest: &["AUTOINC"],
            mean: None,
        },
        owners: 0,
        ..of("INNODB_TABLESTATS", &[], None, &[])
    },
    of("JSON_DUALITY_VIEWS", &["TABLE_SCHEMA", "ROOT_TABLE_SCHEMA"], TABLE, &[]),
    of("JSON_DUALITY_VIEW_COLUMNS", &["TABLE_SCHEMA", "REFERENCED_TABLE_SCHEMA"], TABLE, &[]),
    of("JSON_DUALITY_VIEW_LINKS", &["TABLE_SCHEMA", "PARENT_TABLE_SCHEMA", "CHILD_TABLE_SCHEMA"], TABLE, &[]),
    of("JSON_DUALITY_VIEW_TABLES", &["TABLE_SCHEMA", "REFERENCED_TABLE_SCHEMA"], TABLE, &[]),
    CatalogTable {
        owners: 2,
        ..of(
            "KEY_COLUMN_USAGE",
            &["TABLE_SCHEMA", "CONSTRAINT_SCHEMA", "REFERENCED_TABLE_SCHEMA"],
            TABLE,
            &["CONSTRAINT_NAME", "COLUMN_NAME", "REFERENCED_TABLE_NAME"],
        )
    },
    of("LIBRARIES", &["LIBRARY_SCHEMA"], None, &["LIBRARY_NAME"]),
    of("PARAMETERS", &["SPECIFIC_SCHEMA"], None, &["SPECIFIC_NAME"]),
    CatalogTable {
        numbers: Numbers {
            key: &["PARTITION_NAME", "SUBPARTITION_NAME"],
            sums: &["TABLE_ROWS", "DATA_LENGTH", "INDEX_LENGTH", "DATA_FREE"],
            highest: &["UPDATE_TIME"],
            mean: Some(["AVG_ROW_LENGTH", "DATA_LENGTH", "TABLE_ROWS"]),
        },
        ..of("PARTITIONS", &["TABLE_SCHEMA"], TABLE, &["PARTITION_NAME"])
    },
    of(
        "REFERENTIAL_CONSTRAINTS",
        &["CONSTRAINT_SCHEMA", "UNIQUE_CONSTRAINT_SCHEMA"],
        TABLE,
        &["CONSTRAINT_NAME", "REFERENCED_TABLE_NAME"],
    ),
    of("ROLE_COLUMN_GRANTS", &["TABLE_SCHEMA"], TABLE, &[]),
    of("ROLE_ROUTINE_GRANTS", &["ROUTINE_SCHEMA", "SPECIFIC_SCHEMA"], None, &[]),
    of("ROLE_TABLE_GRANTS", &["TABLE_SCHEMA"], TABLE, &[]),
    of("ROUTINES", &["ROUTINE_SCHEMA"], None, &["ROUTINE_NAME", "SPECIFIC_NAME", "ROUTINE_TYPE"]),
    of("ROUTINE_LIBRARIES", &["ROUTINE_SCHEMA", "LIBRARY_SCHEMA"], None, &[]),
    of("SCHEMATA", &["SCHEMA_NAME"], None, &[]),
    of("SCHEMATA_EXTENSIONS", &["SCHEMA_NAME"], None, &[]),
    of("SCHEMA_PRIVILEGES", &["TABLE_SCHEMA"], None, &["PRIVILEGE_TYPE"]),
    CatalogTable {
        numbers: Numbers {
            key: &["INDEX_NAME", "SEQ_IN_INDEX"],
            sums: &["CARDINALITY"],
            highest: &[],
            mean: None,
        },
        owners: 2,
        ..of("STATISTICS", &["TABLE_SCHEMA", "INDEX_SCHEMA"], TABLE, &["INDEX_NAME", "COLUMN_NAME"])
    },
    of("ST_GEOMETRY_COLUMNS", &["TABLE_SCHEMA"], TABLE, &[]),
    CatalogTable {
        numbers: Numbers {
            key: &[],
            sums: &["TABLE_ROWS", "DATA_LENGTH", "INDEX_LENGTH", "DATA_FREE"],
            highest: &["AUTO_INCREMENT", "UPDATE_TIME"],
            mean: Some(["AVG_ROW_LENGTH", "DATA_LENGTH", "TABLE_ROWS"]),
        },
        ..of("TABLES", &["TABLE_SCHEMA"], TABLE, &["TABLE_TYPE", "ENGINE"])
    },
    of("TABLES_EXTENSIONS", &["TABLE_SCHEMA"], TABLE, &[]),
    CatalogTable {
        owners: 2,
        ..of(
            "TABLE_CONSTRAINTS",
            &["TABLE_SCHEMA", "CONSTRAINT_SCHEMA"],
            TABLE,
            &["CONSTRAINT_NAME", "CONSTRAINT_TYPE"],
        )
    },
    of("TABLE_CONSTRAINTS_EXTENSIONS", &["CONSTRAINT_SCHEMA"], TABLE, &["CONSTRAINT_NAME"]),
    of("TABLE_PRIVILEGES", &["TABLE_SCHEMA"], TABLE, &["PRIVILEGE_TYPE"]),
    CatalogTable {
        owners: 2,
        ..of(
            "TRIGGERS",
            &["TRIGGER_SCHEMA", "EVENT_OBJECT_SCHEMA"],
            Some("EVENT_OBJECT_TABLE"),
            &["TRIGGER_NAME"],
        )
    },
    CatalogTable { texts: &["VIEW_DEFINITION"], ..of("VIEWS", &["TABLE_SCHEMA"], TABLE, &[]) },
    of("VIEW_ROUTINE_USAGE", &["TABLE_SCHEMA", "SPECIFIC_SCHEMA"], TABLE, &[]),
    of("VIEW_TABLE_USAGE", &["VIEW_SCHEMA", "TABLE_SCHEMA"], None, &["VIEW_NAME"]),
];

/// The table of this name, compared without case.
pub fn find(name: &str) -> Option<&'static CatalogTable> {
    TABLES.iter().find(|table| table.name.eq_ignore_ascii_case(name))
}

/// The columns of a table of `information_schema` that conditions are looked for on, those with databases' names first.
pub(super) fn columns(name: &str) -> Option<Arc<Table>> {
    let table = find(name)?;
    let named = |name: &&str| Column {
        name: Name::caseless(name),
        column_type: ColumnType::Varchar(64),
        collation: Some(NAMES.into()),
        nullable: true,
        auto_increment: false,
        generated: false,
        default: Default::default(),
        invisible: false,
    };
    let all = table.schemas.iter().chain(table.table.as_slice()).chain(table.plain);
    let columns = all.map(named).collect();
    Some(Arc::new(Table { name: Name::caseless(table.name), kind: TableKind::Home, columns }))
}

/// Whether this is the database's name.
pub(super) fn is_information_schema(name: &Name) -> bool {
    name.as_str().eq_ignore_ascii_case(INFORMATION_SCHEMA)
}
