// SPDX-License-Identifier: GPL-2.0

//! A machine that does not exist: tasks on several processors, time, memory, locks, disks, and
//! device-mapper's core, all of it decided by one seed.
//!
//! * [`scheduler`] says which task runs, and what time it is;
//! * [`lock`] checks locks, [`arena`] is memory that a power cut takes with it;
//! * [`disk`] has contents and faults, [`mapper`] sends bios through a target to it;
//! * [`c`] is what the sources under test call; of it [`block_io`] is about devices that are opened and
//!   used from within the kernel, [`sysfs`] and [`debugfs`] about files for users.
//!
//! There is one thread, and one world at a time.

pub mod arena;
pub mod block_io;
pub mod c;
pub mod debugfs;
pub mod disk;
pub mod lock;
pub mod mapper;
pub mod random;
pub mod scheduler;
pub mod sysfs;

pub use scheduler::point;
