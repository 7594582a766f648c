//! What a DDL statement does to tables that every shard has, as a value. Data only. Read next: [`super::spread`].

use podway_model::Name;

use super::target::Target;

/// A DDL statement that goes to every shard, or may: that is where its plan's target is [`Target::Everywhere`].
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// What it does to which tables, in its order.
    pub changes: Vec<TableChange>,
    /// The literal that is the table's COMMENT: what stands in it may declare the table.
    pub comment: Option<u32>,
    /// Where it goes unless its COMMENT declares the table; `None`: its tables are known to be everywhere.
    pub otherwise: Option<Box<Target>>,
    /// Whether it creates its table, from columns: what a COMMENT may declare.
    pub creates: bool,
    /// The foreign keys that it makes.
    pub foreign_keys: Vec<ForeignKey>,
}

/// What a DDL statement does to a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableChange {
    /// It may have other columns or keys.
    Altered(Name),
    /// It is there, if it was not.
    Created(Name),
    /// It is gone.
    Dropped(Name),
    /// Its rows are gone.
    Emptied(Name),
    /// It has a trigger more, or less.
    Retriggered(Name),
    /// It has another name.
    Renamed {
        /// The one before.
        from: Name,
        /// The one after.
        to: Name,
    },
}

/// A foreign key that a statement makes.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignKey {
    /// The columns of the table that has it; empty: they are not read, as in a column's own REFERENCES.
    pub columns: Vec<Name>,
    /// What they refer to.
    pub parent: Parent,
    /// The columns there, as many.
    pub parent_columns: Vec<Name>,
    /// What it does to its own columns.
    pub actions: KeyActions,
}

/// What a foreign key does to its own columns when what they refer to changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyActions {
    /// ON UPDATE CASCADE.
    pub follows_updates: bool,
    /// SET NULL or SET DEFAULT, ON UPDATE or ON DELETE.
    pub sets_null: bool,
}

/// What a foreign key refers to.
#[derive(Clone, Debug, PartialEq)]
pub enum Parent {
    /// A sharded table: its sharding.
    Sharded {
        /// Its name.
        table: Name,
        /// Its sharding key.
        key: Vec<Name>,
        /// The function that makes a keyspace id of it.
        vindex: podway_model::Vindex,
    },
    /// A table of which every shard has a copy.
    Reference,
    /// The table itself.
    Itself,
    /// A table that only the home shard has, or one elsewhere.
    Home(Name),
}

/// How the rows of the table that has a foreign key lie.
#[derive(Clone, Copy, Debug)]
pub enum Child<'a> {
    /// Each where its sharding key leads.
    Sharded {
        /// The key.
        key: &'a [Name],
        /// The function.
        vindex: podway_model::Vindex,
    },
    /// A copy on every shard.
    Reference,
}

impl ForeignKey {
    /// Why its rows and those that they refer to would not be on one shard, or not stay there; `None`: they are and do.
    pub fn crosses_shards(&self, child: Child<'_>) -> Option<String> {
        if let Child::Sharded { key, .. } = child
            && self.changes(key)
        {
            return Some(
                "a foreign key that would change a sharding key (ON UPDATE CASCADE, SET NULL)".to_owned(),
            );
        }
        match (&self.parent, child) {
            (Parent::Reference, _) | (Parent::Itself, Child::Reference) => None,
            (Parent::Home(name), _) => {
                Some(format!("a foreign key to {name}, which is on the home shard alone"))
            }
            (Parent::Sharded { table, .. }, Child::Reference) => {
                Some(format!("a foreign key of a reference table to the sharded table {table}"))
            }
            (Parent::Itself, Child::Sharded { key, .. }) => (!self.pairs(key, key)).then(|| {
                "a foreign key of a sharded table to itself that does not contain the sharding key".to_owned()
            }),
            (Parent::Sharded { table, key, vindex }, Child::Sharded { key: own, vindex: own_vindex }) => {
                let is_together = *vindex == own_vindex && self.pairs(own, key);
                (!is_together).then(|| {
                    format!("a foreign key that does not pair the sharding keys of both tables ({table})")
                })
            }
        }
    }

    /// Whether an action of it can change these columns. The sharding key of a sharded parent never changes.
    fn changes(&self, key: &[Name]) -> bool {
        let may_be_of_it = self.columns.is_empty() || self.columns.iter().any(|column| key.contains(column));
        let follows = self.actions.follows_updates && self.parent == Parent::Reference;
        may_be_of_it && (self.actions.sets_null || follows)
    }

