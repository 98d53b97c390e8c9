// SPDX-License-Identifier: GPL-2.0

//! The `kernel` crate as far as the gate, the index and `OnceArc` need it, on loom's threads and memory.
//!
//! What the kernel gives is modelled with the meaning that its documentation has, or a weaker one, and never a
//! stronger one. A model that holds here so holds on every processor that Linux runs on, as far as loom looks.
//!
//! | of the kernel | is here |
//! |---|---|
//! | `this_cpu_inc()` | a relaxed increment of a counter of this CPU. It orders nothing. Tasks change their CPU only where a model says so, at which nothing is ordered either |
//! | `READ_ONCE()` | a relaxed load |
//! | `smp_load_acquire()`, Acquire, Release | C11's |
//! | `Full` of a successful `cmpxchg()` | acquire and release of this word. The kernel's is a full barrier besides. One that fails is relaxed, as in the kernel |
//! | `smp_mb()`, `smp_mb__before_atomic()` | a fence that acquires and releases. The kernel's also puts earlier stores before later loads. Loom has that only as a fence that synchronises with every other one, which is more than documented |
//! | `preempt_disable()`, `synchronize_rcu_expedited()` | the guarantee of a grace period, see `rcu` |
//! | `fsleep()` | lets others run. What has been seen to be old is not seen again after it, since stores become visible in finite time |
//! | `Arc` | loom's, whose count is as relaxed as refcount_t |
//! | `KBox`, `KVec` | memory that is known to be freed, and is given back when the execution ends, see `memory` |
//! | `SpinLock` | acquires when it is taken and releases when it is let go: a mutex of loom |
//!
//! `error` and the instants of `time` are links to the simulator's files.

#![allow(missing_docs, clippy::missing_safety_doc, clippy::new_without_default)]

pub mod alloc;
pub mod bindings;
pub mod error;
pub mod execution;
pub mod memory;
pub mod rcu;
pub mod sync;
pub mod task;
pub mod time;

pub mod prelude {
    pub use crate::{
        alloc::{flags::GFP_KERNEL, KBox, KVec},
        error::{code::*, Error, Result},
    };
    pub use std::mem::size_of;
}
