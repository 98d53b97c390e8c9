// SPDX-License-Identifier: GPL-2.0

//! What the offline tools for spare areas share: images, and loading what is in them.
//!
//! The format itself is `remap_core::metadata`, the same files that the kernel module is built from.

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
