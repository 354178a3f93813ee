//! Who buys like whom, for all clients at once.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::cosine::BLOCK;
use super::nearest::Nearest;
use super::{CosineIndex, Similar};
use crate::domain::ClientNo;

/// Clients whose dot products are summed up at once with a dense product: they fill the vector
/// registers, and their part of all dense products the first cache.
const CHUNK: usize = 64;
/// Subjects that share one pass over a block: their sums stay in the second cache.
const GROUP: usize = 128;
/// Sums that are compared at once with what they would have to reach.
const LANES: usize = 16;

/// The clients most similar to every client, as [`CosineIndex::nearest`] finds them one by one: the
/// same clients in the same order, with the same similarities to the bit. 8 bytes a neighbour.
#[derive(Debug)]
pub struct NearestOfAll {
    k: usize,
    starts: Vec<usize>,
    similar: Vec<Similar>,
}

impl NearestOfAll {
    /// The most that a client has.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Those of one client, most similar first; none of one without tickets.
    pub fn of(&self, client: ClientNo) -> &[Similar] {
        match self.starts.get(client.index()..client.index() + 2) {
            Some(bounds) => &self.similar[bounds[0]..bounds[1]],
            None => &[],
        }
    }

    /// Searches all pairs of clients once. Cost: half the products of tickets that pairs share; both
    /// cores; the same whatever their number.
    ///
    /// Clients are cut into blocks. Of a block, the tickets of widely bought products stand in a
    /// dense tile, so that a subject's sums with 64 clients are vectors in registers; the tickets of
    /// the others in short columns, whose sums stay in the first cache. Each pair of blocks is worked
    /// on once and serves the clients of both. No block is in two pairs at once, so that threads never
    /// share a list; and a list does not depend on the order in which it was offered clients.
    pub fn of_index(index: &CosineIndex, k: usize) -> Self {
        let count = index.clients().div_ceil(BLOCK);
        let blocks: Vec<Block> = (0..count)
            .into_par_iter()
            .map(|at| Block::of(index, at))
            .collect();
        let lists: Vec<Mutex<Vec<Nearest<Similar>>>> = blocks
            .iter()
            .map(|block| {
                let mut lists: Vec<Nearest<Similar>> = Vec::new();
                lists.resize_with(block.clients, Nearest::default);
                for list in &mut lists {
                    list.start(k);
                }
                Mutex::new(lists)
            })
            .collect();
        let hall = Hall {
            blocks: &blocks,
            lists: &lists,
            pairs: Mutex::new(Pairs::of(count)),
        };
        rayon::scope(|scope| hall.serve(scope));
        drop(blocks);
        let mut all = Self {
            k,
            starts: vec![0],
            similar: Vec::new(),
        };
        for lists in lists {
            let mut lists = lists.into_inner().unwrap_or_else(PoisonError::into_inner);
            lists.par_iter_mut().for_each(|list| {
                list.finish();
            });
            for list in lists {
                all.similar.extend_from_slice(list.found());
                all.starts.push(all.similar.len());
            }
        }
        all
    }
}

/// Where blocks meet.
struct Hall<'a> {
    blocks: &'a [Block],
    lists: &'a [Mutex<Vec<Nearest<Similar>>>],
    pairs: Mutex<Pairs>,
}

impl Hall<'_> {
    /// Has pairs meet until none is free; others join in where more are.
    fn serve<'scope>(&'scope self, scope: &rayon::Scope<'scope>) {
        let mut meeting = Meeting::default();
        let next = || self.pairs().take();
        while let Some((one, other)) = next() {
            scope.spawn(|scope| self.serve(scope));
            let two = (one != other).then_some(other);
            {
                let mut others = two.map(|other| lock(&self.lists[other]));
                let lists = Lists {
                    own: &mut lock(&self.lists[one]),
                    other: others.as_mut().map(|others| others.as_mut_slice()),
                };
                let other = two.map(|other| &self.blocks[other]);
                meeting.meet(&self.blocks[one], other, lists);
            }
            self.pairs().end((one, other));
        }
    }

    fn pairs(&self) -> MutexGuard<'_, Pairs> {
        lock(&self.pairs)
    }
}

