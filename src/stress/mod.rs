// SPDX-License-Identifier: GPL-2.0

//! The stress manager: tests that submit real bios to a remap device, as any user of it would.
//!
//! * [`attributes`] is what users see: the tables of files in `/sys/kernel/dm_remap_stress_test/`
//!   and in debugfs.
//! * [`manager`] is the state machine: which test runs, who may start one, and the one door
//!   through which every test ends.
//! * [`run`] is one test: its device, plan and threads; [`controls`] is what can be changed of it
//!   while it runs.
//! * [`guard`] keeps a test that writes from harming the data of others.
//! * [`worker`] is a thread that keeps its share of bios in flight; [`integrity`] is what it
//!   remembers to read again at the end; [`remapper`] is the thread of remap-heavy tests, and
//!   [`pressure`] the one that holds memory.
//! * [`tally`] is what threads count, [`watch`] what is seen of a test from outside them, and
//!   [`monitor`] the thread that watches a test and ends it.
//! * [`refusal`] is what a user hears when a write to a file is refused.
//! * [`optimization`] is the other directory, of counters over all live tables.
//!
//! It drives a device from outside, through the block layer, and knows the target only as
//! [`crate::remap::table`] and [`crate::remap::rewriter`].

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

/// The stress manager as the module holds it. Dropping it takes the files away, ends the test
/// that runs, and waits for all threads.
pub(crate) struct Stress {
    /// Dropped first: nobody can start a test after that.
    _files: Files,
    /// Dropped last.
    _end: EndOfTests,
}

struct Files {
    _control: Directory<Manager>,
    _optimization: Directory<Optimization>,
    _records: debugfs::Directory<Manager>,
}

/// Ends the test when the files are gone.
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
