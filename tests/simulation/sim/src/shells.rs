// SPDX-License-Identifier: GPL-2.0

//! Shells: they write to the attributes of the stress manager and read them, and know what may come of it.

use machine::{
    debugfs,
    fail,
    scheduler::{self, world},
    sysfs,
    trace, //
};

use crate::{
    errno::{EBUSY, EINTR, EINVAL, EIO, ENODEV, ENOENT, ENOMEM, ENXIO, ERESTARTSYS, EROFS, ESRCH},
    settings::PLENTY,
    unit::Unit, //
};

const DIRECTORY: &str = "dm_remap_stress_test";

/// Texts that no attribute takes.
const NONSENSE: [&str; 8] = [
    "",
    "\n",
    "2",
    "1 1 1 1 1",
    "-1 2 3",
    "9 1 100",
    "workers=0",
    "read=101 random=0 bs=512 queue_depth=1 workers=1 duration_ms=1",
];

/// Circumstances that may explain why a write fails, as they were when the write began.
struct Circumstances {
    events: u64,
    opened: u64,
    set_read_only: u64,
    busy: bool,
    users: bool,
    read_only: bool,
    absent: bool,
    unloaded: bool,
}

impl Unit {
    /// Uses the files of the stress manager.
    pub(crate) fn use_shell(&'static self) {
        for _ in 0..self.settings.operations {
            self.act();
            self.rest(self.settings.pause * 4);
        }
        self.common.at_work.set(self.common.at_work.get() - 1);
    }

    fn act(&'static self) {
        match world().random.below(100) {
            0..28 => {
                let (file, text) = self.some_test();
                let _ = self.write_start(file, &text);
            }
            28..40 => self.stop(),
            40..50 => self.adjust(),
            50..56 => self.set_target(),
            56..60 => self.write_nonsense(),
            60..66 => self.write_setting(),
            66..74 => self.read_status(),
            74..80 => self.read_results(),
            80..86 => self.read_comprehensive(),
            86..90 => self.read_others(),
            90..97 => drop(self.read_record()),
            _ => self.read_charts(),
        }
    }

    fn circumstances(&self) -> Circumstances {
        let module = &self.module;
        Circumstances {
            events: module.events.get(),
            opened: module.opened.get(),
            set_read_only: module.set_read_only.get(),
            busy: module.active.get().is_some() || module.starting.get() > 0,
            users: module.users.get() > 0,
            read_only: self.device().openers.read_only.get(),
            absent: module.absent.get(),
            unloaded: !module.loaded.get(),
        }
    }

    /// Returns whether something has happened to the module, a test or the device since `then`.
    fn has_changed(&self, then: &Circumstances) -> bool {
        self.module.events.get() != then.events
    }

    /// Returns whether the module was away at some time since `then`.
    fn was_unloaded(&self, then: &Circumstances) -> bool {
        then.unloaded
            || !self.module.loaded.get()
            || self.has_changed(then) && self.settings.unloads
    }

    /// Returns whether memory may be short.
    fn may_lack_memory(&self) -> bool {
        self.is_short_of_memory()
            || self.settings.failing_allocations > 0
            || self.settings.ram < PLENTY
    }

    /// Writes to an attribute.
    fn write_attribute(&'static self, file: &str, text: &str) -> Result<(), i32> {
        let operations = &self.common.operations;
        operations.set(operations.get() + 1);
        trace!("echo '{text}' > {file}");
        let written = sysfs::write(false, DIRECTORY, file, text.as_bytes());
        trace!("echo '{text}' > {file}: {written:?}");
        written
    }

    /// Reads an attribute; nothing where it cannot be read, which has to have a reason.
    pub(crate) fn read_attribute(&'static self, file: &str) -> Option<String> {
        let then = self.circumstances();
        let operations = &self.common.operations;
        operations.set(operations.get() + 1);
        match sysfs::read(false, DIRECTORY, file) {
            Ok(text) => {
                trace!("{file}: {text}");
                Some(text)
            }
            Err(error) => {
                trace!("{file}: {error}");
                self.check_read_error(file, error, &then);
                None
            }
        }
    }

