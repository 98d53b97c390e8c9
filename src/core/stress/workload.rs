// SPDX-License-Identifier: GPL-2.0

//! Workloads of stress tests, for any device, and the streams that they consist of.
//!
//! Every workload is a value of [`Workload`], for test types, production and custom workloads alike. It has up
//! to [`MAX_STREAMS`] streams, each with workers, a mix of operations and a region of its own.
//! [`crate::stress::generator`] turns it into operations.

/// Block size of random I/O in the test types, in bytes: the usual size of databases and file systems.
pub const RANDOM_BLOCK: u32 = 4096;

/// Block size of sequential I/O in the test types, in bytes: large enough to stream, small enough that a
/// thousand operations in flight need 64 MiB only.
pub const SEQUENTIAL_BLOCK: u32 = 65536;

/// Largest block size of any workload, in bytes.
pub const MAX_BLOCK: u32 = 1 << 20;

/// Largest number of worker threads of a test.
pub const MAX_WORKERS: u32 = 32;

/// Largest number of operations that a test keeps in flight.
pub const MAX_IN_FLIGHT: u32 = 50_000;

/// Number of operations that a worker keeps in flight by default, so that 32 workers make 1024.
pub const DEFAULT_QUEUE_DEPTH: u32 = 32;

/// Largest number of streams of a workload.
pub const MAX_STREAMS: usize = 8;

/// Number of random operations in 100 that go to the hot set of a stream, if it has one: the page-level skew
/// of TPC-C (Leutenegger, Dias: "A modeling study of the TPC-C benchmark", SIGMOD 1993) and the
/// usual rule of thumb.
pub const HOT_PERCENT: u8 = 80;

/// Test type of `stress_test_start`.
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

    /// Returns the type with that number.
    pub fn from_number(number: u64) -> Option<Self> {
        let index = usize::try_from(number).ok()?;
        Self::ALL.get(index).copied()
    }

    /// Returns the number that users type.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the name in reports.
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

    /// Returns the workload of this type.
    pub const fn workload(self, workers: u32, seed: u64) -> Workload {
        self.workload_of(workers, SEQUENTIAL_BLOCK, seed)
    }

    /// Returns the workload of this type with sequential operations of `sequential_block` bytes.
    pub const fn workload_of(self, workers: u32, sequential_block: u32, seed: u64) -> Workload {
        let (read_percent, random_percent, block) = match self {
            TestType::SequentialRead => (100, 0, sequential_block),
            TestType::RandomRead => (100, 100, RANDOM_BLOCK),
            TestType::SequentialWrite => (0, 0, sequential_block),
            TestType::RandomWrite => (0, 100, RANDOM_BLOCK),
            TestType::Mixed | TestType::RemapHeavy => (70, 100, RANDOM_BLOCK),
        };
        let stream = Stream {
            workers,
            in_flight: workers.saturating_mul(DEFAULT_QUEUE_DEPTH),
            read_percent,
            random_percent,
            sizes: BlockSizes::one(block),
            ..Stream::PLAIN
        };
        let mut workload = Workload::one(stream, seed);
        workload.remaps = matches!(self, TestType::RemapHeavy);
        workload
    }
}

/// Set of up to eight block sizes in bytes, each with a weight, which is its relative frequency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSizes {
    sizes: [u32; Self::MOST],
    weights: [u8; Self::MOST],
    count: usize,
}

impl BlockSizes {
    /// Largest number of sizes of a stream.
    pub const MOST: usize = 8;

    /// Makes a set of a single size.
    pub const fn one(bytes: u32) -> Self {
        Self {
            sizes: [bytes; Self::MOST],
            weights: [1; Self::MOST],
            count: 1,
        }
    }

    /// Makes a set of several sizes with their weights. `None` if there are no sizes or too many, or one has the
    /// weight zero, is zero or exceeds [`MAX_BLOCK`].
    pub const fn several(sizes: &[(u32, u8)]) -> Option<Self> {
        if sizes.is_empty() || sizes.len() > Self::MOST {
            return None;
        }
        let mut all = Self {
            sizes: [MAX_BLOCK; Self::MOST],
            weights: [0; Self::MOST],
            count: sizes.len(),
        };
        let mut index = 0;
        while index < sizes.len() {
            let (size, weight) = sizes[index];
            if size == 0 || size > MAX_BLOCK || weight == 0 {
                return None;
            }
            all.sizes[index] = size;
            all.weights[index] = weight;
            index += 1;
        }
        Some(all)
    }

