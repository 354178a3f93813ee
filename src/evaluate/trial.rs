//! A recipe tried on a history: what it foretold, and what it was worth.

use std::path::Path;

use super::EvaluateError;
use super::answers::Answers;
use super::baselines::{BestSellers, Forecaster, product_quantiles};
use super::churn::{ChurnMeasured, churn};
use super::evaluation::{BookMeasured, Evaluation, Listed, Method, Segment, SpanMeasured};
use super::files::FilesError;
use super::forecast::{GoOn, Hidden, Offer, Stage, step};
use super::hidden::folds;
use super::input::Input;
use super::measure;
use super::plan::{Horizon, Plan};
use super::segments::{groups, thirds};
use super::split::Split;
use crate::domain::{ClientNo, ProductNo};
use crate::recommend::adoption::AdoptionFit;
use crate::recommend::growth::Growth;
use crate::recommend::history::History;
use crate::recommend::{ListsRecipe, Recipe};

/// Pairs that are judged at most: of a larger book a repeatable part of the clients is, for all
/// forecasters the same, so that memory is bounded (80 bytes a pair). All clients are learnt from.
const MOST_PAIRS: u64 = 8_000_000;
/// Rows of the pipeline that are shown with what became of them.
const SHOWN: usize = 20;
/// Parts of the whole work, as shares that progress tells.
const ADOPTION_DONE: f64 = 0.5;
const GROWTH_DONE: f64 = 0.75;

/// A recipe tried on a history.
#[derive(Debug)]
pub struct Trial<'a> {
    split: Split<'a>,
    lists: ListsRecipe,
    first_day: Option<crate::domain::Day>,
    adoption: Option<AdoptionFit>,
    judged: Vec<bool>,
    /// All pairs not bought of the judged clients, by client, then product; 0 where the recipe has
    /// no figure.
    offers: Vec<Offer>,
    best_sellers: Vec<Offer>,
    /// What each of these pairs brought.
    real: Vec<f64>,
    growth: Vec<Growth>,
    /// By how much each of these tickets grew, and by how much it did in the last horizon.
    grew: Vec<f64>,
    grew_lately: Vec<f64>,
    hidden: Vec<HiddenTicket>,
    churn: Vec<ChurnMeasured>,
}

/// A hidden ticket, and what was said of it.
#[derive(Debug)]
struct HiddenTicket {
    fold: String,
    cell: Hidden,
    real: f64,
    /// The client's third by size, hidden tickets left out: by one's own ticket a small client would
    /// be small because that was small, and coverage by size wrong for the best of models.
    third: usize,
    recipe: [f64; 3],
    product_quantile: [f64; 3],
}

/// Tries a recipe on a book and measures it, beside the baselines.
///
/// What is foretold from is cut off before the plan's day. `go_on` is told the share that is done
/// and may break. Cost: for the whole book a fit of each model and a score a pair, and up to five
/// more fits of the upsell model for hidden tickets.
///
/// ```
/// use std::ops::ControlFlow;
/// use carteira::domain::{Day, ProductNo};
/// use carteira::evaluate::{Forecaster, Horizon, Input, Plan, evaluate};
/// use carteira::matrix::{Purchase, PurchaseLog};
/// use carteira::recommend::Recipe;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut log = PurchaseLog::builder(2);
/// for client in 0..20 {
///     let buy = |product, day: i32| Purchase {
///         product: ProductNo(product),
///         day: Day::from_epoch_days(20_000 + day),
///         amount_minor: 1_000.0 * f64::from(client + 1),
///     };
///     log.push_client([buy(0, 0), buy(0, 60), buy(1, 30 + 5 * client)]);
/// }
/// let log = log.finish();
/// let input = Input { log: &log, tickets: None, attributes: Vec::new(), products: &[] };
/// let as_of = Day::from_epoch_days(20_080);
/// let plan = Plan { horizon: Some(Horizon { as_of, days: 30 }), least_buyers: 1 };
/// let found = evaluate(&input, &plan, &Recipe::standard()?, &|_| ControlFlow::Continue(()))?;
/// assert_eq!(found.methods[0].forecaster, Forecaster::Recipe);
/// assert_eq!(found.book.adoptions, 6);
/// # Ok(())
/// # }
/// ```
pub fn evaluate(
    input: &Input<'_>,
    plan: &Plan,
    recipe: &Recipe,
    go_on: GoOn<'_>,
) -> Result<Evaluation, EvaluateError> {
    Ok(Trial::run(input, plan, recipe, go_on)?.evaluation())
}

