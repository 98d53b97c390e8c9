// SPDX-License-Identifier: GPL-2.0

//! Repairs the copies of metadata, in place or in a new file.

use std::{
    collections::BTreeMap,
    fs::{
        self,
        File, //
    },
    io,
    path::Path, //
};

use indicatif::ProgressBar;
use remap_core::metadata::{
    copies::Doubt,
    page::Page,
    store::{
        recovery::{
            recover,
            Error,
            Recovered, //
        },
        Findings,
        LoadError,
        Storage, //
    },
    PAGE_SECTORS, //
};
use zerocopy::FromZeros;

use crate::{
    area::{
        crc32c,
        length_hint,
        with_scratch,
        Area, //
    },
    arguments::Repair,
    failure::{
        Failure,
        DEGRADED,
        GOOD, //
    },
    image::{
        Access,
        Image,
        Medium,
        SECTOR, //
    },
    overlay::Overlay,
    withheld::Withheld,
};

/// Pages to be written, by their sector.
pub type Pages = BTreeMap<u64, Page>;

/// Bytes that are copied together.
const CHUNK: usize = 1 << 16;

/// Result of a repair.
#[derive(Debug)]
struct Repaired {
    /// Faults of pages whose newest contents are proven.
    findings: Findings,
    /// Pages whose newest contents are not proven, and what was taken for them.
    recovered: Vec<Recovered>,
    /// A line for each slot that has failed, but was not recorded as bad.
    failed: Vec<String>,
    /// Number of pages that could not be repaired.
    unmended: u32,
}

impl Repaired {
    fn is_whole(&self) -> bool {
        self.recovered.is_empty() && self.findings == Findings::default()
    }

    /// Returns a line for each page of `recovered` and each failed slot, and then a summary that ends with
    /// `done`.
    fn report(&self, done: &str) -> Vec<String> {
        let mut lines: Vec<_> = self.recovered.iter().map(line).collect();
        lines.extend(self.failed.iter().cloned());
        lines.push(if self.is_whole() {
            "every copy is right".to_owned()
        } else {
            let failed = match self.failed.len() {
                0 => String::new(),
                slots => format!(", {slots} failed slots not noted as bad"),
            };
            format!(
                "{} bad copies, {} pages whose last write was cut short, {} pages not \
                 believed{failed}: {done}",
                self.findings.bad,
                self.findings.behind,
                self.recovered.len()
            )
        });
        if self.unmended > 0 {
            let left = self.unmended;
            lines.push(format!("{left} pages could not be put right"));
        }
        lines
    }
}

fn line(page: &Recovered) -> String {
    let index = page.index;
    match page.doubt {
        Doubt::Superseded { found } => format!(
            "metadata page {index}: generation {found} is believed, and a newer one may have been \
             lost{}",
            slots(page, "")
        ),
        Doubt::Nothing => format!(
            "metadata page {index}: no copy is valid{}",
            slots(page, " are free now")
        ),
    }
}

/// Returns the slots of a page in words, followed by `what`; nothing for the superblock, which has none.
fn slots(page: &Recovered, what: &str) -> String {
    match page.slots.end.checked_sub(1) {
        Some(last) if !page.slots.is_empty() => {
            format!("; slots {} to {last}{what}", page.slots.start)
        }
        _ => String::new(),
    }
}

/// Repairs the pages whose newest contents are proven, and, if the user asks for it, the others, too.
fn repair<S: Storage + Copy>(
    mut storage: S,
    sectors: u64,
    arguments: &Repair,
) -> Result<Repaired, Failure> {
    let mut recovered = Vec::new();
    if arguments.believe_newest {
        let mut pages = [Page::new_zeroed(); 2];
        let forget = arguments.forget_lost_pages;
        let told = |page| recovered.push(page);
        let done = recover(&mut storage, sectors, crc32c, &mut pages, forget, told);
        done.map_err(|error| match error {
            Error::Load(error) => Failure::from(error),
            Error::Write(page) => {
                Failure::Undone(format!("cannot write metadata page {}", page.index))
            }
        })?;
    }
    let (area, mut store) = Area::load_from(storage, sectors, true)?;
    let left = match store.is_settled() {
        true => with_scratch(|scratch| store.check(scratch))?,
        false => area.findings,
    };
    Ok(Repaired {
        findings: area.findings,
        recovered,
        failed: area.failed_slots(),
        unmended: left.unmended,
    })
}

