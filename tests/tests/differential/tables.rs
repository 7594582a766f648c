//! The tables and their rows: a sharding key of each type that may be one, NULLs, keys that are equal without being the same, and
//! numbers at their types' ends. Data only.

/// A table on both sides.
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// CREATE TABLE.
    pub definition: &'static str,
    /// The sharding key.
    pub key: &'static [&'static str],
    /// Where the key's columns stand in the table.
    pub key_positions: &'static [usize],
    /// A reference table.
    pub everywhere: bool,
    /// Literals for the key's first column: stored, and compared with.
    pub values: &'static [&'static str],
    /// Whether the key is in the primary key, so that a duplicate is one on every layout.
    pub unique_by_key: bool,
}

impl Table {
    /// Whether every shard has it.
    pub fn on_all(&self) -> bool {
        self.everywhere || !self.key.is_empty()
    }
}

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "-1",
    "-5",
    "10",
    "12",
    "70",
    "99",
    "100",
    "255",
    "256",
    "65536",
    "2147483647",
    "4294967295",
    "9007199254740992",
    "9007199254740993",
    "9223372036854775806",
    "9223372036854775807",
    "-9223372036854775808",
    "5.0",
    "5.4",
    "5.5",
    "-0.4",
    "0.5",
    "5e0",
    "1e2",
    "'5'",
    "'5.0'",
    "'7'",
    "'007'",
    "5.00",
    "TRUE",
    "FALSE",
    "0x05",
    "b'101'",
    "NULL",
    "-0",
    "+5",
    "18446744073709551615",
    "9223372036854775808",
    "'9223372036854775807'",
    "1.5e1",
    "2.5e0",
    "3.5e0",
];

const DECIMALS: &[&str] = &[
    "0",
    "1",
    "5",
    "5.1",
    "5.10",
    "5.05",
    "-5.05",
    "0.01",
    "-0.01",
    "99999999.99",
    "-99999999.99",
    "5.005",
    "5.004",
    "'5.1'",
    "'5.10'",
    "5e0",
    "5.1e0",
    "100",
    "1e2",
    "NULL",
    "0.00",
    "-0.00",
    "1.999",
    "12345678.91",
    "'0.1'",
    "7",
    "2.50",
    "2.5",
    "TRUE",
];

const WORDS: &[&str] = &[
    "'a'",
    "'A'",
    "'á'",
    "'a '",
    "'b'",
    "'B'",
    "''",
    "' '",
    "'ß'",
    "'ss'",
    "'SS'",
    "'ab'",
    "'ab  '",
    "'é'",
    "'e'",
    "'ab\\0'",
    "'zebra'",
    "'Zebra'",
    "'5'",
    "'05'",
    "5",
    "0",
    "'5.0'",
    "NULL",
    "'a\\tb'",
    "'it''s'",
    "'back\\\\slash'",
    "'ÿ'",
    "'y'",
    "'%'",
    "'_'",
    "'\\%'",
    "_utf8mb4'a'",
    "N'a'",
    "_latin1 0xE1",
    "0x61",
    "x'41'",
    "'a' 'b'",
    "\"b\"",
    "'naïve'",
    "'NAIVE'",
    "'Ω'",
    "'ω'",
    "'𝄞'",
    "'o\u{308}'",
    "'ö'",
    "'\u{200d}a'",
    "TRUE",
    "-1",
    "1.0",
    "1e0",
];

const BYTES: &[&str] = &[
    "'a'",
    "'A'",
    "'a '",
    "'ab'",
    "''",
    "0x61",
    "x'00'",
    "x'6100'",
    "b'01100001'",
    "0x61626364",
    "'abcd'",
    "NULL",
    "' '",
    "'\\0'",
    "'a\\0'",
    "5",
    "'5'",
    "0xFF",
    "0xE1",
    "_binary'a'",
    "'á'",
    "'abc'",
    "0",
    "'abc\\0'",
];

const DATES: &[&str] = &[
    "'2024-02-29'",
    "'2024-01-01'",
    "'2023-12-31'",
    "'1999-01-01'",
    "'2024-01-01 00:00:00'",
    "20240101",
    "'20240101'",
    "'2024-1-1'",
    "NULL",
    "'9999-12-31'",
    "'1000-01-01'",
    "'2024-01-01 10:00:00'",
    "'24-01-01'",
    "DATE'2024-01-01'",
    "'2024-01-02'",
    "'2024/01/01'",
    "'2024-01-01 00:00:00.000000'",
    "20240101000000",
    "'2024-01-03'",
    "'0000-00-00'",
    "0",
];

