// SPDX-License-Identifier: GPL-2.0

//! What a stress test does to a device: the test types, and the generator that turns a
//! description into operations.
//!
//! Every workload, whether a test type or made to measure, is a value of [`Workload`]. Fitted to
//! a device it is a [`Plan`], and each worker draws its operations from a [`Generator`] over that
//! plan. The same plan gives the same operations, whatever the machine does meanwhile.

use core::num::NonZeroU64;

use crate::geometry::SectorRange;

/// Bytes in a sector.
const SECTOR_BYTES: u32 = 512;

/// Block size of random I/O in the test types: what databases and file systems mostly do.
pub const RANDOM_BLOCK: u32 = 4096;

/// Block size of sequential I/O in the test types: large enough to stream, small enough that a
/// thousand in flight need 64 MiB only.
pub const SEQUENTIAL_BLOCK: u32 = 65536;

/// Largest block size of any workload, in bytes.
pub const MAX_BLOCK: u32 = 1 << 20;

/// Most worker threads of a test.
pub const MAX_WORKERS: u32 = 32;

/// Operations that a worker keeps in flight unless told otherwise, so that 32 workers make 1024.
pub const DEFAULT_QUEUE_DEPTH: u32 = 32;

/// The test types of `stress_test_start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TestType {
    /// 64 KiB reads, each worker from its own part of the device.
    SequentialRead = 0,
    /// 4 KiB reads all over the device.
    RandomRead = 1,
    /// 64 KiB writes, each worker to its own part of the device.
    SequentialWrite = 2,
    /// 4 KiB writes all over the device.
    RandomWrite = 3,
    /// 70 % reads, 30 % writes, 4 KiB, all over the device.
    Mixed = 4,
    /// As [`TestType::Mixed`], while blocks are remapped and unremapped.
    RemapHeavy = 5,
}

impl TestType {
    /// All types, in the order of their numbers.
    pub const ALL: [TestType; 6] = [
        TestType::SequentialRead,
        TestType::RandomRead,
        TestType::SequentialWrite,
        TestType::RandomWrite,
        TestType::Mixed,
        TestType::RemapHeavy,
    ];

    /// The type of that number.
    pub fn from_number(number: u64) -> Option<Self> {
        let index = usize::try_from(number).ok()?;
        Self::ALL.get(index).copied()
    }

    /// The number that users type.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            TestType::SequentialRead => "Sequential Read",
            TestType::RandomRead => "Random Read",
            TestType::SequentialWrite => "Sequential Write",
            TestType::RandomWrite => "Random Write",
            TestType::Mixed => "Mixed Workload",
            TestType::RemapHeavy => "Remap Heavy",
        }
    }

    /// The workload of this type.
    pub const fn workload(self, workers: u32, seed: u64) -> Workload {
        let (read_percent, random_percent, block) = match self {
            TestType::SequentialRead => (100, 0, SEQUENTIAL_BLOCK),
            TestType::RandomRead => (100, 100, RANDOM_BLOCK),
            TestType::SequentialWrite => (0, 0, SEQUENTIAL_BLOCK),
            TestType::RandomWrite => (0, 100, RANDOM_BLOCK),
            TestType::Mixed | TestType::RemapHeavy => (70, 100, RANDOM_BLOCK),
        };
        Workload {
            read_percent,
            random_percent,
            block_sizes: BlockSizes::one(block),
            workers,
            queue_depth: DEFAULT_QUEUE_DEPTH,
            remaps: matches!(self, TestType::RemapHeavy),
            seed,
        }
    }
}

/// Up to eight block sizes in bytes; each operation takes one of them, all equally often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSizes {
    sizes: [u32; Self::MOST],
    count: usize,
}

impl BlockSizes {
    /// Most sizes in a workload.
    pub const MOST: usize = 8;

    /// A single size.
    pub const fn one(bytes: u32) -> Self {
        Self {
            sizes: [bytes; Self::MOST],
            count: 1,
        }
    }

