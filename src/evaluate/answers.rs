//! Predictions as CSV files, in the formats of the evaluation protocol.

use std::path::{Path, PathBuf};

use super::files::{FilesError, MINOR};
use super::forecast::{Hidden, Offer};
use crate::domain::{ClientNo, ProductNo};
use crate::recommend::growth::Growth;

/// Rows of a client's top list.
const TOP: usize = 20;
/// Share of all pairs not bought that the pipeline lists: twice what is looked at.
const PIPELINE_SHARE: f64 = 0.02;

/// What an offer is ordered by, largest first.
type Order = fn(&Offer) -> f64;

/// A folder that predictions go to, and what numbers are called there.
pub(super) struct Answers<'a> {
    pub(super) folder: &'a Path,
    pub(super) client: &'a dyn Fn(ClientNo) -> &'a str,
    pub(super) product: &'a dyn Fn(ProductNo) -> &'a str,
}

impl Answers<'_> {
    /// `t1.csv` lists each client's first by probability, `t1_money.csv` by expected money: two
    /// questions with two answers. Rows written.
    pub(super) fn top_lists(&self, offers: &[Offer]) -> Result<usize, FilesError> {
        let likely: Order = |offer| offer.probability;
        let valuable: Order = |offer| offer.money / MINOR;
        Ok(self.top_list("t1.csv", offers, likely)?
            + self.top_list("t1_money.csv", offers, valuable)?)
    }

    fn top_list(&self, name: &str, offers: &[Offer], order: Order) -> Result<usize, FilesError> {
        let mut file = Answer::create(&self.folder.join(name), "client_id,product_id,score")?;
        for of_client in offers.chunk_by(|a, b| a.client == b.client) {
            let mut top: Vec<(f64, &Offer)> = of_client
                .iter()
                .filter(|offer| offer.probability > 0.0)
                .map(|offer| (order(offer), offer))
                .collect();
            top.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.product.cmp(&b.1.product)));
            for (score, offer) in top.into_iter().take(TOP) {
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

    /// Growth of bought tickets: `t6.csv` by expected rise, `t6_net.csv` by expected net change.
    pub(super) fn growth(&self, growth: &[Growth]) -> Result<usize, FilesError> {
        let header = "client_id,product_id,growth";
        let mut rise = Answer::create(&self.folder.join("t6.csv"), header)?;
        let mut net = Answer::create(&self.folder.join("t6_net.csv"), header)?;
        for one in growth {
            let (client, product) = self.ids(one.client, one.product);
            rise.row(&[client, product, &(one.rise / MINOR).to_string()])?;
            net.row(&[client, product, &(one.likely / MINOR).to_string()])?;
        }
        Ok(rise.finish()? + net.finish()?)
    }

    fn ids(&self, client: ClientNo, product: ProductNo) -> (&str, &str) {
        ((self.client)(client), (self.product)(product))
    }
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
