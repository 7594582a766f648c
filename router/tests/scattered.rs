//! Writes on several shards: what each gets, with literals and with parameters.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod shop;

use podway_model::{Keyspace, Map, Name, NameRule, ShardIndex};
use podway_router::{
    ClientCharset, Facts, KeyValue, Next, Normalised, Numbers, Piece, Plan, PlanContext, PodwayVariables,
    Record, Route, RouterError, SqlMode, Want, plan_uncached,
};

/// A statement, planned in the keyspace `shop`.
struct Planned {
    map: Map,
    sql: String,
    n: Normalised,
    plan: Plan,
}

fn planned(sql: &str) -> Planned {
    let map = shop::map(NameRule::CaseSensitive);
    let name = map.names.name("shop");
    let mut n = Normalised::new();
    n.set_version(map.lowest_version());
    n.run(sql.as_bytes(), SqlMode::STRICT, ClientCharset::Utf8).unwrap();
    let ctx = PlanContext {
        map: &map,
        keyspace: Some(&name),
        sql_mode: SqlMode::STRICT,
        charset: ClientCharset::Utf8,
        collation: "utf8mb4_0900_ai_ci",
        time_zone: "SYSTEM",
        temporary_tables: &[],
    };
    let plan = plan_uncached(&ctx, sql.as_bytes(), &n);
    Planned { sql: sql.to_owned(), n, plan, map }
}

impl Planned {
    fn keyspace(&self) -> &Keyspace {
        self.map.keyspace(self.plan.keyspace().unwrap()).unwrap()
    }

