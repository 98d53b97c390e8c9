// SPDX-License-Identifier: GPL-2.0

//! Charts of a test: its latencies, and its trend over time.
//!
//! Each colour has one meaning. So a page that embeds the charts can replace colours by its own.

use std::io;

use plotters::{
    coord::{
        types::RangedCoordf64,
        Shift, //
    },
    prelude::*,
    style::text_anchor::{
        HPos,
        Pos,
        VPos, //
    },
};

use crate::{
    failure::Failure,
    figures::{
        legible,
        nanoseconds,
        short, //
    },
    record::{
        Latency,
        Record,
        Sample, //
    },
};

/// Colours of the SVG, each with its replacement on a dark page.
pub(crate) const ON_DARK: [(&str, &str); 8] = [
    ("#FFFFFF", "#161B22"),
    ("#1F2328", "#E6EDF3"),
    ("#59636E", "#9198A1"),
    ("#D8DEE4", "#30363D"),
    ("#2563EB", "#6CA0FF"),
    ("#0E8A6A", "#3FC79A"),
    ("#C2570C", "#F0964A"),
    ("#CF222E", "#FF7B72"),
];

const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
const PALE_INK: RGBColor = RGBColor(0x59, 0x63, 0x6E);
const LINES: RGBColor = RGBColor(0xD8, 0xDE, 0xE4);
const ADDED: RGBColor = RGBColor(0x25, 0x63, 0xEB);
const READS: RGBColor = RGBColor(0x0E, 0x8A, 0x6A);
const WRITES: RGBColor = RGBColor(0xC2, 0x57, 0x0C);
const TARGET: RGBColor = RGBColor(0xCF, 0x22, 0x2E);

const SIZE: (u32, u32) = (1080, 720);

/// Bars of a histogram in a decade of time.
const BARS_PER_DECADE: f64 = 16.0;

/// Limit that 99.9 % of the added latencies should meet, in nanoseconds.
const ADDED_TARGET: f64 = 2000.0;

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type LatencyChart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<LogCoord<f64>, RangedCoordf64>>;
type Drawn = Result<(), DrawingAreaErrorKind<io::Error>>;

/// Draws the charts of a test as SVG.
pub(crate) fn svg(record: &Record) -> Result<String, Failure> {
    let mut text = String::new();
    draw(&mut text, record)
        .map_err(|error| Failure::Undone(format!("cannot draw the charts: {error}")))?;
    Ok(text)
}

fn draw(text: &mut String, record: &Record) -> Drawn {
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&PAPER)?;
    let results = &record.results;
    let name = legible(&results.type_name);
    let title = format!("{name} on {}", results.device_word());
    let below = root.titled(&title, font(22, INK))?;
    let (upper, lower) = below.split_vertically(below.dim_in_pixel().1 / 2);
    let (added, io) = upper.split_horizontally(SIZE.0 / 2);
    let (iops, trend) = lower.split_horizontally(SIZE.0 / 2);
    latencies(&added, &io, record)?;
    let samples = &record.trend.samples;
    let rate = |sample: &Sample| Some(sample.operations as f64 * 1e9 / sample.ns as f64);
    course(
        &iops,
        "Operations a second",
        &points(samples, rate),
        READS,
        &short,
    )?;
    let latency = |sample: &Sample| sample.added_latency.map(|ns| ns as f64);
    let unit = |ns: f64| nanoseconds(ns as u64);
    course(
        &trend,
        "Average added latency",
        &points(samples, latency),
        ADDED,
        &unit,
    )?;
    root.present()
}

fn font(size: u32, color: RGBColor) -> TextStyle<'static> {
    let mut style = TextStyle::from(("sans-serif", size).into_font());
    style.color = color.to_backend_color();
    style
}