    /// Several sizes; `None` for none or too many of them, or one of zero or above [`MAX_BLOCK`].
    pub fn several(sizes: &[u32]) -> Option<Self> {
        let (&first, count) = (sizes.first()?, sizes.len());
        if count > Self::MOST || sizes.iter().any(|&size| size == 0 || size > MAX_BLOCK) {
            return None;
        }
        let mut all = [first; Self::MOST];
        for (slot, &size) in all.iter_mut().zip(sizes) {
            *slot = size;
        }
        Some(Self { sizes: all, count })
    }

    /// The sizes.
    pub fn as_slice(&self) -> &[u32] {
        self.sizes.get(..self.count).unwrap_or(&self.sizes)
    }
}

/// What a test does, whatever the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// How many of 100 operations are reads.
    pub read_percent: u8,
    /// How many of 100 operations go to a random place; the others follow the one before.
    pub random_percent: u8,
    /// Sizes of the operations.
    pub block_sizes: BlockSizes,
    /// Number of worker threads.
    pub workers: u32,
    /// Operations that each worker keeps in flight.
    pub queue_depth: u32,
    /// Whether blocks are remapped and unremapped meanwhile.
    pub remaps: bool,
    /// Where the random numbers start.
    pub seed: u64,
}

/// Why a workload cannot run on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not one logical block on the device.
    DeviceTooSmall,
    /// The device's logical block is larger than any operation may be.
    LogicalBlock,
}

impl Error {
    /// The reason, in words for a log line.
    pub const fn reason(self) -> &'static str {
        match self {
            Error::DeviceTooSmall => "the device has no room for a single block",
            Error::LogicalBlock => "the device's logical block is too large",
        }
    }
}

/// A workload fitted to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    workload: Workload,
    /// Block sizes in sectors: multiples of the logical block, none larger than the region.
    sectors: [u32; BlockSizes::MOST],
    region: SectorRange,
    /// Sectors of a logical block.
    grain: u32,
}

impl Plan {
    /// Fits `workload` to a device of `sectors` sectors with logical blocks of `logical_block`
    /// bytes (a power of two from 512 on). Block sizes are rounded up to logical blocks and
    /// clipped to the device; a rest of the device below one logical block is left alone.
    pub fn new(workload: Workload, sectors: u64, logical_block: u32) -> Result<Self, Error> {
        if logical_block > MAX_BLOCK {
            return Err(Error::LogicalBlock);
        }
        let grain = (logical_block / SECTOR_BYTES).max(1);
        let whole = sectors - sectors % u64::from(grain);
        let region = match SectorRange::new(0, whole) {
            Some(region) if !region.is_empty() => region,
            _ => return Err(Error::DeviceTooSmall),
        };
        let largest = u32::try_from(whole).unwrap_or(u32::MAX);
        let sectors = workload.block_sizes.sizes.map(|bytes| {
            bytes
                .min(MAX_BLOCK)
                .div_ceil(SECTOR_BYTES)
                .next_multiple_of(grain)
                .min(largest)
        });
        Ok(Self {
            workload,
            sectors,
            region,
            grain,
        })
    }

    /// The workload that was fitted.
    pub const fn workload(&self) -> &Workload {
        &self.workload
    }

    /// Whether any operation writes.
    pub const fn writes(&self) -> bool {
        self.workload.read_percent < 100
    }

    /// Size of the largest operation, in bytes.
    pub fn largest_operation(&self) -> usize {
        let sectors = self.sizes().iter().copied().max().unwrap_or(0);
        sectors as usize * SECTOR_BYTES as usize
    }

    /// Operations that all workers keep in flight together.
    pub const fn in_flight(&self) -> u32 {
        self.workload
            .workers
            .saturating_mul(self.workload.queue_depth)
    }

    fn sizes(&self) -> &[u32] {
        self.sectors
            .get(..self.workload.block_sizes.count)
            .unwrap_or(&self.sectors)
    }

