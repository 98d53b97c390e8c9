// SPDX-License-Identifier: GPL-2.0

//! Places of blocks, and decisions of a table about its devices.
//!
//! * [`geometry`] and [`places`]: sectors, blocks and slots,
//! * [`remap_table`]: the ordered table of remaps; [`index`]: the readers' index; [`spare`]: the free slots,
//! * [`lost`]: sectors without contents; [`breaker`]: detection of a device that fails as a whole;
//!   [`probe`]: when a device that does not answer is asked again; [`health`]: the health that users see;
//! * [`settings`]: numbers that they may change; [`upkeep`]: scrubs and retries without a user.

pub mod breaker;
pub mod geometry;
pub mod health;
pub mod index;
pub mod lost;
pub mod places;
pub mod probe;
pub mod remap_table;
pub mod settings;
pub mod spare;
pub mod upkeep;