/// A poisoned lock is of a search that stopped short: its panic goes on to whoever asked for it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pairs of blocks that have not met yet, a block with itself among them.
///
/// Invariant: of pairs taken and not ended no two share a block.
struct Pairs {
    waiting: VecDeque<(usize, usize)>,
    busy: Vec<bool>,
}

impl Pairs {
    /// Each block with itself, which gives its lists a limit; then all pairs of two, those that share no block
    /// next to each other: the circle method of tournaments (Kirkman, 1847).
    fn of(blocks: usize) -> Self {
        let even = blocks + blocks % 2;
        let turning = even.saturating_sub(1);
        let pair = move |round: usize, seat: usize| match seat {
            0 => (round, turning),
            _ => ((round + seat) % turning, (round + turning - seat) % turning),
        };
        let rounds = (0..turning)
            .flat_map(|round| (0..even / 2).map(move |seat| pair(round, seat)))
            .filter(|pair| pair.0.max(pair.1) < blocks);
        Self {
            waiting: (0..blocks)
                .map(|block| (block, block))
                .chain(rounds)
                .collect(),
            busy: vec![false; blocks],
        }
    }

    /// The next pair of which neither is in another.
    fn take(&mut self) -> Option<(usize, usize)> {
        let is_free = |pair: &(usize, usize)| !self.busy[pair.0] && !self.busy[pair.1];
        let at = self.waiting.iter().position(is_free)?;
        let pair = self.waiting.remove(at)?;
        self.busy[pair.0] = true;
        self.busy[pair.1] = true;
        Some(pair)
    }

    fn end(&mut self, pair: (usize, usize)) {
        self.busy[pair.0] = false;
        self.busy[pair.1] = false;
    }
}

/// Rows of a block: places of products and weights, by client.
struct Rows {
    starts: Vec<u32>,
    cells: Vec<(u32, f32)>,
}

impl Rows {
    fn new() -> Self {
        Self {
            starts: vec![0],
            cells: Vec::new(),
        }
    }

    fn of(&self, client: usize) -> &[(u32, f32)] {
        &self.cells[self.starts[client] as usize..self.starts[client + 1] as usize]
    }

    fn end_row(&mut self) {
        self.starts.push(self.cells.len() as u32);
    }
}

/// A block of clients, made ready to be met by another one.
struct Block {
    first: usize,
    clients: usize,
    /// Chunks × dense products × [`CHUNK`] clients.
    tile: Vec<f32>,
    dense: Rows,
    sparse: Rows,
    /// Columns of the sparse products: where each begins, whose tickets by place in the block, and
    /// their weights.
    column_starts: Vec<u32>,
    column_clients: Vec<u16>,
    column_weights: Vec<f32>,
    dense_products: usize,
}

impl Block {
    fn of(index: &CosineIndex, at: usize) -> Self {
        let first = at * BLOCK;
        let clients = BLOCK.min(index.clients() - first);
        let (dense_products, sparse_products) = index.densities();
        let mut block = Self {
            first,
            clients,
            tile: vec![0.0; BLOCK * dense_products],
            dense: Rows::new(),
            sparse: Rows::new(),
            column_starts: vec![0; sparse_products + 1],
            column_clients: Vec::new(),
            column_weights: Vec::new(),
            dense_products,
        };
        for (client, row) in index.rows(at).into_iter().enumerate() {
            for (place, weight) in row {
                match place {
                    Place::Dense(place) => {
                        let chunk = client / CHUNK * dense_products + place as usize;
                        block.tile[chunk * CHUNK + client % CHUNK] = weight;
                        block.dense.cells.push((place, weight));
                    }
                    Place::Sparse(place) => {
                        block.column_starts[place as usize + 1] += 1;
                        block.sparse.cells.push((place, weight));
                    }
                }
            }
            block.dense.end_row();
            block.sparse.end_row();
        }
        block.transpose();
        block
    }

