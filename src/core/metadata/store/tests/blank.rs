// SPDX-License-Identifier: GPL-2.0

//! What an area may hold that is formatted without being asked.

use super::*;

/// Sectors of the ends that have to be zeros.
const ENDS: u64 = 2048;

/// MiB at which further labels begin.
const LABELS: [u64; 4] = [1, 2, 4, 64];

/// Whether an area of `sectors` sectors is not blank with a byte that is not zero there.
fn counts(sectors: u64, byte: u64) -> bool {
    let sector = byte / 512;
    let promise_raid = sectors.checked_sub(3087).map(|label| label / 8 * 8);
    let mut labels = LABELS.into_iter().map(|mib| mib * 2048).chain(promise_raid);
    sector < ENDS
        || sector >= sectors.saturating_sub(ENDS)
        || labels.any(|label| label + 8 <= sectors && (label..label + 8).contains(&sector))
}

/// Which sector keeps an area of `sectors` sectors from being blank that holds one byte besides zeros.
fn kept_by(sectors: u64, byte: u64) -> Option<LoadError> {
    let mut disk = Bytes(vec![0; sectors as usize * 512]);
    disk.0[byte as usize] = 1;
    let mut reader = Everything::default();
    with_scratch(3, |scratch| {
        let loaded = Store::load(&mut disk, sectors, crc32c, scratch, MEND, &mut reader);
        loaded.err()
    })
}

/// An area of any number of sectors, byte by byte.
struct Bytes(Vec<u8>);

impl Storage for &mut Bytes {
    type Error = ();

    fn read(&mut self, sector: u64, pages: &mut [Page]) -> Result<(), ()> {
        let bytes = Page::bytes_mut(pages);
        let from = self.0.get(sector as usize * 512..).ok_or(())?;
        bytes.copy_from_slice(from.get(..bytes.len()).ok_or(())?);
        Ok(())
    }

    fn write(&mut self, _: u64, _: &[Page]) -> Result<(), ()> {
        Err(())
    }
}

#[test]
fn a_blank_area_has_zeros_wherever_labels_are() {
    // Whole pages and not, with a middle and without.
    for sectors in [
        10 * ENDS + 24,
        2 * ENDS + 24,
        2 * ENDS + 21,
        ENDS + 8,
        ENDS - 3,
    ] {
        let end = sectors * 512;
        let ends = ENDS.min(sectors) * 512;
        let mut bytes = vec![0, ends - 1, end - ends, end - 1, end / 2];
        // Labels of btrfs, of md 1.2 and 1.0, and of a GUID partition table.
        bytes.extend([65536, 4096, end - 8192, end - 512]);
        bytes.extend([ends, (end - ends).saturating_sub(1)]);
        bytes.extend(LABELS.map(|mib| mib << 20));
        bytes.extend(LABELS.map(|mib| (mib << 20) + 4096));
        bytes.extend(end.checked_sub(3087 * 512));
        for byte in bytes.into_iter().map(|byte| byte.min(end - 1)) {
            let wanted = if byte < PAGE_BYTES as u64 {
                LoadError::Foreign
            } else if counts(sectors, byte) {
                LoadError::NotBlank { sector: byte / 512 }
            } else {
                LoadError::Blank
            };
            assert_eq!(
                kept_by(sectors, byte),
                Some(wanted),
                "byte {byte} of {sectors}"
            );
        }
    }
}

#[test]
fn a_copy_of_a_superblock_of_btrfs_is_found() {
    let (sectors, label) = (1 << 18, 64 << 11);
    let disk = Disk::default();
    let mut page = Page::new_zeroed();
    page.payload_mut()[0] = 1;
    disk.0.borrow_mut().pages.insert(label, page);
    let mut reader = Everything::default();
    let refused = with_scratch(3, |scratch| {
        Store::load(disk, sectors, crc32c, scratch, MEND, &mut reader).err()
    });
    assert_eq!(refused, Some(LoadError::NotBlank { sector: label }));
}

#[test]
fn fresh_metadata_overwrites_nothing_but_zeros() {
    // The metadata is longer than the ends that are looked at in any area.
    let sectors = 80_000;
    let layout = Layout::new(sectors, BlockSize::from_sectors(1).unwrap()).unwrap();
    let refused = |sector| {
        let disk = Disk::default();
        let mut page = Page::new_zeroed();
        page.payload_mut()[0] = 1;
        disk.0.borrow_mut().pages.insert(sector, page);
        let mut pages = vec![Page::new_zeroed(); 100];
        check_places(&mut disk.clone(), &layout, &mut pages).err()
    };
    for index in 0..layout.pages() {
        for place in Place::ALL {
            let sector = layout.sector_of(index, place).unwrap();
            assert_eq!(refused(sector), Some(LoadError::NotBlank { sector }));
        }
    }
    let [head, _, tail] = layout.places();
    assert!(head.end > ENDS && tail.start < sectors - ENDS);
    for sector in [head.end, sectors / 2, tail.start - PAGE_SECTORS] {
        assert_eq!(refused(sector), None);
    }
}

proptest! {
    #[test]
    fn no_label_of_an_area_is_overlooked(
        sectors in 8..6 * ENDS,
        place in any::<prop::sample::Index>(),
    ) {
        let byte = place.index(sectors as usize * 512) as u64;
        let refused = kept_by(sectors, byte);
        let blank = refused == Some(LoadError::Blank);
        prop_assert_eq!(blank, !counts(sectors, byte), "{:?}", refused);
    }
}
