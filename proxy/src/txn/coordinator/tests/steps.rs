//! What can happen next in the model.

use std::time::Duration;

use podway_model::{HybridTime, ServerId, Xid};

use super::super::{Action, Event, Phase, Resolve, ResolveAction, ResolveEvent, Ruling, Via};
use super::explore::{Model, Step};
use super::gtrid;
use super::world::{ANY, Branch, Flaw, Pipe, Plain, Row, STAMP, Told, World, Xa};

struct Steps<'a> {
    world: &'a World,
    steps: Vec<(Step, World)>,
}

impl Steps<'_> {
    fn step(&mut self, failure: bool, name: &'static str, place: usize, change: impl FnOnce(&mut World)) {
        if failure && self.world.setup.failures == 0 {
            return;
        }
        let mut world = self.world.clone();
        if failure && world.setup.failures != ANY {
            world.setup.failures -= 1;
        }
        change(&mut world);
        self.steps.push((Step { name, place, failure }, world));
    }

    fn can(&mut self, name: &'static str, place: usize, change: impl FnOnce(&mut World)) {
        self.step(false, name, place, change);
    }

    fn may(&mut self, name: &'static str, place: usize, change: impl FnOnce(&mut World)) {
        self.step(true, name, place, change);
    }
}

impl Model for World {
    fn steps(&self) -> Vec<(Step, World)> {
        let mut steps = Steps { world: self, steps: Vec::new() };
        if self.commit.is_some() {
            steps.may("crash", 0, World::disappear);
            steps.may("late", 0, |world| {
                // What is outstanding at the primary is given up with the phase.
                if world.commit.as_ref().is_some_and(|commit| commit.phase() == Phase::Ask) {
                    world.give_up_side();
                }
                world.tell(Event::Late);
            });
        }
        primary_session(&mut steps);
        primary_side(&mut steps);
        for (number, branch) in self.branches.iter().enumerate() {
            branch_session(&mut steps, number, branch);
            branch_side(&mut steps, number, branch);
            for resolver in 0..branch.resolvers.len() {
                resolve(&mut steps, number, branch, resolver);
            }
        }
        steps.steps
    }

    fn violation(&self) -> Option<String> {
        if let Some(broken) = self.broken {
            return Some(broken.to_owned());
        }
        let any = |xa: Xa| self.branches.iter().any(|branch| branch.xa == xa);
        let writers =
            || self.branches.iter().zip(self.setup.branches.iter().flatten()).filter(|(_, wrote)| **wrote);
        let writer = |xa: Xa| writers().any(|(branch, _)| branch.xa == xa);
        let (committed, two_phase) = (self.plain == Plain::Committed, self.is_two_phase());
        let floor_missing = |branch: &Branch| branch.xa == Xa::Committed && !branch.floor;
        let told_committed = self.told == Told::Committed;
        let wrong = [
            (
                two_phase && committed && writer(Xa::RolledBack),
                "the primary committed and a branch rolled back",
            ),
            (two_phase && !committed && any(Xa::Committed), "a branch committed and the primary did not"),
            (two_phase && committed != (self.row == Row::Committed), "the decision is not the primary's"),
            (two_phase && told_committed && !committed, "told committed, and it is not"),
            (
                self.told == Told::RolledBack && (self.row == Row::Committed || writer(Xa::Committed)),
                "told rolled back, and it is committed",
            ),
            (
                self.told == Told::RolledBack && committed && self.setup.primary_wrote,
                "told rolled back, and the primary committed",
            ),
            (!two_phase && any(Xa::Prepared), "prepared without need"),
            (
                !two_phase && told_committed && writers().any(|(branch, _)| branch.xa != Xa::Committed),
                "told committed, and the branch is not",
            ),
            (
                !two_phase && told_committed && self.setup.primary_wrote && !committed,
                "told committed, and the primary is not",
            ),
            (
                two_phase && self.setup.highest >= STAMP && self.branches.iter().any(floor_missing),
                "effects without their floor",
            ),
        ];
        wrong.iter().find(|(is, _)| *is).map(|(_, what)| (*what).to_owned())
    }

    fn is_resolved(&self) -> bool {
        let over = |branch: &Branch| {
            matches!(branch.xa, Xa::Committed | Xa::RolledBack)
                && branch.resolvers.iter().all(|resolver| resolver.resolve.is_none())
        };
        self.commit.is_none() && self.plain != Plain::Open && self.branches.iter().all(over)
    }
}

