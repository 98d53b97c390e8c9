// SPDX-License-Identifier: GPL-2.0

//! dm-remap: a device-mapper target that keeps a failing disk usable, and a stress manager that tests the
//! target.

use kernel::prelude::*;

mod linux;
mod remap;
mod stress;

module! {
    type: DmRemap,
    name: "dm_remap",
    authors: ["The dm-remap developers"],
    description: "Device-mapper target that redirects bad blocks to a spare device",
    license: "GPL",
    alias: ["dm-remap"],
}

/// Registrations of the module. Unloading drops the fields in their order.
#[pin_data]
struct DmRemap {
    stress: stress::Stress,
    #[pin]
    target: linux::device_mapper::Registration<remap::RemapTarget>,
}

impl kernel::InPlaceModule for DmRemap {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        remap::init();
        try_pin_init!(Self {
            target <- linux::device_mapper::Registration::new(module),
            stress: stress::Stress::register(module)?,
        })
    }
}
