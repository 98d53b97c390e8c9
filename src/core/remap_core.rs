// SPDX-License-Identifier: GPL-2.0

//! The pure logic of dm-remap.
//!
//! Nothing here knows the kernel: no allocation, no `unsafe`, no I/O. The kernel module and the
//! host build (cargo) compile the same files, so that everything that can be decided without a
//! device is unit-, property- and model-tested on the host.

// The kernel's build gives this on the command line.
#![cfg_attr(not(MODULE), no_std)]
#![forbid(unsafe_code)]
// The derives of zerocopy make such names.
#![allow(non_ascii_idents)]

#[cfg(test)]
extern crate std;

pub mod epoch;
pub mod interface;
pub mod metadata;
pub mod numbered;
pub mod random;
pub mod stress;
pub mod table;
