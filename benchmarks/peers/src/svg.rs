//! A bar for each figure, on a logarithmic scale.

use std::fmt::Write;

use crate::peer::Kind;
use crate::report::{Figure, Measured, short};

const COLUMN: f64 = 500.0;
const LABEL: f64 = 190.0;
const BAR: f64 = 240.0;
const LINE: f64 = 15.0;
const HEAD: f64 = 44.0;

/// Each legible on white and on black.
const TEXT: &str = "#7d8590";
const GRID: &str = "#7d859055";

const fn color(kind: Kind) -> &'static str {
    match kind {
        Kind::Limit => "#7d8590",
        Kind::Own => "#e8590c",
        Kind::Peer => "#4c8dc9",
    }
}

/// The scale of all charts, in powers of ten.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn new(rows: &[Measured]) -> Self {
        let all = || rows.iter().flat_map(|measured| &measured.figures).map(|figure| figure.ns.median.log10());
        Self { low: all().fold(0.0, f64::min).floor(), high: all().fold(1.0, f64::max).ceil() }
    }

    fn length(&self, ns: f64) -> f64 {
        (ns.log10() - self.low) / (self.high - self.low) * BAR
    }
}

/// One chart for each row, two beside each other.
#[must_use]
pub fn plot(rows: &[Measured]) -> String {
    let scale = Scale::new(rows);
    let mut body = String::new();
    let mut bottom = [0.0; 2];
    for measured in rows {
        let column = usize::from(bottom[1] < bottom[0]);
        bottom[column] += chart(&mut body, &scale, measured, column as f64 * COLUMN, bottom[column]);
    }
    let (width, height) = (COLUMN * 2.0, bottom[0].max(bottom[1]) + LINE);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\" fill=\"{TEXT}\">\n{body}</svg>\n"
    )
}

/// Returns its height.
fn chart(out: &mut String, scale: &Scale, Measured { row, figures }: &Measured, left: f64, top: f64) -> f64 {
    let height = HEAD + figures.len() as f64 * LINE + LINE;
    let (start, end) = (left + LABEL, top + height - LINE);
    line(out, format_args!("<text x=\"{start}\" y=\"{}\" font-weight=\"bold\">{}</text>", top + 24.0, row.title));
    for power in scale.low as i32..=scale.high as i32 {
        let x = start + scale.length(10_f64.powi(power));
        let y = top + HEAD - 4.0;
        line(out, format_args!("<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y}\" y2=\"{end}\" stroke=\"{GRID}\"/>"));
        let text = power_of_ten(power);
        let y = y - 3.0;
        line(out, format_args!("<text x=\"{x:.1}\" y=\"{y}\" font-size=\"9\" text-anchor=\"middle\">{text}</text>"));
    }
    for (number, Figure { name, kind, ns, .. }) in figures.iter().enumerate() {
        let y = top + HEAD + number as f64 * LINE;
        let (base, width) = (y + LINE - 5.0, scale.length(ns.median));
        let name = name.replace('`', "");
        line(out, format_args!("<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{name}</text>", start - 6.0));
        let (height, color) = (LINE - 4.0, color(*kind));
        line(
            out,
            format_args!("<rect x=\"{start}\" y=\"{y}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{color}\"/>"),
        );
        line(out, format_args!("<text x=\"{:.1}\" y=\"{base}\">{}</text>", start + width + 4.0, short(ns.median)));
    }
    height
}

/// Not each, for they are close to each other.
const fn power_of_ten(power: i32) -> &'static str {
    match power {
        0 => "1 ns",
        1 => "10",
        2 => "100",
        3 => "1 µs",
        6 => "1 ms",
        9 => "1 s",
        _ => "",
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Quartiles;
    use crate::rows::ROWS;

    #[test]
    fn ten_times_is_as_far_everywhere() {
        let figures = [1.0, 10.0, 100.0].map(|ns| Figure {
            name: "a",
            kind: Kind::Peer,
            ns: Quartiles { low: ns, median: ns, high: ns },
            ratio: None,
        });
        let rows = [Measured { row: &ROWS[0], figures: figures.into() }];
        let scale = Scale::new(&rows);
        let lengths = [1.0, 10.0, 100.0].map(|ns| scale.length(ns));
        assert_eq!(lengths, [0.0, BAR / 2.0, BAR]);
        assert_eq!(plot(&rows).matches("<rect").count(), 3);
    }
}