    /// Returns the sizes and their weights.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u8)> + '_ {
        let both = self.sizes.iter().zip(&self.weights);
        both.take(self.count).map(|(&size, &weight)| (size, weight))
    }

    /// Returns the largest size.
    pub fn largest(&self) -> u32 {
        self.iter().map(|(size, _)| size).max().unwrap_or(0)
    }
}

/// Alternation of activity and rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Time in which operations are started, in milliseconds.
    pub on_ms: u32,
    /// Time in which no operations are started, in milliseconds.
    pub off_ms: u32,
}

/// Part of a device, in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Start.
    pub from: u8,
    /// End.
    pub to: u8,
}

impl Part {
    /// Whole device.
    pub const WHOLE: Part = Part { from: 0, to: 100 };
}

/// Workers of a workload with the same mix of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Number of worker threads.
    pub workers: u32,
    /// Number of operations that these workers together keep in flight.
    pub in_flight: u32,
    /// Number of operations in 100 that read.
    pub read_percent: u8,
    /// Number of operations in 100 that go to a random place. The others follow the one before, so that a
    /// sequential run has `100 / random_percent` operations on average.
    pub random_percent: u8,
    /// Sizes of the operations.
    pub sizes: BlockSizes,
    /// Part of the device that the operations go to.
    pub part: Part,
    /// Size of the hot set in hundredths of that part; 0 for none. [`HOT_PERCENT`] of the random operations go
    /// there.
    pub hot_percent: u8,
    /// Every write is durable when it completes (FUA).
    pub durable: bool,
    /// Number of writes in 100 that become write-zeroes if their range is zero.
    pub zero_percent: u8,
    /// Number of writes of a worker after which a flush follows; 0 for none.
    pub flush_every: u32,
    /// Bursts; `None` for continuous activity.
    pub burst: Option<Burst>,
}

impl Stream {
    /// Plain stream: 4 KiB reads from the whole device by one worker.
    pub const PLAIN: Stream = Stream {
        workers: 1,
        in_flight: DEFAULT_QUEUE_DEPTH,
        read_percent: 100,
        random_percent: 100,
        sizes: BlockSizes::one(RANDOM_BLOCK),
        part: Part::WHOLE,
        hot_percent: 0,
        durable: false,
        zero_percent: 0,
        flush_every: 0,
        burst: None,
    };

    /// Returns the number of operations that worker `index` of the stream keeps in flight.
    const fn depth_of(&self, index: u32) -> u32 {
        let each = match self.in_flight.checked_div(self.workers) {
            Some(each) => each,
            None => return 0,
        };
        let rest = self.in_flight - each * self.workers;
        let depth = each + (index < rest) as u32;
        if depth == 0 {
            1
        } else {
            depth
        }
    }
}

/// Place of a worker in a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat<'a> {
    /// Stream of the worker.
    pub stream: &'a Stream,
    /// Number of the worker within the stream.
    pub index: u32,
    /// Number of operations that the worker keeps in flight.
    pub queue_depth: u32,
}

/// Workload of a test, for any device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    streams: [Stream; MAX_STREAMS],
    count: usize,
    /// Limit of operations started a second, over all workers; 0 for no limit.
    pub rate_iops: u32,
    /// Blocks are remapped and unremapped meanwhile.
    pub remaps: bool,
    /// Seed of the random numbers.
    pub seed: u64,
}

impl Workload {
    /// Makes a workload of one stream.
    pub const fn one(stream: Stream, seed: u64) -> Self {
        Self {
            streams: [stream; MAX_STREAMS],
            count: 1,
            rate_iops: 0,
            remaps: false,
            seed,
        }
    }

    /// Makes a workload without streams.
    pub const fn without_streams(seed: u64) -> Self {
        Self {
            count: 0,
            ..Self::one(Stream::PLAIN, seed)
        }
    }

