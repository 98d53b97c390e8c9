// SPDX-License-Identifier: GPL-2.0

//! Writes the report of a test as a single page of HTML, which needs no other file.

use std::fmt::{
    self,
    Write, //
};

use crate::{
    charts::{
        self,
        ON_DARK, //
    },
    failure::Failure,
    figures::{
        grouped,
        legible,
        nanoseconds,
        percent,
        seconds,
        storage, //
    },
    record::{
        Latency,
        Record,
        Regression,
        Results, //
    },
};

const STYLE: &str = include_str!("page.css");

/// Text for HTML: its special characters are escaped, and characters that are not allowed are replaced.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        legible(self.0).chars().try_for_each(|char| match char {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            _ => f.write_char(char),
        })
    }
}

/// Returns the page.
pub(crate) fn html(record: &Record) -> Result<String, Failure> {
    let charts = charts::svg(record)?;
    let mut page = String::new();
    write_page(&mut page, record, &charts)
        .map_err(|_| Failure::Undone(String::from("cannot write the page")))?;
    Ok(page)
}

fn write_page(page: &mut String, record: &Record, charts: &str) -> fmt::Result {
    let results = &record.results;
    let title = format!("{} on {}", results.type_name, results.device_word());
    let title = Escaped(&title);
    page.push_str("<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n");
    page.push_str("<head>\n<meta charset=\"utf-8\"/>\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n");
    writeln!(
        page,
        "<title>{title}: {}</title>",
        Escaped(verdict(results))
    )?;
    writeln!(
        page,
        "<style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>",
        dark_charts()
    )?;
    header(page, results)?;
    headline_figures(page, results)?;
    targets(page, results)?;
    writeln!(page, "<section>\n<h2>Latencies and course</h2>")?;
    writeln!(
        page,
        "<figure role=\"img\" aria-label=\"{title}: latencies and course\">"
    )?;
    writeln!(page, "{charts}</figure>")?;
    latencies(page, results)?;
    page.push_str("</section>\n<div class=\"columns\">\n");
    section(page, "Configuration", &configuration(results))?;
    section(page, "Integrity and errors", &integrity(results))?;
    section(page, "Remap engine", &engine(results))?;
    section(page, "Resources", &resources(results))?;
    section(
        page,
        "Compared with the baseline",
        &regression(&results.regression),
    )?;
    page.push_str("</div>\n");
    let version = env!("CARGO_PKG_VERSION");
    writeln!(
        page,
        "<footer>dm-remap, remapctl {version}</footer>\n</main>\n</body>\n</html>"
    )
}

/// Returns the style that gives the charts other colours on a dark page.
fn dark_charts() -> String {
    let mut style = String::from("@media (prefers-color-scheme: dark) {\n");
    for (light, dark) in ON_DARK {
        for key in ["fill", "stroke"] {
            style.push_str(&format!("svg [{key}=\"{light}\"] {{ {key}: {dark} }}\n"));
        }
    }
    style.push_str("}\n");
    style
}

fn verdict(results: &Results) -> &str {
    match results.status.as_str() {
        "RUNNING" => "RUNNING",
        _ => &results.result,
    }
}

/// Returns the CSS class of a word that judges a test.
fn class(word: &str) -> &'static str {
    match word {
        "PASS" | "PASSED" => "good",
        "FAIL" | "FAILED" => "bad",
        _ => "open",
    }
}

fn header(page: &mut String, results: &Results) -> fmt::Result {
    let verdict = verdict(results);
    let device = results.device_word();
    writeln!(page, "<header>\n<div>")?;
    writeln!(page, "<h1>{}</h1>", Escaped(&results.type_name))?;
    writeln!(
        page,
        "<p>{} ({}), {}, {} workers, up to {} operations in flight</p>\n</div>",
        Escaped(&device),
        Escaped(&results.device_number),
        seconds(results.elapsed_ms),
        results.workers,
        grouped(results.queue_depth)
    )?;
    let class = class(verdict);
    writeln!(
        page,
        "<strong class=\"badge {class}\">{}</strong>\n</header>",
        Escaped(verdict)
    )?;
    if !results.reasons.is_empty() {
        writeln!(page, "<ul class=\"reasons\">")?;
        for reason in &results.reasons {
            writeln!(page, "<li>{}</li>", Escaped(reason))?;
        }
        writeln!(page, "</ul>")?;
    }
    Ok(())
}

