// SPDX-License-Identifier: GPL-2.0

//! Processors: counters of each, RCU, checksums, allocation flags, chance.

use std::{ffi::c_void, ptr::null_mut};

use crate::scheduler::{self, world};

use super::*;

pub const CPUS: usize = 4;
const CPU_BYTES: usize = 512;

pub unsafe fn pcpu_alloc_noprof(size: usize, _: usize, _: bool, _: u32) -> *mut c_void {
    scheduler::may_sleep("pcpu_alloc");
    assert!(size <= CPU_BYTES);
    if !allocation_succeeds() {
        return null_mut();
    }
    world().allocated += 1;
    Box::into_raw(Box::new([[0_u64; CPU_BYTES / 8]; CPUS])).cast()
}

pub unsafe fn free_percpu(memory: *mut c_void) {
    world().allocated -= 1;
    // SAFETY: The memory is valid, and not used any more.
    drop(unsafe { Box::from_raw(memory.cast::<[[u64; CPU_BYTES / 8]; CPUS]>()) });
}

/// Adds one to the counter of a CPU: any task may be on any.
unsafe fn count(counter: *mut u64) {
    let cpu = world().random.below(CPUS as u64) as usize;
    // SAFETY: The counter is one of a per-CPU allocation.
    unsafe { *counter.byte_add(cpu * CPU_BYTES) += 1 };
}

pub unsafe fn this_cpu_inc(counter: *mut u64) {
    scheduler::point();
    // SAFETY: The counter is valid.
    unsafe { count(counter) };
}

pub unsafe fn per_cpu_sum(counter: *mut u64) -> u64 {
    let mut sum = 0_u64;
    for cpu in 0..CPUS {
        scheduler::point();
        // SAFETY: The counter is valid.
        sum = sum.wrapping_add(unsafe { *counter.byte_add(cpu * CPU_BYTES) });
    }
    sum
}

pub unsafe fn gate_enter(state: *const u32, entered: *mut u64, kind: u64) -> u32 {
    scheduler::preempt_disable();
    scheduler::point();
    // SAFETY: The arguments are valid.
    let now = unsafe {
        let now = state.read_volatile();
        // Narrow, and what the grace period of a drain is for.
        scheduler::stall(64);
        count(entered.add((u64::from(now & 2) + kind) as usize));
        now
    };
    scheduler::preempt_enable();
    scheduler::point();
    now
}

pub unsafe fn wait_for_readers() {
    scheduler::may_sleep("synchronize_rcu_expedited");
    scheduler::point();
    let sections = scheduler::sections();
    let mut pause = 1_000;
    while !scheduler::sections_have_ended(&sections) {
        scheduler::sleep(pause);
        // So that a section that never ends is a hang.
        pause = (2 * pause).min(1_000_000);
    }
}

pub unsafe fn synchronize_rcu() {
    // SAFETY: As for the other one.
    unsafe { wait_for_readers() };
}

pub unsafe fn raw_cpu_number() -> u32 {
    world().random.below(CPUS as u64) as u32
}

/// What each byte does to a checksum that is so many bytes further on.
const CRC: [[u32; 256]; 8] = {
    let mut tables = [[0; 256]; 8];
    let mut n = 0;
    while n < 8 * 256 {
        let (table, byte) = (n / 256, n % 256);
        let mut crc = if table == 0 {
            byte as u32
        } else {
            tables[table - 1][byte]
        };
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        tables[table][byte] = crc;
        n += 1;
    }
    tables
};

pub unsafe fn crc32c(mut crc: u32, data: *const c_void, len: usize) -> u32 {
    // SAFETY: There are so many bytes.
    let data = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) };
    let chunks = data.chunks_exact(8);
    let rest = chunks.remainder();
    for chunk in chunks {
        let (low, high) = chunk.split_at(4);
        let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let bytes = u64::from(word(low) ^ crc) | u64::from(word(high)) << 32;
        let tables = CRC.iter().rev().zip(bytes.to_le_bytes());
        crc = tables.fold(0, |crc, (table, byte)| crc ^ table[usize::from(byte)]);
    }
    for byte in rest {
        crc = (crc >> 8) ^ CRC[0][usize::from(crc as u8 ^ byte)];
    }
    crc
}

pub unsafe fn debug_level_admits(_: u32) -> bool {
    // Always: what is printed loads atomics, and a trace must not change the schedule.
    true
}

pub unsafe fn noio_save() -> u32 {
    scheduler::task().map_or(0, |task| u32::from(std::mem::replace(&mut task.noio, true)))
}

pub unsafe fn noio_restore(before: u32) {
    if let Some(task) = scheduler::task() {
        task.noio = before != 0;
    }
}

pub unsafe fn get_random_bytes(bytes: *mut c_void, len: usize) {
    for n in 0..len {
        // SAFETY: There are so many bytes.
        unsafe { *bytes.cast::<u8>().add(n) = world().random.number() as u8 };
    }
}
