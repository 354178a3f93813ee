//! Predictions as CSV files, in the formats of the evaluation protocol.

use std::path::{Path, PathBuf};

use super::files::{FilesError, MINOR};
use super::forecast::{Hidden, Offer};
use crate::domain::{ClientNo, ProductNo};
use crate::recommend::ListsRecipe;
use crate::recommend::adoption::{Page, Rated};
use crate::recommend::growth::{Growth, balanced};

/// Rows of a client's top list.
const TOP: usize = 20;
/// Share of all pairs not bought that the pipeline lists: twice what is looked at.
const PIPELINE_SHARE: f64 = 0.02;

/// What an offer is ordered by, largest first.
type Figure = fn(&Offer) -> f64;
/// A client's list in order, with scores that fall.
type Order<'a> = &'a dyn Fn(&[Offer]) -> Vec<(f64, Offer)>;

/// A folder that predictions go to, and what numbers are called there.
pub(super) struct Answers<'a> {
    pub(super) folder: &'a Path,
    pub(super) client: &'a dyn Fn(ClientNo) -> &'a str,
    pub(super) product: &'a dyn Fn(ProductNo) -> &'a str,
    /// How lists that serve two ends are ordered.
    pub(super) lists: &'a ListsRecipe,
}

impl Answers<'_> {
    /// `t1.csv` lists each client's first for hits and for money together, `t1_probability.csv` and
    /// `t1_money.csv` for one of them. Rows written.
    pub(super) fn top_lists(&self, offers: &[Offer]) -> Result<usize, FilesError> {
        let page = Page::of(offers.iter().map(rated), self.lists);
        let orders: [(&str, Order<'_>); 3] = [
            ("t1.csv", &|offers| page.order(offers, rated)),
            ("t1_probability.csv", &|offers| {
                by(offers, |offer| offer.probability)
            }),
            ("t1_money.csv", &|offers| {
                by(offers, |offer| offer.money / MINOR)
            }),
        ];
        let mut rows = 0;
        for (name, order) in orders {
            rows += self.top_list(name, offers, order)?;
        }
        Ok(rows)
    }

    fn top_list(
        &self,
        name: &str,
        offers: &[Offer],
        order: Order<'_>,
    ) -> Result<usize, FilesError> {
        let mut file = Answer::create(&self.folder.join(name), "client_id,product_id,score")?;
        for of_client in offers.chunk_by(|a, b| a.client == b.client) {
            let known = of_client.iter().filter(|offer| offer.probability > 0.0);
            let known: Vec<Offer> = known.copied().collect();
            for (score, offer) in order(&known).into_iter().take(TOP) {
                let (client, product) = self.ids(offer.client, offer.product);
                file.row(&[client, product, &score.to_string()])?;
            }
        }
        file.finish()
    }

    /// `t2.csv`: the pipeline, twice the pairs that are looked at.
    pub(super) fn pipeline(&self, offers: &[Offer]) -> Result<usize, FilesError> {
        let mut pairs: Vec<&Offer> = offers
            .iter()
            .filter(|offer| offer.probability > 0.0)
            .collect();
        let listed = (pairs.len() as f64 * PIPELINE_SHARE).ceil() as usize;
        pairs.sort_unstable_by(|a, b| {
            let pair = |offer: &Offer| (offer.client, offer.product);
            b.money.total_cmp(&a.money).then(pair(a).cmp(&pair(b)))
        });
        let header = "client_id,product_id,expected_value";
        let mut file = Answer::create(&self.folder.join("t2.csv"), header)?;
        for offer in pairs.into_iter().take(listed) {
            let (client, product) = self.ids(offer.client, offer.product);
            file.row(&[client, product, &(offer.money / MINOR).to_string()])?;
        }
        file.finish()
    }

    /// `t34.csv`: the probability and the ticket of the pairs given.
    pub(super) fn pairs<'o>(
        &self,
        offers: impl Iterator<Item = &'o Offer>,
    ) -> Result<usize, FilesError> {
        let header = "client_id,product_id,probability,ticket";
        let mut file = Answer::create(&self.folder.join("t34.csv"), header)?;
        for offer in offers {
            let (client, product) = self.ids(offer.client, offer.product);
            let probability = offer.probability.to_string();
            let ticket = (offer.ticket / MINOR).to_string();
            file.row(&[client, product, &probability, &ticket])?;
        }
        file.finish()
    }

    /// `t5.csv`: the quantiles of hidden tickets, by fold.
    pub(super) fn potential<'o>(
        &self,
        cells: impl Iterator<Item = (&'o str, Hidden, [f64; 3])>,
    ) -> Result<usize, FilesError> {
        let header = "fold,client_id,product_id,q50,q80,q90";
        let mut file = Answer::create(&self.folder.join("t5.csv"), header)?;
        for (fold, cell, quantiles) in cells {
            let (client, product) = self.ids(cell.client, cell.product);
            let [q50, q80, q90] = quantiles.map(|ticket| (ticket / MINOR).to_string());
            file.row(&[fold, client, product, &q50, &q80, &q90])?;
        }
        file.finish()
    }

    /// Growth of bought tickets: `t6.csv` for rises and net change together, `t6_rise.csv` and
    /// `t6_net.csv` for one of them.
    pub(super) fn growth(&self, growth: &[Growth]) -> Result<usize, FilesError> {
        let both = balanced(growth, self.lists.net_weight);
        let rise: Vec<f64> = growth.iter().map(|one| one.rise).collect();
        let net: Vec<f64> = growth.iter().map(|one| one.likely).collect();
        let mut rows = 0;
        for (name, figures) in [("t6.csv", both), ("t6_rise.csv", rise), ("t6_net.csv", net)] {
            let header = "client_id,product_id,growth";
            let mut file = Answer::create(&self.folder.join(name), header)?;
            for (one, figure) in growth.iter().zip(figures) {
                let (client, product) = self.ids(one.client, one.product);
                file.row(&[client, product, &(figure / MINOR).to_string()])?;
            }
            rows += file.finish()?;
        }
        Ok(rows)
    }

    fn ids(&self, client: ClientNo, product: ProductNo) -> (&str, &str) {
        ((self.client)(client), (self.product)(product))
    }
}

