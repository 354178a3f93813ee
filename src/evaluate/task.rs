//! Answers a task: predictions for what a folder asks, from what it shows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::answers::Answers;
use super::baselines::product_quantiles;
use super::files::{Files, FilesError, MINOR, Table, field, matrix, number};
use super::forecast::{Hidden, Offer, Stage};
use super::plan::Horizon;
use crate::domain::{DAYS_PER_MONTH, Day};
use crate::matrix::TicketMatrix;
use crate::recommend::Recipe;
use crate::recommend::adoption::{AdoptionFit, matrix_before};

#[derive(Deserialize)]
struct Manifest {
    first_test_day: Option<String>,
    last_day: Option<String>,
}

impl Horizon {
    /// Reads the window from a task's `manifest.json`: `first_test_day` and `last_day`. `None` for
    /// a task without dates.
    pub fn from_manifest(path: &Path) -> Result<Option<Self>, FilesError> {
        let malformed = |problem: String| FilesError::Malformed {
            path: path.to_owned(),
            line: 1,
            problem,
        };
        let text = std::fs::read_to_string(path).map_err(|source| FilesError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        let (Some(first), Some(last)) = (manifest.first_test_day, manifest.last_day) else {
            return Ok(None);
        };
        let day =
            |raw: &str| Day::parse(raw).map_err(|error| malformed(format!("`{raw}` {error}")));
        let (as_of, last) = (day(&first)?, day(&last)?);
        let days = last.epoch_days() - as_of.epoch_days() + 1;
        if days < 1 {
            return Err(malformed(
                "`last_day` is before `first_test_day`".to_owned(),
            ));
        }
        Ok(Some(Self {
            as_of,
            days: days as u32,
        }))
    }
}

/// A task as it was read.
#[derive(Debug)]
pub struct Task {
    folder: PathBuf,
    files: Files,
    horizon: Option<Horizon>,
    recipe: Recipe,
}

/// What was answered.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Answered {
    /// What the adoption model rests on, where the task has dates.
    pub adoption: Option<AdoptionFit>,
    /// Rows written, all files together.
    pub rows: usize,
}

impl Task {
    /// Reads a task's `in` folder. A horizon says that its sales have dates.
    pub fn read(
        folder: &Path,
        horizon: Option<Horizon>,
        recipe: Recipe,
    ) -> Result<Self, FilesError> {
        Ok(Self {
            folder: folder.to_owned(),
            files: Files::read(folder)?,
            horizon,
            recipe,
        })
    }

    /// Answers everything that is asked, into CSV files in `out`, which must exist.
    ///
    /// `t1.csv` lists for hits and for money together, see [`Page::order`]; `t1_probability.csv` and
    /// `t1_money.csv` for one of them. `t2.csv` holds twice the pairs that are looked at, `t34.csv`
    /// the asked pairs, `t5.csv` the asked cells. `t6.csv` weighs the expected rise of every bought
    /// ticket and its expected net change, see [`balanced`]; `t6_rise.csv` and `t6_net.csv` hold
    /// one of them. A task without dates gets `t5.csv` alone.
    ///
    /// [`Page::order`]: crate::recommend::adoption::Page::order
    /// [`balanced`]: crate::recommend::growth::balanced
    /// Sales from the horizon on, were there any, are not read. The same task gives the same bytes.
    pub fn answer(&self, out: &Path) -> Result<Answered, FilesError> {
        let mut answered = Answered::default();
        let files = &self.files;
        let client = |no: crate::domain::ClientNo| files.clients[no.index()].as_str();
        let product = |no: crate::domain::ProductNo| files.products[no.index()].as_str();
        let answers = Answers {
            folder: out,
            client: &client,
            product: &product,
            lists: &self.recipe.lists,
        };
        if let Some(horizon) = self.horizon
            && !files.log.is_empty()
        {
            let matrix = matrix_before(&files.log, horizon.as_of, DAYS_PER_MONTH);
            self.answer_adoption(horizon, &self.stage(&matrix), &answers, &mut answered)?;
        }
        if Table::exists(&self.folder, "t5_ask.csv") {
            answered.rows += self.answer_potential(&answers)?;
        }
        Ok(answered)
    }

    fn stage<'a>(&'a self, matrix: &'a TicketMatrix) -> Stage<'a> {
        let files = &self.files;
        let attributes: Vec<_> = files.attributes.iter().collect();
        Stage::of(
            &files.log,
            matrix,
            &attributes,
            &files.products_traits,
            &self.recipe,
        )
    }