impl<'a> Trial<'a> {
    /// Predicts, and lays what happened beside it. Cost: see [`evaluate`].
    pub fn run(
        input: &Input<'a>,
        plan: &Plan,
        recipe: &Recipe,
        go_on: GoOn<'_>,
    ) -> Result<Self, EvaluateError> {
        step(go_on, 0.0)?;
        let split = Split::of(input, plan)?;
        let judged = judged(&split);
        let stage = Stage::of(
            &split.log,
            &split.matrix,
            &split.attributes,
            &split.products,
            recipe,
        );
        let (mut adoption, mut offers, mut growth) = (None, Vec::new(), Vec::new());
        if let Some(horizon) = split.horizon {
            let is_judged = |client: ClientNo| judged[client.index()];
            let scoring = |share: f64| go_on(ADOPTION_DONE * share);
            let (fit, found) = stage.offers(horizon, &is_judged, &scoring)?;
            adoption = Some(fit);
            offers = all_pairs(&split, &is_judged, &found);
            let growing = |share: f64| go_on(ADOPTION_DONE + (GROWTH_DONE - ADOPTION_DONE) * share);
            growth = stage.growth(horizon, &growing)?;
        }
        let hidden = hide(&split, &stage, go_on)?;
        drop(stage);
        let mut trial = Self {
            lists: recipe.lists,
            first_day: input.log.days().map(|days| days.0),
            split,
            adoption,
            judged,
            offers,
            best_sellers: Vec::new(),
            real: Vec::new(),
            growth,
            grew: Vec::new(),
            grew_lately: Vec::new(),
            hidden,
            churn: Vec::new(),
        };
        if let Some(horizon) = trial.split.horizon {
            trial.look(horizon);
            trial.churn = churn(input.log, horizon, recipe);
        }
        step(go_on, 1.0)?;
        Ok(trial)
    }

    /// Lays what happened, and what the baselines say, beside the predictions.
    fn look(&mut self, horizon: Horizon) {
        let split = &self.split;
        let after = |offer: &Offer| split.after(offer.client, offer.product);
        self.real = self.offers.iter().map(after).collect();
        let best = BestSellers::of(&split.matrix);
        self.best_sellers = self.offers.iter().map(|pair| best.offer(pair)).collect();
        let grew = |one: &Growth| split.after(one.client, one.product) - one.ticket;
        self.grew = self.growth.iter().map(grew).collect();
        let history = History::of(&split.log, horizon.as_of, horizon.days);
        self.grew_lately = Vec::with_capacity(self.growth.len());
        for of_client in self.growth.chunk_by(|a, b| a.client == b.client) {
            let recent = history.recent(of_client[0].client);
            self.grew_lately.extend(of_client.iter().map(|one| {
                let at = recent.binary_search_by_key(&one.product, |cell| cell.product);
                at.map_or(0.0, |at| f64::from(recent[at].ticket)) - one.ticket
            }));
        }
    }

    /// Every figure. Cost: some sorts of the pairs, and the same once an attribute.
    pub fn evaluation(&self) -> Evaluation {
        let everybody = vec![true; self.split.matrix.clients()];
        let judged_of = |members: &[bool]| {
            let both = members.iter().zip(&self.judged);
            both.filter(|(member, judged)| **member && **judged).count()
        };
        let segments = groups(&self.split.matrix, &self.split.attributes).into_iter();
        Evaluation {
            span: self.span(),
            book: BookMeasured {
                clients: self.split.matrix.clients(),
                judged_clients: judged_of(&everybody),
                products: self.split.matrix.products(),
                bought: self.split.matrix.tickets(),
                pairs: self.offers.len(),
                adoptions: self.real.iter().filter(|real| **real > 0.0).count(),
                new_money_minor: self.real.iter().sum(),
                hidden_tickets: self.hidden.len(),
            },
            methods: self.methods(&everybody, None),
            segments: segments
                .map(|group| Segment {
                    clients: judged_of(&group.members),
                    methods: self.methods(&group.members, group.third),
                    attribute: group.attribute,
                    value: group.value,
                })
                .collect(),
            churn: self.churn.clone(),
            first: self.first(),
        }
    }

