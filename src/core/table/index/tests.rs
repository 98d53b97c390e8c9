// SPDX-License-Identifier: GPL-2.0

use super::*;
use proptest::prelude::*;
use std::collections::{
    BTreeMap,
    BTreeSet, //
};
use std::vec::Vec;

const BLOCKS: u64 = 1 << 14;

fn index(entries: usize, blocks: u64) -> Index<Vec<AtomicU64>> {
    let size = Size::for_entries(entries, blocks).unwrap();
    let zeroed = |len| Ok::<_, ()>((0..len).map(|_| AtomicU64::new(0)).collect());
    Index::new(size, zeroed).unwrap().unwrap()
}

/// The index with replacement as the owner does it, beside a model.
struct Pair {
    index: Index<Vec<AtomicU64>>,
    occupancy: Occupancy,
    model: BTreeMap<u64, Route>,
    blocks: u64,
}

impl Pair {
    fn set(&mut self, block: u64, route: Route) {
        if !self.index.has_room(&self.occupancy, 1) || self.index.is_worn(&self.occupancy) {
            let new = index(self.occupancy.entries + 1, self.blocks);
            self.occupancy = new.take_over(&self.index).unwrap();
            self.index = new;
        }
        assert!(self.index.set(block, route, &mut self.occupancy));
        match route {
            Route::Main => self.model.remove(&block),
            _ => self.model.insert(block, route),
        };
        assert_eq!(self.occupancy.entries, self.model.len());
    }

    fn wanted(&self, block: u64) -> Route {
        self.model.get(&block).copied().unwrap_or(Route::Main)
    }

    fn wanted_run(&self, first: u64, last: u64) -> (Route, u64) {
        let route = self.wanted(first);
        let mut n = 1;
        while first + n <= last {
            let next = self.wanted(first + n);
            let goes_on = match route {
                Route::Main => next == Route::Main,
                Route::Spare { slot, lost: false } => {
                    next == Route::Spare {
                        slot: slot + n as u32,
                        lost: false,
                    }
                }
                _ => false,
            };
            if !goes_on {
                break;
            }
            n += 1;
        }
        (route, n)
    }
}

fn route() -> impl Strategy<Value = Route> {
    prop_oneof![
        3 => (0..MAX_SLOTS, prop::bool::weighted(0.1))
            .prop_map(|(slot, lost)| Route::Spare { slot, lost }),
        1 => Just(Route::Held),
        1 => Just(Route::Pending),
        3 => Just(Route::Main),
    ]
}

/// Blocks that collide: few groups, and far ones that share their filter words.
fn block() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..200_u64,
        (0..BLOCKS / 512).prop_map(|n| n * 512 + 5),
        0..BLOCKS
    ]
}

