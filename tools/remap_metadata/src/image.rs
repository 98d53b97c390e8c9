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

/// Options that say where an area is.
#[derive(Args, Clone, Debug)]
pub struct Location {
    /// An image of the spare device, or the device itself while nothing uses it
    pub image: PathBuf,

    /// Start of the spare area, in sectors of 512 bytes, or in bytes with a suffix such as 1M
    #[arg(long, value_name = "SECTOR", default_value = "0", value_parser = sectors)]
    pub start: u64,

    /// Length of the area, in sectors [default: from the metadata at its start, or up to the end]
    #[arg(long, value_name = "SECTORS", value_parser = sectors)]
    pub length: Option<u64>,
}

/// Access that an area is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads only.
    Read,
    /// Reads and writes.
    Write,
}

/// Open area in a file or a block device.
#[derive(Debug)]
pub struct Image {
    file: File,
    start: u64,
    sectors: u64,
}

/// Medium of an area. Tests have one that records the writes.
pub trait Medium {
    /// Returns the number of sectors of the area.
    fn sectors(&self) -> u64;

    /// Reads bytes from `sector` of the area on.
    fn read_bytes(&self, sector: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Writes bytes from `sector` of the area on. They are durable after [`Medium::sync`].
    fn write_bytes(&self, sector: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes all earlier writes durable.
    fn sync(&self) -> io::Result<()>;
}

impl Location {
    /// Opens the area. Without `length`, it reaches to the end of the image.
    ///
    /// Refuses anything that is neither a file nor a block device, and a block device that is in use. For
    /// writing, also refuses an image that a loop device uses.
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
        // Checked before the open, which would wait for ever on a pipe, and again on the file that was opened.
        kind(std::fs::metadata(path))?;
        let mut options = OpenOptions::new();
        options.read(true).write(access == Access::Write);
        // O_EXCL has no effect on a regular file that exists.
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

    /// Opens the area. Without `length`, it is as long as the superblock at its start says, if there is
    /// one and the image is long enough.
    pub fn open_found(&self, access: Access) -> Result<Image, Failure> {
        let mut image = self.open(access)?;
        let known = image.recorded_sectors();
        if let Some(sectors) = known.filter(|known| *known < image.sectors) {
            if self.length.is_none() {
                image.sectors = sectors;
            }
        }
        Ok(image)
    }
}

impl Image {
    /// Creates a file of zeros for one area. Refuses a file that exists.
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

    /// Returns the length in sectors that the newest superblock at the start of the area has. The places of
    /// these superblocks do not depend on the length.
    fn recorded_sectors(&self) -> Option<u64> {
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
