// SPDX-License-Identifier: GPL-2.0

//! Choice among the four places of a page.

use super::{
    layout::{
        Half,
        Place, //
    },
    page::{
        Defect,
        Identity, //
    },
};

/// Contents of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Valid page of this generation, which belongs there.
    Valid(u64),
    /// Invalid page, or one that does not belong there.
    Bad(Defect),
    /// The device could not read the place.
    Unreadable,
}

impl Seen {
    /// Judges a page that was found in `place` of page `index` of `area`.
    pub fn judge(found: Result<Identity, Defect>, area: u64, index: u32, place: Place) -> Self {
        match found {
            Err(defect) => Seen::Bad(defect),
            Ok(page) if page.area != area => Seen::Bad(Defect::Area),
            Ok(page) if page.index != index || Place::of(place.half, page.generation) != place => {
                Seen::Bad(Defect::Misplaced)
            }
            Ok(page) => Seen::Valid(page.generation),
        }
    }

    /// Returns the generation of a valid page.
    pub const fn generation(self) -> Option<u64> {
        match self {
            Seen::Valid(generation) => Some(generation),
            Seen::Bad(_) | Seen::Unreadable => None,
        }
    }
}

/// Contents of all places of a page, in the order of [`Place::ALL`].
pub type All = [Seen; 4];

/// Generation of a page that counts, and the places that have to be repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Newest generation.
    pub generation: u64,
    /// Place to read that generation from.
    pub from: Place,
    /// Half in which that generation is missing.
    pub missing: Option<Half>,
    /// The generation before is missing in a half. Until the next generation has been written to its places,
    /// another bad place could make the page doubtful.
    pub thin: bool,
    /// A place cannot be read. What was written there in vain comes back when it can be read again, unless
    /// something newer was written meanwhile. It may be of any later generation: each try had the next one.
    pub hides_newer: bool,
}

impl Choice {
    /// Returns whether no place has to be repaired.
    pub const fn is_whole(&self) -> bool {
        self.missing.is_none() && !self.thin
    }
}

/// Reason why no generation of a page can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// No place has a valid page.
    Nothing,
    /// There is a valid page, but both places of the next generation are bad: it may have been there.
    Superseded {
        /// Generation that was found.
        found: u64,
    },
}