    fn check_read_error(&self, file: &str, error: i32, then: &Circumstances) {
        let explained = match error {
            ENOENT | ENODEV if self.was_unloaded(then) => true,
            // The name of a device that is being removed.
            ENODEV => file == "set_target" && (then.absent || self.has_changed(then)),
            ENOMEM => self.may_lack_memory(),
            _ => false,
        };
        if !explained {
            fail!("{file} cannot be read: {error}");
        }
    }

    /// A test, and the file that starts it.
    fn some_test(&self) -> (&'static str, String) {
        let random = &mut world().random;
        let milliseconds = match random.below(8) {
            0 => random.between(1, 20),
            1..6 => random.between(20, 400),
            6 => random.between(400, 3_000),
            _ => 86_400_000,
        };
        match random.below(24) {
            0..6 => {
                let (kind, workers) = (random.below(6), random.of(&[1, 1, 2, 3, 4]));
                (
                    "stress_test_start",
                    format!("{kind} {workers} {milliseconds}"),
                )
            }
            6..10 => {
                let workers = random.between(1, 3);
                ("stress_test_start", format!("5 {workers} {milliseconds}\n"))
            }
            10 => ("quick_validation", format!("1 {milliseconds}")),
            11 => ("regression_test", format!("1 {milliseconds}")),
            12 => {
                let pressure = random.between(1, 24);
                ("memory_pressure_test", format!("{pressure} {milliseconds}"))
            }
            13 => ("high_concurrency_stress", "100 1".to_owned()),
            14 => ("tb_scale_validation", format!("1 {}", random.below(6))),
            15 => ("endurance_test", format!("1 {}", random.below(6))),
            16 => ("production_workload", format!("{} 1 1", random.below(4))),
            _ => ("custom_workload", self.some_workload(milliseconds)),
        }
    }

    fn some_workload(&self, milliseconds: u64) -> String {
        let random = &mut world().random;
        let mut text = format!(
            "read={} random={} bs={} queue_depth={} workers={} duration_ms={milliseconds}",
            random.of(&[0, 0, 50, 100]),
            random.of(&[0, 50, 100]),
            random.of(&["512", "4096", "512,1024,65536", "1048576"]),
            random.between(1, 4),
            random.between(1, 4),
        );
        if random.one_in(2) {
            text += &format!(" fsync={}", random.below(8));
        }
        if random.one_in(4) {
            text += &format!(" hot={}", random.below(100));
        }
        if random.one_in(4) {
            text += &format!(" rate_iops={}", random.of(&[1, 100, 10_000]));
        }
        text
    }

    /// Writes to an attribute that starts a test.
    pub(crate) fn write_start(&'static self, file: &str, text: &str) -> Result<(), i32> {
        let module = &self.module;
        let then = self.circumstances();
        module.starting.set(module.starting.get() + 1);
        module.starts.set(module.starts.get() + 1);
        module.happens();
        let events = module.events.get();
        let written = self.write_attribute(file, text);
        let then = Circumstances { events, ..then };
        let explained = match written {
            Ok(()) => !then.unloaded || self.has_changed(&then),
            Err(error) => self.explains_start(error, &then),
        };
        module.returned(written.is_ok());
        module.starting.set(module.starting.get() - 1);
        if !explained {
            fail!("'{text}' to {file}: {written:?}");
        }
        written
    }

    fn explains_start(&self, error: i32, then: &Circumstances) -> bool {
        let module = &self.module;
        let users = then.users || module.opened.get() != then.opened;
        match error {
            EBUSY => then.busy || self.has_changed(then) || users,
            ENODEV if self.was_unloaded(then) => true,
            // The device that was set has gone since.
            ENODEV if module.targets.get() && module.replaced.get() > 0 => true,
            // Found, and gone when it is opened.
            ENODEV | ENXIO => then.absent || module.absent.get() || self.has_changed(then),
            ENOENT => self.was_unloaded(then),
            ENOMEM => self.may_lack_memory(),
            EROFS => then.read_only || module.set_read_only.get() != then.set_read_only,
            // More in flight than a test may have: the device is never too small.
            EINVAL => then.busy || self.has_changed(then) || module.adjusts.get(),
            EINTR => self.settings.signals > 0,
            // What a user has left could not be written out.
            EIO => module.user_writes.get() > 0,
            _ => false,
        }
    }

