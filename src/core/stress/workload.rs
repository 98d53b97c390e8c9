// SPDX-License-Identifier: GPL-2.0

//! What a stress test does to a device, whatever the device: workloads, and the streams that they
//! are made of.
//!
//! Every workload, whether a test type, one of production or made to measure, is a value of
//! [`Workload`]: up to [`MOST_STREAMS`] streams, each with workers, a mix and a region of its own.
//! [`crate::stress::generator`] turns it into operations.

/// Block size of random I/O in the test types: what databases and file systems mostly do.
pub const RANDOM_BLOCK: u32 = 4096;

/// Block size of sequential I/O in the test types: large enough to stream, small enough that a
/// thousand in flight need 64 MiB only.
pub const SEQUENTIAL_BLOCK: u32 = 65536;

/// Largest block size of any workload, in bytes.
pub const MAX_BLOCK: u32 = 1 << 20;

/// Most worker threads of a test.
pub const MAX_WORKERS: u32 = 32;

/// Most bios that a test keeps in flight.
pub const MAX_IN_FLIGHT: u32 = 50_000;

/// Operations that a worker keeps in flight unless told otherwise, so that 32 workers make 1024.
pub const DEFAULT_QUEUE_DEPTH: u32 = 32;

/// Most streams of a workload.
pub const MOST_STREAMS: usize = 8;

/// Of 100 random operations of a stream with a hot set, how many go there: the page-level skew
/// of TPC-C (Leutenegger, Dias: "A modeling study of the TPC-C benchmark", SIGMOD 1993) and the
/// usual rule of thumb.
pub const HOT_PERCENT: u8 = 80;

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
        self.workload_of(workers, SEQUENTIAL_BLOCK, seed)
    }

    /// The workload of this type with sequential operations of `sequential_block` bytes.
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

/// Up to eight block sizes in bytes, each with a weight that says how often it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSizes {
    sizes: [u32; Self::MOST],
    weights: [u8; Self::MOST],
    count: usize,
}

impl BlockSizes {
    /// Most sizes of a stream.
    pub const MOST: usize = 8;

    /// A single size.
    pub const fn one(bytes: u32) -> Self {
        Self {
            sizes: [bytes; Self::MOST],
            weights: [1; Self::MOST],
            count: 1,
        }
    }

    /// Several sizes with their weights; `None` for none or too many of them, or one of zero or
    /// above [`MAX_BLOCK`].
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

    /// The sizes and their weights.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u8)> + '_ {
        let both = self.sizes.iter().zip(&self.weights);
        both.take(self.count).map(|(&size, &weight)| (size, weight))
    }

    /// The largest size.
    pub fn largest(&self) -> u32 {
        self.iter().map(|(size, _)| size).max().unwrap_or(0)
    }
}

/// Times of activity and of rest that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// How long operations are started, in milliseconds.
    pub on_ms: u32,
    /// How long none are.
    pub off_ms: u32,
}

/// A part of a device, in hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it starts.
    pub from: u8,
    /// Where it ends.
    pub to: u8,
}

impl Part {
    /// All of the device.
    pub const WHOLE: Part = Part { from: 0, to: 100 };
}

/// What one set of workers does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Number of worker threads.
    pub workers: u32,
    /// Operations that all of them together keep in flight.
    pub in_flight: u32,
    /// How many of 100 operations are reads.
    pub read_percent: u8,
    /// How many of 100 operations go to a random place; the others follow the one before, so
    /// that a sequential run has `100 / random_percent` operations on average.
    pub random_percent: u8,
    /// Sizes of the operations.
    pub sizes: BlockSizes,
    /// The part of the device that it has.
    pub part: Part,
    /// The hot set in hundredths of that part: [`HOT_PERCENT`] of the random operations go
    /// there. 0 for none.
    pub hot_percent: u8,
    /// Whether every write has to be durable when it completes (FUA).
    pub durable: bool,
    /// How many of 100 writes give their range back to the device where it holds zeros only.
    pub zero_percent: u8,
    /// A flush follows so many writes of a worker; 0 for none.
    pub flush_every: u32,
    /// Activity in bursts.
    pub burst: Option<Burst>,
}

impl Stream {
    /// Nothing out of the ordinary: 4 KiB reads all over the device by one worker.
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

    /// Operations that worker `index` of the stream keeps in flight.
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

/// The place of a worker in a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat<'a> {
    /// Its stream.
    pub stream: &'a Stream,
    /// Its number within the stream.
    pub index: u32,
    /// Operations that it keeps in flight.
    pub queue_depth: u32,
}

/// What a test does, whatever the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    streams: [Stream; MOST_STREAMS],
    count: usize,
    /// Most operations that are started in a second, over all workers; 0 for no limit.
    pub rate_iops: u32,
    /// Whether blocks are remapped and unremapped meanwhile.
    pub remaps: bool,
    /// Where the random numbers start.
    pub seed: u64,
}

impl Workload {
    /// A workload of one stream.
    pub const fn one(stream: Stream, seed: u64) -> Self {
        Self {
            streams: [stream; MOST_STREAMS],
            count: 1,
            rate_iops: 0,
            remaps: false,
            seed,
        }
    }

    /// A workload that does nothing yet.
    pub const fn without_streams(seed: u64) -> Self {
        Self {
            count: 0,
            ..Self::one(Stream::PLAIN, seed)
        }
    }

    /// Adds a stream; one beyond [`MOST_STREAMS`] is left out.
    pub fn push(&mut self, stream: Stream) {
        if let Some(slot) = self.streams.get_mut(self.count) {
            *slot = stream;
            self.count += 1;
        }
    }

    /// The streams.
    pub fn streams(&self) -> &[Stream] {
        self.streams.get(..self.count).unwrap_or(&self.streams)
    }

    /// Number of worker threads.
    pub fn workers(&self) -> u32 {
        self.streams()
            .iter()
            .fold(0, |sum, stream| sum.saturating_add(stream.workers))
    }

    /// The place of worker number `worker`. There is one for every number: where a test is given
    /// more workers than it has places, they start again at the first one.
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

    /// Whether any operation writes.
    pub fn writes(&self) -> bool {
        self.streams()
            .iter()
            .any(|stream| stream.read_percent < 100)
    }

    /// The largest operation, in bytes.
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
        for _ in 0..MOST_STREAMS {
            workload.push(stream(1, 1));
        }
        assert_eq!(workload.streams().len(), MOST_STREAMS);
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