/// Chooses the generation of a page that counts.
///
/// Only the last write can have been cut short, and no code relied on it. So a valid page is the newest one if
/// either place of the next generation has an older valid page: the next generation would have overwritten
/// that page in one half before it went to the other.
pub fn choose(seen: &All) -> Result<Choice, Doubt> {
    let both = || Place::ALL.into_iter().zip(seen.iter().copied());
    // If both halves have the generation, the head counts: it is read when the page is changed.
    let newest = both()
        .rev()
        .filter_map(|(place, seen)| Some((seen.generation()?, place)))
        .max_by_key(|(generation, _)| *generation);
    let (generation, from) = newest.ok_or(Doubt::Nothing)?;
    let (mut before, mut thin, mut hides_newer) = (false, false, false);
    let mut missing = None;
    for (place, seen) in both() {
        let known = seen.generation();
        if place.odd == from.odd {
            if known != Some(generation) {
                missing = Some(place.half);
            }
        } else {
            before |= known.is_some();
            thin |= known.is_none();
        }
        hides_newer |= seen == Seen::Unreadable;
    }
    if !before {
        return Err(Doubt::Superseded { found: generation });
    }
    Ok(Choice {
        generation,
        from,
        missing,
        thin,
        hides_newer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BAD: Seen = Seen::Bad(Defect::Checksum);

    fn valid(head_even: u64, head_odd: u64, tail_even: u64, tail_odd: u64) -> All {
        [head_even, head_odd, tail_even, tail_odd].map(Seen::Valid)
    }

    #[test]
    fn the_newest_generation_counts() {
        let choice = choose(&valid(4, 3, 4, 3)).unwrap();
        assert_eq!(choice.generation, 4);
        assert!(choice.is_whole());
        let choice = choose(&valid(4, 5, 4, 5)).unwrap();
        assert_eq!((choice.generation, choice.from.odd), (5, true));
        assert_eq!(choice.from.half, Half::Head);
        assert!(choice.is_whole());
    }

    #[test]
    fn a_write_that_was_cut_short_is_completed_or_forgotten() {
        // The head has the next generation, the tail not yet.
        let choice = choose(&valid(4, 5, 4, 3)).unwrap();
        assert_eq!(choice.generation, 5);
        assert_eq!(choice.missing, Some(Half::Tail));
        // The write to the head was torn.
        let choice = choose(&[Seen::Valid(4), BAD, Seen::Valid(4), Seen::Valid(3)]).unwrap();
        assert_eq!(choice.generation, 4);
        assert!(choice.thin && choice.missing.is_none() && !choice.hides_newer);
        let unread = [
            Seen::Valid(4),
            Seen::Unreadable,
            Seen::Valid(4),
            Seen::Valid(3),
        ];
        assert!(choose(&unread).unwrap().hides_newer);
    }

    #[test]
    fn what_may_have_been_newer_is_not_guessed() {
        let both_odd = [Seen::Valid(4), BAD, Seen::Valid(4), Seen::Unreadable];
        assert_eq!(choose(&both_odd), Err(Doubt::Superseded { found: 4 }));
        assert_eq!(choose(&[BAD; 4]), Err(Doubt::Nothing));
        // A whole half may be bad.
        let no_tail = [Seen::Valid(4), Seen::Valid(5), BAD, Seen::Unreadable];
        let choice = choose(&no_tail).unwrap();
        assert_eq!((choice.generation, choice.missing), (5, Some(Half::Tail)));
        assert!(choice.thin);
    }

    #[test]
    fn pages_count_only_where_they_belong() {
        let place = Place {
            half: Half::Head,
            odd: true,
        };
        let page = |area, index, generation| {
            Ok(Identity {
                area,
                index,
                generation,
            })
        };
        assert_eq!(Seen::judge(page(1, 2, 3), 1, 2, place), Seen::Valid(3));
        for (found, defect) in [
            (page(9, 2, 3), Defect::Area),
            (page(1, 9, 3), Defect::Misplaced),
            (page(1, 2, 4), Defect::Misplaced),
            (Err(Defect::Blank), Defect::Blank),
        ] {
            assert_eq!(Seen::judge(found, 1, 2, place), Seen::Bad(defect));
        }
    }

    /// Disk with the four places of a page.
    #[derive(Clone, Debug)]
    struct Disk {
        places: All,
    }

    impl Disk {
        /// Returns the disk after formatting.
        fn new() -> Self {
            Self {
                places: valid(2, 1, 2, 1),
            }
        }

        fn place(&mut self, half: Half, generation: u64) -> &mut Seen {
            let wanted = Place::of(half, generation);
            let at = Place::ALL.iter().position(|place| *place == wanted);
            &mut self.places[at.unwrap()]
        }
    }

    /// Point at which a write is cut short.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Cut {
        Before,
        HeadTorn,
        HeadWritten,
        TailTorn,
        Complete,
    }

    fn cut() -> impl Strategy<Value = Cut> {
        prop_oneof![
            Just(Cut::Before),
            Just(Cut::HeadTorn),
            Just(Cut::HeadWritten),
            Just(Cut::TailTorn),
            Just(Cut::Complete)
        ]
    }

    fn write(disk: &mut Disk, generation: u64, cut: Cut) {
        if cut == Cut::Before {
            return;
        }
        *disk.place(Half::Head, generation) = BAD;
        if cut == Cut::HeadTorn {
            return;
        }
        *disk.place(Half::Head, generation) = Seen::Valid(generation);
        if cut == Cut::HeadWritten {
            return;
        }
        *disk.place(Half::Tail, generation) = BAD;
        if cut == Cut::TailTorn {
            return;
        }
        *disk.place(Half::Tail, generation) = Seen::Valid(generation);
    }

    /// Repairs the places as loading does: completes a missing half, and replaces the generation before.
    fn load(disk: &mut Disk) -> Result<u64, Doubt> {
        let choice = choose(&disk.places)?;
        if let Some(half) = choice.missing {
            *disk.place(half, choice.generation) = Seen::Valid(choice.generation);
        }
        if choice.thin {
            write(disk, choice.generation + 1, Cut::Complete);
            return Ok(choice.generation + 1);
        }
        Ok(choice.generation)
    }

    proptest! {
        /// After any number of writes, each of which may be cut short and followed by a load, the page is the
        /// last one that was complete, or the one that was being written.
        #[test]
        fn no_crash_loses_what_was_relied_on(cuts in prop::collection::vec(cut(), 1..40)) {
            let mut disk = Disk::new();
            let mut relied_on = load(&mut disk).unwrap();
            for cut in cuts {
                write(&mut disk, relied_on + 1, cut);
                let loaded = choose(&disk.places).unwrap().generation;
                let allowed = match cut {
                    Cut::Complete => relied_on + 1..=relied_on + 1,
                    _ => relied_on..=relied_on + 1,
                };
                prop_assert!(allowed.contains(&loaded), "{loaded} of {allowed:?}");
                relied_on = load(&mut disk).unwrap();
                prop_assert!(choose(&disk.places).unwrap().is_whole());
            }
        }

        /// One bad place does no harm. Several may lead to a refusal, but never to an older page.
        #[test]
        fn bad_places_never_bring_back_what_was(
            cuts in prop::collection::vec(cut(), 0..10),
            bad in prop::collection::btree_set(0..4_usize, 1..=4),
        ) {
            let mut disk = Disk::new();
            let mut relied_on = load(&mut disk).unwrap();
            for cut in cuts {
                write(&mut disk, relied_on + 1, cut);
                relied_on = load(&mut disk).unwrap();
            }
            for at in &bad {
                disk.places[*at] = BAD;
            }
            match choose(&disk.places) {
                Ok(choice) => prop_assert_eq!(choice.generation, relied_on),
                Err(_) => prop_assert!(bad.len() > 1),
            }
        }

        /// A crash in the middle of a write, together with a bad place, does not lead to an older page.
        #[test]
        fn nor_does_a_bad_place_after_a_crash(cut in cut(), at in 0..4_usize) {
            let mut disk = Disk::new();
            let relied_on = load(&mut disk).unwrap();
            write(&mut disk, relied_on + 1, cut);
            disk.places[at] = BAD;
            if let Ok(choice) = choose(&disk.places) {
                let least = if cut == Cut::Complete { relied_on + 1 } else { relied_on };
                prop_assert!((least..=relied_on + 1).contains(&choice.generation));
            }
        }
    }
}
