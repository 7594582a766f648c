//! From a statement to its plan: recognise, sketch, bind, decide. Never fails: a refusal is a plan. Read next: [`super::mentions`] for
//! keyspaces of one shard, [`super::decide`] for the others.

use std::sync::Arc;

use podway_model::{Keyspace, Name};

use super::bind::{self, Binding, Database, Place};
use super::context::PlanContext;
use super::counted;
use super::decide::{
    at_home, check, check_assigned, decide, one_target, refused_copy, several_explained, written_copy,
};
use super::definition::Definition;
use super::definitions::{self, Needs};
use super::gather;
use super::hinted::hinted;
use super::locks;
use super::maintenance;
use super::making;
use super::mentions::Mentions;
use super::outline::statement;
use super::plan::{Names, Plan, Values};
use super::refused_verbs::{is_prepared, prepares, refused_verb};
use super::scatter;
use super::show::{self, Subject};
use super::show_selected;
use super::sketch::parts::{Insert, Role, Sketch};
use super::sketch::walker::{Rules, Walker};
use super::splices;
use super::spread;
use super::stored;
use super::target::Target;
use super::tokens::Tokens;
use super::views;
use crate::statement::recognise;
use crate::{
    Effects, FunctionKind, FunctionSpan, Normalised, Recognised, RouterError, Scalar, SetTarget, SqlMode,
    Statement, Verb,
};

/// The plan of a statement, made from nothing but its text and the context.
pub fn plan_uncached(ctx: &PlanContext<'_>, sql: &[u8], n: &Normalised) -> Plan {
    let mut plan = recognised(ctx, sql, n);
    let mut tokens = Tokens::read(n);
    let outcome = match own_target(ctx, &plan.recognised) {
        Some(target) => Ok(target),
        None => tokens.pair(sql).and_then(|()| Planning { ctx, t: &tokens, plan: &mut plan }.run()),
    };
    let outcome = outcome.and_then(|target| unhinted(target, plan.effects()));
    let outcome = outcome.and_then(|target| if n.has_hint() { hinted(&plan, target) } else { Ok(target) });
    plan.target = outcome.unwrap_or_else(Target::Refused);
    if matches!(plan.target, Target::Refused(_)) {
        plan.definition = None;
        plan.gather = None;
        plan.scatter = None;
        plan.unscattered = None;
        plan.counted = None;
        plan.making = None;
        plan.splices.clear();
        plan.names = Names::default();
    }
    if matches!(plan.target, Target::Everywhere { .. }) && plan.recognised.statement == Statement::Query {
        plan.recognised.statement = Statement::Define;
    }
    plan
}

/// A plan that does not know yet where its statements go.
pub(super) fn recognised(ctx: &PlanContext<'_>, sql: &[u8], n: &Normalised) -> Plan {
    let recognised = recognise(sql, n, ctx.sql_mode, ctx.map.lowest_version());
    let values = Values { sql_mode: ctx.sql_mode, charset: ctx.charset, collation: ctx.collation.into() };
    let (target, splices, definition, gather) = (Target::Nowhere, Vec::new(), None, None);
    let (scatter, counted, shows, locks, unscattered) = (None, None, None, None, None);
    let (making, names) = (None, Names::default());
    Plan {
        recognised,
        target,
        splices,
        definition,
        gather,
        scatter,
        counted,
        shows,
        locks,
        making,
        unscattered,
        names,
        values,
    }
}

/// A hint may set sql_mode, time_zone and the like for the statement alone, which decide what a key is stored as and what equals it.
fn unhinted(target: Target, effects: Effects) -> Result<Target, RouterError> {
    match target {
        Target::Keys { .. } if effects.contains(Effects::SET_VAR_HINT) => {
            Err(RouterError::unsupported("the hint SET_VAR with rows of a sharded table"))
        }
        target => Ok(target),
    }
}

