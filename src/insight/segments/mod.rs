//! Segments: clients that buy alike, as much, and are alike.
//!
//! The number of clusters is the one whose clusters stand apart most: the highest mean silhouette
//! among those that the recipe lets be tried. Clusters are named by what sets them apart, so that a name
//! means the same after the next fit; the same book gives the same segments on any number of threads.

mod cluster;
mod features;

use cluster::{Points, centres, nearest, settle, silhouette};
pub use features::{Feature, Features, Member};
use rayon::prelude::*;

use crate::domain::Text;
use crate::recommend::SegmentsRecipe;

/// Marks that a segment is named by, where these tell it from the others.
const NAMED_BY: usize = 2;
/// Bytes of a category, an attribute or a value that go into a name, so that it stays a short text.
const NAME_BYTES: usize = 48;

/// A client's segment, by its place among the segments.
pub type SegmentNo = u16;

/// What sets a segment apart: one feature of its clients beside that of all. Of what clients spend it is
/// the geometric mean, of all else the mean; clients that lack the feature count in neither.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// The feature.
    pub feature: Feature,
    /// Over the segment.
    pub here: f64,
    /// Over all clients.
    pub everywhere: f64,
    /// By how much the segment's centre differs, in the numbers that are clustered.
    pub deviation: f64,
}

/// One segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Its name, made of what sets it apart: `Dairy+,size-` buys more dairy than others, and less in
    /// all.
    pub id: Text,
    /// Clients that it was learnt from.
    pub learnt_from: usize,
    /// What sets it apart, most first.
    pub marks: Vec<Mark>,
    centre: Vec<f64>,
}

/// The segments of a book.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Segmentation {
    features: Features,
    segments: Vec<Segment>,
    /// The mean silhouette by number of segments tried.
    pub silhouettes: Vec<(usize, f64)>,
}

impl Segmentation {
    /// Learns segments from clients that buy; `groups` are the products' categories by number, or
    /// their names where there are none. With too few clients there are no segments. Cost: k-means from
    /// some starts for each number that is tried, on a sample of the clients, the square of a smaller
    /// sample, and one run over all; the order of the clients says which are in a sample.
    pub fn learn(members: &[Member<'_>], groups: &[Text], recipe: &SegmentsRecipe) -> Self {
        if members.len() < recipe.least_clients {
            return Self::default();
        }
        let features = Features::learn(members, groups, recipe);
        let sample = points(&features, &evenly(members, recipe.sample_clients));
        let judged = sample.evenly(recipe.judged_clients);
        let mut silhouettes = Vec::new();
        let mut best: Option<(f64, Vec<Vec<f64>>)> = None;
        for k in 2..=recipe.most.min(members.len() / 2) {
            let centres = centres(&sample, k, recipe.starts);
            if centres.len() < k {
                break;
            }
            let apart = silhouette(&judged, &clusters(&judged, &centres), k);
            silhouettes.push((k, apart));
            // Fewer than the least are no more than a way out where there are no more.
            let wanted = k >= recipe.least;
            let better = |(most, found): &(f64, Vec<Vec<f64>>)| {
                apart > *most || (wanted && found.len() < recipe.least)
            };
            if best.as_ref().is_none_or(better) {
                best = Some((apart, centres));
            }
        }
        let Some((_, chosen)) = best else {
            return Self::default();
        };
        let k = chosen.len();
        let centres = centres(&sample, k, recipe.final_starts.max(recipe.starts));
        if let Some(tried) = silhouettes.iter_mut().find(|(tried, _)| *tried == k) {
            tried.1 = silhouette(&judged, &clusters(&judged, &centres), k);
        }
        let learnt = evenly(members, recipe.learnt_clients);
        let centres = settle(&points(&features, &learnt), centres);
        let mut segments = described(&features, &learnt, centres);
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.learnt_from));
        name(&mut segments);
        Self {
            features,
            segments,
            silhouettes,
        }
    }

    /// The segments, those with most clients first.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// A segment by its place.
    pub fn get(&self, segment: SegmentNo) -> Option<&Segment> {
        self.segments.get(usize::from(segment))
    }

    /// A segment's place by its name.
    pub fn number(&self, id: &str) -> Option<SegmentNo> {
        let mut all = (0..).zip(&self.segments);
        all.find_map(|(at, segment)| (segment.id.as_str() == id).then_some(at))
    }

    /// The segment of a client; `None` where it buys nothing or there are no segments.
    pub fn of(&self, member: Member<'_>) -> Option<SegmentNo> {
        if self.segments.is_empty() || member.cells.is_empty() {
            return None;
        }
        let point = self.features.of(member);
        let squared = |segment: &Segment| -> f64 {
            let both = segment.centre.iter().zip(&point);
            both.map(|(a, b)| (a - b) * (a - b)).sum()
        };
        let mut best = (0, f64::INFINITY);
        for (at, segment) in (0..).zip(&self.segments) {
            let distance = squared(segment);
            if distance < best.1 {
                best = (at, distance);
            }
        }
        Some(best.0)
    }
}

