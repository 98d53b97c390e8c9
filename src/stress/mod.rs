// SPDX-License-Identifier: GPL-2.0

//! Stress manager: tests that submit bios to a remap device through the block layer, as other users do.
//!
//! * [`attributes`]: the tables of files in `/sys/kernel/dm_remap_stress_test/` and in debugfs.
//! * [`manager`]: the state machine: the running test, its start and its end.
//! * [`run`]: one test: its device, plan and threads. [`controls`]: its settings, which can be changed while
//!   it runs.
//! * [`guard`]: protection of the data on a device against a test that writes.
//! * [`worker`]: a thread that keeps bios in flight. [`integrity`]: the sample of ranges that a worker reads
//!   again at the end.
//! * [`remapper`]: the thread of remap-heavy tests. [`pressure`]: the thread that holds memory.
//! * [`tally`]: the counts of threads. [`watch`]: observations of a test from outside its threads.
//!   [`monitor`]: the thread that watches a test and ends it.
//! * [`memory`]: accounting of the manager's memory.
//! * [`refusal`]: log lines and errors for refused writes to files.
//! * [`optimization`]: a second directory, with counters over all live tables.
//!
//! The target is known here only as [`crate::remap::table`] and [`crate::remap::rewriter`].

mod attributes;
mod controls;
mod guard;
mod integrity;
mod manager;
mod memory;
mod monitor;
mod optimization;
mod pressure;
mod refusal;
mod remapper;
mod run;
mod tally;
mod watch;
mod worker;

use kernel::{
    prelude::*,
    sync::Arc, //
};

use crate::linux::{
    debugfs,
    sysfs::{
        Directory,
        Parent, //
    }, //
};

use self::{
    manager::Manager,
    optimization::Optimization, //
};

/// Stress manager as the module owns it. Dropping it removes the files, ends the running test and waits for
/// all threads.
pub(crate) struct Stress {
    /// Dropped first: no test can be started after that.
    _files: Files,
    /// Dropped last.
    _end: EndOfTests,
}

struct Files {
    _control: Directory<Manager>,
    _optimization: Directory<Optimization>,
    _records: debugfs::Directory<Manager>,
}

/// Guard that ends the running test when dropped.
struct EndOfTests(Arc<Manager>);

impl Drop for EndOfTests {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

impl Stress {
    /// Makes the files. May sleep.
    pub(crate) fn register(module: &'static ThisModule) -> Result<Self> {
        let manager = Manager::new()?;
        let end = EndOfTests(manager.clone());
        Ok(Self {
            _files: Files {
                _control: Directory::new(
                    Parent::Kernel,
                    c"dm_remap_stress_test",
                    attributes::TABLE,
                    manager.clone(),
                )?,
                _optimization: Directory::new(
                    Parent::Module(module),
                    c"optimization",
                    optimization::TABLE,
                    Arc::new(Optimization, GFP_KERNEL)?,
                )?,
                _records: debugfs::Directory::new(
                    module,
                    (c"dm_remap", c"stress"),
                    attributes::RECORDS,
                    manager,
                )?,
            },
            _end: end,
        })
    }
}
