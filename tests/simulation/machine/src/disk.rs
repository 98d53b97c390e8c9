// SPDX-License-Identifier: GPL-2.0

//! Disks: a medium under a volatile cache, and the ways in which they fail.
//!
//! A request takes effect at one moment and ends at a later one, in an interrupt. What was written is in
//! the cache until it is flushed; FUA goes to the medium at once. When the power is cut, each sector
//! keeps what the medium has or any of what the cache had, and requests under way are done in part.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range, //
};

use crate::{
    c::{self, blk_status_t, block_device, gendisk},
    fail,
    random::Random,
    scheduler::{self, world},
    trace, //
};

/// Statuses that may mean that the medium has failed.
pub const BLAMES: [blk_status_t; 4] = [
    c::BLK_STS_MEDIUM,
    c::BLK_STS_PROTECTION,
    c::BLK_STS_IOERR,
    c::BLK_STS_TARGET,
];

/// Contents of a sector.
pub type Sector = [u8; 512];

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Writes zeros.
    Zero,
    /// Gives contents up: each sector reads as before, or as zeros.
    Discard,
    /// Makes durable what was written.
    Flush,
}

/// A request.
pub struct Request {
    /// What it does.
    pub operation: Operation,
    /// Where.
    pub sector: u64,
    /// How much.
    pub sectors: u64,
    /// The memory.
    pub data: *mut u8,
    /// Everything written before is made durable first.
    pub preflush: bool,
    /// Durable when it ends.
    pub fua: bool,
    /// The submitter can do without it.
    pub readahead: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Flushed,
    Done,
}

/// How a disk fails.
#[derive(Default)]
pub struct Faults {
    /// Sectors that cannot be read, and with what status.
    pub unreadable: BTreeMap<u64, blk_status_t>,
    /// Sectors that cannot be written.
    pub unwritable: BTreeMap<u64, blk_status_t>,
    /// A write mends what cannot be read.
    pub mends: bool,
    /// Of 1000 requests, so many fail for no reason.
    pub transient: u64,
    /// With one of these.
    pub statuses: Vec<blk_status_t>,
    /// Every request fails with that.
    pub outage: Option<blk_status_t>,
    /// The number of the first request that does.
    pub outage_from: u64,
    /// The device has been taken away.
    pub gone: bool,
    /// Nothing ends before that time.
    pub stalled_until: u64,
    /// Only requests that touch one of these are doomed for their number.
    pub doomed: Option<Vec<Range<u64>>>,
    /// Of 1000 reads that the submitter can do without, so many are declined.
    pub declines: u64,
    /// Transient faults and outages spare sectors before this and from the second number on.
    pub only: Option<(u64, u64)>,
}

/// A disk.
pub struct Disk {
    /// For the trace.
    pub name: &'static str,
    medium: Vec<Sector>,
    cache: BTreeMap<u64, Vec<(u64, Sector)>>,
    sequence: u64,
    under_way: Vec<(u64, Request, Phase)>,
    /// How it fails now.
    pub faults: Faults,
    /// When a sector was last told to have failed, in model time; 0 never.
    pub failed_at: Vec<u64>,
    /// When anything could not be read last.
    pub read_failed_at: u64,
    /// Something has failed so far.
    pub has_failed: bool,
    /// Sectors of writes that have failed in a way that may be the medium's fault.
    pub blamed: BTreeSet<u64>,
    /// Nanoseconds of an ordinary request, at least and at most.
    pub latency: (u64, u64),
    /// Of 1000 requests, so many take a hundred times as long.
    pub slow: u64,
    /// Sectors of a logical block.
    pub logical: u32,
    /// It takes write-zeroes.
    pub takes_zeroes: bool,
    /// Requests so far.
    pub requests: u64,
    /// Of C.
    pub device: Box<block_device>,
    /// Of C.
    pub gendisk: Box<gendisk>,
    /// Tells the model's time.
    pub clock: fn() -> u64,
}

