//! One order of a client's list that serves two ends: many hits, and much money.

use crate::domain::ProductNo;
use crate::recommend::recipe::ListsRecipe;

/// What a row of a list is ordered by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rated {
    /// The product.
    pub product: ProductNo,
    /// Of a first purchase within the horizon.
    pub probability: f64,
    /// Probability times the mean ticket, minor units a period.
    pub money: f64,
}

/// How lists are ordered in one book.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Page {
    rows: usize,
    /// What a new product in a client's basket counts for beside its ticket, minor units a period.
    worth: f64,
}

impl Page {
    /// For a book whose clients may take up all of these: the worth of a new product is the
    /// recipe's number of average tickets.
    pub fn of(offers: impl Iterator<Item = Rated>, recipe: &ListsRecipe) -> Self {
        let (mut money, mut hits) = (0.0, 0.0);
        for offer in offers {
            money += offer.money;
            hits += offer.probability;
        }
        Self {
            rows: recipe.page_rows,
            worth: recipe.new_product_worth * money / f64::max(hits, 1e-9),
        }
    }

    /// Brings a client's list into order, and gives each row the score that says so.
    ///
    /// Each page is chosen by `probability x (worth + mean ticket)`: for one weight of money
    /// against hits, no other choice expects more of both. It is then read by probability. The
    /// score is the probability plus the number of pages that follow. Ties go by product number.
    pub fn order<T: Copy>(&self, offers: &[T], rated: impl Fn(&T) -> Rated) -> Vec<(f64, T)> {
        let value = |of: &Rated| of.money + self.worth * of.probability;
        let mut rows: Vec<(Rated, T)> = offers.iter().map(|of| (rated(of), *of)).collect();
        rows.sort_unstable_by(|(a, _), (b, _)| {
            let by_value = value(b).total_cmp(&value(a));
            by_value.then(a.product.cmp(&b.product))
        });
        let pages = rows.len().div_ceil(self.rows);
        let mut ordered = Vec::with_capacity(rows.len());
        for (at, page) in rows.chunks_mut(self.rows).enumerate() {
            page.sort_unstable_by(|(a, _), (b, _)| {
                let by_probability = b.probability.total_cmp(&a.probability);
                by_probability.then(a.product.cmp(&b.product))
            });
            let after = (pages - 1 - at) as f64;
            ordered.extend(page.iter().map(|(of, row)| (after + of.probability, *row)));
        }
        ordered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adoption(product: u32, probability: f64, ticket: f64) -> Rated {
        Rated {
            product: ProductNo(product),
            probability,
            money: probability * ticket,
        }
    }

    #[test]
    fn a_page_is_chosen_by_value_and_read_by_probability() {
        let adoptions = [
            adoption(0, 0.50, 10.0),
            adoption(1, 0.30, 20.0),
            adoption(2, 0.20, 300.0),
            adoption(3, 0.31, 1.0),
            adoption(4, 0.20, 300.0),
        ];
        let recipe = ListsRecipe {
            page_rows: 2,
            new_product_worth: 1.0,
            net_weight: 0.5,
        };
        let page = Page::of(adoptions.into_iter(), &recipe);
        let order = |page: &Page| -> Vec<u32> {
            let rows = page.order(&adoptions, |of| *of);
            assert!(
                rows.windows(2).all(|pair| pair[0].0 >= pair[1].0),
                "{rows:?}"
            );
            rows.iter().map(|row| row.1.product.0).collect()
        };
        assert_eq!(order(&page), [2, 4, 0, 1, 3]);
        let hits_alone = Page {
            worth: 1e12,
            ..page
        };
        assert_eq!(order(&hits_alone), [0, 3, 1, 2, 4]);
        assert_eq!(page.order(&[], |of: &Rated| *of), []);
    }
}
