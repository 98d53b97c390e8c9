// SPDX-License-Identifier: GPL-2.0

//! What an area may hold that is formatted without being asked.

use super::*;

/// Sectors of the ends that have to be zeros.
const ENDS: u64 = 2048;

/// Which sector keeps an area of `sectors` sectors from being blank that holds one byte besides zeros.
fn kept_by(sectors: u64, byte: u64) -> Option<LoadError> {
    let mut disk = Bytes(vec![0; sectors as usize * 512]);
    disk.0[byte as usize] = 1;
    let mut reader = Everything::default();
    with_scratch(3, |scratch| {
        let loaded = Store::load(&mut disk, sectors, crc32c, scratch, true, &mut reader);
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
fn a_blank_area_has_zeros_at_both_ends() {
    // Whole pages and not, with a middle and without.
    for sectors in [2 * ENDS + 24, 2 * ENDS + 21, ENDS + 8, ENDS - 3] {
        let end = sectors * 512;
        let ends = [
            0..ENDS.min(sectors) * 512,
            (sectors.saturating_sub(ENDS)) * 512..end,
        ];
        let mut edges: Vec<u64> = ends
            .iter()
            .flat_map(|end| [end.start, end.end - 1])
            .collect();
        // Labels of btrfs, of md 1.2 and 1.0, and of a GUID partition table.
        edges.extend([65536, 4096, end - 8192, end - 512, end / 2]);
        edges.extend([ends[0].end, ends[1].start.saturating_sub(1)].map(|byte| byte.min(end - 1)));
        for byte in edges {
            let wanted = if byte < PAGE_BYTES as u64 {
                LoadError::Foreign
            } else if ends.iter().any(|end| end.contains(&byte)) {
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

proptest! {
    #[test]
    fn no_byte_at_the_ends_of_an_area_is_overlooked(
        sectors in 8..3 * ENDS,
        place in any::<prop::sample::Index>(),
    ) {
        let byte = place.index(sectors as usize * 512) as u64;
        let of_an_end = byte < ENDS * 512 || byte >= (sectors * 512).saturating_sub(ENDS * 512);
        let refused = kept_by(sectors, byte);
        prop_assert_eq!(refused == Some(LoadError::Blank), !of_an_end, "{:?}", refused);
    }
}
