// SPDX-License-Identifier: GPL-2.0

//! One history: a device is set up, used, and taken down, perhaps through power cuts.

use std::{cell::Cell, cell::UnsafeCell, rc::Rc};

use machine::{
    c,
    disk::{Disk, Sector},
    fail,
    mapper::{MappedDevice, UserBio},
    random::Random,
    scheduler::{self, world, End},
    trace,
};

use crate::{
    model::{self, Model, INITIAL, ZEROS},
    settings::{Fault, Kind, Settings},
};

/// What came of a history.
pub(crate) struct Outcome {
    pub(crate) failure: Option<String>,
    pub(crate) trace: Vec<String>,
    pub(crate) operations: u64,
}

/// The longest that a life may take, in nanoseconds: device errors are given a minute here and there.
const LIMIT: u64 = 3_600_000_000_000;

/// Most suspensions of a life.
const MOST_SUSPENDS: u64 = 8;

/// Most changes of what fails in a life.
const MOST_FAULTS: u64 = 24;

/// Runs the history of a seed.
pub(crate) fn run(kind: Kind, seed: u64, traced: bool) -> Outcome {
    let mixed = seed.wrapping_mul(4).wrapping_add(kind as u64);
    let mut random = Random::new(mixed);
    let drawn = Settings::draw(kind, &mut random.clone());
    let (policy, stalls) = (drawn.policy, drawn.stalls);
    drop(drawn);
    scheduler::begin(mixed, policy, stalls, traced);
    kernel::sync::reset_globals();
    model::reset_clock();
    let settings = Settings::draw(kind, &mut random);
    trace!("{settings:?}");
    let history: &'static History = Box::leak(Box::new(History::new(settings)));
    for life in 0.. {
        let cut = life < history.settings.cuts;
        let last = scheduler::spawn("main".to_owned(), false, move || history.live(life));
        scheduler::set_time_limit(LIMIT);
        if cut {
            let steps = world().random.of(&[500, 5_000, 50_000]);
            let after = world().random.below(steps);
            scheduler::cut_power_after(after);
        }
        match scheduler::run(last) {
            End::Failed => break,
            End::Done => {
                // The power was cut in vain: it was all over.
                if !cut || history.is_over.get() {
                    break;
                }
            }
            End::PowerCut => history.cut_power(),
        }
    }
    let operations = history.operations.get();
    let (failure, trace) = scheduler::end();
    Outcome {
        failure,
        trace,
        operations,
    }
}

struct History {
    settings: Settings,
    model: UnsafeCell<Model>,
    main: *mut Disk,
    spare: *mut Disk,
    device: UnsafeCell<Option<Rc<MappedDevice>>>,
    content: Cell<u64>,
    bios: Cell<u64>,
    operations: Cell<u64>,
    is_over: Cell<bool>,
    /// Submitters that are at work: others go on as long as there are any.
    at_work: Cell<u32>,
    /// Nothing is to fail for now.
    calm: Cell<bool>,
    /// The spare area has metadata.
    formatted: Cell<bool>,
}

impl History {
    fn new(settings: Settings) -> Self {
        let len = settings.main_start + settings.sectors + 8;
        let main: Vec<Sector> = (0..len)
            .map(|sector| match sector.checked_sub(settings.main_start) {
                Some(sector) if sector < settings.sectors => model::fill(INITIAL, sector),
                _ => [0xaa; 512],
            })
            .collect();
        let (first_slot, last_slot) = settings.slots();
        let len = settings.spare_start + settings.spare_len + 8;
        let spare: Vec<Sector> = (0..len)
            .map(|sector| {
                if (first_slot..last_slot).contains(&sector) && !settings.volatile {
                    [0x55; 512]
                } else {
                    [0; 512]
                }
            })
            .collect();
        let mut main = Disk::new("main", 0, main, model::now);
        let mut spare = Disk::new("spare", 1, spare, model::now);
        for disk in [&mut main, &mut spare] {
            disk.logical = settings.logical as u32;
            disk.latency = settings.latency;
            disk.slow = settings.slow;
            disk.faults.statuses = settings.statuses.clone();
            disk.faults.mends = settings.mends;
        }
        let survives = settings.cuts > 0;
        Self {
            model: UnsafeCell::new(Model::new(settings.sectors, settings.main_start, survives)),
            settings,
            main: Box::leak(main),
            spare: Box::leak(spare),
            device: UnsafeCell::new(None),
            content: Cell::new(INITIAL),
            bios: Cell::new(0),
            operations: Cell::new(0),
            is_over: Cell::new(false),
            at_work: Cell::new(0),
            calm: Cell::new(false),
            formatted: Cell::new(false),
        }
    }

