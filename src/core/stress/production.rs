// SPDX-License-Identifier: GPL-2.0

//! Production workloads: the I/O of databases, file servers and hosts of virtual machines.
//!
//! `docs/workloads.md` has the parameters and the studies that they come from.

use crate::stress::workload::{
    BlockSizes,
    Burst,
    Part,
    Stream,
    Workload, //
};

const KIB: u32 = 1024;

/// Returns block sizes with weights, which must be valid.
const fn sizes(sizes: &[(u32, u8)]) -> BlockSizes {
    match BlockSizes::several(sizes) {
        Some(sizes) => sizes,
        None => panic!("not valid as block sizes"),
    }
}

/// Tables and indices of a database.
const PAGES: Stream = Stream {
    workers: 3,
    in_flight: 48,
    read_percent: 70,
    sizes: BlockSizes::one(8 * KIB),
    part: Part { from: 0, to: 95 },
    hot_percent: 20,
    ..Stream::PLAIN
};

/// Log of a database: one writer, a commit at a time.
const LOG: Stream = Stream {
    workers: 1,
    in_flight: 1,
    read_percent: 0,
    random_percent: 0,
    sizes: const { sizes(&[(4 * KIB, 6), (8 * KIB, 3), (16 * KIB, 1)]) },
    part: Part { from: 95, to: 100 },
    durable: true,
    ..Stream::PLAIN
};

/// Contents of a file server's files.
const FILES: Stream = Stream {
    workers: 2,
    in_flight: 16,
    read_percent: 65,
    random_percent: 20,
    sizes: const {
        sizes(&[
            (4 * KIB, 30),
            (16 * KIB, 20),
            (64 * KIB, 25),
            (128 * KIB, 15),
            (512 * KIB, 5),
            (1024 * KIB, 5),
        ])
    },
    part: Part { from: 10, to: 100 },
    zero_percent: 10,
    ..Stream::PLAIN
};

/// Directories, inodes and journal of a file server.
const METADATA: Stream = Stream {
    workers: 1,
    in_flight: 4,
    read_percent: 30,
    part: Part { from: 0, to: 10 },
    hot_percent: 20,
    flush_every: 16,
    ..Stream::PLAIN
};

/// Virtual machine with a web server.
const WEB_GUEST: Stream = Stream {
    in_flight: 8,
    read_percent: 90,
    random_percent: 80,
    sizes: const { sizes(&[(4 * KIB, 4), (16 * KIB, 4), (64 * KIB, 2)]) },
    part: Part { from: 0, to: 25 },
    ..Stream::PLAIN
};

/// Virtual machine with a database.
const DATABASE_GUEST: Stream = Stream {
    in_flight: 8,
    read_percent: 70,
    sizes: BlockSizes::one(8 * KIB),
    part: Part { from: 25, to: 50 },
    hot_percent: 20,
    flush_every: 32,
    ..Stream::PLAIN
};

/// Virtual machine with a file server.
const FILE_GUEST: Stream = Stream {
    in_flight: 8,
    read_percent: 60,
    random_percent: 20,
    sizes: BlockSizes::one(64 * KIB),
    part: Part { from: 50, to: 75 },
    ..Stream::PLAIN
};

/// Virtual machine with a desktop, which is used in bursts.
const DESKTOP_GUEST: Stream = Stream {
    in_flight: 8,
    read_percent: 35,
    random_percent: 80,
    sizes: const { sizes(&[(4 * KIB, 7), (32 * KIB, 2), (64 * KIB, 1)]) },
    part: Part { from: 75, to: 100 },
    burst: Some(Burst {
        on_ms: 400,
        off_ms: 600,
    }),
    ..Stream::PLAIN
};

/// Quantity of a stream that grows with the intensity.
enum Growth {
    /// None.
    Nothing,
    /// Number of workers, with an unchanged queue depth of each.
    Workers,
    /// Queue depth of each worker.
    Depth,
}

