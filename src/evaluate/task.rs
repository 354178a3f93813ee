//! Answers a task: predictions for what a folder asks, from what it shows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;

use super::files::{Files, FilesError, MINOR, Table, field, matrix, number};
use crate::domain::{ClientNo, DAYS_PER_MONTH, Day, ProductNo};
use crate::matrix::{Statistics, TicketMatrix};
use crate::neighbours::{CosineIndex, Profiles, Subject};
use crate::recommend::adoption::{
    Adoption, AdoptionFit, AdoptionModel, AdoptionScratch, Page, Scene, Span, matrix_before,
};
use crate::recommend::growth::{GrowthModel, balanced};
use crate::recommend::history::{BackTest, History};
use crate::recommend::upsell::{self, UpsellModel};
use crate::recommend::{Book, Recipe};

/// Rows of a client's top list.
const TOP: usize = 20;
/// Share of all pairs not bought that the pipeline lists: twice what is looked at.
const PIPELINE_SHARE: f64 = 0.02;

/// When the task's training part ends, and how long the window after it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Horizon {
    /// The first day after the training part.
    pub as_of: Day,
    /// Days in the window after it.
    pub days: u32,
}

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
pub struct Answers {
    /// What the adoption model rests on, where the task has dates.
    pub adoption: Option<AdoptionFit>,
    /// Rows written, all files together.
    pub rows: usize,
}

/// A list's rows in order, each with a score that falls.
type Order<'a> = &'a dyn Fn(&[Adoption]) -> Vec<(f64, Adoption)>;

/// One client's scores.
struct Scored {
    client: ClientNo,
    adoptions: Vec<Adoption>,
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
    /// Sales from the horizon on, were there any, are not read. The same task gives the same bytes.
    pub fn answer(&self, out: &Path) -> Result<Answers, FilesError> {
        let mut answers = Answers::default();
        if let Some(horizon) = self.horizon
            && !self.files.log.is_empty()
        {
            self.answer_adoption(horizon, out, &mut answers)?;
        }
        if Table::exists(&self.folder, "t5_ask.csv") {
            answers.rows += self.answer_potential(out)?;
        }
        Ok(answers)
    }