    fn answer_adoption(
        &self,
        horizon: Horizon,
        stage: &Stage<'_>,
        answers: &Answers<'_>,
        answered: &mut Answered,
    ) -> Result<(), FilesError> {
        let go_on = |_: f64| ControlFlow::Continue(());
        let foretold = stage.offers(horizon, &|_| true, &go_on);
        let (Ok((fit, offers)), Ok(growth)) = (foretold, stage.growth(horizon, &go_on)) else {
            // Nobody cancels it.
            return Ok(());
        };
        answered.adoption = Some(fit);
        answered.rows += answers.growth(&growth)?;
        answered.rows += answers.top_lists(&offers)?;
        answered.rows += answers.pipeline(&offers)?;
        if Table::exists(&self.folder, "t34_pairs.csv") {
            answered.rows += answers.pairs(self.read_pairs(&offers)?.iter())?;
        }
        Ok(())
    }

    /// The asked pairs with what is foretold of them; nothing where they are bought already, or of
    /// a product that nobody buys.
    fn read_pairs(&self, offers: &[Offer]) -> Result<Vec<Offer>, FilesError> {
        let table = Table::open(&self.folder, "t34_pairs.csv")?;
        let (client, product) = (table.needed("client_id")?, table.needed("product_id")?);
        let mut asked = Vec::new();
        table.rows(|record| {
            let ids = (field(record, client), field(record, product));
            let (client, product) = self.files.pair(ids.0, ids.1)?;
            let found =
                offers.binary_search_by_key(&(client, product), |of| (of.client, of.product));
            asked.push(found.map_or(
                Offer {
                    client,
                    product,
                    probability: 0.0,
                    ticket: 0.0,
                    money: 0.0,
                },
                |at| offers[at],
            ));
            Ok(())
        })?;
        Ok(asked)
    }

    /// Hidden tickets: each fold's visible tickets are a book of their own.
    fn answer_potential(&self, answers: &Answers<'_>) -> Result<usize, FilesError> {
        let none = matrix(self.files.products.len(), &[]);
        let stage = self.stage(&none);
        let mut answered = Vec::new();
        for (fold, cells) in self.read_asked()? {
            let visible = self.read_visible(&fold)?;
            let unknown = product_quantiles(&visible, &cells);
            let quantiles = stage.potential(&visible, &cells, &unknown);
            let cells = cells.into_iter().zip(quantiles);
            answered.extend(cells.map(|(cell, quantiles)| (fold.clone(), cell, quantiles)));
        }
        answers.potential(
            answered
                .iter()
                .map(|(fold, cell, q)| (fold.as_str(), *cell, *q)),
        )
    }

    /// The asked cells by fold, in client order.
    fn read_asked(&self) -> Result<BTreeMap<String, Vec<Hidden>>, FilesError> {
        let table = Table::open(&self.folder, "t5_ask.csv")?;
        let fold = table.needed("fold")?;
        let (client, product) = (table.needed("client_id")?, table.needed("product_id")?);
        let mut asked: BTreeMap<String, Vec<Hidden>> = BTreeMap::new();
        table.rows(|record| {
            let ids = (field(record, client), field(record, product));
            let (client, product) = self.files.pair(ids.0, ids.1)?;
            let fold = field(record, fold).to_owned();
            let hidden = Hidden { client, product };
            asked.entry(fold).or_default().push(hidden);
            Ok(())
        })?;
        for cells in asked.values_mut() {
            cells.sort_unstable();
        }
        Ok(asked)
    }

    fn read_visible(&self, fold: &str) -> Result<TicketMatrix, FilesError> {
        let table = Table::open(&self.folder, &format!("t5_visible_{fold}.csv"))?;
        let (client, product) = (table.needed("client_id")?, table.needed("product_id")?);
        let ticket = table.needed("ticket")?;
        let mut rows = vec![BTreeMap::new(); self.files.clients.len()];
        table.rows(|record| {
            let pair = self
                .files
                .pair(field(record, client), field(record, product))?;
            let ticket = number(field(record, ticket))? * MINOR;
            rows[pair.0.index()].insert(pair.1, ticket);
            Ok(())
        })?;
        Ok(matrix(self.files.products.len(), &rows))
    }
}
