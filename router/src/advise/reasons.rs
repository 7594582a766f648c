//! Why a table should lie where it should, and what to beware of there: sentences for people. Chooses nothing. Read next: [`super::advice`].

use podway_model::Name;

use super::candidates::{Evidence, foreign_pairs, is_tiny};
use super::question::{ForeignKey, Lies, Question};
use super::search::has_few_values;

/// A share below this is not spoken of.
const MENTIONED: f64 = 0.005;
/// A table is rarely written up to this share of its statements.
const RARELY: f64 = 0.1;

/// Where all tables lie, with what is known of them.
pub(super) struct Chosen<'a> {
    pub(super) question: &'a Question,
    pub(super) evidence: &'a Evidence,
    /// By the question's table.
    pub(super) lies: &'a [Lies],
}

impl Chosen<'_> {
    /// Why the table lies there.
    pub(super) fn why(&self, table: usize) -> Vec<String> {
        let facts = &self.question.tables[table];
        if self.question.kept.iter().any(|kept| kept.table == table) {
            return vec!["you said so".to_owned()];
        }
        if facts.is_view {
            return vec!["a view".to_owned()];
        }
        match &self.lies[table] {
            Lies::Sharded(key) => self.why_key(table, key),
            Lies::Reference => {
                let share = self.evidence.written[table] / self.evidence.weight[table].max(f64::MIN_POSITIVE);
                let written = if share <= RARELY { "rarely written" } else { "more read than written" };
                let mut why = vec![format!("{} rows, {written}", facts.rows)];
                let beside: Vec<&str> = self.evidence.beside[table].iter().map(|&at| self.name(at)).collect();
                if !beside.is_empty() {
                    why.push(format!("used together with {}", beside.join(", ")));
                }
                why
            }
            Lies::Home if is_tiny(self.question, facts) => {
                let few = format!("{} rows: not worth sharding", facts.rows);
                vec![few]
            }
            Lies::Home if facts.primary_key.is_empty() => vec!["it has no primary key".to_owned()],
            Lies::Home if facts.refused_keys.iter().all(Option::is_some) => {
                let reason = facts.refused_keys.iter().flatten().next().cloned().unwrap_or_default();
                vec![format!("no column can be its key ({reason})")]
            }
            Lies::Home => vec!["every key would cost its statements more".to_owned()],
        }
    }

    fn why_key(&self, table: usize, key: &[usize]) -> Vec<String> {
        let mut why = Vec::new();
        let all = self.evidence.weight[table];
        for &column in key {
            let pinned = self.evidence.pinned.get(&(table, column)).copied().unwrap_or(0.0);
            if all > 0.0 && pinned / all >= MENTIONED {
                why.push(format!("{:.0} % of its statements name one value", 100.0 * pinned / all));
            }
            let joined = self.evidence.joined.get(&(table, column)).into_iter().flatten();
            let mut partners: Vec<String> = joined
                .filter(|((other, column), _)| self.is_key(*other, *column))
                .map(|((other, column), _)| self.column(*other, *column))
                .collect();
            partners.extend(
                foreign_pairs(self.question)
                    .into_iter()
                    .filter(|(own, (other, theirs))| *own == (table, column) && self.is_key(*other, *theirs))
                    .map(|(_, (other, theirs))| self.column(other, theirs)),
            );
            partners.sort_unstable();
            partners.dedup();
            if !partners.is_empty() {
                why.push(format!("lies with {}", partners.join(", ")));
            }
        }
        if why.is_empty() {
            why.push("its primary key".to_owned());
        }
        why
    }

    fn is_key(&self, table: usize, column: usize) -> bool {
        matches!(&self.lies[table], Lies::Sharded(key) if key.contains(&column))
    }

    fn name(&self, table: usize) -> &str {
        self.question.tables[table].name.as_str()
    }

    fn column(&self, table: usize, column: usize) -> String {
        let name = self.question.tables[table].columns.get(column).map(|column| column.name.as_str());
        format!("{}.{}", self.name(table), name.unwrap_or("?"))
    }

    /// What to beware of.
    pub(super) fn warnings(&self, table: usize) -> Vec<String> {
        let facts = &self.question.tables[table];
        let mut warnings = Vec::new();
        if let Lies::Sharded(key) = &self.lies[table] {
            self.warn_of_unique_keys(table, key, &mut warnings);
            self.warn_of_counter(table, key, &mut warnings);
            for &column in key {
                if let Some(values) = has_few_values(self.question, table, column) {
                    let name = self.column(table, column);
                    warnings
                        .push(format!("{name} has only about {values} values: shards will differ in size"));
                }
                if facts.columns.get(column).is_some_and(|column| column.nullable) {
                    let name = self.column(table, column);
                    warnings.push(format!("{name} may be NULL: all such rows lie on one shard"));
                }
            }
        }
        for key in &facts.foreign_keys {
            warnings.extend(self.crossing(table, key));
        }
        if self.lies[table] == Lies::Home && !is_tiny(self.question, facts) && !facts.is_view {
            warnings.push(format!("its {} rows and all its statements stay on one server", facts.rows));
        }
        warnings
    }

    /// What the cluster's numbers are not.
    fn warn_of_counter(&self, table: usize, key: &[usize], warnings: &mut Vec<String>) {
        let columns = &self.question.tables[table].columns;
        let Some(counter) = columns.iter().position(|column| column.auto_increment) else { return };
        let elsewhere = match key.contains(&counter) {
            true => "",
            false => "; one that a statement brings itself is not compared with other shards' rows",
        };
        warnings.push(format!(
            "{} is AUTO_INCREMENT: the cluster gives its numbers, each once, with gaps and not in the order of the inserts{elsewhere}",
            columns[counter].name
        ));
    }

    fn warn_of_unique_keys(&self, table: usize, key: &[usize], warnings: &mut Vec<String>) {
        let facts = &self.question.tables[table];
        let named = |columns: &[usize]| {
            let names: Vec<&str> = columns
                .iter()
                .filter_map(|&column| facts.columns.get(column))
                .map(|column| column.name.as_str())
                .collect();
            names.join(", ")
        };
        for (name, columns) in facts.unique_on_each_shard_only(key) {
            warnings.push(format!(
                "{name} ({}) is without the sharding key: it would be unique on each shard only, which --unique-per-shard accepts",
                named(columns)
            ));
        }
    }

    /// A foreign key that would lead to another shard, which MySQL cannot check.
    fn crossing(&self, table: usize, key: &ForeignKey) -> Option<String> {
        let parent = self.question.tables.iter().position(|facts| facts.name == key.table);
        let together = match (&self.lies[table], parent.map(|parent| (parent, &self.lies[parent]))) {
            (_, None) => false,
            (Lies::Home, Some((_, Lies::Home))) | (_, Some((_, Lies::Reference))) => true,
            (Lies::Sharded(own), Some((parent, Lies::Sharded(theirs)))) => {
                own.len() == theirs.len()
                    && own.iter().zip(theirs).all(|(own, theirs)| {
                        let refers = |at: &usize| self.refers(key, *at, parent, *own, *theirs);
                        (0..key.columns.len()).any(|at| refers(&at))
                    })
            }
            _ => false,
        };
        (!together).then(|| {
            format!(
                "foreign key {} to {} would cross shards: drop it, or shard both alike",
                key.name, key.table
            )
        })
    }

    fn refers(&self, key: &ForeignKey, at: usize, parent: usize, own: usize, theirs: usize) -> bool {
        let referenced: Option<&Name> = key.referenced.get(at);
        let theirs = self.question.tables[parent].columns.get(theirs).map(|column| &column.name);
        key.columns[at] == own && referenced.is_some() && referenced == theirs
    }
}