    fn answer_adoption(
        &self,
        horizon: Horizon,
        out: &Path,
        answers: &mut Answers,
    ) -> Result<(), FilesError> {
        let log = &self.files.log;
        let matrix = matrix_before(log, horizon.as_of, DAYS_PER_MONTH);
        let statistics = Statistics::of(&matrix);
        let profiles = self.profiles();
        let cosine = CosineIndex::of(&matrix, &statistics);
        let scene = Scene {
            book: self.book(&matrix, &statistics, &profiles),
            cosine: &cosine,
        };
        let span = Span {
            horizon_days: horizon.days,
            period_days: DAYS_PER_MONTH,
        };
        let go_on = |_: f64| ControlFlow::Continue(());
        let Ok(model) = AdoptionModel::fit(log, &scene, span, horizon.as_of, &go_on) else {
            return Ok(());
        };
        answers.adoption = Some(model.fitted());
        let scored: Vec<Scored> = (0..matrix.clients() as u32)
            .into_par_iter()
            .map_init(AdoptionScratch::default, |scratch, client| {
                let client = ClientNo(client);
                let subject = Subject::existing(&matrix, &profiles, client);
                Scored {
                    client,
                    adoptions: model.score(&scene, &subject, scratch),
                }
            })
            .collect();
        answers.rows += self.write_growth(horizon, &scene.book, out)?;
        let all = scored.iter().flat_map(|of_client| &of_client.adoptions);
        let page = Page::of(all, &self.recipe.lists);
        let orders: [(&str, Order<'_>); 3] = [
            ("t1.csv", &|adoptions| page.order(adoptions)),
            ("t1_probability.csv", &|adoptions| {
                by(adoptions, |adoption| adoption.propensity)
            }),
            ("t1_money.csv", &|adoptions| {
                by(adoptions, |adoption| adoption.expected_money / MINOR)
            }),
        ];
        for (name, order) in orders {
            answers.rows += self.write_top(&scored, order, &out.join(name))?;
        }
        answers.rows += self.write_pipeline(&scored, &out.join("t2.csv"))?;
        if Table::exists(&self.folder, "t34_pairs.csv") {
            answers.rows += self.write_pairs(&scored, &out.join("t34.csv"))?;
        }
        Ok(())
    }

    fn write_top(
        &self,
        scored: &[Scored],
        order: Order<'_>,
        path: &Path,
    ) -> Result<usize, FilesError> {
        let mut file = Answer::create(path, "client_id,product_id,score")?;
        for of_client in scored {
            for (score, adoption) in order(&of_client.adoptions).into_iter().take(TOP) {
                let (client, product) = self.ids(of_client.client, adoption.product);
                file.row(&[client, product, &score.to_string()])?;
            }
        }
        file.finish()
    }

    /// Growth of bought tickets: expected rise, expected net change, and both together.
    fn write_growth(
        &self,
        horizon: Horizon,
        book: &Book<'_>,
        out: &Path,
    ) -> Result<usize, FilesError> {
        let history = History::of(&self.files.log, horizon.as_of, horizon.days);
        let model = UpsellModel::fit(book);
        let back_test = BackTest::of(&history, book, &model, usize::MAX);
        let growth = GrowthModel::fit(&back_test).growth(&history, book, &model);
        let header = "client_id,product_id,growth";
        let both = balanced(&growth, self.recipe.lists.net_weight);
        let rise: Vec<f64> = growth.iter().map(|one| one.rise).collect();
        let net: Vec<f64> = growth.iter().map(|one| one.likely).collect();
        let mut rows = 0;
        for (name, figures) in [("t6.csv", both), ("t6_rise.csv", rise), ("t6_net.csv", net)] {
            let mut file = Answer::create(&out.join(name), header)?;
            for (one, figure) in growth.iter().zip(figures) {
                let (client, product) = self.ids(one.client, one.product);
                file.row(&[client, product, &(figure / MINOR).to_string()])?;
            }
            rows += file.finish()?;
        }
        Ok(rows)
    }

    fn write_pipeline(&self, scored: &[Scored], path: &Path) -> Result<usize, FilesError> {
        let mut pairs: Vec<(f64, ClientNo, ProductNo)> = scored
            .iter()
            .flat_map(|of| {
                of.adoptions
                    .iter()
                    .map(|a| (a.expected_money, of.client, a.product))
            })
            .collect();
        pairs.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let listed = (pairs.len() as f64 * PIPELINE_SHARE).ceil() as usize;
        let mut file = Answer::create(path, "client_id,product_id,expected_value")?;
        for (money, client, product) in pairs.into_iter().take(listed) {
            let (client, product) = self.ids(client, product);
            file.row(&[client, product, &(money / MINOR).to_string()])?;
        }
        file.finish()
    }

    fn write_pairs(&self, scored: &[Scored], path: &Path) -> Result<usize, FilesError> {
        let asked = Table::open(&self.folder, "t34_pairs.csv")?;
        let (client, product) = (asked.needed("client_id")?, asked.needed("product_id")?);
        let mut file = Answer::create(path, "client_id,product_id,probability,ticket")?;
        let mut failed = None;
        asked.rows(|record| {
            let (client_id, product_id) = (field(record, client), field(record, product));
            let (client, product) = self.files.pair(client_id, product_id)?;
            let adoptions = &scored[client.index()].adoptions;
            // A pair without a figure: bought already, or a product that nobody buys.
            let (propensity, ticket) = adoptions
                .binary_search_by_key(&product, |adoption| adoption.product)
                .map_or((0.0, 0.0), |at| {
                    (adoptions[at].propensity, adoptions[at].expected_ticket)
                });
            let (propensity, ticket) = (propensity.to_string(), (ticket / MINOR).to_string());
            if let Err(error) = file.row(&[client_id, product_id, &propensity, &ticket]) {
                failed = Some(error);
            }
            Ok(())
        })?;
        match failed {
            Some(error) => Err(error),
            None => file.finish(),
        }
    }

    /// Hidden tickets: each fold's visible tickets are a book of their own.
    fn answer_potential(&self, out: &Path) -> Result<usize, FilesError> {
        let asked = self.read_asked()?;
        let mut file =
            Answer::create(&out.join("t5.csv"), "fold,client_id,product_id,q50,q80,q90")?;
        let profiles = self.profiles();
        for (fold, cells) in asked {
            let matrix = self.read_visible(&fold)?;
            let statistics = Statistics::of(&matrix);
            let book = self.book(&matrix, &statistics, &profiles);
            let model = UpsellModel::fit(&book);
            let mut scratch = upsell::Scratch::default();
            let mut at = None;
            for (client, product) in cells {
                let subject = Subject::existing(&matrix, &profiles, client);
                if at != Some(client) {
                    model.begin(&book, &subject, &mut scratch);
                    at = Some(client);
                }
                let quantiles = match model.estimate(&book, &subject, product, &mut scratch) {
                    Some(estimate) => [estimate.q50, estimate.q80, estimate.q90],
                    None => [statistics.product(product).ln_median.exp(); 3],
                };
                let [q50, q80, q90] = quantiles.map(|ticket| (ticket / MINOR).to_string());
                let (client, product) = self.ids(client, product);
                file.row(&[&fold, client, product, &q50, &q80, &q90])?;
            }
        }
        file.finish()
    }

    /// The asked cells by fold, in client order.
    fn read_asked(&self) -> Result<BTreeMap<String, Vec<(ClientNo, ProductNo)>>, FilesError> {
        let table = Table::open(&self.folder, "t5_ask.csv")?;
        let fold = table.needed("fold")?;
        let (client, product) = (table.needed("client_id")?, table.needed("product_id")?);
        let mut asked: BTreeMap<String, Vec<(ClientNo, ProductNo)>> = BTreeMap::new();
        table.rows(|record| {
            let pair = self
                .files
                .pair(field(record, client), field(record, product))?;
            let fold = field(record, fold).to_owned();
            asked.entry(fold).or_default().push(pair);
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

    fn profiles(&self) -> Profiles {
        Profiles::of(&self.files.attributes.iter().collect::<Vec<_>>())
    }

    fn book<'a>(
        &'a self,
        matrix: &'a TicketMatrix,
        statistics: &'a Statistics,
        profiles: &'a Profiles,
    ) -> Book<'a> {
        Book {
            matrix,
            statistics,
            profiles,
            products: &self.files.products_traits,
            recipe: &self.recipe,
        }
    }

    fn ids(&self, client: ClientNo, product: ProductNo) -> (&str, &str) {
        let files = &self.files;
        (
            &files.clients[client.index()],
            &files.products[product.index()],
        )
    }
}

/// A list by one figure, largest first.
fn by(adoptions: &[Adoption], figure: fn(&Adoption) -> f64) -> Vec<(f64, Adoption)> {
    let mut rows: Vec<(f64, Adoption)> = adoptions.iter().map(|of| (figure(of), *of)).collect();
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
        let file = std::fs::File::create(path).map_err(|source| FilesError::Unreadable {
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
        FilesError::Unreadable {
            path: self.path.clone(),
            source,
        }
    }
}