impl Disk {
    /// A disk with that number and those contents.
    pub fn new(
        name: &'static str,
        number: u32,
        medium: Vec<Sector>,
        clock: fn() -> u64,
    ) -> Box<Self> {
        let len = medium.len();
        let mut gendisk = Box::new(gendisk {
            major: 8,
            first_minor: number as i32,
        });
        let device = Box::new(block_device {
            bd_disk: &mut *gendisk,
            bd_dev: 8 << 20 | number,
            bd_device: c::device { references: 1 },
            disk: std::ptr::null_mut(),
            mapped: std::ptr::null(),
        });
        let mut disk = Box::new(Self {
            name,
            medium,
            cache: BTreeMap::new(),
            sequence: 0,
            under_way: Vec::new(),
            faults: Faults::default(),
            failed_at: vec![0; len],
            read_failed_at: 0,
            has_failed: false,
            blamed: BTreeSet::new(),
            latency: (20_000, 200_000),
            slow: 0,
            logical: 1,
            takes_zeroes: true,
            requests: 0,
            device,
            gendisk,
            clock,
        });
        let pointer: *mut Disk = &mut *disk;
        disk.device.disk = pointer;
        disk
    }

    /// Sectors.
    pub fn sectors(&self) -> u64 {
        self.medium.len() as u64
    }

    /// Flips bits of a sector of the medium, at rest.
    pub fn damage(&mut self, sector: u64, random: &mut Random) {
        self.cache.remove(&sector);
        let contents = &mut self.medium[sector as usize];
        let before = *contents;
        // The same bit may flip twice.
        while *contents == before {
            for _ in 0..random.between(1, 8) {
                let (byte, bit) = (random.below(512) as usize, random.below(8));
                contents[byte] ^= 1 << bit;
            }
        }
    }

    /// What the medium holds in some sectors, with the cache written out.
    pub fn contents(&mut self, first: u64, sectors: u64) -> Vec<Sector> {
        self.flush(u64::MAX);
        self.medium[first as usize..(first + sectors) as usize].to_vec()
    }

    /// Makes the medium hold that again.
    pub fn restore(&mut self, first: u64, contents: &[Sector]) {
        let first = first as usize;
        self.medium[first..first + contents.len()].copy_from_slice(contents);
    }

    /// What a sector reads as.
    pub fn look(&self, sector: u64) -> &Sector {
        match self.cache.get(&sector).and_then(|versions| versions.last()) {
            Some((_, contents)) => contents,
            None => &self.medium[sector as usize],
        }
    }

    /// Begins a request; `end` is called in an interrupt with its status.
    pub fn submit(&mut self, request: Request, end: impl FnOnce(blk_status_t) + 'static) {
        let world = world();
        self.requests += 1;
        let id = self.requests;
        let doomed = scheduler::count_request() && self.can_be_doomed(&request);
        let doomed = doomed.then(|| world.random.of(&self.faults.statuses));
        let number = world.requests;
        let (least, most) = self.latency;
        let mut takes = world.random.between(least, most);
        if world.random.permille(self.slow) {
            takes *= 100;
        }
        let effect = (world.now + takes).max(self.faults.stalled_until + takes / 8);
        // As a rule nobody hears of it much later.
        let late = if world.random.one_in(8) {
            takes
        } else {
            takes / 16
        };
        let first = if request.preflush {
            effect - takes / 2
        } else {
            0
        };
        let (name, operation, fua) = (self.name, request.operation, request.fua);
        let (sector, sectors) = (request.sector, request.sectors);
        trace!(
            "{name}#{id}: {operation:?} {sector}+{sectors}{}{}",
            if request.preflush { " preflush" } else { "" },
            if fua { " fua" } else { "" }
        );
        let disk: *mut Disk = self;
        let flushed = self.sequence;
        self.under_way.push((id, request, Phase::Waiting));
        scheduler::spawn(
            if scheduler::tracing() {
                format!("{name}#{id}")
            } else {
                String::new()
            },
            false,
            move || {
                // SAFETY: Disks outlive tasks.
                let this = || unsafe { &mut *disk };
                let mut refused = None;
                if first != 0 {
                    scheduler::block(0, "a disk flushes", Some(first));
                    // Where the flush fails, nothing is written.
                    let doomed = doomed.filter(|_| scheduler::world().random.one_in(2));
                    refused = this().preflush(id, flushed, doomed);
                    scheduler::begin_to_write(number);
                    // The power may be cut here.
                    scheduler::point();
                }
                scheduler::block(0, "a disk works", Some(effect));
                let status = match refused {
                    Some(status) => status,
                    None => this().take_effect(id, flushed, doomed),
                };
                this().entry(id).2 = Phase::Done;
                scheduler::block(0, "a disk has worked", Some(effect + late));
                this().under_way.retain(|(other, ..)| *other != id);
                if let Some(task) = scheduler::task() {
                    task.preempt = 1;
                    task.irqs_off = 1;
                    task.irq = true;
                }
                trace!("{name}#{id}: ends with {}", c::status_name(status));
                scheduler::point();
                end(status);
            },
        );
    }

