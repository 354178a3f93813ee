//! Curves over one horizontal scale.

use maud::{Markup, html};

use super::scale::{Scale, ticks};
use super::text::whole_percent;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 48.0;

/// Marks closer than this to the one before get no text: beside each other, and one on the other.
const APART: (f64, f64) = (38.0, 15.0);

/// A curve: its class in the style sheet, and its points.
pub(super) struct Curve {
    pub(super) class: &'static str,
    pub(super) points: Vec<(f64, f64)>,
    /// Whether each point gets a mark.
    pub(super) marked: bool,
}

/// A plot of shares, both ways from 0.
pub(super) struct Lines<'a> {
    /// What it shows, for those who cannot see it.
    pub(super) title: &'a str,
    /// What stands under the horizontal scale, and beside the vertical one.
    pub(super) across: &'a str,
    pub(super) up: &'a str,
    /// Where the horizontal scale is marked; the last one is its end. By square roots.
    pub(super) marks: &'a [f64],
    /// The highest value, and whether it too is drawn by square roots.
    pub(super) high: f64,
    pub(super) root: bool,
    /// Whether equal values are joined by a dashed line.
    pub(super) diagonal: bool,
    pub(super) curves: &'a [Curve],
}

impl Lines<'_> {
    /// The plot.
    pub(super) fn draw(&self) -> Markup {
        let end = self.marks.last().copied().unwrap_or(1.0);
        let x = Scale::root(end, LEFT, WIDTH - RIGHT);
        let levels = match self.root {
            true => self.marks.to_vec(),
            false => ticks(self.high),
        };
        let high = levels.last().copied().unwrap_or(1.0);
        let (floor, ceiling) = (HEIGHT - BOTTOM, TOP);
        let y = match self.root {
            true => Scale::root(high, floor, ceiling),
            false => Scale::straight(0.0, high, floor, ceiling),
        };
        let path = |curve: &Curve| {
            let places = curve.points.iter().enumerate().map(|(at, point)| {
                let step = if at == 0 { 'M' } else { 'L' };
                format!("{step}{} {}", x.at(point.0), y.at(point.1))
            });
            places.collect::<String>()
        };
        html! {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(self.title) {
                @for level in &levels {
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y.at(*level)) y2=(y.at(*level)) {}
                }
                @for level in readable(&levels, &y, APART.1) {
                    text.quiet x=(LEFT - 8.0) y=(y.at(level) + 4.0) text-anchor="end" { (whole_percent(level)) }
                }
                @for mark in self.marks {
                    line.grid x1=(x.at(*mark)) x2=(x.at(*mark)) y1=(ceiling) y2=(floor) {}
                }
                @for mark in readable(self.marks, &x, APART.0) {
                    text.quiet x=(x.at(mark)) y=(floor + 18.0) text-anchor="middle" { (whole_percent(mark)) }
                }
                @if self.diagonal {
                    @let most = end.min(high);
                    line.aim x1=(x.at(0.0)) y1=(y.at(0.0)) x2=(x.at(most)) y2=(y.at(most)) {}
                }
                @for curve in self.curves {
                    path class={ "line " (curve.class) } d=(path(curve)) {}
                    @if curve.marked {
                        @for point in &curve.points {
                            circle class={ "fill " (curve.class) } cx=(x.at(point.0)) cy=(y.at(point.1)) r="4.5" {}
                        }
                    }
                }
                text.quiet x=(f64::midpoint(LEFT, WIDTH - RIGHT)) y=(HEIGHT - 8.0) text-anchor="middle" { (self.across) }
                text.quiet transform={ "translate(13 " (f64::midpoint(floor, ceiling)) ") rotate(-90)" } text-anchor="middle" { (self.up) }
            }
        }
    }
}

/// The marks that have room for their text.
fn readable(marks: &[f64], scale: &Scale, apart: f64) -> Vec<f64> {
    let mut kept: Vec<f64> = Vec::new();
    for &mark in marks {
        if kept
            .last()
            .is_none_or(|last| (scale.at(mark) - scale.at(*last)).abs() >= apart)
        {
            kept.push(mark);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_would_run_into_each_other_get_no_text() {
        let x = Scale::root(1.0, 0.0, 700.0);
        let marks = readable(&[0.0, 0.005, 0.01, 0.02, 0.05, 1.0], &x, 38.0);
        assert_eq!(marks, [0.0, 0.005, 0.02, 0.05, 1.0]);
    }
}
