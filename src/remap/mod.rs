// SPDX-License-Identifier: GPL-2.0

//! The device-mapper target `remap`.
//!
//! * [`setup`] makes a target of a table line,
//! * [`map`] sends bios on their way: the hot path,
//! * [`live`] is the remap table of a target as everybody sees it,
//! * [`remaps`] its content as the writer sees it, [`lost`] the sectors without contents,
//! * [`metadata`] is what survives the table,
//! * [`relocation`] moves blocks while I/O goes on, [`fill`] gives lost sectors contents again,
//! * [`errors`] says what a failed bio means, [`pending`] remembers where, [`scrub`] looks for more,
//! * [`message`] and [`status`] talk to `dmsetup`,
//! * [`statistics`] counts and times, [`areas`] keeps spare areas apart.

mod errors;
mod fill;
pub(crate) mod live;
mod map;
mod message;
mod pending;
mod relocation;
mod scrub;
mod setup;
mod state;
mod status;

use kernel::{
    prelude::*,
    str::CStr,
    sync::Arc, //
};
use remap_core::geometry::SectorRange;

use crate::linux::{
    block_device::BlockDevice,
    device_mapper::{
        BlockStatus,
        Device,
        EndedBio,
        Ending,
        Events,
        MapBio,
        Mapping,
        Setup,
        Target, //
    },
    gate::GateCounters,
    once_arc::OnceArc,
    text::Text,
    work_queue::WorkQueue, //
};

use live::LiveTable;
use state::{
    areas,
    note,
    table_line::TableLine, //
};

/// What device-mapper owns: the open devices of one table line, and the remap table over them.
pub(crate) struct RemapTarget {
    /// There from the first resume on: before that, another table may write to the spare area.
    table: OnceArc<LiveTable>,
    /// For what cannot be done where bios end.
    queue: WorkQueue,
    /// Who waits for something to happen.
    events: Arc<Events>,
    gate_counters: GateCounters,
    /// The spare area is ours alone until this goes.
    _area: areas::Claim,
    main: Device,
    spare: Device,
    line: TableLine,
}

/// Prepares what the target shares between tables. Called once, before the target is registered.
pub(crate) fn init() {
    areas::init();
    live::init();
}

impl Target for RemapTarget {
    const NAME: &'static CStr = c"remap";
    const VERSION: [u32; 3] = [1, 0, 0];
    type Note = note::Note;

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
            live::rewriter::suspend(table);
            table.suspend();
        }
    }

    fn presuspend_undo(&self) {
        self.resume();
    }

    fn preresume(&self) -> Result {
        if self.table.get().is_none() {
            self.table.put(setup::begin(self)?);
        }
        self.table.share().map_or(Ok(()), live::publish)
    }

    fn resume(&self) {
        if let Some(table) = self.table.get() {
            table.activate();
            live::rewriter::resume(table);
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
            pr_err!(
                "{}: message refused: the table was never resumed\n",
                format_args!("{}", self.line.number)
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
        if let Some(table) = self.table.get() {
            live::retract(table);
            live::rewriter::retract(table);
            table.retire();
        }
    }
}