    /// Writes what the recipe foretold, in the files of the evaluation protocol: `t1.csv`,
    /// `t1_money.csv`, `t2.csv`, `t34.csv` with every judged pair, `t5.csv`, `t6.csv` and
    /// `t6_net.csv`; `t5.csv` alone where sales have no dates. Clients and products are called by
    /// their numbers in the input. Gives the rows written.
    pub fn write_predictions<'i>(
        &self,
        folder: &Path,
        client: &dyn Fn(ClientNo) -> &'i str,
        product: &dyn Fn(ProductNo) -> &'i str,
    ) -> Result<usize, FilesError> {
        let client = |no: ClientNo| client(self.split.client_numbers[no.index()]);
        let product = |no: ProductNo| product(self.split.product_numbers[no.index()]);
        let answers = Answers {
            folder,
            client: &client,
            product: &product,
            lists: &self.lists,
        };
        let hidden = self.hidden.iter();
        let mut rows =
            answers.potential(hidden.map(|one| (one.fold.as_str(), one.cell, one.recipe)))?;
        if self.split.horizon.is_some() {
            rows += answers.top_lists(&self.offers)?;
            rows += answers.pipeline(&self.offers)?;
            rows += answers.pairs(self.offers.iter())?;
            rows += answers.growth(&self.growth)?;
        }
        Ok(rows)
    }

    fn span(&self) -> Option<SpanMeasured> {
        let (horizon, first_day, fit) = (self.split.horizon?, self.first_day?, self.adoption?);
        Some(SpanMeasured {
            first_day,
            cut: horizon.as_of,
            history_days: (horizon.as_of.epoch_days() - first_day.epoch_days()) as u32,
            horizon_days: horizon.days,
            learnt_adoptions: fit.adoptions,
            is_calibrated: SpanMeasured::is_calibrated(fit.form),
        })
    }

    /// Everybody's figures over some clients; those of hidden tickets over a third by size, where
    /// that is what the clients are.
    fn methods(&self, members: &[bool], third: Option<usize>) -> Vec<Method> {
        let hidden = |one: &&HiddenTicket| match third {
            Some(third) => one.third == third,
            None => members[one.cell.client.index()],
        };
        let hidden: Vec<&HiddenTicket> = self.hidden.iter().filter(hidden).collect();
        let potential = |quantiles: fn(&HiddenTicket) -> [f64; 3]| {
            measure::potential(hidden.iter().map(|one| (quantiles(one), one.real)))
        };
        let mut recipe = self.of_offers(Forecaster::Recipe, &self.offers, members);
        let rises: Vec<f64> = self.growth.iter().map(|one| one.rise).collect();
        let changes: Vec<f64> = self.growth.iter().map(|one| one.likely).collect();
        recipe.growth = self.of_growth(&rises, &changes, members);
        recipe.potential = potential(|one| one.recipe);
        let best_sellers = self.of_offers(Forecaster::BestSellers, &self.best_sellers, members);
        let mut own_history = Method::silent(Forecaster::OwnHistory);
        own_history.growth = self.of_growth(&self.grew_lately, &self.grew_lately, members);
        let mut product_quantile = Method::silent(Forecaster::ProductQuantile);
        product_quantile.potential = potential(|one| one.product_quantile);
        vec![recipe, best_sellers, own_history, product_quantile]
    }

    fn of_offers(&self, forecaster: Forecaster, offers: &[Offer], members: &[bool]) -> Method {
        let mut pairs = Columns::default();
        let mut starts = Vec::new();
        let mut last = None;
        for (offer, &real) in offers.iter().zip(&self.real) {
            if !members[offer.client.index()] {
                continue;
            }
            if last != Some(offer.client) {
                starts.push(pairs.real.len());
                last = Some(offer.client);
            }
            pairs.push(offer, real);
        }
        starts.push(pairs.real.len());
        let listable = starts.windows(2).map(|bounds| {
            let range = bounds[0]..bounds[1];
            measure::Listable {
                probability: &pairs.probability[range.clone()],
                money: &pairs.money[range.clone()],
                real: &pairs.real[range],
            }
        });
        let taken = pairs.ticket.iter().zip(&pairs.real);
        let taken = taken.filter(|(_, real)| **real > 0.0);
        let likely: Vec<(f64, bool)> = pairs
            .probability
            .iter()
            .zip(&pairs.real)
            .map(|(probability, real)| (*probability, *real > 0.0))
            .collect();
        let came: f64 = pairs.real.iter().sum();
        Method {
            top_list: measure::top_list(listable),
            pipeline: measure::pipeline(&pairs.money, &pairs.real),
            ticket: measure::ticket(taken.map(|(ticket, real)| (*ticket, *real))),
            calibration: measure::calibration(&likely),
            expected_over_real: (came > 0.0).then(|| pairs.money.iter().sum::<f64>() / came),
            ..Method::silent(forecaster)
        }
    }

    fn of_growth(
        &self,
        rises: &[f64],
        changes: &[f64],
        members: &[bool],
    ) -> Option<measure::GrowthFound> {
        let of_members = |figures: &[f64]| -> Vec<f64> {
            let tickets = figures.iter().zip(&self.growth);
            tickets
                .filter(|(_, one)| members[one.client.index()])
                .map(|(figure, _)| *figure)
                .collect()
        };
        measure::growth(
            &of_members(rises),
            &of_members(changes),
            &of_members(&self.grew),
        )
    }

    fn first(&self) -> Vec<Listed> {
        let mut order: Vec<usize> = (0..self.offers.len()).collect();
        order.sort_by(|&a, &b| self.offers[b].money.total_cmp(&self.offers[a].money));
        let listed = |at: usize| {
            let offer = &self.offers[at];
            Listed {
                client: self.split.client_numbers[offer.client.index()],
                product: self.split.product_numbers[offer.product.index()],
                probability: offer.probability,
                ticket_minor: offer.ticket,
                expected_minor: offer.money,
                real_minor: self.real[at],
            }
        };
        order.into_iter().take(SHOWN).map(listed).collect()
    }
}

