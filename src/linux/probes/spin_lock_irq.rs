// SPDX-License-Identifier: GPL-2.0

//! `SpinLockIrq`.

use kernel::{
    new_spinlock_irq,
    prelude::*,
    sync::SpinLockIrq, //
};

pub fn probe() -> impl PinInit<SpinLockIrq<u32>> {
    new_spinlock_irq!(0, "probe")
}