    /// Stops the test.
    pub(crate) fn stop(&'static self) {
        let module = &self.module;
        let then = self.circumstances();
        let (starts, starting) = (module.starts.get(), module.starting.get());
        let began = world().now;
        let written = self.write_attribute("stress_test_stop", "1");
        let alone = starting == 0 && module.starts.get() == starts && module.starting.get() == 0;
        match written {
            Ok(()) if alone => self.check_no_test(false),
            Ok(()) => {}
            Err(ERESTARTSYS) if self.settings.signals > 0 => {}
            Err(ENOENT | ENODEV) if self.was_unloaded(&then) => {}
            Err(error) => fail!("a stop fails with {error}"),
        }
        self.check_stop_time("a stop", began);
    }

    /// Fails where what waits for the end of a test, and began then, took too long.
    pub(crate) fn check_stop_time(&self, what: &str, began: u64) {
        let took = world().now.saturating_sub(self.undisturbed_since(began));
        if took > self.patience() {
            fail!("{what} takes {} s", took / 1_000_000_000);
        }
    }

    fn adjust(&'static self) {
        let random = &mut world().random;
        let mut fields = Vec::new();
        for (key, values) in [
            ("workers", [1, 2, 4, 6]),
            ("queue_depth", [1, 2, 4, 32]),
            ("rate_iops", [0, 10, 1000, 100_000_000]),
            ("write_percent", [0, 10, 50, 100]),
        ] {
            if random.one_in(3) {
                fields.push(format!("{key}={}", random.of(&values)));
            }
        }
        if fields.is_empty() {
            return;
        }
        let then = self.circumstances();
        let written = self.write_attribute("stress_test_adjust", &fields.join(" "));
        self.module.adjusts.set(true);
        let explained = match written {
            Ok(()) => true,
            Err(EINVAL | EBUSY | ESRCH) => then.busy || self.has_changed(&then),
            Err(ENOMEM) => self.may_lack_memory(),
            Err(ENOENT | ENODEV) => self.was_unloaded(&then),
            Err(_) => false,
        };
        if !explained {
            fail!("an adjustment: {written:?}");
        }
    }

    fn set_target(&'static self) {
        let text = world()
            .random
            .of(&["dm-test\n", "dm-0", "253:0", "\n", "nobody", "253:99"]);
        let then = self.circumstances();
        let known = !matches!(text, "nobody" | "253:99");
        let written = self.write_attribute("set_target", text);
        self.module.targets.set(true);
        let explained = match written {
            Ok(()) => known,
            Err(EBUSY) => then.busy || self.has_changed(&then),
            Err(ENODEV) if !known => true,
            Err(ENODEV) => then.absent || self.has_changed(&then) || self.was_unloaded(&then),
            Err(ENOMEM) => self.may_lack_memory(),
            Err(ENOENT) => self.was_unloaded(&then),
            Err(_) => false,
        };
        if !explained {
            fail!("'{text}' to set_target: {written:?}");
        }
    }

    fn write_nonsense(&'static self) {
        let text = world().random.of(&NONSENSE);
        let file = world().random.of(&[
            "stress_test_start",
            "stress_test_stop",
            "stress_test_adjust",
            "quick_validation",
            "memory_pressure_test",
            "custom_workload",
            "production_workload",
            "regression_thresholds",
            "stress_test_status",
        ]);
        let then = self.circumstances();
        let written = self.write_attribute(file, text);
        let explained = match written {
            // Nothing at all does not come to the module.
            Ok(()) => text.is_empty(),
            Err(EINVAL) => true,
            // Of a file that can only be read.
            Err(-13) => file == "stress_test_status",
            Err(ENOENT | ENODEV) => self.was_unloaded(&then),
            Err(_) => false,
        };
        if !explained {
            fail!("'{text}' to {file}: {written:?}");
        }
    }

    fn write_setting(&'static self) {
        let then = self.circumstances();
        let written = if world().random.one_in(2) {
            let latency = world().random.between(1, 1000);
            let text = format!("latency={latency}");
            self.write_attribute("regression_thresholds", &text)
        } else {
            match self.read_attribute("baseline") {
                // What is read can be written.
                Some(text) => self.write_attribute("baseline", &text),
                None => return,
            }
        };
        let explained = match written {
            Ok(()) => true,
            Err(ENOENT | ENODEV) => self.was_unloaded(&then),
            Err(_) => false,
        };
        if !explained {
            fail!("a setting cannot be written: {written:?}");
        }
    }

