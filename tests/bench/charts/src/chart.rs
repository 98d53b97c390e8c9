// SPDX-License-Identifier: GPL-2.0

//! Curves of ratios to dm-linear, with their intervals.

use std::io;

use plotters::{
    prelude::*,
    series::PointSeries, //
};

const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
const GRID: RGBColor = RGBColor(0xD8, 0xDE, 0xE4);
const CURVES: [RGBColor; 6] = [
    RGBColor(0x25, 0x63, 0xEB),
    RGBColor(0x0E, 0x8A, 0x6A),
    RGBColor(0xC2, 0x57, 0x0C),
    RGBColor(0x7C, 0x3A, 0xED),
    RGBColor(0xCF, 0x22, 0x2E),
    RGBColor(0x59, 0x63, 0x6E),
];
const SIZE: (u32, u32) = (900, 480);

/// Chart of ratios at places along an axis.
pub(crate) struct Chart {
    pub(crate) title: String,
    /// Title of the x axis.
    pub(crate) below: String,
    /// Labels of the places on the x axis.
    pub(crate) places: Vec<String>,
    pub(crate) curves: Vec<Curve>,
}

/// Curve of a [`Chart`].
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// Ratio and its interval.
pub(crate) struct Point {
    /// Index of its place.
    pub(crate) at: usize,
    pub(crate) ratio: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Chart {
    /// Returns the chart as SVG.
    pub(crate) fn svg(&self) -> Result<String, DrawingAreaErrorKind<io::Error>> {
        let mut text = String::new();
        self.draw(&mut text)?;
        Ok(text)
    }

    /// Returns the limits of the y axis: all intervals and 1, with a margin.
    fn heights(&self) -> (f64, f64) {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let least = points().map(|point| point.low).fold(1.0, f64::min);
        let most = points().map(|point| point.high).fold(1.0, f64::max);
        let margin = ((most - least) * 0.1).max(0.01);
        (least - margin, most + margin)
    }

    fn draw(&self, text: &mut String) -> Result<(), DrawingAreaErrorKind<io::Error>> {
        let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
        root.fill(&PAPER)?;
        let (least, most) = self.heights();
        let right = self.places.len() as f64 - 0.5;
        let mut chart = ChartBuilder::on(&root)
            .caption(&self.title, ("sans-serif", 20).with_color(INK))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(60)
            .build_cartesian_2d(-0.5..right, least..most)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(PAPER)
            .bold_line_style(GRID)
            .axis_style(INK)
            .x_desc(&self.below)
            .y_desc("cost, dm-linear = 1")
            .x_labels(self.places.len() * 2 + 1)
            .x_label_formatter(&|at| self.label(*at))
            .y_label_formatter(&|ratio| format!("{ratio:.2}"))
            .draw()?;
        chart.draw_series(LineSeries::new([(-0.5, 1.0), (right, 1.0)], INK))?;
        for (number, curve) in self.curves.iter().enumerate() {
            let color = CURVES[number % CURVES.len()];
            let beside = (number as f64 - (self.curves.len() as f64 - 1.0) / 2.0) * 0.06;
            let place = |point: &Point| point.at as f64 + beside;
            let ratios = || curve.points.iter().map(|point| (place(point), point.ratio));
            chart
                .draw_series(LineSeries::new(ratios(), color.stroke_width(2)))?
                .label(&curve.name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2))
                });
            chart.draw_series(PointSeries::of_element(
                ratios(),
                3,
                color.filled(),
                &|at, size, style| Circle::new(at, size, style),
            ))?;
            chart.draw_series(curve.points.iter().map(|point| {
                let (low, high) = (point.low, point.high);
                ErrorBar::new_vertical(place(point), low, point.ratio, high, color.filled(), 6)
            }))?;
        }
        chart
            .configure_series_labels()
            .border_style(GRID)
            .background_style(PAPER)
            .position(SeriesLabelPosition::UpperLeft)
            .draw()?;
        root.present()
    }

    /// Returns the label of a place, or an empty one between two places.
    fn label(&self, at: f64) -> String {
        if at < -0.01 || (at - at.round()).abs() > 0.01 {
            return String::new();
        }
        self.places
            .get(at.round() as usize)
            .cloned()
            .unwrap_or_default()
    }
}
