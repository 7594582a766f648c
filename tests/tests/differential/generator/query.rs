//! SELECT: one table, joins, subqueries, CTEs, UNION, and what stands around them.

use super::{Generator, Made, Named};

impl Generator {
    /// A query.
    pub(super) fn select(&mut self, depth: u32) -> Made {
        match self.below(12) {
            0..4 => self.of_one(depth),
            4..7 => Made { sql: self.join(depth), ..Made::default() },
            7 => Made { sql: self.with_subquery(depth), ..Made::default() },
            8 => Made { sql: self.derived(depth), ..Made::default() },
            9 => Made { sql: self.cte(depth), ..Made::default() },
            10 => Made { sql: self.union(depth), ..Made::default() },
            _ => Made { sql: self.grouped(depth), ..Made::default() },
        }
    }

    fn items(&mut self, tables: &[Named]) -> String {
        let mut items = Vec::new();
        for named in tables {
            let alias = &named.alias;
            items.push(match self.below(9) {
                0 => format!("{alias}.*"),
                1 => format!("{alias}.v + 1 AS k"),
                2 => format!("{alias}.v AS {}", named.table.name),
                3 => format!("{alias}.c id, {alias}.id"),
                4 => format!("COALESCE({alias}.v, 7)"),
                5 => format!("{alias}.`V`, {alias} . id"),
                6 => format!("RANK() OVER (ORDER BY {alias}.id), {alias}.v"),
                7 => format!("(SELECT {alias}.v), DATABASE() = 'shopdiff'"),
                _ => format!("{alias}.id, {alias}.v, {alias}.c"),
            });
        }
        items.join(", ")
    }

    fn of_one(&mut self, depth: u32) -> Made {
        let table = self.any_table();
        let named = self.named(table, "");
        let tables = [named.clone()];
        let items = self.items(&tables);
        let condition = self.condition(&tables, depth);
        let (gap, other_gap) = (self.gap(), self.gap());
        let (mut tail, mut ordered) = (String::new(), false);
        if self.chance(40) {
            tail = format!(" ORDER BY {}.id", named.alias);
            ordered = true;
            if self.chance(50) {
                tail += self.pick(&[" DESC LIMIT 2", " LIMIT 1, 2", " LIMIT 3 OFFSET 1", " ASC LIMIT 1"]);
            }
        }
        if self.chance(6) {
            tail += self.pick(&[" FOR UPDATE", " FOR SHARE", " LOCK IN SHARE MODE"]);
        }
        let option = self.pick(&[
            "",
            "",
            "",
            "",
            "ALL ",
            "SQL_NO_CACHE ",
            "/*+ MAX_EXECUTION_TIME(50000) */ ",
            "HIGH_PRIORITY ",
        ]);
        let sql =
            format!("SELECT{gap}{option}{items} FROM {}{other_gap}WHERE {condition}{tail}", named.reference);
        Made { sql, ordered, ..Made::default() }
    }

