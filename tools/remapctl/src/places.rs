// SPDX-License-Identifier: GPL-2.0

//! Parses a target's line of the table: main, the spare area, and the options.

use serde::Serialize;

use crate::sysfs::Sysfs;

/// Arguments of a target.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Places {
    /// Device with bad blocks.
    pub(crate) main: Main,
    /// Area that holds the remapped blocks.
    pub(crate) spare: Spare,
    /// Word for the error policy.
    pub(crate) error_policy: String,
    /// Optional arguments, as they are in the table.
    pub(crate) options: Vec<String>,
}

/// Device with bad blocks.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Main {
    #[serde(flatten)]
    pub(crate) disk: Disk,
    /// Sector of the device at which the target starts.
    pub(crate) start: u64,
}

/// Spare area.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Spare {
    #[serde(flatten)]
    pub(crate) disk: Disk,
    /// First sector.
    pub(crate) start: u64,
    /// Number of sectors.
    pub(crate) length: u64,
}

/// Block device below a target.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Disk {
    /// Path in /dev, if one is known.
    pub(crate) path: Option<String>,
    /// `<major>:<minor>`.
    pub(crate) number: String,
}

impl Disk {
    fn of(sysfs: &Sysfs, number: &str) -> Self {
        Self {
            path: sysfs.path_of(number),
            number: number.to_owned(),
        }
    }

    /// Returns the path if it is one word, or else the number.
    pub(crate) fn word(&self) -> &str {
        let odd = |char: char| char.is_whitespace() || char.is_control();
        match &self.path {
            Some(path) if !path.contains(odd) => path,
            _ => &self.number,
        }
    }
}

impl Places {
    /// Parses the arguments of a table line. Takes unknown options: later modules may have more.
    pub(crate) fn parse(sysfs: &Sysfs, arguments: &str) -> Option<Self> {
        let mut words = arguments.split_whitespace();
        let (main, spare) = (words.next()?, words.next()?);
        let (start, length) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let count: usize = words.next().unwrap_or("0").parse().ok()?;
        let options: Vec<String> = words.map(String::from).collect();
        if options.len() != count {
            return None;
        }
        let option = |key: &str| {
            let at = options.iter().position(|word| word == key)?;
            options.get(at.checked_add(1)?)
        };
        let main_start = match option("main_start") {
            Some(value) => value.parse().ok()?,
            None => 0,
        };
        let error_policy = option("error_policy").map_or("relocate", String::as_str);
        Some(Self {
            main: Main {
                disk: Disk::of(sysfs, main),
                start: main_start,
            },
            spare: Spare {
                disk: Disk::of(sysfs, spare),
                start,
                length,
            },
            error_policy: error_policy.to_owned(),
            options,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parsed(arguments: &str) -> Option<Places> {
        Places::parse(&Sysfs::new(Path::new("/nonexistent")), arguments)
    }

    #[test]
    fn every_word_has_its_place() {
        let places =
            parsed("7:0 8:17 8 2000 7 main_start 1000 volatile error_policy off invented_later 5")
                .unwrap();
        assert_eq!((places.main.disk.word(), places.main.start), ("7:0", 1000));
        let spare = &places.spare;
        assert_eq!(
            (spare.disk.word(), spare.start, spare.length),
            ("8:17", 8, 2000)
        );
        assert_eq!(places.error_policy, "off");
        assert_eq!(places.options.len(), 7);

        let places = parsed("7:0 8:17 0 16").unwrap();
        assert_eq!((places.main.start, &*places.error_policy), (0, "relocate"));
        assert!(places.options.is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "",
            "7:0 8:17 0",
            "7:0 8:17 0 x",
            "7:0 8:17 0 16 1",
            "7:0 8:17 0 16 x",
            "7:0 8:17 0 16 2 main_start x",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn a_path_that_is_not_one_word_gives_way_to_the_number() {
        let mut disk = Disk {
            path: Some(String::from("/dev/mapper/a b")),
            number: String::from("253:1"),
        };
        assert_eq!(disk.word(), "253:1");
        disk.path = Some(String::from(r"/dev/mapper/a\x20b"));
        assert_eq!(disk.word(), r"/dev/mapper/a\x20b");
    }
}