proptest! {
    #[test]
    fn agrees_with_a_map(
        steps in prop::collection::vec((block(), route()), 1..400),
        asks in prop::collection::vec((block(), 0..300_u64), 50),
    ) {
        let mut pair = Pair {
            index: index(0, BLOCKS),
            occupancy: Occupancy::default(),
            model: BTreeMap::new(),
            blocks: BLOCKS,
        };
        for (block, route) in steps {
            pair.set(block, route);
            prop_assert_eq!(pair.index.route(block), route);
        }
        for block in 0..BLOCKS {
            prop_assert_eq!(pair.index.route(block), pair.wanted(block));
            if !pair.index.is_on_main(block) {
                let plain = match pair.wanted(block) {
                    Route::Spare { slot, lost: false } => Some(slot),
                    _ => None,
                };
                prop_assert_eq!(pair.index.slot_of(block), plain);
            }
        }
        for (first, more) in asks {
            let last = (first + more).min(BLOCKS - 1);
            prop_assert_eq!(pair.index.run(first, last), pair.wanted_run(first, last));
            if pair.index.all_on_main(first, last) {
                prop_assert!((first..=last).all(|block| pair.wanted(block) == Route::Main));
            }
        }
    }

    /// As blocks are moved: in runs, held first, with slots in order, some of them the other way.
    #[test]
    fn agrees_with_a_map_of_runs(
        runs in prop::collection::vec((0..400_u64, 1..20_u64, any::<bool>(), 0..4_u8), 1..60),
    ) {
        let mut pair = Pair {
            index: index(0, 512),
            occupancy: Occupancy::default(),
            model: BTreeMap::new(),
            blocks: 512,
        };
        let mut next = 0;
        for (first, len, forward, fate) in runs {
            let mut blocks: Vec<u64> = (first..first + len)
                .filter(|&block| pair.wanted(block) == Route::Main)
                .collect();
            if !forward {
                blocks.reverse();
            }
            for &block in &blocks {
                pair.set(block, Route::Held);
            }
            for &block in &blocks {
                pair.set(block, Route::Spare { slot: next, lost: fate == 1 });
                next += 1;
            }
            for &block in blocks.iter().filter(|_| fate == 2) {
                pair.set(block, Route::Main);
            }
            for block in (0..512).filter(|&block| !pair.index.is_on_main(block)) {
                let plain = match pair.wanted(block) {
                    Route::Spare { slot, lost: false } => Some(slot),
                    _ => None,
                };
                prop_assert_eq!(pair.index.slot_of(block), plain);
            }
            for first in 0..512 {
                for last in [first, first | 31, first | 63, 511] {
                    let (route, blocks) = pair.wanted_run(first, last);
                    prop_assert_eq!(pair.index.run(first, last), (route, blocks));
                    let slot = match route {
                        Route::Spare { slot, lost: false } if blocks == last - first + 1 => Some(slot),
                        _ => None,
                    };
                    prop_assert_eq!(pair.index.slots_of(first, last), slot);
                }
            }
        }
    }

    #[test]
    fn consecutive_slots_are_one_run(first in 0..1000_u64, len in 1..300_u64) {
        let mut pair = Pair {
            index: index(0, BLOCKS),
            occupancy: Occupancy::default(),
            model: BTreeMap::new(),
            blocks: BLOCKS,
        };
        for n in 0..len {
            pair.set(first + n, Route::Spare { slot: 7 + n as u32, lost: false });
        }
        prop_assert_eq!(
            pair.index.run(first, first + 1000),
            (Route::Spare { slot: 7, lost: false }, len)
        );
    }
}

#[test]
fn entries_in_order_have_ranks() {
    let ranked =
        |index: &Index<Vec<AtomicU64>>, group| ranks::load(&index.ranks, group) != Rank::NONE;
    let first = index(64, 512);
    let mut occupancy = Occupancy::default();
    // Held first, as a pass does; then every third block of two groups, in order.
    for block in (0..96_u64).step_by(3) {
        assert!(first.set(block, Route::Held, &mut occupancy));
    }
    for (slot, block) in (0..96_u64).step_by(3).enumerate() {
        let slot = slot as u32;
        assert!(first.set(block, Route::Spare { slot, lost: false }, &mut occupancy));
    }
    let second = index(100, 512);
    assert!(second.take_over(&first).is_some());
    for index in [&first, &second] {
        assert_eq!(
            [0, 1, 2].map(|group| ranked(index, group)),
            [true, true, false]
        );
    }
    let lost = Route::Spare {
        slot: 1,
        lost: true,
    };
    assert!(first.set(3, lost, &mut occupancy));
    assert!(
        !ranked(&first, 0),
        "a block with lost sectors has to be looked at"
    );
    // One group more than there are words of the filter.
    let shared = Size::for_entries(0, 64 * 8 + 1).unwrap();
    assert_eq!((shared.filter, shared.ranks), (8, 0));
}