/// Draws both panels of latencies.
fn latencies(added: &Panel<'_>, io: &Panel<'_>, record: &Record) -> Drawn {
    let results = &record.results;
    let histograms = &record.histograms;
    histogram(
        added,
        "Added latency",
        &[Series {
            name: "added",
            color: ADDED,
            pairs: &histograms.added_latency,
            latency: results.added_latency,
        }],
        Some(ADDED_TARGET),
    )?;
    histogram(
        io,
        "I/O latency",
        &[
            Series {
                name: "reads",
                color: READS,
                pairs: &histograms.read_latency,
                latency: results.read_latency,
            },
            Series {
                name: "writes",
                color: WRITES,
                pairs: &histograms.write_latency,
                latency: results.write_latency,
            },
        ],
        None,
    )
}

/// Bars of one kind of latency.
struct Series<'a> {
    name: &'a str,
    color: RGBColor,
    pairs: &'a [(u64, u64)],
    latency: Option<Latency>,
}

impl Series<'_> {
    fn legend(&self) -> String {
        match self.latency {
            None => self.name.to_owned(),
            Some(latency) => format!(
                "{}: p50 {}, p99 {}",
                self.name,
                nanoseconds(latency.p50),
                nanoseconds(latency.p99)
            ),
        }
    }
}

/// Bar of a histogram: its edges in nanoseconds, and its share of the operations in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bar {
    from: f64,
    to: f64,
    share: f64,
}

/// Adds fine buckets up to bars of equal width on a logarithmic axis.
fn bars(pairs: &[(u64, u64)]) -> Vec<Bar> {
    let total: f64 = pairs.iter().map(|(_, count)| *count as f64).sum();
    let mut bars: Vec<(i64, f64)> = Vec::new();
    for (ns, count) in pairs {
        let place = ((*ns).max(1) as f64).log10() * BARS_PER_DECADE;
        let place = place.floor() as i64;
        match bars.last_mut() {
            Some((last, sum)) if *last == place => *sum += *count as f64,
            _ => bars.push((place, *count as f64)),
        }
    }
    let edge = |place: i64| 10_f64.powf(place as f64 / BARS_PER_DECADE);
    let bar = |(place, count): (i64, f64)| Bar {
        from: edge(place),
        to: edge(place + 1),
        share: count * 100.0 / total.max(1.0),
    };
    bars.into_iter().map(bar).collect()
}

/// Returns the ends of the whole decades around the bars; `None` if there are no bars.
fn decades<'a>(bars: impl Iterator<Item = &'a Bar>) -> Option<(f64, f64)> {
    let mut span: Option<(f64, f64)> = None;
    for bar in bars {
        let (from, to) = span.unwrap_or((bar.from, bar.to));
        span = Some((from.min(bar.from), to.max(bar.to)));
    }
    // Rounding errors: an edge may lie just beside a power of ten.
    let (from, to) = span?;
    let first = (from.log10() + 1e-9).floor();
    let last = (to.log10() - 1e-9).ceil().max(first + 1.0);
    Some((10_f64.powf(first), 10_f64.powf(last)))
}