    /// The part of the device that `worker` goes through sequentially. Where the device is too
    /// small to be shared out, everybody has all of it.
    fn share(&self, worker: u32) -> SectorRange {
        let workers = u64::from(self.workload.workers.max(1));
        let grain = u64::from(self.grain);
        let each = self.region.len() / workers / grain * grain;
        let largest = self.sizes().iter().copied().max().unwrap_or(0);
        if each < u64::from(largest) {
            return self.region;
        }
        let start = each.checked_mul(u64::from(worker) % workers);
        start
            .and_then(|start| SectorRange::new(start, each))
            .unwrap_or(self.region)
    }
}

/// Which way the data go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the device.
    Read,
    /// To the device.
    Write,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Which way the data go.
    pub direction: Direction,
    /// First sector on the device.
    pub sector: u64,
    /// Number of sectors, at least one.
    pub sectors: u32,
}

impl Operation {
    /// Number of bytes.
    pub const fn bytes(&self) -> usize {
        self.sectors as usize * SECTOR_BYTES as usize
    }
}

/// A pseudo-random number generator: SplitMix64 (Steele, Lea, Flood: "Fast splittable
/// pseudorandom number generators", OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The numbers that follow from `seed`; each `stream` is a sequence of its own.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self { state: seed };
        let start = random.draw();
        random.state = start ^ stream.wrapping_add(1).wrapping_mul(0xd1b5_4a32_d192_ed03);
        random.draw();
        random
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, all but equally likely.
    pub fn below(&mut self, bound: NonZeroU64) -> u64 {
        self.draw() % bound
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u8) -> bool {
        self.draw() % 100 < u64::from(percent)
    }
}

/// Draws one worker's operations.
#[derive(Clone, Debug)]
pub struct Generator {
    plan: Plan,
    random: Random,
    share: SectorRange,
    /// Where the next sequential operation starts.
    cursor: u64,
}

impl Generator {
    /// The operations of worker number `worker`.
    pub fn new(plan: &Plan, worker: u32) -> Self {
        let share = plan.share(worker);
        Self {
            plan: *plan,
            random: Random::new(plan.workload.seed, u64::from(worker)),
            share,
            cursor: share.start(),
        }
    }

    /// The next operation. It lies within the device and is aligned to logical blocks; a random
    /// one is aligned to its own size.
    pub fn next_operation(&mut self) -> Operation {
        let workload = &self.plan.workload;
        let direction = if self.random.chance(workload.read_percent) {
            Direction::Read
        } else {
            Direction::Write
        };
        let random = self.random.chance(workload.random_percent);
        let sectors = self.draw_size();
        let sector = if random {
            self.draw_place(sectors)
        } else {
            self.follow(sectors)
        };
        Operation {
            direction,
            sector,
            sectors,
        }
    }

    fn draw_size(&mut self) -> u32 {
        let sizes = self.plan.sizes();
        let (Some(&first), count) = (sizes.first(), sizes.len() as u64) else {
            return self.plan.grain;
        };
        match NonZeroU64::new(count) {
            Some(count) if count.get() > 1 => {
                let index = self.random.below(count) as usize;
                self.plan.sizes().get(index).copied().unwrap_or(first)
            }
            _ => first,
        }
    }

    fn draw_place(&mut self, sectors: u32) -> u64 {
        let sectors = u64::from(sectors.max(1));
        match NonZeroU64::new(self.plan.region.len() / sectors) {
            Some(places) => self.random.below(places) * sectors,
            None => 0,
        }
    }

