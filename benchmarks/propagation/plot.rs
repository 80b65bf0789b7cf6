//! For each store the time that a part of the writes took at most; both axes are logarithmic, so that the slowest thousandth has as much room as
//! half of them.

use std::fmt::{Arguments, Write};

use crate::report::Measured;
use crate::way::Kind;

const COLUMN: f64 = 500.0;
const ROW: f64 = 210.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 40.0;
const WIDTH: f64 = 410.0;
const HEIGHT: f64 = 140.0;

/// Each legible on white and on black.
const TEXT: &str = "#7d8590";
const GRID: &str = "#7d859055";

/// Powers of ten of nanoseconds.
const LOW: f64 = 4.0;
const HIGH: f64 = 9.0;
const TIMES: [(i32, &str); 6] = [(4, "10 µs"), (5, "100 µs"), (6, "1 ms"), (7, "10 ms"), (8, "100 ms"), (9, "1 s")];
const PARTS: [(f64, &str); 5] = [(0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %")];

const fn color(kind: Kind) -> &'static str {
    match kind {
        Kind::Limit => "#7d8590",
        Kind::Ours => "#e8590c",
        Kind::Python => "#4c8dc9",
    }
}

fn across(part: f64) -> f64 {
    (-(1.0 - part).log10() / 3.0).clamp(0.0, 1.0) * WIDTH
}

fn up(nanoseconds: f64) -> f64 {
    ((nanoseconds.log10() - LOW) / (HIGH - LOW)).clamp(0.0, 1.0) * HEIGHT
}

pub(crate) fn plot(found: &[Measured]) -> String {
    let mut body = String::new();
    for (number, measured) in found.iter().enumerate() {
        chart(&mut body, measured, (number % 2) as f64 * COLUMN + LEFT, (number / 2) as f64 * ROW + TOP);
    }
    let (width, height) = (COLUMN * 2.0, found.len().div_ceil(2) as f64 * ROW + 10.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\" fill=\"{TEXT}\">\n{body}</svg>\n"
    )
}

fn chart(out: &mut String, measured: &Measured, left: f64, top: f64) {
    let (bottom, right) = (top + HEIGHT, left + WIDTH);
    line(out, format_args!("<text x=\"{left}\" y=\"{}\" font-weight=\"bold\">{}</text>", top - 14.0, measured.title));
    for (power, text) in TIMES {
        let y = bottom - up(10_f64.powi(power));
        line(out, format_args!("<line x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{GRID}\"/>"));
        let (x, y) = (left - 5.0, y + 3.0);
        line(out, format_args!("<text x=\"{x}\" y=\"{y:.1}\" font-size=\"9\" text-anchor=\"end\">{text}</text>"));
    }
    for (part, text) in PARTS {
        let x = left + across(part);
        line(out, format_args!("<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\" stroke=\"{GRID}\"/>"));
        let y = bottom + 12.0;
        line(out, format_args!("<text x=\"{x:.1}\" y=\"{y}\" font-size=\"9\" text-anchor=\"middle\">{text}</text>"));
    }
    for (number, (kind, times)) in measured.ways.iter().enumerate() {
        let points = (0..=60).map(|step| {
            let part = 1.0 - 10_f64.powf(-3.0 * f64::from(step) / 60.0);
            let nanoseconds = times.value_at_quantile(part).max(1) as f64;
            format!("{:.1},{:.1}", left + across(part), bottom - up(nanoseconds))
        });
        let (points, color) = (points.collect::<Vec<_>>().join(" "), color(*kind));
        line(
            out,
            format_args!("<polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.5\"/>"),
        );
        let (x, y, name) = (left + 100.0 + number as f64 * 70.0, top - 14.0, kind.name());
        line(out, format_args!("<text x=\"{x}\" y=\"{y}\" fill=\"{color}\">{name}</text>"));
    }
}

fn line(out: &mut String, text: Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}