fn histogram(
    panel: &Panel<'_>,
    caption: &str,
    series: &[Series<'_>],
    target: Option<f64>,
) -> Drawn {
    let all: Vec<(&Series<'_>, Vec<Bar>)> = series
        .iter()
        .map(|series| (series, bars(series.pairs)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let every = || all.iter().flat_map(|(_, bars)| bars);
    let Some((from, to)) = decades(every()) else {
        return vacant(panel, caption);
    };
    let highest = every().map(|bar| bar.share).fold(0.0, f64::max);
    // The legend is above the bars.
    let top = highest * 1.4;
    let mut chart = ChartBuilder::on(panel)
        .margin(14)
        .caption(caption, font(18, INK))
        .x_label_area_size(32)
        .y_label_area_size(56)
        .build_cartesian_2d((from..to).log_scale(), 0.0..top)?;
    chart
        .configure_mesh()
        .bold_line_style(LINES)
        .light_line_style(TRANSPARENT)
        .axis_style(LINES)
        .label_style(font(14, PALE_INK))
        .x_labels(7)
        .y_labels(6)
        .x_label_formatter(&|ns| nanoseconds(ns.round() as u64))
        .y_label_formatter(&|share| format!("{} %", short(*share)))
        .draw()?;
    for (series, bars) in &all {
        draw_bars(&mut chart, series, bars)?;
    }
    if let Some(target) = target.filter(|target| from < *target && *target < to) {
        let points = [(target, 0.0), (target, highest)];
        chart
            .draw_series(LineSeries::new(points, TARGET.stroke_width(2)))?
            .label(format!("99.9 % target {}", nanoseconds(target as u64)))
            .legend(|(x, y)| PathElement::new([(x + 4, y), (x + 14, y)], TARGET.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(PAPER)
        .border_style(LINES)
        .label_font(font(14, INK))
        .draw()
}

fn draw_bars(chart: &mut LatencyChart<'_, '_>, series: &Series<'_>, bars: &[Bar]) -> Drawn {
    let color = series.color;
    let boxes = bars.iter().map(|bar| {
        let corners = [(bar.from, 0.0), (bar.to, bar.share)];
        Rectangle::new(corners, color.mix(0.6).filled())
    });
    chart
        .draw_series(boxes)?
        .label(series.legend())
        .legend(move |(x, y)| Rectangle::new([(x + 4, y - 5), (x + 14, y + 5)], color.filled()));
    Ok(())
}

/// Returns the points of a figure over the seconds of the run.
fn points(samples: &[Sample], figure: impl Fn(&Sample) -> Option<f64>) -> Vec<(f64, f64)> {
    let mut seconds = 0.0;
    let mut points = Vec::new();
    for sample in samples.iter().filter(|sample| sample.ns > 0) {
        seconds += sample.ns as f64 / 1e9;
        points.extend(figure(sample).map(|value| (seconds, value)));
    }
    points
}

fn course(
    panel: &Panel<'_>,
    caption: &str,
    points: &[(f64, f64)],
    color: RGBColor,
    unit: &dyn Fn(f64) -> String,
) -> Drawn {
    let Some((end, _)) = points.last() else {
        return vacant(panel, caption);
    };
    let highest = points.iter().map(|(_, value)| *value).fold(1.0, f64::max) * 1.15;
    let mut chart = ChartBuilder::on(panel)
        .margin(14)
        .caption(caption, font(18, INK))
        .x_label_area_size(32)
        .y_label_area_size(68)
        .build_cartesian_2d(0.0..*end, 0.0..highest)?;
    chart
        .configure_mesh()
        .bold_line_style(LINES)
        .light_line_style(TRANSPARENT)
        .axis_style(LINES)
        .label_style(font(14, PALE_INK))
        .x_labels(8)
        .y_labels(6)
        .x_label_formatter(&|seconds| format!("{} s", short(*seconds)))
        .y_label_formatter(&|value| unit(*value))
        .draw()?;
    chart.draw_series(LineSeries::new(
        points.iter().copied(),
        color.stroke_width(2),
    ))?;
    // Dots mark the samples. A line of many samples needs none.
    if points.len() <= 60 {
        let dots = points
            .iter()
            .map(|point| Circle::new(*point, 3, color.filled()));
        chart.draw_series(dots)?;
    }
    Ok(())
}

/// Draws a panel for figures that were not measured.
fn vacant(panel: &Panel<'_>, caption: &str) -> Drawn {
    let below = panel
        .margin(14, 14, 14, 14)
        .titled(caption, font(18, INK))?;
    let (width, height) = below.dim_in_pixel();
    let style = font(15, PALE_INK).pos(Pos::new(HPos::Center, VPos::Center));
    let middle = (width as i32 / 2, height as i32 / 2);
    below.draw_text("nothing was measured", &style, middle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record;
    use roxmltree::Document;

    fn texts(svg: &str) -> Vec<String> {
        let document = Document::parse(svg).unwrap();
        document
            .descendants()
            .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")))
            .filter_map(|node| node.text().map(|text| text.trim().to_owned()))
            .collect()
    }

    #[test]
    fn bars_sum_up_what_is_in_a_sixteenth_of_a_decade() {
        let found = bars(&[(0, 1), (1, 1), (100, 4), (101, 2), (1000, 2)]);
        let shares: Vec<f64> = found.iter().map(|bar| bar.share).collect();
        assert_eq!(shares, [20.0, 60.0, 20.0]);
        assert!((found[0].from - 1.0).abs() < 1e-9);
        assert!((found[1].from - 100.0).abs() < 1e-6 && found[1].to < 116.0);
        assert!(bars(&[]).is_empty());
    }

    #[test]
    fn axes_span_whole_decades() {
        let span = |pairs: &[(u64, u64)]| {
            decades(bars(pairs).iter()).map(|(from, to)| (from.round() as u64, to.round() as u64))
        };
        assert_eq!(span(&[(20, 1), (5000, 1)]), Some((10, 10_000)));
        assert_eq!(span(&[(100, 1)]), Some((100, 1000)));
        assert_eq!(span(&[]), None);
    }

    #[test]
    fn points_lie_at_the_end_of_their_samples() {
        let sample = |ns, operations, added_latency| Sample {
            ns,
            operations,
            added_latency,
            ..Sample::default()
        };
        let samples = [
            sample(1_000_000_000, 10, Some(5)),
            sample(0, 3, Some(1)),
            sample(2_000_000_000, 10, None),
        ];
        let rate = points(&samples, |sample| Some(sample.operations as f64));
        assert_eq!(rate, [(1.0, 10.0), (3.0, 10.0)]);
        let added = points(&samples, |sample| sample.added_latency.map(|ns| ns as f64));
        assert_eq!(added, [(1.0, 5.0)]);
    }

    #[test]
    fn a_picture_has_titles_values_and_a_bar_for_each() {
        let record = record::example();
        let svg = svg(&record).unwrap();
        let texts = texts(&svg);
        for wanted in [
            "Mixed Workload on a&#x3c;b",
            "Added latency",
            "added: p50 96 ns, p99 240 ns",
            "99.9 % target 2 µs",
            "reads: p50 12 µs, p99 80 µs",
            "writes: p50 20 µs, p99 95 µs",
            "Operations a second",
            "Average added latency",
        ] {
            let wanted = wanted.replace("&#x3c;", "<");
            assert!(texts.contains(&wanted), "{wanted}: {texts:?}");
        }
        // One line for the trend of each figure, and one for the limit.
        let document = Document::parse(&svg).unwrap();
        let with = |name: &str, key: &str, color: &str| {
            let of = document.descendants().filter(|node| {
                node.tag_name().name() == name && node.attribute(key) == Some(color)
            });
            of.count()
        };
        assert_eq!(with("polyline", "stroke", "#CF222E"), 2);
        assert_eq!(
            with("circle", "fill", "#0E8A6A"),
            record.trend.samples.len()
        );
        let histograms = &record.histograms;
        for (color, pairs) in [
            ("#2563EB", &histograms.added_latency),
            ("#0E8A6A", &histograms.read_latency),
            ("#C2570C", &histograms.write_latency),
        ] {
            // The legend has one, too.
            assert_eq!(
                with("rect", "fill", color),
                bars(pairs).len() + 1,
                "{color}"
            );
        }
    }

    #[test]
    fn every_colour_can_be_replaced() {
        let svg = svg(&record::example()).unwrap();
        let document = Document::parse(&svg).unwrap();
        for node in document.descendants() {
            for key in ["fill", "stroke"] {
                let color = node.attribute(key).unwrap_or("none");
                let known = ON_DARK.iter().any(|(light, _)| *light == color);
                assert!(known || color == "none", "{color}");
            }
        }
    }

    #[test]
    fn a_test_without_samples_has_a_picture() {
        let svg = svg(&Record::default()).unwrap();
        let vacant = texts(&svg)
            .iter()
            .filter(|text| *text == "nothing was measured")
            .count();
        assert_eq!(vacant, 4);
    }
}
