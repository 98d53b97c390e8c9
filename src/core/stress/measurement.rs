// SPDX-License-Identifier: GPL-2.0

//! Results of a stress test, running or ended: the plain figures that verdict and reports use.

use core::num::NonZeroU64;

use crate::{
    interface::device_number::DeviceNumber,
    stress::{
        delays::DelayFigures,
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

/// Progress of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The test runs, or its workers are ending.
    Running,
    /// The test has reached its limit.
    Completed,
    /// The test was stopped before.
    StoppedEarly,
    /// The test gave up.
    GaveUp,
}

impl Progress {
    /// Returns the word in the reports.
    pub const fn word(self) -> &'static str {
        match self {
            Progress::Running => "RUNNING",
            Progress::Completed => "COMPLETED",
            Progress::StoppedEarly => "STOPPED_EARLY",
            Progress::GaveUp => "GAVE_UP",
        }
    }
}

/// Reason why a test that writes had to end: it could have damaged data if it had gone on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Hazard {
    /// Another user has opened the device and keeps it open.
    Shared = 1,
    /// Another user has written to the device.
    Written = 2,
    /// The device has become read-only.
    ReadOnly = 3,
    /// Another table has taken the place of the one that the test began with.
    Replaced = 4,
}

impl Hazard {
    /// All hazards.
    pub const ALL: [Self; 4] = [Self::Shared, Self::Written, Self::ReadOnly, Self::Replaced];

    /// Returns the reason in words, for log and reports.
    pub const fn reason(self) -> &'static str {
        match self {
            Hazard::Shared => "somebody else opened the device",
            Hazard::Written => "somebody else wrote to the device",
            Hazard::ReadOnly => "the device became read-only",
            Hazard::Replaced => "the table was replaced",
        }
    }
}

/// Results of the reads at the end, which compare the contents of ranges with those before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Integrity {
    /// Number of ranges that were read again.
    pub verified: u64,
    /// Number of ranges with other contents.
    pub mismatches: u64,
    /// Number of ranges that could not be read again.
    pub unreadable: u64,
    /// Another user may have written to the device meanwhile, so that a mismatch proves nothing.
    pub shared: bool,
}

/// Counters of the target for the test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Engine {
    /// Number of remapped blocks at present.
    pub entries: u64,
    /// Number of spare blocks, free or not.
    pub spare_blocks: u64,
    /// Number of bios that went to main by the filter alone.
    pub fast: u64,
    /// Number of bios that needed the exact lookup.
    pub slow: u64,
    /// Number of reads, over all CPUs.
    pub reads: u64,
    /// Number of writes, over all CPUs.
    pub writes: u64,
    /// Number of reads that went to a spare block.
    pub remapped_reads: u64,
    /// Number of writes that went to a spare block.
    pub remapped_writes: u64,
}

/// Resources that the stress manager used: bytes of its own allocations, and nanoseconds of CPU time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Memory allocated before the test.
    pub memory_before: u64,
    /// Most memory allocated during the test.
    pub memory_peak: u64,
    /// Memory allocated after the test, or at present while it runs.
    pub memory_after: u64,
    /// CPU time of all workers.
    pub cpu_ns: u64,
    /// Memory that the test holds to put the machine under pressure.
    pub pressure_bytes: u64,
}

/// Histograms and trend of a test. Their size is 76 KiB, so they are never a local variable in the kernel. All
/// bytes zero is a test without results.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct Charts {
    /// Latency that dm-remap added to bios.
    pub added: Histogram,
    /// Latency of reads, from submission to completion.
    pub read: Histogram,
    /// Latency of writes, write-zeroes and flushes, from submission to completion.
    pub write: Histogram,
    /// Course of the figures.
    pub trend: Trend,
}