fn primary_session(steps: &mut Steps<'_>) {
    let (world, primary) = (steps.world, ServerId(0));
    let session = &world.session;
    if session.far {
        // Whether it is killed, the server crashes, or it notices that the other end is gone.
        steps.step(session.near, "end", 0, |world| {
            world.session.far = false;
            if !matches!(world.session.pipe, Pipe::Reply(_)) && !world.session.near {
                world.session.pipe = Pipe::Idle;
            }
            if world.plain == Plain::Open {
                world.plain = Plain::RolledBack;
            }
            if world.row == Row::Uncommitted {
                world.row = Row::None;
            }
        });
        run_at_primary(steps);
    }
    if let (Pipe::Reply(event), true) = (&session.pipe, world.commit.is_some()) {
        steps.can("reply", 0, |world| {
            world.session.pipe = Pipe::Idle;
            world.tell(event.clone());
        });
    }
    if session.near && world.commit.is_some() {
        // Without the server's end it is no further failure.
        let failure = session.far;
        steps.step(failure, "break", 0, |world| {
            world.session.abandon();
            if !world.session.far {
                world.session.pipe = Pipe::Idle;
            }
            world.tell(Event::Lost(primary));
        });
        if session.pipe == Pipe::Idle {
            steps.may("break unnoticed", 0, |world| world.session.close());
        }
    }
}

fn run_at_primary(steps: &mut Steps<'_>) {
    let primary = ServerId(0);
    // The answer goes nowhere if the other end is gone.
    let reply = |world: &mut World, event: Event| {
        world.session.pipe = Pipe::Idle;
        if world.session.near && world.setup.swift {
            world.tell(event);
        } else if world.session.near {
            world.session.pipe = Pipe::Reply(event);
        }
    };
    let refuse = |world: &mut World| reply(world, Event::Refused(primary));
    match &steps.world.session.pipe {
        Pipe::Sent(Action::CommitPlain) => {
            steps.can("commit", 0, |world| {
                world.plain = Plain::Committed;
                reply(world, Event::Done(primary));
            });
            steps.may("refuse commit", 0, |world| {
                world.plain = Plain::RolledBack;
                refuse(world);
            });
        }
        Pipe::Sent(Action::RollBackPrimary) => {
            steps.can("roll back", 0, |world| {
                if world.plain == Plain::Open {
                    world.plain = Plain::RolledBack;
                    if world.row == Row::Uncommitted {
                        world.row = Row::None;
                    }
                }
                reply(world, Event::Done(primary));
            });
            steps.may("refuse rollback", 0, refuse);
        }
        Pipe::Sent(Action::Decide { .. }) => {
            match steps.world.row {
                Row::None => steps.can("write decision", 0, |world| {
                    // Without a transaction it would commit alone.
                    let open = world.plain == Plain::Open;
                    world.row = if open { Row::Uncommitted } else { Row::Committed };
                    world.session.pipe = Pipe::Half;
                }),
                _ => steps.can("duplicate decision", 0, refuse),
            }
            steps.may("refuse decision", 0, refuse);
        }
        Pipe::Half => {
            let commit = |world: &mut World| {
                world.row = Row::Committed;
                world.plain = Plain::Committed;
            };
            steps.can("commit decision", 0, |world| {
                commit(world);
                reply(world, Event::Done(primary));
            });
            steps.may("commit decision with an error", 0, |world| {
                commit(world);
                refuse(world);
            });
            steps.may("stop after the decision", 0, refuse);
        }
        _ => {}
    }
}

fn ask(world: &mut World) -> Option<Ruling> {
    match world.row {
        Row::None => {
            world.row = Row::Tombstone;
            Some(Ruling::Aborted)
        }
        Row::Uncommitted => None,
        Row::Committed => Some(Ruling::Committed(HybridTime(STAMP.0 + 1))),
        Row::Tombstone => Some(Ruling::Aborted),
    }
}

