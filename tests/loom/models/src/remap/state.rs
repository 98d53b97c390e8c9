// SPDX-License-Identifier: GPL-2.0

//! Values of a table, as far as src/remap/route.rs needs them. No sector is lost, and nothing is counted. The cache
//! of the spare is as src/ has it.

pub(crate) mod lost {
    use remap_core::table::lost::{
        Missing,
        Source, //
    };

    #[derive(Clone, Copy)]
    pub(crate) struct LostPart {
        pub(crate) block: u64,
        pub(crate) first: u32,
        pub(crate) len: u32,
    }

    pub(crate) struct LostBlocks;

    impl LostBlocks {
        pub(crate) fn missing_in(&self, _: u64, _: u32, _: u32) -> Missing {
            Missing::default()
        }

        pub(crate) fn source_of(&self, _: u64, _: u32, len: u32) -> (Source, u32) {
            (Source::Slot, len)
        }

        pub(crate) fn is_unsaved(&self, _: u64) -> bool {
            false
        }
    }
}

pub(crate) mod keeper {
    pub(crate) struct Keeper;

    impl Keeper {
        pub(crate) fn wake(&self) {}
    }
}

pub(crate) mod note {
    use super::lost::LostPart;

    pub(crate) struct Note;

    pub(crate) struct Observation;

    impl Observation {
        pub(crate) const NONE: Self = Self;

        pub(crate) fn note(&self, _: Option<LostPart>) -> Option<Note> {
            None
        }
    }
}

pub(crate) mod remaps {
    pub(crate) type ReaderIndex = remap_core::table::index::Index<crate::index::Words>;
}

pub(crate) mod spare_cache;

pub(crate) mod statistics {
    use remap_core::stress::delays::Delay;

    use super::note::Note;
    use crate::linux::gate::Direction;

    pub(crate) enum Count {
        SlowElsewhere,
        Other,
    }

    impl Count {
        pub(crate) fn held(_: Direction) -> Self {
            Self::Other
        }

        pub(crate) fn error(_: Direction) -> Self {
            Self::Other
        }

        pub(crate) fn remapped(_: Direction) -> Self {
            Self::Other
        }
    }

    pub(crate) struct Statistics;

    impl Statistics {
        pub(crate) fn count(&self, _: Count) {}

        pub(crate) fn record_delay(&self, _: Delay, _: Option<Note>) {}
    }
}
