// SPDX-License-Identifier: GPL-2.0

//! Places of blocks, and decisions of a table about its devices.
//!
//! * [`geometry`] and [`places`]: sectors, blocks and slots,
//! * [`remap_table`]: the ordered table of remaps; [`index`]: the readers' index; [`spare`]: the free slots,
//! * [`lost`]: sectors without contents; [`breaker`]: detection of a device that fails as a whole;
//!   [`health`]: the health that users see.

pub mod breaker;
pub mod geometry;
pub mod health;
pub mod index;
pub mod lost;
pub mod places;
pub mod remap_table;
pub mod spare;