    /// Fills the columns from the sparse rows by counting.
    fn transpose(&mut self) {
        for place in 1..self.column_starts.len() {
            self.column_starts[place] += self.column_starts[place - 1];
        }
        let mut next = self.column_starts.clone();
        self.column_clients = vec![0; self.sparse.cells.len()];
        self.column_weights = vec![0.0; self.sparse.cells.len()];
        for client in 0..self.clients {
            for &(place, weight) in self.sparse.of(client) {
                let at = &mut next[place as usize];
                self.column_clients[*at as usize] = client as u16;
                self.column_weights[*at as usize] = weight;
                *at += 1;
            }
        }
    }

    /// Sums of the dense products of some subjects of another block with all clients of this one, from the chunk
    /// of `after` on.
    fn add_dense(&self, subjects: &Rows, from: usize, after: usize, sums: &mut [f32]) {
        Arch::new().dispatch(AddDense {
            block: self,
            subjects,
            from,
            after,
            sums,
        });
    }

    /// Adds those of the sparse products of one subject, with the clients from `after` on.
    fn add_sparse(&self, subject: &[(u32, f32)], after: usize, sums: &mut [f32]) {
        // An array's length is known, so that a place in the block needs no check.
        let Ok(sums) = <&mut [f32; BLOCK]>::try_from(sums) else {
            return;
        };
        for &(place, weight) in subject {
            let place = place as usize;
            let mut run =
                self.column_starts[place] as usize..self.column_starts[place + 1] as usize;
            if after > 0 {
                let clients = &self.column_clients[run.clone()];
                run.start += clients.partition_point(|client| (*client as usize) < after);
            }
            let clients = &self.column_clients[run.clone()];
            for (&client, other) in clients.iter().zip(&self.column_weights[run]) {
                sums[client as usize % BLOCK] += weight * other;
            }
        }
    }
}

/// What [`Block::add_dense`] is asked for, for the registers that are found.
struct AddDense<'a> {
    block: &'a Block,
    subjects: &'a Rows,
    from: usize,
    after: usize,
    sums: &'a mut [f32],
}

impl WithSimd for AddDense<'_> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "compiled for the registers of whoever calls it"
    )]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // A chunk in one go where registers are wide or there are enough of them; products and sums are rounded
        // apart, so that they are the same in registers of any width.
        match CHUNK / S::F32_LANES {
            4 => self.in_parts_of::<S, 4>(simd),
            _ => self.in_parts_of::<S, 8>(simd),
        }
    }
}

impl AddDense<'_> {
    #[expect(
        clippy::inline_always,
        reason = "compiled for the registers of whoever calls it"
    )]
    #[inline(always)]
    fn in_parts_of<S: Simd, const REGISTERS: usize>(self, simd: S) {
        let block = self.block;
        let chunk = block.dense_products * CHUNK;
        for at in self.after / CHUNK..block.clients.div_ceil(CHUNK) {
            let tile = &block.tile[at * chunk..(at + 1) * chunk];
            let (tile, _) = S::as_simd_f32s(tile);
            let of_product = CHUNK / S::F32_LANES;
            for (subject, sums) in self.sums.chunks_exact_mut(BLOCK).enumerate() {
                let (sums, _) = S::as_mut_simd_f32s(&mut sums[at * CHUNK..(at + 1) * CHUNK]);
                for (part, sums) in sums.chunks_exact_mut(REGISTERS).enumerate() {
                    let mut sum = [simd.splat_f32s(0.0); REGISTERS];
                    for &(place, weight) in self.subjects.of(self.from + subject) {
                        let first = place as usize * of_product + part * REGISTERS;
                        let weight = simd.splat_f32s(weight);
                        for (sum, other) in sum.iter_mut().zip(&tile[first..first + REGISTERS]) {
                            *sum = simd.add_f32s(*sum, simd.mul_f32s(weight, *other));
                        }
                    }
                    sums.copy_from_slice(&sum);
                }
            }
        }
    }
}

/// Where a product stands in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Among those that many buy.
    Dense(u32),
    /// Among the others.
    Sparse(u32),
}