    fn route(&self, params: &[KeyValue<'_>]) -> Result<Route, RouterError> {
        self.plan.route(&self.map, self.sql.as_bytes(), &self.n, params)
    }

    fn pieces(&self, params: &[KeyValue<'_>]) -> Result<Vec<Piece>, RouterError> {
        assert_eq!(self.route(params)?, Route::Scatter, "{}", self.sql);
        assert!(!self.plan.only_reads());
        let scatter = self.plan.scatter.as_ref().unwrap();
        self.plan.pieces(scatter, self.keyspace(), (self.sql.as_bytes(), &self.n), params, &[])
    }

    fn text(&self, piece: &Piece) -> String {
        self.told(piece.shard, |facts, out| {
            self.plan.piece_text(piece, (self.sql.as_bytes(), &self.n), facts, out);
        })
    }

    /// What a shard is told of a file in this character set.
    fn load_text(&self, shard: u16, charset: &str) -> String {
        let load = self.plan.scatter.as_ref().unwrap().load.as_ref().unwrap();
        self.told(ShardIndex(shard), |facts, out| {
            self.plan.load_text(load, charset, (self.sql.as_bytes(), &self.n), facts, out);
        })
    }

    fn told(&self, shard: ShardIndex, tell: impl Fn(&Facts<'_>, &mut Vec<u8>)) -> String {
        let shard = self.keyspace().shard(shard).unwrap();
        let physical = |_: &Name| Some(shard.schema.as_str());
        let facts = Facts {
            database: None,
            physical: &physical,
            connection_id: 1,
            row_count: 0,
            found_rows: 0,
            warning_count: 0,
            error_count: 0,
            charset: ClientCharset::Utf8,
            sql_mode: SqlMode::STRICT,
            podway: PodwayVariables::default(),
            numbers: Numbers::default(),
        };
        let mut out = Vec::new();
        tell(&facts, &mut out);
        String::from_utf8(out).unwrap()
    }
}

/// The first ids from 1 on of the shards 0 to 3.
fn ids() -> [i64; 4] {
    let of = |id: i64| planned(&format!("DELETE FROM customers WHERE id = {id}")).route(&[]).unwrap();
    [0, 1, 2, 3].map(|shard| (1..).find(|&id| of(id) == Route::Shard(ShardIndex(shard))).unwrap())
}

fn shards(pieces: &[Piece]) -> Vec<u16> {
    pieces.iter().map(|piece| piece.shard.0).collect()
}

#[test]
fn each_shard_gets_its_rows_in_their_order_and_the_first_rows_shard_is_first() {
    let [a, b, c, _] = ids();
    let sql = format!(
        "INSERT INTO shop.customers (id, name) VALUES ({c}, 'x,('), -- a comment\n ({a},'y') , ({c}, 'z'), ({b}, ')') \
         AS new ON DUPLICATE KEY UPDATE name = new.name -- the end"
    );
    let planned = planned(&sql);
    let pieces = planned.pieces(&[]).unwrap();
    assert_eq!(shards(&pieces), [2, 0, 1]);
    assert_eq!([false, false, true], [0, 1, 2].map(|piece: usize| pieces[piece].has_last_row));
    assert!(pieces.iter().all(|piece| piece.params.is_none()));
    let text = |schema: &str, rows: String| {
        format!(
            "INSERT INTO {schema}.customers (id, name) VALUES {rows} AS new ON DUPLICATE KEY UPDATE name = new.name -- the end"
        )
    };
    assert_eq!(planned.text(&pieces[0]), text("shop", format!("({c}, 'x,('), ({c}, 'z')")));
    assert_eq!(planned.text(&pieces[1]), text("shop", format!("({a},'y')")));
    assert_eq!(planned.text(&pieces[2]), text("`shop__2`", format!("({b}, ')')")));
}

#[test]
fn parameters_go_with_their_rows_and_with_what_all_shards_get() {
    let [a, b, _, d] = ids();
    let planned = planned(
        "INSERT INTO customers (id, name) VALUES (?, ?), (?, CONCAT(?, 'a', ?)), (?, 'b') ON DUPLICATE KEY UPDATE name = ?",
    );
    let text = || KeyValue::Null;
    let params = |first, second, third| {
        let id = KeyValue::Int;
        [id(first), text(), id(second), text(), text(), id(third), text()]
    };
    let pieces = planned.pieces(&params(b, a, b)).unwrap();
    assert_eq!(shards(&pieces), [1, 0]);
    assert_eq!(pieces[0].params, Some(vec![0, 1, 5, 6]));
    assert_eq!(pieces[1].params, Some(vec![2, 3, 4, 6]));
    assert_eq!(
        planned.text(&pieces[0]),
        "INSERT INTO customers (id, name) VALUES (?, ?), (?, 'b') ON DUPLICATE KEY UPDATE name = ?"
    );
    assert_eq!(
        planned.text(&pieces[1]),
        "INSERT INTO customers (id, name) VALUES (?, CONCAT(?, 'a', ?)) ON DUPLICATE KEY UPDATE name = ?"
    );
    let pieces = planned.pieces(&params(d, b, a)).unwrap();
    assert_eq!(shards(&pieces), [3, 0, 1]);
    assert_eq!(planned.route(&params(d, d, d)).unwrap(), Route::Shard(ShardIndex(3)));
}

#[test]
fn row_constructors_are_cut_with_their_word() {
    let [a, b, ..] = ids();
    let planned = planned(&format!("REPLACE INTO customers VALUES ROW({a}, 'a', NULL),ROW({b}, 'b', NULL)"));
    let pieces = planned.pieces(&[]).unwrap();
    assert_eq!(planned.text(&pieces[1]), format!("REPLACE INTO customers VALUES ROW({b}, 'b', NULL)"));
}

#[test]
fn a_new_number_that_is_not_seen_as_one_is_refused() {
    let [a, ..] = ids();
    let insert = format!("INSERT INTO visits (id, customer_id) VALUES (5, {a}) AS");
    for (sql, what) in [
        (
            format!("{insert} new(kk, id) ON DUPLICATE KEY UPDATE visits.id = new.id"),
            "an expression as the new value of the AUTO_INCREMENT column",
        ),
        (
            "ALTER TABLE customers MODIFY region INT AUTO_INCREMENT".to_owned(),
            "making a column AUTO_INCREMENT",
        ),
    ] {
        let error = planned(&sql).route(&[]).unwrap_err();
        assert_eq!(error.errno, 1235, "{sql}");
        assert!(error.message.contains(what), "{sql}: {}", error.message);
    }
    for own in ["id", "visits.id", "VALUES(id)", "LAST_INSERT_ID(id)"] {
        let sql = format!(
            "INSERT INTO visits (id, customer_id) VALUES (5, {a}) ON DUPLICATE KEY UPDATE id = {own}"
        );
        assert!(planned(&sql).route(&[]).is_ok(), "{sql}");
    }
    assert!(planned(&format!("{insert} new ON DUPLICATE KEY UPDATE visits.id = new.id")).route(&[]).is_ok());
}

#[test]
fn a_row_without_a_certain_place_refuses_the_statement() {
    let [a, b, ..] = ids();
    for (sql, what) in [
        (format!("INSERT INTO tickets (id) VALUES ({a}), ({b}), (0)"), "AUTO_INCREMENT"),
        (format!("INSERT INTO visits (id, customer_id) VALUES (1, {a}), (0, {b})"), "AUTO_INCREMENT"),
        (format!("INSERT INTO customers (id, name) VALUES ({a}, RAND()), ({b}, 1)"), "RAND() in a write"),
        (format!("UPDATE customers SET name = RAND() WHERE id IN ({a}, {b})"), "RAND() in a write"),
    ] {
        let error = planned(&sql).route(&[]).unwrap_err();
        assert_eq!(error.errno, 1235, "{sql}");
        assert!(error.message.contains(what), "{sql}: {}", error.message);
    }
    let copies = planned("INSERT INTO units (id, token) VALUES (?, 'x')");
    assert!(copies.plan.pins_params());
    assert_eq!(copies.route(&[KeyValue::Null]).unwrap_err().errno, 1235);
    assert_eq!(copies.pieces(&[KeyValue::Int(5)]).unwrap().len(), 4);
    let unknown = planned(&format!("INSERT INTO customers (id) VALUES ({a}), ({b}), (?)"));
    assert_eq!(unknown.route(&[KeyValue::Unknown]).unwrap_err().errno, 1235);
    assert_eq!(unknown.pieces(&[KeyValue::Int(a)]).unwrap().len(), 2);
}

#[test]
fn a_row_that_mysql_refuses_goes_with_another() {
    let [a, b, ..] = ids();
    let planned = planned(&format!("INSERT INTO customers (id) VALUES (NULL), ({b}), ({a})"));
    let pieces = planned.pieces(&[]).unwrap();
    assert_eq!(shards(&pieces), [1, 0]);
    assert_eq!(planned.text(&pieces[0]), format!("INSERT INTO customers (id) VALUES (NULL), ({b})"));
}

#[test]
fn a_change_goes_to_the_shards_of_its_keys_or_to_all() {
    let [a, b, _, d] = ids();
    for (sql, expected) in [
        ("UPDATE customers SET name = 'a'".to_owned(), vec![0, 1, 2, 3]),
        (format!("UPDATE customers SET name = 'a' WHERE id IN ({d}, {b}, {d})"), vec![1, 3]),
        (format!("DELETE FROM orders WHERE customer_id IN ({a}, {d}) AND total > 5"), vec![0, 3]),
        (format!("DELETE FROM customers WHERE id IN ({a}, '{d}')"), vec![0, 1, 2, 3]),
        (
            format!(
                "DELETE c, o FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id IN ({a}, {b})"
            ),
            vec![0, 1],
        ),
        ("UPDATE countries SET name = 'a' WHERE code = 'b'".to_owned(), vec![0, 1, 2, 3]),
        ("INSERT INTO countries VALUES ('a', 'b')".to_owned(), vec![0, 1, 2, 3]),
    ] {
        let planned = planned(&sql);
        let pieces = planned.pieces(&[]).unwrap();
        assert_eq!(shards(&pieces), expected, "{sql}");
        assert!(pieces.iter().all(|piece| piece.params.is_none() && planned.text(piece) == sql), "{sql}");
        assert_eq!(planned.plan.scatter.as_ref().unwrap().is_copies, sql.contains("countries"), "{sql}");
    }
}

#[test]
fn keys_that_are_parameters_narrow_the_shards() {
    let [_, b, c, d] = ids();
    let planned = planned("DELETE FROM customers WHERE id IN (?, ?) AND name = ?");
    assert!(planned.plan.pins_params());
    let pieces = planned.pieces(&[KeyValue::Int(d), KeyValue::Int(c), KeyValue::Null]).unwrap();
    assert_eq!(shards(&pieces), [2, 3]);
    let alone = planned.route(&[KeyValue::Int(b), KeyValue::Null, KeyValue::Null]).unwrap();
    assert_eq!(alone, Route::Shard(ShardIndex(1)));
    assert_eq!(shards(&planned.pieces(&[]).unwrap()), [0, 1, 2, 3]);
}

#[test]
fn a_long_insert_is_cut_in_one_pass() {
    let rows: Vec<String> = (1..=20_000).map(|id| format!("({id}, DATABASE())")).collect();
    let planned = planned(&format!("INSERT INTO customers (id, name) VALUES {}", rows.join(", ")));
    let pieces = planned.pieces(&[]).unwrap();
    assert_eq!(pieces.len(), 4);
    let texts: Vec<String> = pieces.iter().map(|piece| planned.text(piece)).collect();
    let count: usize = texts.iter().map(|text| text.matches("NULL)").count()).sum();
    assert_eq!(count, 20_000);
    let scattered = planned.plan.memory();
    assert!(scattered > 20_000 * size_of::<u32>(), "{scattered}");
}

#[test]
fn a_shard_is_told_of_records_alone_with_all_that_it_might_take_otherwise() {
    let cases = [
        (
            "LOAD DATA LOCAL INFILE 'a.csv' REPLACE INTO TABLE customers",
            "LOAD DATA LOCAL INFILE 'a.csv' REPLACE INTO TABLE customers CHARACTER SET latin1 (`id`, `name`, `country`)",
        ),
        (
            "LOAD DATA LOCAL INFILE 'a' INTO TABLE shop.customers CHARACTER SET 'utf8mb4' FIELDS TERMINATED BY ',' IGNORE 2 LINES (id, @x) SET name = UPPER(@x)",
            "LOAD DATA LOCAL INFILE 'a' INTO TABLE `shop__2`.customers CHARACTER SET 'utf8mb4' FIELDS TERMINATED BY ','  (id, @x) SET name = UPPER(@x)",
        ),
        (
            "load data local infile 'a' into table tickets fields terminated by ';' (subject) -- end",
            "load data local infile 'a' into table tickets CHARACTER SET latin1 fields terminated by ';' (`id`, subject) -- end",
        ),
        (
            "LOAD DATA LOCAL INFILE 'a' INTO TABLE tickets LINES TERMINATED BY '\\r\\n' (id, subject)",
            "LOAD DATA LOCAL INFILE 'a' INTO TABLE tickets CHARACTER SET latin1 LINES TERMINATED BY '\\r\\n' (id, subject)",
        ),
        (
            "LOAD DATA LOCAL INFILE 'a' INTO TABLE countries IGNORE 1 ROWS",
            "LOAD DATA LOCAL INFILE 'a' INTO TABLE countries CHARACTER SET latin1",
        ),
    ];
    for (sql, expected) in cases {
        let planned = planned(sql);
        assert_eq!(planned.route(&[]).unwrap(), Route::Scatter, "{sql}");
        let text = planned.load_text(1, "latin1");
        assert!(text == expected || text.starts_with(&format!("{expected}  (")), "{text}");
    }
}

#[test]
fn a_file_is_refused_by_what_stands_in_its_way() {
    let cases = [
        ("LOAD DATA INFILE 'a' INTO TABLE customers", "use LOAD DATA LOCAL"),
        (
            "LOAD DATA LOCAL INFILE 'a' INTO TABLE customers (name)",
            "without a field for the sharding key column id",
        ),
        (
            "LOAD DATA LOCAL INFILE 'a' INTO TABLE customers (@a) SET id = @a",
            "its sharding key column id in SET",
        ),
        (
            "LOAD DATA LOCAL INFILE 'a' INTO TABLE visits (customer_id) SET id = 5",
            "its AUTO_INCREMENT column id in SET",
        ),
        ("LOAD DATA LOCAL INFILE 'a' INTO TABLE customers (id, name, `ID`)", "the column id listed twice"),
        ("LOAD DATA LOCAL INFILE 'a' INTO TABLE visits (customer_id, id, id)", "the column id listed twice"),
        ("LOAD DATA LOCAL INFILE 'a' INTO TABLE customers (id) SET name = UUID()", "UUID()"),
        ("LOAD DATA LOCAL INFILE 'a' INTO TABLE customers (id) SET name = (SELECT 'a')", "a subquery"),
        ("LOAD DATA LOCAL INFILE 'a' INTO TABLE rates", "where its columns are not known"),
        ("LOAD DATA LOCAL INFILE 'a' INTO TABLE units (id)", "without a field for the column"),
        ("LOAD XML LOCAL INFILE 'a' INTO TABLE customers", "in this form"),
        (
            "LOAD DATA LOCAL INFILE 'a' INTO TABLE customers COLUMNS SEPARATED BY ','",
            "in this form (near SEPARATED)",
        ),
    ];
    for (sql, expected) in cases {
        let error = planned(sql).route(&[]).unwrap_err();
        assert!(error.errno == 1235 && error.message.contains(expected), "{sql}: {}", error.message);
    }
    let home = planned("LOAD DATA INFILE 'a' INTO TABLE notes");
    assert!(matches!(home.route(&[]), Ok(Route::Shard(_))));
}

#[test]
fn records_go_by_their_keys_and_get_the_numbers_that_they_lack() {
    let [a, b, c, _] = ids();
    let planned = planned(
        "LOAD DATA LOCAL INFILE 'a' INTO TABLE customers FIELDS TERMINATED BY ',' ENCLOSED BY '\"' (name, id)",
    );
    let text = (planned.sql.as_bytes(), &planned.n);
    let load = planned.plan.scatter.as_ref().unwrap().load.as_ref().unwrap();
    let file = planned.plan.load_file(load, text, "utf8mb4").unwrap();
    assert_eq!((&file.name[..], &file.format.field_end[..], file.skipped), (&b"a"[..], &b","[..], 0));
    let bytes = format!("x,{a}\ny,\"{b}\"\nz,{c}.0,more\n\\N,x\n");
    let (mut at, mut record, mut found) = (0, Record::default(), Vec::new());
    while file.format.record(&bytes.as_bytes()[at..], true, load.fields, &mut record) == Next::Record {
        found.push(load.shard(planned.keyspace(), (&record, None), "utf8mb4", SqlMode::STRICT));
        at += record.length;
    }
    let found: Vec<Option<u16>> = found.into_iter().map(|shard| shard.ok().map(|shard| shard.0)).collect();
    assert_eq!(found[..2], [Some(0), Some(1)]);
    assert_eq!(found.last(), Some(&None));
    let tickets =
        self::planned("LOAD DATA LOCAL INFILE 'a' INTO TABLE tickets FIELDS TERMINATED BY ',' (subject)");
    let load = tickets.plan.scatter.as_ref().unwrap().load.as_ref().unwrap();
    let bytes = b"one,more\n";
    assert_eq!(file.format.record(bytes, true, load.fields, &mut record), Next::Record);
    assert_eq!(load.wanted_number(&record, "utf8mb4", SqlMode::STRICT), Ok(Want::Next));
    let mut out = Vec::new();
    load.put_record((bytes, &record), Some(17), b",", &mut out);
    assert_eq!(out, b"17,one,more\n");
}
