// SPDX-License-Identifier: GPL-2.0

//! What is known of a stress test, running or ended: the plain figures that verdict and reports
//! are made of.

use crate::{
    interface::device_number::DeviceNumber,
    stress::{
        histogram::{
            Histogram,
            Summary, //
        },
        name::Name,
        regression::Regression,
        stress_test::Limit,
        trend::{
            per_second,
            BasisPoints,
            Quarters,
            Trend, //
        }, //
    }, //
};

/// How far a test has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It runs, or its workers are just ending.
    Running,
    /// It ran for as long as was asked.
    Completed,
    /// Somebody stopped it.
    StoppedEarly,
    /// It gave up.
    GaveUp,
}

impl Progress {
    /// The word in the reports.
    pub const fn word(self) -> &'static str {
        match self {
            Progress::Running => "RUNNING",
            Progress::Completed => "COMPLETED",
            Progress::StoppedEarly => "STOPPED_EARLY",
            Progress::GaveUp => "GAVE_UP",
        }
    }
}

/// Reason why a test that writes had to end: to go on could have harmed the data of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Hazard {
    /// Another user has opened the device and keeps it open.
    Shared = 1,
    /// Another user has written to it.
    Written = 2,
    /// The device is not to be written to any more.
    ReadOnly = 3,
    /// Another table has taken the place of the one that the test began with.
    Replaced = 4,
}

impl Hazard {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Shared, Self::Written, Self::ReadOnly, Self::Replaced];

    /// Reason in the words of the reports.
    pub const fn reason(self) -> &'static str {
        match self {
            Hazard::Shared => "somebody else opened the device",
            Hazard::Written => "somebody else wrote to the device",
            Hazard::ReadOnly => "the device became read-only",
            Hazard::Replaced => "the table was replaced",
        }
    }
}

/// Whether what was read again at the end is what was there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Integrity {
    /// How many ranges were read again.
    pub verified: u64,
    /// How many of them had other contents.
    pub mismatches: u64,
    /// How many could not be read again.
    pub unreadable: u64,
    /// Whether somebody else may have written to the device meanwhile, so that a mismatch proves
    /// nothing.
    pub shared: bool,
}

/// What the target did during the test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Engine {
    /// Remapped blocks at present.
    pub entries: u64,
    /// Spare blocks in all.
    pub spare_blocks: u64,
    /// Bios that were sent to main without a look into the remap table.
    pub fast: u64,
    /// Bios that needed the look.
    pub slow: u64,
    /// Reads, over all CPUs.
    pub reads: u64,
    /// Writes, over all CPUs.
    pub writes: u64,
    /// Reads that went to a spare block.
    pub remapped_reads: u64,
    /// Writes that went to a spare block.
    pub remapped_writes: u64,
}

/// What the module used, in bytes of its own allocations and nanoseconds of CPU time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Allocated before the test.
    pub memory_before: u64,
    /// Most that was allocated during it.
    pub memory_peak: u64,
    /// Allocated after it; while it runs, at present.
    pub memory_after: u64,
    /// CPU time of all workers.
    pub cpu_ns: u64,
    /// Memory that the test holds to put the machine under pressure.
    pub pressure_bytes: u64,
}

/// What is kept of a test's course: histograms and trend, 76 KiB, so never a local variable in the
/// kernel. All bytes zero is a test of which nothing is known.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct Charts {
    /// What dm-remap added to a bio.
    pub added: Histogram,
    /// Submission to completion of the reads.
    pub read: Histogram,
    /// Submission to completion of the writes, and of what else changes the device.
    pub write: Histogram,
    /// How the figures moved.
    pub trend: Trend,
}

/// Everything that is known of one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Name of the device.
    pub name: Name,
    /// Its number.
    pub device: DeviceNumber,
    /// Number of the test.
    pub test: u8,
    /// Its name.
    pub test_name: &'static str,
    /// When the test was to end.
    pub limit: Limit,
    /// Number of worker threads.
    pub workers: u32,
    /// Bios that all workers keep in flight together.
    pub queue_depth: u32,
    /// Where the random numbers started.
    pub seed: u64,
    /// How far the test has come.
    pub progress: Progress,
    /// For how long operations were started, in nanoseconds.
    pub elapsed_ns: u64,
    /// Operations that ended well.
    pub ops: u64,
    /// Bytes that they moved.
    pub bytes: u64,
    /// Flushes among the operations.
    pub flushes: u64,
    /// Operations that gave a range of zeros back to the device.
    pub zeroed: u64,
    /// Operations that failed.
    pub errors: u64,
    /// Bios in flight at present.
    pub in_flight: u64,
    /// Most bios that were in flight at once.
    pub peak_in_flight: u64,
    /// Whether the device completes most bios before it returns from their submission, so that
    /// none are left in flight.
    pub synchronous: bool,
    /// What dm-remap added to a bio; `None` where the target did not measure it.
    pub added: Option<Summary>,
    /// Submission to completion of the reads.
    pub read: Summary,
    /// Submission to completion of the writes.
    pub write: Summary,
    /// First and last quarter of the run.
    pub quarters: Option<Quarters>,
    /// How much the added latency varied over the run.
    pub variation: Option<BasisPoints>,
    /// The highest throughput of a sample, in bytes a second.
    pub peak_bytes_per_second: Option<u64>,
    /// By how much the throughput rose or fell over the later half of the run.
    pub slope: Option<BasisPoints>,
    /// The run in comparison with the baseline.
    pub regression: Regression,
    /// What reading again has shown; `None` while the test runs.
    pub integrity: Option<Integrity>,
    /// What the target did; `None` when its table is gone.
    pub engine: Option<Engine>,
    /// What the test used.
    pub resources: Resources,
    /// Workers that gave up because too many operations failed in a row.
    pub failed_workers: u32,
    /// Blocks that the test remapped and could not move back.
    pub left_remapped: u64,
    /// Reason why a test that writes had to end.
    pub hazard: Option<Hazard>,
    /// Remaps and unremaps that failed otherwise than by a lack of spare blocks.
    pub remap_errors: u64,
}