/// The lists of two blocks, or of one that meets itself.
struct Lists<'a> {
    own: &'a mut [Nearest<Similar>],
    other: Option<&'a mut [Nearest<Similar>]>,
}

impl Lists<'_> {
    fn others(&mut self) -> &mut [Nearest<Similar>] {
        match &mut self.other {
            Some(other) => other,
            None => self.own,
        }
    }
}

/// Two blocks that meet; buffers are reused from pair to pair.
#[derive(Default)]
struct Meeting {
    /// [`GROUP`] subjects × [`BLOCK`] clients.
    sums: Vec<f32>,
    /// What a similarity must reach to be of use to each client.
    bars: Vec<f32>,
    /// Groups of [`LANES`] clients and which of them reach it.
    hits: Vec<(u16, u16)>,
}

impl Meeting {
    /// Each client of one block with each of another, or with those after it where there is no other.
    fn meet(&mut self, one: &Block, other: Option<&Block>, mut lists: Lists<'_>) {
        self.raise_bars(lists.others());
        for from in (0..one.clients).step_by(GROUP) {
            let first = other.map_or(from, |_| 0);
            for subject in self.add_up(one, other.unwrap_or(one), from, first) {
                let clients = first..other.unwrap_or(one).clients;
                self.find_hits(subject - from, clients, bar(&lists.own[subject]));
                let after = other.map_or(subject + 1, |_| 0);
                self.offer(one, other.unwrap_or(one), subject, after, &mut lists);
                if other.is_none() {
                    self.bars[subject] = bar(&lists.own[subject]);
                }
            }
        }
    }

    /// Offers a subject and the clients that were noted to each other.
    fn offer(
        &mut self,
        one: &Block,
        other: &Block,
        subject: usize,
        after: usize,
        lists: &mut Lists<'_>,
    ) {
        let sums = &self.sums[subject % GROUP * BLOCK..][..BLOCK];
        for &(group, mut reached) in &self.hits {
            while reached != 0 {
                let client = group as usize * LANES + reached.trailing_zeros() as usize;
                reached &= reached - 1;
                if client < after {
                    continue;
                }
                let similar = |first: usize, at: usize| Similar {
                    client: ClientNo((first + at) as u32),
                    similarity: sums[client],
                };
                lists.own[subject].offer(similar(other.first, client));
                let list = &mut lists.others()[client];
                list.offer(similar(one.first, subject));
                self.bars[client] = bar(list);
            }
        }
    }

    fn raise_bars(&mut self, lists: &[Nearest<Similar>]) {
        self.bars.clear();
        self.bars.extend(lists.iter().map(bar));
        self.bars.resize(BLOCK, f32::INFINITY);
    }

    /// The sums of a group of subjects with the clients from `after` on; returns which these are.
    fn add_up(&mut self, one: &Block, other: &Block, from: usize, after: usize) -> Range<usize> {
        let subjects = from..(from + GROUP).min(one.clients);
        self.sums.resize(GROUP * BLOCK, 0.0);
        let sums = &mut self.sums[..subjects.len() * BLOCK];
        other.add_dense(&one.dense, from, after, sums);
        for (subject, sums) in subjects.clone().zip(sums.chunks_exact_mut(BLOCK)) {
            other.add_sparse(one.sparse.of(subject), after, sums);
        }
        subjects
    }

    /// Notes where a subject's sums with the clients of a block reach its own bar or the client's.
    fn find_hits(&mut self, subject: usize, clients: Range<usize>, own: f32) {
        // Up to a whole chunk sums are 0 beyond the last client; what stands further on is of the past, as is what
        // stands before the first chunk.
        let first = clients.start / CHUNK * CHUNK;
        let groups = first..clients.end.next_multiple_of(LANES);
        let sums = &self.sums[subject * BLOCK..][groups.clone()];
        let (bars, hits) = (&self.bars[groups], &mut self.hits);
        hits.clear();
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let groups = sums.chunks_exact(LANES).zip(bars.chunks_exact(LANES));
                for (group, (sums, bars)) in (first / LANES..).zip(groups) {
                    let mut reached = [0_u16; LANES];
                    for (at, (sum, bar)) in sums.iter().zip(bars).enumerate() {
                        reached[at] = u16::from(*sum >= own.min(*bar)) << at;
                    }
                    let reached = reached.iter().fold(0, |all, one| all | one);
                    if reached != 0 {
                        hits.push((group as u16, reached));
                    }
                }
            },
        );
    }
}

