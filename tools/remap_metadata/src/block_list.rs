// SPDX-License-Identifier: GPL-2.0

//! Lists of bad blocks as other programs write and read them: badblocks(8), and the map files of
//! GNU ddrescue. Positions are bytes of the main device.

use std::{
    fmt,
    io::{
        self,
        Write, //
    },
    num::NonZeroU64,
    ops::Range, //
};

use remap_core::interface::decimal;

/// Line of a text that is no list of bad blocks, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongLine {
    number: usize,
    why: String,
}

impl fmt::Display for WrongLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.number, self.why)
    }
}

/// Returns the ranges in order, without empty ones. Ranges that overlap or touch become one.
pub fn merge(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Calls `read` for each line that is not empty, without the blanks around it.
fn each_line(
    text: &str,
    mut read: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), WrongLine> {
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if !line.is_empty() {
            read(line).map_err(|why| WrongLine { number, why })?;
        }
    }
    Ok(())
}

/// Reads the output of badblocks(8): on each line the number of a block of `block` bytes.
pub fn read_badblocks(text: &str, block: NonZeroU64) -> Result<Vec<Range<u64>>, WrongLine> {
    let mut ranges = Vec::new();
    each_line(text, |line| {
        let number = decimal::parse(line.as_bytes())
            .map_err(|_| format!("'{line}' is no number of a block"))?;
        let start = number.checked_mul(block.get());
        let range = start.and_then(|start| Some(start..start.checked_add(block.get())?));
        ranges.push(range.ok_or_else(|| format!("no device has a block {number}"))?);
        Ok(())
    })?;
    Ok(merge(ranges))
}

/// Writes the ranges in the format of badblocks(8): the number of every block of `block` bytes that has a
/// byte of them.
pub fn write_badblocks(
    ranges: &[Range<u64>],
    block: NonZeroU64,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut next = 0;
    for range in ranges.iter().filter(|range| !range.is_empty()) {
        let end = range.end.div_ceil(block.get());
        for number in (range.start / block).max(next)..end {
            writeln!(out, "{number}")?;
        }
        next = next.max(end);
    }
    Ok(())
}

/// Status of an area of a map file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not tried.
    NonTried,
    /// Failed, and not trimmed.
    NonTrimmed,
    /// Failed, and not scraped.
    NonScraped,
    /// Bad sectors.
    Bad,
    /// Rescued.
    Finished,
}

impl Status {
    /// Returns the status that a character of a map file stands for.
    pub fn new(character: char) -> Option<Self> {
        Some(match character {
            '?' => Status::NonTried,
            '*' => Status::NonTrimmed,
            '/' => Status::NonScraped,
            '-' => Status::Bad,
            '+' => Status::Finished,
            _ => return None,
        })
    }
}

/// Parses a number in the notation of C, as ddrescue does.
fn number(text: &str) -> Result<u64, String> {
    let parsed = if let Some(digits) = text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        u64::from_str_radix(digits, 16)
    } else if text.len() > 1 && text.starts_with('0') {
        u64::from_str_radix(text, 8)
    } else {
        text.parse()
    };
    match parsed {
        Ok(value) if !text.contains('+') => Ok(value),
        _ => Err(format!("'{text}' is no number")),
    }
}

/// Reads the areas of a map file that have one of these statuses.
pub fn read_map(text: &str, wanted: &[Status]) -> Result<Vec<Range<u64>>, WrongLine> {
    let mut ranges = Vec::new();
    let mut current = false;
    let mut end: Option<u64> = None;
    each_line(text, |line| {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            [word, ..] if word.starts_with('#') => Ok(()),
            // ddrescue's position, its status, and since 1.22 its pass.
            [position, _] | [position, _, _] if !current => {
                current = true;
                number(position).map(|_| ())
            }
            [position, size, status] => {
                let (start, size) = (number(position)?, number(size)?);
                let mut characters = status.chars();
                let status = characters.next().and_then(Status::new);
                let status = status.filter(|_| characters.next().is_none());
                let status = status.ok_or_else(|| format!("no status in '{line}'"))?;
                if end.is_some_and(|end| end != start) {
                    return Err(format!("{position} is not where the area before ends"));
                }
                let after = start.checked_add(size);
                let after = after.ok_or_else(|| format!("no device has {size} bytes there"))?;
                end = Some(after);
                if wanted.contains(&status) {
                    ranges.push(start..after);
                }
                Ok(())
            }
            _ => Err(format!("'{line}' is no area")),
        }
    })?;
    if !current {
        return Err(WrongLine {
            number: text.lines().count(),
            why: "no map file ends there".to_owned(),
        });
    }
    Ok(merge(ranges))
}