    fn follow(&mut self, sectors: u32) -> u64 {
        let fits = |start: u64| {
            SectorRange::new(start, u64::from(sectors))
                .is_some_and(|range| range.fits(self.share.end()))
        };
        let start = if fits(self.cursor) {
            self.cursor
        } else {
            self.share.start()
        };
        self.cursor = start.saturating_add(u64::from(sectors));
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn plan(test: TestType, workers: u32, sectors: u64) -> Plan {
        Plan::new(test.workload(workers, 42), sectors, 512).unwrap()
    }

    fn operations(plan: &Plan, worker: u32, count: usize) -> Vec<Operation> {
        let mut generator = Generator::new(plan, worker);
        (0..count).map(|_| generator.next_operation()).collect()
    }

    #[test]
    fn types_have_their_numbers_and_names() {
        for (number, test) in TestType::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(test.number()), number);
            assert_eq!(TestType::from_number(number as u64), Some(test));
        }
        assert_eq!(TestType::from_number(6), None);
        assert_eq!(TestType::from_number(u64::MAX), None);
        assert_eq!(TestType::Mixed.name(), "Mixed Workload");
    }

    #[test]
    fn thirty_two_workers_have_1024_in_flight() {
        assert_eq!(
            plan(TestType::Mixed, MAX_WORKERS, 1 << 20).in_flight(),
            1024
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_operations() {
        let plan = plan(TestType::Mixed, 4, 1 << 20);
        assert_eq!(operations(&plan, 3, 1000), operations(&plan, 3, 1000));
        assert_ne!(operations(&plan, 3, 1000), operations(&plan, 2, 1000));
        let mut other = *plan.workload();
        other.seed += 1;
        let other = Plan::new(other, 1 << 20, 512).unwrap();
        assert_ne!(operations(&plan, 3, 1000), operations(&other, 3, 1000));
    }

    #[test]
    fn mixed_is_seventy_to_thirty() {
        let all = operations(&plan(TestType::Mixed, 1, 1 << 20), 0, 100_000);
        let reads = all
            .iter()
            .filter(|op| op.direction == Direction::Read)
            .count();
        assert!((69_000..71_000).contains(&reads), "{reads}");
        assert!(all.iter().all(|op| op.sectors == 8 && op.sector % 8 == 0));
        let upper = all.iter().filter(|op| op.sector >= 1 << 19).count();
        assert!((48_000..52_000).contains(&upper), "{upper}");
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
        for (test, direction) in [
            (TestType::SequentialRead, Direction::Read),
            (TestType::RandomRead, Direction::Read),
            (TestType::SequentialWrite, Direction::Write),
            (TestType::RandomWrite, Direction::Write),
        ] {
            let plan = plan(test, 2, 1 << 16);
            assert_eq!(plan.writes(), direction == Direction::Write);
            assert!(operations(&plan, 0, 1000)
                .iter()
                .all(|op| op.direction == direction));
        }
    }

    #[test]
    fn a_device_without_a_block_is_refused() {
        let workload = TestType::Mixed.workload(1, 0);
        assert_eq!(Plan::new(workload, 0, 512), Err(Error::DeviceTooSmall));
        assert_eq!(Plan::new(workload, 7, 4096), Err(Error::DeviceTooSmall));
        assert_eq!(
            Plan::new(workload, 1 << 30, 1 << 21),
            Err(Error::LogicalBlock)
        );
        assert!(Plan::new(workload, 1, 512).is_ok());
    }

    #[test]
    fn block_sizes_are_checked() {
        assert_eq!(BlockSizes::several(&[]), None);
        assert_eq!(BlockSizes::several(&[0]), None);
        assert_eq!(BlockSizes::several(&[MAX_BLOCK + 1]), None);
        assert_eq!(BlockSizes::several(&[512; 9]), None);
        assert_eq!(
            BlockSizes::several(&[512, 4096]).unwrap().as_slice(),
            [512, 4096]
        );
    }

    proptest! {
        #[test]
        fn operations_lie_within_the_device_and_are_aligned(
            read_percent in 0..=100_u8,
            random_percent in 0..=100_u8,
            sizes in proptest::collection::vec(1..=MAX_BLOCK, 1..=8),
            workers in 1..=32_u32,
            logical in 0..4_u32,
            sectors in 8..100_000_u64,
            seed: u64,
        ) {
            let logical_block = 512 << logical;
            let workload = Workload {
                read_percent,
                random_percent,
                block_sizes: BlockSizes::several(&sizes).unwrap(),
                workers,
                queue_depth: 1,
                remaps: false,
                seed,
            };
            let plan = Plan::new(workload, sectors, logical_block).unwrap();
            let mut generator = Generator::new(&plan, workers - 1);
            for _ in 0..200 {
                let op = generator.next_operation();
                prop_assert!(op.sectors > 0);
                prop_assert!(op.bytes() <= plan.largest_operation());
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