fn primary_side(steps: &mut Steps<'_>) {
    if steps.world.stray_ask && steps.world.row == Row::None {
        steps.may("stray tombstone", 0, |world| world.row = Row::Tombstone);
    }
    match &steps.world.side {
        Pipe::Sent(Action::HighestElsewhere) => {
            let highest = steps.world.setup.highest;
            steps.can("highest", 0, |world| {
                world.side = Pipe::Idle;
                world.tell(Event::Highest(highest));
            });
            steps.may("no highest", 0, |world| {
                world.side = Pipe::Idle;
                world.tell(Event::HighestFailed);
            });
        }
        Pipe::Sent(Action::NewStamp { after }) => {
            let after = *after;
            steps.can("stamp", 0, |world| {
                world.side = Pipe::Idle;
                world.tell(Event::Stamp(HybridTime(after.0 + 1)));
            });
            steps.may("no stamp", 0, |world| {
                world.side = Pipe::Idle;
                world.tell(Event::Stamp(after));
            });
        }
        Pipe::Sent(_) => {
            if steps.world.row != Row::Uncommitted {
                steps.can("ask", 0, |world| {
                    if let Some(ruling) = ask(world) {
                        world.side = Pipe::Reply(Event::Ruled(ruling));
                    }
                });
            }
            steps.may("ask in vain", 0, |world| {
                world.give_up_side();
                world.tell(Event::RulingFailed);
            });
        }
        Pipe::Reply(event) => {
            steps.can("ruling", 0, |world| {
                world.side = Pipe::Idle;
                world.tell(event.clone());
            });
            steps.may("ruling lost", 0, |world| {
                world.side = Pipe::Idle;
                world.tell(Event::RulingFailed);
            });
        }
        Pipe::Idle | Pipe::Half => {}
    }
}

fn branch_session(steps: &mut Steps<'_>, number: usize, branch: &Branch) {
    let (session, server, place) = (&branch.session, branch.server, number + 1);
    let alive = steps.world.commit.is_some();
    if session.far {
        steps.step(session.near, "end", place, |world| {
            let branch = &mut world.branches[number];
            branch.session.far = false;
            if !matches!(branch.session.pipe, Pipe::Reply(_)) && !branch.session.near {
                branch.session.pipe = Pipe::Idle;
            }
            if branch.xa == Xa::Active {
                branch.xa = Xa::RolledBack;
            }
        });
        run_at_branch(steps, number, branch);
    }
    if let (Pipe::Reply(event), true) = (&session.pipe, alive) {
        steps.can("reply", place, |world| {
            world.branches[number].session.pipe = Pipe::Idle;
            world.tell(event.clone());
        });
    }
    if session.near && alive {
        steps.step(session.far, "break", place, |world| {
            let session = &mut world.branches[number].session;
            // Nobody notices that an idle one is gone.
            let outstanding = session.pipe != Pipe::Idle;
            session.abandon();
            if !session.far {
                session.pipe = Pipe::Idle;
            }
            if outstanding {
                world.tell(Event::Lost(server));
            }
        });
    }
}

fn run_at_branch(steps: &mut Steps<'_>, number: usize, branch: &Branch) {
    let (server, place) = (branch.server, number + 1);
    let highest = steps.world.setup.highest;
    let become_ = move |xa: Xa, event: Event| {
        move |world: &mut World| {
            let branch = &mut world.branches[number];
            branch.xa = xa;
            branch.session.pipe = Pipe::Idle;
            if branch.session.near && world.setup.swift {
                world.tell(event);
            } else if branch.session.near {
                branch.session.pipe = Pipe::Reply(event);
            }
        }
    };
    let (done, refused) = (Event::Done(server), Event::Refused(server));
    match (&branch.session.pipe, branch.xa) {
        (Pipe::Sent(Action::Prepare { .. }), Xa::Active) => {
            steps.can("prepare", place, become_(Xa::Prepared, Event::Prepared { server, highest }));
            steps.may("prepare with an error", place, become_(Xa::Prepared, refused.clone()));
            steps.may("refuse to prepare", place, become_(Xa::Active, refused.clone()));
            steps.may("roll back instead", place, become_(Xa::RolledBack, refused));
        }
        (Pipe::Sent(Action::CommitOnePhase { .. }), Xa::Active) => {
            steps.can("one phase", place, become_(Xa::Committed, done));
            steps.may("refuse one phase", place, become_(Xa::Active, refused));
        }
        (Pipe::Sent(Action::CommitBranch { .. }), xa) => {
            let after = if xa == Xa::Prepared { Xa::Committed } else { xa };
            steps.can("xa commit", place, become_(after, done));
            steps.may("xa commit with an error", place, become_(after, refused.clone()));
            steps.may("refuse xa commit", place, become_(xa, refused));
        }
        (Pipe::Sent(Action::RollBackBranch { .. } | Action::Release { .. }), xa) => {
            let after = if xa == Xa::Committed { xa } else { Xa::RolledBack };
            steps.can("xa rollback", place, become_(after, done));
            steps.may("xa rollback with an error", place, become_(after, refused.clone()));
            steps.may("refuse xa rollback", place, become_(xa, refused));
        }
        _ => {}
    }
}

