// SPDX-License-Identifier: GPL-2.0

//! Text interface of the target: table lines, messages, and the words and numbers in them.

pub mod arguments;
pub mod counters;
pub mod decimal;
pub mod device_number;
pub mod excerpt;
pub mod message;