/// Results of one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Name of the device.
    pub name: Name,
    /// Number of the device.
    pub device: DeviceNumber,
    /// Number of the test.
    pub test: u8,
    /// Name of the test.
    pub test_name: &'static str,
    /// Limit of the test.
    pub limit: Limit,
    /// Number of worker threads.
    pub workers: u32,
    /// Number of operations that all workers together keep in flight.
    pub queue_depth: u32,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Progress of the test.
    pub progress: Progress,
    /// Time of the test in nanoseconds, without the reads at the end.
    pub elapsed_ns: u64,
    /// Number of operations that succeeded.
    pub ops: u64,
    /// Number of bytes that these operations moved.
    pub bytes: u64,
    /// Number of flushes among these operations.
    pub flushes: u64,
    /// Number of write-zeroes among these operations.
    pub zeroed: u64,
    /// Number of operations that failed.
    pub errors: u64,
    /// Number of bios in flight at present.
    pub in_flight: u64,
    /// Largest number of bios that were in flight at once.
    pub peak_in_flight: u64,
    /// The device completes most bios before their submission returns, so that few are in flight.
    pub synchronous: bool,
    /// Latency that dm-remap added to bios; `None` if the target did not measure it.
    pub added: Option<Summary>,
    /// Latency of reads, from submission to completion.
    pub read: Summary,
    /// Latency of writes, write-zeroes and flushes, from submission to completion.
    pub write: Summary,
    /// Times that bios waited for the target; `None` if the target did not measure them.
    pub delays: Option<DelayFigures>,
    /// First and last quarter of the run.
    pub quarters: Option<Quarters>,
    /// Variation of the added latency over the run.
    pub variation: Option<BasisPoints>,
    /// Highest throughput of a sample, in bytes a second.
    pub peak_bytes_per_second: Option<u64>,
    /// Change of the throughput over the later half of the run.
    pub slope: Option<BasisPoints>,
    /// Comparison of the run with the baseline.
    pub regression: Regression,
    /// Results of the reads at the end; `None` while the test runs.
    pub integrity: Option<Integrity>,
    /// Counters of the target; `None` if its table is gone.
    pub engine: Option<Engine>,
    /// Resources that the test used.
    pub resources: Resources,
    /// Number of workers that gave up after too many consecutive failures.
    pub failed_workers: u32,
    /// Number of blocks that the test remapped and could not move back.
    pub left_remapped: u64,
    /// Reason why a test that writes had to end.
    pub hazard: Option<Hazard>,
    /// Number of remaps and unremaps that failed, except for a lack of spare blocks.
    pub remap_errors: u64,
}

impl Measurement {
    /// Returns the time of the test in milliseconds, without the reads at the end.
    pub const fn elapsed_ms(&self) -> u64 {
        self.elapsed_ns / 1_000_000
    }

    /// Returns the number of operations a second.
    pub fn iops(&self) -> u64 {
        per_second(self.ops, self.elapsed_ns)
    }

    /// Returns the throughput in MB/s. A MB is 10^6 bytes.
    pub fn megabytes_per_second(&self) -> u64 {
        per_second(self.bytes, self.elapsed_ns) / 1_000_000
    }

    /// Returns the time limit of the test in milliseconds; for a test that a volume limits, its time so far.
    pub const fn duration_ms(&self) -> u64 {
        match self.limit {
            Limit::Time(ms) => ms,
            Limit::Volume(_) => self.elapsed_ms(),
        }
    }

    /// Returns how much of the test is done, in percent.
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

    /// Returns the failed operations in ten thousandths of a percent of all; `None` if there were no operations.
    pub fn error_rate(&self) -> Option<u64> {
        let all = NonZeroU64::new(self.ops.saturating_add(self.errors))?;
        Some(match self.errors.checked_mul(1_000_000) {
            // Rounded up, so that a single error is never printed as none.
            Some(scaled) => scaled / all + u64::from(scaled % all != 0),
            // Of so many errors, all are a million or more.
            None => {
                let millionth = NonZeroU64::new(all.get() / 1_000_000).unwrap_or(NonZeroU64::MIN);
                (self.errors / millionth).min(1_000_000)
            }
        })
    }

    /// Returns results that meet every target, for use in tests.
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
            delays: Some(DelayFigures::default()),
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
