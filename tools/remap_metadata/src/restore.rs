// SPDX-License-Identifier: GPL-2.0

//! Writing the metadata of a dump.

use std::{
    collections::BTreeMap,
    io, //
};

use remap_core::metadata::{
    layout::superblocks,
    page::Page,
    store::{
        CommitError,
        LoadError,
        Storage,
        Store, //
    },
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
        Image, //
    },
};

/// What stands in the first place of an area until everything else is there. The kernel takes it for
/// something that is no metadata, and leaves the area alone; a blank one it would format.
const UNFINISHED: &[u8] = b"The restoring of dm-remap's metadata was cut short: do it again.\n";

/// Pages that are written together.
const PAGES_AT_ONCE: usize = 128;

/// Keeps the superblocks of an area back until everything else is durable: before that the area
/// would be taken for one with fewer remaps.
struct Withheld<'a> {
    image: &'a Image,
    superblocks: BTreeMap<u64, Page>,
}

impl<'a> Withheld<'a> {
    fn begin(image: &'a Image) -> io::Result<Self> {
        let mut first = Page::new_zeroed();
        for (to, from) in first.as_mut_bytes().iter_mut().zip(UNFINISHED) {
            *to = *from;
        }
        image.write_bytes(0, first.as_bytes())?;
        image.sync()?;
        let mut withheld = BTreeMap::new();
        for sector in superblocks(image.sectors()) {
            withheld.insert(sector, Page::new_zeroed());
            if sector != 0 {
                image.write_bytes(sector, Page::new_zeroed().as_bytes())?;
            }
        }
        image.sync()?;
        Ok(Self {
            image,
            superblocks: withheld,
        })
    }

    fn finish(self) -> io::Result<()> {
        self.image.sync()?;
        for (sector, page) in self.superblocks.iter().rev() {
            self.image.write_bytes(*sector, page.as_bytes())?;
            self.image.sync()?;
        }
        Ok(())
    }
}

impl Storage for &mut Withheld<'_> {
    type Error = io::Error;

    fn read(&mut self, sector: u64, pages: &mut [Page]) -> io::Result<()> {
        self.image.read_bytes(sector, pages.as_mut_bytes())
    }

    fn write(&mut self, sector: u64, pages: &[Page]) -> io::Result<()> {
        // A superblock and what is next to it are never written together.
        if let (Some(kept), [page]) = (self.superblocks.get_mut(&sector), pages) {
            *kept = *page;
            return Ok(());
        }
        self.image.write_bytes(sector, pages.as_bytes())
    }
}

/// Writes the metadata of an area. Its slots are not touched.
pub fn write(image: &Image, described: &Described) -> Result<(), Failure> {
    let failed = |error| Failure::Undone(format!("cannot write: {error}"));
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

/// Refuses an area that holds anything which would be given up.
fn refuse_remaps(image: &Image) -> Result<(), Failure> {
    let held = match Area::load_from(image, image.sectors(), false) {
        Ok((area, _)) if area.remaps() == 0 => return Ok(()),
        Err(LoadError::Blank) => return Ok(()),
        Ok((area, _)) => format!("it holds metadata of {} remapped blocks", area.remaps()),
        Err(why) => why.to_string(),
    };
    Err(Failure::Undone(format!("{held}; --yes gives it up")))
}

/// `remap_restore`. Returns what to say.
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
        return Err(refused(&format!(
            "spare_sectors: {}, but the area has {}",
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
