// SPDX-License-Identifier: GPL-2.0

//! Tables that may change nothing: read-only ones, and volatile ones over metadata with remaps, which are refused.

use std::rc::Rc;

use machine::{
    disk::Sector,
    fail,
    mapper::Table,
    scheduler,
    trace, //
};

use crate::{
    errno::{EINVAL, EROFS},
    kind::Kind,
    settings::Settings,
    unit::Unit,
};

/// Why a volatile table is refused.
const HAS_REMAPS: &str =
    "table refused: '8:0': the spare area holds metadata of remapped blocks; format discards them";

impl Unit {
    /// Uses such tables on a device that has none. Fails where one writes, or is not what it has to be.
    pub(crate) fn try_other_tables(&'static self, remapped: Option<u64>) {
        if self.settings.volatile || self.settings.units > 1 || self.settings.kind == Kind::Stress {
            return;
        }
        let before = self.contents();
        self.read_through_read_only();
        if remapped.is_some_and(|remapped| remapped > 0) {
            self.use_volatile(Err(EINVAL));
        }
        if self.contents() != before {
            fail!("a table has written that may not");
        }
        if self.settings.kind == Kind::Exact && remapped == Some(0) {
            self.use_volatile(Ok(()));
        }
    }

    fn contents(&self) -> [Vec<Sector>; 2] {
        [self.main(), self.spare()].map(|disk| {
            let sectors = disk.sectors();
            disk.contents(0, sectors)
        })
    }

    fn read_through_read_only(&'static self) {
        trace!("a read-only table");
        let device = self.device();
        let line = self.line(false);
        let Ok(table) = device.load(self.sectors.get(), line.as_bytes(), true) else {
            return fail!("a read-only table is refused");
        };
        device.swap(Some(table));
        match device.resume() {
            Ok(()) => {
                self.read_everything();
                for text in [format!("remap {}", self.settings.begin), "save".to_owned()] {
                    let replied = self.send(&text);
                    if replied != Err(EROFS) {
                        fail!("'{text}' to a read-only table: {replied:?}");
                    }
                }
            }
            // What cannot be read may be metadata.
            Err(_) if !self.spare().faults.unreadable.is_empty() => {}
            Err(error) => fail!("a read-only table cannot be resumed: {error}"),
        }
        self.remove_table();
    }

    /// Uses a volatile table over the metadata, which has remaps where it is refused.
    fn use_volatile(&'static self, wanted: Result<(), i32>) {
        trace!("a volatile table");
        let settings = Settings {
            volatile: true,
            ..self.settings.clone()
        };
        let line = settings.line(1 + self.number, false);
        let device = self.device();
        let table: Rc<Table> = match device.load(self.sectors.get(), line.as_bytes(), false) {
            Ok(table) => table,
            Err(error) => {
                return fail!("a volatile table is refused with {error} before it is used")
            }
        };
        device.swap(Some(table));
        let since = scheduler::listen();
        let resumed = device.resume();
        let lines = scheduler::heard(since);
        let says_why = |line: &String| line.ends_with(HAS_REMAPS);
        let right = resumed == wanted && (resumed.is_ok() || lines.iter().any(says_why));
        if !right && self.spare().faults.unreadable.is_empty() {
            fail!("a volatile table over metadata: {resumed:?}, and not {wanted:?}: {lines:?}");
        }
        self.remove_table();
    }
}