fn branch_side(steps: &mut Steps<'_>, number: usize, branch: &Branch) {
    let (server, place) = (branch.server, number + 1);
    if branch.stray_commit && branch.xa == Xa::Prepared {
        steps.may("stray xa commit", place, |world| world.branches[number].xa_commit());
    }
    if branch.stray_roll_back && branch.xa == Xa::Prepared {
        steps.may("stray xa rollback", place, |world| world.branches[number].xa_roll_back());
    }
    let Pipe::Sent(action) = &branch.side else { return };
    steps.can("side", place, |world| {
        let branch = &mut world.branches[number];
        match action {
            Action::Floor { .. } => branch.floor = true,
            Action::CommitBranch { via: Via::Side, .. } => branch.xa_commit(),
            _ => branch.xa_roll_back(),
        }
        branch.side = Pipe::Idle;
        world.tell(Event::Done(server));
    });
    steps.may("side fails", place, |world| {
        world.branches[number].give_up_side();
        world.tell(Event::Lost(server));
    });
}

fn resolve(steps: &mut Steps<'_>, number: usize, branch: &Branch, which: usize) {
    let place = 10 * (number + 1) + which;
    let resolver = &branch.resolvers[which];
    let Some(action) = resolver.outstanding else {
        let listed = branch.xa == Xa::Prepared;
        if listed || resolver.resolve.is_some() {
            steps
                .can(if listed { "listed" } else { "not listed" }, place, |world| scan(world, number, which));
        }
        return;
    };
    let world = steps.world;
    let blind = world.setup.flaw == Flaw::NoTombstone;
    if action != ResolveAction::Ask || blind || world.row != Row::Uncommitted {
        steps.can("resolver acts", place, |world| {
            let event = act(world, number, action, blind);
            tell_resolver(world, number, which, event);
        });
    }
    steps.may("resolver fails", place, |world| {
        match action {
            ResolveAction::Ask if !blind => world.stray_ask = true,
            ResolveAction::Commit => world.branches[number].stray_commit = true,
            ResolveAction::RollBack => world.branches[number].stray_roll_back = true,
            _ => {}
        }
        tell_resolver(world, number, which, ResolveEvent::Failed);
    });
}

fn act(world: &mut World, number: usize, action: ResolveAction, blind: bool) -> ResolveEvent {
    match action {
        ResolveAction::Ask if blind && world.row != Row::Committed => {
            return ResolveEvent::Ruled(Ruling::Aborted);
        }
        ResolveAction::Ask => return ask(world).map_or(ResolveEvent::Failed, ResolveEvent::Ruled),
        ResolveAction::Floor(_) => world.branches[number].floor = true,
        ResolveAction::Commit => world.branches[number].xa_commit(),
        ResolveAction::RollBack => world.branches[number].xa_roll_back(),
        ResolveAction::Resolved(_) => {}
    }
    ResolveEvent::Done
}

fn scan(world: &mut World, number: usize, which: usize) {
    let branch = &mut world.branches[number];
    let event = match branch.xa {
        Xa::Prepared => ResolveEvent::Listed { now: Resolve::PATIENCE },
        _ => ResolveEvent::Unlisted,
    };
    let xid = Xid::new(gtrid(), ServerId(0), branch.server);
    branch.resolvers[which].resolve.get_or_insert_with(|| Resolve::new(xid, Duration::ZERO));
    tell_resolver(world, number, which, event);
}

fn tell_resolver(world: &mut World, number: usize, which: usize, event: ResolveEvent) {
    let resolver = &mut world.branches[number].resolvers[which];
    resolver.outstanding = None;
    let Some(resolve) = &mut resolver.resolve else { return };
    match resolve.on(event) {
        Some(ResolveAction::Resolved(_)) => resolver.resolve = None,
        action => resolver.outstanding = action,
    }
}
