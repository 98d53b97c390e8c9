// SPDX-License-Identifier: GPL-2.0

//! Makes a tree of files that stands for sysfs and debugfs, with recorded answers of device-mapper, and runs
//! `remapctl` on it.

use std::{
    fs::{
        self,
        OpenOptions, //
    },
    os::{
        fd::OwnedFd,
        unix::net::UnixStream, //
    },
    path::{
        Path,
        PathBuf, //
    },
    process::{
        Child,
        Command,
        Output,
        Stdio, //
    },
    thread,
    time::{
        Duration,
        Instant, //
    },
};

/// Status of a device that is well.
pub(crate) const STATUS: &str =
    "0 100000 remap 2/125 0 0 16 ok none reads=10 writes=20 remapped_reads=1 \
    remapped_writes=2 read_errors=0 write_errors=0 auto_remaps=0 manual_remaps=2 unremaps=0 \
    spare_errors=0\n";

/// Results of a stress test.
const RESULTS: &str =
    "=== Phase 3.2C Stress Test Results ===\n\n  Test Type:        Mixed Workload (4)\n\
    Added Latency (ns):  min=1 avg=2 p50=3\nFailure Reason:   Throughput >= 100 MB/s: 20 MB/s; b\n";

/// Tree for one test.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
}

impl Tree {
    /// Makes a tree with the module and one device.
    pub(crate) fn new(test: &str) -> Self {
        let tree = Self::without_module(test);
        for file in [
            "set_target",
            "stress_test_start",
            "stress_test_stop",
            "stress_test_adjust",
            "quick_validation",
        ] {
            tree.stress(file, "");
        }
        tree.stress("stress_test_status", "STOPPED\n");
        tree.stress("stress_test_results", RESULTS);
        tree.stress("comprehensive_report", "the report\n");
        tree.stress("baseline", "none\n");
        for (file, value) in [
            ("total_ios", 30),
            ("fast_path_hit_rate", 97),
            ("remap_entries", 2),
        ] {
            let path = format!("sys/module/dm_remap/optimization/{file}");
            tree.write(&path, &format!("{value}\n"));
        }
        tree.write(
            "sys/dev/block/7:0/uevent",
            "MAJOR=7\nMINOR=0\nDEVNAME=loop0\nDEVTYPE=disk\n",
        );
        tree.write("sys/dev/block/7:1/dm/name", "odd\\x20spare\n");
        tree.device(0, "bad", STATUS);
        tree.write("mapper/bad/list", "80 24 -\nmore 96");
        tree.write("mapper/bad/list 96", "96 8 lost\nend");
        tree
    }

    pub(crate) fn without_module(test: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = fs::remove_dir_all(&root);
        let tree = Self { root };
        fs::create_dir_all(tree.path("sys/block/sda")).unwrap();
        fs::create_dir_all(tree.path("mapper")).unwrap();
        tree
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Writes a file. Readers see the old text or the new one.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let temporary = path.with_extension("new");
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, path).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    pub(crate) fn stress(&self, file: &str, text: &str) {
        self.write(&format!("sys/kernel/dm_remap_stress_test/{file}"), text);
    }

    /// Returns the names of hidden files.
    pub(crate) fn hidden(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.root).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with('.')).collect()
    }

    /// Returns the text that was written into a control file.
    pub(crate) fn asked(&self, file: &str) -> String {
        self.read(&format!("sys/kernel/dm_remap_stress_test/{file}"))
    }

    /// Adds a device with this status and a matching table.
    pub(crate) fn device(&self, minor: u32, name: &str, status: &str) {
        let line = |line: &str| {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            format!("{} 7:0 7:1 8 2000\n", words[..3].join(" "))
        };
        let table: String = status.lines().map(line).collect();
        self.mapped(minor, name, &table);
        let path = format!("mapper/{name}/status");
        fs::remove_dir_all(self.path(&path)).unwrap();
        self.write(&path, status);
    }

    /// Adds a device with this table, whose status cannot be read.
    pub(crate) fn mapped(&self, minor: u32, name: &str, table: &str) {
        let directory = format!("sys/block/dm-{minor}");
        self.write(&format!("{directory}/dm/name"), &format!("{name}\n"));
        self.write(&format!("{directory}/dm/suspended"), "0\n");
        self.write(&format!("{directory}/dev"), &format!("253:{minor}\n"));
        self.write(&format!("mapper/{name}/table"), table);
        // Reading a directory fails with EISDIR.
        fs::create_dir_all(self.path(&format!("mapper/{name}/status/x"))).unwrap();
    }

    /// Adds the records of a test that has run.
    pub(crate) fn records(&self) {
        for file in ["results.json", "histograms.json", "trend.json"] {
            let record = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/records")
                .join(file);
            let path = format!("sys/kernel/debug/dm_remap/stress/{file}");
            self.write(&path, &fs::read_to_string(record).unwrap());
        }
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remapctl"));
        command
            .arg("--sys")
            .arg(self.path("sys"))
            .arg("--mapper")
            .arg(self.path("mapper"))
            // In `line`, a blank within a word is a non-breaking one.
            .args(line.split(' ').map(|word| word.replace('\u{a0}', " ")))
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Answer {
        Answer::of(self.command(line).output().unwrap())
    }

    /// Returns exit status and errors of a command with this standard output.
    pub(crate) fn with_output(&self, line: &str, out: Stdio) -> (i32, String) {
        let output = self.command(line).stdout(out).output().unwrap();
        let status = output.status.code().unwrap();
        (status, String::from_utf8(output.stderr).unwrap())
    }

    /// Returns exit status and errors of a command that can write nothing.
    pub(crate) fn with_full_output(&self, line: &str) -> (i32, String) {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        self.with_output(line, Stdio::from(full))
    }

    /// Returns exit status and errors of a command whose output is closed by its reader.
    pub(crate) fn with_closed_output(&self, line: &str) -> (i32, String) {
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(reader);
        self.with_output(line, Stdio::from(OwnedFd::from(writer)))
    }

    /// Returns the output of a command that succeeds without errors.
    pub(crate) fn prints(&self, line: &str) -> String {
        let answer = self.run(line);
        assert_eq!(answer.status, 0, "{line}: {}", answer.errors);
        answer.out
    }

    /// Returns the errors of a command that ends with this status and prints nothing.
    pub(crate) fn complains(&self, line: &str, status: i32) -> String {
        let answer = self.run(line);
        assert_eq!(
            (answer.status, &*answer.out),
            (status, ""),
            "{line}: {}",
            answer.errors
        );
        answer.errors
    }

    /// Waits until a control file was written.
    pub(crate) fn wait_for(&self, file: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.asked(file).is_empty() {
            assert!(Instant::now() < deadline, "nobody has written into {file}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Result of a command.
pub(crate) struct Answer {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) errors: String,
}

impl Answer {
    fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Running command, which is killed if the test fails.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    pub(crate) fn id(&self) -> String {
        self.0.as_ref().unwrap().id().to_string()
    }

    /// Waits until the command has ended. Panics after a time limit.
    pub(crate) fn end(mut self) -> Answer {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.0.as_mut().unwrap().try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the command does not end");
            thread::sleep(Duration::from_millis(10));
        }
        Answer::of(self.0.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
