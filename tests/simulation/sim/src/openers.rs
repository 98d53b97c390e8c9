// SPDX-License-Identifier: GPL-2.0

//! Users who open the device while a test may run, and administrators who take it away.

use std::ptr::null_mut;

use machine::{
    block_io,
    c,
    fail,
    mapper::UserBio,
    scheduler::{self, world},
    trace, //
};

use crate::{
    model::{self, INITIAL},
    unit::Unit, //
};

/// How long a user waits who has opened the device before it writes, in nanoseconds: what a test had begun
/// to write before has been submitted by then.
const MANNERS: u64 = 100_000_000;

impl Unit {
    /// Opens the device now and then, as long as shells are at work.
    pub(crate) fn open_now_and_then(&'static self) {
        loop {
            self.rest(self.settings.pause.max(20_000_000) * 16);
            if self.common.at_work.get() == 0 {
                return;
            }
            self.open_once();
        }
    }

    fn open_once(&'static self) {
        let device = self.device();
        let random = &mut world().random;
        let mode = random.of(&[
            c::BLK_OPEN_READ,
            c::BLK_OPEN_READ | c::BLK_OPEN_WRITE,
            c::BLK_OPEN_READ | c::BLK_OPEN_WRITE,
        ]);
        let holder = match random.one_in(4) {
            true => std::ptr::from_ref(self).cast_mut().cast(),
            false => null_mut(),
        };
        let stays = random.of(&[0, 100_000_000, 1_500_000_000, 4_000_000_000]);
        let module = &self.module;
        // Counted before, since a test sees it before we hear of it.
        module.users.set(module.users.get() + 1);
        module.opened.set(module.opened.get() + 1);
        module.happens();
        let opened = device.open(mode, holder);
        trace!("opened: {}", opened.is_ok());
        if let Ok(file) = opened {
            self.rest(stays);
            if mode & c::BLK_OPEN_WRITE != 0 && world().random.one_in(2) {
                scheduler::sleep(MANNERS);
                while device.openers.kernel_writes() > 0 {
                    scheduler::sleep(10_000_000);
                }
                self.write_openly();
            }
            block_io::close(file);
        }
        module.users.set(module.users.get() - 1);
        module.happens();
    }

    /// Writes to a device that nobody else writes to meanwhile.
    fn write_openly(&'static self) {
        let (first, len) = self.some_sectors();
        let module = &self.module;
        module.user_writes.set(module.user_writes.get() + 1);
        trace!("a user writes {first}+{len}");
        if world().random.one_in(2) {
            module.writing.set(module.writing.get() + 1);
            self.change(first, len, c::REQ_OP_WRITE);
            module.writing.set(module.writing.get() - 1);
        } else {
            self.write_by_cache(first, len);
        }
    }

    /// Writes to the page cache, which is written out when the device is closed, or before by a test.
    fn write_by_cache(&'static self, first: u64, len: u64) {
        self.common.content.set(self.common.content.get() + 1);
        let content = self.common.content.get().max(INITIAL);
        let data = (first..first + len)
            .flat_map(|sector| model::fill(content, sector))
            .collect();
        let start = self.model().begin_write(first, len, content);
        trace!("version {content}");
        let bios = &self.common.bios;
        bios.set(bios.get() + 1);
        let bio = UserBio::new(bios.get(), c::REQ_OP_WRITE, first, len as u32, data);
        self.device().openers.write_later(bio.clone());
        let writing = &self.module.writing;
        writing.set(writing.get() + 1);
        // It goes when the last one closes the device, or before.
        scheduler::spawn("write-back".to_owned(), false, move || {
            let ok = bio.wait() == c::BLK_STS_OK;
            writing.set(writing.get() - 1);
            self.model().end_write(start, first, len, ok, false, false);
        });
    }

    /// Makes the device read-only, or takes that back.
    pub(crate) fn set_read_only(&'static self) {
        let module = &self.module;
        let device = self.device();
        let read_only = &device.openers.read_only;
        read_only.set(!read_only.get() && world().random.one_in(2));
        if read_only.get() {
            trace!("the device is read-only");
            module.set_read_only.set(module.set_read_only.get() + 1);
        }
        module.happens();
    }

    fn tables_change(&'static self) {
        let module = &self.module;
        module.replaced.set(module.replaced.get() + 1);
        module.strays.set(true);
        module.happens();
    }

