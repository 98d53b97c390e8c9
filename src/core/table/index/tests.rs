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
    /// Blocks that have had an entry since the index was made.
    had: BTreeSet<u64>,
    blocks: u64,
}

impl Pair {
    fn new(blocks: u64) -> Self {
        Self {
            index: index(0, blocks),
            occupancy: Occupancy::default(),
            model: BTreeMap::new(),
            had: BTreeSet::new(),
            blocks,
        }
    }

    fn set(&mut self, block: u64, route: Route) {
        if !self.index.has_room(&self.occupancy, 1) || self.index.is_worn(&self.occupancy) {
            let new = index(self.occupancy.entries + 1, self.blocks);
            self.occupancy = new.take_over(&self.index).unwrap();
            self.index = new;
            self.had = self.model.keys().copied().collect();
        }
        assert!(self.index.set(block, route, &mut self.occupancy));
        match route {
            Route::Main => self.model.remove(&block),
            _ => {
                self.had.insert(block);
                self.model.insert(block, route)
            }
        };
        assert_eq!(self.occupancy.entries, self.model.len());
        assert_eq!(self.rank(block >> 6), self.wanted_rank(block >> 6));
    }

    /// Fails where the cells are not as full as the writer believes.
    fn check_cells(&self) {
        let count = |wanted: fn(u64) -> bool| {
            let cells = self.index.cells.iter();
            cells
                .filter(|cell| wanted(cell.load(Ordering::Relaxed)))
                .count()
        };
        let counted = Occupancy {
            entries: count(|cell| cell != EMPTY && cell != REMOVED),
            removed: count(|cell| cell == REMOVED),
        };
        assert_eq!(self.occupancy, counted);
    }

    fn rank(&self, group: u64) -> Rank {
        ranks::load(&self.index.ranks, group)
    }

    /// A group has a rank exactly where its slots are in order and none of its blocks has lost sectors.
    fn wanted_rank(&self, group: u64) -> Rank {
        let blocks = self.had.range(group << 6..(group + 1) << 6).copied();
        let slot_of = |block| match self.wanted(block) {
            Route::Spare { slot, lost: false } => Some(slot),
            _ => None,
        };
        let first = blocks.clone().next().and_then(slot_of);
        let Some(first) = first.filter(|_| !self.index.ranks.is_empty()) else {
            return Rank::NONE;
        };
        let in_order = blocks
            .clone()
            .zip(first..)
            .all(|(block, slot)| slot_of(block) == Some(slot));
        match in_order {
            true => Rank::new(first, blocks.count() as u32),
            false => Rank::NONE,
        }
    }

