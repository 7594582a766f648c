//! The weights of characters, as the server gave them. Never computed from Unicode's own data: the servers' tables are of certain
//! versions, with changes of their own.
//!
//! The files are written by the ignored test `the_weight_tables_are_what_the_server_says` of `tests/tests/vindex_equality`: two
//! counts (u32), the runs of neighbouring characters whose weights go alike (two u32 each), and the weights (u16 each), all little
//! endian. A file never changes once rows lie by it.

use std::sync::LazyLock;

/// Characters by their upper bits, for the first step of a look-up.
const BLOCK_BITS: u32 = 8;
const BLOCKS: usize = 0x11_0000 >> BLOCK_BITS;
const ASCII: usize = 128;
const HEADER_BYTES: usize = 8;
const RUN_BYTES: usize = 8;

const HANGUL_FIRST: u32 = 0xAC00;
const HANGUL_LEADS: u32 = 0x1100;
const HANGUL_VOWELS: u32 = 0x1161;
/// One below the first trailing jamo: 0 stands for none.
const HANGUL_TAILS: u32 = 0x11A7;
const HANGUL_VOWEL_COUNT: u32 = 21;
const HANGUL_TAIL_COUNT: u32 = 28;

pub(super) mod tables {
    //! One table per family of collations.
    use super::{LazyLock, Table};

    macro_rules! table {
        ($name:ident, $file:literal, $doc:literal) => {
            #[doc = $doc]
            pub(in super::super) static $name: LazyLock<Table> =
                LazyLock::new(|| Table::read(include_bytes!($file)));
        };
    }

    table!(UCA_900, "uca_900.bin", "Primary weights of `utf8mb4_0900_ai_ci`.");
    table!(UCA_520, "uca_520.bin", "Weights of `utf8mb4_unicode_520_ci`.");
    table!(UCA_400, "uca_400.bin", "Weights of `utf8mb4_unicode_ci`.");
    table!(GENERAL, "general.bin", "Weights of `utf8mb4_general_ci`.");
    table!(LATIN1_SWEDISH, "latin1_swedish.bin", "Weights of `latin1_swedish_ci`.");
    table!(LATIN1_GENERAL_CI, "latin1_general_ci.bin", "Weights of `latin1_general_ci`.");
    table!(LATIN1_GENERAL_CS, "latin1_general_cs.bin", "Weights of `latin1_general_cs`.");
}

/// How the weights go on within a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RunKind {
    /// All characters have the same.
    Same,
    /// The last weight rises by one from character to character.
    Rising,
    /// Syllables that weigh what their jamo do.
    Hangul,
}

struct Run {
    first: u32,
    kind: RunKind,
    /// Its place in the weights, and how many.
    at: u32,
    len: u8,
}

/// The weights of every character under one family of collations.
pub(super) struct Table {
    ascii: [u16; ASCII],
    /// For each block of characters, the run that its first character is in.
    blocks: Box<[u32]>,
    runs: Box<[Run]>,
    weights: Box<[u16]>,
}

impl Table {
    /// In the ASCII table: a character without weight. No ASCII character weighs as much as this.
    pub(super) const IGNORED: u16 = u16::MAX;

    /// The weight of an ASCII character, all of which have one at most.
    #[inline]
    pub(super) fn ascii(&self, byte: u8) -> u16 {
        self.ascii[usize::from(byte & 0x7F)]
    }

    /// The weight of a blank.
    pub(super) fn blank(&self) -> u16 {
        self.ascii(b' ')
    }

    /// Calls `visit` with the weights of a character, in their order.
    pub(super) fn for_each_weight(&self, character: char, mut visit: impl FnMut(u16)) {
        let code = u32::from(character);
        let run = self.run_of(code);
        if run.kind != RunKind::Hangul {
            return self.visit_run(run, code, &mut visit);
        }
        for jamo in jamo_of(code).into_iter().flatten() {
            self.visit_run(self.run_of(jamo), jamo, &mut visit);
        }
    }

    fn visit_run(&self, run: &Run, code: u32, visit: &mut impl FnMut(u16)) {
        let weights = &self.weights[run.at as usize..run.at as usize + usize::from(run.len)];
        let rise = if run.kind == RunKind::Rising { code - run.first } else { 0 };
        if let Some((&last, head)) = weights.split_last() {
            head.iter().for_each(|&weight| visit(weight));
            visit(last.wrapping_add(rise as u16));
        }
    }

