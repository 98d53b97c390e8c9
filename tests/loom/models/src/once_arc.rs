// SPDX-License-Identifier: GPL-2.0

//! A place for an `Arc` that comes later.

use std::rc::Rc;

use kernel::{
    memory::{Life, Plain},
    prelude::*,
    sync::Arc,
    task::spawn,
};

use crate::{linux::once_arc::OnceArc, Model};

pub(crate) static MODELS: &[Model] = &[
    Model {
        name: "once_arc_published",
        holds: "who sees that it is set sees the contents, and has them after the place is gone",
        preemptions: None,
        run: |check| check.every_execution(published),
    },
    Model {
        name: "once_arc_two_setters",
        holds:
            "of two setters one wins, everybody sees that one, and both contents are dropped once",
        preemptions: None,
        run: |check| check.every_execution(two_setters),
    },
];

struct Contents {
    number: Plain<u32>,
    life: Life,
}

impl Contents {
    fn new(number: u32) -> Arc<Self> {
        // What it has is written after it was made.
        let contents = Self {
            number: Plain::new(0),
            life: Life::new(),
        };
        contents.number.write(number);
        Arc::new(contents, GFP_KERNEL).expect("there is memory")
    }

    fn look(&self) -> u32 {
        self.life.check();
        self.number.read()
    }
}

fn place() -> Rc<OnceArc<Contents>> {
    let place = OnceArc::new();
    assert!(place.get().is_none());
    Rc::new(place)
}

fn published() {
    let place = place();
    let setter = spawn(0, {
        let place = place.clone();
        move || place.put(Contents::new(1))
    });
    let reader = spawn(1, {
        let place = place.clone();
        move || {
            let seen = place.get().map(Contents::look);
            let shared = place.share();
            assert!(seen.is_none() || shared.is_some());
            assert_eq!(seen.unwrap_or(1), 1);
            shared
        }
    });
    setter.join();
    let shared = reader.join();
    drop(Rc::into_inner(place).expect("nobody has it any more"));
    if let Some(shared) = shared {
        assert_eq!(shared.look(), 1);
    }
}

fn two_setters() {
    let place = place();
    let setters = [1, 2].map(|number| {
        let place = place.clone();
        spawn(number as usize - 1, move || {
            place.put(Contents::new(number));
            place.get().map(Contents::look).expect("it is set")
        })
    });
    let reader = spawn(0, {
        let place = place.clone();
        move || place.get().map(Contents::look)
    });
    let [one, two] = setters.map(|setter| setter.join());
    assert_eq!(one, two);
    assert!(one == 1 || one == 2);
    assert_eq!(reader.join().unwrap_or(one), one);
    assert_eq!(place.get().map(Contents::look), Some(one));
}
