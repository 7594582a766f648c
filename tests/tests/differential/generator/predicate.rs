//! Conditions: on a key, in shapes that pin it and in shapes that only look so, and on everything else.

use super::{Generator, Named};

impl Generator {
    /// A condition that is true of one key only, if the statement's words around it mean what they say.
    pub(super) fn pin(&mut self, named: &Named) -> String {
        if named.table.key.is_empty() {
            return self.comparison(named);
        }
        if named.table.key.len() == 2 {
            return self.composite(named);
        }
        let key = self.column(named, "k");
        let value = self.key_value(named.table);
        let gap = self.gap();
        match self.below(22) {
            0 => format!("{value}{gap}= {key}"),
            1 => format!("({key}) = ({value})"),
            2 => format!("{key} <=>{gap}{value}"),
            3 => format!("{key} IN{gap}({value})"),
            4 => {
                let other = self.key_value(named.table);
                format!("{key} IN ({value}, {other})")
            }
            5 => format!("({key}, 1) = ({value}, 1)"),
            6 => format!("ROW({key}, {}.v) <=> ROW({value}, {})", named.alias, self.below(7)),
            7 => format!("(({key} = {value}))"),
            8 => format!("{key} IS NULL"),
            9 => format!("{key} = {value} AND 1"),
            10 => format!("({key}, {}.v) IN (({value}, {}))", named.alias, self.below(7)),
            11 => format!("{key} = {value} && {}.id > 0", named.alias),
            12 => format!("TRUE AND ({key} = {value} AND {}.id)", named.alias),
            _ => format!("{key}{gap}={gap}{value}"),
        }
    }

    fn composite(&mut self, named: &Named) -> String {
        let (a, b) = (self.column(named, "a"), self.column(named, "b"));
        let value = self.key_value(named.table);
        let word = self.pick(&["'a'", "'A'", "'a '", "'b'", "'á'"]);
        let word = self.literal(word);
        match self.below(4) {
            0 => format!("({a}, {b}) = ({value}, {word})"),
            1 => format!("({b}, {a}) <=> ({word}, {value})"),
            2 => format!("{a} IN ({value}) AND {b} = {word}"),
            _ => format!("{a} = {value} AND {b} = {word}"),
        }
    }

    /// A column's name, spelled somehow.
    pub(super) fn column(&mut self, named: &Named, name: &str) -> String {
        let alias = &named.alias;
        match self.below(7) {
            0 => format!("`{alias}`.`{name}`"),
            1 => format!("{alias}.{}", name.to_uppercase()),
            2 => format!("{alias} . {name}"),
            3 if !named.reference.contains(' ') && alias == named.table.name => {
                format!("shopdiff.{alias}.{name}")
            }
            _ => format!("{alias}.{name}"),
        }
    }

    /// A column's name of any kind.
    fn any_column(&mut self, named: &Named) -> String {
        let names: &[&str] = if named.table.name == "comp" {
            &["id", "a", "b", "v", "c"]
        } else {
            &["id", "k", "k", "v", "c"]
        };
        let name = self.pick(names);
        self.column(named, name)
    }

    /// A condition of any kind.
    pub(super) fn predicate(&mut self, named: &Named, depth: u32) -> String {
        if depth == 0 {
            return match self.chance(50) {
                true => self.pin(named),
                false => self.comparison(named),
            };
        }
        let left = self.predicate(named, depth - 1);
        let right = self.predicate(named, depth - 1);
        match self.below(16) {
            0 => format!("{left} OR {right}"),
            1 => format!("({left}) OR ({right})"),
            2 => format!("{left} || {right}"),
            3 => format!("{left} XOR {right}"),
            4 => format!("NOT {left} AND {right}"),
            5 => format!("NOT ({left}) && {right}"),
            6 => format!("! ({left}) AND {right}"),
            7 => format!("({left}) IS TRUE AND {right}"),
            8 => format!("{left} AND ({right}) IS NOT FALSE"),
            9 => format!("IF({left}, {right}, 1)"),
            10 => format!("CASE WHEN {left} THEN {right} ELSE 0 END"),
            11 => format!("COALESCE({left}, {right})"),
            12 => format!("({left}) = ({right})"),
            _ => format!("{left} AND {right}"),
        }
    }

    /// A comparison that pins nothing.
    pub(super) fn comparison(&mut self, named: &Named) -> String {
        let (one, two) = (self.any_column(named), self.any_column(named));
        let literal = self.any_literal();
        let value = self.literal(literal);
        let number = self.below(8);
        match self.below(34) {
            0 => format!("{one} BETWEEN {value} AND {two}"),
            1 => format!("{one} NOT BETWEEN {number} AND {value}"),
            2 => format!("{one} LIKE {value}"),
            3 => format!("{one} <> {value}"),
            4 => format!("{one} = {two} = {number}"),
            5 => format!("{one} = {value} = TRUE"),
            6 => format!("{one} + 0 = {number}"),
            7 => format!("{one} = {number} + 0"),
            8 => format!("- {one} = {number}"),
            9 => format!("{one} = - {number}"),
            10 => format!("CAST({one} AS SIGNED) = {number}"),
            11 => format!("CONVERT({one} USING latin1) = 'a'"),
            12 => format!("BINARY {one} = 'a'"),
            13 => format!("{one} = BINARY 'a'"),
            14 => format!("{one} = 'a' COLLATE utf8mb4_bin"),
            15 => format!("{one} COLLATE utf8mb4_0900_as_cs = 'a'"),
            16 => format!("{one} = {value} IS NOT TRUE"),
            17 => format!("{one} = {value} IS UNKNOWN"),
            18 => format!("NOT {one} = {value}"),
            19 => format!("{one} = NOT {value}"),
            20 => format!("{one} = {number} | 4"),
            21 => format!("{one} = {number} ^ 1"),
            22 => format!("{one} = {number} DIV 1"),
            23 => format!("{one} = @v"),
            24 => format!("{one} = LEFT({value}, 1)"),
            25 => format!("{one} > ALL (SELECT {number})"),
            26 => format!("{one} IN (SELECT 5 UNION SELECT 1)"),
            27 => format!("{one} = (SELECT {number})"),
            28 => format!("{one} REGEXP '^[a5]'"),
            29 => format!("NULLIF({one}, {value}) IS NULL"),
            30 => format!("{one} NOT IN ({value}, {number})"),
            31 => format!("{one} = {value} DIV 1 AND {two} IS NOT NULL"),
            32 => format!("{one} SOUNDS LIKE {value}"),
            _ => format!("{two} > {number}"),
        }
    }

    /// What stands behind WHERE.
    pub(super) fn condition(&mut self, tables: &[Named], depth: u32) -> String {
        let mut parts = Vec::new();
        for named in tables {
            if self.chance(90) {
                parts.push(self.pin(named));
            }
            if self.chance(35) {
                let noise_depth = self.below(depth + 1);
                let noise = self.predicate(named, noise_depth);
                parts.push(if self.chance(60) { format!("({noise})") } else { noise });
            }
        }
        if parts.is_empty() {
            parts.push("1".to_owned());
        }
        let start = self.below(parts.len() as u32) as usize;
        parts.rotate_left(start);
        let mut text = String::new();
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                let word = match self.below(24) {
                    0 => "OR",
                    1 => "XOR",
                    2 => "||",
                    3..7 => "&&",
                    7 => "and",
                    _ => "AND",
                };
                text += &format!("{}{word}{}", self.gap(), self.gap());
            }
            text += part;
        }
        text
    }
}
