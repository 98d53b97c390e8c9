// SPDX-License-Identifier: GPL-2.0

//! The files of src/linux that are checked: links to them. What the way of a held bio needs besides is in
//! `device_mapper`.

pub(crate) mod device_mapper;
pub(crate) mod gate;
pub(crate) mod once_arc;
mod percpu;

pub(crate) mod compat {
    pub(crate) use kernel::sync::barrier::{smp_mb, Read};
}

mod bindings {
    pub(crate) use kernel::bindings::*;
}

/// The way out of a gate that bios of device-mapper take, which keep a few bits instead of a ticket.
pub(crate) struct WayOut(gate::Exits);

impl WayOut {
    pub(crate) fn new(counters: &gate::GateCounters) -> Self {
        Self(counters.exits())
    }

    /// Ends the stay of a bio in a gate that has these counters.
    pub(crate) fn let_out<T>(&self, inside: gate::GateGuard<'_, T>) {
        let Ok(epoch) = inside.stay_with(self.0) else {
            panic!("the gate has other counters")
        };
        // SAFETY: Of the entry that was just left to us; the gate is there, and so are its counters.
        unsafe { self.0.leave(epoch) };
    }
}