/// What a similarity must reach to be of use to a list: above 0 at least.
fn bar(list: &Nearest<Similar>) -> f32 {
    (-list.limit()).max(f64::from(f32::MIN_POSITIVE)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Statistics, TicketMatrix};
    use crate::neighbours::books::{BOOKS, edges};
    use crate::neighbours::{CosineSearch, Profiles, Subject};

    #[test]
    fn registers_of_any_width_give_the_same_sums() {
        for (name, rows) in BOOKS {
            let matrix = TicketMatrix::from_rows(12, rows());
            let index = CosineIndex::of(&matrix, &Statistics::of(&matrix));
            if index.clients() == 0 {
                continue;
            }
            let block = Block::of(&index, 0);
            let subjects = GROUP.min(block.clients);
            let mut widest = vec![0.0; subjects * BLOCK];
            block.add_dense(&block.dense, 0, 0, &mut widest);
            let mut narrowest = vec![0.0; subjects * BLOCK];
            pulp::Scalar::new().vectorize(AddDense {
                block: &block,
                subjects: &block.dense,
                from: 0,
                after: 0,
                sums: &mut narrowest,
            });
            let bits = |sums: &[f32]| sums.iter().map(|sum| sum.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&widest), bits(&narrowest), "{name}");
            let all = widest.iter().sum::<f32>();
            assert!(block.dense_products == 0 || all > 0.0, "{name}");
        }
    }

    #[test]
    fn all_at_once_finds_what_one_by_one_does_in_every_kind_of_book() {
        for (name, rows) in BOOKS {
            let matrix = TicketMatrix::from_rows(12, rows());
            let index = CosineIndex::of(&matrix, &Statistics::of(&matrix));
            let (profiles, mut search) = (Profiles::default(), CosineSearch::default());
            for k in [0, 1, 7, 300] {
                let all = NearestOfAll::of_index(&index, k);
                for client in edges(matrix.clients()) {
                    let subject = Subject::existing(&matrix, &profiles, client);
                    let one = index.nearest(&subject, &profiles, k, &mut search);
                    assert_eq!(all.of(client), one, "{name}, k = {k}, {client:?}");
                }
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let matrix = TicketMatrix::from_rows(12, BOOKS[0].1());
        let index = CosineIndex::of(&matrix, &Statistics::of(&matrix));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| NearestOfAll::of_index(&index, 20))
        };
        let (one, three) = (with(1), with(3));
        assert_eq!(one.starts, three.starts);
        assert_eq!(one.similar, three.similar);
    }

    #[test]
    fn every_pair_of_blocks_meets_once_and_no_block_is_in_two_at_once() {
        let mut state = 5_u64;
        let mut draw = |end: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % end
        };
        for blocks in (0..9).cycle().take(90) {
            let mut pairs = Pairs::of(blocks);
            let (mut meeting, mut met) = (Vec::new(), Vec::new());
            loop {
                meeting.extend(pairs.take());
                if meeting.is_empty() {
                    break;
                }
                let mut seats: Vec<usize> = meeting
                    .iter()
                    .flat_map(|(one, other)| [Some(*one), (one != other).then_some(*other)])
                    .flatten()
                    .collect();
                let all = seats.len();
                seats.sort_unstable();
                seats.dedup();
                assert_eq!(seats.len(), all);
                if draw(2) == 0 {
                    let pair = meeting.swap_remove(draw(meeting.len()));
                    pairs.end(pair);
                    met.push((pair.0.min(pair.1), pair.0.max(pair.1)));
                }
            }
            met.sort_unstable();
            let all = (0..blocks).flat_map(|one| (one..blocks).map(move |two| (one, two)));
            assert!(met.into_iter().eq(all), "{blocks}");
        }
    }
}
