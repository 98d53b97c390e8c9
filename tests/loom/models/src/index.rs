// SPDX-License-Identifier: GPL-2.0

//! The index: a reader without a lock, while the writer changes it.
//!
//! Each way to look at a block tells how far its change has come. Whoever has seen a change, by whatever word, has
//! to see it by every other word from then on, and to see what the writer did before.

use std::{convert::Infallible, ops::RangeInclusive, rc::Rc};

use core::sync::atomic::AtomicU64;
use kernel::{
    memory::{Life, Plain},
    prelude::*,
    task::spawn,
    time::Delta,
};
use remap_core::table::index::{
    Index,
    Occupancy,
    Route,
    Size, //
};

use crate::{
    linux::gate::{Direction, Gate, GateCounters},
    Check, Model,
};

pub(crate) static MODELS: &[Model] = &[
    Model {
        name: "index_insertion",
        holds: "a block that comes to the spare is seen there by no word before another says so for good, nor before \
                its contents",
        preemptions: None,
        run: insertion,
    },
    Model {
        name: "index_change",
        holds: "a block that goes from one slot to another is seen in the old one, then held, then in the new one",
        preemptions: None,
        run: change,
    },
    Model {
        name: "index_neighbours",
        holds: "a block whose neighbour comes into the next slot is in its own all the time, and the run of both is \
                seen with the contents of both",
        preemptions: Some(2),
        run: neighbours,
    },
    Model {
        name: "index_neighbour_below",
        holds: "so it is where the neighbour comes into the slot before, from which the slots of both are counted then",
        preemptions: Some(3),
        run: neighbour_below,
    },
    Model {
        name: "index_reused_cell",
        holds: "a block that has left is on main, and no other one's slot is taken for its own where the cell is \
                used again",
        preemptions: Some(2),
        run: reused_cell,
    },
    Model {
        name: "index_replaced",
        holds: "a reader sees the same of the old index and of the new one, never a part of the new one, and the old \
                one as long as the reader is inside",
        preemptions: Some(3),
        run: |check| check.every_execution(replaced),
    },
];

/// Storage of an index.
pub(crate) struct Words {
    words: KVec<AtomicU64>,
    life: Life,
}

impl Words {
    fn zeroed(len: usize) -> Result<Self, Infallible> {
        let mut words = KVec::with_capacity(len, GFP_KERNEL).expect("there is memory");
        for _ in 0..len {
            let pushed = words.push_within_capacity(AtomicU64::new(0));
            assert!(pushed.is_ok());
        }
        Ok(Self {
            words,
            life: Life::new(),
        })
    }
}

impl AsRef<[AtomicU64]> for Words {
    fn as_ref(&self) -> &[AtomicU64] {
        self.life.check();
        &self.words
    }
}

/// The smallest index: a line of cells, and one group of blocks, with a rank.
const SIZE: Size = Size {
    filter: 1,
    ranks: 1,
    cells: 8,
};

pub(crate) fn index() -> Index<Words> {
    let Ok(index) = Index::new(SIZE, Words::zeroed);
    index.expect("the size is one")
}

pub(crate) fn in_slot(slot: u32) -> Route {
    Route::Spare { slot, lost: false }
}

/// What the writer and the reader have in common.
struct Common {
    index: Index<Words>,
    /// Written by the writer before each step of a change.
    contents: [Plain<u32>; 3],
}

/// A way to look for a block: the first and the last step of its change that what is seen may be of.
type Look = fn(&Index<Words>) -> RangeInclusive<usize>;

/// Has a reader look twice, in each two ways, while `write` changes an index that `prepare` has filled. `write`
/// writes contents before each step.
fn look_twice(
    check: &Check,
    (looks, again): (&'static [Look], &'static [Look]),
    prepare: fn(&Index<Words>, &mut Occupancy),
    write: fn(&Common, &mut Occupancy),
) {
    for &first in looks {
        for &second in again {
            check.every_execution(move || {
                let common = Rc::new(Common {
                    index: index(),
                    contents: [0, 0, 0].map(Plain::new),
                });
                let mut occupancy = Occupancy::default();
                prepare(&common.index, &mut occupancy);
                let reader = spawn(1, {
                    let common = common.clone();
                    move || {
                        let mut least = 0;
                        for look in [first, second] {
                            let steps = look(&common.index);
                            assert!(least <= *steps.end(), "what was seen is not seen any more");
                            least = least.max(*steps.start());
                            // Races with a writer whose step is seen too early.
                            for contents in &common.contents[1..=least] {
                                assert_eq!(contents.read(), 1);
                            }
                        }
                    }
                });
                write(&common, &mut occupancy);
                reader.join();
            });
        }
    }
}

