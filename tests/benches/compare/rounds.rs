//! The turns: in every round each target works for the same time, one after the other, and the order moves on by one with each round, so
//! that whatever else the machine does meets all of them.

use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;

use crate::args::{Args, Cell};
use crate::data::credentials;
use crate::load::{Crew, Generator};
use crate::process::CpuSpent;
use crate::targets::Target;

/// The target that all are compared with.
pub const BASE: &str = "haproxy";
/// What those before four servers are compared with besides: it bears the same servers' load on the machine.
pub const BASE_OF_FOUR: &str = "haproxy-4";
/// How long everybody works before anything counts.
const WARM_UP: Duration = Duration::from_millis(400);

/// What a target did in one turn.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    pub statements: u64,
    pub seconds: f64,
    /// Of the proxy's process; `None` without one.
    pub cpu: Option<CpuSpent>,
}

/// What a target did in all turns of a cell.
#[derive(Debug)]
pub struct Measured {
    pub cell: Cell,
    pub target: &'static str,
    pub turns: Vec<Turn>,
    pub latency: Histogram<u64>,
    /// Beside [`BASE`].
    pub of_base: Ratios,
    /// Beside [`BASE_OF_FOUR`], for those before four servers.
    pub of_four: Ratios,
}

/// A target's numbers divided by another's in the same round, the middle one of the rounds; `None` where there is nothing to divide.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ratios {
    pub throughput: Option<f64>,
    pub cpu: Option<f64>,
}

/// Measures one cell for all targets.
pub async fn measure(
    generator: &Generator,
    targets: &[Target],
    cell: Cell,
    args: &Args,
) -> anyhow::Result<Vec<Measured>> {
    let mut crews = Vec::new();
    let mut measured = Vec::new();
    for target in targets {
        let doing =
            || format!("{} from {} connections on {}", cell.workload.name(), cell.connections, target.name);
        let who = credentials(target.schema);
        let mut crew =
            generator.connect(target, &who, cell.connections, cell.workload).await.with_context(doing)?;
        generator.run(&mut crew, cell.workload, WARM_UP).await.with_context(doing)?;
        crews.push(crew);
        measured.push(Measured {
            cell,
            target: target.name,
            turns: Vec::new(),
            latency: Histogram::new(3)?,
            of_base: Ratios::default(),
            of_four: Ratios::default(),
        });
    }
    for round in 0..args.rounds {
        for turn in 0..targets.len() {
            let n = (round + turn) % targets.len();
            let turn = take_turn(
                generator,
                &targets[n],
                &mut crews[n],
                (cell, args.turn()),
                &mut measured[n].latency,
            );
            let turn =
                turn.await.with_context(|| format!("{} on {}", cell.workload.name(), targets[n].name))?;
            measured[n].turns.push(turn);
        }
    }
    compare(&mut measured);
    Ok(measured)
}

async fn take_turn(
    generator: &Generator,
    target: &Target,
    crew: &mut Crew,
    (cell, time): (Cell, Duration),
    latency: &mut Histogram<u64>,
) -> anyhow::Result<Turn> {
    let before = target.process.as_ref().map(|process| process.cpu());
    let tally = generator.run(crew, cell.workload, time).await?;
    let cpu = target.process.as_ref().zip(before).map(|(process, before)| process.cpu().since(&before));
    latency.add(&tally.latency)?;
    Ok(Turn { statements: tally.statements, seconds: tally.wall.as_secs_f64(), cpu })
}

/// Puts every target beside the bases, round by round.
fn compare(measured: &mut [Measured]) {
    let turns_of = |name: &str| measured.iter().find(|one| one.target == name).map(|one| one.turns.clone());
    let (base, four) = (turns_of(BASE), turns_of(BASE_OF_FOUR));
    for one in measured {
        one.of_base = base.as_ref().map(|base| ratios(&one.turns, base)).unwrap_or_default();
        let is_before_four = one.target.starts_with("podway-4") || one.target == BASE_OF_FOUR;
        let four = four.as_ref().filter(|_| is_before_four);
        one.of_four = four.map(|base| ratios(&one.turns, base)).unwrap_or_default();
    }
}

fn ratios(turns: &[Turn], base: &[Turn]) -> Ratios {
    let pairs = || turns.iter().zip(base);
    let throughput = pairs().map(|(turn, base)| turn.per_second() / base.per_second());
    let cpu = pairs().filter_map(|(turn, base)| Some(turn.cpu_micros()? / base.cpu_micros()?));
    Ratios { throughput: median(throughput.collect()), cpu: median(cpu.collect()) }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    Some(if values.len() % 2 == 1 { upper } else { (upper + values[values.len() / 2 - 1]) / 2.0 })
}

impl Turn {
    fn per_second(&self) -> f64 {
        self.statements as f64 / self.seconds
    }

    fn cpu_micros(&self) -> Option<f64> {
        let spent = self.cpu.filter(|spent| spent.nanos > 0)?;
        Some(spent.nanos as f64 / 1e3 / self.statements as f64)
    }
}

impl Measured {
    /// Statements per second over all turns.
    pub fn per_second(&self) -> f64 {
        self.statements() as f64 / self.turns.iter().map(|turn| turn.seconds).sum::<f64>()
    }

    /// The proxy's CPU for one statement, in microseconds.
    pub fn cpu_micros(&self) -> Option<f64> {
        let nanos: Option<u64> = self.turns.iter().map(|turn| turn.cpu.map(|spent| spent.nanos)).sum();
        nanos.filter(|nanos| *nanos > 0).map(|nanos| nanos as f64 / 1e3 / self.statements() as f64)
    }

    /// How much of it was spent outside the kernel.
    pub fn user_micros(&self) -> Option<f64> {
        let spent = || self.turns.iter().filter_map(|turn| turn.cpu);
        let all: u32 = spent().map(|spent| spent.all_ticks).sum();
        let user: u32 = spent().map(|spent| spent.user_ticks).sum();
        (all > 0).then_some(self.cpu_micros()? * f64::from(user) / f64::from(all.max(1)))
    }

    /// A quantile of the latency, in microseconds.
    pub fn latency_micros(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }

    fn statements(&self) -> u64 {
        self.turns.iter().map(|turn| turn.statements).sum()
    }
}