#[test]
fn a_rank_is_never_taken_for_that_of_another_word() {
    use std::sync::atomic::AtomicU32;
    use std::thread;

    const ROUNDS: u32 = 2000;
    let indexes: Vec<_> = (0..ROUNDS).map(|_| index(64, 64)).collect();
    // Round, and the blocks that are there since: a run that grows at both ends.
    let there = AtomicU32::new(32 << 8 | 32);
    thread::scope(|scope| {
        scope.spawn(|| {
            for (round, index) in indexes.iter().enumerate() {
                let mut occupancy = Occupancy::default();
                let (mut low, mut high) = (32, 32);
                for step in 0..62_u32 {
                    let down = high == 63 || low > 0 && (step * 7 + round as u32) % 3 == 0;
                    let block = if down { low - 1 } else { high };
                    let route = Route::Spare {
                        slot: 1000 + block,
                        lost: false,
                    };
                    assert!(index.set(u64::from(block), route, &mut occupancy));
                    (low, high) = if down {
                        (block, high)
                    } else {
                        (low, block + 1)
                    };
                    there.store((round as u32) << 16 | low << 8 | high, Ordering::Release);
                }
                let next = (round as u32 + 1) << 16 | 32 << 8 | 32;
                there.store(next, Ordering::Release);
            }
        });
        for _ in 0..2 {
            scope.spawn(|| loop {
                let now = there.load(Ordering::Acquire);
                let Some(index) = indexes.get((now >> 16) as usize) else {
                    break;
                };
                let (low, high) = (now >> 8 & 0xff, now & 0xff);
                for block in low..high {
                    assert_eq!(index.slot_of(u64::from(block)), Some(1000 + block));
                    let (first, last) = (u64::from(block), u64::from(high) - 1);
                    assert_eq!(index.slots_of(first, last), Some(1000 + block));
                }
            });
        }
    });
}

#[test]
fn neighbouring_runs_of_blocks_have_lines_of_their_own() {
    for runs in [1000, 4000, 125_000] {
        let index = index(8 * runs, 1 << 30);
        let lines: BTreeSet<_> = (0..runs as u64)
            .map(|run| index.home(8 * run) >> 3)
            .collect();
        assert!(lines.len() * 100 > runs * 99, "{} of {runs}", lines.len());
    }
}

#[test]
fn empty_index_sends_everything_to_main() {
    let index = index(0, 1 << 30);
    assert!(index.all_on_main(0, 63));
    assert!(index.all_on_main(63, 64 * 5 - 1));
    assert!(
        !index.all_on_main(63, 64 * 5),
        "more words than are asked for one bio"
    );
    assert_eq!(index.run(5, 100_000), (Route::Main, 99_996));
}

#[test]
fn filter_is_exact_where_it_covers_the_target() {
    let index = index(10_000, 64 * 512);
    let mut occupancy = Occupancy::default();
    let held = (0..9_000).map(|n| n * 3);
    for block in held {
        assert!(index.set(block, Route::Held, &mut occupancy));
    }
    for block in 0..27_000_u64 {
        assert_eq!(index.all_on_main(block, block), block % 3 != 0);
    }
}

#[test]
fn refuses_what_a_cell_cannot_name() {
    let index = index(0, 1 << 50);
    let mut occupancy = Occupancy::default();
    assert!(!index.set(MAX_BLOCKS, Route::Held, &mut occupancy));
    let spare = Route::Spare {
        slot: MAX_SLOTS,
        lost: false,
    };
    assert!(!index.set(0, spare, &mut occupancy));
    assert_eq!(occupancy, Occupancy::default());
    let last = Route::Spare {
        slot: MAX_SLOTS - 1,
        lost: true,
    };
    assert!(index.set(MAX_BLOCKS - 1, last, &mut occupancy));
    assert_eq!(index.route(MAX_BLOCKS - 1), last);
}

#[test]
fn a_full_index_refuses_and_keeps_what_it_has() {
    let index = index(0, BLOCKS);
    let mut occupancy = Occupancy::default();
    let taken = (0..BLOCKS)
        .take_while(|&block| index.set(block * 9, Route::Held, &mut occupancy))
        .count() as u64;
    assert_eq!(taken, 40);
    for block in 0..taken {
        assert_eq!(index.route(block * 9), Route::Held);
    }
}