fn headline_figures(page: &mut String, results: &Results) -> fmt::Result {
    let added = |pick: fn(&Latency) -> u64| match &results.added_latency {
        Some(latency) => nanoseconds(pick(latency)),
        None => String::from("N/A"),
    };
    page.push_str("<dl class=\"figures\">\n");
    for (name, value) in [
        ("IOPS", grouped(results.iops)),
        (
            "Throughput",
            format!("{} MB/s", grouped(results.megabytes_per_second)),
        ),
        ("Operations", grouped(results.operations)),
        ("Errors", grouped(results.errors)),
        ("Added, average", added(|latency| latency.average)),
        ("Added, 99.9 %", added(|latency| latency.p99_9)),
    ] {
        writeln!(
            page,
            "<div><dt>{name}</dt><dd>{}</dd></div>",
            Escaped(&value)
        )?;
    }
    page.push_str("</dl>\n");
    Ok(())
}

fn targets(page: &mut String, results: &Results) -> fmt::Result {
    page.push_str("<section>\n<h2>Validation targets</h2>\n<table>\n<thead><tr>");
    page.push_str("<th>Target</th><th>Asks for</th><th>Measured</th><th>Outcome</th>");
    page.push_str("</tr></thead>\n<tbody>\n");
    for target in &results.targets {
        write!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td><span class=\"{}\">{}</span>",
            Escaped(&target.name),
            Escaped(&target.target),
            Escaped(&target.measured),
            class(&target.outcome),
            Escaped(&target.outcome)
        )?;
        if let Some(reason) = &target.reason {
            write!(page, " <small>{}</small>", Escaped(reason))?;
        }
        page.push_str("</td></tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</section>\n");
    Ok(())
}