/// The target where the session itself acts, or nobody may.
fn own_target(ctx: &PlanContext<'_>, recognised: &Recognised) -> Option<Target> {
    if recognised.effects.contains(Effects::NAMES_PODWAY) {
        let refusal = bind::database(ctx, "_podway").err()?;
        return Some(Target::Refused(refusal));
    }
    let asks_outcome = |call: &FunctionSpan| call.kind == FunctionKind::PodwayOutcome;
    if !matches!(recognised.statement, Statement::Outcome { .. })
        && recognised.functions.iter().any(asks_outcome)
    {
        let what = "PODWAY_OUTCOME() in another statement than SELECT PODWAY_OUTCOME('id')";
        return Some(Target::Refused(RouterError::unsupported(what)));
    }
    match &recognised.statement {
        Statement::Refused(what) => Some(Target::Refused(RouterError::unsupported(what))),
        Statement::Malformed(_)
        | Statement::Empty
        | Statement::Begin(_)
        | Statement::Commit(_)
        | Statement::Rollback(_)
        | Statement::Savepoint(_)
        | Statement::RollbackTo(_)
        | Statement::ReleaseSavepoint(_)
        | Statement::Use(_)
        | Statement::Kill { .. }
        | Statement::ShowProcesslist { .. }
        | Statement::ShowPodway(_)
        | Statement::DeclareTable { .. }
        | Statement::ExplainPodway { .. }
        | Statement::ShowWarnings(_) => Some(Target::Nowhere),
        Statement::Set(assignments) => {
            let is_plain = |value: &Scalar| {
                !matches!(value, Scalar::Expression | Scalar::UserVariable(_) | Scalar::SystemVariable { .. })
            };
            let is_own = |target: &SetTarget| {
                matches!(
                    target,
                    SetTarget::User(_)
                        | SetTarget::Session(_)
                        | SetTarget::SessionTransient(_)
                        | SetTarget::Names { .. }
                        | SetTarget::Charset
                        | SetTarget::Transaction(_)
                )
            };
            let all = assignments.iter().all(|assignment| {
                is_own(&assignment.target)
                    && (is_plain(&assignment.value.scalar)
                        || matches!(assignment.target, SetTarget::Transaction(_)))
            });
            all.then_some(Target::Nowhere)
        }
        _ => None,
    }
}

/// One statement that is planned.
pub(super) struct Planning<'p> {
    pub ctx: &'p PlanContext<'p>,
    pub t: &'p Tokens<'p>,
    pub plan: &'p mut Plan,
}

/// What was found, and what it needs of its target.
pub(super) struct Found {
    pub sketch: Sketch,
    needs: Needs,
    show: Option<Subject>,
}

