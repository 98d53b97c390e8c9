// SPDX-License-Identifier: GPL-2.0

//! Locks: who holds them, in which order, and in which context.

use std::{cell::Cell, sync::OnceLock};

use crate::{
    fail,
    scheduler::{self, world, NONE}, //
};

const CLASSES: usize = 48;

/// Locks in the order in which the sources say that they nest.
static LISTED: OnceLock<Vec<&str>> = OnceLock::new();

/// Sets the order in which locks nest. A lock of the module that is nested and not listed is a finding, too.
pub fn set_order(names: Vec<&'static str>) {
    assert!(names.len() > 1 && LISTED.set(names).is_ok());
}

/// Returns where a lock is in the list, if the list has it.
fn rank(name: &str) -> Option<usize> {
    LISTED.get()?.iter().position(|listed| *listed == name)
}

/// Returns whether a lock has to be in the list.
fn is_ours(name: &str) -> bool {
    LISTED.get().is_some() && name.starts_with("dm_remap::")
}

/// The order in which classes of locks were taken in this run.
#[derive(Default)]
pub struct Order {
    classes: Vec<Class>,
}

struct Class {
    name: &'static str,
    /// Where it is in the list.
    rank: Option<usize>,
    /// Those that were taken while one of this was held, as bits.
    inner: u64,
    in_interrupts: bool,
    with_interrupts: bool,
}

impl Order {
    fn class(&mut self, name: &'static str) -> usize {
        if let Some(found) = self.classes.iter().position(|class| class.name == name) {
            return found;
        }
        assert!(self.classes.len() < CLASSES);
        self.classes.push(Class {
            name,
            rank: rank(name),
            inner: 0,
            in_interrupts: false,
            with_interrupts: false,
        });
        self.classes.len() - 1
    }

    fn reaches(&self, from: usize, to: usize, seen: &mut u64) -> bool {
        if from == to {
            return true;
        }
        *seen |= 1 << from;
        (0..self.classes.len()).any(|next| {
            self.classes[from].inner >> next & 1 == 1
                && *seen >> next & 1 == 0
                && self.reaches(next, to, seen)
        })
    }

    /// A lock of class `inner` is taken within one of class `outer`.
    fn check_list(&self, outer: usize, inner: usize) {
        let (outer, inner) = (&self.classes[outer], &self.classes[inner]);
        for class in [outer, inner] {
            if class.rank.is_none() && is_ours(class.name) {
                fail!("{} is not in the list of locks", class.name);
            }
        }
        if outer.rank.is_some() && inner.rank.is_some() && outer.rank >= inner.rank {
            fail!(
                "{} is taken within {}, and the list of locks has it before",
                inner.name,
                outer.name
            );
        }
    }

    pub(crate) fn forget(&mut self) {
        self.classes.clear();
    }
}

/// What holding a lock forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: it may sleep.
    Mutex,
    /// Sleeping.
    Spin,
    /// Sleeping, and interrupts.
    SpinIrq,
}

/// The lock of something, without the something.
pub struct Lock {
    /// In a cell, as everything that changes while a task waits: the compiler may not believe otherwise.
    holder: Cell<usize>,
    /// The task that a mutex is handed to next, since others were faster once.
    next: Cell<usize>,
    kind: Kind,
    name: &'static str,
}

impl Lock {
    /// A lock that nobody holds.
    pub const fn new(kind: Kind, name: &'static str) -> Self {
        Self {
            holder: Cell::new(NONE),
            next: Cell::new(NONE),
            kind,
            name,
        }
    }

    fn check_order(&self) {
        let Some(task) = scheduler::task() else {
            return;
        };
        check_nesting(std::ptr::from_ref(self) as usize, self.name);
        if self.kind != Kind::Mutex {
            let order = &mut world().order;
            let class = order.class(self.name);
            let known = &mut order.classes[class];
            known.in_interrupts |= task.irq;
            known.with_interrupts |= task.irqs_off == 0 && self.kind == Kind::Spin;
            if known.in_interrupts && known.with_interrupts {
                fail!(
                    "{} is taken in interrupts, and elsewhere with interrupts on",
                    self.name
                );
            }
        }
    }

