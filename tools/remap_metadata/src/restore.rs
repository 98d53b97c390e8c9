// SPDX-License-Identifier: GPL-2.0

//! Writes the metadata of a dump to an area.

use std::io;

use remap_core::metadata::{
    layout::{
        superblocks,
        Layout, //
    },
    page::Page,
    store::{
        self,
        numbers_of,
        CommitError,
        LoadError,
        Store, //
    }, //
};
use zerocopy::{
    FromZeros,
    IntoBytes, //
};

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
///
/// If the area had `shorter` sectors before, superblocks at the end that it had are overwritten: they are in no slot
/// that was in use.
pub fn write<M: Medium>(
    image: &M,
    described: &Described,
    shorter: Option<u64>,
) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Undone(format!("cannot write: {error}"));
    let unwritable = |index| Failure::Undone(format!("cannot write metadata page {index}"));
    let mut withheld = Withheld::begin(image).map_err(failed)?;
    for sector in shorter.into_iter().flat_map(superblocks).skip(2) {
        let written = image.write_bytes(sector, Page::new_zeroed().as_bytes());
        written.map_err(failed)?;
    }
    let numbers = vec![0; numbers_of(&described.layout)];
    let mut pages = vec![Page::new_zeroed(); PAGES_AT_ONCE];
    let superblock = &described.superblock;
    let formatted = Store::format(&mut withheld, superblock, numbers, crc32c, &mut pages);
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
fn refuse_remaps(mut image: &Image, layout: &Layout) -> Result<(), Failure> {
    let loaded = Area::load_from(image, image.sectors(), false);
    let loaded = match loaded {
        Err(LoadError::Blank) => {
            let mut pages = vec![Page::new_zeroed(); PAGES_AT_ONCE];
            match store::check_places(&mut image, layout, &mut pages) {
                Ok(()) => return Ok(()),
                Err(why) => Err(why),
            }
        }
        loaded => loaded,
    };
    let held = match loaded {
        Ok((area, _)) if area.remaps() == 0 => return Ok(()),
        Err(LoadError::Formatting) => return Ok(()),
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
    let mut described = dump.describe().map_err(|why| refused(&why))?;
    if arguments.any_main {
        dump.lose_unread();
        described = dump.describe().map_err(|why| refused(&why))?;
    }
    let image = arguments.location.open(Access::Write)?;
    let is_longer = image.sectors() > dump.spare_sectors;
    let shorter = (is_longer && arguments.location.length.is_some()).then_some(dump.spare_sectors);
    if shorter.is_some() {
        dump.grow(image.sectors())?;
        described = dump.describe().map_err(|why| refused(&why))?;
    }
    if image.sectors() != dump.spare_sectors {
        let hint = match is_longer {
            true => format!(
                "; --length {} takes so much of it, --length {} all of it",
                dump.spare_sectors,
                image.sectors()
            ),
            false => String::new(),
        };
        return Err(refused(&format!(
            "spare_sectors: {}, but the area has {}{hint}",
            dump.spare_sectors,
            image.sectors()
        )));
    }
    if !arguments.yes {
        refuse_remaps(&image, &described.layout)?;
    }
    write(&image, &described, shorter)?;
    Ok(format!(
        "metadata of {} remapped blocks written",
        dump.remaps.len()
    ))
}
