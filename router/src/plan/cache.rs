//! Plans by template, bounded in bytes. A hit takes one shared lock of one of many parts, compares the whole key and allocates
//! nothing; the clock algorithm chooses what goes.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::mem::size_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;
use podway_model::{MySqlVersion, Name};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::build::plan_uncached;
use super::context::PlanContext;
use super::plan::Plan;
use crate::{ClientCharset, Normalised, SqlMode};

/// Parts of the cache: each has its own lock and its share of the bytes.
const PARTS: usize = 16;
/// A plan larger than this share of its part is not kept: it would throw out too many others.
const LARGEST_SHARE: usize = 4;
/// What an entry costs besides its plan and its key's bytes: the index's slot, the counters of the Arc.
const ENTRY_OVERHEAD: usize = 96;

/// Plans by template, shared by all sessions.
pub struct PlanCache {
    parts: [RwLock<Part>; PARTS],
    part_bytes: usize,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
}

/// What the cache has done so far, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Statements whose plan was there.
    pub hits: u64,
    /// Statements that were planned.
    pub misses: u64,
    /// Plans that made room for others.
    pub evictions: u64,
    /// Bytes held.
    pub bytes: usize,
    /// Plans held.
    pub entries: usize,
}

#[derive(Default)]
struct Part {
    /// Hash of the key to the place in `entries`.
    index: HashMap<u64, usize>,
    entries: Vec<Entry>,
    bytes: usize,
    hand: usize,
}

struct Entry {
    hash: u64,
    key: Key,
    plan: Arc<Plan>,
    bytes: usize,
    /// Whether it was used since the clock's hand passed.
    used: AtomicBool,
}

/// Everything that a plan depends on.
struct Key {
    template: Box<[u8]>,
    keyspace: Option<Name>,
    schema_version: u64,
    version: MySqlVersion,
    sql_mode: SqlMode,
    charset: ClientCharset,
    collation: Box<str>,
    time_zone: Box<str>,
}

impl Key {
    fn of(ctx: &PlanContext<'_>, n: &Normalised) -> Key {
        Key {
            template: n.template().into(),
            keyspace: ctx.keyspace.cloned(),
            schema_version: ctx.map.schema_version,
            version: n.version(),
            sql_mode: ctx.sql_mode,
            charset: ctx.charset,
            collation: ctx.collation.into(),
            time_zone: ctx.time_zone.into(),
        }
    }

    fn is(&self, ctx: &PlanContext<'_>, n: &Normalised) -> bool {
        *self.template == *n.template()
            && self.keyspace.as_ref() == ctx.keyspace
            && self.schema_version == ctx.map.schema_version
            && self.version == n.version()
            && self.sql_mode == ctx.sql_mode
            && self.charset == ctx.charset
            && *self.collation == *ctx.collation
            && *self.time_zone == *ctx.time_zone
    }

    fn bytes(&self) -> usize {
        self.template.len() + self.collation.len() + self.time_zone.len()
    }
}

impl PlanCache {
    /// A cache that holds at most about `max_bytes`.
    pub fn new(max_bytes: usize) -> PlanCache {
        PlanCache {
            parts: std::array::from_fn(|_| RwLock::new(Part::default())),
            part_bytes: max_bytes / PARTS,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
        }
    }

    /// The plan of a statement, from the cache or made now.
    pub fn plan(&self, ctx: &PlanContext<'_>, sql: &[u8], n: &Normalised) -> Arc<Plan> {
        if !ctx.temporary_tables.is_empty() {
            return Arc::new(plan_uncached(ctx, sql, n));
        }
        let hash = hash_of(ctx, n);
        let part = &self.parts[hash as usize % PARTS];
        if let Some(plan) = part.read().get(hash, ctx, n) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return plan;
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let plan = Arc::new(plan_uncached(ctx, sql, n));
        let key = Key::of(ctx, n);
        let bytes = plan.memory() + key.bytes() + size_of::<Entry>() + ENTRY_OVERHEAD;
        if bytes <= self.part_bytes / LARGEST_SHARE {
            let entry = Entry { hash, key, plan: Arc::clone(&plan), bytes, used: AtomicBool::new(false) };
            let evicted = part.write().put(entry, self.part_bytes);
            self.evictions.fetch_add(evicted, Ordering::Relaxed);
        }
        plan
    }

    /// Forgets every plan.
    pub fn clear(&self) {
        for part in &self.parts {
            *part.write() = Part::default();
        }
    }

    /// The counters.
    pub fn stats(&self) -> CacheStats {
        let mut stats = CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            ..CacheStats::default()
        };
        for part in &self.parts {
            let part = part.read();
            stats.bytes += part.bytes;
            stats.entries += part.entries.len();
        }
        stats
    }
}

/// The template's hash, turned by the parts of the key that differ from session to session.
fn hash_of(ctx: &PlanContext<'_>, n: &Normalised) -> u64 {
    let turned = n.hash()
        ^ ctx.map.schema_version.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ u64::from(ctx.sql_mode.bits());
    xxh3_64_with_seed(ctx.keyspace.map_or("", |name| name.key()).as_bytes(), turned)
}

impl Part {
    fn get(&self, hash: u64, ctx: &PlanContext<'_>, n: &Normalised) -> Option<Arc<Plan>> {
        let entry = self.entries.get(*self.index.get(&hash)?)?;
        if !entry.key.is(ctx, n) {
            return None;
        }
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&entry.plan))
    }

    /// Keeps an entry, in the place of one with its hash; gives how many others had to go.
    fn put(&mut self, entry: Entry, max_bytes: usize) -> u64 {
        let (hash, bytes) = (entry.hash, entry.bytes);
        if let Slot::Occupied(slot) = self.index.entry(hash) {
            let old = std::mem::replace(&mut self.entries[*slot.get()], entry);
            self.bytes = self.bytes - old.bytes + bytes;
            return self.shrink(max_bytes);
        }
        let evicted = self.shrink(max_bytes.saturating_sub(bytes));
        self.index.insert(hash, self.entries.len());
        self.entries.push(entry);
        self.bytes += bytes;
        evicted
    }

    fn shrink(&mut self, max_bytes: usize) -> u64 {
        let mut evicted = 0;
        while self.bytes > max_bytes && !self.entries.is_empty() {
            self.hand %= self.entries.len();
            if self.entries[self.hand].used.swap(false, Ordering::Relaxed) {
                self.hand += 1;
                continue;
            }
            let gone = self.entries.swap_remove(self.hand);
            self.index.remove(&gone.hash);
            if let Some(moved) = self.entries.get(self.hand) {
                self.index.insert(moved.hash, self.hand);
            }
            self.bytes -= gone.bytes;
            evicted += 1;
        }
        evicted
    }
}
