// SPDX-License-Identifier: GPL-2.0

//! Parses replies to the message `list`.

use serde::Serialize;

/// Block on the spare.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Remap {
    /// First sector of the block on the mapped device.
    pub(crate) sector: u64,
    /// First sector of the block on the spare device.
    pub(crate) spare_sector: u64,
    /// Flags of the block, such as `lost`.
    pub(crate) flags: Vec<String>,
}

/// Reply to `list`: some of the remaps.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Remaps, in order.
    pub(crate) remaps: Vec<Remap>,
    /// Sector at which the next page starts, if there is one.
    pub(crate) next: Option<u64>,
}

impl Page {
    /// Parses a reply. Returns `None` if it is malformed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines: Vec<&str> = text.lines().collect();
        let next = match lines.pop()?.split_once(' ') {
            None => None,
            Some(("more", next)) => Some(next.parse().ok()?),
            Some(_) => return None,
        };
        if next.is_none() && text.lines().last() != Some("end") {
            return None;
        }
        let remaps = lines.into_iter().map(remap).collect::<Option<_>>()?;
        Some(Self { remaps, next })
    }
}

fn remap(line: &str) -> Option<Remap> {
    let mut words = line.split(' ');
    let (sector, spare_sector) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let flags = words.next()?.split(',').filter(|flag| *flag != "-");
    let flags = flags.map(String::from).collect();
    words.next().is_none().then_some(Remap {
        sector,
        spare_sector,
        flags,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_or_go_on() {
        let page = Page::parse("80 24 -\n96 8 lost\nmore 112").unwrap();
        assert_eq!(page.next, Some(112));
        let sectors: Vec<_> = page
            .remaps
            .iter()
            .map(|remap| (remap.sector, remap.spare_sector))
            .collect();
        assert_eq!(sectors, [(80, 24), (96, 8)]);
        assert_eq!(page.remaps[0].flags, [""; 0]);
        assert_eq!(page.remaps[1].flags, ["lost"]);
        assert_eq!(Page::parse("end\n").unwrap().next, None);
        for text in [
            "",
            "80 24 -",
            "80 24\nend",
            "80 24 - x\nend",
            "x 24 -\nend",
            "more",
            "more x",
            "end x",
        ] {
            assert_eq!(Page::parse(text), None, "{text}");
        }
    }
}
