// SPDX-License-Identifier: GPL-2.0

//! Writes the results of `tests/bench/run` as tables and charts.
//!
//! `bench_charts INTO FILE...` reads the files of `measure.py`, and writes `results.json`,
//! `results.md`, and a chart for each series with an axis to the directory `INTO`.

mod chart;
mod results;

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{
        Path,
        PathBuf, //
    },
    process::ExitCode,
};

use chart::{
    Chart,
    Curve,
    Point, //
};
use results::{
    Measured,
    Record, //
};

/// Choice of records for a chart, with their places and curves.
struct Picture {
    file: &'static str,
    title: &'static str,
    below: &'static str,
    shows: fn(&Record) -> bool,
    /// Returns the place of a record on the x axis, and its label.
    place: fn(&Record) -> (u64, String),
    curve: fn(&Record) -> String,
}

fn bytes(record: &Record) -> (u64, String) {
    let text = match record.bytes {
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes if bytes >= 1 << 10 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    };
    (record.bytes, text)
}

fn of_direction(record: &Record, direction: &str) -> bool {
    record.series == "sizes" && record.order == "random" && record.direction == direction
}

fn remaps(record: &Record) -> (u64, String) {
    let remaps = record.remaps.unwrap_or(0);
    (remaps, remaps.to_string())
}

fn layout_and_state(record: &Record) -> String {
    let state = record.state.as_deref().unwrap_or("");
    match record.layout.as_deref() {
        Some(layout) => format!("{layout}, {state}"),
        None => format!("none, {state}"),
    }
}

const PICTURES: [Picture; 6] = [
    Picture {
        file: "sizes-read.svg",
        title: "Random reads of every size",
        below: "size of a bio",
        shows: |record| of_direction(record, "read"),
        place: bytes,
        curve: |record| record.contestant.clone(),
    },
    Picture {
        file: "sizes-write.svg",
        title: "Random writes of every size",
        below: "size of a bio",
        shows: |record| of_direction(record, "write"),
        place: bytes,
        curve: |record| record.contestant.clone(),
    },
    Picture {
        file: "remaps.svg",
        title: "Random reads of 4 KiB, by the number of remaps",
        below: "remaps",
        shows: |record| record.series == "remaps",
        place: remaps,
        curve: layout_and_state,
    },
    Picture {
        file: "million.svg",
        title: "Random reads of 4 KiB on 16 GiB, up to a million remaps",
        below: "remaps",
        shows: |record| record.series == "million",
        place: remaps,
        curve: layout_and_state,
    },
    Picture {
        file: "hits.svg",
        title: "Random reads of 4 KiB, by the share that is remapped",
        below: "remapped bios, in thousandths",
        shows: |record| record.series == "hits",
        place: |record| (record.hits, record.hits.to_string()),
        curve: |record| format!("{} remaps", record.remaps.unwrap_or(0)),
    },
    Picture {
        file: "depths.svg",
        title: "Random reads of 4 KiB, by the number in flight",
        below: "in flight",
        shows: |record| record.series == "depths",
        place: |record| (record.in_flight, record.in_flight.to_string()),
        curve: |record| record.contestant.clone(),
    },
];

/// Returns the chart of a picture, or `None` if no record is for it.
fn chart(picture: &Picture, records: &[Record]) -> Option<Chart> {
    let shown: Vec<(&Record, f64)> = records
        .iter()
        .filter(|record| (picture.shows)(record))
        .filter_map(|record| Some((record, record.ratio?)))
        .collect();
    let mut places: Vec<(u64, String)> = shown
        .iter()
        .map(|(record, _)| (picture.place)(record))
        .collect();
    places.sort();
    places.dedup();
    let mut curves: Vec<Curve> = Vec::new();
    for (record, ratio) in &shown {
        let name = (picture.curve)(record);
        let at = places
            .iter()
            .position(|place| *place == (picture.place)(record))?;
        let [low, high] = record.ratio_interval.unwrap_or([*ratio, *ratio]);
        let point = Point {
            at,
            ratio: *ratio,
            low,
            high,
        };
        match curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve {
                name,
                points: vec![point],
            }),
        }
    }
    for curve in &mut curves {
        curve.points.sort_by_key(|point| point.at);
    }
    (!curves.is_empty()).then(|| Chart {
        title: picture.title.to_string(),
        below: picture.below.to_string(),
        places: places.into_iter().map(|(_, text)| text).collect(),
        curves,
    })
}

fn page(measured: &[(String, Measured)], pictures: &[&Picture]) -> Result<String, std::fmt::Error> {
    let mut text = String::from(
        "# Results\n\nWritten by `make bench`. What they mean is in [performance.md](../performance.md).\n",
    );
    for picture in pictures {
        write!(text, "\n![{}]({})\n", picture.title, picture.file)?;
    }
    for (name, measured) in measured {
        let setting = &measured.setting;
        write!(
            text,
            "\n## {name}\n\n{}, kernel {}, {}, {}; {} rounds of {} bios\n\n",
            setting.machine,
            setting.kernel,
            setting.processor,
            setting.date,
            setting.rounds,
            setting.bios
        )?;
        text.push_str("| bio | contestant | median | 95 % | to dm-linear | 95 % | limit | |\n");
        text.push_str("|---|---|---:|---|---:|---|---:|---|\n");
        for record in &measured.results {
            writeln!(text, "{}", record.row())?;
        }
    }
    Ok(text)
}

fn draw_all(into: &Path, files: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    let mut measured = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(file)?;
        measured.push((name.into_owned(), serde_json::from_str::<Measured>(&text)?));
    }
    let records: Vec<Record> = measured
        .iter()
        .flat_map(|(_, measured)| measured.results.clone())
        .collect();
    fs::create_dir_all(into)?;
    let mut drawn = Vec::new();
    for picture in &PICTURES {
        if let Some(chart) = chart(picture, &records) {
            fs::write(into.join(picture.file), chart.svg()?)?;
            drawn.push(picture);
        }
    }
    fs::write(into.join("results.md"), page(&measured, &drawn)?)?;
    let all: serde_json::Map<String, serde_json::Value> = measured
        .iter()
        .map(|(name, measured)| Ok((name.clone(), serde_json::to_value(measured)?)))
        .collect::<Result<_, serde_json::Error>>()?;
    fs::write(
        into.join("results.json"),
        serde_json::to_string_pretty(&all)? + "\n",
    )?;
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let Some((into, files)) = arguments.split_first() else {
        eprintln!("usage: bench_charts INTO FILE...");
        return ExitCode::from(2);
    };
    match draw_all(into, files) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_charts: {error}");
            ExitCode::FAILURE
        }
    }
}
