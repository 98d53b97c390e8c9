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

/// Bytes that two names may be of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Backing {
    /// A file, by the number of its file system and its own.
    File(u64, u64),
    /// A block device, by its number as sysfs has it.
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

/// A loop device that has something below it.
struct LoopDevice {
    name: String,
    /// Its own number.
    number: String,
    backing: Backing,
}

/// The loop devices of a machine.
pub struct LoopDevices {
    sysfs: PathBuf,
    all: Vec<LoopDevice>,
}

impl LoopDevices {
    /// Those of this machine, as they are now.
    pub fn of_the_kernel() -> Self {
        Self::new(Path::new("/sys"))
    }

    /// Those that a tree like the kernel's names. One whose backing file has no name here is left out.
    pub fn new(sysfs: &Path) -> Self {
        let mut all = Vec::new();
        for entry in fs::read_dir(sysfs.join("block"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let directory = entry.path();
            let backing = fs::read(directory.join("loop/backing_file"));
            let Some(backing) = backing.ok().and_then(|name| find(name)) else {
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

    /// The name of a loop device that has the same bytes as an open file or device, or some of them. Of a
    /// loop device it is another one above the same file.
    pub fn using(&self, opened: &Metadata) -> Option<&str> {
        let mut same = vec![Backing::of(opened)];
        let mut passed: Vec<&str> = Vec::new();
        // Down through the loop devices that it is itself, or a partition of.
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

    /// Whether one is the other, or a part of it.
    fn overlap(&self, one: &Backing, other: &Backing) -> bool {
        if one == other {
            return true;
        }
        let (Backing::Device(one), Backing::Device(other)) = (one, other) else {
            return false;
        };
        self.disk(one).as_ref() == Some(other) || self.disk(other).as_ref() == Some(one)
    }

    /// The number of the disk that a device is a partition of.
    fn disk(&self, number: &str) -> Option<String> {
        let device = fs::canonicalize(self.sysfs.join("dev/block").join(number)).ok()?;
        device.join("partition").exists().then_some(())?;
        read_word(&device.parent()?.join("dev"))
    }
}

/// What a loop device has below it, by the name that sysfs shows.
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

        /// A file beside the tree's own ones.
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
