// SPDX-License-Identifier: GPL-2.0

//! Parses sizes of operations and of memory, within the limits of the kernel module.

use remap_size::parse;

const MIB: u64 = 1 << 20;

/// Largest amount of memory that a test may hold, in MiB.
const MAX_MEMORY_MIB: u64 = 1 << 30;

/// Parses the size of an operation.
pub(crate) fn of_operation(text: &str) -> Result<u64, String> {
    match parse(text)? {
        bytes @ 512..=MIB => Ok(bytes),
        _ => Err(String::from("not within 512 and 1M")),
    }
}

/// Parses an amount of memory into whole MiB.
pub(crate) fn of_memory(text: &str) -> Result<u64, String> {
    let bytes = parse(text)?;
    if bytes == 0 || bytes % MIB != 0 {
        return Err(String::from(
            "not a number of whole MiB, such as 512M or 2G",
        ));
    }
    match bytes / MIB {
        mebibytes @ ..=MAX_MEMORY_MIB => Ok(mebibytes),
        _ => Err(String::from("more than any machine has")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_limits() {
        assert_eq!(of_operation("4k"), Ok(4096));
        assert_eq!(of_memory("2G"), Ok(2048));
        assert!(of_operation("511").is_err());
        assert!(of_operation("1048577").is_err());
        assert!(of_memory("0").is_err());
        assert_eq!(of_memory("1024T"), Ok(MAX_MEMORY_MIB));
        assert!(of_memory("1025T").is_err());
        assert!(of_memory("1536k").is_err());
    }
}
