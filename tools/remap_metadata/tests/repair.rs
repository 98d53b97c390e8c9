// SPDX-License-Identifier: GPL-2.0

//! `remap_repair`, as users call it.

mod area;

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt, //
};

use area::{
    call,
    dump,
    image,
    image_with_failed_slots,
    load,
    spoil,
    without_superblocks,
    File,
    Written,
    SECTORS, //
};
use remap_core::metadata::{
    layout::Place,
    page::Page,
    store::LoadError, //
};
use remap_metadata::{
    image::{
        Access,
        Location, //
    },
    repair::copy_area, //
};
use zerocopy::{
    FromZeros,
    IntoBytes, //
};

fn repair(arguments: &[&str]) -> (i32, String, String) {
    call(env!("CARGO_BIN_EXE_remap_repair"), arguments, "")
}

fn check(file: &File) -> i32 {
    call(env!("CARGO_BIN_EXE_remap_check"), &[file.path()], "").0
}

/// Returns the image with some places of a page spoilt.
fn spoilt(index: u32, places: &[usize]) -> Vec<u8> {
    let (mut bytes, superblock) = image();
    let layout = superblock.layout().unwrap();
    for place in places {
        spoil(&mut bytes, &layout, index, Place::ALL[*place]);
    }
    bytes
}

#[test]
fn what_is_right_stays_as_it_is() {
    let before = image().0;
    let file = File::new("repair_right", &before);
    for arguments in [vec![file.path()], vec![file.path(), "--yes"]] {
        let (status, out, _) = repair(&arguments);
        assert_eq!(status, 0);
        assert!(out.ends_with(": every copy is right\n"), "{out}");
        assert!(file.bytes() == before);
    }
}

#[test]
fn copies_are_put_right_in_place_only_when_asked() {
    let wanted = dump(&File::new("repair_wanted", &image().0));
    let before = spoilt(1, &[2]);
    let file = File::new("repair_in_place", &before);
    let (status, out, _) = repair(&[file.path()]);
    assert_eq!(status, 1);
    assert!(
        out.contains(": 1 bad copies, 0 pages whose last write was cut short"),
        "{out}"
    );
    assert!(out.ends_with(": --yes puts them right\n"), "{out}");
    assert!(file.bytes() == before);
    assert_eq!(check(&file), 1);
    let (status, out, _) = repair(&[file.path(), "--yes"]);
    assert_eq!(status, 0);
    assert!(out.ends_with(": put right\n"), "{out}");
    assert_eq!(check(&file), 0);
    assert_eq!(dump(&file), wanted);
}

#[test]
fn slots_that_have_failed_are_noted() {
    let (before, superblock) = image_with_failed_slots();
    let last = superblock.layout().unwrap().slots() - 1;
    let file = File::new("repair_failed", &before);
    let wanted = dump(&file);
    let (status, out, _) = repair(&[file.path()]);
    assert_eq!(status, 1);
    let line = format!("slot 0 has failed; its block, at sector 40, is in slot {last}\n");
    assert!(out.contains(&line), "{out}");
    let end = ", 0 pages not believed, 2 failed slots not noted as bad: --yes puts them right\n";
    assert!(out.ends_with(end), "{out}");
    assert!(file.bytes() == before);
    let (status, out, _) = repair(&[file.path(), "--yes"]);
    assert_eq!(status, 0);
    assert!(out.contains(&line), "{out}");
    assert!(
        out.ends_with(" failed slots not noted as bad: put right\n"),
        "{out}"
    );
    let (status, out, _) = repair(&[file.path()]);
    assert_eq!(status, 0);
    assert!(out.ends_with(": every copy is right\n"), "{out}");
    assert_eq!(dump(&file), wanted);
}

#[test]
fn a_copy_has_blocks_and_holes() {
    let layout = image().1.layout().unwrap();
    let (slot, last) = (layout.first_slot() as usize * 512, SECTORS as usize * 512);
    let mut area = spoilt(1, &[2]);
    area[slot..][..4096].fill(0x5a);
    let mut before = vec![7; 8 * 512];
    before.extend(&area);
    let file = File::new("repair_source", &before);
    let new = File::absent("repair_copy");
    let arguments = [file.path(), "--start", "8", "--output", new.path()];
    let (status, out, _) = repair(&arguments);
    assert_eq!(status, 0);
    assert!(out.contains(": right in "), "{out}");
    assert!(file.bytes() == before);
    let copy = new.bytes();
    assert_eq!(copy.len(), last);
    assert!(copy[slot..][..4096] == [0x5a; 4096]);
    assert_eq!(check(&new), 0);
    let wanted = dump(&File::new("repair_copy_wanted", &image().0));
    assert_eq!(dump(&new), wanted);
    let blocks = std::fs::metadata(&new.0).unwrap().blocks();
    assert!(blocks < SECTORS, "{blocks}");
    // A file that exists is not overwritten.
    let (status, _, errors) = repair(&arguments);
    assert_eq!(status, 3);
    assert!(errors.contains("cannot create"), "{errors}");
    assert!(new.bytes() == copy);
}

