//! Which server shall hold which shard: a consistent-hashing ring proposes, so that a server added or lost moves as few shards as can be, and
//! an exact balancer evens the proposal. The result is stored in the map and never computed again on the data path.
//!
//! The ring's points are XXH3 over bytes written out here, with a version in front: the same on every platform, build and version of Rust
//! (Karger et al., "Consistent Hashing and Random Trees", 1997).

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash, Hasher};

use hashring::HashRing;
use podway_model::{ServerId, ShardId};
use xxhash_rust::xxh3::xxh3_64;

/// Points of each server on the ring.
const POINTS: u32 = 512;
/// Stands in front of everything that is hashed; a change of the format changes it.
const FORMAT: &[u8] = b"podway-placement-1";

/// Why nothing can be proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// There is no server.
    #[error("there is no server to place shards on")]
    NoServers,
}

/// A server's point on the ring, or a shard looking for one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Point {
    Server(ServerId, u32),
    Shard(ShardId),
}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut bytes = FORMAT.to_vec();
        match self {
            Point::Server(server, point) => {
                bytes.push(b'v');
                bytes.extend_from_slice(&server.0.to_le_bytes());
                bytes.extend_from_slice(&point.to_le_bytes());
            }
            Point::Shard(shard) => {
                bytes.push(b's');
                bytes.extend_from_slice(&shard.0.to_le_bytes());
            }
        }
        state.write(&bytes);
    }
}

#[derive(Clone, Default)]
struct Xxh3;

impl BuildHasher for Xxh3 {
    type Hasher = OneWrite;

    fn build_hasher(&self) -> OneWrite {
        OneWrite(0)
    }
}

/// Hashes the one piece of bytes that a [`Point`] writes.
struct OneWrite(u64);

impl Hasher for OneWrite {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes) ^ self.0.rotate_left(1);
    }
}

/// A server for each shard: where the ring says, but on no server more than one shard more than on any other.
pub fn propose(
    shards: &[ShardId],
    servers: &[ServerId],
) -> Result<BTreeMap<ShardId, ServerId>, PlacementError> {
    let mut ring: HashRing<Point, Xxh3> = HashRing::with_hasher(Xxh3);
    ring.batch_add(
        servers
            .iter()
            .flat_map(|&server| (0..POINTS).map(move |point| Point::Server(server, point)))
            .collect(),
    );
    let mut held: BTreeMap<ServerId, Vec<ShardId>> =
        servers.iter().map(|&server| (server, Vec::new())).collect();
    for &shard in shards {
        let Some(Point::Server(server, _)) = ring.get(&Point::Shard(shard)) else {
            return Err(PlacementError::NoServers);
        };
        held.entry(*server).or_default().push(shard);
    }
    even(&mut held);
    Ok(held
        .into_iter()
        .flat_map(|(server, shards)| shards.into_iter().map(move |shard| (shard, server)))
        .collect())
}

/// Moves shards from the fullest server to the emptiest until they differ by one at most; ties go to the lower number.
fn even(held: &mut BTreeMap<ServerId, Vec<ShardId>>) {
    loop {
        let fullest = held
            .iter()
            .max_by_key(|(server, shards)| (shards.len(), u32::MAX - server.0))
            .map(|(server, shards)| (*server, shards.len()));
        let emptiest = held
            .iter()
            .min_by_key(|(server, shards)| (shards.len(), server.0))
            .map(|(server, shards)| (*server, shards.len()));
        let (Some((from, most)), Some((to, least))) = (fullest, emptiest) else { return };
        if most <= least + 1 {
            return;
        }
        let Some(moved) = held.get_mut(&from).and_then(Vec::pop) else { return };
        held.entry(to).or_default().push(moved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(count: u32) -> Vec<ShardId> {
        (1..=count).map(ShardId).collect()
    }

    fn servers(count: u32) -> Vec<ServerId> {
        (1..=count).map(ServerId).collect()
    }

    fn loads(placement: &BTreeMap<ShardId, ServerId>, count: u32) -> Vec<usize> {
        servers(count).iter().map(|server| placement.values().filter(|at| *at == server).count()).collect()
    }

    #[test]
    fn loads_differ_by_one_at_most() {
        for count in 1..=9 {
            for amount in [0, 1, 4, 16, 63, 64, 100] {
                let loads = loads(&propose(&shards(amount), &servers(count)).unwrap(), count);
                assert_eq!(loads.iter().sum::<usize>(), amount as usize);
                assert!(
                    loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1,
                    "{count} servers, {amount} shards: {loads:?}"
                );
            }
        }
    }

    #[test]
    fn a_server_added_moves_little_more_than_its_share() {
        let before = propose(&shards(128), &servers(4)).unwrap();
        let after = propose(&shards(128), &servers(5)).unwrap();
        let moved = before.iter().filter(|(shard, server)| after[shard] != **server).count();
        assert!(moved < 128 / 5 * 2, "{moved} of 128 shards moved");
    }

    #[test]
    fn the_placement_is_the_same_for_ever() {
        let placement = propose(&shards(8), &servers(3)).unwrap();
        let golden: Vec<u32> = placement.values().map(|server| server.0).collect();
        assert_eq!(golden, GOLDEN);
    }

    const GOLDEN: [u32; 8] = [3, 1, 1, 1, 2, 3, 3, 2];

    #[test]
    fn without_servers_there_is_no_placement() {
        assert_eq!(propose(&shards(1), &[]), Err(PlacementError::NoServers));
    }
}
