// SPDX-License-Identifier: GPL-2.0

//! The kernel's C as far as the sources under test call it, under its own names.
//!
//! What these do is told by the kernel's documentation; here it is done by the simulated machine. Each
//! has the safety requirements of its original.

#![allow(
    missing_docs,
    non_camel_case_types,
    non_upper_case_globals,
    clippy::missing_safety_doc
)]

mod block;
mod device_mapper;
mod processor;
mod threads;
mod types;

pub use self::{block::*, device_mapper::*, processor::*, threads::*, types::*};
pub use crate::{block_io::*, debugfs::*, sysfs::*};
