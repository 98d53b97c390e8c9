// SPDX-License-Identifier: GPL-2.0

//! One history: devices are set up, used, and taken down, perhaps through power cuts.

use std::cell::Cell;

use machine::{
    disk::{Disk, Sector},
    random::Random,
    scheduler::{self, world, End},
    trace,
};

use crate::{
    kind::Kind,
    model::{self, INITIAL},
    old_format,
    settings::{Dooms, Settings},
    unit::Unit,
};

/// What came of a history.
pub(crate) struct Outcome {
    pub(crate) failure: Option<String>,
    pub(crate) trace: Vec<String>,
    pub(crate) operations: u64,
    /// Whether what was to happen to one request or allocation has happened.
    pub(crate) hit: bool,
}

/// The longest that a life may take, in nanoseconds: device errors are given a minute here and there.
const LIMIT: u64 = 3_600_000_000_000;

/// Runs the history of a seed.
pub(crate) fn run(kind: Kind, seed: u64, traced: bool) -> Outcome {
    let mixed = kind.stream(seed);
    let mut random = Random::new(mixed);
    let drawn = Settings::draw(kind, seed, &mut random.clone());
    let (policy, stalls) = (drawn.policy, drawn.stalls);
    drop(drawn);
    scheduler::begin(mixed, policy, stalls, traced);
    kernel::sync::reset_globals();
    model::reset_clock();
    let settings = Settings::draw(kind, seed, &mut random);
    trace!("{settings:?}");
    world().ram = settings.ram;
    world().restricts_writers = settings.restricts_writers;
    let history: &'static History = Box::leak(Box::new(History::new(settings)));
    for life in 0.. {
        let cut = life < history.settings.cuts;
        let last = scheduler::spawn("main".to_owned(), false, move || history.live(life));
        scheduler::set_time_limit(LIMIT);
        if cut && !kind.cuts_itself() {
            let steps = world().random.of(&[500, 5_000, 50_000]);
            let after = world().random.below(steps);
            scheduler::cut_power_after(after);
        }
        match scheduler::run(last) {
            End::Failed => break,
            End::Done => {
                // The power was cut in vain: it was all over.
                if !cut || history.common.is_over.get() {
                    break;
                }
            }
            End::PowerCut => history.cut_power(),
        }
    }
    let operations = history.common.operations.get();
    let hit = history.common.hit.get();
    let (failure, trace) = scheduler::end();
    Outcome {
        failure,
        trace,
        operations,
        hit,
    }
}

/// What all devices of a history share.
pub(crate) struct Common {
    /// Version of the newest write.
    pub(crate) content: Cell<u64>,
    pub(crate) bios: Cell<u64>,
    pub(crate) operations: Cell<u64>,
    is_over: Cell<bool>,
    /// Submitters that are at work: others go on as long as there are any.
    pub(crate) at_work: Cell<u32>,
    /// Devices for whose sake nothing is to fail for now.
    pub(crate) calm: Cell<u32>,
    /// Something may fail that works otherwise; and when that ended last.
    pub(crate) faulty: Cell<bool>,
    pub(crate) healed: Cell<u64>,
    /// A message was sent that may move blocks to the spare.
    pub(crate) moves: Cell<bool>,
    /// What was to happen to one request or allocation has happened.
    pub(crate) hit: Cell<bool>,
    /// Devices that are done with their work.
    met: Cell<u64>,
}

impl Common {
    /// Waits until all of so many devices have come here.
    pub(crate) fn meet(&self, devices: u64) {
        self.met.set(self.met.get() + 1);
        while self.met.get() < devices {
            scheduler::sleep(1_000_000);
        }
    }
}

/// A history.
struct History {
    settings: Settings,
    common: &'static Common,
    units: Vec<&'static Unit>,
}

fn disk(name: &'static str, number: u32, contents: Vec<Sector>, settings: &Settings) -> *mut Disk {
    let mut disk = Disk::new(name, number, contents, model::now);
    disk.logical = settings.logical as u32;
    disk.latency = settings.latency;
    disk.slow = settings.slow;
    disk.faults.statuses = settings.statuses.clone();
    disk.faults.mends = settings.mends;
    disk.faults.declines = settings.declines;
    Box::leak(disk)
}

impl History {
    fn new(settings: Settings) -> Self {
        let common: &Common = Box::leak(Box::new(Common {
            content: Cell::new(INITIAL + settings.units),
            bios: Cell::new(0),
            operations: Cell::new(0),
            is_over: Cell::new(false),
            at_work: Cell::new(0),
            calm: Cell::new(0),
            faulty: Cell::new(false),
            healed: Cell::new(0),
            moves: Cell::new(false),
            hit: Cell::new(false),
            met: Cell::new(0),
        }));
        let all: Vec<Settings> = (0..settings.units).map(|n| settings.of_unit(n)).collect();
        let end = all
            .iter()
            .map(|unit| unit.spare_start + unit.most_spare_len + 8)
            .max();
        let mut spare: Vec<Sector> = (0..end.unwrap_or(0))
            .map(|sector| {
                let in_slot = all.iter().any(|unit| {
                    let end = unit.spare_start + unit.spare_len.get();
                    unit.is_in_slot(sector) || unit.grows() && sector >= end
                });
                if in_slot && !settings.volatile {
                    [0x55; 512]
                } else {
                    [0; 512]
                }
            })
            .collect();
        for unit in all.iter().filter(|unit| unit.old_format) {
            old_format::format(&mut spare, unit, unit.main_sectors());
        }
        let spare = disk("spare", 0, spare, &settings);
        let mains: Vec<*mut Disk> = (0..)
            .zip(&all)
            .map(|(number, unit)| {
                let len = unit.main_sectors();
                let contents = (0..len)
                    .map(|sector| match sector.checked_sub(unit.main_start) {
                        Some(sector) if sector < unit.most_sectors => {
                            model::fill(INITIAL + u64::from(number), sector)
                        }
                        _ => [0xaa; 512],
                    })
                    .collect();
                let name = ["main", "main 1"][number as usize];
                disk(name, 1 + number, contents, unit)
            })
            .collect();
        let units = (0..)
            .zip(all)
            .map(|(number, settings)| {
                &*Box::leak(Box::new(Unit::new(number, settings, common, &mains, spare)))
            })
            .collect();
        Self {
            settings,
            common,
            units,
        }
    }

    fn cut_power(&'static self) {
        trace!("the power is cut");
        if self.units[0].dooms() == Some(Dooms::Power) {
            self.common.hit.set(true);
        }
        scheduler::abandon();
        kernel::sync::reset_globals();
        world().allocated = 0;
        world().pages = 0;
        for unit in &self.units {
            unit.heal();
        }
        let mut random = world().random.clone();
        for unit in &self.units {
            unit.main().cut_power(&mut random);
            unit.model().cut_power();
            unit.module.forget();
        }
        self.units[0].spare().cut_power(&mut random);
        world().random = random;
        for unit in &self.units {
            unit.main().device.bd_device.references = 1;
            unit.spare().device.bd_device.references = 1;
        }
        self.common.at_work.set(0);
        self.common.met.set(0);
        self.common.calm.set(0);
    }

    /// From table lines to the end of the devices.
    fn live(&'static self, life: u64) {
        let mut tasks = Vec::new();
        for unit in &self.units[1..] {
            let task = scheduler::spawn("main 1".to_owned(), false, move || unit.live(life));
            tasks.push(task);
        }
        self.units[0].live(life);
        for task in tasks {
            scheduler::join(task);
        }
        self.units[0].check_nothing_left(&self.units);
        self.common.is_over.set(true);
    }
}
