// SPDX-License-Identifier: GPL-2.0

//! A mapped device of a history: its disks, its model, and its life.

use std::{
    cell::{Cell, RefCell, UnsafeCell},
    rc::Rc,
};

use machine::{
    c,
    disk::{Disk, Sector},
    fail,
    mapper::{MappedDevice, Table},
    scheduler::{self, world},
    trace,
};

use crate::{
    history::Common,
    judgement::Judge,
    kind::Kind,
    model::{Model, INITIAL},
    module::Module,
    settings::Settings,
};

/// Requests of a resume in which a spare area grows: most of them, and some more.
const GROWTH_REQUESTS: u64 = 40;

/// A mapped device.
pub(crate) struct Unit {
    pub(crate) number: u32,
    pub(crate) settings: Settings,
    pub(crate) common: &'static Common,
    model: UnsafeCell<Model>,
    main: *mut Disk,
    spare: *mut Disk,
    pub(crate) disks: Vec<*mut Disk>,
    device: UnsafeCell<Option<Rc<MappedDevice>>>,
    /// Sectors of the table.
    pub(crate) sectors: Cell<u64>,
    /// Sectors that users know of.
    pub(crate) limit: Cell<u64>,
    /// Where tables were cut short, and when nobody used what lies beyond any more.
    pub(crate) cuts: RefCell<Vec<(u64, u64)>>,
    /// Nobody is to fail for want of a table before that moment.
    pub(crate) absent_at: Cell<u64>,
    /// The spare area has metadata.
    formatted: Cell<bool>,
    /// Number of the life, from 0 on.
    life: Cell<u64>,
    /// Sectors to which the spare area is growing: it has these, or what it had before.
    pub(crate) growing_to: Cell<Option<u64>>,
    /// The area before it was damaged.
    undamaged: UnsafeCell<Vec<Sector>>,
    pub(crate) judge: Judge,
    /// The stress manager's part of the module.
    pub(crate) module: Module,
}

impl Unit {
    /// The device with that number, main disk and the spare disk that all share.
    pub(crate) fn new(
        number: u32,
        settings: Settings,
        common: &'static Common,
        mains: &[*mut Disk],
        spare: *mut Disk,
    ) -> Self {
        let survives = settings.cuts > 0;
        let model = Model::new(
            settings.most_sectors,
            settings.main_start,
            INITIAL + u64::from(number),
            survives,
        );
        let mut disks = vec![spare];
        disks.extend_from_slice(mains);
        Self {
            number,
            common,
            model: UnsafeCell::new(model),
            main: mains[number as usize],
            spare,
            disks,
            device: UnsafeCell::new(None),
            sectors: Cell::new(settings.sectors),
            limit: Cell::new(settings.sectors),
            cuts: RefCell::default(),
            absent_at: Cell::new(0),
            formatted: Cell::new(false),
            life: Cell::new(0),
            growing_to: Cell::new(None),
            undamaged: UnsafeCell::new(Vec::new()),
            judge: Judge::default(),
            module: Module::new(settings.sectors.div_ceil(settings.block)),
            settings,
        }
    }

    /// The model, for a moment: tasks take turns.
    #[allow(clippy::mut_from_ref)]
    pub(crate) fn model(&self) -> &mut Model {
        // SAFETY: There is one thread, and nobody keeps it where another task may run.
        unsafe { &mut *self.model.get() }
    }

    /// A disk, for a moment.
    #[allow(clippy::mut_from_ref)]
    pub(crate) fn main(&self) -> &mut Disk {
        // SAFETY: As above.
        unsafe { &mut *self.main }
    }

    /// As above.
    #[allow(clippy::mut_from_ref)]
    pub(crate) fn spare(&self) -> &mut Disk {
        // SAFETY: As above.
        unsafe { &mut *self.spare }
    }

    /// The mapped device.
    pub(crate) fn device(&self) -> Rc<MappedDevice> {
        // SAFETY: As above.
        unsafe { (*self.device.get()).clone() }.expect("a device")
    }

