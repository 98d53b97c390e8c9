// SPDX-License-Identifier: GPL-2.0

//! Loop devices, and the files and devices below them.

use std::{
    fs::{
        self,
        Metadata, //
    },
    os::unix::{
        ffi::OsStringExt,
        fs::{
            FileTypeExt,
            MetadataExt, //
        },
    },
    path::{
        Path,
        PathBuf, //
    },
};

/// Identity of a file or a block device, whatever its name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Backing {
    /// File: device number of its file system, and inode number.
    File(u64, u64),
    /// Block device: its number, `<major>:<minor>` as in sysfs.
    Device(String),
}

impl Backing {
    fn of(metadata: &Metadata) -> Self {
        if metadata.file_type().is_block_device() {
            let number = metadata.rdev();
            Backing::Device(format!("{}:{}", libc::major(number), libc::minor(number)))
        } else {
            Backing::File(metadata.dev(), metadata.ino())
        }
    }
}

/// Loop device with a backing file or device.
struct LoopDevice {
    name: String,
    /// Number of the loop device itself.
    number: String,
    backing: Backing,
}

/// Loop devices of a machine.
pub struct LoopDevices {
    sysfs: PathBuf,
    all: Vec<LoopDevice>,
}

impl LoopDevices {
    /// Finds the loop devices of this machine.
    pub fn of_the_kernel() -> Self {
        Self::new(Path::new("/sys"))
    }

    /// Finds the loop devices in a tree like sysfs. Leaves out those whose backing file has no path in this
    /// mount namespace.
    pub fn new(sysfs: &Path) -> Self {
        let mut all = Vec::new();
        for entry in fs::read_dir(sysfs.join("block"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let directory = entry.path();
            let backing = fs::read(directory.join("loop/backing_file"));
            let Some(backing) = backing.ok().and_then(find) else {
                continue;
            };
            all.push(LoopDevice {
                name: entry.file_name().to_string_lossy().into_owned(),
                number: read_word(&directory.join("dev")).unwrap_or_default(),
                backing,
            });
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Self {
            sysfs: sysfs.to_owned(),
            all,
        }
    }

    /// Returns the name of a loop device that is backed by an open file or device, or shares a part of it.
    /// If the open device is itself a loop device, this is another one on the same file.
    pub fn using(&self, opened: &Metadata) -> Option<&str> {
        let mut same = vec![Backing::of(opened)];
        let mut passed: Vec<&str> = Vec::new();
        // From a loop device, or a partition of one, down to its backing file.
        while let Some(Backing::Device(number)) = same.last() {
            let disk = self.disk(number);
            let below = self.all.iter().find(|device| {
                (device.number == *number || Some(&device.number) == disk.as_ref())
                    && !passed.contains(&device.name.as_str())
            });
            let Some(below) = below else {
                break;
            };
            passed.push(&below.name);
            same.push(below.backing.clone());
        }
        self.all
            .iter()
            .filter(|device| !passed.contains(&device.name.as_str()))
            .find(|device| same.iter().any(|same| self.overlap(same, &device.backing)))
            .map(|device| device.name.as_str())
    }

    /// Returns whether both are the same, or one is a partition of the other.
    fn overlap(&self, one: &Backing, other: &Backing) -> bool {
        if one == other {
            return true;
        }
        let (Backing::Device(one), Backing::Device(other)) = (one, other) else {
            return false;
        };
        self.disk(one).as_ref() == Some(other) || self.disk(other).as_ref() == Some(one)
    }

    /// Returns the number of the disk that a device is a partition of; `None` if it is no partition.
    fn disk(&self, number: &str) -> Option<String> {
        let device = fs::canonicalize(self.sysfs.join("dev/block").join(number)).ok()?;
        device.join("partition").exists().then_some(())?;
        read_word(&device.parent()?.join("dev"))
    }
}

/// Finds the backing file of a loop device by the name that sysfs shows.
fn find(mut name: Vec<u8>) -> Option<Backing> {
    if name.last() == Some(&b'\n') {
        name.pop();
    }
    let path = PathBuf::from(std::ffi::OsString::from_vec(name));
    fs::metadata(path)
        .ok()
        .map(|metadata| Backing::of(&metadata))
}

fn read_word(path: &Path) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A tree like sysfs, in a directory of the test's own.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Self {
            let name = format!("dm-remap.loops.{name}.{}", std::process::id());
            let tree = Self(std::env::temp_dir().join(name));
            fs::create_dir_all(tree.0.join("dev/block")).unwrap();
            tree
        }

        fn put(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        /// Makes a file that may back a loop device.
        fn file(&self, name: &str) -> PathBuf {
            self.put(name, name);
            self.0.join(name)
        }

        fn device(&self, directory: &str, number: &str) {
            self.put(&format!("{directory}/dev"), &format!("{number}\n"));
            let link = self.0.join("dev/block").join(number);
            symlink(self.0.join(directory), link).unwrap();
        }

        fn loop_device(&self, number: u32, backing: &Path) {
            let directory = format!("block/loop{number}");
            self.device(&directory, &format!("7:{number}"));
            let name = format!("{}\n", backing.display());
            self.put(&format!("{directory}/loop/backing_file"), &name);
        }

        fn devices(&self) -> LoopDevices {
            LoopDevices::new(&self.0)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_known_by_any_of_its_names() {
        let tree = Tree::new("names");
        let (image, other) = (tree.file("an image"), tree.file("other"));
        let link = tree.0.join("link");
        fs::hard_link(&image, &link).unwrap();
        tree.put("block/sda/dev", "8:0\n");
        tree.put("block/loop7/dev", "7:7\n");
        tree.loop_device(1, Path::new("/nonexistent/image (deleted)"));
        tree.loop_device(2, &image);
        for (file, wanted) in [
            (&image, Some("loop2")),
            (&link, Some("loop2")),
            (&other, None),
        ] {
            let metadata = fs::metadata(file).unwrap();
            assert_eq!(tree.devices().using(&metadata), wanted, "{file:?}");
        }
        assert_eq!(Tree::new("none").devices().all.len(), 0);
    }

    #[test]
    fn a_part_of_a_disk_is_the_disk_and_no_other_part() {
        let tree = Tree::new("parts");
        for (directory, number) in [
            ("block/sda", "8:0"),
            ("block/sda/sda1", "8:1"),
            ("block/sda/sda2", "8:2"),
            ("block/sdb", "8:16"),
        ] {
            tree.device(directory, number);
        }
        for part in ["sda1", "sda2"] {
            tree.put(&format!("block/sda/{part}/partition"), "1\n");
        }
        let devices = tree.devices();
        let overlap = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|number| Backing::Device(number.to_owned()));
            devices.overlap(&one, &other)
        };
        for (one, other) in [
            ("8:0", "8:0"),
            ("8:0", "8:1"),
            ("8:2", "8:0"),
            ("8:1", "8:1"),
        ] {
            assert!(overlap(one, other), "{one} {other}");
        }
        for (one, other) in [("8:1", "8:2"), ("8:0", "8:16"), ("8:16", "8:1")] {
            assert!(!overlap(one, other), "{one} {other}");
        }
    }
}