    /// The model, for a moment: tasks take turns.
    #[allow(clippy::mut_from_ref)]
    fn model(&self) -> &mut Model {
        // SAFETY: There is one thread, and nobody keeps it where another task may run.
        unsafe { &mut *self.model.get() }
    }

    /// A disk, for a moment.
    #[allow(clippy::mut_from_ref)]
    fn main(&self) -> &mut Disk {
        // SAFETY: As above.
        unsafe { &mut *self.main }
    }

    /// As above.
    #[allow(clippy::mut_from_ref)]
    fn spare(&self) -> &mut Disk {
        // SAFETY: As above.
        unsafe { &mut *self.spare }
    }

    fn device(&self) -> Rc<MappedDevice> {
        // SAFETY: As above.
        unsafe { (*self.device.get()).clone() }.expect("a device")
    }

    /// Everything that fails for now works again; what is bad stays bad.
    fn heal(&'static self) {
        world().failing_allocations = 0;
        world().signals = 0;
        for disk in [self.main(), self.spare()] {
            disk.faults.transient = 0;
            disk.faults.outage = None;
            disk.faults.gone = false;
            disk.faults.stalled_until = 0;
        }
    }

    fn cut_power(&'static self) {
        trace!("the power is cut");
        scheduler::abandon();
        kernel::sync::reset_globals();
        world().allocated = 0;
        self.heal();
        let mut random = world().random.clone();
        for disk in [self.main(), self.spare()] {
            disk.cut_power(&mut random);
            disk.device.bd_device.references = 1;
        }
        world().random = random;
        self.model().cut_power();
        self.at_work.set(0);
        self.calm.set(false);
    }

    /// From a table line to the end of the device.
    fn live(&'static self, life: u64) {
        let disks: Vec<*mut Disk> = vec![self.main, self.spare];
        let device = MappedDevice::new(c::registered(), disks);
        // SAFETY: There is one thread.
        unsafe { *self.device.get() = Some(device.clone()) };
        let line = self.settings.line(!self.formatted.get());
        trace!("life {life}: {line}");
        let table = match device.load(self.settings.sectors, &line, false) {
            Ok(table) => table,
            Err(error) => return fail!("the table is refused: {error}"),
        };
        device.swap(Some(table));
        if let Err(error) = device.resume() {
            return fail!("the table cannot be resumed: {error}");
        }
        self.formatted.set(true);
        if life > 0 {
            self.read_everything();
            self.model().settle();
        }
        world().failing_allocations = self.settings.failing_allocations;
        world().signals = self.settings.signals;
        self.use_it();
        self.heal();
        self.read_everything();
        let status = device.status(c::status_type_t_STATUSTYPE_INFO);
        trace!("status: {status}");
        device.suspend();
        let table = device.take_table();
        if let Some(table) = table {
            device.destroy(table);
        }
        let left = world().allocated;
        if left != 0 {
            fail!("{left} objects are left in memory");
        }
        if self.main().device.bd_device.references != 1
            || self.spare().device.bd_device.references != 1
        {
            fail!("references of block devices are left");
        }
        if !self.main().is_idle() || !self.spare().is_idle() {
            fail!("I/O goes on after the device has gone");
        }
        self.is_over.set(true);
    }

    /// Reads all sectors, one after the other.
    fn read_everything(&'static self) {
        for sector in (0..self.settings.sectors).step_by(self.settings.logical as usize) {
            self.read(
                sector,
                self.settings.logical.min(self.settings.sectors - sector),
            );
        }
    }

