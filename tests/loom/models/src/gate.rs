// SPDX-License-Identifier: GPL-2.0

//! The gate: each claim of the proof in its header.

use std::rc::Rc;

use kernel::{
    memory::{Life, Plain},
    prelude::*,
    task::{migrate, spawn},
    time::Delta,
};

use crate::{
    linux::{
        gate::{Direction, Drain, Gate, GateCounters},
        WayOut,
    },
    Model,
};

pub(crate) static MODELS: &[Model] = &[
    Model {
        name: "gate_drain_waits",
        holds: "a drain waits for a bio that entered before the change, sees what it did, and one that enters later \
                sees the change",
        preemptions: None,
        run: |check| check.every_execution(drain_waits),
    },
    Model {
        name: "gate_two_bios",
        holds: "so it is with bios on two CPUs, which end on the other one",
        preemptions: Some(3),
        run: |check| check.every_execution(two_bios),
    },
    Model {
        name: "gate_freed_after_drain",
        holds: "what the gate guards is whole when a bio sees it, and there as long as the bio is inside, in any epoch",
        preemptions: None,
        run: |check| check.every_execution(freed_after_drain),
    },
    Model {
        name: "gate_gave_up",
        holds: "a drain that gave up is finished by the next one, before that frees anything",
        preemptions: None,
        run: |check| check.every_execution(gave_up),
    },
    Model {
        name: "gate_shared_counters",
        holds: "a drain waits for its own bios while others come and go in another gate with the same counters",
        preemptions: Some(3),
        run: |check| check.every_execution(shared_counters),
    },
    Model {
        name: "gate_marks",
        holds: "who enters a gate that times or watches sees what was done before that was set, while the gate is \
                drained, and no mark and no epoch is lost",
        preemptions: Some(3),
        run: |check| check.every_execution(marks),
    },
];

const PATIENCE: Delta = Delta::from_millis(60_000);

/// Where bios go: what the gate guards.
struct Map {
    number: Plain<u32>,
    life: Life,
}

impl Map {
    fn boxed(number: u32) -> KBox<Self> {
        let map = Self {
            number: Plain::new(0),
            life: Life::new(),
        };
        // What it says is written after it was made.
        map.number.write(number);
        KBox::new(map, GFP_KERNEL).expect("there is memory")
    }

    fn look(&self) -> u32 {
        self.life.check();
        self.number.read()
    }
}

/// A gate that bios have not seen, around map 0.
fn gate(counters: GateCounters) -> (Rc<Gate<Map>>, Drain<Map>) {
    let (gate, drain) = Gate::new(Map::boxed(0), counters);
    assert_eq!(gate.current(&drain).look(), 0);
    (Rc::new(gate), drain)
}

fn counters() -> GateCounters {
    GateCounters::new().expect("there is memory")
}

fn replace(gate: &Gate<Map>, drain: &mut Drain<Map>, number: u32) {
    gate.make_room(drain).expect("there is memory");
    gate.replace(drain, Map::boxed(number));
}

/// A write that goes to a block on main where map 0 is there, and is held otherwise. Returns whether it went.
fn write(gate: &Gate<Map>, block: &Plain<u32>, ends_on: usize) -> bool {
    let inside = gate.enter(Direction::Write);
    let goes = inside.look() == 0;
    if goes {
        block.write(1);
    }
    migrate(ends_on);
    inside.stay().leave();
    goes
}

fn drain_waits() {
    let (gate, mut drain) = gate(counters());
    let block = Rc::new(Plain::new(0));
    let bio = spawn(1, {
        let (gate, block) = (gate.clone(), block.clone());
        move || write(&gate, &block, 1)
    });
    replace(&gate, &mut drain, 1);
    gate.drain(&mut drain, PATIENCE).expect("all have left");
    // Races with a write that is still under way.
    let copy = block.read();
    assert_eq!(bio.join(), copy == 1);
    assert_eq!(gate.entered(Direction::Write), 1);
}

fn two_bios() {
    let (gate, mut drain) = gate(counters());
    let blocks = [0, 1].map(|_| Rc::new(Plain::new(0)));
    let bios = [0, 1].map(|cpu| {
        let (gate, block) = (gate.clone(), blocks[cpu].clone());
        spawn(cpu, move || write(&gate, &block, 1 - cpu))
    });
    replace(&gate, &mut drain, 1);
    gate.drain(&mut drain, PATIENCE).expect("all have left");
    let copies = blocks.map(|block| block.read() == 1);
    assert_eq!(bios.map(|bio| bio.join()), copies);
}

fn freed_after_drain() {
    let counters = counters();
    let exits = WayOut::new(&counters);
    let (gate, mut drain) = gate(counters);
    let bio = spawn(1, {
        let gate = gate.clone();
        move || {
            let inside = gate.enter(Direction::Read);
            let (first, second) = (inside.look(), inside.look());
            assert!(first <= second);
            migrate(0);
            exits.let_out(inside);
        }
    });
    for number in 1..=2 {
        replace(&gate, &mut drain, number);
        gate.drain(&mut drain, PATIENCE).expect("all have left");
    }
    bio.join();
}

fn gave_up() {
    let (gate, mut drain) = gate(counters());
    let bio = spawn(1, {
        let gate = gate.clone();
        move || {
            let inside = gate.enter(Direction::Read);
            inside.look();
        }
    });
    replace(&gate, &mut drain, 1);
    let first = gate.drain(&mut drain, Delta::from_micros(10));
    assert!(matches!(first, Ok(()) | Err(ETIMEDOUT)));
    replace(&gate, &mut drain, 2);
    gate.drain(&mut drain, PATIENCE).expect("all have left");
    bio.join();
}

fn shared_counters() {
    let counters = counters();
    let (gate, mut drain) = self::gate(counters.clone());
    let (other, _other_drain) = self::gate(counters);
    let block = Rc::new(Plain::new(0));
    let bio = spawn(0, {
        let (gate, block) = (gate.clone(), block.clone());
        move || write(&gate, &block, 0)
    });
    let stranger = spawn(0, {
        let other = other.clone();
        move || {
            let inside = other.enter(Direction::Write);
            migrate(1);
            drop(inside);
        }
    });
    replace(&gate, &mut drain, 1);
    gate.drain(&mut drain, PATIENCE).expect("all have left");
    let copy = block.read();
    assert_eq!(bio.join(), copy == 1);
    stranger.join();
}

fn marks() {
    let (gate, mut drain) = gate(counters());
    let (timing, watching) = (Rc::new(Plain::new(0)), Rc::new(Plain::new(0)));
    let marker = spawn(0, {
        let (gate, timing) = (gate.clone(), timing.clone());
        move || {
            timing.write(1);
            gate.set_timed(true);
        }
    });
    let bio = spawn(1, {
        let (gate, timing, watching) = (gate.clone(), timing.clone(), watching.clone());
        move || {
            let inside = gate.enter(Direction::Read);
            if inside.timed() {
                assert_eq!(timing.read(), 1);
            }
            if inside.watched() {
                assert_eq!(watching.read(), 1);
            }
            inside.look();
        }
    });
    watching.write(1);
    gate.set_watched(true);
    replace(&gate, &mut drain, 1);
    gate.drain(&mut drain, PATIENCE).expect("all have left");
    marker.join();
    bio.join();
    let last = spawn(0, {
        let gate = gate.clone();
        move || {
            let inside = gate.enter(Direction::Read);
            assert!(inside.timed() && inside.watched());
            assert_eq!(inside.look(), 1);
        }
    });
    last.join();
}