    fn run_of(&self, code: u32) -> &Run {
        let block = (code >> BLOCK_BITS) as usize;
        let low = self.blocks[block] as usize;
        let high = self.blocks.get(block + 1).map_or(self.runs.len(), |&next| next as usize + 1);
        let after = self.runs[low..high].partition_point(|run| run.first <= code);
        &self.runs[low + after.saturating_sub(1)]
    }

    fn read(file: &'static [u8]) -> Self {
        let word = |at: usize| u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
        let run_count = word(0) as usize;
        let weights_at = HEADER_BYTES + run_count * RUN_BYTES;
        let read_run = |index: usize| {
            let (first, place) =
                (word(HEADER_BYTES + index * RUN_BYTES), word(HEADER_BYTES + index * RUN_BYTES + 4));
            let kind = match first >> 24 {
                0 => RunKind::Same,
                1 => RunKind::Rising,
                _ => RunKind::Hangul,
            };
            Run { first: first & 0xFF_FFFF, kind, at: place >> 8, len: place as u8 }
        };
        let runs: Box<[Run]> = (0..run_count).map(read_run).collect();
        let weights =
            file[weights_at..].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        let block_start = |block: usize| {
            let code = (block as u32) << BLOCK_BITS;
            runs.partition_point(|run| run.first <= code).saturating_sub(1) as u32
        };
        let blocks = (0..BLOCKS).map(block_start).collect();
        let mut table = Table { ascii: [Self::IGNORED; ASCII], blocks, runs, weights };
        let mut ascii = table.ascii;
        for (character, weight) in ('\0'..).zip(ascii.iter_mut()) {
            table.for_each_weight(character, |only| *weight = only);
        }
        table.ascii = ascii;
        table
    }
}

/// The jamo that a Hangul syllable is written with.
fn jamo_of(syllable: u32) -> [Option<u32>; 3] {
    let index = syllable - HANGUL_FIRST;
    let tail = index % HANGUL_TAIL_COUNT;
    [
        Some(HANGUL_LEADS + index / (HANGUL_VOWEL_COUNT * HANGUL_TAIL_COUNT)),
        Some(HANGUL_VOWELS + index / HANGUL_TAIL_COUNT % HANGUL_VOWEL_COUNT),
        (tail > 0).then_some(HANGUL_TAILS + tail),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_hold_what_their_collations_are_known_for() {
        let weights = |table: &Table, character| {
            let mut weights = Vec::new();
            table.for_each_weight(character, |weight| weights.push(weight));
            weights
        };
        assert_eq!(weights(&tables::UCA_900, 'a'), weights(&tables::UCA_900, 'Á'));
        assert_eq!(weights(&tables::UCA_900, 'ß').len(), 2);
        assert_eq!(weights(&tables::UCA_900, '\u{301}'), []);
        assert_eq!(weights(&tables::UCA_900, '각').len(), 3);
        assert_eq!(weights(&tables::UCA_900, '\u{10ffff}'), [0xfbe1, 0xffff]);
        assert_eq!(weights(&tables::GENERAL, '😀'), [0xfffd]);
        assert_eq!(weights(&tables::LATIN1_SWEDISH, 'Ü'), [0x59]);
    }

    /// A failure here means that existing rows would be looked for on other shards than those they are on.
    #[test]
    fn the_files_never_change() {
        let files: [(&[u8], u64); 7] = [
            (include_bytes!("uca_900.bin"), 0x9222_97c4_246a_886f),
            (include_bytes!("uca_520.bin"), 0x603f_c25b_d7dc_dd61),
            (include_bytes!("uca_400.bin"), 0xd1a6_7ebb_92d8_ab52),
            (include_bytes!("general.bin"), 0x0c12_72af_9cfb_f177),
            (include_bytes!("latin1_swedish.bin"), 0x4e2e_ba24_e14b_cfde),
            (include_bytes!("latin1_general_ci.bin"), 0x3900_6b69_6dc8_63e2),
            (include_bytes!("latin1_general_cs.bin"), 0xb84f_541a_c5fc_32ca),
        ];
        let hashes = files.map(|(file, _)| xxhash_rust::xxh3::xxh3_64(file));
        assert_eq!(hashes, files.map(|(_, hash)| hash), "{hashes:#x?}");
    }
}
