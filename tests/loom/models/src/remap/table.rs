// SPDX-License-Identifier: GPL-2.0

//! A table as far as src/remap/route.rs needs it.

use kernel::{memory::Plain, prelude::*, sync::SpinLock};
use remap_core::table::{
    geometry::BlockSize,
    index::Route,
    places::Places, //
};

use super::state::{
    keeper::Keeper, lost::LostBlocks, note::Note, remaps::ReaderIndex, statistics::Statistics,
};
use crate::{
    index::{index, BLOCK},
    linux::{
        device_mapper::{Device, HeldBios},
        gate::{Drain, Gate, GateCounters},
    },
};

/// Sectors of a block.
pub(crate) const SECTORS: u64 = 8;

pub(crate) struct Deferred {
    pub(crate) held: SpinLock<HeldBios<Note>>,
    pub(crate) parted: SpinLock<HeldBios<Note>>,
}

pub(crate) struct Devices {
    pub(crate) main: Device,
    pub(crate) spare: Device,
}

impl Devices {
    pub(crate) fn of(&self, spare: bool) -> &Device {
        if spare {
            &self.spare
        } else {
            &self.main
        }
    }
}

pub(crate) struct Table {
    pub(crate) places: Places,
    pub(crate) devices: Devices,
    pub(crate) gate: Gate<ReaderIndex>,
    pub(crate) lost: SpinLock<LostBlocks>,
    pub(crate) deferred: Deferred,
    pub(crate) statistics: Statistics,
    pub(crate) keeper: Keeper,
}

impl Table {
    /// A table with no block on the spare.
    pub(crate) fn new() -> (Self, Drain<ReaderIndex>) {
        let counters = GateCounters::new().expect("there is memory");
        let index = KBox::new(index(), GFP_KERNEL).expect("there is memory");
        let (gate, drain) = Gate::new(index, counters);
        assert_eq!(gate.current(&drain).route(BLOCK), Route::Main);
        let device = || Device(Plain::new(0));
        let table = Self {
            places: Places {
                begin: 0,
                main_start: 0,
                slots_start: 0,
                sectors: 64 * SECTORS,
                slots: 8,
                block: BlockSize::from_sectors(SECTORS).expect("it is one"),
            },
            devices: Devices {
                main: device(),
                spare: device(),
            },
            gate,
            lost: SpinLock::new(LostBlocks),
            deferred: Deferred {
                held: SpinLock::new(HeldBios::new()),
                parted: SpinLock::new(HeldBios::new()),
            },
            statistics: Statistics,
            keeper: Keeper,
        };
        (table, drain)
    }
}
