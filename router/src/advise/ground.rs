//! The ground that statements are tried on: a map with the database's tables as they would lie, over many shards on servers of their own, so that
//! two keys share a shard by chance only rarely. Nothing is chosen here. Read next: [`super::way`].

use std::collections::HashMap;
use std::sync::Arc;

use podway_model::{
    Epoch, Keyspace, Map, MapError, Name, Server, ServerId, Shard, ShardId, ShardIndex, Sharding, Table,
    TableKind, Vindex,
};

use super::question::{Lies, Question, RanStatement};
use crate::{
    ClientCharset, KeySource, Normalised, Plan, PlanContext, Route, RouterError, Target, Usage, Verb,
    plan_uncached, usage,
};

/// How many shards the tried keyspace has.
const TRIED_SHARDS: u32 = 64;

/// The ground.
pub(super) struct Ground<'q> {
    pub(super) question: &'q Question,
    name: Name,
    empty: Map,
    keyspace: Keyspace,
    /// Tables by their names' compared forms.
    by_name: HashMap<String, usize>,
}

/// A statement, read once.
pub(super) struct Case<'q> {
    /// The statement.
    pub(super) ran: &'q RanStatement,
    /// What kind of statement it is.
    pub(super) verb: Verb,
    /// What it does with its tables; `None` where it cannot be read.
    pub(super) usage: Option<Usage>,
    /// For each of the usage's sources: which of the question's tables it is.
    pub(super) sources: Vec<Option<usize>>,
    /// The question's tables that it has to do with, each once, lowest first.
    pub(super) tables: Vec<usize>,
    normalised: Vec<Normalised>,
    database: Name,
}

/// Where a statement goes on a map.
pub(super) enum Tried {
    /// The session acts on it itself.
    Nowhere,
    /// To one shard, which the sharding key says.
    ByKey(ShardIndex),
    /// To any shard.
    Anywhere,
    /// To the home shard.
    Home,
    /// To several shards, whose rows are put together.
    Gathered {
        /// As the shards themselves give them, or their aggregates; else MySQL computes over rows.
        merged: bool,
    },
    /// To several shards, whose rows change.
    Scattered,
    /// This version refuses it.
    Refused(RouterError),
}