fn latencies(page: &mut String, results: &Results) -> fmt::Result {
    page.push_str("<table class=\"numbers\">\n<thead><tr><th>Latency</th>");
    for heading in [
        "Count", "Min", "Average", "p50", "p90", "p99", "p99.9", "Max",
    ] {
        write!(page, "<th>{heading}</th>")?;
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for (name, latency) in [
        ("Added", &results.added_latency),
        ("Reads", &results.read_latency),
        ("Writes", &results.write_latency),
    ] {
        write!(page, "<tr><td>{name}</td>")?;
        match latency {
            None => page.push_str("<td colspan=\"8\">N/A</td>"),
            Some(times) => {
                write!(page, "<td>{}</td>", grouped(times.count))?;
                let (min, average, max) = (times.min, times.average, times.max);
                for ns in [
                    min,
                    average,
                    times.p50,
                    times.p90,
                    times.p99,
                    times.p99_9,
                    max,
                ] {
                    write!(page, "<td>{}</td>", nanoseconds(ns))?;
                }
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
    Ok(())
}

/// Names and values of a table.
type Rows = Vec<(&'static str, String)>;

fn section(page: &mut String, heading: &str, rows: &Rows) -> fmt::Result {
    writeln!(
        page,
        "<section>\n<h2>{heading}</h2>\n<table class=\"pairs\">\n<tbody>"
    )?;
    for (name, value) in rows {
        writeln!(page, "<tr><th>{name}</th><td>{}</td></tr>", Escaped(value))?;
    }
    writeln!(page, "</tbody>\n</table>\n</section>")
}

fn configuration(results: &Results) -> Rows {
    let limit = match (results.duration_ms, results.volume_bytes) {
        (Some(ms), _) => (
            "Duration",
            format!("{} of {}", seconds(results.elapsed_ms), seconds(ms)),
        ),
        (None, Some(bytes)) => (
            "Volume",
            format!(
                "{} of {} MB",
                grouped(results.bytes / 1_000_000),
                grouped(bytes / 1_000_000)
            ),
        ),
        (None, None) => ("Duration", seconds(results.elapsed_ms)),
    };
    vec![
        (
            "Device",
            format!("{} ({})", results.device_word(), results.device_number),
        ),
        (
            "Test type",
            format!("{} ({})", results.type_name, results.test),
        ),
        limit,
        ("Ended", results.progress.clone()),
        ("Workers", results.workers.to_string()),
        ("Queue depth", grouped(results.queue_depth)),
        ("Peak in flight", grouped(results.peak_in_flight)),
        ("Seed", results.seed.to_string()),
    ]
}

fn integrity(results: &Results) -> Rows {
    let mut rows = vec![
        (
            "Data moved",
            format!("{} MB", grouped(results.bytes / 1_000_000)),
        ),
        ("Flushes", grouped(results.flushes)),
        ("Ranges zeroed", grouped(results.zeroed)),
        ("Errors", grouped(results.errors)),
    ];
    match &results.integrity {
        None => rows.push(("Verified", String::from("N/A (read again at the end)"))),
        Some(found) => {
            rows.push(("Verified", grouped(found.verified)));
            rows.push(("Mismatches", grouped(found.mismatches)));
            rows.push(("Unreadable", grouped(found.unreadable)));
            if found.shared {
                rows.push((
                    "Other writers",
                    String::from("possibly: mismatches prove nothing"),
                ));
            }
        }
    }
    let known = |change: Option<i64>| change.map_or(String::from("N/A"), percent);
    rows.push((
        "Latency variation",
        known(results.latency_variation_basis_points),
    ));
    rows.push((
        "Throughput drift",
        known(results.throughput_drift_basis_points),
    ));
    rows.push((
        "Throughput slope",
        known(results.throughput_slope_basis_points),
    ));
    rows
}

fn engine(results: &Results) -> Rows {
    let Some(engine) = &results.engine else {
        return vec![("State", String::from("N/A (the table is gone)"))];
    };
    let total = engine.fast_path.saturating_add(engine.slow_path).max(1);
    let share = |part: u64| {
        let share = part as f64 * 100.0 / total as f64;
        format!("{} ({share:.2} %)", grouped(part))
    };
    let (entries, spares) = (grouped(engine.entries), grouped(engine.spare_blocks));
    vec![
        (
            "Remapped blocks",
            format!("{entries} of {spares} spare blocks"),
        ),
        ("Fast path", share(engine.fast_path)),
        ("Slow path", share(engine.slow_path)),
        ("Remapped reads", grouped(engine.remapped_reads)),
        ("Remapped writes", grouped(engine.remapped_writes)),
    ]
}

fn resources(results: &Results) -> Rows {
    let used = &results.resources;
    let mut rows = vec![
        ("Memory before", storage(used.memory_before)),
        ("Memory peak", storage(used.memory_peak)),
        ("Memory after", storage(used.memory_after)),
        ("CPU time of workers", seconds(used.cpu_ns / 1_000_000)),
    ];
    if used.pressure_bytes > 0 {
        rows.push(("Memory held", storage(used.pressure_bytes)));
    }
    rows
}

fn regression(regression: &Regression) -> Rows {
    let state = match regression.state.as_str() {
        "compared" => String::from("compared"),
        "first" => String::from("this run is the baseline"),
        "not_judged" => {
            format!(
                "not judged: {}",
                regression.reason.as_deref().unwrap_or("no reason given")
            )
        }
        "pending" => String::from("at the end of the run"),
        _ => String::from("not a regression test"),
    };
    let mut rows = vec![("State", state)];
    for (name, typical) in [
        ("Baseline", &regression.baseline),
        ("This run", &regression.run),
    ] {
        if let Some(typical) = typical {
            let latency = nanoseconds(typical.added_latency);
            let rate = grouped(typical.bytes_per_second / 1_000_000);
            rows.push((name, format!("{latency} added, {rate} MB/s")));
        }
    }
    for (name, change, threshold) in [
        (
            "Latency change",
            regression.latency_change_basis_points,
            regression.latency_threshold_percent,
        ),
        (
            "Throughput change",
            regression.throughput_change_basis_points,
            regression.throughput_threshold_percent,
        ),
    ] {
        if let Some(change) = change {
            let threshold =
                threshold.map_or(String::new(), |most| format!(" (threshold {most} %)"));
            rows.push((name, format!("{}{threshold}", percent(change))));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record;
    use roxmltree::{
        Document,
        Node,
        ParsingOptions, //
    };

    fn parsed(html: &str) -> Document<'_> {
        let options = ParsingOptions {
            allow_dtd: true,
            ..ParsingOptions::default()
        };
        Document::parse_with_options(html, options).unwrap()
    }

    /// Returns the rows of all tables as text.
    fn rows(document: &Document<'_>) -> Vec<String> {
        let text = |node: Node<'_, '_>| -> String {
            node.descendants()
                .filter(Node::is_text)
                .filter_map(|node| node.text())
                .collect()
        };
        document
            .descendants()
            .filter(|node| node.tag_name().name() == "tr")
            .map(|row| {
                let cells = row.children().filter(Node::is_element).map(text);
                cells.collect::<Vec<_>>().join(" | ")
            })
            .collect()
    }

    #[test]
    fn a_page_says_what_the_record_says() {
        let html = html(&record::example()).unwrap();
        let rows = rows(&parsed(&html));
        for wanted in [
            "Average added latency | < 500 ns | 104 ns | PASS",
            "Peak in flight | >= 1000 | 128 | N/A the test asks for fewer",
            "Error rate | < 0.01 % | 0.0666 % | FAIL",
            "Added | 3,000,000 | 20 ns | 104 ns | 96 ns | 160 ns | 240 ns | 900 ns | 51 µs",
            "Device | a<b (253:0)",
            "Duration | 30.0 s of 30.0 s",
            "Seed | 18446744073709551615",
            "Verified | 256",
            "Fast path | 2,990,000 (99.67 %)",
            "Memory peak | 1 MiB",
            "Latency change | +4.00 % (threshold 10 %)",
        ] {
            assert!(rows.iter().any(|row| row == wanted), "{wanted}: {rows:#?}");
        }
    }

    #[test]
    fn a_page_has_the_verdict_the_reasons_and_the_charts() {
        let html = html(&record::example()).unwrap();
        let document = parsed(&html);
        let badge = document
            .descendants()
            .find(|node| node.tag_name().name() == "strong");
        let badge = badge.unwrap();
        assert_eq!(
            (badge.text(), badge.attribute("class")),
            (Some("FAILED"), Some("badge bad"))
        );
        let reasons = document
            .descendants()
            .filter(|node| node.tag_name().name() == "li");
        let reasons: Vec<_> = reasons.filter_map(|node| node.text()).collect();
        assert_eq!(reasons, ["Error rate < 0.01 %: 0.0666 %", "a < b & \"c\""]);
        let svg = document
            .descendants()
            .find(|node| node.tag_name().name() == "svg");
        assert!(svg.is_some_and(|svg| svg
            .descendants()
            .any(|node| node.tag_name().name() == "polyline")));
    }

    #[test]
    fn a_page_needs_nothing_else() {
        let html = html(&record::example()).unwrap();
        let document = parsed(&html);
        for node in document.descendants() {
            for name in ["href", "src", "srcset", "data"] {
                assert_eq!(node.attribute(name), None);
            }
            assert!(!["link", "script", "img", "iframe"].contains(&node.tag_name().name()));
        }
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }

    #[test]
    fn any_text_makes_a_well_formed_page() {
        let mut record = record::example();
        let text = String::from("</td>\u{1b}&<script>\"'\0\u{ffff}");
        record.results.device = text.clone();
        record.results.type_name = text.clone();
        record.results.reasons = vec![text.clone()];
        record.results.targets[0].reason = Some(text.clone());
        record.results.regression.state = String::from("not_judged");
        record.results.regression.reason = Some(text);
        record.results.added_latency = None;
        record.results.integrity = None;
        record.results.engine = None;
        let html = html(&record).unwrap();
        let rows = rows(&parsed(&html));
        assert!(rows.iter().any(|row| row == "Added | N/A"), "{rows:#?}");
        assert!(!html.contains("<script>"));
    }

    #[test]
    fn a_running_test_is_not_judged() {
        let mut record = record::example();
        record.results.status = String::from("RUNNING");
        let html = html(&record).unwrap();
        let document = parsed(&html);
        let badge = document
            .descendants()
            .find(|node| node.tag_name().name() == "strong");
        assert_eq!(badge.and_then(|badge| badge.text()), Some("RUNNING"));
    }
}
