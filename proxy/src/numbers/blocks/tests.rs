//! The rule, case by case; and two proxies with a topology as small as can be, which never give a number twice.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NEXT: Want = Want::Next;

fn reserved(first: u64, last: u64) -> Reserved {
    Reserved { first, last, generation: 1, floor: first }
}

/// Blocks with these numbers in hand.
fn with(blocks: &[(u64, u64)]) -> Blocks {
    let mut all = Blocks::new(u64::MAX);
    all.enter(1);
    for (first, last) in blocks {
        all.make_room();
        all.add(reserved(*first, *last), false);
    }
    all
}

fn explicit(number: u64) -> Want {
    Want::Explicit(number)
}

fn taken(numbers: &[u64]) -> Step {
    Step::Taken(numbers.iter().map(|number| (*number > 0).then_some(*number)).collect())
}

#[test]
fn what_statements_get_one_after_another() {
    // Each with the blocks in hand, then what is wanted and what comes of it; 0 stands for a row without a number of the cluster's.
    type Steps = Vec<(Vec<Want>, Step)>;
    let cases: Vec<(&[(u64, u64)], Steps)> = vec![
        (
            &[(1, 10)],
            vec![(vec![NEXT], taken(&[1])), (vec![NEXT, NEXT], taken(&[2, 3])), (vec![NEXT], taken(&[4]))],
        ),
        // Numbers of one statement follow each other, over blocks that do; else what is left of the first is given up.
        (&[(1, 2), (3, 4)], vec![(vec![NEXT; 3], taken(&[1, 2, 3])), (vec![NEXT], taken(&[4]))]),
        (&[(1, 2), (5, 9)], vec![(vec![NEXT; 3], taken(&[5, 6, 7])), (vec![NEXT], taken(&[8]))]),
        (&[(1, 2), (5, 9)], vec![(vec![NEXT], taken(&[1])), (vec![NEXT; 2], taken(&[5, 6]))]),
        (&[(1, 2)], vec![(vec![NEXT; 3], Step::Reserve(3)), (vec![NEXT], taken(&[1]))]),
        (&[], vec![(vec![NEXT], Step::Reserve(1)), (vec![Want::Nothing], taken(&[0]))]),
        // A number in one's own block is passed, as MySQL's counter does it.
        (&[(1, 10)], vec![(vec![explicit(5)], taken(&[0])), (vec![NEXT], taken(&[6]))]),
        (&[(1, 10)], vec![(vec![NEXT, explicit(5), NEXT], taken(&[1, 0, 6]))]),
        (&[(1, 10)], vec![(vec![explicit(5), NEXT, NEXT, explicit(3), NEXT], taken(&[0, 6, 7, 0, 8]))]),
        (
            &[(1, 10)],
            vec![
                (vec![NEXT; 4], taken(&[1, 2, 3, 4])),
                (vec![explicit(2)], taken(&[0])),
                (vec![NEXT], taken(&[5])),
            ],
        ),
        // Below the floor nobody has one; elsewhere somebody may.
        (&[(11, 20)], vec![(vec![explicit(10)], taken(&[0])), (vec![explicit(21)], Step::Claim(21..=21))]),
        (&[(11, 20)], vec![(vec![explicit(40), explicit(12), explicit(30)], Step::Claim(30..=40))]),
        (&[], vec![(vec![explicit(1), NEXT], Step::Claim(1..=1))]),
        (&[(1, 9)], vec![(vec![NEXT; (1 << 20) + 1], Step::TooMany)]),
    ];
    for (blocks, steps) in cases {
        let mut all = with(blocks);
        for (wants, step) in steps {
            assert_eq!(all.step(&wants, &[]), step, "{blocks:?} {} wants", wants.len());
        }
    }
}

#[test]
fn what_was_claimed_is_free_and_numbers_go_on_behind_it() {
    let mut all = with(&[(11, 20)]);
    assert_eq!(all.step(&[explicit(50), NEXT], &[50..=50]), Step::Reserve(1));
    all.make_room();
    all.add(reserved(51, 60), false);
    assert_eq!(all.step(&[explicit(50), NEXT], &[50..=50]), taken(&[0, 51]));
    assert_eq!(all.step(&[explicit(52)], &[]), taken(&[0]), "it is in the new block");
    assert_eq!(all.step(&[NEXT], &[]), taken(&[53]));
}

#[test]
fn another_generation_takes_everything_away() {
    let mut all = with(&[(1, 10)]);
    all.enter(2);
    assert_eq!(all.step(&[NEXT], &[]), Step::Reserve(1));
    assert_eq!(all.step(&[explicit(5)], &[]), Step::Claim(5..=5), "nothing is known of the floor either");
    all.add(reserved(11, 20), false);
    assert_eq!(all.step(&[NEXT], &[]), Step::Reserve(1), "it was given under the old one");
    all.add(Reserved { generation: 3, ..reserved(21, 30) }, false);
    assert_eq!((all.generation(), all.step(&[NEXT], &[])), (3, taken(&[21])));
    all.claimed(Claimed { generation: 4, floor: 90, unaware: 0 });
    assert_eq!(all.step(&[explicit(89), NEXT], &[]), Step::Reserve(1));
}

