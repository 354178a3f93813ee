//! Rows of dots against lines that they should stand on.

use maud::{Markup, html};

use super::scale::Scale;
use super::text::whole_percent;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 30.0;
const ROW: f64 = 52.0;
/// Between one level of a row and the next.
const STEP: f64 = 13.0;
const TOP: f64 = 26.0;
/// Where the scale begins and ends.
const ENDS: (f64, f64) = (0.3, 1.0);
const MARKS: [f64; 8] = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// A row: what it is called, the recipe's shares and the rival's, one a level.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) recipe: Vec<f64>,
    pub(super) rival: Vec<f64>,
}

/// The plot: full dots for the recipe, rings for its rival, each joined to the dashed line where it
/// should stand.
pub(super) fn dots(title: &str, levels: &[f64], rows: &[Row]) -> Markup {
    let x = Scale::straight(ENDS.0, ENDS.1, LEFT, WIDTH - RIGHT);
    let floor = TOP + ROW * rows.len() as f64;
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (floor + 26.0) } role="img" aria-label=(title) {
            @for mark in MARKS {
                line.grid x1=(x.at(mark)) x2=(x.at(mark)) y1=(TOP) y2=(floor) {}
                text.quiet x=(x.at(mark)) y=(floor + 18.0) text-anchor="middle" { (whole_percent(mark)) }
            }
            @for level in levels {
                line.aim x1=(x.at(*level)) x2=(x.at(*level)) y1=(TOP - 4.0) y2=(floor) {}
                text.quiet x=(x.at(*level)) y=(TOP - 10.0) text-anchor="middle" { "P" (format!("{:.0}", level * 100.0)) }
            }
            @for (at, row) in rows.iter().enumerate() {
                @let y = TOP + ROW * (at as f64 + 0.5);
                text x=(LEFT - 10.0) y=(y + 4.0) text-anchor="end" { (row.name) }
                @for (class, shares) in [("rival", &row.rival), ("recipe", &row.recipe)] {
                    @for (nth, (share, level)) in shares.iter().zip(levels).enumerate() {
                        @let y = y + STEP * (nth as f64 - 1.0);
                        line class={ "join " (class) } x1=(x.at(*level)) x2=(x.at(*share)) y1=(y) y2=(y) {}
                        circle class={ (class) " " (if class == "recipe" { "fill" } else { "ring" }) } cx=(x.at(*share)) cy=(y) r="5" {}
                    }
                }
            }
        }
    }
}
