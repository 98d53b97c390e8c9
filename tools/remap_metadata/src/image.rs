// SPDX-License-Identifier: GPL-2.0

//! Files and block devices with a spare area in them.

use std::{
    fs::{
        File,
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
    store::Storage, //
};
use zerocopy::IntoBytes;

use crate::failure::Failure;

/// Bytes of a sector.
pub const SECTOR: u64 = 512;

/// Which area a tool is to look at.
#[derive(Args, Clone, Debug)]
pub struct Location {
    /// An image of the spare device, or the device itself while nothing uses it
    pub image: PathBuf,

    /// Where the spare area starts, in sectors of 512 bytes
    #[arg(long, value_name = "SECTOR", default_value_t = 0)]
    pub start: u64,

    /// How long it is, in sectors [default: up to the end]
    #[arg(long, value_name = "SECTORS")]
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

impl Location {
    /// Opens the area. What is no file or block device is refused, and a block device that somebody
    /// uses.
    pub fn open(&self, access: Access) -> Result<Image, Failure> {
        let path: &Path = &self.image;
        let kind = std::fs::metadata(path)
            .map_err(|error| Failure::file("look at", path, &error))?
            .file_type();
        let mut options = OpenOptions::new();
        options.read(true).write(access == Access::Write);
        if kind.is_block_device() {
            options.custom_flags(libc::O_EXCL);
        } else if !kind.is_file() {
            return Err(Failure::Undone(format!(
                "{} is no file and no block device",
                path.display()
            )));
        }
        let file = options.open(path);
        let mut file = file.map_err(|error| Failure::file("open", path, &error))?;
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

    /// Sectors of the area.
    pub fn sectors(&self) -> u64 {
        self.sectors
    }

    fn offset(&self, sector: u64) -> io::Result<u64> {
        let sector = self.start.checked_add(sector);
        let offset = sector.and_then(|sector| sector.checked_mul(SECTOR));
        offset.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
    }

    /// Reads bytes from `sector` of the area on.
    pub fn read_bytes(&self, sector: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, self.offset(sector)?)
    }

    /// Writes bytes from `sector` of the area on; durable they are after [`Image::sync`].
    pub fn write_bytes(&self, sector: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.offset(sector)?)
    }

    /// Makes durable what was written.
    pub fn sync(&self) -> io::Result<()> {
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