    /// Administers the device, as long as shells are at work.
    pub(crate) fn administer(&'static self) {
        loop {
            self.rest(self.settings.pause.max(1_000_000) * 16);
            if self.common.at_work.get() == 0 {
                return;
            }
            let settings = &self.settings;
            let mut ways: Vec<fn(&'static Self)> = vec![Self::set_read_only];
            if settings.suspends {
                ways.extend([Self::suspend as fn(&'static Self); 2]);
            }
            if settings.reloads {
                ways.push(Self::reload_under_test);
            }
            if settings.removals {
                ways.extend([
                    Self::remove_device as fn(&'static Self),
                    Self::replace_by_error,
                ]);
            }
            let way = world().random.of(&ways);
            way(self);
        }
    }

    fn reload_under_test(&'static self) {
        self.tables_change();
        self.reload();
        self.tables_change();
    }

    /// Forgets a device that goes.
    fn keep_counts(&'static self) {
        let (device, module) = (self.device(), &self.module);
        let (submitted, failed) = (&module.submitted, &module.failed);
        submitted.set(submitted.get() + device.openers.submitted.get());
        failed.set(failed.get() + device.openers.failed.get());
    }

    /// Removes the device, and makes it again. A device that somebody has open stays.
    fn remove_device(&'static self) {
        let (device, module) = (self.device(), &self.module);
        let (events, users) = (module.events.get(), module.users.get());
        if !device.delete() {
            trace!("the device is busy");
            let quiet = module.active.get().is_none() && module.starting.get() == 0;
            if users == 0 && quiet && events == module.events.get() {
                fail!("the device is busy, and nobody has it open");
            }
            return;
        }
        trace!("the device is removed");
        self.absent_at.set(u64::MAX);
        module.absent.set(true);
        self.tables_change();
        self.begin_suspend();
        let remapped = self.remapped();
        let old = device.swap(None).expect("a table");
        device.destroy(old);
        self.keep_counts();
        self.rest(self.settings.pause);
        if self.settings.unloads && world().random.one_in(2) && self.unload_module() {
            self.rest(self.settings.pause);
            self.load_module();
        }
        self.make_device();
        self.use_table();
        self.judge_next(remapped);
        self.tables_change();
    }

    /// Loads a table into a device without one, and uses it.
    fn use_table(&'static self) {
        let table = self.load(self.sectors.get(), &self.line(false));
        self.device().swap(table);
        self.resume();
        self.absent_at.set(model::now());
        self.module.absent.set(false);
    }

    /// Puts a table of another target in place for a while, under whatever goes on; with luck the module
    /// can be unloaded meanwhile.
    fn replace_by_error(&'static self) {
        let module = &self.module;
        self.absent_at.set(u64::MAX);
        module.absent.set(true);
        self.tables_change();
        self.begin_suspend();
        let remapped = self.remapped();
        let old = self.device().swap(None).expect("a table");
        self.resume();
        self.device().destroy(old);
        trace!("the table is replaced by another target");
        self.rest(self.settings.pause * 8);
        if self.settings.unloads && self.unload_module() {
            self.rest(self.settings.pause * 4);
            self.load_module();
        }
        self.begin_suspend();
        self.use_table();
        self.judge_next(remapped);
        self.tables_change();
    }

    /// Unloads the module at the end of a device, and deletes the device. Before, another target takes the
    /// table's place, perhaps under a test.
    pub(crate) fn unload_in_the_end(&'static self) {
        let device = self.device();
        self.absent_at.set(u64::MAX);
        self.module.absent.set(true);
        if world().random.one_in(2) {
            let _ = self.write_start("stress_test_start", "4 3 3600000");
            self.rest(self.settings.pause * 4);
        }
        self.tables_change();
        device.suspend();
        self.check_quiet();
        if let Some(table) = device.swap(None) {
            self.resume();
            device.destroy(table);
        }
        self.rest(self.settings.pause);
        if !self.unload_module() {
            fail!("the module is in use, and nobody uses it");
        }
        if !device.delete() {
            fail!("a device is busy, and the module is gone");
        }
        self.common.operations.set(
            self.common.operations.get()
                + device.openers.submitted.get()
                + self.module.submitted.get(),
        );
    }
}
