// SPDX-License-Identifier: GPL-2.0

//! Generator of a workload's operations on a device.
//!
//! A [`Plan`] is a [`Workload`] fitted to a device. Each worker draws its operations from a [`Generator`]
//! over the plan. The operations depend on the plan only.

use core::num::NonZeroU64;

use crate::{
    random::Random,
    stress::workload::{
        BlockSizes,
        Part,
        Seat,
        Stream,
        Workload,
        HOT_PERCENT,
        MAX_BLOCK, //
    },
    table::geometry::SectorRange, //
};

/// Number of bytes in a sector.
const SECTOR_BYTES: u32 = 512;

/// Reason why a workload cannot run on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The device is smaller than its logical block.
    DeviceTooSmall,
    /// The device's logical block is larger than the largest operation.
    LogicalBlock,
}

impl Error {
    /// Returns the reason in words, for a log line.
    pub const fn reason(self) -> &'static str {
        match self {
            Error::DeviceTooSmall => "the device has no room for a single block",
            Error::LogicalBlock => "the device's logical block is too large",
        }
    }
}

/// Workload fitted to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    workload: Workload,
    /// Sectors of the device, in whole logical blocks.
    region: SectorRange,
    /// Number of sectors of a logical block.
    grain: u32,
}

impl Plan {
    /// Fits `workload` to a device of `sectors` sectors with logical blocks of `logical_block`
    /// bytes (a power of two from 512 on). Block sizes are rounded up to logical blocks, and are not larger
    /// than the device. A last part of the device that is smaller than a logical block is not used.
    pub fn new(workload: &Workload, sectors: u64, logical_block: u32) -> Result<Self, Error> {
        if logical_block > MAX_BLOCK {
            return Err(Error::LogicalBlock);
        }
        let grain = (logical_block / SECTOR_BYTES).max(1);
        let whole = whole(sectors, grain);
        match SectorRange::new(0, whole) {
            Some(region) if !region.is_empty() => Ok(Self {
                workload: *workload,
                region,
                grain,
            }),
            _ => Err(Error::DeviceTooSmall),
        }
    }

    /// Returns the workload of the plan.
    pub const fn workload(&self) -> &Workload {
        &self.workload
    }

    /// Returns the size of the largest operation of `stream`, in bytes.
    pub fn largest_operation(&self, stream: &Stream) -> usize {
        let sectors = self.sectors(stream.sizes.largest());
        sectors as usize * SECTOR_BYTES as usize
    }

    /// Returns the number of sectors of an operation of `bytes` bytes.
    fn sectors(&self, bytes: u32) -> u32 {
        let most = u32::try_from(self.region.len()).unwrap_or(u32::MAX);
        bytes
            .min(MAX_BLOCK)
            .div_ceil(SECTOR_BYTES)
            .checked_next_multiple_of(self.grain)
            .map_or(most, |sectors| sectors.min(most))
    }

    /// Returns the sectors of `part` of the device; those of the whole device if the part has no room for an
    /// operation of `least` sectors.
    fn region_of(&self, part: Part, least: u32) -> SectorRange {
        let at = |percent: u8| self.whole(hundredth(self.region.len(), percent.min(100)));
        let start = at(part.from);
        SectorRange::new(start, at(part.to).saturating_sub(start))
            .filter(|region| region.len() >= u64::from(least))
            .unwrap_or(self.region)
    }

    /// Returns the share of `region` for the sequential operations of a worker; the whole region if it is too
    /// small for shares of `least` sectors.
    fn share_of(&self, seat: &Seat<'_>, region: SectorRange, least: u32) -> SectorRange {
        let workers = u64::from(seat.stream.workers.max(1));
        let each = self.whole(region.len() / workers);
        if each < u64::from(least) {
            return region;
        }
        each.checked_mul(u64::from(seat.index))
            .and_then(|offset| region.start().checked_add(offset))
            .and_then(|start| SectorRange::new(start, each))
            .filter(|share| share.fits(region.end()))
            .unwrap_or(region)
    }

    /// Returns `sectors`, rounded down to whole logical blocks.
    fn whole(&self, sectors: u64) -> u64 {
        whole(sectors, self.grain)
    }
}

/// Returns `sectors`, rounded down to a multiple of `grain`.
fn whole(sectors: u64, grain: u32) -> u64 {
    sectors - sectors.checked_rem(u64::from(grain)).unwrap_or(0)
}

/// Returns `percent` hundredths of `all`.
fn hundredth(all: u64, percent: u8) -> u64 {
    let percent = u64::from(percent);
    (all / 100).saturating_mul(percent) + all % 100 * percent / 100
}