    /// Two tables, and maybe a third.
    // structure: the kinds of joins as one list, each an arm.
    fn join(&mut self, depth: u32) -> String {
        let (left, right) = match self.chance(60) {
            true => {
                let table = self.sharded();
                (table, table)
            }
            false => (self.any_table(), self.any_table()),
        };
        let (left, right) = (self.named(left, "x"), self.named(right, "y"));
        if left.alias == right.alias {
            return format!("SELECT COUNT(*) FROM {}", right.reference);
        }
        let same_key =
            left.table.key == right.table.key || left.table.key.len() < 2 && right.table.key.len() < 2;
        let on = match self.below(5) {
            _ if !same_key => format!("{}.v = {}.v", left.alias, right.alias),
            0 => format!("{0}.v = {1}.v", left.alias, right.alias),
            1 if left.table.key.len() < 2 => format!("{0}.k = {1}.k OR {0}.v = 1", left.alias, right.alias),
            2 if left.table.key.len() < 2 => format!("{0}.k <=> {1}.k", left.alias, right.alias),
            _ if left.table.key.len() == 2 && right.table.key.len() == 2 => {
                format!("{0}.a = {1}.a AND {0}.b = {1}.b", left.alias, right.alias)
            }
            _ if left.table.key.len() == 2 || right.table.key.len() == 2 => {
                format!("{0}.v = {1}.v", left.alias, right.alias)
            }
            _ => format!("{0}.k = {1}.k", left.alias, right.alias),
        };
        let tables = [left, right];
        let pin_in_on = self.chance(40);
        let items = self.items(&tables);
        let both = self.chance(50);
        let pinned = if both { &tables[..] } else { &tables[..1] };
        let on = match pin_in_on {
            true => {
                let more = self.condition(pinned, 0);
                format!("{on} AND {more}")
            }
            false => on,
        };
        let condition = match self.chance(75) {
            true => {
                let (first, second) = (self.chance(80), self.chance(50));
                let from = if first { 0 } else { 1 };
                let to = if second || !first { 2 } else { 1 };
                format!(" WHERE {}", self.condition(&tables[from..to], depth))
            }
            false => String::new(),
        };
        let [left, right] = &tables;
        let join = match self.below(13) {
            0 => format!("{}, {} ON_WHERE", left.reference, right.reference),
            1 => format!("{} STRAIGHT_JOIN {} ON {on}", left.reference, right.reference),
            2 | 3 => format!("{} LEFT JOIN {} ON {on}", left.reference, right.reference),
            4 | 5 => format!("{} RIGHT OUTER JOIN {} ON {on}", left.reference, right.reference),
            6 if same_key && left.table.key.len() < 2 => {
                format!("{} JOIN {} USING (k)", left.reference, right.reference)
            }
            7 if same_key && left.table.key.len() < 2 => {
                format!("{} LEFT JOIN {} USING (k, v)", left.reference, right.reference)
            }
            8 => format!("{} NATURAL JOIN {}", left.reference, right.reference),
            9 => format!("({} JOIN {} ON {on})", left.reference, right.reference),
            10 => format!(
                "{} LEFT JOIN (ref r JOIN {} ON {on} AND r.id = 1) ON TRUE",
                left.reference, right.reference
            )
            .replace(&format!("{}.", left.alias), "r."),
            11 => format!("{} CROSS JOIN {} ON {on}", left.reference, right.reference),
            _ => format!("{} INNER JOIN {} ON {on}", left.reference, right.reference),
        };
        let (join, condition) = match join.strip_suffix(" ON_WHERE") {
            Some(list) if condition.is_empty() => (list.to_owned(), format!(" WHERE {on}")),
            Some(list) => (list.to_owned(), format!(" WHERE ({}) AND {on}", &condition[7..])),
            None => (join, condition),
        };
        format!("SELECT {items} FROM {join}{condition}")
    }

    fn with_subquery(&mut self, depth: u32) -> String {
        let (outer, inner) = (self.any_table(), self.any_table());
        let outer = self.named(outer, "");
        let inner = self.named(inner, "i");
        let tables = [outer.clone()];
        let items = self.items(&tables);
        let condition = self.condition(&tables, depth);
        let inner_condition = match self.below(3) {
            0 if outer.table.key.len() < 2 && inner.table.key.len() < 2 => {
                format!("{}.k = {}.k", inner.alias, outer.alias)
            }
            1 if outer.table.key.len() < 2 && inner.table.key.len() < 2 => {
                let pin = self.pin(&inner);
                format!("{}.k = {}.k AND {pin}", inner.alias, outer.alias)
            }
            _ => self.condition(std::slice::from_ref(&inner), depth / 2),
        };
        let query = format!("FROM {} WHERE {inner_condition}", inner.reference);
        let sub = match self.below(6) {
            0 => format!("EXISTS (SELECT 1 {query})"),
            1 => format!("NOT EXISTS (SELECT * {query})"),
            2 => format!("{}.v IN (SELECT {}.v {query})", outer.alias, inner.alias),
            3 => format!("{}.v NOT IN (SELECT v {query})", outer.alias),
            4 => format!("{}.v <= (SELECT MAX(v) {query})", outer.alias),
            _ => format!("(SELECT COUNT(*) {query}) > 0"),
        };
        match self.chance(70) {
            true => format!("SELECT {items} FROM {} WHERE {condition} AND {sub}", outer.reference),
            false => {
                format!("SELECT {sub} AS s, {}.id FROM {} WHERE {condition}", outer.alias, outer.reference)
            }
        }
    }

