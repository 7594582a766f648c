//! INSERT, REPLACE, UPDATE and DELETE.

use super::{Generator, Made, Named};
use crate::tables::Table;

impl Generator {
    /// A change of rows.
    pub(super) fn write(&mut self, depth: u32) -> Made {
        let sql = match self.below(10) {
            0..4 => self.insert(),
            4..7 => self.update(depth),
            7 => self.delete(depth),
            8 => self.update_joined(depth),
            _ => self.delete_joined(depth),
        };
        Made { sql, ..Made::default() }
    }

    /// A table that a statement may insert into on every layout: not the reference table.
    fn written(&mut self) -> &'static Table {
        loop {
            let table = self.any_table();
            if !table.everywhere {
                return table;
            }
        }
    }

    fn row(&mut self, table: &'static Table) -> String {
        self.next_id += 1;
        let (id, v) = (self.next_id, self.below(7));
        let key = self.key_value(table);
        match table.key.len() {
            2 => {
                let word = self.pick(&["'a'", "'A '", "'b'", "'zz'"]);
                let word = self.literal(word);
                format!("({id}, {key}, {word}, {v}, 'n')")
            }
            _ => format!("({id}, {key}, {v}, 'n')"),
        }
    }

    fn insert(&mut self) -> String {
        let table = self.written();
        let name = self.pick(&["", "shopdiff."]).to_owned() + table.name;
        let row = self.row(table);
        let verb = match self.below(6) {
            0 if table.unique_by_key => "REPLACE",
            0 | 1 => "INSERT IGNORE INTO",
            2 => "INSERT LOW_PRIORITY",
            _ => "INSERT INTO",
        };
        let composite = table.key.len() == 2;
        match self.below(9) {
            0 if !composite => {
                let key = self.key_value(table);
                format!("{verb} {name} SET k = {key}, id = {}, v = 3", self.next_id)
            }
            1 => {
                let second = self.row(table);
                format!("{verb} {name} VALUES {row}, {second}")
            }
            2 if !composite => format!("{verb} {name} (`id`, K, v, c) VALUE {row}"),
            3 if !composite => {
                format!("{verb} {name} (id, v) VALUES ({}, 4)", self.next_id)
            }
            4 => format!("{verb} {name} VALUES ROW{row}"),
            5 if table.unique_by_key && verb != "REPLACE" => {
                format!("{verb} {name} VALUES {row} AS n ON DUPLICATE KEY UPDATE v = n.v + 1, c = 'dup'")
            }
            6 if table.unique_by_key && verb != "REPLACE" => {
                format!(
                    "{verb} {name} VALUES {row} ON DUPLICATE KEY UPDATE v = VALUES(v), {} = 5",
                    table.key[0]
                )
            }
            7 if table.unique_by_key && verb != "REPLACE" => {
                format!("{verb} {name} VALUES {row} ON DUPLICATE KEY UPDATE v = v + 10")
            }
            _ => format!("{verb} {name} VALUES {row}"),
        }
    }

    fn assignment(&mut self, named: &Named) -> String {
        let alias = &named.alias;
        match self.below(7) {
            0 => format!("{alias}.v = {alias}.v + 1"),
            1 => format!("{alias}.c = 'new', {alias}.v = 2"),
            2 => "v = 6".to_owned(),
            3 => format!("`{alias}`.`c` = CONCAT({alias}.id, 'x')"),
            4 if self.chance(20) => {
                let literal = self.pick(named.table.values);
                format!("{alias}.{} = {literal}", named.table.key.first().unwrap_or(&"k"))
            }
            _ => format!("{alias}.v = {}", self.below(9)),
        }
    }

    fn update(&mut self, depth: u32) -> String {
        let table = self.written();
        let named = self.named(table, "");
        let assignment = self.assignment(&named);
        let condition = self.condition(std::slice::from_ref(&named), depth);
        let tail = match self.below(5) {
            0 => format!(" ORDER BY {}.id LIMIT 1", named.alias),
            _ => String::new(),
        };
        let ignore = self.pick(&["", "", "", "IGNORE ", "LOW_PRIORITY "]);
        format!("UPDATE {ignore}{} SET {assignment} WHERE {condition}{tail}", named.reference)
    }

    fn delete(&mut self, depth: u32) -> String {
        let table = self.written();
        let named = self.named(table, "");
        let condition = self.condition(std::slice::from_ref(&named), depth);
        let (alias, reference) = (&named.alias, &named.reference);
        match self.below(5) {
            0 => format!("DELETE {alias} FROM {reference} WHERE {condition}"),
            1 => format!("DELETE FROM {alias}.* USING {reference} WHERE {condition}"),
            2 => format!("DELETE FROM {reference} WHERE {condition} ORDER BY {alias}.id DESC LIMIT 1"),
            _ => format!("DELETE FROM {reference} WHERE {condition}"),
        }
    }

    fn pair(&mut self) -> (Named, Named) {
        let table = self.written();
        let other = if self.chance(60) { table } else { self.any_table() };
        let (left, right) = (self.named(table, "m"), self.named(other, "n"));
        (left, right)
    }

    fn update_joined(&mut self, depth: u32) -> String {
        let (left, right) = self.pair();
        let assignment = self.assignment(&left);
        let both = [left, right];
        let condition = self.condition(&both, depth);
        let join = self.pick(&["JOIN", ",", "LEFT JOIN", "STRAIGHT_JOIN"]);
        let on = if join == "LEFT JOIN" { " ON TRUE" } else { "" };
        format!(
            "UPDATE {} {join} {}{on} SET {assignment} WHERE {condition}",
            both[0].reference, both[1].reference
        )
    }

    fn delete_joined(&mut self, depth: u32) -> String {
        let (left, right) = self.pair();
        let both = [left, right];
        let condition = self.condition(&both, depth);
        let (one, two) = (&both[0], &both[1]);
        match self.chance(50) {
            true => format!(
                "DELETE {} FROM {} JOIN {} ON TRUE WHERE {condition}",
                one.alias, one.reference, two.reference
            ),
            false => format!(
                "DELETE FROM {} USING {}, {} WHERE {condition}",
                one.alias, one.reference, two.reference
            ),
        }
    }
}
