//! How far a client's tickets scatter about what is expected of them, beside other clients.
//!
//! Each ticket, itself left out of what is expected of it, stands so many deviations off. The mean
//! square of these is a client's dispersion, drawn to the book's: empirical Bayes by the method of
//! moments of a one-way layout (Searle, Casella, McCulloch, *Variance Components*, 1992, section
//! 3.6). Where clients scatter alike beyond chance, the book's stands for all.

/// The largest square that counts: a ticket further than three deviations off is a slip or a project,
/// and says little of the other tickets.
const LARGEST_SQUARE: f64 = 9.0;

/// The squares of one client's deviations, each at most [`LARGEST_SQUARE`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Scatter {
    pub(super) squares: f64,
    pub(super) tickets: f64,
    /// Sum of the squares' squares.
    fourths: f64,
}

impl Scatter {
    /// As it was packed: enough for [`Dispersion::of_client`].
    pub(super) fn packed(squares: f32, tickets: f32) -> Self {
        Self {
            squares: f64::from(squares),
            tickets: f64::from(tickets),
            fourths: 0.0,
        }
    }

    /// Counts a ticket that stands so many deviations off.
    pub(super) fn add(&mut self, deviations: f64) {
        let square = (deviations * deviations).min(LARGEST_SQUARE);
        self.squares += square;
        self.fourths += square * square;
        self.tickets += 1.0;
    }

    /// Takes one of the tickets back.
    pub(super) fn leave_out(&mut self, deviations: f64) {
        let square = (deviations * deviations).min(LARGEST_SQUARE);
        self.squares = (self.squares - square).max(0.0);
        self.tickets = (self.tickets - 1.0).max(0.0);
    }
}

/// What is usual in a book, and how much each client is believed to differ from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dispersion {
    /// Mean square over all tickets.
    usual: f64,
    /// Tickets at the usual square that every client starts with; infinite where all scatter alike.
    pseudo_tickets: f64,
}

impl Default for Dispersion {
    fn default() -> Self {
        Self {
            usual: 1.0,
            pseudo_tickets: f64::INFINITY,
        }
    }
}

impl Dispersion {
    /// Of a book, with so many pseudo-tickets more than it asks for itself.
    pub(super) fn of(clients: &[Scatter], more_pseudo_tickets: f64) -> Self {
        let sum = |of: &dyn Fn(&Scatter) -> f64| clients.iter().map(of).sum::<f64>();
        let tickets = sum(&|one| one.tickets);
        let known = clients.iter().filter(|one| one.tickets > 0.0).count() as f64;
        let usual = sum(&|one| one.squares) / tickets.max(1.0);
        let of_means = sum(&|one| one.squares * one.squares / one.tickets.max(1.0));
        let within = (sum(&|one| one.fourths) - of_means) / (tickets - known).max(1.0);
        let between = of_means - usual * usual * tickets - (known - 1.0).max(0.0) * within;
        let spread = tickets - sum(&|one| one.tickets * one.tickets) / tickets.max(1.0);
        let variance = between / spread.max(1.0);
        if variance <= 0.0 || within <= 0.0 || usual <= 0.0 {
            return Self::default();
        }
        Self {
            usual,
            pseudo_tickets: within / variance + more_pseudo_tickets,
        }
    }

    /// Whether clients differ.
    pub(super) fn is_known(&self) -> bool {
        self.pseudo_tickets.is_finite()
    }

    /// By what a client's deviation is larger than usual.
    pub(super) fn of_client(&self, scatter: Scatter) -> f64 {
        if !self.is_known() {
            return 1.0;
        }
        let usual = self.usual * self.pseudo_tickets;
        let square = (scatter.squares + usual) / (scatter.tickets + self.pseudo_tickets);
        (square / self.usual).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::upsell::mix;

    /// Numbers of about normal spread, the same every time: the sum of twelve uniform ones less six.
    fn normal(seed: u64) -> f64 {
        let uniform = |at: u64| (mix(seed * 12 + at) >> 11) as f64 / (1_u64 << 53) as f64;
        (0..12).map(uniform).sum::<f64>() - 6.0
    }

    fn scatters(clients: u64, tickets: u64, spread: impl Fn(u64) -> f64) -> Vec<Scatter> {
        let client = |client: u64| {
            let mut scatter = Scatter::default();
            for ticket in 0..tickets {
                scatter.add(spread(client) * normal(client * tickets + ticket));
            }
            scatter
        };
        (0..clients).map(client).collect()
    }

    #[test]
    fn clients_that_scatter_differently_are_told_apart_as_far_as_they_are_known() {
        let spread = |client: u64| if client.is_multiple_of(2) { 0.6 } else { 1.2 };
        let all = scatters(400, 60, spread);
        let dispersion = Dispersion::of(&all, 0.0);
        let usual = (f64::midpoint(0.36, 1.44)).sqrt();
        let mean = |odd: usize| {
            let of = all.iter().skip(odd).step_by(2);
            of.map(|one| dispersion.of_client(*one)).sum::<f64>() / 200.0
        };
        assert!((mean(0) - 0.6 / usual).abs() < 0.08, "{}", mean(0));
        assert!((mean(1) - 1.2 / usual).abs() < 0.08, "{}", mean(1));
        assert!((dispersion.of_client(Scatter::default()) - 1.0).abs() < 1e-12);
        let held_back = Dispersion::of(&all, 1e12).of_client(all[0]);
        assert!((held_back - 1.0).abs() < 1e-6);
    }

    #[test]
    fn chance_is_no_trait() {
        let dispersion = Dispersion::of(&scatters(400, 60, |_| 1.0), 0.0);
        let far = scatters(1, 60, |_| 1.5)[0];
        assert!((dispersion.of_client(far) - 1.0).abs() < 0.06);
        assert!(!Dispersion::of(&[], 0.0).is_known());
    }

    #[test]
    fn a_ticket_left_out_leaves_what_was_there_before_it() {
        let mut scatter = Scatter::default();
        scatter.add(0.5);
        let before = scatter;
        scatter.add(7.0);
        scatter.leave_out(7.0);
        assert!((scatter.squares - before.squares).abs() < 1e-12);
        assert!((scatter.tickets - 1.0).abs() < 1e-12);
    }
}
