// SPDX-License-Identifier: GPL-2.0

//! Checksums by the kernel's library, which uses the instructions of the processor.
//!
//! C header: [`include/linux/crc32.h`](srctree/include/linux/crc32.h).

use super::bindings;

/// Returns the CRC32C of RFC 3720: initialised with all ones, and inverted at the end. Any context.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    #[cfg(CONFIG_UML)]
    if let Some(sum) = instruction::crc32c(bytes) {
        return sum;
    }
    // SAFETY: Pointer and length are those of a slice.
    !unsafe { bindings::crc32c(u32::MAX, bytes.as_ptr().cast(), bytes.len()) }
}

/// CRC32C by the processor's instruction. The library of user-mode Linux does without the instruction and
/// takes thirty times as long: in measurements, checksums would then cost more than all else.
#[cfg(CONFIG_UML)]
mod instruction {
    use core::arch::{
        asm,
        x86_64::__cpuid, //
    };

    use kernel::sync::atomic::{
        Atomic,
        Relaxed, //
    };

    /// Bit of SSE 4.2 in `ecx` of leaf 1.
    const SSE_4_2: u32 = 1 << 20;

    /// Result of the look at the processor: 0 before it, 1 without the instruction, 2 with it.
    static KNOWN: Atomic<u32> = Atomic::new(0);

    /// Returns whether the processor has the instruction.
    fn is_there() -> bool {
        let mut known = KNOWN.load(Relaxed);
        if known == 0 {
            // SAFETY: Every x86-64 has the instruction and this leaf.
            let features = unsafe { __cpuid(1) }.ecx;
            known = if features & SSE_4_2 != 0 { 2 } else { 1 };
            KNOWN.store(known, Relaxed);
        }
        known == 2
    }

    /// Returns the CRC32C of RFC 3720; `None` if the processor lacks the instruction.
    pub(super) fn crc32c(bytes: &[u8]) -> Option<u32> {
        if !is_there() {
            return None;
        }
        let mut sum = u64::from(u32::MAX);
        let mut rest = bytes;
        while let Some((word, behind)) = rest.split_first_chunk() {
            rest = behind;
            let word = u64::from_le_bytes(*word);
            // SAFETY: The instruction uses these two registers only, and the processor has it.
            unsafe {
                asm!("crc32 {}, {}", inout(reg) sum, in(reg) word, options(pure, nomem, nostack));
            }
        }
        for byte in rest {
            // SAFETY: As above.
            unsafe {
                asm!("crc32 {:e}, {}", inout(reg) sum, in(reg_byte) *byte, options(pure, nomem, nostack));
            }
        }
        Some(!(sum as u32))
    }
}
