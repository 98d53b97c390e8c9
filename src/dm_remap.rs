// SPDX-License-Identifier: GPL-2.0

//! dm-remap: a device-mapper target that keeps a failing disk usable, and a stress manager that
//! judges it.

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

/// What the module has registered; dropped in this order when it goes.
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