/// The nearest centre of each point.
fn clusters(points: &Points, centres: &[Vec<f64>]) -> Vec<usize> {
    let nearest = |at| nearest(centres, points.row(at)).0;
    (0..points.len()).map(nearest).collect()
}

/// At most so many of them, at even steps.
fn evenly<T: Copy>(all: &[T], most: usize) -> Vec<T> {
    let step = all.len().div_ceil(most.max(1)).max(1);
    all.iter().step_by(step).copied().collect()
}

fn points(features: &Features, members: &[Member<'_>]) -> Points {
    let rows: Vec<Vec<f64>> = members
        .par_iter()
        .map(|member| features.of(*member))
        .collect();
    Points {
        width: features.names().len(),
        values: rows.concat(),
    }
}

/// Segments of these centres, with what sets each apart.
fn described(features: &Features, learnt: &[Member<'_>], centres: Vec<Vec<f64>>) -> Vec<Segment> {
    let names = features.names();
    let width = names.len();
    // The last is of all.
    let mut sums = vec![vec![(0.0, 0_usize); width]; centres.len() + 1];
    let mut sizes = vec![0_usize; centres.len()];
    for member in learnt {
        let cluster = nearest(&centres, &features.of(*member)).0;
        sizes[cluster] += 1;
        for (at, value) in features.plain(*member).into_iter().enumerate() {
            if value.is_nan() {
                continue;
            }
            let value = match names[at] {
                Feature::Size => value.ln(),
                _ => value,
            };
            for of in [cluster, centres.len()] {
                sums[of][at].0 += value;
                sums[of][at].1 += 1;
            }
        }
    }
    let mean = |of: usize, at: usize| {
        let (sum, count) = sums[of][at];
        let mean = sum / count.max(1) as f64;
        match names[at] {
            Feature::Size => mean.exp(),
            _ => mean,
        }
    };
    let all = centres.len();
    let segments = centres.into_iter().enumerate();
    let segments = segments.filter(|(of, _)| sizes[*of] > 0);
    segments
        .map(|(of, centre)| {
            let mark = |at: usize| Mark {
                feature: names[at].clone(),
                here: mean(of, at),
                everywhere: mean(all, at),
                deviation: centre[at],
            };
            let mut marks: Vec<Mark> = (0..width).map(mark).collect();
            marks.sort_by(|a, b| b.deviation.abs().total_cmp(&a.deviation.abs()));
            Segment {
                id: Text::default(),
                learnt_from: sizes[of],
                marks,
                centre,
            }
        })
        .collect()
}

/// Names segments by what sets each apart most, by as little as tells it from those before. Within a
/// name features stand in their order, so that two that are about as strong do not change places in it.
fn name(segments: &mut [Segment]) {
    for at in 0..segments.len() {
        let (before, rest) = segments.split_at_mut(at);
        let taken = |id: &Text| before.iter().any(|segment| segment.id == *id);
        let telling: Vec<&Mark> = rest[0]
            .marks
            .iter()
            .filter(|mark| is_telling(mark))
            .collect();
        let of = |count: usize| {
            let mut marks = telling[..count.min(telling.len())].to_vec();
            marks.sort_by(|a, b| a.feature.cmp(&b.feature));
            let words: Vec<String> = marks.into_iter().map(word).collect();
            words.join(",")
        };
        let named = (NAMED_BY..=telling.len())
            .filter_map(|count| Text::parse(&of(count)).ok())
            .find(|id| !id.is_empty() && !taken(id));
        let numbered = || Text::parse(&format!("{},{}", of(NAMED_BY), at + 1)).unwrap_or_default();
        rest[0].id = named.unwrap_or_else(numbered);
    }
}

/// Whether people would say it of a segment: what its clients are, and not which of many values they
/// lack.
fn is_telling(mark: &Mark) -> bool {
    match mark.feature {
        Feature::Value(..) => mark.deviation > 0.0,
        _ => mark.deviation != 0.0,
    }
}

fn word(mark: &Mark) -> String {
    let sign = if mark.deviation > 0.0 { '+' } else { '-' };
    match &mark.feature {
        Feature::Mix(group) if group.is_empty() => format!("other{sign}"),
        Feature::Mix(group) => format!("{}{sign}", short(group)),
        Feature::Size => format!("size{sign}"),
        Feature::Number(name) => format!("{}{sign}", short(name)),
        Feature::Value(name, value) => format!("{}={}", short(name), short(value)),
    }
}

/// The start of a text.
fn short(text: &Text) -> &str {
    let text = text.as_str();
    let mut end = NAME_BYTES.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::{Attribute, ProductNo};
    use crate::matrix::Cell;
    use crate::recommend::Recipe;

    fn cell(product: u32, ticket: f32) -> Cell {
        Cell {
            product: ProductNo(product),
            ticket,
            last_day: None,
        }
    }

    /// Bakeries that buy flour and bars that buy beer, all of one size.
    fn book() -> Vec<(Vec<Cell>, BTreeMap<Text, Attribute>)> {
        (0..120_u32)
            .map(|at| {
                let scale = 100.0;
                let (first, kind) = if at % 3 == 0 {
                    (0, "bakery")
                } else {
                    (2, "bar")
                };
                let cells = vec![cell(first, scale), cell(first + 1, scale / 2.0)];
                let kind = Attribute::Text(Text::parse(kind).unwrap());
                (
                    cells,
                    BTreeMap::from([(Text::parse("kind").unwrap(), kind)]),
                )
            })
            .collect()
    }

    fn learn(book: &[(Vec<Cell>, BTreeMap<Text, Attribute>)]) -> Segmentation {
        learn_at_most(book, Recipe::standard().unwrap().segments.most)
    }

    fn learn_at_most(book: &[(Vec<Cell>, BTreeMap<Text, Attribute>)], most: usize) -> Segmentation {
        let members: Vec<_> = book
            .iter()
            .map(|(cells, attributes)| Member { cells, attributes })
            .collect();
        let groups = ["flour", "flour", "beer", "beer"].map(|name| Text::parse(name).unwrap());
        let recipe = SegmentsRecipe {
            most,
            ..Recipe::standard().unwrap().segments
        };
        Segmentation::learn(&members, &groups, &recipe)
    }

    #[test]
    fn clients_that_buy_alike_share_a_segment_and_it_says_what_sets_it_apart() {
        let book = book();
        let found = learn(&book);
        assert_eq!(found.segments().len(), 2, "{:?}", found.silhouettes);
        for (at, (cells, attributes)) in book.iter().enumerate() {
            // Bars are more, so they come first.
            let expected = SegmentNo::from(at % 3 == 0);
            assert_eq!(found.of(Member { cells, attributes }), Some(expected));
        }
        let bars = &found.segments()[0];
        assert_eq!(bars.learnt_from, 80);
        assert_ne!(bars.id, found.segments()[1].id);
        assert!(bars.id.as_str().contains("beer+"), "{}", bars.id);
        assert_eq!(found.number(bars.id.as_str()), Some(0));
        assert_eq!(found.number("no such"), None);
        let beer = Feature::Mix(Text::parse("beer").unwrap());
        let beer = bars.marks.iter().find(|mark| mark.feature == beer).unwrap();
        assert!(beer.here > 0.99 && beer.everywhere < 0.7, "{beer:?}");
        let none = BTreeMap::new();
        assert_eq!(
            found.of(Member {
                cells: &[],
                attributes: &none
            }),
            None
        );
    }

    #[test]
    fn a_handful_of_clients_or_clients_all_alike_are_no_segments() {
        assert!(learn(&book()[..5]).segments().is_empty());
        let alike = vec![book()[0].clone(); 50];
        assert!(learn(&alike).segments().is_empty());
    }

    #[test]
    fn the_same_book_gives_the_same_segments_on_one_thread_and_on_two() {
        let book = book();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| learn(&book))
        };
        assert_eq!(on(1), on(2));
    }

    /// Three kinds of clients, of which one in `known` says what it is; names in scripts of many bytes.
    fn three_kinds(known: usize) -> Vec<(Vec<Cell>, BTreeMap<Text, Attribute>)> {
        let long = "乳".repeat(80);
        (0..300_u32)
            .map(|at| {
                let kind = at % 3;
                let scale = [100.0, 300.0, 900.0][kind as usize] + f32::from((at % 7) as u8);
                let cells = vec![cell(kind, scale), cell((kind + 1) % 4, scale / 4.0)];
                let value = Text::parse(&format!("{}{kind}", &long[..240])).unwrap();
                let attributes = match at as usize % known {
                    0 => BTreeMap::from([(
                        Text::parse(&long[..240]).unwrap(),
                        Attribute::Text(value),
                    )]),
                    _ => BTreeMap::new(),
                };
                (cells, attributes)
            })
            .collect()
    }

    #[test]
    fn names_of_any_length_make_segments_that_can_be_asked_for_by_name() {
        let book = three_kinds(1);
        let members: Vec<_> = book
            .iter()
            .map(|(cells, attributes)| Member { cells, attributes })
            .collect();
        let groups: Vec<Text> = (0..4)
            .map(|at| Text::parse(&format!("{}{at}", "é".repeat(120))).unwrap())
            .collect();
        let recipe = Recipe::standard().unwrap().segments;
        let found = Segmentation::learn(&members, &groups, &recipe);
        assert!(found.segments().len() >= recipe.least);
        for (at, segment) in (0..).zip(found.segments()) {
            assert!(!segment.id.is_empty());
            assert_eq!(
                found.number(segment.id.as_str()),
                Some(at),
                "{}",
                segment.id
            );
        }
    }

    #[test]
    fn a_client_that_says_nothing_of_itself_is_put_where_it_buys() {
        // One in five says what it is.
        let book = three_kinds(5);
        let found = learn_at_most(&book, 3);
        assert_eq!(found.segments().len(), 3);
        let of = |at: usize| {
            let (cells, attributes) = &book[at];
            found.of(Member { cells, attributes })
        };
        for at in 0..book.len() {
            assert_eq!(of(at), of(at % 3), "client {at}");
        }
        assert!(of(0) != of(1) && of(1) != of(2) && of(2) != of(0));
    }

    #[test]
    fn a_book_of_a_few_kinds_has_no_fewer_segments_than_the_recipe_says() {
        let recipe = Recipe::standard().unwrap().segments;
        let found = learn(&three_kinds(1));
        assert!(
            found.segments().len() >= recipe.least,
            "{:?}",
            found.silhouettes
        );
        assert_eq!(found.silhouettes[0].0, 2);
    }
}