fn rated(offer: &Offer) -> Rated {
    Rated {
        product: offer.product,
        probability: offer.probability,
        money: offer.money,
    }
}

/// A list by one figure, largest first.
fn by(offers: &[Offer], figure: Figure) -> Vec<(f64, Offer)> {
    let mut rows: Vec<(f64, Offer)> = offers.iter().map(|of| (figure(of), *of)).collect();
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.product.cmp(&b.1.product)));
    rows
}

/// A file of predictions that is being written.
struct Answer {
    path: PathBuf,
    writer: csv::Writer<std::fs::File>,
    rows: usize,
}

impl Answer {
    fn create(path: &Path, header: &str) -> Result<Self, FilesError> {
        let file = std::fs::File::create(path).map_err(|source| FilesError::Unwritable {
            path: path.to_owned(),
            source,
        })?;
        let mut answer = Self {
            path: path.to_owned(),
            writer: csv::Writer::from_writer(file),
            rows: 0,
        };
        let names: Vec<&str> = header.split(',').collect();
        answer.row(&names)?;
        answer.rows = 0;
        Ok(answer)
    }

    fn row(&mut self, fields: &[&str]) -> Result<(), FilesError> {
        self.rows += 1;
        let written = self.writer.write_record(fields);
        written.map_err(|error| self.failed(error.into()))
    }

    fn finish(mut self) -> Result<usize, FilesError> {
        match self.writer.flush() {
            Ok(()) => Ok(self.rows),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, source: std::io::Error) -> FilesError {
        FilesError::Unwritable {
            path: self.path.clone(),
            source,
        }
    }
}