const MOMENTS: &[&str] = &[
    "'2024-02-29 10:11:12.123'",
    "'2024-01-01 00:00:00'",
    "'2024-01-01'",
    "'2024-01-01 00:00:00.0004'",
    "'2024-01-01 00:00:00.0005'",
    "'2024-01-01 00:00:00.001'",
    "'2023-12-31 23:59:59.9996'",
    "NULL",
    "20240101",
    "20240101000000",
    "'2024-01-01T00:00:00'",
    "'9999-12-31 23:59:59.999'",
    "TIMESTAMP'2024-01-01 00:00:00'",
    "'2024-01-01 00:00:00.000'",
    "'2024-02-29 10:11:12.12'",
    "'2024-02-29 10:11:12.120'",
    "'2024-01-01 00:00:00+00:00'",
    "'2024-03-01 00:00:00'",
    "DATE'2024-01-01'",
];

const TIMES: &[&str] = &[
    "'10:11:12'",
    "'00:00:00'",
    "'-10:11:12'",
    "'838:59:59'",
    "'10:11'",
    "101112",
    "'101112'",
    "'10:11:12.4'",
    "'10:11:12.5'",
    "NULL",
    "'-00:00:00'",
    "TIME'10:11:12'",
    "'1 00:00:00'",
    "'24:00:00'",
    "0",
    "'100:00:00'",
    "'10:11:13'",
    "'01:02:03'",
];

const YEARS: &[&str] = &[
    "2024", "1999", "'2024'", "0", "'0'", "'0000'", "24", "'24'", "70", "1901", "2155", "NULL", "2024.0",
    "2023.5", "99", "'99'", "2000", "'2000'", "1970", "2070", "2024e0", "1",
];

const COMPOSITE: &[&str] = &["0", "1", "2", "3", "-1", "5", "'5'", "5.0", "2147483647", "7"];

const fn sharded(name: &'static str, definition: &'static str, values: &'static [&'static str]) -> Table {
    Table {
        name,
        definition,
        key: &["k"],
        key_positions: &[1],
        everywhere: false,
        values,
        unique_by_key: false,
    }
}

const fn whole(name: &'static str, definition: &'static str, everywhere: bool) -> Table {
    Table {
        name,
        definition,
        key: &[],
        key_positions: &[],
        everywhere,
        values: NUMBERS,
        unique_by_key: false,
    }
}

