//! Clients summed up.

use super::ClientInsight;

/// What some clients are together. Amounts are in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Clients.
    pub clients: u64,
    /// Those with a dated purchase.
    pub buyers: u64,
    /// All dated sales less returns.
    pub revenue_minor: i64,
    /// The same of the last twelve months.
    pub year_revenue_minor: i64,
    /// The margin in it.
    pub year_margin_minor: i64,
    /// Purchases in the last twelve months.
    pub year_purchases: u64,
    /// Tickets per period.
    pub ticket_minor: i64,
    /// What they will spend over the next year, growth apart.
    pub expected_year_minor: i64,
    /// What they spend a year times the chance that they stop.
    pub at_risk_minor: i64,
    /// What their offers would add over the next year.
    pub growth_year_minor: i64,
}

impl Sums {
    /// Adds a client, and what its offers would add. Sums saturate, which the limits on amounts keep
    /// out of reach.
    pub fn add(&mut self, insight: &ClientInsight, growth_year_minor: i64) {
        let (purchases, year) = (&insight.facts.purchases, &insight.facts.purchases.year);
        self.merge(&Self {
            clients: 1,
            buyers: purchases.last_day.is_some().into(),
            revenue_minor: purchases.revenue_minor,
            year_revenue_minor: year.revenue_minor,
            year_margin_minor: year.margin_minor,
            year_purchases: year.purchases.into(),
            ticket_minor: insight.facts.ticket_minor,
            expected_year_minor: insight.expected_year_minor,
            at_risk_minor: insight.at_risk_minor(),
            growth_year_minor,
        });
    }

    /// Adds other clients' sums.
    pub fn merge(&mut self, other: &Self) {
        self.clients += other.clients;
        self.buyers += other.buyers;
        self.year_purchases += other.year_purchases;
        let amounts = [
            (&mut self.revenue_minor, other.revenue_minor),
            (&mut self.year_revenue_minor, other.year_revenue_minor),
            (&mut self.year_margin_minor, other.year_margin_minor),
            (&mut self.ticket_minor, other.ticket_minor),
            (&mut self.expected_year_minor, other.expected_year_minor),
            (&mut self.at_risk_minor, other.at_risk_minor),
            (&mut self.growth_year_minor, other.growth_year_minor),
        ];
        for (sum, amount) in amounts {
            *sum = sum.saturating_add(amount);
        }
    }

    /// Lifetime value by the plain formula: revenue ÷ buyers, rounded down, never negative; `None`
    /// without a buyer.
    pub fn lifetime_value_minor(&self) -> Option<i64> {
        let buyers = i64::try_from(self.buyers).ok()?;
        Some(self.revenue_minor.checked_div(buyers)?.max(0))
    }
}
