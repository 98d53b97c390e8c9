// SPDX-License-Identifier: GPL-2.0

//! Pure logic of dm-remap.
//!
//! Nothing here depends on the kernel: there is no allocation, no `unsafe`, no I/O. The kernel module and the
//! host build (cargo) compile the same files. So all decisions that need no device are unit-, property- and
//! model-tested on the host.

// The kernel's build sets `no_std` on the command line.
#![cfg_attr(not(MODULE), no_std)]
#![forbid(unsafe_code)]
// The derives of zerocopy use non-ASCII names.
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
