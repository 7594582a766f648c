//! One try of a statement on one target, and what else is done there. Each begins with a control session of its own, which ends whatever an earlier leader or an
//! earlier try has under way.

use std::time::Duration;

use podway_model::NameRule;
use podway_topology_api::{Ddl, OperationKind, Report, ServerMessage, Target, TargetState};
use tokio::time::{MissedTickBehavior, interval};

use super::ddl;
use super::error::TryError;
use super::fingerprint::ABSENT;
use super::place::Place;
use super::session::{ClientSession, Mark, end_others};
use super::users;
use super::work::{Attempt, Reporter};
use crate::mover::Control;
use crate::provision::TableDefinition;
use crate::statement_seam::StatementMoment;

/// While a statement runs, the control session is used so often: it must not be taken for an idle one, and a later leader is noticed.
const STAYS_AWAKE: Duration = Duration::from_secs(5);
/// ER_QUERY_INTERRUPTED.
const INTERRUPTED: (u16, &str) = (1317, "70100");

impl Attempt {
    /// Runs the statement on a target, if it has not taken effect there.
    pub async fn run(&self, target: Target, reporter: &impl Reporter) -> Result<(), TryError> {
        if self.ddl().is_none() {
            return users::run(self, target, reporter).await;
        }
        let place = self.place(target)?;
        let mut control = place.control(&self.keeper, &self.operation, self.term).await?;
        let mark = Mark::new(&control, self.operation.id, target);
        end_others(&mut control, &mark).await?;
        if let Some(before) = self.begun(target) {
            if self.now(&mut control, &place).await? != before {
                return reporter.report(Report::TargetDone { target, warnings: Vec::new() }).await;
            }
        } else {
            let is_first = self.operation.progress().0 == 0;
            // A new name is looked at before anything is made; of what is to be declared, at home as well.
            if let Some(ddl) = self.ddl().filter(|ddl| is_first || ddl.declaration.is_some()) {
                self.check_views(ddl).await?;
            }
            let before = self.before(&mut control, &place).await?.into();
            reporter.report(Report::TargetBegan { target, before }).await?;
        }
        self.see(target, StatementMoment::Begun).await;
        let text = self.statement.text(|keyspace| place.physical(keyspace, self.ddl()));
        let text = text.ok_or_else(|| TryError::Later(format!("there is no schema on {target}")))?;
        let mut session = ClientSession::open(&place, &self.statement, &mark).await?;
        // After the session is open: whoever came meanwhile has raised the term, or finds this session and ends it.
        control.check_term().await?;
        self.see(target, StatementMoment::Checked).await;
        let warnings = tokio::select! {
            done = session.run(text) => done?,
            error = stay_awake(&mut control) => return Err(error),
        };
        self.see(target, StatementMoment::Done).await;
        reporter.report(Report::TargetDone { target, warnings }).await?;
        self.see(target, StatementMoment::Reported).await;
        Ok(())
    }

    /// Ends what is under way on a target, and says what became of it.
    pub async fn stop(&self, target: Target, reporter: &impl Reporter) -> Result<(), TryError> {
        let place = self.place(target)?;
        let mut control = place.control(&self.keeper, &self.operation, self.term).await?;
        let mark = Mark::new(&control, self.operation.id, target);
        end_others(&mut control, &mark).await?;
        let before = self.begun(target).unwrap_or_default();
        let (code, state) = INTERRUPTED;
        let report = match self.now(&mut control, &place).await? != before {
            true => Report::TargetDone { target, warnings: Vec::new() },
            false => {
                let text = "Query execution was interrupted: the operation is given up".into();
                let error = ServerMessage { code, state: state.into(), text };
                Report::TargetRefused { target, error }
            }
        };
        reporter.report(report).await
    }

    /// Drops what the statement made on a target.
    pub async fn drop_made(&self, target: Target) -> Result<(), TryError> {
        let state = self.operation.targets.iter().find(|(known, _)| *known == target);
        let was_absent = matches!(state, Some((_, TargetState::Done { before })) if &**before == ABSENT);
        if let (true, Some(ddl)) = (was_absent, self.ddl()) {
            let place = self.place(target)?;
            let mut control = place.control(&self.keeper, &self.operation, self.term).await?;
            ddl::drop_made(&mut control, ddl, place.schema.as_deref().unwrap_or_default()).await?;
        }
        Ok(())
    }

    /// Reads the table that came into being, and says how it is declared.
    pub async fn declare(&self, ddl: &Ddl) -> Result<Report, TryError> {
        let names = self.names();
        let mut read: Vec<(Box<str>, TableDefinition)> = Vec::new();
        for (target, state) in &self.operation.targets {
            let place = self.place(*target)?;
            let schema = place.schema.as_deref().unwrap_or_default();
            let mut control = place.control(&self.keeper, &self.operation, self.term).await?;
            if matches!(state, TargetState::Done { .. }) {
                read.push((place.login.name.clone(), ddl::read(&mut control, ddl, schema).await?));
            } else if ddl::is_at_home(&mut control, ddl, schema, names).await? {
                return Ok(ddl::at_home_already(ddl));
            }
        }
        match self.check_views(ddl).await {
            Err(TryError::Refused(said)) => Ok(Report::NotDeclared(said)),
            Err(later) => Err(later),
            Ok(()) => Ok(ddl::declaration(ddl, &read, names, &self.seams.rules)),
        }
    }

    /// How the map follows, now that every target has the statement.
    pub async fn follows(&self) -> Result<Report, TryError> {
        let Some(ddl) = self.ddl() else {
            return users::follows(self).await.map(Report::AccountsFollowed);
        };
        let mut follows = None;
        for (target, _) in &self.operation.targets {
            let place = self.place(*target)?;
            let schema = place.schema.as_deref().unwrap_or_default();
            let mut control = place.control(&self.keeper, &self.operation, self.term).await?;
            if follows.is_none() {
                follows = Some(ddl::follows(&mut control, ddl, schema).await?);
            }
            let known = follows.as_deref_mut().unwrap_or_default();
            if !ddl::are_counted(known) {
                break;
            }
            ddl::note_numbers(&mut control, schema, known).await?;
        }
        Ok(Report::Followed(follows.unwrap_or_default()))
    }

    fn ddl(&self) -> Option<&Ddl> {
        match &self.operation.kind {
            OperationKind::Ddl(ddl) => Some(ddl),
            _ => None,
        }
    }

    fn names(&self) -> NameRule {
        self.keeper.machine.look(|state| state.map().names)
    }

    async fn before(&self, control: &mut Control, place: &Place) -> Result<String, TryError> {
        match self.ddl() {
            Some(ddl) => {
                let schema = place.schema.as_deref().unwrap_or_default();
                ddl::before(control, ddl, schema, self.names()).await
            }
            None => users::stand_now(self, control).await,
        }
    }

    async fn now(&self, control: &mut Control, place: &Place) -> Result<String, TryError> {
        match self.ddl() {
            Some(ddl) => {
                let schema = place.schema.as_deref().unwrap_or_default();
                ddl::now(control, ddl, schema, self.names()).await
            }
            None => users::stand_now(self, control).await,
        }
    }
}

/// Uses the control session for ever; returns when it is lost, or a later leader has the server.
async fn stay_awake(control: &mut Control) -> TryError {
    let mut ticks = interval(STAYS_AWAKE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = control.check_term().await {
            return error.into();
        }
    }
}
