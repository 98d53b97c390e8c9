// SPDX-License-Identifier: GPL-2.0

//! The device-mapper target `remap`.
//!
//! * [`setup`] makes a target of a table line,
//! * [`map`] sends bios on their way: the hot path,
//! * [`live`] is the remap table of a target as everybody sees it,
//! * [`remaps`] its content as the writer sees it, [`lost`] the sectors without contents,
//! * [`relocation`] moves blocks while I/O goes on,
//! * [`message`] and [`status`] talk to `dmsetup`,
//! * [`statistics`] counts and times, [`areas`] keeps spare areas apart.

mod areas;
pub(crate) mod live;
mod lost;
mod map;
mod message;
mod relocation;
mod remaps;
mod setup;
mod statistics;
mod status;

use kernel::{
    prelude::*,
    str::CStr,
    sync::Arc, //
};
use remap_core::{
    arguments::ErrorPolicy,
    geometry::SectorRange, //
};

use crate::linux::{
    block_device::BlockDevice,
    device_mapper::{
        BlockStatus,
        Device,
        EndedBio,
        MapBio,
        Mapping,
        Setup,
        Target,
        TargetRef, //
    },
    text::Text, //
};

use live::LiveTable;

/// What device-mapper owns: the open devices of one table line, and the remap table over them.
pub(crate) struct RemapTarget {
    table: Arc<LiveTable>,
    /// The spare area is ours alone until this goes.
    _area: areas::Claim,
    main: Device,
    spare: Device,
    spare_area: SectorRange,
    options: Options,
}

/// Optional arguments, as the table shows them.
struct Options {
    main_start: u64,
    block_size: bool,
    volatile: bool,
    format: bool,
    error_policy: ErrorPolicy,
}

/// Prepares what the target shares between tables. Called once, before the target is registered.
pub(crate) fn init() {
    areas::init();
    live::init();
}

impl Target for RemapTarget {
    const NAME: &'static CStr = c"remap";
    const VERSION: [u32; 3] = [1, 0, 0];
    type Note = map::Note;

    fn construct(setup: &mut Setup<'_>, arguments: &[&CStr]) -> Result<KBox<Self>> {
        setup::construct(setup, arguments)
    }

    #[inline(always)]
    fn map(&self, bio: MapBio<'_, Self>) -> Mapping {
        self.table.map(bio)
    }

    #[inline(always)]
    fn end_io(target: TargetRef<'_, Self>, bio: EndedBio<'_, Self>, status: BlockStatus) {
        map::end_io(target, bio, status);
    }

    fn presuspend(&self) {
        self.table.suspend();
    }

    fn presuspend_undo(&self) {
        self.table.activate();
    }

    fn preresume(&self) -> Result {
        live::publish(&self.table)
    }

    fn resume(&self) {
        self.table.activate();
    }

    fn status(&self, text: &mut Text<'_>) -> core::fmt::Result {
        status::print(&self.table, text)
    }

    fn arguments(&self, text: &mut Text<'_>) -> core::fmt::Result {
        status::print_arguments(self, text)
    }

    fn message(&self, words: &[&CStr], reply: &mut Text<'_>) -> Result<bool> {
        message::carry_out(&self.table, words, reply)
    }

    fn data_ranges(&self, visit: &mut dyn FnMut(&Device, SectorRange) -> i32) -> i32 {
        let ranges = [
            (
                &self.main,
                SectorRange::new(self.options.main_start, self.table.sectors()),
            ),
            (&self.spare, Some(self.spare_area)),
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
        let whole = self.options.main_start == 0 && self.table.sectors() == self.main.sectors();
        (&self.main, whole && self.table.remapped() == 0)
    }
}

impl Drop for RemapTarget {
    fn drop(&mut self) {
        live::retract(&self.table);
        self.table.retire();
    }
}
