//! Results as a Markdown table, with each peer's ratio to us.

use std::fmt::Write as _;

/// Rows of one thing measured for several programs.
#[derive(Debug, Default)]
pub(super) struct Table {
    columns: Vec<String>,
    rows: Vec<Row>,
}

/// Which way a number is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    Lower,
    Higher,
}

#[derive(Debug)]
struct Row {
    what: String,
    better: Better,
    values: Vec<Option<f64>>,
}

impl Table {
    /// A table whose first column of values is ours, the others the peers'.
    pub(super) fn new(columns: &[String]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds what was measured, in the order of the columns; of several rounds the median stands.
    pub(super) fn row(&mut self, what: &str, better: Better, rounds: &[Vec<f64>]) {
        let values = rounds.iter().map(|values| median(values)).collect();
        self.rows.push(Row {
            what: what.to_owned(),
            better,
            values,
        });
    }

    /// Markdown: a peer's cell tells its value and how many times better we are by it.
    pub(super) fn to_markdown(&self) -> String {
        let mut text = format!(
            "| | {} |\n|---|{}\n",
            self.columns.join(" | "),
            "---|".repeat(self.columns.len())
        );
        for row in &self.rows {
            let ours = row.values.first().copied().flatten();
            let cells = row
                .values
                .iter()
                .enumerate()
                .map(|(at, value)| match (at, ours, value) {
                    (_, _, None) => "–".to_owned(),
                    (0, _, Some(value)) | (_, None, Some(value)) => short(*value),
                    (_, Some(ours), Some(value)) => format!(
                        "{} ({}×)",
                        short(*value),
                        short(advantage(row.better, ours, *value))
                    ),
                });
            let cells: Vec<String> = cells.collect();
            // Writing to a String cannot fail.
            let _infallible = writeln!(text, "| {} | {} |", row.what, cells.join(" | "));
        }
        text
    }
}

/// How many times better `ours` is.
fn advantage(better: Better, ours: f64, theirs: f64) -> f64 {
    match better {
        Better::Lower => theirs / ours,
        Better::Higher => ours / theirs,
    }
}

/// The middle one; of an even number, the mean of the two.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[middle - 1], upper)
    } else {
        upper
    })
}

/// Three significant digits, no exponent.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "–".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_say_how_many_times_better_we_are() {
        let mut table = Table::new(&["us".to_owned(), "them".to_owned()]);
        table.row(
            "seconds",
            Better::Lower,
            &[vec![2.0, 3.0, 1.0], vec![40.0, 20.0]],
        );
        table.row(
            "pages a second",
            Better::Higher,
            &[vec![30_000.0], vec![300.0]],
        );
        table.row("not measured", Better::Lower, &[vec![1.0], vec![]]);
        let expected = "| | us | them |\n|---|---|---|\n| seconds | 2.00 | 30.0 (15.0×) |\n\
            | pages a second | 30000 | 300 (100×) |\n| not measured | 1.00 | – |\n";
        assert_eq!(table.to_markdown(), expected);
    }
}