    /// Adds a stream. Does nothing if there are [`MAX_STREAMS`] already.
    pub fn push(&mut self, stream: Stream) {
        if let Some(slot) = self.streams.get_mut(self.count) {
            *slot = stream;
            self.count += 1;
        }
    }

    /// Returns the streams.
    pub fn streams(&self) -> &[Stream] {
        self.streams.get(..self.count).unwrap_or(&self.streams)
    }

    /// Returns the number of worker threads.
    pub fn workers(&self) -> u32 {
        self.streams()
            .iter()
            .fold(0, |sum, stream| sum.saturating_add(stream.workers))
    }

    /// Returns the place of worker number `worker`. If a test gets more workers than it has places, further
    /// workers share them from the first one on. `None` for a workload without workers.
    pub fn seat(&self, worker: u32) -> Option<Seat<'_>> {
        let mut index = worker.checked_rem(self.workers())?;
        for stream in self.streams() {
            if index < stream.workers {
                return Some(Seat {
                    stream,
                    index,
                    queue_depth: stream.depth_of(index),
                });
            }
            index -= stream.workers;
        }
        None
    }

    /// Returns whether any operation writes.
    pub fn writes(&self) -> bool {
        self.streams()
            .iter()
            .any(|stream| stream.read_percent < 100)
    }

    /// Returns the size of the largest operation, in bytes.
    pub fn largest_block(&self) -> u32 {
        let largest = self.streams().iter().map(|stream| stream.sizes.largest());
        largest.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

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

    fn depths(workload: &Workload, workers: u32) -> Vec<u32> {
        (0..workers)
            .map(|worker| workload.seat(worker).unwrap().queue_depth)
            .collect()
    }

    #[test]
    fn thirty_two_workers_have_1024_in_flight() {
        let workload = TestType::Mixed.workload(MAX_WORKERS, 0);
        assert_eq!(depths(&workload, 32), [32; 32]);
    }

    #[test]
    fn what_does_not_divide_is_shared_out() {
        let stream = Stream {
            workers: 4,
            in_flight: 10,
            ..Stream::PLAIN
        };
        assert_eq!(depths(&Workload::one(stream, 0), 4), [3, 3, 2, 2]);
        let few = Stream {
            workers: 4,
            in_flight: 2,
            ..Stream::PLAIN
        };
        assert_eq!(depths(&Workload::one(few, 0), 4), [1, 1, 1, 1]);
    }

    #[test]
    fn workers_sit_down_stream_by_stream_and_around() {
        let stream = |workers, in_flight| Stream {
            workers,
            in_flight,
            ..Stream::PLAIN
        };
        let mut workload = Workload::one(stream(2, 20), 0);
        workload.push(stream(1, 7));
        assert_eq!(workload.workers(), 3);
        assert_eq!(depths(&workload, 7), [10, 10, 7, 10, 10, 7, 10]);
        let indices: Vec<u32> = (0..6)
            .map(|worker| workload.seat(worker).unwrap().index)
            .collect();
        assert_eq!(indices, [0, 1, 0, 0, 1, 0]);
        assert_eq!(Workload::one(stream(0, 1), 0).seat(0), None);
        assert_eq!(Workload::without_streams(0).seat(0), None);
        for _ in 0..MAX_STREAMS {
            workload.push(stream(1, 1));
        }
        assert_eq!(workload.streams().len(), MAX_STREAMS);
    }

    #[test]
    fn block_sizes_are_checked() {
        assert_eq!(BlockSizes::several(&[]), None);
        assert_eq!(BlockSizes::several(&[(0, 1)]), None);
        assert_eq!(BlockSizes::several(&[(512, 0)]), None);
        assert_eq!(BlockSizes::several(&[(MAX_BLOCK + 1, 1)]), None);
        assert_eq!(BlockSizes::several(&[(512, 1); 9]), None);
        let two = BlockSizes::several(&[(512, 3), (4096, 1)]).unwrap();
        assert_eq!(two.iter().collect::<Vec<_>>(), [(512, 3), (4096, 1)]);
        assert_eq!(two.largest(), 4096);
    }
}