    /// All at once.
    fn use_it(&'static self) {
        if self.settings.kind == Kind::Fill {
            return self.fill_rounds();
        }
        let mut tasks = Vec::new();
        self.at_work.set(self.settings.submitters as u32);
        for n in 0..self.settings.submitters {
            let this = self;
            tasks.push(scheduler::spawn(format!("user {n}"), false, move || {
                this.submit_bios()
            }));
        }
        for n in 0..self.settings.messengers {
            let this = self;
            tasks.push(scheduler::spawn(format!("sender {n}"), false, move || {
                this.send_messages()
            }));
        }
        if self.settings.suspends || self.settings.reloads {
            let this = self;
            tasks.push(scheduler::spawn("suspender".to_owned(), false, move || {
                this.suspend_now_and_then()
            }));
        }
        if !self.settings.faults.is_empty() {
            let this = self;
            tasks.push(scheduler::spawn("fault".to_owned(), false, move || {
                this.fail_now_and_then()
            }));
        }
        for task in tasks {
            scheduler::join(task);
        }
    }

    /// Some sectors of the device, whole logical blocks.
    fn some_sectors(&self) -> (u64, u64) {
        let settings = &self.settings;
        let random = &mut world().random;
        let first = random.below(settings.hot) / settings.logical * settings.logical;
        let most = settings.longest.min(settings.sectors - first);
        let len = random
            .between(1, most)
            .next_multiple_of(settings.logical)
            .min(settings.sectors - first);
        (first, len)
    }

    fn rest(&self, most: u64) {
        if most > 0 {
            let ns = world().random.below(most);
            scheduler::sleep(ns);
        }
    }

    fn submit_bios(&'static self) {
        for _ in 0..self.settings.operations {
            let (first, len) = self.some_sectors();
            match world().random.below(100) {
                0..40 => self.read(first, len),
                40..82 => self.write(first, len),
                82..89 => self.flush(),
                89..95 => self.change(first, len, c::REQ_OP_WRITE_ZEROES),
                _ if self.settings.discards => self.change(first, len, c::REQ_OP_DISCARD),
                _ => self.write(first, len),
            }
            self.rest(self.settings.pause);
        }
        self.at_work.set(self.at_work.get() - 1);
    }

    fn bio(&'static self, opf: u32, first: u64, sectors: u64, data: Vec<u8>) -> (u8, Rc<UserBio>) {
        self.bios.set(self.bios.get() + 1);
        self.operations.set(self.operations.get() + 1);
        let bio = UserBio::new(self.bios.get(), opf, first, sectors as u32, data);
        trace!(
            "bio {}: {} {first}+{sectors}",
            self.bios.get(),
            describe(opf)
        );
        self.device().submit(&bio);
        (bio.wait(), bio)
    }

    fn read(&'static self, first: u64, len: u64) {
        let id = self.model().begin_read(first, len);
        let (status, bio) = self.bio(c::REQ_OP_READ, first, len, vec![0xee; len as usize * 512]);
        let data = (status == c::BLK_STS_OK).then_some(&bio.data[..]);
        self.model().end_read(id, data, self.main(), self.spare());
    }

    fn check_error(&self, what: &str) {
        let excused = self.main().has_failed
            || self.spare().has_failed
            || self.settings.failing_allocations > 0;
        if !excused {
            fail!("{what} fails, and no device has");
        }
    }

    fn write(&'static self, first: u64, len: u64) {
        let random = &mut world().random;
        let mut opf = c::REQ_OP_WRITE;
        if random.one_in(5) {
            opf |= c::REQ_FUA;
        }
        if random.one_in(10) {
            opf |= c::REQ_PREFLUSH;
        }
        self.change(first, len, opf);
    }

    /// Writes, or what has the effect of a write.
    fn change(&'static self, first: u64, len: u64, opf: u32) {
        let writes = opf & c::REQ_OP_MASK == c::REQ_OP_WRITE;
        let mut data = Vec::new();
        let mut content = ZEROS;
        if writes {
            self.content.set(self.content.get() + 1);
            content = self.content.get();
            for sector in first..first + len {
                data.extend_from_slice(&model::fill(content, sector));
            }
        }
        let start = self.model().begin_write(first, len, content);
        trace!("version {content}");
        let (status, _) = self.bio(opf, first, len, data);
        let ok = status == c::BLK_STS_OK;
        if ok && opf & c::REQ_PREFLUSH != 0 {
            self.model().end_flush(start);
        }
        let discards = opf & c::REQ_OP_MASK == c::REQ_OP_DISCARD;
        self.model()
            .end_write(start, first, len, ok, opf & c::REQ_FUA != 0, discards);
        if !ok && !self.model().was_given_up(start, first, len) {
            self.check_error("a write");
        }
    }