    /// The table line; `new` where the area has no metadata so far.
    pub(crate) fn line(&self, new: bool) -> String {
        self.settings.line(1 + self.number, new)
    }

    /// The table line with another length of the spare area.
    pub(crate) fn line_of(&self, spare_len: u64) -> String {
        let mut settings = self.settings.clone();
        settings.spare_len = Cell::new(spare_len);
        settings.line(1 + self.number, false)
    }

    /// The spare area is about to grow: the power is cut meanwhile, or soon after, now and then.
    pub(crate) fn may_cut_growth(&self) {
        let world = world();
        if self.life.get() < self.settings.cuts && world.random.one_in(2) {
            world.last_request = world.requests + world.random.between(1, GROWTH_REQUESTS);
        }
    }

    /// The spare area has grown.
    pub(crate) fn adopt_length(&self) {
        if let Some(len) = self.growing_to.take() {
            self.settings.has_grown(len);
        }
    }

    /// Waits until nobody uses the disks: what the keeper of the table has begun is done.
    pub(crate) fn wait_for_rest(&self) {
        let requests = || [self.main(), self.spare()].map(|disk| (disk.requests, disk.is_idle()));
        loop {
            let before = requests();
            scheduler::sleep(1_000_000_000);
            let after = requests();
            if before == after && after.iter().all(|(_, idle)| *idle) {
                return;
            }
        }
    }

    /// Everything that fails for now works again; what is bad stays bad.
    pub(crate) fn heal(&self) {
        world().failing_allocations = 0;
        world().signals = 0;
        world().doomed_allocations = 0..0;
        world().doomed_requests = 0..0;
        for disk in [self.main(), self.spare()] {
            disk.faults.transient = 0;
            disk.faults.outage = None;
            disk.faults.doomed = None;
            disk.faults.gone = false;
            disk.faults.stalled_until = 0;
        }
        self.common.faulty.set(false);
        self.common.healed.set(world().now);
        self.disturb();
    }

    /// Returns whether a bio for the sectors before `end` that began at `start` may have found no table, or
    /// one that is too short.
    pub(crate) fn may_miss(&self, end: u64, start: u64) -> bool {
        let mut cuts = self.cuts.borrow().clone().into_iter();
        self.absent_at.get() >= start || cuts.any(|(cut, when)| cut < end && when >= start)
    }

    /// Makes a mapped device without a table.
    pub(crate) fn make_device(&self) -> Rc<MappedDevice> {
        let disks = self.disks.clone();
        let minor = self.number as i32;
        let device = MappedDevice::new(minor, self.settings.begin, c::registered(), disks);
        // SAFETY: There is one thread.
        unsafe { *self.device.get() = Some(device.clone()) };
        device
    }

    /// Loads a table of the device's line, and uses it.
    fn set_up(&'static self, life: u64) {
        let device = self.make_device();
        self.limit.set(self.sectors.get());
        if life > 0 && self.resume_with_old_length() {
            return;
        }
        let line = match self.growing_to.get() {
            Some(len) => {
                self.may_cut_growth();
                self.line_of(len)
            }
            None => self.line(!self.formatted.get()),
        };
        trace!("life {life}: {line}");
        // Of a script only what is left of its second half.
        let first = match self.settings.nth {
            Some(_) => self.settings.cuts,
            None => 1,
        };
        let damages = self.settings.damages || self.judge.sound.take();
        if life > 0 && life >= first && damages {
            self.damage_metadata();
        }
        self.load_mistake_now_and_then(self.sectors.get());
        if let Some(table) = self.load(self.sectors.get(), &line) {
            device.swap(Some(table));
            self.first_resume();
            self.adopt_length();
        }
    }

