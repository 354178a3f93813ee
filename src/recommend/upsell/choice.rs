//! What is left to the data: the form of the factor model, and what an estimate is mixed of.

use super::factors::FactorRule;
use crate::neighbours::DistanceRule;
use crate::recommend::Book;

/// What the data chose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The factor model.
    pub factors: FactorRule,
    /// Nearest buyers that are kept.
    pub neighbours: usize,
    /// Weight of all buyers of the product, in average neighbours.
    pub product_weight: f64,
    /// Weight of the whole book, in average neighbours.
    pub book_weight: f64,
    /// Weight of all attributes in the distance, in shared products.
    pub attribute_weight: f64,
}

/// Variants of the factor model, from the simplest on; the simplest is where a choice starts.
pub(super) const FACTOR_RULES: [FactorRule; 5] = [
    FactorRule {
        rank: 1,
        ridge: 150.0,
        intercept_ridge: 10.0,
    },
    FactorRule {
        rank: 4,
        ridge: 10.0,
        intercept_ridge: 0.0,
    },
    FactorRule {
        rank: 8,
        ridge: 40.0,
        intercept_ridge: 1.0,
    },
    FactorRule {
        rank: 8,
        ridge: 120.0,
        intercept_ridge: 4.0,
    },
    FactorRule {
        rank: 8,
        ridge: 400.0,
        intercept_ridge: 12.0,
    },
];

/// How many times the neighbours of the simplest choice are tried.
const MORE_NEIGHBOURS: usize = 2;

impl Choice {
    /// A share of the way to another choice of the same factors.
    pub(super) fn toward(&self, other: &Self, share: f64) -> Self {
        let mix = |from: f64, to: f64| from + share * (to - from);
        Self {
            neighbours: mix(self.neighbours as f64, other.neighbours as f64).round() as usize,
            product_weight: mix(self.product_weight, other.product_weight),
            book_weight: mix(self.book_weight, other.book_weight),
            attribute_weight: mix(self.attribute_weight, other.attribute_weight),
            ..*self
        }
    }

    /// How far apart two clients of a book are.
    pub(super) fn distance_rule(&self, book: &Book<'_>) -> DistanceRule {
        let upsell = &book.recipe.upsell;
        DistanceRule {
            spread: book.statistics.spread(),
            shrink: upsell.distance_shrink,
            floor: upsell.distance_floor,
            attribute_weight: self.attribute_weight,
        }
    }

    /// As many neighbours as any choice for a book keeps.
    pub(super) fn most_neighbours(book: &Book<'_>) -> usize {
        MORE_NEIGHBOURS * Self::simplest(book).neighbours
    }

    pub(super) fn simplest(book: &Book<'_>) -> Self {
        let upsell = &book.recipe.upsell;
        let small = book.matrix.products() < upsell.small_catalogue;
        Self {
            factors: FactorRule {
                rank: upsell.most_factors.min(1),
                ridge: 150.0,
                intercept_ridge: 0.0,
            },
            neighbours: if small {
                upsell.neighbours_small_catalogue
            } else {
                upsell.neighbours
            },
            product_weight: upsell.pseudo_weight,
            book_weight: upsell.pseudo_weight,
            attribute_weight: 0.0,
        }
    }

    /// Changes to try one after the other, each to what the ones before it left.
    pub(super) fn variants(book: &Book<'_>) -> Vec<Box<dyn Fn(Self) -> Self + Sync>> {
        let mut variants: Vec<Box<dyn Fn(Self) -> Self + Sync>> = vec![
            Box::new(|choice| Self {
                neighbours: choice.neighbours * MORE_NEIGHBOURS,
                ..choice
            }),
            Box::new(|choice| Self {
                product_weight: choice.product_weight * 3.0,
                ..choice
            }),
            Box::new(|choice| Self {
                product_weight: 0.0,
                ..choice
            }),
            Box::new(|choice| Self {
                book_weight: choice.book_weight * 3.0,
                ..choice
            }),
        ];
        let weight = book.recipe.upsell.attribute_weight;
        if book.profiles.attributes() > 0 && weight > 0.0 {
            for weight in [weight, 10.0 * weight] {
                variants.push(Box::new(move |choice| Self {
                    attribute_weight: weight,
                    ..choice
                }));
            }
            // Neighbours of the same kind say more when fewer strangers are mixed in.
            variants.push(Box::new(|choice| Self {
                product_weight: choice.product_weight / 4.0,
                book_weight: choice.book_weight / 4.0,
                ..choice
            }));
        }
        variants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_between_two_lies_between_them() {
        let from = Choice {
            factors: FACTOR_RULES[0],
            neighbours: 100,
            product_weight: 10.0,
            book_weight: 10.0,
            attribute_weight: 0.0,
        };
        let to = Choice {
            neighbours: 200,
            product_weight: 0.0,
            attribute_weight: 2.0,
            ..from
        };
        let half = from.toward(&to, 0.5);
        let expected = Choice {
            neighbours: 150,
            product_weight: 5.0,
            attribute_weight: 1.0,
            ..from
        };
        assert_eq!(half, expected);
        assert_eq!(from.toward(&from, 0.3), from);
    }
}
