//! Figures of both passes, and tables of them.

use std::fmt::Write as _;

/// What was measured, once in each pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure(pub(crate) [f64; 2]);

impl Figure {
    fn mean(self) -> f64 {
        f64::midpoint(self.0[0], self.0[1])
    }

    /// How far the passes are from each other.
    fn noise(self) -> f64 {
        (self.0[0] - self.0[1]).abs() / self.mean()
    }

    /// Nanoseconds, as microseconds.
    pub(crate) fn micros(self) -> String {
        self.shown(1e-3, " µs")
    }

    pub(crate) fn shown(self, scale: f64, unit: &str) -> String {
        let value = self.mean() * scale;
        if value.is_nan() {
            return "–".into();
        }
        let digits = if value < 10.0 { 2 } else { 1 };
        format!("{value:.digits$}{unit}")
    }

    /// As a part of another: both passes' ratios if they differ as shown.
    pub(crate) fn of(self, other: Figure) -> String {
        let ratios = [self.0[0] / other.0[0], self.0[1] / other.0[1]];
        let shown = ratios.map(|ratio| format!("{ratio:.2}"));
        if ratios.iter().any(|ratio| ratio.is_nan()) {
            "–".into()
        } else if shown[0] == shown[1] {
            format!("{}x", shown[0])
        } else {
            let [low, high] = if ratios[0] < ratios[1] {
                [0, 1]
            } else {
                [1, 0]
            };
            format!("{}–{}x", shown[low], shown[high])
        }
    }
}

/// The largest difference between the passes.
pub(crate) fn noise(figures: &[Figure]) -> String {
    let noises = figures.iter().map(|figure| figure.noise());
    let most = noises.filter(|noise| !noise.is_nan()).fold(0.0, f64::max);
    format!("{:.0} %", most * 100.0)
}

/// Both passes' sheets as one.
pub(crate) fn zip(passes: &[Vec<Vec<f64>>; 2]) -> Vec<Vec<Figure>> {
    let rows = passes[0].iter().zip(&passes[1]);
    rows.map(|(one, two)| one.iter().zip(two).map(|(a, b)| Figure([*a, *b])).collect())
        .collect()
}

/// A markdown table: the first column to the left, the others to the right.
pub(crate) fn markdown(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head
        .iter()
        .map(|cell| cell.chars().count().max(3))
        .collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |cells: &[String]| {
        let mut text = String::from("|");
        for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let _ = if column == 0 {
                write!(text, " {cell:<width$} |")
            } else {
                write!(text, " {cell:>width$} |")
            };
        }
        text + "\n"
    };
    let mut text = line(&head.iter().map(ToString::to_string).collect::<Vec<_>>());
    text += "|";
    for (column, width) in widths.iter().enumerate() {
        let dashes = "-".repeat(width + 1);
        text += &if column == 0 {
            format!("{dashes}-|")
        } else {
            format!("{dashes}:|")
        };
    }
    text += "\n";
    for row in rows {
        text += &line(row);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_passes_show_where_they_differ() {
        let (a, b) = (Figure([1000.0, 1100.0]), Figure([10_000.0, 10_000.0]));
        assert_eq!(
            (a.micros(), b.micros()),
            ("1.05 µs".into(), "10.0 µs".into())
        );
        assert_eq!((a.of(b), b.of(b)), ("0.10–0.11x".into(), "1.00x".into()));
        assert_eq!(noise(&[a, b]), "10 %");
        assert_eq!(Figure([f64::NAN; 2]).micros(), "–");
        assert_eq!(noise(&[Figure([f64::NAN; 2])]), "0 %");
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".into(), "1.0 µs".into()]];
        assert_eq!(
            markdown(&["what", "time"], &rows),
            "\
            | what |   time |\n\
            |------|-------:|\n\
            | a    | 1.0 µs |\n"
        );
    }
}