/// All tables.
pub const TABLES: &[Table] = &[
    Table {
        unique_by_key: true,
        ..sharded(
            "big",
            "CREATE TABLE big (id INT NOT NULL, k BIGINT NOT NULL, v INT NULL, c VARCHAR(20) NULL, PRIMARY KEY (k))",
            NUMBERS,
        )
    },
    sharded(
        "num",
        "CREATE TABLE num (id INT PRIMARY KEY, k BIGINT NULL, v INT NULL, c VARCHAR(20) NULL, KEY (k))",
        NUMBERS,
    ),
    sharded(
        "uns",
        "CREATE TABLE uns (id INT PRIMARY KEY, k INT UNSIGNED NULL, v INT NULL, c VARCHAR(20) NULL)",
        NUMBERS,
    ),
    sharded(
        "tiny",
        "CREATE TABLE tiny (id INT PRIMARY KEY, k TINYINT NULL DEFAULT 5, v INT NULL, c VARCHAR(20) NULL)",
        NUMBERS,
    ),
    sharded(
        "deci",
        "CREATE TABLE deci (id INT PRIMARY KEY, k DECIMAL(10,2) NULL, v INT NULL, c VARCHAR(20) NULL)",
        DECIMALS,
    ),
    sharded(
        "ai",
        "CREATE TABLE ai (id INT PRIMARY KEY, k VARCHAR(10) COLLATE utf8mb4_0900_ai_ci NULL, v INT NULL, c VARCHAR(20) NULL, KEY (k))",
        WORDS,
    ),
    sharded(
        "bin",
        "CREATE TABLE bin (id INT PRIMARY KEY, k VARCHAR(10) COLLATE utf8mb4_bin NULL, v INT NULL, c VARCHAR(20) NULL)",
        WORDS,
    ),
    sharded(
        "gen",
        "CREATE TABLE gen (id INT PRIMARY KEY, k VARCHAR(10) COLLATE utf8mb4_general_ci NULL, v INT NULL, c VARCHAR(20) NULL)",
        WORDS,
    ),
    sharded(
        "lat",
        "CREATE TABLE lat (id INT PRIMARY KEY, k VARCHAR(10) CHARACTER SET latin1 COLLATE latin1_swedish_ci NULL, v INT NULL, c VARCHAR(20) NULL)",
        WORDS,
    ),
    sharded(
        "chr",
        "CREATE TABLE chr (id INT PRIMARY KEY, k CHAR(5) COLLATE utf8mb4_0900_ai_ci NULL DEFAULT 'b', v INT NULL, c VARCHAR(20) NULL)",
        WORDS,
    ),
    sharded(
        "vb",
        "CREATE TABLE vb (id INT PRIMARY KEY, k VARBINARY(4) NULL, v INT NULL, c VARCHAR(20) NULL)",
        BYTES,
    ),
    sharded(
        "b4",
        "CREATE TABLE b4 (id INT PRIMARY KEY, k BINARY(4) NULL, v INT NULL, c VARCHAR(20) NULL)",
        BYTES,
    ),
    sharded(
        "dat",
        "CREATE TABLE dat (id INT PRIMARY KEY, k DATE NULL, v INT NULL, c VARCHAR(20) NULL)",
        DATES,
    ),
    sharded(
        "mom",
        "CREATE TABLE mom (id INT PRIMARY KEY, k DATETIME(3) NULL, v INT NULL, c VARCHAR(20) NULL)",
        MOMENTS,
    ),
    sharded(
        "tim",
        "CREATE TABLE tim (id INT PRIMARY KEY, k TIME NULL, v INT NULL, c VARCHAR(20) NULL)",
        TIMES,
    ),
    sharded(
        "yea",
        "CREATE TABLE yea (id INT PRIMARY KEY, k YEAR NULL, v INT NULL, c VARCHAR(20) NULL)",
        YEARS,
    ),
    Table {
        key: &["a", "b"],
        key_positions: &[1, 2],
        unique_by_key: true,
        ..sharded(
            "comp",
            "CREATE TABLE comp (id INT NOT NULL, a INT NOT NULL, b VARCHAR(10) NOT NULL, v INT NULL, c VARCHAR(20) NULL, PRIMARY KEY (a, b))",
            COMPOSITE,
        )
    },
    whole(
        "ref",
        "CREATE TABLE ref (id INT PRIMARY KEY, k BIGINT NULL, v INT NULL, c VARCHAR(20) NULL)",
        true,
    ),
    whole(
        "home",
        "CREATE TABLE home (id INT PRIMARY KEY AUTO_INCREMENT, k BIGINT NULL, v INT NULL, c VARCHAR(20) NULL)",
        false,
    ),
];

/// The rows of the reference table, which every shard gets.
pub const REFERENCE_ROWS: &[&str] = &[
    "INSERT INTO ref VALUES (1, 1, 10, 'a'), (2, 5, 20, 'b'), (3, NULL, 30, 'A'), (4, -5, NULL, NULL), (5, 5, 50, '5')",
];

/// INSERTs of a table's rows: two for each value, one for composite keys.
pub fn rows_of(table: &Table) -> Vec<String> {
    let values = table.values.iter().enumerate();
    match table.name {
        "ref" => Vec::new(),
        "comp" => values
            .flat_map(|(n, a)| {
                ["'a'", "'A '", "'b'"].iter().enumerate().map(move |(m, b)| {
                    format!("INSERT IGNORE INTO comp VALUES ({}, {a}, {b}, {}, 'c{n}')", n * 3 + m, n % 7)
                })
            })
            .collect(),
        name => values
            .flat_map(|(n, k)| {
                let copies = if table.unique_by_key { 1 } else { 2 };
                (0..copies).map(move |copy| {
                    let id = n * 2 + copy + 1;
                    format!(
                        "INSERT INTO {name} (id, k, v, c) VALUES ({id}, {k}, {}, '{}')",
                        id % 7,
                        ["a", "B", "5"][id % 3]
                    )
                })
            })
            .collect(),
    }
}
