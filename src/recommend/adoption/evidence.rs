//! What the neighbours and the other products say about everything that one subject does not buy.

use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{Cell, Statistics, TicketMatrix};
use crate::neighbours::{CosineIndex, CosineSearch, NearestOfAll, Similar, Subject};
use crate::recommend::Book;

use super::history::{ClientPast, Past, ProductPast};
use super::items::Items;
use super::recency::Recencies;
use super::recipe::AdoptionRecipe;

/// What a subject is scored in: one state of a book, and the weights of its tickets.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The book.
    pub book: Book<'a>,
    /// The weights of the tickets in the book's matrix.
    pub cosine: &'a CosineIndex,
    /// What that index finds for every client, where it was asked for all of them; for as many
    /// neighbours as the model asks for, or it is not used.
    pub nearest: Option<&'a NearestOfAll>,
}

/// Sums over the neighbours of one subject for one product.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heard {
    /// Similarity of those that buy it; decayed by age; decayed three times as fast.
    pub(super) ever: f64,
    pub(super) recent: f64,
    pub(super) latest: f64,
    /// Similarity of those that took it up within the last horizon, and within its last half.
    pub(super) fresh: f64,
    pub(super) fresh_half: f64,
    /// Weighted log residuals, each less its own client's size.
    pub(super) residual: f64,
    /// EASE scores.
    pub(super) items_recent: f32,
    pub(super) items_amount: f32,
    /// Neighbours that buy it.
    pub(super) buyers: u32,
}

/// Shares and rates of one product in one neighbourhood, drawn towards all clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shares {
    pub(super) ever: f64,
    pub(super) recent: f64,
    pub(super) latest: f64,
    pub(super) take_up: f64,
    pub(super) take_up_half: f64,
}

/// Everything that one subject is scored from; reused from subject to subject.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// By product.
    pub(super) heard: Vec<Heard>,
    pub(super) client: ClientPast,
    /// Products that it buys.
    pub(super) products: f64,
    pub(super) size: f64,
    /// Horizons of history.
    pub(super) history: f64,
    /// Neighbours found, and the sum of their similarities.
    pub(super) neighbours: u32,
    weight: f64,
    pseudo: Pseudo,
    scores: Vec<f32>,
    search: CosineSearch,
}

/// What every neighbourhood starts with, as if it had been heard: see the recipe.
#[derive(Debug, Clone, Copy, Default)]
struct Pseudo {
    share: f64,
    take_up: f64,
    neighbours: f64,
}

/// What a subject is compared with, besides the scene.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lens<'a> {
    pub(super) past: &'a Past,
    pub(super) items_bought: &'a Items,
    pub(super) items_amount: &'a Items,
    pub(super) recencies: &'a Recencies,
    pub(super) recipe: &'a AdoptionRecipe,
    pub(super) neighbours: usize,
}

/// Which evidence is asked for, of that which costs more than to hear who buys what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heeded {
    /// What products say of products.
    pub(super) items: bool,
    /// How much more or less than usual neighbours spend.
    pub(super) residuals: bool,
}

impl Evidence {
    /// Gathers the evidence about a subject.
    ///
    /// Cost: the postings of its products, the rows of its neighbours, and for each of its
    /// products a row of the item weights.
    pub(super) fn gather(
        &mut self,
        scene: &Scene<'_>,
        lens: &Lens<'_>,
        heeded: Heeded,
        subject: &Subject<'_>,
    ) {
        let products = scene.book.matrix.products();
        self.heard.clear();
        self.heard.resize(products, Heard::default());
        self.client = lens.past.client(subject.client);
        self.history = lens.past.horizons;
        let pseudo_tickets = lens.recipe.size_pseudo_tickets;
        self.size = size(scene.book.statistics, subject.cells, pseudo_tickets);
        self.pseudo = Pseudo {
            share: lens.recipe.share_pseudo,
            take_up: lens.recipe.take_up_pseudo,
            neighbours: lens.recipe.residual_pseudo_neighbours,
        };
        self.products = subject.cells.len() as f64;
        let mut search = std::mem::take(&mut self.search);
        let near = match scene.known(subject, lens.neighbours) {
            Some(near) => near,
            None => {
                scene
                    .cosine
                    .nearest(subject, scene.book.profiles, lens.neighbours, &mut search)
            }
        };
        self.neighbours = near.len() as u32;
        self.weight = near.iter().map(|near| f64::from(near.similarity)).sum();
        for near in near {
            self.hear(scene, lens, heeded, *near);
        }
        self.search = search;
        if heeded.items {
            self.score_items(scene, lens, subject);
        }
    }