/// Action of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Write that is durable when it completes (FUA).
    DurableWrite,
    /// Write-zeroes, for a range of zeros; a write for any other range.
    Zero,
    /// Flush, which has no range.
    Flush,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Action.
    pub action: Action,
    /// First sector on the device.
    pub sector: u64,
    /// Number of sectors; 0 for a flush only.
    pub sectors: u32,
}

impl Operation {
    /// Returns the number of bytes.
    pub const fn bytes(&self) -> usize {
        self.sectors as usize * SECTOR_BYTES as usize
    }
}

/// Generator of one worker's operations.
#[derive(Clone, Debug)]
pub struct Generator {
    random: Random,
    stream: Stream,
    unflushed: u32,
    /// Sizes in sectors, each with the sum of the weights up to it.
    sizes: [(u32, u32); BlockSizes::MOST],
    count: usize,
    region: SectorRange,
    share: SectorRange,
    /// First sector of the next sequential operation.
    cursor: u64,
    /// End of the sequential run.
    run_end: u64,
}

impl Generator {
    /// Makes the generator of worker number `worker`, which has the seat `seat`.
    pub fn new(plan: &Plan, seat: &Seat<'_>, worker: u32) -> Self {
        let stream = seat.stream;
        let largest = plan.sectors(stream.sizes.largest());
        let region = plan.region_of(stream.part, largest);
        let share = plan.share_of(seat, region, largest);
        let mut sizes = [(plan.grain, 0); BlockSizes::MOST];
        let (mut count, mut sum) = (0, 0_u32);
        for (slot, (bytes, weight)) in sizes.iter_mut().zip(stream.sizes.iter()) {
            sum = sum.saturating_add(u32::from(weight));
            *slot = (plan.sectors(bytes), sum);
            count += 1;
        }
        Self {
            random: Random::new(plan.workload.seed, u64::from(worker)),
            stream: *stream,
            unflushed: 0,
            sizes,
            count,
            region,
            share,
            cursor: share.start(),
            run_end: share.end(),
        }
    }

    /// Returns the next operation. `write_percent` overrides the percentage of the stream.
    ///
    /// The operation lies within the device and is aligned to logical blocks. A random one is aligned to its own
    /// size within its region.
    pub fn next_operation(&mut self, write_percent: Option<u8>) -> Operation {
        if self.stream.flush_every > 0 && self.unflushed >= self.stream.flush_every {
            self.unflushed = 0;
            return Operation {
                action: Action::Flush,
                sector: 0,
                sectors: 0,
            };
        }
        let reads = write_percent.map_or(self.stream.read_percent, |percent| {
            100_u8.saturating_sub(percent)
        });
        let action = self.draw_action(reads);
        let random = self.random.chance(self.stream.random_percent);
        let sectors = self.draw_size();
        let sector = if random {
            self.draw_place(sectors)
        } else {
            self.follow(sectors)
        };
        Operation {
            action,
            sector,
            sectors,
        }
    }

    /// Draws an action, which reads in `reads` of 100 cases.
    fn draw_action(&mut self, reads: u8) -> Action {
        if self.random.chance(reads) {
            return Action::Read;
        }
        self.unflushed = self.unflushed.saturating_add(1);
        if self.stream.zero_percent > 0 && self.random.chance(self.stream.zero_percent) {
            Action::Zero
        } else if self.stream.durable {
            Action::DurableWrite
        } else {
            Action::Write
        }
    }

    /// Draws a size, in sectors.
    fn draw_size(&mut self) -> u32 {
        let sizes = self.sizes.get(..self.count).unwrap_or(&self.sizes);
        let (Some(&(first, _)), Some(&(_, sum))) = (sizes.first(), sizes.last()) else {
            return 1;
        };
        match NonZeroU64::new(u64::from(sum)) {
            Some(sum) if sizes.len() > 1 => {
                let drawn = self.random.below(sum) as u32;
                let taken = sizes.iter().find(|(_, upto)| drawn < *upto);
                taken.map_or(first, |(sectors, _)| *sectors)
            }
            _ => first,
        }
    }

    /// Draws the first sector of a random operation.
    fn draw_place(&mut self, sectors: u32) -> u64 {
        let size = u64::from(sectors.max(1));
        let places = self.region.len() / size;
        let hot = if self.stream.hot_percent > 0 && self.random.chance(HOT_PERCENT) {
            hundredth(places, self.stream.hot_percent.min(100)).max(1)
        } else {
            places
        };
        let start = match NonZeroU64::new(hot.min(places)) {
            Some(places) => self.region.start() + self.random.below(places) * size,
            None => self.region.start(),
        };
        self.cursor = start.saturating_add(size);
        self.run_end = self.region.end();
        start
    }

