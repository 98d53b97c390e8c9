// SPDX-License-Identifier: GPL-2.0

//! Barriers that take their kind as an argument.

use kernel::sync::barrier::{
    smp_mb,
    Full,
    Read, //
};

pub fn probe() {
    smp_mb(Full);
    smp_mb(Read);
}