/// Writes the area, with some pages changed, to a new file. Zeros become holes.
fn copy(image: &Image, written: &Pages, path: &Path) -> Result<(), Failure> {
    let new = Image::create(path, image.sectors())?;
    let copied = copy_area(image, written, &new).and_then(|()| {
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let directory = File::open(directory.unwrap_or(Path::new(".")));
        let noted = directory.and_then(|directory| directory.sync_all());
        noted.map_err(|error| Failure::file("write the directory of", path, &error))
    });
    if copied.is_err() {
        // A part of a copy is worse than none.
        let _ = fs::remove_file(path);
    }
    copied
}

/// Writes the area, with some pages changed, to a medium of zeros. The copy becomes a valid area only when
/// it is complete and durable.
pub fn copy_area<M: Medium>(image: &Image, written: &Pages, new: &M) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Undone(format!("cannot write the copy: {error}"));
    let mut withheld = Withheld::begin(new).map_err(failed)?;
    let total = image.sectors().saturating_mul(SECTOR);
    // The bar is hidden if standard error is no terminal.
    let bar = ProgressBar::new(total);
    let mut buffer = vec![0; CHUNK];
    let mut done: u64 = 0;
    while done < total {
        let length = usize::try_from(total - done).map_or(CHUNK, |rest| rest.min(CHUNK));
        let bytes = buffer.get_mut(..length).unwrap_or_default();
        let sector = done / SECTOR;
        read(image, written, sector, bytes)?;
        withheld.write_bytes(sector, bytes, true).map_err(failed)?;
        done += length as u64;
        bar.set_position(done);
    }
    bar.finish_and_clear();
    for (sector, page) in written {
        let page = std::slice::from_ref(page);
        (&mut withheld).write(*sector, page).map_err(failed)?;
    }
    withheld.finish().map_err(failed)
}

/// Reads a part of an area. Sectors of pages in `written` need not be readable: they become zeros.
fn read(image: &Image, written: &Pages, sector: u64, bytes: &mut [u8]) -> Result<(), Failure> {
    if image.read_bytes(sector, bytes).is_ok() {
        return Ok(());
    }
    for (sector, bytes) in (sector..).zip(bytes.chunks_mut(SECTOR as usize)) {
        let Err(error) = image.read_bytes(sector, bytes) else {
            continue;
        };
        let page = written.range(..=sector).next_back();
        if page.is_none_or(|(start, _)| sector - start >= PAGE_SECTORS) {
            return Err(Failure::Undone(format!(
                "cannot read sector {sector} of the area: {error}; ddrescue copies the rest of the \
                 device"
            )));
        }
        bytes.fill(0);
    }
    Ok(())
}

/// Runs `remap_repair`. Returns the exit status, and the lines to print.
pub fn run(arguments: &Repair) -> Result<(u8, Vec<String>), Failure> {
    let access = match arguments.yes {
        true => Access::Write,
        false => Access::Read,
    };
    let image = arguments.location.open_found(access)?;
    let sectors = image.sectors();
    let overlay = Overlay::new(&image);
    let planned = repair(&overlay, sectors, arguments).map_err(|failure| match failure {
        Failure::Unusable { why, .. } => Failure::Unusable {
            why,
            hint: hint(&why, arguments)
                .map(str::to_owned)
                .or_else(|| length_hint(&why, &arguments.location, sectors)),
        },
        failure => failure,
    })?;
    if let Some(path) = &arguments.output {
        copy(&image, &overlay.into_pages(), path)?;
        return Ok((
            GOOD,
            planned.report(&format!("right in {}", path.display())),
        ));
    }
    if planned.is_whole() {
        return Ok((GOOD, planned.report("")));
    }
    if !arguments.yes {
        return Ok((DEGRADED, planned.report("--yes puts them right")));
    }
    let repaired = repair(&image, sectors, arguments)?;
    let status = match repaired.unmended {
        0 => GOOD,
        _ => DEGRADED,
    };
    Ok((status, repaired.report("put right")))
}

/// Returns the option that helps if an area is refused, if there is one.
fn hint(why: &LoadError, arguments: &Repair) -> Option<&'static str> {
    match why {
        LoadError::Page {
            doubt: Doubt::Superseded { .. },
            ..
        } if !arguments.believe_newest => {
            Some("--believe-newest takes the newest valid copy, which may be an older one")
        }
        // Page 0 is the superblock: without it no other page is found.
        LoadError::Page {
            index: 1..,
            doubt: Doubt::Nothing,
        } => Some("--believe-newest with --forget-lost-pages gives up what was on such pages"),
        _ => None,
    }
}
