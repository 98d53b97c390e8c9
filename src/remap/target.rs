// SPDX-License-Identifier: GPL-2.0

//! A target: what device-mapper owns.

use kernel::sync::Arc;

use super::{
    keeper::KeeperThread,
    state::{
        areas::Claim,
        table_line::TableLine, //
    },
    table::Table, //
};
use crate::linux::{
    device_mapper::{
        Device,
        Events, //
    },
    gate::GateCounters,
    once_arc::OnceArc,
    work_queue::WorkQueue, //
};

/// Target of a table line: its open devices, and the remap table over them.
pub(crate) struct RemapTarget {
    /// There from the first resume on: before that, another table may write to the spare area.
    pub(super) table: OnceArc<Table>,
    /// Does what cannot be done where bios end.
    pub(super) queue: WorkQueue,
    /// Does what no bio waits for.
    pub(super) keeper: KeeperThread,
    /// Events of the mapped device.
    pub(super) events: Arc<Events>,
    pub(super) gate_counters: GateCounters,
    /// Keeps other targets off the spare area.
    pub(super) _area: Claim,
    pub(super) main: Device,
    pub(super) spare: Device,
    pub(super) line: TableLine,
}

impl RemapTarget {
    /// Lets the work queue look after the bios that wait for it. Any context.
    pub(super) fn wake_queue(&self) {
        if let Some(table) = self.table.share() {
            // Work that is queued already has not begun so far.
            let _ = self.queue.enqueue::<_, 0>(table);
        }
    }
}