impl Measurement {
    /// For how long operations were started, in milliseconds.
    pub const fn elapsed_ms(&self) -> u64 {
        self.elapsed_ns / 1_000_000
    }

    /// Operations a second.
    pub fn iops(&self) -> u64 {
        per_second(self.ops, self.elapsed_ns)
    }

    /// Throughput in MB/s, where a MB is 10^6 bytes.
    pub fn megabytes_per_second(&self) -> u64 {
        per_second(self.bytes, self.elapsed_ns) / 1_000_000
    }

    /// How long the test was to run, in milliseconds; for one that ends by volume how long it
    /// has run so far.
    pub const fn duration_ms(&self) -> u64 {
        match self.limit {
            Limit::Time(ms) => ms,
            Limit::Volume(_) => self.elapsed_ms(),
        }
    }

    /// How much of the test is done, in percent.
    pub const fn percent_done(&self) -> u64 {
        let (done, of) = match self.limit {
            Limit::Time(ms) => (self.elapsed_ms(), ms),
            // In MB, so that there is room for the factor.
            Limit::Volume(bytes) => (self.bytes / 1_000_000, bytes / 1_000_000),
        };
        match done.saturating_mul(100).checked_div(of) {
            Some(percent) if percent < 100 => percent,
            _ => 100,
        }
    }

    /// Failed operations in ten thousandths of a percent of all; `None` where there were none.
    pub fn error_rate(&self) -> Option<u64> {
        let all = self.ops.saturating_add(self.errors);
        match (all, self.errors.checked_mul(1_000_000)) {
            (0, _) => None,
            // Rounded up, so that a single error is never printed as none.
            (_, Some(scaled)) => Some(scaled.div_ceil(all)),
            (_, None) => Some((self.errors / (all / 1_000_000).max(1)).min(1_000_000)),
        }
    }

    /// A made-up test in which every target is met, to start from in tests.
    #[cfg(test)]
    pub(crate) fn example() -> Self {
        use crate::stress::trend::Sample;
        let latency = Summary {
            count: 1000,
            min: 50,
            average: 120,
            p50: 110,
            p90: 200,
            p99: 400,
            p99_9: 900,
            max: 5000,
        };
        let quarter = Sample {
            ns: 1_000_000_000,
            ops: 100_000,
            bytes: 409_600_000,
            added_count: 100_000,
            added_ns: 12_000_000,
            memory: 0,
        };
        Self {
            name: Name::new(b"test_device"),
            device: DeviceNumber {
                major: 253,
                minor: 0,
            },
            test: 4,
            test_name: "Mixed Workload",
            limit: Limit::Time(30_000),
            workers: 4,
            queue_depth: 128,
            seed: 42,
            progress: Progress::Completed,
            elapsed_ns: 30_000_000_000,
            ops: 3_000_000,
            bytes: 12_288_000_000,
            flushes: 0,
            zeroed: 0,
            errors: 0,
            in_flight: 0,
            peak_in_flight: 128,
            synchronous: false,
            added: Some(latency),
            read: latency,
            write: latency,
            quarters: Some(Quarters {
                first: quarter,
                last: quarter,
            }),
            variation: Some(200),
            peak_bytes_per_second: Some(409_600_000),
            slope: Some(0),
            regression: Regression::NotAsked,
            integrity: Some(Integrity {
                verified: 256,
                ..Integrity::default()
            }),
            engine: Some(Engine {
                entries: 10,
                spare_blocks: 1000,
                fast: 90,
                slow: 10,
                ..Engine::default()
            }),
            resources: Resources::default(),
            failed_workers: 0,
            left_remapped: 0,
            hazard: None,
            remap_errors: 0,
        }
    }
}