    /// Whether each column of the one key refers to the column in its place of the other.
    fn pairs(&self, own: &[Name], theirs: &[Name]) -> bool {
        let refers = |own: &Name, theirs: &Name| {
            self.columns.iter().zip(&self.parent_columns).any(|(from, to)| from == own && to == theirs)
        };
        own.len() == theirs.len() && own.iter().zip(theirs).all(|(own, theirs)| refers(own, theirs))
    }
}

impl Definition {
    /// Refuses a table whose foreign keys would reach over shards.
    pub fn check_foreign_keys(&self, child: Child<'_>) -> Result<(), crate::RouterError> {
        match self.foreign_keys.iter().find_map(|key| key.crosses_shards(child)) {
            Some(what) => Err(crate::RouterError::unsupported(what)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use podway_model::Vindex;

    use super::*;

    fn names(names: &[&str]) -> Vec<Name> {
        names.iter().map(|name| Name::caseless(name)).collect()
    }

    #[test]
    fn a_foreign_key_is_kept_on_one_shard() {
        let parent =
            |key: &[&str], vindex| Parent::Sharded { table: Name::caseless("p"), key: names(key), vindex };
        let customers = || parent(&["id"], Vindex::Xxh3);
        let itself = || Parent::Itself;
        type Case<'a> = (&'a [&'a str], Parent, &'a [&'a str], Option<&'a [&'a str]>, bool);
        let cases: [Case<'_>; 12] = [
            (&["customer_id"], customers(), &["id"], Some(&["customer_id"]), true),
            (&["CUSTOMER_ID"], customers(), &["ID"], Some(&["customer_id"]), true),
            (&["x", "customer_id"], customers(), &["y", "id"], Some(&["customer_id"]), true),
            (&["other"], customers(), &["id"], Some(&["customer_id"]), false),
            (&["customer_id"], customers(), &["other"], Some(&["customer_id"]), false),
            (&["customer_id"], parent(&["id"], Vindex::Hash), &["id"], Some(&["customer_id"]), false),
            (&["a", "b"], parent(&["c", "d"], Vindex::Xxh3), &["d", "c"], Some(&["a", "b"]), false),
            (&[], customers(), &["id"], Some(&["customer_id"]), false),
            (&["customer_id"], Parent::Reference, &["id"], Some(&["customer_id"]), true),
            (&["customer_id"], Parent::Home(Name::caseless("h")), &["id"], Some(&["customer_id"]), false),
            (&["customer_id"], customers(), &["id"], None, false),
            (&["parent"], itself(), &["id"], Some(&["id"]), false),
        ];
        for (columns, parent, parent_columns, own, expected) in cases {
            let actions = KeyActions::default();
            let key = ForeignKey {
                columns: names(columns),
                parent,
                parent_columns: names(parent_columns),
                actions,
            };
            let own = own.map(names);
            let child = match &own {
                Some(key) => Child::Sharded { key, vindex: Vindex::Xxh3 },
                None => Child::Reference,
            };
            assert_eq!(key.crosses_shards(child).is_none(), expected, "{key:?} {own:?}");
        }
    }

    #[test]
    fn a_foreign_key_changes_no_sharding_key() {
        let sharded =
            || Parent::Sharded { table: Name::caseless("p"), key: names(&["id"]), vindex: Vindex::Xxh3 };
        let (follows, null) = ((true, false), (false, true));
        for (parent, columns, (follows_updates, sets_null), is_kept) in [
            (Parent::Reference, &["k"][..], follows, false),
            (Parent::Reference, &["k"], null, false),
            (Parent::Reference, &["other"], follows, true),
            (Parent::Reference, &[], follows, false),
            (Parent::Reference, &[], (false, false), true),
            (sharded(), &["k"], follows, true),
            (sharded(), &["k"], null, false),
        ] {
            let actions = KeyActions { follows_updates, sets_null };
            let key = ForeignKey { columns: names(columns), parent, parent_columns: names(&["id"]), actions };
            let own = names(&["k"]);
            let child = Child::Sharded { key: &own, vindex: Vindex::Xxh3 };
            assert_eq!(key.crosses_shards(child).is_none(), is_kept, "{key:?}");
        }
    }
}
