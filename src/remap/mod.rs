// SPDX-License-Identifier: GPL-2.0

//! The device-mapper target `remap`.
//!
//! Each line needs only what is in lines below it.
//!
//! * this file is what device-mapper calls,
//! * [`message`], [`setup`] and [`status`] are what users ask for, [`life`] what resume and suspend do,
//! * [`map`] sends bios on their way: the hot path. [`errors`] says what a failed bio means, [`fill`] gives
//!   lost sectors contents again,
//! * [`route`] is where a bio goes,
//! * [`target`] is what device-mapper owns, [`keeper`] the thread that does what no bio waits for,
//! * [`scrub`] reads everything, [`upkeep`] says when it is due,
//! * [`pending`] tries blocks again that have failed, [`salvage`] reads what main has of blocks on the spare,
//!   [`parted`] what is in both places,
//! * [`relocation`] moves blocks while I/O goes on,
//! * [`witness`] tells bad sectors from a device that does not answer,
//! * [`rewriter`] lets the stress manager write back what it has read,
//! * [`table`] is the remap table of a target, and the list of all of them,
//! * [`state`] are the values that it consists of.

mod errors;
mod fill;
mod keeper;
mod life;
mod map;
mod message;
mod parted;
mod pending;
mod relocation;
pub(crate) mod rewriter;
mod route;
mod salvage;
mod scrub;
mod setup;
mod state;
mod status;
pub(crate) mod table;
mod target;
mod upkeep;
mod witness;

use kernel::{
    prelude::*,
    str::CStr, //
};
use remap_core::table::geometry::SectorRange;

use crate::linux::{
    block_device::BlockDevice,
    device_mapper::{
        BlockStatus,
        Device,
        EndedBio,
        Ending,
        MapBio,
        Mapping,
        Setup,
        Target, //
    },
    log::device_log,
    text::Text, //
};

use state::{
    areas,
    note::Note, //
};
pub(crate) use target::RemapTarget;

/// Prepares what the target shares between tables. Called once, before the target is registered.
pub(crate) fn init() {
    areas::init();
    table::init();
    rewriter::init();
}

impl Target for RemapTarget {
    const NAME: &'static CStr = c"remap";
    const VERSION: [u32; 3] = [1, 0, 0];
    type Note = Note;

    fn construct(setup: &mut Setup<'_>, arguments: &[&CStr]) -> Result<Self> {
        setup::construct(setup, arguments)
    }

    #[inline(always)]
    fn map(&self, bio: MapBio<'_, Self>) -> Mapping {
        match self.table.get() {
            Some(table) => table.map(bio),
            None => bio.refuse(),
        }
    }

    #[inline(always)]
    fn end_io(bio: EndedBio<'_, Self>, status: BlockStatus) -> Ending {
        map::end_io(bio, status)
    }

    fn presuspend(&self) {
        if let Some(table) = self.table.get() {
            // First, since what it waits for may have to wait for a block to move.
            rewriter::suspend(table);
            table.suspend();
        }
    }

    fn presuspend_undo(&self) {
        self.resume();
    }

    fn postsuspend(&self) {
        if let Some(table) = self.table.get() {
            table.wait_for_mover();
        }
    }

    fn preresume(&self) -> Result {
        if self.table.get().is_none() {
            let table = setup::begin(self)?;
            self.keeper.give(table.clone());
            self.table.put(table);
        }
        self.table.share().map_or(Ok(()), table::register)
    }

    fn resume(&self) {
        if let Some(table) = self.table.share() {
            table.activate();
            rewriter::resume(&table);
        }
    }

    fn status(&self, text: &mut Text<'_>) -> core::fmt::Result {
        match self.table.get() {
            Some(table) => status::print(table, text),
            None => status::print_nothing(&self.line, text),
        }
    }

    fn arguments(&self, text: &mut Text<'_>) -> core::fmt::Result {
        status::print_arguments(self, text)
    }

    fn message(&self, words: &[&CStr], reply: &mut Text<'_>) -> Result<bool> {
        let table = self.table.share().ok_or(EAGAIN).inspect_err(|_| {
            device_log!(
                pr_err,
                self.line.number,
                "message refused: the table was never resumed"
            );
        })?;
        message::carry_out(&table, words, reply)
    }

    fn data_ranges(&self, visit: &mut dyn FnMut(&Device, SectorRange) -> i32) -> i32 {
        let ranges = [
            (
                &self.main,
                SectorRange::new(self.line.main_start, self.line.sectors),
            ),
            (&self.spare, Some(self.line.spare_area)),
        ];
        for (device, range) in ranges {
            if let Some(range) = range {
                let answer = visit(device, range);
                if answer != 0 {
                    return answer;
                }
            }
        }
        0
    }

    fn ioctl_device(&self) -> (&BlockDevice, bool) {
        let whole = self.line.main_start == 0 && self.line.sectors == self.main.sectors();
        let remapped = self.table.get().map(|table| table.remapped());
        (&self.main, whole && remapped == Some(0))
    }
}

impl Drop for RemapTarget {
    fn drop(&mut self) {
        if let Some(table) = self.table.share() {
            table::unregister(&table);
            rewriter::unregister(&table);
            table.retire();
        }
    }
}