    /// Returns the first sector of a sequential operation.
    fn follow(&mut self, sectors: u32) -> u64 {
        let fits = SectorRange::new(self.cursor, u64::from(sectors))
            .is_some_and(|range| range.fits(self.run_end));
        if !fits {
            self.cursor = self.share.start();
            self.run_end = self.share.end();
        }
        let start = self.cursor;
        self.cursor = start.saturating_add(u64::from(sectors));
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stress::workload::{
        TestType,
        MAX_WORKERS, //
    };
    use proptest::prelude::*;
    use std::vec::Vec;

    fn plan(test: TestType, workers: u32, sectors: u64) -> Plan {
        Plan::new(&test.workload(workers, 42), sectors, 512).unwrap()
    }

    fn plan_of(stream: Stream, sectors: u64) -> Plan {
        Plan::new(&Workload::one(stream, 42), sectors, 512).unwrap()
    }

    fn generator(plan: &Plan, worker: u32) -> Generator {
        Generator::new(plan, &plan.workload().seat(worker).unwrap(), worker)
    }

    fn operations(plan: &Plan, worker: u32, count: usize) -> Vec<Operation> {
        let mut generator = generator(plan, worker);
        (0..count).map(|_| generator.next_operation(None)).collect()
    }

    /// Returns percentages over 100,000 operations.
    fn share_of(plan: &Plan, of: impl Fn(&Operation) -> bool) -> usize {
        let all = operations(plan, 0, 100_000);
        all.iter().filter(|op| of(op)).count().div_ceil(1000)
    }

    #[test]
    fn the_same_seed_gives_the_same_operations() {
        let plan = plan(TestType::Mixed, 4, 1 << 20);
        assert_eq!(operations(&plan, 3, 1000), operations(&plan, 3, 1000));
        assert_ne!(operations(&plan, 3, 1000), operations(&plan, 2, 1000));
        let mut other = *plan.workload();
        other.seed += 1;
        let other = Plan::new(&other, 1 << 20, 512).unwrap();
        assert_ne!(operations(&plan, 3, 1000), operations(&other, 3, 1000));
    }

    #[test]
    fn mixed_is_seventy_to_thirty() {
        let plan = plan(TestType::Mixed, 1, 1 << 20);
        assert!((69..=71).contains(&share_of(&plan, |op| op.action == Action::Read)));
        assert!((49..=51).contains(&share_of(&plan, |op| op.sector >= 1 << 19)));
        let all = operations(&plan, 0, 1000);
        assert!(all.iter().all(|op| op.sectors == 8 && op.sector % 8 == 0));
    }

    #[test]
    fn what_a_user_adjusts_goes_before_the_mix() {
        let plan = plan(TestType::Mixed, 1, 1 << 20);
        let mut generator = generator(&plan, 0);
        for (percent, action) in [
            (0, Action::Read),
            (100, Action::Write),
            (255, Action::Write),
        ] {
            for _ in 0..1000 {
                assert_eq!(generator.next_operation(Some(percent)).action, action);
            }
        }
    }

    #[test]
    fn sequential_workers_go_through_their_shares_and_around() {
        let plan = plan(TestType::SequentialRead, 4, 128 * 4 * 3);
        for worker in 0..4_u32 {
            let start = u64::from(worker) * 128 * 3;
            let wanted = [0, 128, 256, 0, 128].map(|offset| start + offset);
            let got: Vec<u64> = operations(&plan, worker, 5)
                .iter()
                .map(|op| op.sector)
                .collect();
            assert_eq!(got, wanted);
        }
    }

    #[test]
    fn pure_types_go_one_way() {
        for (test, action) in [
            (TestType::SequentialRead, Action::Read),
            (TestType::RandomRead, Action::Read),
            (TestType::SequentialWrite, Action::Write),
            (TestType::RandomWrite, Action::Write),
        ] {
            let plan = plan(test, 2, 1 << 16);
            assert_eq!(plan.workload().writes(), action == Action::Write);
            assert!(operations(&plan, 0, 1000)
                .iter()
                .all(|op| op.action == action));
        }
    }

    #[test]
    fn runs_start_at_random_and_go_on() {
        let plan = plan_of(
            Stream {
                random_percent: 20,
                ..Stream::PLAIN
            },
            1 << 20,
        );
        let all = operations(&plan, 0, 100_000);
        let follow = |pair: &&[Operation]| pair[1].sector == pair[0].sector + 8;
        let following = all.windows(2).filter(follow).count();
        assert!((79_000..81_000).contains(&following), "{following}");
    }

    #[test]
    fn a_hot_set_takes_most() {
        let plan = plan_of(
            Stream {
                hot_percent: 10,
                ..Stream::PLAIN
            },
            1_000_000,
        );
        // A tenth of the other operations goes to the hot set as well.
        let hot = share_of(&plan, |op| op.sector < 100_000);
        assert!((81..=83).contains(&hot), "{hot}");
    }

    #[test]
    fn streams_stay_in_their_parts() {
        let stream = Stream {
            part: Part { from: 25, to: 50 },
            random_percent: 50,
            workers: 3,
            ..Stream::PLAIN
        };
        let plan = plan_of(stream, 1_000_000);
        for worker in 0..3 {
            for op in operations(&plan, worker, 10_000) {
                assert!(op.sector >= 250_000 && op.sector + u64::from(op.sectors) <= 500_000);
            }
        }
        // The part has no room: operations go to the whole device.
        let tiny = plan_of(stream, 16);
        assert!(operations(&tiny, 0, 1000).iter().any(|op| op.sector == 8));
    }

    #[test]
    fn writes_are_durable_flushed_or_given_back_as_asked() {
        let writer = Stream {
            read_percent: 0,
            ..Stream::PLAIN
        };
        let durable = plan_of(
            Stream {
                durable: true,
                ..writer
            },
            1 << 20,
        );
        assert_eq!(
            share_of(&durable, |op| op.action == Action::DurableWrite),
            100
        );
        let zeroing = plan_of(
            Stream {
                zero_percent: 30,
                ..writer
            },
            1 << 20,
        );
        assert!((29..=31).contains(&share_of(&zeroing, |op| op.action == Action::Zero)));
        let flushing = plan_of(
            Stream {
                flush_every: 3,
                ..writer
            },
            1 << 20,
        );
        let flushes: Vec<bool> = operations(&flushing, 0, 9)
            .iter()
            .map(|op| op.action == Action::Flush)
            .collect();
        assert_eq!(
            flushes,
            [false, false, false, true, false, false, false, true, false]
        );
    }

    #[test]
    fn sizes_come_by_their_weights() {
        let plan = plan_of(
            Stream {
                sizes: BlockSizes::several(&[(4096, 7), (65536, 2), (MAX_BLOCK, 1)]).unwrap(),
                ..Stream::PLAIN
            },
            1 << 20,
        );
        for (sectors, percent) in [(8, 70), (128, 20), (2048, 10)] {
            let share = share_of(&plan, |op| op.sectors == sectors);
            assert!(share.abs_diff(percent) <= 1, "{sectors}: {share}");
        }
        let stream = plan.workload().streams()[0];
        assert_eq!(plan.largest_operation(&stream), 1 << 20);
    }

    #[test]
    fn a_device_without_a_block_is_refused() {
        let workload = TestType::Mixed.workload(1, 0);
        assert_eq!(Plan::new(&workload, 0, 512), Err(Error::DeviceTooSmall));
        assert_eq!(Plan::new(&workload, 7, 4096), Err(Error::DeviceTooSmall));
        assert_eq!(
            Plan::new(&workload, 1 << 30, 1 << 21),
            Err(Error::LogicalBlock)
        );
        assert!(Plan::new(&workload, 1, 512).is_ok());
    }

    proptest! {
        #[test]
        fn operations_lie_within_the_device_and_are_aligned(
            read_percent in 0..=100_u8,
            random_percent in 0..=100_u8,
            hot_percent in 0..=100_u8,
            sizes in proptest::collection::vec((1..=MAX_BLOCK, 1..=255_u8), 1..=8),
            workers in 1..=MAX_WORKERS,
            from in 0..=100_u8,
            to in 0..=100_u8,
            logical in 0..4_u32,
            sectors in 8..100_000_u64,
            seed: u64,
        ) {
            let logical_block = 512 << logical;
            let stream = Stream {
                workers,
                read_percent,
                random_percent,
                hot_percent,
                part: Part { from, to },
                sizes: BlockSizes::several(&sizes).unwrap(),
                ..Stream::PLAIN
            };
            let plan = Plan::new(&Workload::one(stream, seed), sectors, logical_block).unwrap();
            for op in operations(&plan, workers - 1, 200) {
                prop_assert!(op.sectors > 0);
                prop_assert!(op.bytes() <= plan.largest_operation(&stream));
                prop_assert!(op.sector + u64::from(op.sectors) <= sectors);
                prop_assert_eq!(op.sector % u64::from(logical_block / 512), 0);
                prop_assert_eq!(op.sectors % (logical_block / 512), 0);
            }
        }

        #[test]
        fn huge_devices_do_not_overflow(sectors in (1_u64 << 60)..u64::MAX, worker in 0..32_u32) {
            for test in TestType::ALL {
                let plan = plan(test, 32, sectors);
                for op in operations(&plan, worker, 50) {
                    prop_assert!(op.sector.checked_add(u64::from(op.sectors)).unwrap() <= sectors);
                }
            }
        }
    }
}