/// Writes a map file of a device of `size` bytes. The ranges are bad, everything else is rescued.
pub fn write_map(bad: &[Range<u64>], size: u64, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# Mapfile. Written by remap_export")?;
    writeln!(out, "# current_pos  current_status  current_pass")?;
    writeln!(out, "0x00000000     +               1")?;
    writeln!(out, "#      pos        size  status")?;
    let mut area = |start: u64, end: u64, status| {
        if start < end {
            writeln!(out, "0x{start:08X}  0x{:08X}  {status}", end - start)?;
        }
        Ok::<_, io::Error>(())
    };
    let mut at = 0;
    for range in bad {
        area(at, range.start, '+')?;
        area(range.start, range.end, '-')?;
        at = range.end;
    }
    area(at, size, '+')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice;

    fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn block(bytes: u64) -> NonZeroU64 {
        NonZeroU64::new(bytes).unwrap()
    }

    #[test]
    fn neighbours_are_one_range() {
        let ranges = vec![8..9, 0..2, 2..4, 3..5, 7..7, 1..2];
        assert_eq!(merge(ranges), [0..5, 8..9]);
    }

    #[test]
    fn badblocks_are_read_as_they_were_written() {
        let bad = [1024..4096, 8192..9216];
        let text = written(|out| write_badblocks(&bad, block(1024), out));
        assert_eq!(text, "1\n2\n3\n8\n");
        assert_eq!(read_badblocks(&text, block(1024)), Ok(bad.to_vec()));
        // Each larger block that has a byte of the ranges, once.
        let text = written(|out| write_badblocks(&bad, block(4096), out));
        assert_eq!(text, "0\n2\n");
        let text = written(|out| write_badblocks(&[0..512, 1024..1536], block(4096), out));
        assert_eq!(text, "0\n");
    }

    #[test]
    fn what_is_no_list_of_badblocks_is_refused_by_line() {
        for (text, why) in [
            ("1\n\nx\n", "line 3: 'x' is no number of a block"),
            ("-1", "line 1: '-1' is no number of a block"),
            ("+1", "line 1: '+1' is no number of a block"),
            (
                "18446744073709551615",
                "line 1: no device has a block 18446744073709551615",
            ),
        ] {
            let refused = read_badblocks(text, block(1024)).unwrap_err();
            assert_eq!(refused.to_string(), why);
        }
    }

    #[test]
    fn maps_are_read_as_they_were_written() {
        let bad = [512..1024, 4096..8192];
        let text = written(|out| write_map(&bad, 8192, out));
        let wanted = "# Mapfile. Written by remap_export\n\
            # current_pos  current_status  current_pass\n\
            0x00000000     +               1\n\
            #      pos        size  status\n\
            0x00000000  0x00000200  +\n\
            0x00000200  0x00000200  -\n\
            0x00000400  0x00000C00  +\n\
            0x00001000  0x00001000  -\n";
        assert_eq!(text, wanted);
        assert_eq!(read_map(&text, &[Status::Bad]), Ok(bad.to_vec()));
    }

    #[test]
    fn of_a_map_what_is_asked_for_counts() {
        let text = "# by ddrescue 1.16\n0x0 ?\n0 512 +\n0x200 512 -\n02000 0x200 *\n1536 512 /\n\
            2048 512 ?\n";
        let read = |wanted: &str| {
            let wanted: Vec<_> = wanted.chars().filter_map(Status::new).collect();
            read_map(text, &wanted).unwrap()
        };
        assert_eq!(read("-"), slice::from_ref(&(512..1024)));
        assert_eq!(read("-*/"), slice::from_ref(&(512..2048)));
        assert_eq!(read("-?"), [512..1024, 2048..2560]);
    }

    #[test]
    fn what_is_no_map_is_refused_by_line() {
        for (text, why) in [
            ("", "line 0: no map file ends there"),
            ("0 +\n0 1 x\n", "line 2: no status in '0 1 x'"),
            ("0 +\n0 1 --\n", "line 2: no status in '0 1 --'"),
            ("0 +\n0 1\n", "line 2: '0 1' is no area"),
            ("0 +\n0 0x+1 -\n", "line 2: '0x+1' is no number"),
            (
                "0 +\n0 8 -\n9 1 -\n",
                "line 3: 9 is not where the area before ends",
            ),
            (
                "0 +\n1 0xffffffffffffffff -\n",
                "line 2: no device has 18446744073709551615 bytes there",
            ),
        ] {
            assert_eq!(read_map(text, &[]).unwrap_err().to_string(), why);
        }
    }
}