    /// Fails where the filter says of a range something else than it may, of a target that it covers exactly.
    fn check_filter(&self, first: u64, last: u64) {
        let few = (last >> 6) - (first >> 6) < 5;
        let none = self.had.range(first..=last).next().is_none();
        assert_eq!(self.index.all_on_main(first, last), few && none);
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
        let mut pair = Pair::new(BLOCKS);
        for (block, route) in steps {
            pair.set(block, route);
            prop_assert_eq!(pair.index.route(block), route);
        }
        pair.check_cells();
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
            if !pair.index.ranks.is_empty() {
                pair.check_filter(first, last);
            }
        }
    }

    /// As blocks are moved: in runs, held first, with slots in order, some of them the other way.
    #[test]
    fn agrees_with_a_map_of_runs(
        runs in prop::collection::vec((0..400_u64, 1..20_u64, any::<bool>(), 0..4_u8), 1..60),
    ) {
        let mut pair = Pair::new(512);
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
            pair.check_cells();
            for block in (0..512).filter(|&block| !pair.index.is_on_main(block)) {
                let plain = match pair.wanted(block) {
                    Route::Spare { slot, lost: false } => Some(slot),
                    _ => None,
                };
                prop_assert_eq!(pair.index.slot_of(block), plain);
            }
            for first in 0..512 {
                for last in [first, first | 31, first | 63, 511] {
                    pair.check_filter(first, last);
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
        let mut pair = Pair::new(BLOCKS);
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
fn an_entry_that_goes_on_in_order_needs_no_look_at_those_before() {
    let index = index(64, 512);
    let mut occupancy = Occupancy::default();
    let mut set = |block: u64, slot: u32| {
        let route = Route::Spare { slot, lost: false };
        assert!(index.set(block, route, &mut occupancy));
    };
    set(64, 7);
    set(66, 8);
    // Now a look at it would find nothing.
    index.cells[index.home(64)].store(REMOVED, Ordering::Relaxed);
    set(70, 9);
    assert_eq!(ranks::load(&index.ranks, 1), Rank::new(7, 3));
    set(68, 10);
    assert_eq!(ranks::load(&index.ranks, 1), Rank::NONE);
}

#[test]
fn a_rank_is_the_first_slot_and_the_number_of_entries() {
    let storage: Vec<AtomicU64> = (0..2).map(|_| AtomicU64::new(0)).collect();
    let word = 1 << 3 | 1 << 40 | 1 << 63;
    for (group, first) in [(0, 1), (1, MAX_SLOTS - 3), (2, 77), (3, 0)] {
        ranks::store(&storage, group, Rank::new(first, 3));
    }
    for (group, first) in [(0, 1), (1, MAX_SLOTS - 3), (2, 77), (3, 0)] {
        let rank = ranks::load(&storage, group);
        assert_eq!(rank.first(word), Some(first));
        let slots = [0, 3, 39, 40, 63].map(|bit| rank.slot(word, bit));
        let wanted = [None, Some(first), None, Some(first + 1), Some(first + 2)];
        assert_eq!(slots, wanted);
        assert_eq!((rank.first(1 << 3), rank.slot(1 << 3, 3)), (None, None));
    }
    ranks::store(&storage, 1, Rank::NONE);
    assert_eq!(ranks::load(&storage, 1), Rank::NONE);
    assert_eq!(ranks::load(&storage, 0), Rank::new(1, 3));
    assert_eq!(ranks::load(&storage, 4), Rank::NONE);
    assert_eq!((Rank::NONE.first(0), Rank::NONE.slot(0, 0)), (None, None));
}

#[test]
fn a_size_has_room_for_twice_the_entries() {
    let size = |entries, blocks| Size::for_entries(entries, blocks).unwrap();
    let sized = |filter, ranks, cells| Size {
        filter,
        ranks,
        cells,
    };
    assert_eq!(size(0, 1), sized(1, 1, 64));
    assert_eq!(size(32, 64 * 3), sized(4, 2, 64));
    assert_eq!(size(33, 64 * 8), sized(8, 4, 128));
    assert_eq!(size(64, 64 * 64), sized(16, 0, 128));
    assert_eq!(size(65, 64 * 64), sized(32, 0, 256));
    assert_eq!(size(1_000, 64 * 200), sized(256, 128, 2048));
    assert_eq!(size(1_000_000, 1 << 39), sized(1 << 18, 0, 1 << 21));
    assert_eq!(Size::for_entries(usize::MAX, 1), None);
}

#[test]
fn an_index_is_worn_where_more_entries_were_removed_than_are_left() {
    let index = index(0, BLOCKS);
    let worn = |entries, removed| index.is_worn(&Occupancy { entries, removed });
    assert!(!worn(0, 16));
    assert!(worn(0, 17));
    assert!(worn(16, 17));
    assert!(!worn(17, 17));
    assert!(!worn(18, 17));
}

#[test]
fn an_index_has_room_until_five_eighths_of_its_cells_are_taken() {
    let index = index(0, BLOCKS);
    let room = |entries, removed, more| index.has_room(&Occupancy { entries, removed }, more);
    assert!(room(0, 0, 40));
    assert!(!room(0, 0, 41));
    assert!(room(20, 19, 1));
    assert!(!room(20, 20, 1));
    assert!(room(40, 0, 0));
}

#[test]
fn storage_of_another_size_is_refused() {
    let made = |len: usize| {
        let zeroed = |_| Ok::<_, ()>((0..len).map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
        Index::new(Size::for_entries(0, 64).unwrap(), zeroed)
            .unwrap()
            .is_some()
    };
    assert_eq!([0, 1, 2, 3, 8].map(made), [false, true, true, false, true]);
}

#[test]
fn a_run_of_eight_blocks_is_in_one_line() {
    let index = index(1000, 1 << 30);
    for run in 0..1000_u64 {
        let first = index.home(8 * run);
        assert_eq!(first % 8, 0);
        for n in 0..8 {
            assert_eq!(index.home(8 * run + n), first + n as usize);
        }
        assert!(first < index.cells.len());
    }
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
