// SPDX-License-Identifier: GPL-2.0

//! Figures with their units, for verdict and reports.

use core::fmt;

/// Measured figure in its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// No figure was measured.
    None,
    /// Time in nanoseconds.
    Nanoseconds(u64),
    /// Throughput in millions of bytes a second.
    MegabytesPerSecond(u64),
    /// Hundredths of a percent.
    BasisPoints(i64),
    /// Ten thousandths of a percent.
    PartsPerMillion(u64),
    /// Count.
    Count(u64),
    /// Change in bytes.
    Bytes(i64),
    /// Time in hours.
    Hours(u64),
}

impl Figure {
    /// Writes the figure with its unit.
    fn write(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        match *self {
            Figure::None => f.write_str("-"),
            Figure::Nanoseconds(ns) => write!(f, "{ns} ns"),
            Figure::MegabytesPerSecond(rate) => write!(f, "{rate} MB/s"),
            Figure::BasisPoints(value) => {
                let sign = if value < 0 { "-" } else { "" };
                let size = value.unsigned_abs();
                write!(f, "{sign}{}.{:02} %", size / 100, size % 100)
            }
            Figure::PartsPerMillion(value) => {
                write!(f, "{}.{:04} %", value / 10_000, value % 10_000)
            }
            Figure::Count(count) => write!(f, "{count}"),
            Figure::Bytes(bytes) => write!(f, "{bytes} bytes"),
            Figure::Hours(hours) => write!(f, "{hours} h"),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)?;
        // Padding for a column of figures.
        let mut length = Length(0);
        self.write(&mut length)?;
        for _ in length.0..f.width().unwrap_or(0) {
            f.write_str(" ")?;
        }
        Ok(())
    }
}

/// Writer that counts the bytes written to it.
struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.saturating_add(text.len());
        Ok(())
    }
}