    /// Takes the lock.
    pub fn lock(&self) {
        let Some(task) = scheduler::task() else {
            assert!(self.holder.get() == NONE);
            return;
        };
        if self.kind == Kind::Mutex {
            scheduler::may_sleep(self.name);
        }
        self.check_order();
        match self.kind {
            Kind::Mutex => {}
            Kind::Spin => task.preempt += 1,
            Kind::SpinIrq => {
                task.preempt += 1;
                task.irqs_off += 1;
            }
        }
        scheduler::point();
        let me = scheduler::current();
        let mut late = false;
        while self.holder.get() != NONE && self.holder.get() != me {
            // As in the kernel, whoever was woken and came too late is not passed over again.
            if late && self.kind == Kind::Mutex && self.next.get() == NONE {
                self.next.set(me);
            }
            scheduler::block(std::ptr::from_ref(self) as usize, self.name, None);
            late = true;
        }
        self.holder.set(me);
        let class = world().order.class(self.name);
        task_held().push((std::ptr::from_ref(self) as usize, class));
    }

    /// Gives it back.
    pub fn unlock(&self) {
        if scheduler::task().is_none() {
            return;
        }
        self.holder.set(self.next.replace(NONE));
        let address = std::ptr::from_ref(self) as usize;
        task_held().retain(|(held, _)| *held != address);
        scheduler::wake(address);
        match self.kind {
            Kind::Mutex => {}
            Kind::Spin => scheduler::preempt_enable(),
            Kind::SpinIrq => {
                if let Some(task) = scheduler::task() {
                    task.irqs_off -= 1;
                }
                scheduler::preempt_enable();
            }
        }
        scheduler::point();
    }
}

/// Fails the run where the lock at `address` must not be taken within those that the task holds.
fn check_nesting(address: usize, name: &'static str) {
    let Some(task) = scheduler::task() else {
        return;
    };
    let order = &mut world().order;
    let class = order.class(name);
    for (held, outer) in task.held.clone() {
        if held == address {
            fail!("{name} is taken twice");
        }
        if outer == class {
            fail!("two locks of the class {name} are nested");
        }
        if order.classes[outer].inner >> class & 1 == 0 {
            order.check_list(outer, class);
            if order.reaches(class, outer, &mut 0) {
                fail!(
                    "lock order: {name} is taken within {}, and elsewhere the other way round",
                    order.classes[outer].name
                );
            }
            order.classes[outer].inner |= 1 << class;
        }
    }
}

/// Uses of an object, any number at a time, which whoever takes it away waits for. For the order of locks a
/// use is a lock: not one that is waited for, but one in which others are.
pub struct Uses {
    count: Cell<u32>,
    gone: Cell<bool>,
    name: &'static str,
}

impl Uses {
    /// An object that nobody uses.
    pub const fn new(name: &'static str) -> Self {
        Self {
            count: Cell::new(0),
            gone: Cell::new(false),
            name,
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Begins a use. Returns `false` where the object is being taken away.
    #[must_use]
    pub fn begin(&self) -> bool {
        scheduler::may_sleep(self.name);
        scheduler::point();
        if self.gone.get() {
            return false;
        }
        self.count.set(self.count.get() + 1);
        let class = world().order.class(self.name);
        task_held().push((self.address(), class));
        scheduler::point();
        true
    }

    /// Ends a use.
    pub fn end(&self) {
        let address = self.address();
        task_held().retain(|(held, _)| *held != address);
        self.count.set(self.count.get() - 1);
        scheduler::wake(address);
        scheduler::point();
    }

    /// Lets nobody use the object any more, and waits for those that do.
    pub fn take_away(&self) {
        scheduler::may_sleep(self.name);
        check_nesting(self.address(), self.name);
        self.gone.set(true);
        scheduler::point();
        while self.count.get() > 0 {
            scheduler::block(self.address(), self.name, None);
        }
    }
}

/// Returns whether the current task holds a lock of that name.
pub fn is_held_here(name: &str) -> bool {
    let Some(task) = scheduler::task() else {
        return false;
    };
    let classes = &world().order.classes;
    task.held
        .iter()
        .any(|(_, class)| classes[*class].name == name)
}

fn task_held() -> &'static mut Vec<(usize, usize)> {
    &mut scheduler::task().expect("a task").held
}