    fn read_others(&'static self) {
        let file = world().random.of(&[
            "set_target",
            "regression_thresholds",
            "baseline",
            "fast_path_hits",
            "remap_entries",
            "fast_path_hit_rate",
        ]);
        if !file.contains("path") && file != "remap_entries" {
            self.read_attribute(file);
            return;
        }
        let then = self.circumstances();
        match sysfs::read(true, "optimization", file) {
            Ok(text) if text.trim_end().parse::<u64>().is_ok() => {}
            Ok(text) => fail!("{file} reads as '{text}'"),
            Err(error) => self.check_read_error(file, error, &then),
        }
    }

    /// Opens a file of debugfs, reads it piece by piece, and closes it. Nothing where that cannot be done,
    /// which has to have a reason.
    pub(crate) fn read_document(&'static self, name: &str) -> Option<String> {
        let then = self.circumstances();
        let operations = &self.common.operations;
        operations.set(operations.get() + 1);
        let mut file = match debugfs::OpenDocument::open(&["dm_remap", "stress", name]) {
            Ok(file) => file,
            Err(ENOENT | ENXIO) if self.was_unloaded(&then) || self.may_lack_memory() => {
                return None
            }
            Err(ENOMEM) if self.may_lack_memory() => return None,
            Err(error) => {
                fail!("{name} cannot be opened: {error}");
                return None;
            }
        };
        if world().random.one_in(4) {
            self.rest(self.settings.pause);
        }
        let most = world().random.of(&[100, 4096, 65536]);
        let mut bytes = Vec::new();
        let whole = loop {
            match file.read(most) {
                Ok(piece) if piece.is_empty() => break true,
                Ok(piece) => bytes.extend(piece),
                Err(ENOMEM) if self.may_lack_memory() => break false,
                Err(error) => {
                    fail!("{name} cannot be read: {error}");
                    break false;
                }
            }
        };
        file.close();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        whole.then_some(text)
    }

    /// All that is done to a stress manager while tests run.
    pub(crate) fn stress(&'static self) {
        self.load_module();
        let settings = &self.settings;
        self.common
            .at_work
            .set(self.common.at_work.get() + settings.shells as u32);
        let mut tasks = Vec::new();
        let mut spawn = |name: String, body: fn(&'static Self)| {
            tasks.push(scheduler::spawn(name, false, move || body(self)));
        };
        for n in 0..settings.shells {
            spawn(self.name("shell", n), Self::use_shell);
        }
        for n in 0..settings.openers {
            spawn(self.name("opener", n), Self::open_now_and_then);
        }
        for n in 0..settings.messengers {
            spawn(self.name("sender", n), Self::want_blocks);
        }
        spawn(self.name("administrator", 0), Self::administer);
        if !settings.faults.is_empty() {
            spawn(self.name("fault", 0), Self::fail_now_and_then);
        }
        for task in tasks {
            scheduler::join(task);
        }
    }

    /// Nobody uses the device any more: the test is stopped, and what it has left is judged.
    pub(crate) fn end_stress(&'static self) {
        self.stop();
        self.device().write_out();
        self.read_status();
        self.read_results();
        self.read_comprehensive();
        self.read_record();
        self.read_charts();
        self.check_home();
        self.check_totals();
    }

    /// Fails where the counters over all tables, of which there is one, are not those of its status.
    fn check_totals(&'static self) {
        let status = self.status();
        let sum = |names: [&str; 2]| names.iter().map(|name| status.counter(name)).sum();
        let wanted: [(&str, u64); 3] = [
            ("total_ios", sum(["reads", "writes"])),
            ("remapped_ios", sum(["remapped_reads", "remapped_writes"])),
            ("remap_entries", status.figures().remapped),
        ];
        for (file, wanted) in wanted {
            // There is none where the module was unloaded.
            let read = sysfs::read(true, "optimization", file);
            if read.is_ok_and(|text| text.trim_end() != wanted.to_string()) {
                fail!("{file} is not {wanted}");
            }
        }
    }
}
