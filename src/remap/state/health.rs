// SPDX-License-Identifier: GPL-2.0

//! What users have been told of a table's health.

use kernel::sync::Arc;
use remap_core::{
    interface::device_number::DeviceNumber,
    table::health::{
        Health,
        MetadataState, //
    }, //
};

use crate::linux::{
    atomic_enum::AtomicEnum,
    device_mapper::Events,
    log::device_log, //
};

/// Health of a table as it was last reported, and the state of its metadata.
pub(in crate::remap) struct HealthReport {
    number: DeviceNumber,
    last_reported_health: AtomicEnum<Health>,
    metadata: AtomicEnum<MetadataState>,
    events: Arc<Events>,
}

impl HealthReport {
    /// Makes the report of a new table of the mapped device with that number.
    pub(in crate::remap) fn new(
        number: DeviceNumber,
        metadata: MetadataState,
        events: Arc<Events>,
    ) -> Self {
        Self {
            number,
            last_reported_health: AtomicEnum::new(Health::Ok),
            metadata: AtomicEnum::new(metadata),
            events,
        }
    }

    /// Takes `health` for reported: a table is as it is found, which is no change.
    pub(in crate::remap) fn begin_with(&self, health: Health) {
        self.last_reported_health.store(health);
    }

    /// Logs `health` and raises an event, where it is another than was last reported. Returns whether it is. May
    /// sleep.
    pub(in crate::remap) fn report(&self, health: Health) -> bool {
        let is_news = self.last_reported_health.swap(health) != health;
        if is_news {
            device_log!(pr_info, self.number, at State, "health is {}", health.word());
            self.raise_event();
        }
        is_news
    }

    /// Raises an event of the mapped device. May sleep.
    pub(in crate::remap) fn raise_event(&self) {
        self.events.raise();
    }

    /// Returns the state of the metadata. Any context.
    pub(in crate::remap) fn metadata(&self) -> MetadataState {
        self.metadata.load()
    }

    /// Sets the state of the metadata, and logs it where it has become worse.
    pub(in crate::remap) fn set_metadata(&self, state: MetadataState) {
        let before = self.metadata.swap(state);
        if state as u32 > before as u32 {
            device_log!(pr_err, self.number, "metadata is {}", state.word());
        }
    }
}
