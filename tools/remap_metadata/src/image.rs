// SPDX-License-Identifier: GPL-2.0

//! Files and block devices with a spare area in them.

use std::{
    fs::{
        File,
        Metadata,
        OpenOptions, //
    },
    io::{
        self,
        Seek,
        SeekFrom, //
    },
    os::unix::fs::{
        FileExt,
        FileTypeExt,
        OpenOptionsExt, //
    },
    path::{
        Path,
        PathBuf, //
    },
};

use clap::Args;
use remap_core::metadata::{
    page::Page,
    store::Storage,
    superblock::Superblock,
    PAGE_SECTORS, //
};
use remap_size::sectors;
use zerocopy::{
    FromZeros,
    IntoBytes, //
};

use crate::{
    area::crc32c,
    failure::Failure,
    loop_devices::LoopDevices, //
};

/// Bytes of a sector.
pub const SECTOR: u64 = 512;

/// Which area a tool is to look at.
#[derive(Args, Clone, Debug)]
pub struct Location {
    /// An image of the spare device, or the device itself while nothing uses it
    pub image: PathBuf,

    /// Where the spare area starts, in sectors of 512 bytes, or in bytes with a suffix such as 1M
    #[arg(long, value_name = "SECTOR", default_value = "0", value_parser = sectors)]
    pub start: u64,

    /// How long it is, in sectors [default: what the metadata at its start says, or up to the end]
    #[arg(long, value_name = "SECTORS", value_parser = sectors)]
    pub length: Option<u64>,
}

/// What an area is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing in it changes.
    Read,
    /// It is written to as well.
    Write,
}

/// An open area.
#[derive(Debug)]
pub struct Image {
    file: File,
    start: u64,
    sectors: u64,
}

/// What an area is written to.
pub trait Medium {
    /// Sectors of the area.
    fn sectors(&self) -> u64;

    /// Reads bytes from `sector` of the area on.
    fn read_bytes(&self, sector: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Writes bytes from `sector` of the area on; durable they are after [`Medium::sync`].
    fn write_bytes(&self, sector: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes durable what was written.
    fn sync(&self) -> io::Result<()>;
}

impl Location {
    /// Opens the area, up to the end where no length was given. What is no file or block device is
    /// refused, and a block device that somebody uses. So is, to be written to, what a loop device uses.
    pub fn open(&self, access: Access) -> Result<Image, Failure> {
        let path: &Path = &self.image;
        let kind = |metadata: io::Result<Metadata>| {
            let metadata = metadata.map_err(|error| Failure::file("look at", path, &error))?;
            let kind = metadata.file_type();
            match kind.is_block_device() || kind.is_file() {
                true => Ok(metadata),
                false => Err(Failure::Undone(format!(
                    "{} is no file and no block device",
                    path.display()
                ))),
            }
        };
        // Before it is opened, which for a pipe would not end; and what was opened after all.
        kind(std::fs::metadata(path))?;
        let mut options = OpenOptions::new();
        options.read(true).write(access == Access::Write);
        // Nothing to a file that exists.
        let file = options.custom_flags(libc::O_EXCL).open(path);
        let mut file = file.map_err(|error| Failure::file("open", path, &error))?;
        let metadata = kind(file.metadata())?;
        if access == Access::Write {
            if let Some(device) = LoopDevices::of_the_kernel().using(&metadata) {
                return Err(Failure::Undone(format!(
                    "{} is used by /dev/{device}, through which others may write to it: losetup -d \
                     /dev/{device} first",
                    path.display()
                )));
            }
        }
        let end = file.seek(SeekFrom::End(0));
        let end = end.map_err(|error| Failure::file("find the end of", path, &error))? / SECTOR;
        let rest = end.saturating_sub(self.start);
        let sectors = self.length.unwrap_or(rest);
        if sectors > rest {
            return Err(Failure::Undone(format!(
                "{} has {rest} sectors from sector {} on, not {sectors}",
                path.display(),
                self.start
            )));
        }
        Ok(Image {
            file,
            start: self.start,
            sectors,
        })
    }

    /// Opens the area. Where no length was given it is as long as the metadata at its start says, if
    /// that is found and there is so much.
    pub fn open_found(&self, access: Access) -> Result<Image, Failure> {
        let mut image = self.open(access)?;
        let known = image.noted_sectors();
        if let Some(sectors) = known.filter(|known| *known < image.sectors) {
            if self.length.is_none() {
                image.sectors = sectors;
            }
        }
        Ok(image)
    }
}

impl Image {
    /// A new file, all zeros, that is one area. A file that exists is refused.
    pub fn create(path: &Path, sectors: u64) -> Result<Self, Failure> {
        let failed = |error| Failure::file("create", path, &error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let file = options.open(path).map_err(failed)?;
        let bytes = sectors.checked_mul(SECTOR);
        let bytes = bytes.ok_or_else(|| failed(io::ErrorKind::FileTooLarge.into()))?;
        file.set_len(bytes).map_err(failed)?;
        Ok(Self {
            file,
            start: 0,
            sectors,
        })
    }

    /// Sectors of the area that the newest superblock at its start is of. The places there are the same
    /// for every length.
    fn noted_sectors(&self) -> Option<u64> {
        let mut newest = None;
        for (sector, parity) in [(0, 0), (PAGE_SECTORS, 1)] {
            let mut page = Page::new_zeroed();
            if self.read_bytes(sector, page.as_mut_bytes()).is_err() {
                continue;
            }
            let Ok(found) = page.check(crc32c) else {
                continue;
            };
            if found.index != 0 || found.generation % 2 != parity {
                continue;
            }
            if let Ok(superblock) = Superblock::read(page.payload()) {
                newest = newest.max(Some((found.generation, superblock.sectors)));
            }
        }
        newest.map(|(_, sectors)| sectors)
    }

    fn offset(&self, sector: u64) -> io::Result<u64> {
        let sector = self.start.checked_add(sector);
        let offset = sector.and_then(|sector| sector.checked_mul(SECTOR));
        offset.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
    }
}

impl Medium for Image {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn read_bytes(&self, sector: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, self.offset(sector)?)
    }

    fn write_bytes(&self, sector: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.offset(sector)?)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl Storage for &Image {
    type Error = io::Error;

    fn read(&mut self, sector: u64, pages: &mut [Page]) -> io::Result<()> {
        self.read_bytes(sector, pages.as_mut_bytes())
    }

    fn write(&mut self, sector: u64, pages: &[Page]) -> io::Result<()> {
        self.write_bytes(sector, pages.as_bytes())?;
        self.sync()
    }
}