    fn entry(&mut self, id: u64) -> &mut (u64, Request, Phase) {
        self.under_way
            .iter_mut()
            .find(|(other, ..)| *other == id)
            .expect("a request under way")
    }

    /// Flushes before a request does anything else; with a status where that fails, as it is `doomed` to or
    /// as everything does, and the request with it.
    fn preflush(
        &mut self,
        id: u64,
        flushed: u64,
        doomed: Option<blk_status_t>,
    ) -> Option<blk_status_t> {
        let (_, request, _) = self.entry(id);
        let request = Request { ..*request };
        let refused = doomed.or_else(|| self.outage(&request));
        if let Some(status) = refused {
            self.fault(&request, status);
        } else {
            self.flush(flushed);
            self.entry(id).2 = Phase::Flushed;
        }
        refused
    }

    /// Records that a request has failed with `status`.
    fn fault(&mut self, request: &Request, status: blk_status_t) {
        let now = (self.clock)();
        self.has_failed = true;
        let sectors = request.sector..request.sector + request.sectors;
        match request.operation {
            Operation::Read => self.read_failed_at = now,
            Operation::Write | Operation::Zero if BLAMES.contains(&status) => {
                self.blamed.extend(sectors.clone());
            }
            _ => {}
        }
        for sector in sectors {
            if let Some(at) = self.failed_at.get_mut(sector as usize) {
                *at = now;
            }
        }
    }

    /// Returns whether what befalls a whole disk spares `request`.
    fn is_spared(&self, request: &Request) -> bool {
        let end = request.sector + request.sectors;
        let only = self.faults.only;
        only.is_some_and(|(from, to)| end <= from || request.sector >= to)
    }

    fn can_be_doomed(&self, request: &Request) -> bool {
        let (first, end) = (request.sector, request.sector + request.sectors);
        let touches = |range: &Range<u64>| first < range.end && end > range.start;
        self.faults
            .doomed
            .as_ref()
            .is_none_or(|ranges| ranges.iter().any(touches))
    }

    /// Returns the status with which `request` fails as everything does now.
    fn outage(&self, request: &Request) -> Option<blk_status_t> {
        if self.faults.gone {
            return Some(c::BLK_STS_IOERR);
        }
        let has_begun = self.requests >= self.faults.outage_from;
        let outage = self.faults.outage.filter(|_| has_begun);
        outage.filter(|_| !self.is_spared(request))
    }

    fn wholesale(&mut self, request: &Request) -> Option<blk_status_t> {
        let outage = self.outage(request);
        if outage.is_some() || self.is_spared(request) {
            return outage;
        }
        let world = world();
        (world.random.permille(self.faults.transient))
            .then(|| world.random.of(&self.faults.statuses))
    }

