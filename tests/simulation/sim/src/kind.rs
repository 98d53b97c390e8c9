// SPDX-License-Identifier: GPL-2.0

//! Kinds of histories.

use crate::settings::Nth;

/// What a history is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything, without power cuts.
    Swarm,
    /// Anything, with power cuts.
    Crash,
    /// Blocks go to and fro under writes; nothing fails.
    Move,
    /// Lost sectors are written while their block moves.
    Fill,
    /// Slow writes live through several passes, whose drains find them on their way into the gate.
    Gate,
    /// As `Fill`, where a block and its next slot are in two pages of the metadata.
    Pages,
    /// Main refuses every write.
    Wholesale,
    /// Two devices whose spare areas are neighbours on one disk.
    Pair,
    /// The metadata is damaged between two lives.
    Damage,
    /// Tables get longer and shorter, and go in the middle of everything.
    Shape,
    /// One allocation or request of a script fails, or the power is cut with it.
    Nth,
    /// Copies of the metadata are torn, damaged or cannot be written, one at a time.
    Copies,
    /// Disks answer nothing for a while.
    Outage,
    /// The stress manager, and whoever may disturb it.
    Stress,
    /// One thing at a time, with exactly one outcome.
    Exact,
}

impl Kind {
    pub(crate) const ALL: [Self; 15] = [
        Self::Swarm,
        Self::Crash,
        Self::Move,
        Self::Fill,
        Self::Gate,
        Self::Pages,
        Self::Wholesale,
        Self::Pair,
        Self::Damage,
        Self::Shape,
        Self::Nth,
        Self::Copies,
        Self::Outage,
        Self::Stress,
        Self::Exact,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Swarm => "swarm",
            Self::Crash => "crash",
            Self::Move => "move",
            Self::Fill => "fill",
            Self::Gate => "gate",
            Self::Pages => "pages",
            Self::Wholesale => "wholesale",
            Self::Pair => "pair",
            Self::Damage => "damage",
            Self::Shape => "shape",
            Self::Nth => "nth",
            Self::Copies => "copies",
            Self::Outage => "outage",
            Self::Stress => "stress",
            Self::Exact => "exact",
        }
    }

    /// The kind with that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// A history costs as much as so many ordinary ones.
    pub(crate) fn cost(self) -> u64 {
        match self {
            Self::Copies => 2,
            Self::Pages | Self::Pair | Self::Stress => 4,
            Self::Exact => 8,
            _ => 1,
        }
    }

    /// Where the chance of a history comes from. Those that differ only in which call fails have it in
    /// common.
    pub(crate) fn stream(self, seed: u64) -> u64 {
        let seed = match self {
            Self::Nth => Nth::variation(seed),
            _ => seed,
        };
        seed.wrapping_mul(32).wrapping_add(self as u64)
    }

    /// Whether the power is cut when the history says so, and not at any moment.
    pub(crate) fn cuts_itself(self) -> bool {
        matches!(self, Self::Nth | Self::Pages | Self::Copies)
    }

    /// Whether scripts and checks of the kind count with the settings that a table has by default.
    pub(crate) fn needs_usual_numbers(self) -> bool {
        !matches!(
            self,
            Self::Swarm | Self::Crash | Self::Pair | Self::Damage | Self::Shape
        )
    }

    pub(crate) fn moves_only(self) -> bool {
        matches!(self, Self::Move | Self::Gate)
    }
}
