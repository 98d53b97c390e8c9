// SPDX-License-Identifier: GPL-2.0

//! Bios that wait, and blocks of bios that have failed.

use kernel::{
    new_spinlock,
    prelude::*,
    sync::SpinLock, //
};

use super::{
    note::Note,
    suspects::Suspects, //
};
use crate::linux::{
    compat::{
        new_spinlock_irq,
        SpinLockIrq, //
    },
    device_mapper::HeldBios, //
};

/// Lists of bios that a table has taken over.
#[pin_data]
pub(in crate::remap) struct Deferred {
    /// Bios that wait for a block that is on its way. Process context only.
    #[pin]
    pub(in crate::remap) held: SpinLock<HeldBios<Note>>,
    /// Writes that gave lost sectors contents, and are acknowledged when the metadata says so.
    #[pin]
    pub(in crate::remap) filled: SpinLockIrq<HeldBios<Note>>,
    /// Bios that have failed, or would.
    #[pin]
    pub(in crate::remap) failed: SpinLockIrq<HeldBios<Note>>,
    /// Reads of which main has a part and a slot another. Process context only.
    #[pin]
    pub(in crate::remap) parted: SpinLock<HeldBios<Note>>,
    /// Blocks that the keeper reads.
    #[pin]
    pub(in crate::remap) suspects: SpinLockIrq<Suspects>,
}

impl Deferred {
    /// Makes empty lists.
    pub(in crate::remap) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            held <- new_spinlock!(HeldBios::new(), "dm_remap::held"),
            filled <- new_spinlock_irq!(HeldBios::new(), "dm_remap::filled"),
            failed <- new_spinlock_irq!(HeldBios::new(), "dm_remap::failed"),
            parted <- new_spinlock!(HeldBios::new(), "dm_remap::parted"),
            suspects <- new_spinlock_irq!(Suspects::default(), "dm_remap::suspects"),
        })
    }
}