    /// Does a request, which is `doomed` to fail with a status or not.
    fn take_effect(&mut self, id: u64, flushed: u64, doomed: Option<blk_status_t>) -> blk_status_t {
        let (_, request, _) = self.entry(id);
        let request = Request { ..*request };
        let (first, sectors) = (request.sector, request.sectors);
        if first + sectors > self.sectors() {
            fail!(
                "{}: {:?} of {first}+{sectors} is beyond the end",
                self.name,
                request.operation
            );
        }
        if request.readahead && world().random.permille(self.faults.declines) {
            // As a suspended device-mapper device does (dm_submit_bio() in drivers/md/dm.c). Nothing has failed.
            return c::BLK_STS_IOERR;
        }
        if let Some(status) = doomed.or_else(|| self.wholesale(&request)) {
            self.fault(&request, status);
            if request.operation != Operation::Read && world().random.one_in(2) && !self.faults.gone
            {
                self.change_some(&request);
            }
            return status;
        }
        let faults = match request.operation {
            Operation::Read => &self.faults.unreadable,
            Operation::Write | Operation::Zero => &self.faults.unwritable,
            Operation::Discard => return self.change_some(&request),
            Operation::Flush => {
                self.flush(flushed);
                return c::BLK_STS_OK;
            }
        };
        let bad: Vec<(u64, blk_status_t)> = faults
            .range(first..first + sectors)
            .map(|(sector, status)| (*sector, *status))
            .collect();
        if let Some((_, status)) = bad.first() {
            for (sector, status) in &bad {
                let part = Request {
                    sector: *sector,
                    sectors: 1,
                    ..request
                };
                self.fault(&part, *status);
            }
            if request.operation != Operation::Read {
                self.change_some(&request);
            }
            return *status;
        }
        for n in 0..sectors {
            if request.operation == Operation::Read {
                let contents = *self.look(first + n);
                // SAFETY: Whoever submitted it has memory for all of it.
                unsafe {
                    request
                        .data
                        .add(n as usize * 512)
                        .cast::<Sector>()
                        .write_unaligned(contents)
                };
            } else {
                self.change(&request, n);
            }
        }
        c::BLK_STS_OK
    }

    /// What a request writes to its sector number `n`.
    fn new_contents(request: &Request, n: u64) -> Sector {
        match request.operation {
            // SAFETY: Whoever submitted it has memory for all of it.
            Operation::Write => unsafe {
                request
                    .data
                    .add(n as usize * 512)
                    .cast::<Sector>()
                    .read_unaligned()
            },
            _ => [0; 512],
        }
    }

    fn change(&mut self, request: &Request, n: u64) {
        let contents = Self::new_contents(request, n);
        let sector = request.sector + n;
        if self.faults.mends {
            self.faults.unreadable.remove(&sector);
        }
        if request.fua {
            self.medium[sector as usize] = contents;
            self.cache.remove(&sector);
        } else {
            self.sequence += 1;
            let sequence = self.sequence;
            self.cache
                .entry(sector)
                .or_default()
                .push((sequence, contents));
        }
    }

    /// Some of the sectors of a write that fails, or is cut short, have changed.
    fn change_some(&mut self, request: &Request) -> blk_status_t {
        if !matches!(
            request.operation,
            Operation::Write | Operation::Zero | Operation::Discard
        ) {
            return c::BLK_STS_OK;
        }
        let loose = Request {
            fua: false,
            ..*request
        };
        for n in 0..request.sectors {
            let sector = request.sector + n;
            let bad = request.operation != Operation::Discard
                && self.faults.unwritable.contains_key(&sector);
            if !bad && world().random.one_in(2) {
                self.change(&loose, n);
            }
        }
        c::BLK_STS_OK
    }

    /// Makes durable what was written up to `sequence`.
    fn flush(&mut self, sequence: u64) {
        let medium = &mut self.medium;
        self.cache.retain(|sector, versions| {
            if let Some((_, contents)) = versions
                .iter()
                .rev()
                .find(|(number, _)| *number <= sequence)
            {
                medium[*sector as usize] = *contents;
            }
            versions.retain(|(number, _)| *number > sequence);
            !versions.is_empty()
        });
    }

    /// The power goes, and comes again.
    pub fn cut_power(&mut self, random: &mut Random) {
        for (_, request, phase) in std::mem::take(&mut self.under_way) {
            if phase == Phase::Flushed || phase == Phase::Waiting && !request.preflush {
                self.change_some(&request);
            }
        }
        for (sector, versions) in std::mem::take(&mut self.cache) {
            let kept = random.below(versions.len() as u64 + 1) as usize;
            if let Some((_, contents)) = kept.checked_sub(1).and_then(|n| versions.get(n)) {
                self.medium[sector as usize] = *contents;
            }
        }
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }
}
