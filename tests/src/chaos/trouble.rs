//! What goes wrong, and when: a list that a seed gives. Decides only.

use std::time::Duration;

use super::clock::SKEW;

/// What is done to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// A proxy is killed at once (SIGKILL), and started again.
    KillProxy(usize),
    /// A proxy is stopped (SIGSTOP), and goes on after this time.
    StallProxy(usize, Duration),
    /// A server is killed at once, and started again.
    KillServer(usize),
    /// A server is stopped, and goes on after this time.
    StallServer(usize, Duration),
    /// All connections of proxies to a server are ended there.
    CutConnections(usize),
    /// The topology node is killed at once, and started again after this time.
    KillTopology(Duration),
    /// A proxy's clock is set: so many milliseconds ahead of the machine's.
    SetClock(usize, i64),
    /// A shard begins to move to a server; what comes next goes wrong meanwhile.
    MoveShard(usize, usize),
}

/// Random numbers that a seed gives, the same on every machine (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From this seed on.
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// Anything below this, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    /// Whether something happens that does so in this many of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The shortest time between two troubles, and how much longer it may be.
const PAUSE_MS: (u64, u64) = (700, 1_800);
/// How long something is stopped: longer than a coordinator is given, now and then.
const STALL_MS: (u64, u64) = (200, 7_000);

/// The pause before each trouble, and the trouble: as many as a run of this length has room for.
pub fn schedule(seed: u64, length: Duration, proxies: usize, servers: usize) -> Vec<(Duration, Trouble)> {
    let mut dice = Dice::new(seed);
    let (mut all, mut at) = (Vec::new(), Duration::ZERO);
    // Every kind comes first in a round, so that no run goes without one.
    let mut round: Vec<u64> = Vec::new();
    loop {
        let pause = Duration::from_millis(PAUSE_MS.0 + dice.below(PAUSE_MS.1));
        let stall = Duration::from_millis(STALL_MS.0 + dice.below(STALL_MS.1));
        if round.is_empty() {
            round = vec![0, 1, 2, 3, 4, 5, 0, 0, 6, 6, 7, 7];
        }
        let kind = round.swap_remove(dice.below(round.len() as u64) as usize);
        let (proxy, server) = (dice.below(proxies as u64) as usize, dice.below(servers as u64) as usize);
        let trouble = match kind {
            0 => Trouble::KillProxy(proxy),
            1 => Trouble::StallProxy(proxy, stall),
            2 => Trouble::KillServer(server),
            3 => Trouble::StallServer(server, stall.min(Duration::from_secs(3))),
            4 => Trouble::CutConnections(server),
            5 => Trouble::KillTopology(stall.min(Duration::from_secs(2))),
            6 => Trouble::SetClock(proxy, skew(&mut dice)),
            // There are as many shards as servers.
            _ => Trouble::MoveShard(dice.below(servers as u64) as usize, server),
        };
        at += pause;
        if at > length {
            return all;
        }
        all.push((pause, trouble));
    }
}

/// How far a clock is ahead, or behind.
pub fn skew(dice: &mut Dice) -> i64 {
    let most = SKEW.as_millis() as i64;
    dice.below(2 * most as u64 + 1) as i64 - most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_schedule_with_all_kinds() {
        let minute = Duration::from_secs(60);
        let all = schedule(7, minute, 2, 3);
        assert_eq!(all, schedule(7, minute, 2, 3));
        assert_ne!(all, schedule(8, minute, 2, 3));
        assert!(all.len() > 20, "{}", all.len());
        let kind = |trouble: &Trouble| std::mem::discriminant(trouble);
        for wanted in [
            Trouble::KillProxy(0),
            Trouble::StallProxy(0, minute),
            Trouble::KillServer(0),
            Trouble::StallServer(0, minute),
            Trouble::CutConnections(0),
            Trouble::KillTopology(minute),
            Trouble::SetClock(0, 0),
            Trouble::MoveShard(0, 0),
        ] {
            assert!(all.iter().any(|(_, trouble)| kind(trouble) == kind(&wanted)), "{wanted:?}");
        }
        let wrong = all.iter().filter_map(|(_, trouble)| match trouble {
            Trouble::SetClock(_, ms) => Some(ms.unsigned_abs()),
            _ => None,
        });
        assert!(wrong.max().is_some_and(|most| most > 100 && most <= 500));
        assert!(all.iter().map(|(pause, _)| *pause).sum::<Duration>() <= minute);
    }
}