    /// Begins a life after a power cut, in which the spare area grows now and then. Returns whether it has begun with
    /// the old length.
    fn resume_with_old_length(&'static self) -> bool {
        let random = &mut world().random;
        let may_grow = self.formatted.get() && self.growing_to.get().is_none();
        if self.settings.grows() && may_grow && random.one_in(3) {
            let longer = self.settings.longer_spare(random);
            let longer = longer.filter(|(_, fits)| *fits).map(|(len, _)| len);
            self.growing_to.set(longer);
        }
        if self.growing_to.get().is_none() || random.one_in(2) {
            return false;
        }
        let line = self.line(false);
        trace!("the old length: {line}");
        let Some(table) = self.load(self.sectors.get(), &line) else {
            return false;
        };
        let device = self.device();
        device.swap(Some(table));
        let resumed = device.resume();
        match resumed {
            Ok(()) => self.growing_to.set(None),
            Err(-22) => {
                trace!("it has grown");
                self.remove_table();
            }
            Err(error) => fail!("a table of the old length cannot be resumed: {error}"),
        }
        resumed.is_ok()
    }

    /// Loads a table, once more where memory was short.
    pub(crate) fn load(&'static self, sectors: u64, line: &str) -> Option<Rc<Table>> {
        loop {
            match self.device().load(sectors, line.as_bytes(), false) {
                Ok(table) => return Some(table),
                Err(-12) if self.is_short_of_memory() => self.heal(),
                Err(error) => {
                    fail!("the table is refused: {error}");
                    return None;
                }
            }
        }
    }

    /// Whether allocations may have failed.
    pub(crate) fn is_short_of_memory(&self) -> bool {
        let world = world();
        world.failing_allocations > 0 || !world.doomed_allocations.is_empty()
    }

    fn first_resume(&'static self) {
        let device = self.device();
        let Err(error) = device.resume() else {
            // Nothing fails so far: what was damaged is right again, and the other half may be next.
            self.judge.damaged.set(None);
            self.judge.beyond_repair.set(false);
            return;
        };
        let excused = self.common.faulty.get()
            || self.is_short_of_memory()
            || self.is_damaged()
            || self.spare().has_failed;
        if !excused {
            return fail!("the table cannot be resumed: {error}");
        }
        trace!("the resume has failed with {error}");
        self.repair();
        if let Err(error) = self.resume_healed() {
            fail!("a resume fails where no device does any more: {error}");
        }
    }

    /// Flips bits of the metadata: of one of its halves, or more.
    fn damage_metadata(&self) {
        if self.is_damaged() {
            // Nobody has put that right so far.
            return;
        }
        let start = self.settings.spare_start;
        let area = self.spare().contents(start, self.settings.spare_len.get());
        // SAFETY: There is one thread.
        unsafe { *self.undamaged.get() = area };
        let random = &mut world().random;
        let mut random = random.clone();
        let (head, tail) = self.settings.metadata();
        let beyond_repair = random.one_in(6);
        // Of both it would be too much, as long as nobody has put the first one right.
        let known = self.judge.damaged.get();
        let first = known.unwrap_or_else(|| random.one_in(2));
        self.judge.damaged.set(Some(first));
        for (half, of) in [(true, head), (false, tail)] {
            if half != first && !beyond_repair {
                continue;
            }
            let share = random.of(&[30, 300, 1000]);
            for sector in of {
                if random.permille(share) {
                    trace!("sector {sector} of the spare is damaged");
                    self.spare().damage(sector, &mut random);
                }
            }
        }
        world().random = random;
        self.judge.beyond_repair.set(beyond_repair);
    }

    fn is_damaged(&self) -> bool {
        self.judge.beyond_repair.get()
    }

    /// What was damaged is as it was before.
    fn repair(&self) {
        if self.judge.beyond_repair.replace(false) {
            // SAFETY: There is one thread.
            let area = unsafe { std::mem::take(&mut *self.undamaged.get()) };
            self.spare().restore(self.settings.spare_start, &area);
        }
    }