    fn hear(&mut self, scene: &Scene<'_>, lens: &Lens<'_>, heeded: Heeded, near: Similar) {
        let weight = f64::from(near.similarity);
        let usual = scene.book.statistics.size_exponent()
            * scene
                .book
                .statistics
                .client(near.client)
                .size(lens.recipe.size_pseudo_tickets);
        for cell in scene.book.matrix.row(near.client) {
            let recent = lens.recencies.of_cell(cell);
            let heard = &mut self.heard[cell.product.index()];
            heard.ever += weight;
            heard.recent += weight * recent;
            heard.latest += weight * recent * recent * recent;
            if heeded.residuals {
                let residual = scene.book.statistics.residual(cell.product, cell.ticket) - usual;
                heard.residual += weight * residual;
            }
            heard.buyers += 1;
        }
        for fresh in lens.past.fresh(near.client) {
            let Some(heard) = self.heard.get_mut(fresh.product.index()) else {
                continue;
            };
            heard.fresh += weight;
            if fresh.half {
                heard.fresh_half += weight;
            }
        }
    }

    fn score_items(&mut self, scene: &Scene<'_>, lens: &Lens<'_>, subject: &Subject<'_>) {
        let known = lens.items_bought.products().min(self.heard.len());
        let recent = |cell: &Cell| (cell.product.0, lens.recencies.of_cell(cell) as f32);
        self.scores.clear();
        self.scores.resize(known, 0.0);
        lens.items_bought
            .score(subject.cells.iter().map(recent), &mut self.scores);
        for (heard, &score) in self.heard.iter_mut().zip(&self.scores) {
            heard.items_recent = score;
        }
        self.scores.fill(0.0);
        let amount = |cell: &Cell| (cell.product.0, damped(scene.book.statistics, cell));
        lens.items_amount
            .score(subject.cells.iter().map(amount), &mut self.scores);
        for (heard, &score) in self.heard.iter_mut().zip(&self.scores) {
            heard.items_amount = score;
        }
    }

    /// The neighbourhood's shares of a product.
    pub(super) fn shares(&self, heard: &Heard, product: &ProductPast) -> Shares {
        let pseudo = &self.pseudo;
        let latest = pseudo.share * self.average_weight().max(1e-6);
        let rate = |fresh: f64, usual: f64| {
            let at_risk = (self.weight - (heard.ever - fresh)).max(0.0);
            (fresh + pseudo.take_up * usual) / (at_risk + pseudo.take_up)
        };
        Shares {
            ever: self.share_ever(heard, product),
            recent: self.share(heard.recent, pseudo.share, product.population_recent),
            latest: self.share(heard.latest, latest, product.population_latest),
            take_up: rate(heard.fresh, product.take_up[0]),
            take_up_half: rate(heard.fresh_half, product.take_up[1]),
        }
    }

    /// [`Shares::ever`] alone.
    pub(super) fn share_ever(&self, heard: &Heard, product: &ProductPast) -> f64 {
        self.share(heard.ever, self.pseudo.share, product.population)
    }

    fn share(&self, sum: f64, pseudo: f64, population: f64) -> f64 {
        (sum + pseudo * population) / (self.weight + pseudo).max(1e-9)
    }

    /// The neighbourhood's mean log residual of a product's tickets, beyond its clients' sizes.
    pub(super) fn residual(&self, heard: &Heard) -> f64 {
        let weight = heard.ever + self.pseudo.neighbours * self.average_weight();
        heard.residual / weight.max(1e-9)
    }

    fn average_weight(&self) -> f64 {
        self.weight / f64::from(self.neighbours.max(1))
    }
}

impl Scene<'_> {
    /// The subject's neighbours where they were found with those of all clients.
    fn known(&self, subject: &Subject<'_>, neighbours: usize) -> Option<&[Similar]> {
        let nearest = self.nearest.filter(|nearest| nearest.k() == neighbours)?;
        let client = subject.client.filter(|_| !subject.cells.is_empty())?;
        Some(nearest.of(client))
    }
}

/// Mean log residual of the tickets of products that have a median, drawn towards 0.
fn size(statistics: &Statistics, cells: &[Cell], pseudo_tickets: f64) -> f64 {
    let known = |cell: &&Cell| statistics.product(cell.product).buyers > 0;
    let residual = |cell: &Cell| statistics.residual(cell.product, cell.ticket);
    let count = cells.iter().filter(known).count() as f64;
    cells.iter().filter(known).map(residual).sum::<f64>() / (count + pseudo_tickets)
}

/// `ln(1 + ticket / median)`.
pub(super) fn damped(statistics: &Statistics, cell: &Cell) -> f32 {
    let residual = statistics.residual(cell.product, cell.ticket);
    residual.clamp(-40.0, 40.0).exp().ln_1p() as f32
}

/// The products of `0..products` that are not among a subject's cells, in order.
pub(super) fn not_bought(cells: &[Cell], products: usize) -> impl Iterator<Item = ProductNo> {
    let mut cells = cells.iter().peekable();
    (0..products as u32).map(ProductNo).filter(move |&product| {
        let bought = cells.next_if(|cell| cell.product == product).is_some();
        !bought
    })
}

/// Clients of a matrix, in order.
pub(super) fn clients(matrix: &TicketMatrix) -> impl Iterator<Item = ClientNo> {
    (0..matrix.clients() as u32).map(ClientNo)
}