pub(crate) const BLOCK: u64 = 2;

/// The step of a block that comes to a slot by way of "held".
fn step_of_route(route: Route, slot: u32) -> usize {
    match route {
        Route::Main => 0,
        Route::Held => 1,
        route => {
            assert_eq!(route, in_slot(slot));
            2
        }
    }
}

/// The same, of a block that is not on main for sure, or is not asked for where it is.
fn step_of_slot(index: &Index<Words>, block: u64, slot: u32) -> RangeInclusive<usize> {
    if index.is_on_main(block) {
        return 0..=0;
    }
    match index.slot_of(block) {
        None => 1..=1,
        seen => {
            assert_eq!(seen, Some(slot));
            2..=2
        }
    }
}

fn insertion(check: &Check) {
    const LOOKS: &[Look] = &[
        |index| match index.is_on_main(BLOCK) {
            true => 0..=0,
            false => 1..=2,
        },
        |index| match index.all_on_main(BLOCK - 1, BLOCK + 1) {
            true => 0..=0,
            false => 1..=2,
        },
        |index| {
            let step = step_of_route(index.route(BLOCK), 4);
            step..=step
        },
        |index| match index.run(BLOCK - 1, BLOCK + 1) {
            (Route::Main, 3) => 0..=0,
            run => {
                assert_eq!(run, (Route::Main, 1));
                1..=2
            }
        },
        |index| step_of_slot(index, BLOCK, 4),
        |index| match index.slots_of(BLOCK, BLOCK) {
            None => 0..=1,
            slot => {
                assert_eq!(slot, Some(4));
                2..=2
            }
        },
    ];
    look_twice(
        check,
        (LOOKS, LOOKS),
        |_, _| {},
        |common, occupancy| {
            common.contents[1].write(1);
            assert!(common.index.set(BLOCK, Route::Held, occupancy));
            common.contents[2].write(1);
            assert!(common.index.set(BLOCK, in_slot(4), occupancy));
        },
    );
}

/// How far the block has come from slot 4 by way of "held" to slot 9.
fn step_of(slot: Option<u32>) -> RangeInclusive<usize> {
    match slot {
        Some(4) => 0..=0,
        None => 1..=1,
        slot => {
            assert_eq!(slot, Some(9));
            2..=2
        }
    }
}

fn change(check: &Check) {
    const LOOKS: &[Look] = &[
        |index| match index.route(BLOCK) {
            Route::Held => step_of(None),
            Route::Spare { slot, lost: false } => step_of(Some(slot)),
            route => panic!("it is {route:?}"),
        },
        |index| match index.run(BLOCK, BLOCK) {
            (Route::Held, 1) => step_of(None),
            (Route::Spare { slot, lost: false }, 1) => step_of(Some(slot)),
            run => panic!("it is {run:?}"),
        },
        |index| step_of(index.slot_of(BLOCK)),
        |index| step_of(index.slots_of(BLOCK, BLOCK)),
    ];
    look_twice(
        check,
        (LOOKS, LOOKS),
        |index, occupancy| assert!(index.set(BLOCK, in_slot(4), occupancy)),
        |common, occupancy| {
            common.contents[1].write(1);
            assert!(common.index.set(BLOCK, Route::Held, occupancy));
            common.contents[2].write(1);
            assert!(common.index.set(BLOCK, in_slot(9), occupancy));
        },
    );
}

fn neighbours(check: &Check) {
    const LOOKS: &[Look] = &[
        |index| match index.run(BLOCK, BLOCK + 1) {
            (route, 1) => {
                assert_eq!(route, in_slot(4));
                0..=1
            }
            run => {
                assert_eq!(run, (in_slot(4), 2));
                2..=2
            }
        },
        |index| match index.slots_of(BLOCK, BLOCK + 1) {
            None => 0..=1,
            slot => {
                assert_eq!(slot, Some(4));
                2..=2
            }
        },
        |index| {
            assert_eq!(index.slot_of(BLOCK), Some(4));
            step_of_slot(index, BLOCK + 1, 5)
        },
        |index| {
            assert_eq!(index.route(BLOCK), in_slot(4));
            let step = step_of_route(index.route(BLOCK + 1), 5);
            step..=step
        },
    ];
    look_twice(
        check,
        (LOOKS, LOOKS),
        |index, occupancy| assert!(index.set(BLOCK, in_slot(4), occupancy)),
        |common, occupancy| {
            common.contents[1].write(1);
            assert!(common.index.set(BLOCK + 1, Route::Held, occupancy));
            common.contents[2].write(1);
            assert!(common.index.set(BLOCK + 1, in_slot(5), occupancy));
        },
    );
}

