// SPDX-License-Identifier: GPL-2.0

//! What C has: src/linux/helpers/gate.c as it is, and what it and Rust call below it.

use std::{alloc::Layout, ffi::c_void};

use loom::sync::atomic::{fence, AtomicU64, Ordering};

use crate::{
    alloc::{allocate, free},
    memory::Life,
    rcu,
    sync::atomic::Atomic,
    task,
};

/// As in c/kernel.h.
pub(crate) const CPUS: usize = 2;
const CPU_BYTES: usize = 64;

pub const GFP_KERNEL: u32 = 0;

extern "C" {
    #[link_name = "remap_helper_gate_enter"]
    pub fn gate_enter(state: *const u32, entered: *mut u64, kind: u64) -> u32;
    #[link_name = "remap_helper_this_cpu_inc"]
    pub fn this_cpu_inc(counter: *mut u64);
    #[link_name = "remap_helper_per_cpu_sum"]
    pub fn per_cpu_sum(counter: *mut u64) -> u64;
    #[link_name = "remap_helper_wait_for_readers"]
    pub fn wait_for_readers();
    #[link_name = "remap_helper_raw_cpu_number"]
    pub fn raw_cpu_number() -> u32;
}

/// What is at the address of a per-CPU counter: where its value is.
struct Counter {
    value: AtomicU64,
    life: Life,
}

const COUNTERS: usize = CPU_BYTES / size_of::<u64>();

/// Allocates `size` bytes of counters for each CPU. In each word of them is the address of a [`Counter`].
pub unsafe fn pcpu_alloc_noprof(size: usize, align: usize, reserved: bool, _: u32) -> *mut c_void {
    assert!(size <= CPU_BYTES && align <= CPU_BYTES && !reserved);
    let counters = allocate(Layout::new::<[Counter; CPUS * COUNTERS]>()).cast::<Counter>();
    let words = allocate(words_layout()).cast::<*mut Counter>();
    for number in 0..CPUS * COUNTERS {
        // SAFETY: There is room for so many of both.
        unsafe {
            let counter = counters.add(number);
            counter.write(Counter {
                value: AtomicU64::new(0),
                life: Life::new(),
            });
            words.add(number).write(counter);
        }
    }
    words.cast()
}

fn words_layout() -> Layout {
    Layout::from_size_align(CPUS * CPU_BYTES, CPU_BYTES).expect("it is one")
}

pub unsafe fn free_percpu(counters: *mut c_void) {
    // SAFETY: They are of pcpu_alloc_noprof(), and not used again.
    unsafe {
        let first = *counters.cast::<*mut Counter>();
        for number in 0..CPUS * COUNTERS {
            first.add(number).drop_in_place();
        }
        free(first.cast(), Layout::new::<[Counter; CPUS * COUNTERS]>());
        free(counters.cast(), words_layout());
    }
}

/// The counter at an address within one CPU's.
///
/// # Safety
///
/// It is one of pcpu_alloc_noprof(), moved by the offset of a CPU.
unsafe fn counter<'a>(address: *const u64) -> &'a AtomicU64 {
    // SAFETY: As the caller says. What was freed is there until the execution ends.
    let counter = unsafe { &**address.cast::<*const Counter>() };
    counter.life.check();
    &counter.value
}

#[no_mangle]
extern "C" fn fake_preempt_disable() {
    rcu::enter();
}

#[no_mangle]
extern "C" fn fake_preempt_enable() {
    rcu::leave();
}

#[no_mangle]
extern "C" fn fake_synchronize_rcu() {
    rcu::synchronize();
}

#[no_mangle]
extern "C" fn fake_smp_mb() {
    fence(Ordering::AcqRel);
}

#[no_mangle]
unsafe extern "C" fn fake_load_acquire(word: *const u32) -> u32 {
    // SAFETY: The only word of that kind that Rust hands to C is an `Atomic<u32>`.
    unsafe { &*word.cast::<Atomic<u32>>() }.load(crate::sync::atomic::Acquire)
}

#[no_mangle]
unsafe extern "C" fn fake_read_u32(word: *const u32) -> u32 {
    // SAFETY: As above.
    unsafe { &*word.cast::<Atomic<u32>>() }.load(crate::sync::atomic::Relaxed)
}

#[no_mangle]
unsafe extern "C" fn fake_read_u64(address: *const u64) -> u64 {
    // SAFETY: C reads no other words of 64 bits than counters.
    unsafe { counter(address) }.load(Ordering::Relaxed)
}

#[no_mangle]
unsafe extern "C" fn fake_this_cpu_inc(address: *mut u64) {
    // SAFETY: The caller's counter, on this CPU.
    let counter = unsafe { counter(address.byte_add(task::cpu() * CPU_BYTES)) };
    counter.fetch_add(1, Ordering::Relaxed);
}

#[no_mangle]
extern "C" fn fake_cpu() -> u32 {
    task::cpu() as u32
}
