// SPDX-License-Identifier: GPL-2.0

//! Writes the metadata of a dump to an area.

use std::io;

use remap_core::metadata::{
    page::Page,
    store::{
        CommitError,
        LoadError,
        Store, //
    }, //
};
use zerocopy::FromZeros;

use crate::{
    area::{
        crc32c,
        Area, //
    },
    arguments::Restore,
    dump::{
        Described,
        Dump, //
    },
    failure::Failure,
    image::{
        Access,
        Image,
        Medium, //
    },
    withheld::Withheld,
};

/// Pages that are written together.
const PAGES_AT_ONCE: usize = 128;

/// Writes the metadata of an area. Does not write to its slots.
pub fn write<M: Medium>(image: &M, described: &Described) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Undone(format!("cannot write: {error}"));
    let unwritable = |index| Failure::Undone(format!("cannot write metadata page {index}"));
    let mut withheld = Withheld::begin(image).map_err(failed)?;
    let generations = vec![0; described.layout.pages() as usize];
    let mut pages = vec![Page::new_zeroed(); PAGES_AT_ONCE];
    let superblock = &described.superblock;
    let formatted = Store::format(&mut withheld, superblock, generations, crc32c, &mut pages);
    let mut store = formatted.map_err(|why| unwritable(why.index))?;
    let mut pages = [Page::new_zeroed(); 2];
    store
        .commit(described.entries.iter().copied(), &mut pages)
        .map_err(|why| match why {
            CommitError::Unchanged(why) | CommitError::Uncertain(why) => unwritable(why.index),
        })?;
    drop(store);
    withheld.finish().map_err(failed)
}

/// Refuses an area with remaps, or with anything else that the restore would overwrite.
fn refuse_remaps(image: &Image) -> Result<(), Failure> {
    let held = match Area::load_from(image, image.sectors(), false) {
        Ok((area, _)) if area.remaps() == 0 => return Ok(()),
        Err(LoadError::Blank) => return Ok(()),
        Ok((area, _)) => format!("it holds metadata of {} remapped blocks", area.remaps()),
        Err(why) => why.to_string(),
    };
    Err(Failure::Undone(format!("{held}; --yes gives it up")))
}

/// Runs `remap_restore`. Returns the line to print.
pub fn run(arguments: &Restore) -> Result<String, Failure> {
    let mut dump = Dump::read(&arguments.json)?;
    if arguments.any_main {
        dump.main_identity = None;
        let end = dump.main_start.checked_add(dump.target_sectors);
        dump.main_sectors = end.ok_or_else(|| {
            Failure::Undone("main_start: no device has room for the target there".into())
        })?;
    }
    let refused = |why: &dyn std::fmt::Display| {
        Failure::Undone(format!("{}: {why}", arguments.json.display()))
    };
    let described = dump.describe().map_err(|why| refused(&why))?;
    let image = arguments.location.open(Access::Write)?;
    if image.sectors() != dump.spare_sectors {
        let hint = match arguments.location.length {
            None if image.sectors() > dump.spare_sectors => {
                format!("; --length {} takes so much of it", dump.spare_sectors)
            }
            _ => String::new(),
        };
        return Err(refused(&format!(
            "spare_sectors: {}, but the area has {}{hint}",
            dump.spare_sectors,
            image.sectors()
        )));
    }
    if !arguments.yes {
        refuse_remaps(&image)?;
    }
    write(&image, &described)?;
    Ok(format!(
        "metadata of {} remapped blocks written",
        dump.remaps.len()
    ))
}
