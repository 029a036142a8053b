//! Small pictures in SVG: blocks of days, sparklines, lines over a week, stacked shares. Each says in words what it
//! shows, and none tells anything by colour alone.

use std::fmt::Write as _;

use askama::Template;

use super::view::{Day, DayKind};
use super::words;
use crate::score::float;

/// One block for each day. Good days are tall, fair ones lower, poor ones low; a gate that was not passed is hollow.
#[derive(Template)]
#[template(path = "blocks.svg")]
pub(super) struct Blocks {
    label: String,
    width: usize,
    cells: Vec<Cell>,
}

struct Cell {
    x: usize,
    y: u8,
    height: u8,
    class: &'static str,
    title: String,
}

/// A line without axes; what it says in figures is in its label.
#[derive(Template)]
#[template(path = "spark.svg")]
pub(super) struct Spark {
    label: String,
    path: String,
    end: Option<(f64, f64)>,
}

/// Lines over a time, one for each vantage, told apart by their dashes too.
#[derive(Template)]
#[template(path = "lines.svg")]
pub(super) struct Lines {
    pub(super) label: String,
    pub(super) paths: Vec<(usize, String)>,
}

/// Shares of a whole, one column for each day.
#[derive(Template)]
#[template(path = "stack.svg")]
pub(super) struct Stack {
    pub(super) label: String,
    pub(super) width: usize,
    pub(super) columns: Vec<Column>,
}

/// One column of a stack.
pub(super) struct Column {
    pub(super) x: usize,
    pub(super) title: String,
    pub(super) parts: Vec<Part>,
}

/// One part of a column, in hundredths of its height.
pub(super) struct Part {
    pub(super) y: f64,
    pub(super) height: f64,
    pub(super) class: usize,
}

/// A bar from 0 to 100.
#[derive(Template)]
#[template(path = "bar.svg")]
pub(super) struct Bar {
    pub(super) value: u8,
}

const SPARK_WIDTH: f64 = 118.0;
const SPARK_HEIGHT: f64 = 24.0;

impl Blocks {
    pub(super) fn of(days: &[Day]) -> Self {
        let count = |kind: DayKind| days.iter().filter(|day| day.kind == kind).count();
        let mut label = format!("The last {}:", words::plural(days.len(), "day"));
        for (kind, word) in [
            (DayKind::Good, "good"),
            (DayKind::Fair, "fair"),
            (DayKind::Poor, "poor"),
            (DayKind::Gate, "with a gate not passed"),
            (DayKind::Unseen, "without probes"),
        ] {
            if count(kind) > 0 {
                let _infallible = write!(label, " {} {word},", count(kind));
            }
        }
        let label = label.trim_end_matches([',', ':']).to_owned();
        let cells = days.iter().enumerate().map(|(index, day)| {
            let (class, height) = match day.kind {
                DayKind::Good => ("good", 22),
                DayKind::Fair => ("fair", 15),
                DayKind::Poor => ("poor", 8),
                DayKind::Gate => ("gate", 21),
                DayKind::Unseen => ("unseen", 2),
            };
            Cell {
                x: index * 8,
                y: 23 - height,
                height,
                class,
                title: format!(
                    "{}: {} of {} probes answered",
                    words::day(day.begins),
                    day.answered.ok,
                    day.answered.n
                ),
            }
        });
        Self {
            label,
            width: days.len() * 8,
            cells: cells.collect(),
        }
    }
}

impl Spark {
    /// `shares` from 0 at the bottom to 1 at the top; a gap where nothing is known.
    pub(super) fn of(label: String, shares: &[Option<f64>]) -> Self {
        let points = points(shares, SPARK_WIDTH, SPARK_HEIGHT);
        Self {
            label,
            path: path(&points),
            end: points.last().copied().flatten(),
        }
    }
}

/// Where values lie in a picture of this size, from left to right.
fn points(shares: &[Option<f64>], width: f64, height: f64) -> Vec<Option<(f64, f64)>> {
    let steps = float(shares.len().saturating_sub(1).max(1) as u64);
    shares
        .iter()
        .enumerate()
        .map(|(index, share)| {
            let x = 1.0 + (width - 2.0) * float(index as u64) / steps;
            share.map(|share| {
                let y = height - 2.0 - (height - 4.0) * share.clamp(0.0, 1.0);
                ((x * 10.0).round() / 10.0, (y * 10.0).round() / 10.0)
            })
        })
        .collect()
}

/// The same as SVG's path, which is taken up anew after a gap.
fn path(points: &[Option<(f64, f64)>]) -> String {
    let mut text = String::new();
    let mut draws = false;
    for point in points {
        match point {
            Some((x, y)) => {
                let command = if draws { 'L' } else { 'M' };
                let _infallible = write!(text, "{command}{x} {y}");
            }
            // A point that stands alone is drawn as a dot.
            None if draws => text.push_str("h.1"),
            None => {}
        }
        draws = point.is_some();
    }
    text
}

impl Lines {
    /// Room of the picture; it is stretched to the page.
    pub(super) const WIDTH: f64 = 720.0;
    /// See there.
    pub(super) const HEIGHT: f64 = 180.0;

    pub(super) fn path(shares: &[Option<f64>]) -> String {
        path(&points(shares, Self::WIDTH, Self::HEIGHT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_breaks_a_line() {
        let shares = [Some(0.0), Some(1.0), None, Some(0.5)];
        assert_eq!(path(&points(&shares, 32.0, 24.0)), "M1 22L11 2h.1M31 12");
        assert_eq!(path(&points(&[], 32.0, 24.0)), "");
    }
}