fn neighbour_below(check: &Check) {
    const LOOKS: &[Look] = &[
        |index| {
            assert_eq!(index.slot_of(BLOCK), Some(4));
            step_of_slot(index, BLOCK - 1, 3)
        },
        |index| {
            assert_eq!(index.slots_of(BLOCK, BLOCK), Some(4));
            match index.slots_of(BLOCK - 1, BLOCK) {
                None => 0..=1,
                slot => {
                    assert_eq!(slot, Some(3));
                    2..=2
                }
            }
        },
    ];
    look_twice(
        check,
        (LOOKS, LOOKS),
        |index, occupancy| assert!(index.set(BLOCK, in_slot(4), occupancy)),
        |common, occupancy| {
            common.contents[1].write(1);
            assert!(common.index.set(BLOCK - 1, Route::Held, occupancy));
            common.contents[2].write(1);
            assert!(common.index.set(BLOCK - 1, in_slot(3), occupancy));
        },
    );
}

/// A block with the same first cell.
const OTHER: u64 = BLOCK + 8;

/// The slot of a block that has an entry or had one, by its cell or by the rank as well.
fn slot_by<const RANK: bool>(index: &Index<Words>, block: u64) -> Option<u32> {
    if RANK {
        return index.slot_of(block).filter(|_| !index.is_on_main(block));
    }
    match index.route(block) {
        Route::Main => None,
        Route::Spare { slot, lost: false } => Some(slot),
        route => panic!("it is {route:?}"),
    }
}

/// Looks for the block that comes, then for the one that goes, whose cell it gets.
fn seen_of_both<const FIRST_BY_RANK: bool, const SECOND_BY_RANK: bool>(
    index: &Index<Words>,
) -> RangeInclusive<usize> {
    let has_come = match slot_by::<FIRST_BY_RANK>(index, OTHER) {
        None => false,
        slot => {
            assert_eq!(slot, Some(5));
            true
        }
    };
    match slot_by::<SECOND_BY_RANK>(index, BLOCK) {
        None if has_come => 2..=2,
        None => 1..=2,
        slot => {
            assert_eq!(slot, Some(4));
            assert!(!has_come, "two blocks have one cell");
            0..=0
        }
    }
}

fn reused_cell(check: &Check) {
    const LOOKS: &[Look] = &[
        seen_of_both::<false, false>,
        seen_of_both::<false, true>,
        seen_of_both::<true, false>,
        seen_of_both::<true, true>,
    ];
    look_twice(
        check,
        (LOOKS, &[|_| 0..=2]),
        |index, occupancy| assert!(index.set(BLOCK, in_slot(4), occupancy)),
        |common, occupancy| {
            common.contents[1].write(1);
            assert!(common.index.set(BLOCK, Route::Main, occupancy));
            common.contents[2].write(1);
            assert!(common.index.set(OTHER, in_slot(5), occupancy));
        },
    );
}

fn replaced() {
    let counters = GateCounters::new().expect("there is memory");
    let new = || KBox::new(index(), GFP_KERNEL).expect("there is memory");
    let old = new();
    let mut occupancy = Occupancy::default();
    assert!(old.set(BLOCK, in_slot(4), &mut occupancy));
    let (gate, mut drain) = Gate::new(old, counters);
    assert_eq!(gate.current(&drain).route(BLOCK), in_slot(4));
    let gate = Rc::new(gate);
    let bio = spawn(1, {
        let gate = gate.clone();
        move || {
            let inside = gate.enter(Direction::Read);
            assert_eq!(inside.route(BLOCK), in_slot(4));
            assert_eq!(inside.slot_of(BLOCK), Some(4));
        }
    });
    let next = new();
    let taken = next.take_over(gate.current(&drain));
    assert_eq!(taken, Some(occupancy));
    gate.make_room(&mut drain).expect("there is memory");
    gate.replace(&mut drain, next);
    gate.drain(&mut drain, Delta::from_millis(60_000))
        .expect("all have left");
    bio.join();
}