impl Method {
    /// One that answers nothing.
    fn silent(forecaster: Forecaster) -> Self {
        Self {
            forecaster,
            top_list: None,
            pipeline: None,
            ticket: None,
            calibration: None,
            expected_over_real: None,
            potential: None,
            growth: None,
        }
    }
}

/// The pairs of some clients, a column a figure.
#[derive(Default)]
struct Columns {
    probability: Vec<f64>,
    ticket: Vec<f64>,
    money: Vec<f64>,
    real: Vec<f64>,
}

impl Columns {
    fn push(&mut self, offer: &Offer, real: f64) {
        self.probability.push(offer.probability);
        self.ticket.push(offer.ticket);
        self.money.push(offer.money);
        self.real.push(real);
    }
}

/// The clients that are judged: all, or an even part by a hash of their number.
fn judged(split: &Split<'_>) -> Vec<bool> {
    let clients = split.matrix.clients() as u64;
    let pairs = clients * split.matrix.products() as u64;
    // A multiplication by an odd number mixes the low bits into the high ones (Knuth, vol. 3, 6.4).
    let hash = |client: u64| client.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let share = MOST_PAIRS as f64 / pairs.max(1) as f64;
    let limit = share * 2.0_f64.powi(32);
    (0..clients)
        .map(|client| (hash(client) as f64) < limit)
        .collect()
}

/// Every pair of the judged clients that is not bought, with its figure where there is one.
fn all_pairs(split: &Split<'_>, judged: &dyn Fn(ClientNo) -> bool, found: &[Offer]) -> Vec<Offer> {
    let mut found = found.iter().peekable();
    let mut all = Vec::new();
    for client in (0..split.matrix.clients() as u32).map(ClientNo) {
        if !judged(client) {
            continue;
        }
        for product in (0..split.matrix.products() as u32).map(ProductNo) {
            if split.matrix.cell(client, product).is_some() {
                continue;
            }
            let here = |offer: &&Offer| (offer.client, offer.product) == (client, product);
            all.push(found.next_if(here).copied().unwrap_or(Offer {
                client,
                product,
                probability: 0.0,
                ticket: 0.0,
                money: 0.0,
            }));
        }
    }
    all
}

/// Hides tickets part by part and asks for them.
fn hide(
    split: &Split<'_>,
    stage: &Stage<'_>,
    go_on: GoOn<'_>,
) -> Result<Vec<HiddenTicket>, EvaluateError> {
    let mut all = Vec::new();
    let folds = folds(&split.matrix);
    let parts = folds.len() as f64;
    for (at, fold) in folds.into_iter().enumerate() {
        step(go_on, GROWTH_DONE + (1.0 - GROWTH_DONE) * at as f64 / parts)?;
        let thirds = thirds(&fold.visible);
        let products = product_quantiles(&fold.visible, &fold.hidden);
        let recipe = stage.potential(&fold.visible, &fold.hidden, &products);
        let said = recipe.into_iter().zip(products);
        for (cell, (recipe, product_quantile)) in fold.hidden.into_iter().zip(said) {
            let ticket = split.matrix.cell(cell.client, cell.product);
            all.push(HiddenTicket {
                fold: at.to_string(),
                third: thirds[cell.client.index()],
                cell,
                real: ticket.map_or(0.0, |ticket| f64::from(ticket.ticket)),
                recipe,
                product_quantile,
            });
        }
    }
    Ok(all)
}