    fn flush(&'static self) {
        let start = self.model().begin_flush();
        let (status, _) = self.bio(c::REQ_OP_WRITE | c::REQ_PREFLUSH, 0, 0, Vec::new());
        if status == c::BLK_STS_OK {
            self.model().end_flush(start);
        } else {
            self.check_error("a flush");
        }
    }

    fn send_messages(&'static self) {
        for _ in 0..self.settings.operations {
            self.rest(self.settings.pause.max(50_000) * 4);
            if self.settings.messages.is_empty() || self.at_work.get() == 0 {
                return;
            }
            let message = world().random.of(&self.settings.messages);
            self.send_one(message);
        }
    }

    fn send_one(&'static self, message: &str) {
        let (first, len) = self.some_sectors();
        let random = &mut world().random;
        let range = if random.one_in(2) {
            first.to_string()
        } else {
            format!("{first} {len}")
        };
        let text = match message {
            "remap" | "unremap" => format!("{message} {range}"),
            "bad" => {
                return self.give_up(
                    first,
                    if range.contains(' ') { len } else { 1 },
                    &format!("bad {range}"),
                )
            }
            "verify" => format!("verify {first}"),
            "list" | "pending" => format!("{message} {first} {}", random.below(4)),
            "policy" => format!(
                "policy {}",
                random.of(&["relocate", "relocate", "record", "off"])
            ),
            "scrub" => format!(
                "scrub {}",
                random.of(&["start", "start 1", "stop", "status"])
            ),
            "nonsense" => format!("remap {} {}", random.below(1 << 40), random.number()),
            "status" => {
                self.device().status(c::status_type_t_STATUSTYPE_TABLE);
                self.device().status(c::status_type_t_STATUSTYPE_INFO);
                return;
            }
            other => other.to_owned(),
        };
        let _ = self.send(&text);
    }

    fn send(&'static self, text: &str) -> Result<String, i32> {
        trace!("message '{text}'");
        self.operations.set(self.operations.get() + 1);
        let replied = self.device().message(text);
        trace!("message '{text}': {replied:?}");
        replied
    }

    fn give_up(&'static self, first: u64, len: u64, text: &str) {
        let block = self.settings.block;
        let from = first / block * block;
        let to = (first + len)
            .next_multiple_of(block)
            .min(self.settings.sectors);
        self.model().begin_bad(from, to);
        let _ = self.send(text);
        self.model().end_bad(from, to);
    }

    fn suspend_now_and_then(&'static self) {
        for _ in 0..MOST_SUSPENDS {
            self.rest(self.settings.pause.max(100_000) * 8);
            if self.at_work.get() == 0 {
                return;
            }
            let reload =
                self.settings.reloads && (!self.settings.suspends || world().random.one_in(2));
            let line = self.settings.line(false);
            let new = if reload {
                self.device().load(self.settings.sectors, &line, false).ok()
            } else {
                None
            };
            trace!("suspend");
            self.device().suspend();
            trace!("suspended");
            self.rest(self.settings.pause);
            let old = new.and_then(|new| self.device().swap(Some(new)));
            if self.device().resume().is_err() {
                self.check_error("a resume");
                trace!("the resume has failed: devices are healed");
                self.calm.set(true);
                self.heal();
                if let Err(error) = self.device().resume() {
                    fail!("a resume fails where no device does any more: {error}");
                }
                self.calm.set(false);
            }
            trace!("resumed");
            if let Some(old) = old {
                self.device().destroy(old);
            }
        }
    }

    fn fail_now_and_then(&'static self) {
        for _ in 0..MOST_FAULTS {
            self.rest(self.settings.pause.max(100_000) * 8);
            if self.at_work.get() == 0 {
                break;
            }
            let fault = world().random.of(&self.settings.faults);
            if !self.calm.get() {
                self.fail_so(fault);
            }
        }
        self.heal();
    }

