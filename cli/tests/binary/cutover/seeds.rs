//! Faults by chance: a seed gives a schedule, which is data. `PODWAY_CUTOVER_SEEDS=1,2,3` runs these, and longer.

use podway_topology::Moment;
use podway_topology_api::MoveStep;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::faults::{Fault, carry_out_all};
use super::node::Parts;
use super::rig::Rig;

/// Names the seeds to be run.
const VARIABLE: &str = "PODWAY_CUTOVER_SEEDS";
/// Moves of a schedule, and of one that somebody asked for.
const SHORT: usize = 3;
const LONG: usize = 25;
/// A seed that always runs.
const ALWAYS: u64 = 7;

/// The schedule of a seed.
fn schedule(seed: u64, moves: usize) -> Vec<Fault> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..moves).map(|_| fault(&mut rng)).collect()
}

fn fault(rng: &mut StdRng) -> Fault {
    let step = MoveStep::ALL[rng.random_range(0..MoveStep::ALL.len())];
    let moment = [Moment::Before, Moment::Done, Moment::Reported][rng.random_range(0..3)];
    match rng.random_range(0..8) {
        0 => Fault::None,
        1 => Fault::LeaderKilled(step, moment),
        2 => Fault::LeaderStopped(step, moment),
        3 => Fault::SourceKilled(step),
        4 => Fault::TargetKilled(step),
        5 => Fault::CutOff,
        6 => Fault::ProxyStopped,
        _ => Fault::CutOffAfterFreeze,
    }
}

#[test]
fn a_seed_gives_the_same_schedule_again() {
    assert_eq!(schedule(ALWAYS, LONG), schedule(ALWAYS, LONG));
    assert_ne!(schedule(1, LONG), schedule(2, LONG));
    let mut seen =
        schedule(1, 200).into_iter().map(|fault| std::mem::discriminant(&fault)).collect::<Vec<_>>();
    seen.dedup();
    assert!(seen.len() > 50, "every kind has its turn");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_by_chance_nothing_is_lost_and_nothing_old_is_read() {
    let asked = std::env::var(VARIABLE).ok();
    let seeds: Vec<u64> = match &asked {
        Some(seeds) => seeds.split(',').map(|seed| seed.trim().parse().expect("a seed")).collect(),
        None => vec![ALWAYS, rand::random_range(0..1_000_000)],
    };
    let moves = if asked.is_some() { LONG } else { SHORT };
    for seed in seeds {
        let schedule = schedule(seed, moves);
        eprintln!("{VARIABLE}={seed}: {schedule:?}");
        let mut rig = Rig::start(3, Parts::ALL).await;
        rig.set("proxy.lease", "5s").await;
        carry_out_all(&mut rig, &schedule).await;
    }
}
