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

pub mod arguments;
pub mod breaker;
pub mod counters;
pub mod decimal;
pub mod device_number;
pub mod epoch;
pub mod excerpt;
pub mod generator;
pub mod geometry;
pub mod health;
pub mod histogram;
pub mod index;
pub mod lost;
pub mod measurement;
pub mod message;
pub mod metadata;
pub mod name;
pub mod numbered;
pub mod pace;
pub mod places;
pub mod production;
pub mod radix_sort;
pub mod random;
pub mod record;
pub mod regression;
pub mod remap_table;
pub mod report;
pub mod request;
pub mod spare;
pub mod stress_test;
pub mod trend;
pub mod verdict;
pub mod workload;