    /// From a table line to the end of the device.
    pub(crate) fn live(&'static self, life: u64) {
        self.life.set(life);
        if life == self.settings.faulty_life {
            self.doom();
        }
        if self.settings.kind == Kind::Copies {
            self.may_cut_loading(life);
        }
        self.set_up(life);
        self.formatted.set(true);
        self.begin_judging();
        if life > 0 {
            self.read_everything();
            self.model().settle();
        }
        if self.common.calm.get() == 0 {
            world().failing_allocations = self.settings.failing_allocations;
        }
        world().signals = self.settings.signals;
        self.use_it(life);
        self.common.meet(self.settings.units);
        self.heal();
        if self.settings.kind == Kind::Stress {
            self.end_stress();
        }
        self.read_everything();
        self.judge_all();
        let remapped = self.remapped();
        if self.settings.kind == Kind::Stress {
            self.unload_in_the_end();
        }
        self.remove_table();
        if self.settings.kind == Kind::Exact || world().random.one_in(8) {
            self.try_other_tables(remapped);
        }
    }

    /// Suspends the device and destroys its table, if there is one. Fails if I/O is left.
    pub(crate) fn remove_table(&self) {
        let device = self.device();
        device.suspend();
        self.check_quiet();
        if let Some(table) = device.take_table() {
            device.destroy(table);
        }
    }

    /// Fails where something of the devices is left.
    pub(crate) fn check_nothing_left(&self, units: &[&'static Unit]) {
        let left = world().allocated;
        if left != 0 {
            fail!("{left} objects are left in memory");
        }
        for unit in units {
            for disk in [unit.main(), unit.spare()] {
                if disk.device.bd_device.references != 1 {
                    fail!("references of block devices are left");
                }
                if !disk.is_idle() {
                    fail!("I/O goes on after the device has gone");
                }
            }
        }
    }

    /// Reads all sectors, one logical block after the other. Returns how many cannot be read.
    pub(crate) fn read_everything(&'static self) -> u64 {
        let mut unread = 0;
        let logical = self.settings.logical;
        let first = match self.settings.kind {
            // The others are given up, and nobody writes to them.
            Kind::Pages => self.limit.get() - 16,
            _ => 0,
        };
        for sector in (first..self.limit.get()).step_by(logical as usize) {
            let len = logical.min(self.limit.get() - sector);
            if !self.read(sector, len) {
                unread += len;
            }
        }
        unread
    }

    /// All at once, or what the kind of history wants.
    fn use_it(&'static self, life: u64) {
        match self.settings.kind {
            Kind::Fill | Kind::Pages => return self.fill_rounds(life),
            Kind::Wholesale => return self.fail_wholesale(),
            Kind::Nth => return self.follow_script(life),
            Kind::Copies => return self.try_copies(life),
            Kind::Stress => return self.stress(),
            Kind::Exact => return self.try_one_by_one(),
            _ => {}
        }
        let mut tasks = Vec::new();
        let mut spawn = |name: String, body: fn(&'static Self)| {
            tasks.push(scheduler::spawn(name, false, move || body(self)));
        };
        let settings = &self.settings;
        self.common
            .at_work
            .set(self.common.at_work.get() + settings.submitters as u32);
        for n in 0..settings.submitters {
            spawn(self.name("user", n), Self::submit_bios);
        }
        for n in 0..settings.messengers {
            spawn(self.name("sender", n), Self::send_messages);
        }
        let changes = settings.suspends || settings.reloads || settings.grows();
        if changes || settings.resizes || settings.removals {
            spawn(self.name("suspender", 0), Self::suspend_now_and_then);
        }
        if settings.kind == Kind::Outage {
            spawn(self.name("fault", 0), Self::fail_for_a_while);
        } else if !settings.faults.is_empty() {
            spawn(self.name("fault", 0), Self::fail_now_and_then);
        }
        for task in tasks {
            scheduler::join(task);
        }
    }

    /// Name of a task for the trace.
    pub(crate) fn name(&self, what: &str, n: u64) -> String {
        match self.number {
            0 => format!("{what} {n}"),
            number => format!("{what} {n} of {number}"),
        }
    }
}