impl Planning<'_> {
    fn run(mut self) -> Result<Target, RouterError> {
        let mentions = Mentions::of(self.ctx, self.t);
        if mentions.all_single(self.ctx) {
            return self.single(&mentions);
        }
        let target = self.several(&mentions);
        let every_keyspace_single = self.ctx.map.keyspaces().all(|keyspace| keyspace.is_single());
        match (target, self.ctx.map.default_keyspace()) {
            (Err(_), Some(keyspace)) if mentions.is_empty(self.ctx) && every_keyspace_single => {
                let keyspace = keyspace.name.clone();
                self.single_unread(&mentions, keyspace)
            }
            (target, _) => target,
        }
    }

    /// All keyspaces concerned have one shard: the statement goes there as it is, understood or not.
    fn single(&mut self, mentions: &Mentions) -> Result<Target, RouterError> {
        let current = self
            .ctx
            .keyspace
            .and_then(|name| self.ctx.map.keyspace(name))
            .map(|keyspace| keyspace.name.clone());
        let fallback = current.clone().or_else(|| mentions.keyspaces.first().cloned());
        let Some(fallback) = fallback else { return Err(RouterError::no_database()) };
        let ctx = self.ctx;
        let t = self.t;
        if ctx.map.has_hidden_schemas() {
            if is_prepared(self.plan.statement()) {
                // What the text names has to be looked at.
                return Ok(Target::Nowhere);
            }
            if self.plan.verb() == Verb::CreateRoutine && prepares(t) {
                return Err(RouterError::unsupported("PREPARE in stored programs beside other keyspaces"));
            }
        }
        let Ok(found) = self.sketch() else { return self.single_unread(mentions, fallback) };
        let Ok(binding) = Binding::new(ctx, t, &found.sketch) else {
            return self.single_unread(mentions, fallback);
        };
        if let Some(target) = self.single_definition(&binding)? {
            return Ok(target);
        }
        let is_show = found.show.is_some();
        self.plan.names.suspects = mentions.suspects(self.plan.verb());
        let mut used: Vec<Name> = Vec::new();
        for bound in &binding.sources {
            if let Some(keyspace) = &bound.keyspace
                && !used.contains(&keyspace.name)
            {
                used.push(keyspace.name.clone());
            }
            if let (Place::Foreign, Some(name)) = (&bound.place, &bound.database) {
                self.plan.names.foreign.push(name.clone());
            }
        }
        let nothing_used =
            binding.sources.is_empty() && !is_show && found.sketch.foreign_functions.is_empty();
        let tableless = matches!(self.plan.verb(), Verb::Select | Verb::Values | Verb::Do | Verb::Set)
            && refused_verb(self.plan).is_none();
        if nothing_used && tableless && !found.sketch.needs_home && mentions.keyspaces.is_empty() {
            self.plan.names.elsewhere = self.ctx.keyspace != Some(&fallback);
            splices::understood(self.plan, &binding, None);
            return Ok(Target::Any { keyspace: Some(fallback) });
        }
        if used.is_empty() {
            used.extend(mentions.keyspaces.iter().cloned());
        }
        let keyspace = match current.as_ref().filter(|current| used.is_empty() || used.contains(current)) {
            Some(current) => current.clone(),
            None => used.first().cloned().unwrap_or(fallback),
        };
        self.plan.names.neighbours = used.into_iter().filter(|name| *name != keyspace).collect();
        self.plan.names.elsewhere = self.ctx.keyspace != Some(&keyspace);
        splices::understood(self.plan, &binding, found.show);
        Ok(Target::Whole { keyspace })
    }

    /// DDL in a keyspace of one shard goes there as it is, unless the map has its table, or may be about to: the map has to follow then.
    fn single_definition(&mut self, binding: &Binding<'_>) -> Result<Option<Target>, RouterError> {
        let spread = match spread::definition(binding, self.plan.verb()) {
            Ok(spread) => spread,
            Err(error) if spread::is_everywhere_already(binding) => return Err(error),
            Err(_) => None,
        };
        let Some((keyspace, definition)) = spread else { return Ok(None) };
        let whole = Target::Whole { keyspace: keyspace.name.clone() };
        let otherwise = (!spread::is_everywhere_already(binding)).then_some(Ok(whole));
        Ok(Some(self.everywhere(binding, &keyspace, definition, otherwise)))
    }

    fn everywhere(
        &mut self,
        binding: &Binding<'_>,
        keyspace: &Keyspace,
        definition: Definition,
        otherwise: Option<Result<Target, RouterError>>,
    ) -> Target {
        let (target, definition) = spread::target(keyspace, definition, otherwise);
        self.plan.definition = Some(Box::new(definition));
        self.plan.names.elsewhere = self.ctx.keyspace != Some(&keyspace.name);
        splices::understood(self.plan, binding, None);
        target
    }

    fn single_unread(&mut self, mentions: &Mentions, keyspace: Name) -> Result<Target, RouterError> {
        let names = &mut self.plan.names;
        names.neighbours = mentions.keyspaces.iter().filter(|name| **name != keyspace).cloned().collect();
        names.suspects = mentions.unknown.clone();
        names.ambiguous = mentions.ambiguous.clone();
        names.elsewhere = self.ctx.keyspace != Some(&keyspace);
        splices::unread(self.plan, self.t, mentions);
        Ok(Target::Whole { keyspace })
    }

    /// Some keyspace concerned has several shards: nothing goes anywhere that is not understood.
    fn several(&mut self, mentions: &Mentions) -> Result<Target, RouterError> {
        let (ctx, t) = (self.ctx, self.t);
        if is_prepared(self.plan.statement()) {
            // What a name stands for the session knows, which plans it then.
            return Ok(Target::Nowhere);
        }
        if let Some(target) = stored::planned(ctx, t, self.plan)? {
            return Ok(target);
        }
        if let Some(what) = refused_verb(self.plan) {
            return Err(RouterError::unsupported(what));
        }
        let found = self.sketch()?;
        if let Some(show) = found.show {
            let about = usize::from(matches!(show, Subject::Table { .. }));
            if found.sketch.sources.len() > about {
                return Err(RouterError::unsupported("a subquery in SHOW over several shards"));
            }
            return self.show(show, &found.sketch);
        }
        let binding = Binding::new(ctx, t, &found.sketch)?;
        if binding.is_of_single_keyspaces() {
            return self.single(mentions);
        }
        let verb = self.plan.verb();
        views::check(&binding, verb)?;
        if let Some((keyspace, definition)) = spread::definition(&binding, verb)? {
            let at_home = || decide(&binding).map(|target| at_home(target, verb, &self.plan.recognised));
            let otherwise = (!spread::is_everywhere_already(&binding))
                .then(|| binding.check_held().and_then(|()| at_home()));
            let otherwise =
                otherwise.map(|target| target.or_else(|error| making::target(self.plan, &binding, error)));
            return Ok(self.everywhere(&binding, &keyspace, definition, otherwise));
        }
        binding.check_held()?;
        if let Some(target) = locks::target(self.plan, &binding) {
            return Ok(target);
        }
        let target = if found.needs == Needs::Structure {
            self.structure(&binding)?
        } else if let Some(target) = maintenance::target(self.plan, &binding)? {
            target
        } else {
            let target = self.decided(&binding)?;
            at_home(target, verb, &self.plan.recognised)
        };
        self.plan.names.elsewhere = self.ctx.keyspace != keyspace_of(&target);
        splices::understood(self.plan, &binding, None);
        Ok(target)
    }

    /// Where the statement goes, with what it has to do with numbers.
    fn decided(&mut self, binding: &Binding<'_>) -> Result<Target, RouterError> {
        let target = self.decided_target(binding)?;
        if let Some((counted, splices)) = counted::counted(binding)? {
            self.plan.counted = Some(Box::new(counted));
            self.plan.splices.extend(splices);
        }
        Ok(target)
    }

    /// One shard, where the statement says which; else several: their rows are gathered, or changed in one transaction.
    fn decided_target(&mut self, binding: &Binding<'_>) -> Result<Target, RouterError> {
        let keyspace = check(binding)?;
        let verb = self.plan.verb();
        if matches!(verb, Verb::Explain | Verb::ExplainAnalyze) {
            self.plan.unscattered = Some(Box::new(several_explained()));
            let is_written = written_copy(binding).is_some();
            let one = (!is_written).then(|| one_target(binding, keyspace.clone()).ok()).flatten();
            return match one {
                // One shard is asked, whatever others have.
                None if !is_written && binding.t.has_hint() => {
                    Ok(Target::Any { keyspace: keyspace.map(|keyspace| keyspace.name.clone()) })
                }
                one => one.ok_or_else(several_explained),
            };
        }
        if verb == Verb::Load
            && let Some(scatter) = scatter::load(binding, &self.plan.recognised)?
        {
            return Ok(self.scattered(scatter));
        }
        let of_query = binding.sketch.insert.as_ref().filter(|insert| insert.query.is_some());
        if let (Some(insert), Verb::Insert | Verb::Replace) = (of_query, verb) {
            return self.transferred(binding, keyspace, insert);
        }
        if let Some(id) = written_copy(binding) {
            if !matches!(verb, Verb::Insert | Verb::Replace | Verb::Update | Verb::Delete) {
                return Err(refused_copy(binding, id));
            }
            return Ok(self.scattered(scatter::copies(binding, &self.plan.recognised, id)?));
        }
        if let Some(id) = scatter::moved(binding)? {
            if verb != Verb::Update {
                check_assigned(binding, id)?;
            }
            return Ok(self.scattered(scatter::moves(binding, &self.plan.recognised, id)?));
        }
        let is_spread = self.ctx.map.keyspaces().any(|keyspace| !keyspace.is_single());
        if keyspace.is_none()
            && is_spread
            && let Some(current) = self.some_keyspace()
            && let Some(gather) = gather::catalog(binding, &self.plan.recognised, current.clone())
        {
            self.plan.gather = Some(Box::new(gather));
            return Ok(Target::Gathered { keyspace: current });
        }
        match one_target(binding, keyspace) {
            Ok(target @ Target::Keys { .. }) => {
                // Its values decide: they may lead to several shards yet.
                self.plan.gather = gather::gather(binding, &self.plan.recognised).ok().map(Box::new);
                self.may_scatter(binding, verb);
                Ok(target)
            }
            Err(_) if matches!(verb, Verb::Update | Verb::Delete) => {
                Ok(self.scattered(scatter::changes(binding, &self.plan.recognised)?))
            }
            Err(_) if matches!(verb, Verb::Select | Verb::Table) => {
                let gather = gather::gather(binding, &self.plan.recognised)?;
                let keyspace = gather.keyspace.clone();
                self.plan.gather = Some(Box::new(gather));
                Ok(Target::Gathered { keyspace })
            }
            Err(error) if verb == Verb::CreateTable => making::target(self.plan, binding, error),
            decided => decided,
        }
    }

    /// INSERT … SELECT: as it is where all of it is at home, else the query's rows are inserted where they belong.
    fn transferred(
        &mut self,
        binding: &Binding<'_>,
        keyspace: Option<Arc<Keyspace>>,
        insert: &Insert,
    ) -> Result<Target, RouterError> {
        if let Some(scatter) = scatter::pushed(binding, &self.plan.recognised, insert) {
            return Ok(self.scattered(scatter));
        }
        let is_copied_or_sharded = |id: usize| {
            let place = &binding.sources[id].place;
            binding.sketch.sources[id].role == Role::Insert && !matches!(place, Place::Home(_))
        };
        let transfer = scatter::transfer(binding, &self.plan.recognised, insert);
        if !(0..binding.sources.len()).any(is_copied_or_sharded)
            && let Ok(target) = one_target(binding, keyspace)
        {
            if matches!(target, Target::Keys { .. }) {
                match transfer {
                    Ok(scatter) => self.plan.scatter = Some(Box::new(scatter)),
                    Err(error) => self.plan.unscattered = Some(Box::new(error)),
                }
            }
            return Ok(target);
        }
        Ok(self.scattered(transfer?))
    }

    fn scattered(&mut self, scatter: scatter::Scatter) -> Target {
        let keyspace = scatter.keyspace.clone();
        self.plan.scatter = Some(Box::new(scatter));
        Target::Scattered { keyspace }
    }

    /// Notes how a write goes where its values lead to several shards, or why it cannot.
    fn may_scatter(&mut self, binding: &Binding<'_>, verb: Verb) {
        let recognised = &self.plan.recognised;
        let scatter = match verb {
            Verb::Insert | Verb::Replace => scatter::inserts(binding, recognised),
            Verb::Update | Verb::Delete => scatter::changes(binding, recognised).map(Some),
            _ => return,
        };
        match scatter {
            Ok(scatter) => self.plan.scatter = scatter.map(Box::new),
            Err(error) => self.plan.unscattered = Some(Box::new(error)),
        }
    }

    fn structure(&self, binding: &Binding<'_>) -> Result<Target, RouterError> {
        let keyspace = |bound: &bind::Bound| bound.keyspace.as_ref().map(|keyspace| keyspace.name.clone());
        let default = || self.ctx.map.default_keyspace().map(|keyspace| keyspace.name.clone());
        match binding.sources.first() {
            Some(bound) => match &bound.place {
                Place::Sharded(_) | Place::Reference(_) => Ok(Target::Any { keyspace: keyspace(bound) }),
                Place::Foreign => Err(RouterError::unknown_database(
                    bound.database.as_ref().map_or("", |name| name.as_str()),
                )),
                _ => Ok(Target::Home { keyspace: keyspace(bound).or_else(default) }),
            },
            None => Ok(Target::Home { keyspace: default() }),
        }
    }

    fn show(&mut self, subject: Subject, sketch: &Sketch) -> Result<Target, RouterError> {
        let (ctx, t) = (self.ctx, self.t);
        let shown_at = if let Subject::Database(at) = subject { at } else { None };
        if let Some(selected) = show_selected::selected(ctx, t, shown_at) {
            self.plan.recognised.statement = Statement::ShowSelected(selected);
        }
        let database_at = match subject {
            Subject::Refused(what) => return Err(RouterError::unsupported(what)),
            Subject::Server => return Ok(Target::Home { keyspace: self.some_keyspace() }),
            Subject::Database(at) => at,
            Subject::Table { database, .. } | Subject::Object { database, .. } => database,
        };
        let spelled = match database_at {
            Some(at) => t.name(at).ok_or_else(bind::unreadable)?.into_owned(),
            None => ctx.keyspace.ok_or_else(RouterError::no_database)?.as_str().to_owned(),
        };
        let binding = Binding::new(ctx, t, sketch)?;
        let target = match (bind::database(ctx, &spelled)?, subject) {
            (Database::Foreign(name), _) => return Err(RouterError::unknown_database(name)),
            (Database::System, _) => Target::Home { keyspace: self.some_keyspace() },
            (Database::Keyspace(_), Subject::Table { .. }) => {
                binding.check_held()?;
                if t.is(1, "CREATE") {
                    self.plan.shows = show::directive_of(&binding);
                }
                match show::sums_of_index(&binding) {
                    Some(keyspace) => {
                        self.plan.recognised.statement = Statement::ShowSums;
                        Target::Home { keyspace: Some(keyspace) }
                    }
                    None => self.structure(&binding)?,
                }
            }
            (Database::Keyspace(keyspace), _) => {
                // Of what WHERE says of sizes no shard knows whether it holds.
                let has_condition = (0..t.len()).any(|at| t.is(at, "WHERE"));
                if t.are(1, &["TABLE", "STATUS"]) && !keyspace.is_single() && !has_condition {
                    self.plan.recognised.statement = Statement::ShowSums;
                }
                Target::Home { keyspace: Some(keyspace.name.clone()) }
            }
        };
        splices::understood(self.plan, &binding, Some(subject));
        Ok(target)
    }

    fn some_keyspace(&self) -> Option<Name> {
        let current = self.ctx.keyspace.and_then(|name| self.ctx.map.keyspace(name));
        current.or_else(|| self.ctx.map.default_keyspace()).map(|keyspace| keyspace.name.clone())
    }

    /// What the statement consists of.
    pub(super) fn sketch(&self) -> Result<Found, RouterError> {
        let rules = Rules {
            names: self.ctx.map.names,
            version: self.ctx.map.lowest_version(),
            ignore_space: self.ctx.sql_mode.contains(SqlMode::IGNORE_SPACE),
        };
        let t = self.t;
        let mut w = Walker::new(t, rules);
        let verb = self.plan.verb();
        let mut needs = Needs::Tables;
        let mut show = None;
        match verb {
            Verb::Show => {
                let (subject, condition) = show::subject(t);
                show = Some(subject);
                show::sketch(&mut w, t, subject, condition)?;
            }
            Verb::Explain | Verb::ExplainAnalyze => {
                let body = self.plan.recognised.body as usize;
                let at = (0..t.len()).find(|&at| t.start(at) >= body).unwrap_or(t.len());
                statement(&mut w, t, at, self.plan.recognised.explained)?;
            }
            Verb::Do | Verb::Set => {
                w.values(1, t.len())?;
            }
            Verb::Help | Verb::Signal | Verb::UnlockTables => {
                w.values(1, t.len())?;
            }
            _ => match definitions::sketch(&mut w, t, verb)? {
                Some(needed) => needs = needed,
                None => statement(&mut w, t, 0, Some(verb))?,
            },
        }
        Ok(Found { sketch: w.finish(), needs, show })
    }
}

fn keyspace_of(target: &Target) -> Option<&Name> {
    match target {
        Target::Any { keyspace } | Target::Home { keyspace } => keyspace.as_ref(),
        Target::Keys { keyspace, .. }
        | Target::Whole { keyspace }
        | Target::Everywhere { keyspace }
        | Target::Gathered { keyspace }
        | Target::Scattered { keyspace } => Some(keyspace),
        Target::Nowhere | Target::Refused(_) => None,
    }
}