    fn derived(&mut self, depth: u32) -> String {
        let inner = self.any_table();
        let inner = self.named(inner, "");
        let condition = self.condition(std::slice::from_ref(&inner), depth);
        let inner_query = format!(
            "SELECT {0}.id, {0}.v AS k, {0}.v, {0}.c FROM {1} WHERE {condition}",
            inner.alias, inner.reference
        );
        match self.below(4) {
            0 => {
                format!("SELECT * FROM ({inner_query}) AS {} WHERE k = 5 OR k IS NOT NULL", inner.table.name)
            }
            1 => format!("SELECT d.id, COUNT(*) FROM ({inner_query}) d GROUP BY d.id"),
            2 => {
                let table = self.sharded();
                let other = self.named(table, "o");
                let pin = self.pin(&other);
                format!(
                    "SELECT d.id, {0}.id FROM {1}, LATERAL ({inner_query}) d WHERE {pin}",
                    other.alias, other.reference
                )
            }
            _ => format!("SELECT d.v FROM ({inner_query}) d JOIN ref ON ref.v = d.v OR ref.id = 1"),
        }
    }

    fn cte(&mut self, depth: u32) -> String {
        let inner = self.any_table();
        let inner = self.named(inner, "");
        let condition = self.condition(std::slice::from_ref(&inner), depth);
        let query =
            format!("SELECT {0}.id, {0}.v, {0}.c FROM {1} WHERE {condition}", inner.alias, inner.reference);
        let other = self.sharded();
        match self.below(5) {
            0 => format!("WITH {0} AS ({query}) SELECT * FROM {0}", inner.table.name),
            1 => format!("WITH q (k, v, w) AS ({query}) SELECT q.k, z.v FROM q, q AS z"),
            2 => format!("WITH {} AS ({query}) SELECT * FROM {0}", other.name),
            3 => format!(
                "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3), q AS ({query}) SELECT * FROM n, q"
            ),
            _ => format!(
                "WITH q AS ({query}), r AS (SELECT * FROM q WHERE v > 1) SELECT COUNT(*), SUM(v) FROM r"
            ),
        }
    }

    fn union(&mut self, depth: u32) -> String {
        let table = self.any_table();
        let arm = |made: &mut Generator, table| {
            let named = made.named(table, "");
            let condition = made.condition(std::slice::from_ref(&named), depth / 2);
            format!("SELECT {0}.id, {0}.v FROM {1} WHERE {condition}", named.alias, named.reference)
        };
        let one = arm(self, table);
        let two = match self.chance(50) {
            true => arm(self, table),
            false => "SELECT 1, 2".to_owned(),
        };
        match self.below(6) {
            0 => format!("{one} UNION ALL {two}"),
            1 => format!("({one}) UNION ({two}) ORDER BY 1, 2 LIMIT 5"),
            2 => format!("{one} INTERSECT {two}"),
            3 => format!("{one} EXCEPT {two}"),
            4 => format!("SELECT COUNT(*) FROM ({one} UNION DISTINCT {two}) u"),
            _ => format!("{one} UNION {two}"),
        }
    }

    fn grouped(&mut self, depth: u32) -> String {
        let table = self.any_table();
        let named = self.named(table, "");
        let alias = named.alias.clone();
        let condition = self.condition(std::slice::from_ref(&named), depth);
        let from = format!("FROM {} WHERE {condition}", named.reference);
        match self.below(7) {
            0 => format!("SELECT COUNT(*), SUM({alias}.v), MIN({alias}.id), MAX({alias}.id) {from}"),
            1 => format!("SELECT {alias}.v AS k, COUNT(*) n {from} GROUP BY {alias}.v HAVING k IS NOT NULL"),
            2 => {
                format!("SELECT {alias}.v, COUNT(DISTINCT {alias}.id) {from} GROUP BY {alias}.v WITH ROLLUP")
            }
            3 => format!("SELECT DISTINCT {alias}.v {from}"),
            4 => format!(
                "SELECT {alias}.id, SUM({alias}.v) OVER (ORDER BY {alias}.id ROWS UNBOUNDED PRECEDING) {from}"
            ),
            5 => format!("SELECT GROUP_CONCAT({alias}.id ORDER BY {alias}.id DESC) {from}"),
            _ => format!("SELECT AVG({alias}.v), COUNT({alias}.c) {from} HAVING COUNT(*) >= 0"),
        }
    }
}
