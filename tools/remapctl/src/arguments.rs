// SPDX-License-Identifier: GPL-2.0

//! Command line. The comments of its types and fields are the help texts.

use std::{
    path::PathBuf,
    time::Duration, //
};

use clap::{
    value_parser,
    Args,
    Parser,
    Subcommand,
    ValueEnum, //
};
use clap_complete::Shell;

use crate::{
    duration,
    size, //
};

/// Identifier of the arguments that take the name of a device.
pub(crate) const DEVICE: &str = "device";

/// Shows remap devices, and runs and reports their stress tests.
///
/// Exit status: 0 if all is well, 1 if a test has not passed, or a device is not well or does not
/// answer, 2 for wrong usage, 3 if the command could not be carried out, 141 if the output was closed.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Arguments {
    /// Where sysfs is mounted
    #[arg(
        long,
        global = true,
        hide = true,
        value_name = "DIR",
        default_value = "/sys"
    )]
    pub(crate) sys: PathBuf,

    /// Directory with recorded answers of device-mapper
    #[arg(long, global = true, hide = true, value_name = "DIR")]
    pub(crate) mapper: Option<PathBuf>,

    /// Command to run
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Commands of `remapctl`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the status of the remap devices
    ///
    /// Exit status 1: the health of a device is not ok, its metadata is neither ok nor none, or it does not
    /// answer.
    Status(StatusArguments),

    /// Lists the remapped blocks of a device
    List(ListArguments),

    /// Shows the running stress test and the health of the devices, over and over
    Watch(WatchArguments),

    /// Runs stress tests, changes, stops and reports them
    #[command(subcommand)]
    Stress(StressCommand),

    /// Saves, loads and shows the baselines of regression tests
    #[command(subcommand)]
    Baseline(BaselineCommand),

    /// Writes metrics for Prometheus, as node-exporter's textfile collector takes them
    ///
    /// Exit status 1: a value could not be read; all others are written.
    Metrics {
        /// The file, replaced as a whole; standard output without it
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },

    /// Writes the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },

    /// Lists the remap devices for completions, a word each
    #[command(hide = true)]
    Devices,

    /// Writes the manual, a page for each command
    #[command(hide = true)]
    Man {
        /// The directory
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
}

/// Arguments of `status`.
#[derive(Args, Debug)]
pub(crate) struct StatusArguments {
    /// Only this one, with all its counters: a name, /dev/mapper/NAME, dm-N or MAJOR:MINOR
    pub(crate) device: Option<String>,

    /// Writes JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `list`.
#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// A name, /dev/mapper/NAME, dm-N or MAJOR:MINOR
    pub(crate) device: String,

    /// Writes JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `watch`.
#[derive(Args, Debug)]
pub(crate) struct WatchArguments {
    /// Time between two updates
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = duration::of_interval)]
    pub(crate) interval: Duration,

    /// Ends after this number of updates
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

/// Commands for stress tests.
#[derive(Debug, Subcommand)]
pub(crate) enum StressCommand {
    /// Runs a stress test to its end, and prints the result
    ///
    /// A test never changes the data on the device. Ctrl-c stops it. Exit status: 0 it has passed, 1
    /// it has failed or was stopped, 3 it could not be started.
    Run(RunArguments),

    /// Stops the running stress test
    Stop,

    /// Sets or unsets the device of later tests
    ///
    /// The module keeps it until another one is set, also by --device of a run, or the device is removed.
    /// If no device is set, tests run on the only remap device.
    Target(TargetArguments),

    /// Changes the running test, or the next one
    Adjust(AdjustArguments),

    /// Reports on the running test, or on the last one
    ///
    /// Exit status 1: no test has run since the module was loaded.
    Report(ReportArguments),
}

/// Arguments of `stress target`.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct TargetArguments {
    /// A name, /dev/mapper/NAME, dm-N or MAJOR:MINOR
    pub(crate) device: Option<String>,

    /// Unsets the device
    #[arg(long)]
    pub(crate) none: bool,
}

/// Arguments of `stress run`.
#[derive(Args, Debug)]
pub(crate) struct RunArguments {
    /// A name, /dev/mapper/NAME, dm-N or MAJOR:MINOR; kept for later tests. Not needed if there is exactly
    /// one remap device
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) device: Option<String>,

    /// Kind of test
    #[command(subcommand)]
    pub(crate) kind: RunKind,
}

/// The test types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TestType {
    /// 64 KiB reads, each worker from its own part of the device
    SequentialRead,
    /// 4 KiB reads all over the device
    RandomRead,
    /// 64 KiB writes, each worker to its own part of the device
    SequentialWrite,
    /// 4 KiB writes all over the device
    RandomWrite,
    /// 70 % reads and 30 % writes of 4 KiB all over the device
    Mixed,
    /// As mixed, while blocks are remapped and unremapped
    RemapHeavy,
}

/// The workloads of production.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Production {
    /// Tables and indices, and a log
    Database,
    /// Files, directories and a journal
    FileServer,
    /// Several virtual machines
    Virtualization,
    /// All of these at once
    All,
}

