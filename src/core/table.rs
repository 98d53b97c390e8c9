// SPDX-License-Identifier: GPL-2.0

//! Places of blocks, and decisions of a table about its devices.
//!
//! * [`geometry`] and [`places`] count sectors, blocks and slots,
//! * [`remap_table`] is the truth about remaps, [`index`] what readers look at, [`spare`] the free slots,
//! * [`lost`] are sectors without contents, [`breaker`] tells a device that fails as a whole, and
//!   [`health`] is what users are told.

pub mod breaker;
pub mod geometry;
pub mod health;
pub mod index;
pub mod lost;
pub mod places;
pub mod remap_table;
pub mod spare;
