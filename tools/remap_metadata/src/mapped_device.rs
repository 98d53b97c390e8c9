// SPDX-License-Identifier: GPL-2.0

//! Mapped devices, by the ioctls of device-mapper.

use std::fmt;

use devicemapper::{
    DevId,
    DmFlags,
    DmName,
    DmOptions,
    DM, //
};

use crate::{
    failure::Failure,
    live_target::LiveTarget, //
};

/// Mapped device, by its name.
pub struct MappedDevice<'a> {
    control: DM,
    name: &'a str,
}

impl<'a> MappedDevice<'a> {
    /// Opens device-mapper. Does not check that the device exists: the methods below fail if not.
    pub fn new(name: &'a str) -> Result<Self, Failure> {
        let control = DM::new().map_err(|error| {
            Failure::Undone(format!(
                "cannot talk to device-mapper (only root may): {error}"
            ))
        })?;
        Ok(Self { control, name })
    }

    fn refused(&self, what: &str, why: &dyn fmt::Display) -> Failure {
        Failure::Undone(format!(
            "device-mapper refused {what} of {}: {why}",
            self.name
        ))
    }

    fn id(&self) -> Result<DevId<'a>, Failure> {
        let name = DmName::new(self.name).map_err(|error| self.refused("the name", &error))?;
        Ok(DevId::Name(name))
    }

    /// Returns the remap targets of the live table, in order.
    pub fn targets(&self) -> Result<Vec<LiveTarget>, Failure> {
        let id = self.id()?;
        let ask = |what: &str, flags: DmFlags| {
            let options = DmOptions::default().set_flags(flags | DmFlags::DM_NOFLUSH);
            let answer = self.control.table_status(&id, options);
            answer
                .map(|(_, lines)| lines)
                .map_err(|error| self.refused(what, &error))
        };
        let table = ask("the table", DmFlags::DM_STATUS_TABLE)?;
        let status = ask("the status", DmFlags::empty())?;
        let unknown = || {
            Failure::Undone(format!(
                "the table of {} is another one than its status, or unknown",
                self.name
            ))
        };
        if table.len() != status.len() {
            return Err(unknown());
        }
        let mut targets = Vec::new();
        for ((start, sectors, kind, line), (.., status)) in table.iter().zip(&status) {
            if kind == "remap" {
                let target = LiveTarget::parse(*start, *sectors, line, status);
                targets.push(target.ok_or_else(unknown)?);
            }
        }
        Ok(targets)
    }

    /// Sends a message to the target that maps this sector.
    pub fn send(&self, sector: u64, text: &str) -> Result<(), Failure> {
        self.control
            .target_msg(&self.id()?, Some(sector), text)
            .map_err(|error| self.refused(&format!("the message '{text}'"), &error))?;
        Ok(())
    }
}
