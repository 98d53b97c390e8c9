// SPDX-License-Identifier: GPL-2.0

//! src/remap/route.rs as it is, with as much of a table around it as it needs: where bios wait for a block. Flushes
//! of the spare are in `flush`.

mod flush;
mod route;
mod state;
mod table;

use std::rc::Rc;

use kernel::{task::spawn, time::Delta};
use remap_core::table::index::{
    Occupancy,
    Route, //
};

use crate::{
    index::{in_slot, BLOCK},
    linux::{device_mapper::HeldBio, gate::Direction},
    Model,
};
use route::Destination;
use table::{Table, SECTORS};

pub(crate) static MODELS: &[Model] = &[
    Model {
        name: "route_held",
        holds: "a write to a block that moves reaches the copy or comes after it, and one that is held while the \
                block arrives is not forgotten",
        preemptions: Some(3),
        run: |check| check.every_execution(held),
    },
    flush::MODEL,
];

/// Sends a bio where the index says, as `Table::map_parts` does.
fn map(table: &Table, bio: HeldBio<state::note::Note>) {
    let inside = table.gate.enter(Direction::Write);
    loop {
        let route = inside.route(BLOCK);
        let Some(destination) = table.destination(&inside, &bio, (route, bio.sector())) else {
            continue;
        };
        return match destination {
            Destination::Held(mut held) => held.push(bio),
            Destination::Nowhere | Destination::Parted(_) => panic!("no sector is lost"),
            Destination::Device { spare, .. } => {
                let ticket = inside.stay();
                bio.submit(table.devices.of(spare), 0, ticket, spare, None);
            }
        };
    }
}

fn held() {
    let (table, mut drain) = Table::new();
    let table = Rc::new(table);
    let bio = spawn(1, {
        let table = table.clone();
        move || map(&table, HeldBio::new(BLOCK * SECTORS))
    });
    // A pass.
    let mut occupancy = Occupancy::default();
    let index = table.gate.current(&drain);
    assert!(index.set(BLOCK, Route::Held, &mut occupancy));
    let drained = table.gate.drain(&mut drain, Delta::from_millis(60_000));
    drained.expect("all have left");
    let copy = table.devices.main.0.read();
    table.devices.spare.0.write(copy);
    let index = table.gate.current(&drain);
    assert!(index.set(BLOCK, in_slot(4), &mut occupancy));
    table.release_held();
    bio.join();
    assert!(table.deferred.held.lock().pop().is_none(), "a bio is left");
    assert_eq!(table.devices.spare.0.read(), 1, "a write is lost");
}