/// All streams, with the kind of production that they belong to.
static STREAMS: [(Production, Growth, Stream); 8] = [
    (Production::Database, Growth::Workers, PAGES),
    (Production::Database, Growth::Nothing, LOG),
    (Production::FileServer, Growth::Workers, FILES),
    (Production::FileServer, Growth::Depth, METADATA),
    (Production::Virtualization, Growth::Depth, WEB_GUEST),
    (Production::Virtualization, Growth::Depth, DATABASE_GUEST),
    (Production::Virtualization, Growth::Depth, FILE_GUEST),
    (Production::Virtualization, Growth::Depth, DESKTOP_GUEST),
];

/// Kind of production.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Production {
    /// Online transaction processing: pages with a hot set, and a log.
    Database = 0,
    /// Files of many sizes, and their metadata.
    FileServer = 1,
    /// Four virtual machines, each with a quarter of the device.
    Virtualization = 2,
    /// All kinds at once.
    All = 3,
}

impl Production {
    /// All kinds, in the order of their numbers.
    pub const KINDS: [Production; 4] = [
        Production::Database,
        Production::FileServer,
        Production::Virtualization,
        Production::All,
    ];

    /// Highest intensity.
    pub const MAX_INTENSITY: u32 = 4;

    /// Returns the kind with that number.
    pub fn from_number(number: u64) -> Option<Self> {
        let index = usize::try_from(number).ok()?;
        Self::KINDS.get(index).copied()
    }

    /// Returns the name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Production::Database => "Database",
            Production::FileServer => "File Server",
            Production::Virtualization => "Virtualization",
            Production::All => "All Production",
        }
    }

    /// Returns the workload with an intensity of 1 to [`Production::MAX_INTENSITY`].
    pub fn workload(self, intensity: u32, seed: u64) -> Workload {
        let intensity = intensity.clamp(1, Self::MAX_INTENSITY);
        let mut workload = Workload::without_streams(seed);
        for (kind, growth, stream) in &STREAMS {
            if self != *kind && self != Production::All {
                continue;
            }
            let (workers, depth) = match growth {
                Growth::Nothing => (1, 1),
                Growth::Workers => (intensity, intensity),
                Growth::Depth => (1, intensity),
            };
            workload.push(Stream {
                workers: stream.workers.saturating_mul(workers),
                in_flight: stream.in_flight.saturating_mul(depth),
                ..*stream
            });
        }
        workload
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stress::workload::{
        MAX_IN_FLIGHT,
        MAX_WORKERS, //
    };

    #[test]
    fn every_kind_fits_at_every_intensity() {
        for (number, kind) in Production::KINDS.into_iter().enumerate() {
            assert_eq!(Production::from_number(number as u64), Some(kind));
            for intensity in 1..=Production::MAX_INTENSITY {
                let workload = kind.workload(intensity, 1);
                assert!(workload.workers() <= MAX_WORKERS);
                let in_flight: u32 = workload.streams().iter().map(|one| one.in_flight).sum();
                assert!(in_flight <= MAX_IN_FLIGHT);
                assert!(workload.writes());
            }
        }
        assert_eq!(Production::from_number(4), None);
    }

    #[test]
    fn all_of_production_is_all_of_it() {
        let streams = |kind: Production| kind.workload(1, 1).streams().len();
        assert_eq!(streams(Production::Database), 2);
        assert_eq!(streams(Production::FileServer), 2);
        assert_eq!(streams(Production::Virtualization), 4);
        assert_eq!(streams(Production::All), 8);
    }

    #[test]
    fn intensity_is_bios_in_flight() {
        let in_flight = |intensity| {
            let workload = Production::Virtualization.workload(intensity, 1);
            let all = workload.streams().iter().map(|stream| stream.in_flight);
            all.sum::<u32>()
        };
        assert_eq!((in_flight(1), in_flight(4)), (32, 128));
    }
}