    fn fail_so(&'static self, fault: Fault) {
        use Fault::*;
        trace!("fault: {fault:?}");
        let (first, end) = self.settings.slots();
        let random = &mut world().random;
        let on_main = matches!(
            fault,
            MainUnreadable | MainUnwritable | MainTransient | MainOutage | MainStall
        );
        let status = random.of(&self.settings.statuses);
        let bad = random.of(&[c::BLK_STS_MEDIUM, c::BLK_STS_IOERR]);
        let sector = if on_main {
            self.settings.main_start + random.below(self.settings.hot)
        } else {
            random.between(first, end - 1)
        };
        let faults = if on_main {
            &mut self.main().faults
        } else {
            &mut self.spare().faults
        };
        match fault {
            MainUnreadable | SpareUnreadable => {
                if random.one_in(3) {
                    faults.unreadable.clear();
                } else {
                    faults.unreadable.insert(sector, bad);
                }
            }
            MainUnwritable | SpareUnwritable => {
                if random.one_in(3) {
                    faults.unwritable.clear();
                } else {
                    faults.unwritable.insert(sector, bad);
                }
            }
            MainTransient | SpareTransient => faults.transient = random.of(&[0, 0, 20, 200, 600]),
            MainOutage | SpareOutage => faults.outage = random.one_in(2).then_some(status),
            MainStall | SpareStall => {
                let takes = random.of(&[1_000_000, 100_000_000, 30_000_000_000]);
                faults.stalled_until = world().now + takes;
            }
        }
    }

    /// Lost sectors are written, while a write to another sector of the block fails, and the block moves.
    fn fill_rounds(&'static self) {
        let rounds = world().random.between(1, 6);
        for _ in 0..rounds {
            let block = world()
                .random
                .below(self.settings.sectors.div_ceil(self.settings.block));
            let first = block * self.settings.block;
            let len = self.settings.block.min(self.settings.sectors - first);
            self.give_up(first, len, &format!("bad {first} {len}"));
            let slot = self
                .send(&format!("verify {first}"))
                .ok()
                .and_then(|reply| reply.rsplit(' ').next()?.parse::<u64>().ok());
            if let Some(slot) = slot.filter(|slot| *slot < self.spare().sectors()) {
                let at = slot + world().random.below(len);
                self.spare().faults.unwritable.insert(at, c::BLK_STS_MEDIUM);
            }
            let writers = world().random.between(2, 4);
            self.at_work.set(writers as u32);
            let mut tasks: Vec<usize> = (0..writers)
                .map(|n| {
                    let this = self;
                    scheduler::spawn(format!("user {n}"), false, move || {
                        this.write_block(first, len)
                    })
                })
                .collect();
            if !self.settings.faults.is_empty() && world().random.one_in(2) {
                let this = self;
                tasks.push(scheduler::spawn("fault".to_owned(), false, move || {
                    this.fail_now_and_then()
                }));
            }
            for task in tasks {
                scheduler::join(task);
            }
            self.heal();
            for sector in (first..first + len).step_by(self.settings.logical as usize) {
                self.read(sector, self.settings.logical.min(first + len - sector));
            }
        }
    }

    fn write_block(&'static self, first: u64, len: u64) {
        let count = world().random.between(1, 3);
        for _ in 0..count {
            let logical = self.settings.logical;
            let at = world().random.below(len) / logical * logical;
            let most = len - at;
            let len = world()
                .random
                .between(1, most)
                .next_multiple_of(logical)
                .min(most);
            if world().random.one_in(6) {
                self.flush();
            }
            self.write(first + at, len);
            self.rest(self.settings.pause.min(200_000));
        }
        self.at_work.set(self.at_work.get() - 1);
    }
}

fn describe(opf: u32) -> String {
    let mut text = match opf & c::REQ_OP_MASK {
        c::REQ_OP_READ => "read",
        c::REQ_OP_WRITE => "write",
        c::REQ_OP_DISCARD => "discard",
        _ => "write zeroes",
    }
    .to_owned();
    if opf & c::REQ_PREFLUSH != 0 {
        text.push_str(" preflush");
    }
    if opf & c::REQ_FUA != 0 {
        text.push_str(" fua");
    }
    text
}