impl<'q> Ground<'q> {
    /// For a question. An error would be a mistake in this file: the shards and servers are its own.
    pub(super) fn new(question: &'q Question) -> Result<Ground<'q>, MapError> {
        let mut empty = Map::empty(question.names);
        for id in 0..TRIED_SHARDS {
            empty.put_server(Server {
                id: ServerId(id),
                host: "0.0.0.0".into(),
                port: 0,
                uuid: id.to_string().into(),
                version: question.version.to_string().into(),
            });
        }
        let name = question.names.name(&question.keyspace);
        let shard =
            |id: u32| Shard { id: ShardId(id), server: ServerId(id), schema: name.clone(), epoch: Epoch(1) };
        let keyspace = Keyspace::evenly(name.clone(), (0..TRIED_SHARDS).map(shard).collect())?;
        let by_name = question.tables.iter().enumerate();
        let by_name = by_name.map(|(at, table)| (table.name.key().to_owned(), at)).collect();
        Ok(Ground { question, name, empty, keyspace, by_name })
    }

    /// A statement, read; `None` where not even its words can be told apart.
    pub(super) fn case(&self, ran: &'q RanStatement) -> Option<Case<'q>> {
        let normalised: Option<Vec<Normalised>> = ran.texts.iter().map(|text| self.normalise(text)).collect();
        let normalised = normalised.filter(|texts| !texts.is_empty())?;
        let database =
            ran.database.as_ref().map_or_else(|| self.name.clone(), |name| self.question.names.name(name));
        let everything: Vec<(usize, Lies)> =
            (0..self.question.tables.len()).map(|table| (table, Lies::Home)).collect();
        let map = self.map(&everything).ok()?;
        let (context, text) = (self.context(&map, &database), ran.texts[0].as_bytes());
        let verb = plan_uncached(&context, text, &normalised[0]).verb();
        let usage = usage(&context, text, &normalised[0]);
        let of_source = |name: &Option<Name>| self.by_name.get(name.as_ref()?.key()).copied();
        let sources: Vec<Option<usize>> =
            usage.iter().flat_map(|usage| &usage.sources).map(|source| of_source(&source.table)).collect();
        let mut tables: Vec<usize> = sources.iter().flatten().copied().collect();
        tables.sort_unstable();
        tables.dedup();
        Some(Case { ran, verb, usage, sources, tables, normalised, database })
    }

    fn normalise(&self, text: &str) -> Option<Normalised> {
        let mut n = Normalised::new();
        n.set_version(self.question.version);
        n.run(text.as_bytes(), self.question.sql_mode, ClientCharset::Utf8).ok()?;
        Some(n)
    }

    fn context<'a>(&self, map: &'a Map, database: &'a Name) -> PlanContext<'a> {
        PlanContext {
            map,
            keyspace: Some(database),
            sql_mode: self.question.sql_mode,
            charset: ClientCharset::Utf8,
            collation: "utf8mb4_0900_ai_ci",
            time_zone: "SYSTEM",
            temporary_tables: &[],
        }
    }

    /// Where a statement goes if its tables lie so: its first text, in this version of Podway.
    pub(super) fn try_out(&self, case: &Case<'_>, lies: &[(usize, Lies)]) -> Result<Tried, MapError> {
        let map = self.map(lies)?;
        let plan = self.plan(case, &map);
        Ok(routed(&plan, &map, case, 0))
    }

    /// The share of the fullest of the tried shards, and how many texts were looked at: where all keys are alike, each shard has its
    /// part. For statements that one key pins.
    pub(super) fn fullest(&self, case: &Case<'_>, lies: &[(usize, Lies)]) -> Result<(f64, usize), MapError> {
        let map = self.map(lies)?;
        let plan = self.plan(case, &map);
        let mut counts: HashMap<ShardIndex, usize> = HashMap::new();
        for text in 0..case.normalised.len() {
            if let Tried::ByKey(shard) = routed(&plan, &map, case, text) {
                *counts.entry(shard).or_default() += 1;
            }
        }
        let total: usize = counts.values().sum();
        let most = counts.values().max().copied().unwrap_or(0);
        Ok((most as f64 / total.max(1) as f64, total))
    }

    fn plan(&self, case: &Case<'_>, map: &Map) -> Plan {
        plan_uncached(&self.context(map, &case.database), case.ran.texts[0].as_bytes(), &case.normalised[0])
    }

    fn map(&self, lies: &[(usize, Lies)]) -> Result<Map, MapError> {
        let mut keyspace = self.keyspace.clone();
        for (at, lies) in lies {
            let facts = &self.question.tables[*at];
            let kind = match lies {
                _ if facts.is_view => TableKind::View,
                Lies::Sharded(columns) => TableKind::Sharded(Sharding::by(columns.clone(), Vindex::Xxh3)),
                Lies::Reference => TableKind::Reference,
                Lies::Home => TableKind::Home,
            };
            let table = Table { name: facts.name.clone(), kind, columns: facts.columns.clone() };
            keyspace.tables.insert(table.name.clone(), Arc::new(table));
        }
        let mut map = self.empty.clone();
        map.put_keyspace(keyspace)?;
        map.schema_version = 1;
        Ok(map)
    }
}

fn is_merged(plan: &Plan) -> bool {
    plan.gather.as_ref().is_some_and(|gather| gather.merge.is_some() || gather.fold.is_some())
}

fn routed(plan: &Plan, map: &Map, case: &Case<'_>, text: usize) -> Tried {
    if let Target::Keys { pins, needs_home, .. } = &plan.target
        && pins.iter().flat_map(|pin| &pin.columns).any(|source| matches!(source, KeySource::Param(_)))
    {
        let alike = pins.windows(2).all(|pair| pair[0].columns == pair[1].columns);
        return match (alike, needs_home) {
            (true, false) => Tried::ByKey(ShardIndex(0)),
            (_, _) if plan.gather.is_some() => Tried::Gathered { merged: is_merged(plan) },
            (false, _) if plan.scatter.is_some() => Tried::Scattered,
            (true, true) => Tried::Refused(RouterError::unsupported(
                "a statement that needs several shards: tables of the home shard with rows of another",
            )),
            (false, _) => Tried::Refused(RouterError::unsupported(
                "a statement that needs several shards, unless all its keys lead to one",
            )),
        };
    }
    if matches!(plan.target, Target::Scattered { .. }) {
        return Tried::Scattered;
    }
    let sql = case.ran.texts[text].as_bytes();
    let normalised = &case.normalised[text];
    // Each text would get other numbers of the cluster's.
    let shown = plan.shown_numbers((sql, normalised)).into_iter();
    let numbers: Vec<Option<u64>> = shown.map(|number| Some(number? + text as u64)).collect();
    match (plan.route_numbered(map, (sql, normalised), &[], &numbers), &plan.target) {
        (Err(error), _) => Tried::Refused(error),
        (Ok(Route::Nowhere), _) => Tried::Nowhere,
        (Ok(Route::Gather), _) => Tried::Gathered { merged: is_merged(plan) },
        (Ok(Route::Scatter), _) => Tried::Scattered,
        (Ok(Route::Any), _) => Tried::Anywhere,
        (Ok(Route::Shard(shard)), Target::Keys { .. }) => Tried::ByKey(shard),
        (Ok(Route::Shard(_)), _) => Tried::Home,
    }
}