#[test]
fn what_may_be_older_is_believed_only_when_asked() {
    // The commit was generation 3.
    let before = spoilt(1, &[1, 3]);
    let file = File::new("repair_older", &before);
    let new = File::absent("repair_older_copy");
    for more in [&["--yes"][..], &["--output", new.path()], &[]] {
        let (status, _, errors) = repair(&[&[file.path()], more].concat());
        assert_eq!(status, 2);
        assert!(errors.contains("both copies of what may have"), "{errors}");
        assert!(errors.contains("--believe-newest takes"), "{errors}");
        assert!(file.bytes() == before && !new.0.exists());
    }
    let (status, out, _) = repair(&[file.path(), "--believe-newest"]);
    assert_eq!(status, 1);
    let wanted = "metadata page 1: generation 2 is believed, and a newer one may have been lost; \
        slots 0 to 405\n";
    assert!(out.contains(wanted), "{out}");
    assert!(file.bytes() == before);
    let (status, out, _) = repair(&[file.path(), "--believe-newest", "--yes"]);
    assert_eq!(status, 0);
    assert!(out.contains(wanted), "{out}");
    assert_eq!(check(&file), 0);
    let mut empty: serde_json::Value = serde_json::from_str(&dump(&file)).unwrap();
    assert_eq!(empty["remaps"].take(), serde_json::json!([]));
}

#[test]
fn a_page_without_a_copy_is_given_up_only_when_asked() {
    let before = spoilt(1, &[0, 1, 2, 3]);
    let file = File::new("repair_lost", &before);
    for more in [&[][..], &["--believe-newest"]] {
        let (status, _, errors) = repair(&[&[file.path(), "--yes"], more].concat());
        assert_eq!(status, 2);
        let wanted = "no copy of metadata page 1 is valid\n  --believe-newest with --forget";
        assert!(errors.contains(wanted), "{errors}");
        assert!(file.bytes() == before);
    }
    let forget = ["--believe-newest", "--forget-lost-pages", "--yes"];
    let (status, out, _) = repair(&[&[file.path()], &forget[..]].concat());
    assert_eq!(status, 0);
    let wanted = "metadata page 1: no copy is valid; slots 0 to 405 are free now\n";
    assert!(out.contains(wanted), "{out}");
    assert_eq!(check(&file), 0);
}

#[test]
fn without_a_superblock_there_is_nothing_to_repair() {
    let before = spoilt(0, &[0, 1, 2, 3]);
    let file = File::new("repair_nothing", &before);
    let forget = ["--believe-newest", "--forget-lost-pages", "--yes"];
    let (status, _, errors) = repair(&[&[file.path()], &forget[..]].concat());
    assert_eq!(status, 2);
    assert!(
        errors.contains("something that is no metadata\n"),
        "{errors}"
    );
    assert!(file.bytes() == before);
}

/// Copies an area, blocks included, with a bad copy of page 1 repaired. The medium fails after `most`
/// operations. Returns the medium, the contents that a complete copy has, and whether the copy succeeded.
fn copied(most: usize) -> (Written, Vec<u8>, bool) {
    let (whole, superblock) = image();
    let layout = superblock.layout().unwrap();
    let slot = layout.first_slot() as usize * 512;
    let mut wanted = whole;
    wanted[slot..][..4096].fill(0x5a);
    wanted[SECTORS as usize * 512 / 2..][..4096].fill(0x5b);
    let mut before = wanted.clone();
    spoil(&mut before, &layout, 1, Place::ALL[2]);
    let file = File::new("copied", &before);
    let location = Location {
        image: file.0.clone(),
        start: 0,
        length: None,
    };
    let mended = layout.sector_of(1, Place::ALL[2]).unwrap();
    let mut page = Page::new_zeroed();
    page.as_mut_bytes()
        .copy_from_slice(&wanted[mended as usize * 512..][..4096]);
    let new = Written::new(&vec![0; wanted.len()], most);
    let image = location.open(Access::Read).unwrap();
    let ended = copy_area(&image, &BTreeMap::from([(mended, page)]), &new);
    (new, wanted, ended.is_ok())
}

#[test]
fn a_copy_that_is_not_whole_is_no_area() {
    let (new, wanted, ended) = copied(usize::MAX);
    assert!(ended && new.bytes() == wanted);
    let states = new.states();
    assert!(states.len() > 50, "{}", states.len());
    let mut whole = 0;
    for (number, state) in states.iter().enumerate() {
        match load(state) {
            Ok(area) => {
                whole += 1;
                assert_eq!(area.remaps(), 3, "state {number}");
                let same = without_superblocks(state) == without_superblocks(&wanted);
                assert!(same, "state {number} is taken for an area");
            }
            // The states before the first write is complete.
            Err(LoadError::Blank | LoadError::Formatting) => {
                assert!(number < 5, "state {number} is taken for blank")
            }
            Err(_) => {}
        }
    }
    assert!(whole > 0);
}

#[test]
fn what_fails_to_be_copied_is_no_area() {
    for most in 0.. {
        let (new, wanted, ended) = copied(most);
        if ended {
            break;
        }
        if load(&new.bytes()).is_ok() {
            let same = without_superblocks(&new.bytes()) == without_superblocks(&wanted);
            assert!(same, "what {most} writes leave is taken for an area");
        }
    }
}
