// SPDX-License-Identifier: GPL-2.0

//! Prints rows of text in columns.

use std::io::{
    self,
    Write, //
};

/// Cell of an unknown value.
pub(crate) const NOTHING: &str = "-";

/// Writes rows in columns, two blanks apart. Columns of numbers are aligned to the right, all others and
/// the first one to the left.
pub(crate) fn write(rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| cell(row, column).chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let number =
        |text: &str| text == NOTHING || text.starts_with(|char: char| char.is_ascii_digit());
    // The first row holds the headings.
    let right: Vec<bool> = (0..columns)
        .map(|column| column > 0 && rows.iter().skip(1).all(|row| number(&cell(row, column))))
        .collect();
    for row in rows {
        let mut line = String::new();
        for (column, (width, right)) in widths.iter().zip(&right).enumerate() {
            let text = cell(row, column);
            let padded = if *right {
                format!("{text:>width$}")
            } else {
                format!("{text:<width$}")
            };
            if column > 0 {
                line.push_str("  ");
            }
            line.push_str(&padded);
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let row = |cells: [&str; 3]| cells.map(String::from).to_vec();
        let rows = [
            row(["DEVICE", "LOST", "HEALTH"]),
            row(["a", "1", "ok"]),
            row(["long_name", "12345", "spare_low"]),
            row(["odd", NOTHING, "unknown"]),
        ];
        let mut text = Vec::new();
        write(&rows, &mut text).unwrap();
        let wanted = "DEVICE      LOST  HEALTH\n\
                      a              1  ok\n\
                      long_name  12345  spare_low\n\
                      odd            -  unknown\n";
        assert_eq!(String::from_utf8(text).unwrap(), wanted);
    }
}
