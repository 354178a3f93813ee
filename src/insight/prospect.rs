//! How a company that does not buy yet looks beside those that do, and when it is not worth a call.

use std::collections::BTreeMap;

use super::IdealProfile;
use crate::domain::{Attribute, Text};
use crate::neighbours::Profile;
use crate::recommend::ProspectsRecipe;

/// Why a prospect is not worth a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unfit {
    /// It buys already.
    Buys,
    /// It has no attribute, or no value of one, that buyers have.
    NothingKnown,
    /// It has too few of the attributes that buyers are compared by.
    MissingAttributes,
    /// It is like no buyer.
    TooFar,
    /// It looks less like the best clients than most buyers do.
    OutsideProfile,
    /// No product can be named that it would buy.
    NoProduct,
}

/// How a company looks beside the buyers of a book.
#[derive(Debug, Clone, PartialEq)]
pub struct Looks {
    /// How many of 100 buyers look less like the best; `None` where the book has too few to tell.
    pub fit: Option<f64>,
    /// What each of its attributes adds to the score behind its fit, the largest first.
    pub terms: Vec<(Text, f64)>,
    /// Mean difference to the farthest of its nearest buyers, where two clients at random differ by
    /// about 1; `None` where it shares no attribute with so many.
    pub difference: Option<f64>,
    /// Attributes that buyers are compared by and that it has.
    pub known: usize,
    /// Attributes that buyers are compared by.
    pub compared: usize,
    /// Why it is not worth a call.
    pub unfit: Vec<Unfit>,
}

/// Looks at a company. `own` is its profile among `buyers`. Cost: the attributes of all buyers.
pub fn looks<'a>(
    attributes: &BTreeMap<Text, Attribute>,
    own: &Profile<'_>,
    buyers: impl Iterator<Item = Profile<'a>>,
    compared: usize,
    ideal: &IdealProfile,
    recipe: &ProspectsRecipe,
) -> Looks {
    let lifts = ideal.lifts.as_ref();
    let mut terms = lifts.map_or_else(Vec::new, |lifts| lifts.terms(attributes));
    terms.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
    let fit = lifts.map(|lifts| lifts.fit(&terms));
    let known = own.known();
    let difference = nearest(own, buyers, recipe.nearest);
    let mut unfit = Vec::new();
    if known == 0 {
        unfit.push(Unfit::NothingKnown);
    } else {
        if (known as f64) < recipe.least_known_share * compared as f64 {
            unfit.push(Unfit::MissingAttributes);
        }
        if difference.is_none_or(|difference| difference > recipe.most_difference) {
            unfit.push(Unfit::TooFar);
        }
        let tells = lifts.is_some_and(|lifts| lifts.telling().low > 0.5);
        if tells && fit.is_some_and(|fit| fit < recipe.least_fit) {
            unfit.push(Unfit::OutsideProfile);
        }
    }
    Looks {
        fit,
        terms,
        difference,
        known,
        compared,
        unfit,
    }
}

/// The mean difference to the `count`-th nearest of some buyers; `None` where fewer share an attribute.
fn nearest<'a>(
    own: &Profile<'_>,
    buyers: impl Iterator<Item = Profile<'a>>,
    count: usize,
) -> Option<f64> {
    let mut differences: Vec<f64> = buyers
        .filter_map(|buyer| {
            let (sum, shared) = own.difference(&buyer);
            (shared > 0).then(|| f64::from(sum) / f64::from(shared))
        })
        .collect();
    let at = count.checked_sub(1)?;
    if differences.len() < count {
        return None;
    }
    let (_, difference, _) = differences.select_nth_unstable_by(at, f64::total_cmp);
    Some(*difference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ClientNo;
    use crate::insight::{Buyer, IdealProfile};
    use crate::neighbours::Profiles;
    use crate::recommend::Recipe;

    fn company(sector: &str, staff: f64) -> BTreeMap<Text, Attribute> {
        let text = |raw: &str| Text::parse(raw).unwrap();
        BTreeMap::from([
            (text("sector"), Attribute::Text(text(sector))),
            (text("staff"), Attribute::Number(staff)),
        ])
    }

    /// 60 bakeries, of which most are among the best, and 60 hotels, of which few are.
    fn seen(prospect: &BTreeMap<Text, Attribute>) -> Looks {
        let recipe = Recipe::standard().unwrap();
        let all: Vec<_> = (0..120)
            .map(|at| company(["bakery", "hotel"][at % 2], 10.0 + (at / 2) as f64))
            .collect();
        let buyers: Vec<Buyer<'_>> = all
            .iter()
            .enumerate()
            .map(|(at, attributes)| Buyer {
                attributes,
                expected_year_minor: 1,
                is_best: match at % 2 {
                    0 => at % 10 != 0,
                    _ => at % 10 == 1,
                },
            })
            .collect();
        let ideal = IdealProfile::of(&buyers, &recipe.ideal);
        let profiles = Profiles::of(&all.iter().collect::<Vec<_>>());
        let encoded = profiles.encode(prospect);
        looks(
            prospect,
            &profiles.profile(&encoded),
            (0..120).map(|at| profiles.of_client(ClientNo(at))),
            profiles.attributes(),
            &ideal,
            &recipe.prospects,
        )
    }

    #[test]
    fn a_company_like_the_best_fits_and_one_unlike_anybody_is_told_why() {
        let bakery = seen(&company("bakery", 30.0));
        assert_eq!(bakery.unfit, []);
        assert!(bakery.fit.unwrap() > 60.0, "{bakery:?}");
        let hotel = seen(&company("hotel", 30.0));
        assert!(hotel.fit.unwrap() < bakery.fit.unwrap());
        let far = seen(&company("bakery", 5_000.0));
        assert_eq!(far.unfit, [Unfit::TooFar], "{far:?}");
        let mut half = company("bakery", 30.0);
        half.remove("staff");
        assert_eq!(seen(&half).unfit, []);
        assert_eq!(seen(&BTreeMap::new()).unfit, [Unfit::NothingKnown]);
        assert_eq!(seen(&company("circus", f64::NAN)).known, 0);
    }
}