/// The kinds of test.
#[derive(Debug, Subcommand)]
pub(crate) enum RunKind {
    /// One of the test types
    Type {
        /// What the workers do
        #[arg(long = "type", value_name = "TYPE")]
        test_type: TestType,

        /// Number of worker threads
        #[arg(
            long,
            value_name = "N",
            default_value_t = 4,
            value_parser = value_parser!(u32).range(1..=32)
        )]
        workers: u32,

        /// How long it runs: 500ms, 90s, 2m
        #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::of_test)]
        duration: Duration,
    },

    /// Mixed, 4 workers, 30 seconds
    Quick {
        /// How long it runs: 500ms, 90s, 2m
        #[arg(long, value_name = "TIME", value_parser = duration::of_test)]
        duration: Option<Duration>,
    },

    /// Mixed, 16 workers, a minute, compared with the baseline
    Regression {
        /// How long it runs: 500ms, 90s, 2m
        #[arg(long, value_name = "TIME", value_parser = duration::of_test)]
        duration: Option<Duration>,
    },

    /// Mixed, 8 workers, while memory is held
    MemoryPressure {
        /// How much is held, in whole MiB: 512M, 2G
        #[arg(long, value_name = "SIZE", value_parser = size::of_memory)]
        memory: u64,

        /// How long it runs: 500ms, 90s, 2m
        #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration::of_test)]
        duration: Duration,
    },

    /// Mixed, 32 workers, with many operations in flight
    HighConcurrency {
        /// Operations in flight, all workers together
        #[arg(
            long,
            value_name = "N",
            default_value_t = 1000,
            value_parser = value_parser!(u32).range(100..=50_000)
        )]
        in_flight: u32,

        /// How long it runs, in whole seconds: 30s, 2m
        #[arg(
            long,
            value_name = "TIME",
            default_value = "30s",
            value_parser = duration::of_whole_seconds
        )]
        duration: Duration,
    },

    /// 8 workers, until an amount of data has been moved
    TbScale {
        /// How many GB (10^9 bytes)
        #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=10_000))]
        gigabytes: u32,

        /// What the workers do
        #[arg(long = "type", value_name = "TYPE", default_value = "sequential-read")]
        test_type: TestType,
    },

    /// 8 workers, for hours
    Endurance {
        /// How many hours
        #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=24))]
        hours: u32,

        /// What the workers do
        #[arg(long = "type", value_name = "TYPE", default_value = "mixed")]
        test_type: TestType,
    },

    /// What servers do to their disks
    Production {
        /// Which servers
        #[arg(long, value_name = "WORKLOAD")]
        workload: Production,

        /// How hard, from 1 to 4
        #[arg(
            long,
            value_name = "N",
            default_value_t = 1,
            value_parser = value_parser!(u32).range(1..=4)
        )]
        intensity: u32,

        /// How many minutes it runs
        #[arg(
            long,
            value_name = "N",
            default_value_t = 1,
            value_parser = value_parser!(u32).range(1..=1440)
        )]
        minutes: u32,
    },

    /// A workload of your own
    Custom(CustomArguments),
}

/// Arguments of `stress run custom`.
#[derive(Args, Debug)]
pub(crate) struct CustomArguments {
    /// How many of 100 operations read
    #[arg(long, value_name = "PERCENT", value_parser = value_parser!(u32).range(..=100))]
    pub(crate) read: u32,

    /// How many of 100 operations go to a random place
    #[arg(long, value_name = "PERCENT", value_parser = value_parser!(u32).range(..=100))]
    pub(crate) random: u32,

    /// Sizes of operations, up to eight: 4k,64k
    #[arg(
        long,
        value_name = "SIZE",
        value_delimiter = ',',
        default_value = "4k",
        value_parser = size::of_operation
    )]
    pub(crate) bs: Vec<u64>,

    /// Operations in flight for each worker
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        value_parser = value_parser!(u32).range(1..=4096)
    )]
    pub(crate) queue_depth: u32,

    /// Number of worker threads
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = value_parser!(u32).range(1..=32)
    )]
    pub(crate) workers: u32,

    /// How long it runs: 500ms, 90s, 2m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration::of_test)]
    pub(crate) duration: Duration,

    /// Hot set in hundredths of the device: most random operations go there
    #[arg(long, value_name = "PERCENT", value_parser = value_parser!(u32).range(..=99))]
    pub(crate) hot: Option<u32>,

    /// Number of writes of a worker after which a flush follows
    #[arg(long, value_name = "N")]
    pub(crate) fsync: Option<u32>,

    /// Limit of operations a second, all workers together; 0 for none
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(..=100_000_000))]
    pub(crate) rate_iops: Option<u32>,

    /// Seed of the random numbers, to repeat a run
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// Arguments of `stress adjust`.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(crate) struct AdjustArguments {
    /// Number of worker threads
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=32))]
    pub(crate) workers: Option<u32>,

    /// Operations in flight for each worker
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=4096))]
    pub(crate) queue_depth: Option<u32>,

    /// Limit of operations a second, all workers together; 0 for none
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(..=100_000_000))]
    pub(crate) rate_iops: Option<u32>,

    /// How many of 100 operations write
    #[arg(long, value_name = "PERCENT", value_parser = value_parser!(u32).range(..=100))]
    pub(crate) write_percent: Option<u32>,
}

/// Arguments of `stress report`.
#[derive(Args, Debug)]
pub(crate) struct ReportArguments {
    /// One JSON document: results, histograms and trend
    #[arg(long, group = "form")]
    pub(crate) json: bool,

    /// One page with the charts, which needs no other file
    #[arg(long, group = "form")]
    pub(crate) html: bool,

    /// The charts: latencies, and IOPS and added latency over time
    #[arg(long, group = "form")]
    pub(crate) svg: bool,

    /// The file, replaced as a whole; standard output without it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Commands for baselines.
#[derive(Debug, Subcommand)]
pub(crate) enum BaselineCommand {
    /// Writes the baselines to a file
    Save {
        /// The file; - for standard output
        file: PathBuf,
    },

    /// Sets the baselines that were saved in a file
    Load {
        /// The file; - for standard input
        file: PathBuf,
    },

    /// Shows the baselines
    Show {
        /// Writes JSON
        #[arg(long)]
        json: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