#[test]
fn the_oldest_of_two_blocks_is_given_up_before_a_third_is_asked_for() {
    let mut all = with(&[(1, 10), (21, 30)]);
    all.make_room();
    assert_eq!(all.step(&[NEXT], &[]), taken(&[21]));
    assert_eq!(all.step(&[explicit(25)], &[]), taken(&[0]));
    all.floor = 0;
    assert_eq!(all.step(&[explicit(5)], &[]), Step::Claim(5..=5), "it is no longer this proxy's");
}

#[test]
fn blocks_grow_while_they_are_used_up_quickly_and_never_hold_much_of_the_column() {
    let mut all = Blocks::new(u64::MAX);
    let mut sizes = Vec::new();
    for was_brief in [true, true, true, false, true] {
        all.add(reserved(1, 1), was_brief);
        sizes.push(all.size);
    }
    assert_eq!(sizes, [200, 400, 800, 100, 200]);
    (0..20).for_each(|_| all.add(reserved(1, 1), true));
    assert_eq!(all.size, LARGEST_BLOCK);
    assert_eq!([127, 65_535, u64::from(u32::MAX)].map(|largest| Blocks::new(largest).size), [1, 63, 100]);
}

/// A topology as small as can be, with two proxies: what was given, what was claimed.
#[derive(Default)]
struct Model {
    next: u64,
    generation: u64,
    blocks: Vec<(usize, u64, u64)>,
}

impl Model {
    fn reserve(&mut self, who: usize, count: u64) -> Reserved {
        let (first, last) = (self.next, self.next + count - 1);
        self.next = last + 1;
        if self.blocks.iter().filter(|block| block.0 == who).count() >= HELD
            && let Some(oldest) = self.blocks.iter().position(|block| block.0 == who)
        {
            self.blocks.remove(oldest);
        }
        self.blocks.push((who, first, last));
        Reserved { first, last, generation: self.generation, floor: self.floor(who) }
    }

    fn claim(&mut self, who: usize, values: RangeInclusive<u64>) -> Claimed {
        let is_anothers = |&(other, first, last): &(usize, u64, u64)| {
            other != who && first <= *values.end() && *values.start() <= last
        };
        if self.blocks.iter().any(is_anothers) {
            self.generation += 1;
            self.blocks.clear();
        }
        self.next = self.next.max(values.end() + 1);
        Claimed { generation: self.generation, floor: self.floor(who), unaware: 0 }
    }

    fn floor(&self, who: usize) -> u64 {
        let others = self.blocks.iter().filter(|block| block.0 != who);
        others.map(|block| block.1).min().unwrap_or(self.next)
    }
}

fn wants() -> impl Strategy<Value = Vec<Want>> {
    let want = prop_oneof![
        4 => Just(Want::Next),
        2 => (1_u64..600).prop_map(Want::Explicit),
        1 => Just(Want::Nothing),
    ];
    proptest::collection::vec(want, 1..9)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]
    #[test]
    fn no_proxy_gives_a_number_that_was_given_or_brought_before(
        statements in proptest::collection::vec((0_usize..2, wants()), 1..60)
    ) {
        let mut model = Model { next: 1, generation: 1, blocks: Vec::new() };
        let mut proxies = [Blocks::new(u64::MAX), Blocks::new(u64::MAX)];
        let mut seen: BTreeMap<u64, &str> = BTreeMap::new();
        for (who, wants) in statements {
            let mut claimed = Vec::new();
            let numbers = loop {
                // Everybody hears of a generation before a claim is answered.
                proxies.iter_mut().for_each(|blocks| blocks.enter(model.generation));
                match proxies[who].step(&wants, &claimed) {
                    Step::Taken(numbers) => break numbers,
                    Step::Reserve(least) => {
                        let count = proxies[who].make_room().clamp(least, least.max(7));
                        let given = model.reserve(who, count);
                        proxies[who].add(given, false);
                    }
                    Step::Claim(values) => {
                        let answer = model.claim(who, values.clone());
                        proxies[who].claimed(answer);
                        claimed.push(values);
                    }
                    Step::TooMany => unreachable!(),
                }
            };
            let given: Vec<u64> = numbers.iter().flatten().copied().collect();
            prop_assert!(given.is_sorted());
            for (want, number) in wants.iter().zip(&numbers) {
                match (want, number) {
                    // Whoever brings a number that is there already is told so by MySQL: that is not the numbers' business.
                    (Want::Explicit(brought), _) => drop(seen.entry(*brought).or_insert("brought")),
                    (_, Some(number)) => {
                        prop_assert_eq!(seen.insert(*number, "given"), None, "{} to {}", number, who);
                    }
                    _ => {}
                }
            }
        }
    }
}
