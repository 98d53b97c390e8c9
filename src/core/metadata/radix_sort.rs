// SPDX-License-Identifier: GPL-2.0

//! Radix sort of many numbers by their upper bits. Its time does not depend on the order of the numbers.
//! It does not recurse: a kernel's stack is small, and `slice::sort_unstable` may use much of it.

/// Number of bits of a digit. The counts of its values fit on the stack.
const DIGIT_BITS: u32 = 8;
const DIGITS: usize = 1 << DIGIT_BITS;

/// Returns the digit of `number` from the bit `shift` on.
fn digit(number: u64, shift: u32) -> usize {
    (number >> shift) as usize % DIGITS
}

/// Sorts `numbers` by their bits from `low` on, stably, with `spare` as memory of the same size. Returns
/// `false`, with nothing changed, if the sizes differ, `low` is 64 or more, or there are 2^32 numbers or
/// more.
///
/// Digits are sorted one by one from the lowest (Knuth, vol. 3, 5.2.5).
pub(super) fn sort_by_upper_bits(numbers: &mut [u64], low: u32, spare: &mut [u64]) -> bool {
    let countable = u32::try_from(numbers.len()).is_ok();
    if !countable || numbers.len() != spare.len() || low >= u64::BITS {
        return false;
    }
    if numbers.is_sorted_by_key(|number| number >> low) {
        return true;
    }
    let used = numbers.iter().fold(0, |bits, number| bits | number);
    let end = u64::BITS - used.leading_zeros();
    let (mut from, mut to) = (numbers, spare);
    let mut swapped = false;
    for shift in (low..end).step_by(DIGIT_BITS as usize) {
        deal_out(from, to, shift);
        (from, to) = (to, from);
        swapped = !swapped;
    }
    if swapped {
        to.copy_from_slice(from);
    }
    true
}

/// Copies the numbers of `from` to `to`, sorted stably by the digit at `shift`.
fn deal_out(from: &[u64], to: &mut [u64], shift: u32) {
    let mut counts = [0_u32; DIGITS];
    for number in from {
        if let Some(count) = counts.get_mut(digit(*number, shift)) {
            *count += 1;
        }
    }
    let mut next = 0;
    for count in &mut counts {
        next += core::mem::replace(count, next);
    }
    for number in from {
        let Some(at) = counts.get_mut(digit(*number, shift)) else {
            continue;
        };
        if let Some(place) = to.get_mut(*at as usize) {
            *place = *number;
        }
        *at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        vec,
        vec::Vec, //
    };

    fn sorted(numbers: &[u64], low: u32) -> Vec<u64> {
        let mut numbers = numbers.to_vec();
        let mut spare = vec![0; numbers.len()];
        assert!(sort_by_upper_bits(&mut numbers, low, &mut spare));
        numbers
    }

    #[test]
    fn memory_has_to_fit() {
        assert!(!sort_by_upper_bits(&mut [2, 1], 0, &mut [0]));
        assert!(!sort_by_upper_bits(&mut [2, 1], 64, &mut [0; 2]));
        assert!(sort_by_upper_bits(&mut [], 0, &mut []));
    }

    #[test]
    fn upper_bits_count_that_several_numbers_have() {
        assert_eq!(sorted(&[1 << 63, 3], 1), [3, 1 << 63]);
        assert_eq!(sorted(&[1 << 63, 3, 1 << 63], 0), [3, 1 << 63, 1 << 63]);
        assert_eq!(sorted(&[5, 4, 2], 2), [2, 5, 4]);
    }

    proptest! {
        #[test]
        fn agrees_with_a_stable_sort(
            mut numbers in prop::collection::vec(
                prop_oneof![any::<u64>(), 0..300_u64, Just(u64::MAX)],
                0..2000,
            ),
            low in 0..64_u32,
        ) {
            let found = sorted(&numbers, low);
            numbers.sort_by_key(|number| number >> low);
            prop_assert_eq!(found, numbers);
        }
    }
}
