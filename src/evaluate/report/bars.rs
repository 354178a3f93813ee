//! Rows of two bars: the recipe's and its rival's.

use maud::{Markup, html};

use super::scale::{Scale, ticks};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 240.0;
const RIGHT: f64 = 64.0;
const ROW: f64 = 40.0;
const BAR: f64 = 13.0;
/// Letters of a name that fit before the bars.
const LETTERS: usize = 28;

/// A row: what it is called, the recipe's value and the rival's.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) recipe: Option<f64>,
    pub(super) rival: Option<f64>,
}

/// How a value is written, at a bar and under the scale.
pub(super) struct Written {
    pub(super) value: fn(f64) -> String,
    pub(super) mark: fn(f64) -> String,
}

/// The plot. A value that is not there has no bar.
pub(super) fn bars(title: &str, rows: &[Row], written: &Written) -> Markup {
    let values = rows.iter().flat_map(|row| [row.recipe, row.rival]);
    let high = values.flatten().fold(0.0_f64, f64::max);
    let levels = ticks(high);
    let end = levels.last().copied().unwrap_or(1.0);
    let x = Scale::straight(0.0, end, LEFT, WIDTH - RIGHT);
    let floor = ROW * rows.len() as f64 + 6.0;
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (floor + 26.0) } role="img" aria-label=(title) {
            @for level in &levels {
                line.grid x1=(x.at(*level)) x2=(x.at(*level)) y1="0" y2=(floor) {}
                text.quiet x=(x.at(*level)) y=(floor + 18.0) text-anchor="middle" { ((written.mark)(*level)) }
            }
            @for (at, row) in rows.iter().enumerate() {
                @let top = ROW * at as f64 + 6.0;
                text x=(LEFT - 10.0) y=(top + BAR + 5.0) text-anchor="end" { (cut(&row.name)) }
                @for (class, value, y) in [("recipe", row.recipe, top), ("rival", row.rival, top + BAR + 1.0)] {
                    @if let Some(value) = value {
                        rect class={ "fill " (class) } x=(LEFT) y=(y) height=(BAR) width=(width(&x, value)) {}
                        text.quiet x=(x.at(value) + 5.0) y=(y + 11.0) { ((written.value)(value)) }
                    }
                }
            }
        }
    }
}

fn width(x: &Scale, value: f64) -> String {
    format!("{:.1}", x.at(value) - LEFT)
}

/// A name that fits, cut where it is long.
fn cut(name: &str) -> String {
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    let mut short: String = name.chars().take(LETTERS - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_between_letters() {
        assert_eq!(cut("São João"), "São João");
        let long = "ã".repeat(40);
        assert_eq!(cut(&long).chars().count(), LETTERS);
    }
}
