// SPDX-License-Identifier: GPL-2.0

//! Library of the offline tools for spare areas: finds an area in an image or a device, loads it and
//! writes it.
//!
//! The format itself is `remap_core::metadata`: the kernel module is built from the same files.

#![forbid(unsafe_code)]

pub mod area;
pub mod arguments;
pub mod block_list;
pub mod dump;
pub mod export;
pub mod failure;
pub mod image;
#[cfg(feature = "commands")]
pub mod import;
pub mod live_target;
pub mod loop_devices;
#[cfg(feature = "commands")]
pub mod mapped_device;
pub mod overlay;
#[cfg(feature = "commands")]
pub mod repair;
#[cfg(feature = "commands")]
pub mod restore;
pub mod target;
pub mod withheld;
