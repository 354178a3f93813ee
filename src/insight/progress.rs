//! How far a group of clients is on the way to an objective.

use super::{ClientInsight, State};
use crate::domain::{Day, Measure, Measured, Objective};

/// Offers won of a group since a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Won {
    /// Offers.
    pub offers: u64,
    /// Their tickets, in minor units per period.
    pub tickets_minor: i64,
}

/// A measure of some clients; `None` where none of them can be measured.
pub fn measured<'a>(
    measure: Measure,
    clients: impl Iterator<Item = &'a ClientInsight>,
    won: Won,
) -> Option<Measured> {
    let sum = |figure: &dyn Fn(&ClientInsight) -> i64,
               clients: &mut dyn Iterator<Item = &'a ClientInsight>| {
        let sum = clients.fold(0_i64, |sum, client| sum.saturating_add(figure(client)));
        Some(Measured::Minor(sum))
    };
    let mean = |figures: &mut dyn Iterator<Item = f64>| {
        let (sum, count) = figures.fold((0.0, 0_u32), |(sum, count), one| (sum + one, count + 1));
        (count > 0).then(|| Measured::Number(sum / f64::from(count)))
    };
    let mut clients = clients;
    match measure {
        Measure::YearRevenue => sum(
            &|client| client.facts.purchases.year.revenue_minor,
            &mut clients,
        ),
        Measure::Tickets => sum(&|client| client.facts.ticket_minor, &mut clients),
        Measure::AtRisk => sum(&ClientInsight::at_risk_minor, &mut clients),
        Measure::ActiveClients => {
            let active =
                |client: &&ClientInsight| matches!(client.state, State::Active | State::Renewal);
            Some(Measured::Number(clients.filter(active).count() as f64))
        }
        Measure::ProductsPerClient => {
            let years = clients.map(|client| client.facts.purchases.year);
            let bought = years.filter(|year| year.products > 0);
            mean(&mut bought.map(|year| f64::from(year.products)))
        }
        Measure::Churn => mean(&mut clients.filter_map(|client| Some(client.churn?.probability))),
        Measure::WonOffers => Some(Measured::Number(won.offers as f64)),
        Measure::WonTickets => Some(Measured::Minor(won.tickets_minor)),
    }
}

/// Where an objective stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its target is reached.
    Reached,
    /// No day has passed since it was set.
    JustSet,
    /// At the pace so far it is reached by its day.
    OnTrack,
    /// At the pace so far it is not.
    Behind,
    /// Its day has passed, and it is not reached.
    Missed,
    /// No client is in its group any more, or none that can be measured.
    NoClients,
}

/// How far an objective is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The share of the way from the baseline to the target; below 0 where things went the other way.
    pub share: Option<f64>,
    /// The share of the time from its start to its day, 0 to 1.
    pub time_share: f64,
    /// What it comes to on its day at the pace so far; `None` before the first day has passed, and
    /// after its day.
    pub expected: Option<Measured>,
    /// Where it stands.
    pub standing: Standing,
}

impl Progress {
    /// How far an objective is on a day, by what is measured then.
    pub fn of(objective: &Objective, present: Option<Measured>, today: Day) -> Self {
        let (aim, baseline) = (&objective.aim, &objective.baseline);
        let days = |from: Day, to: Day| f64::from(to.epoch_days() - from.epoch_days());
        let whole = days(baseline.day, aim.due).max(1.0);
        let passed = days(baseline.day, today);
        let time_share = (passed / whole).clamp(0.0, 1.0);
        let Some(present) = present else {
            return Self {
                share: None,
                time_share,
                expected: None,
                standing: Standing::NoClients,
            };
        };
        let (from, to) = (baseline.value.get(), aim.target.get());
        // A target at the baseline is one to hold.
        let hold = from.total_cmp(&to).is_eq();
        let downwards = to < from || (hold && aim.measure.is_better_low());
        let reached = |value: f64| if downwards { value <= to } else { value >= to };
        let running = (0.0 < passed && passed <= whole)
            .then(|| from + (present.get() - from) * whole / passed);
        let standing = match running {
            _ if reached(present.get()) => Standing::Reached,
            _ if passed > whole => Standing::Missed,
            None => Standing::JustSet,
            Some(expected) if reached(expected) => Standing::OnTrack,
            Some(_) => Standing::Behind,
        };
        Self {
            share: match hold {
                true => Some(f64::from(u8::from(reached(present.get())))),
                false => Some((present.get() - from) / (to - from)),
            },
            time_share,
            expected: running.map(|expected| present.with(expected)),
            standing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Aim, Baseline, ClientGroup, ObjectiveId, Text};

    fn objective(measure: Measure, from: f64, to: f64) -> Objective {
        let aim = Aim {
            id: ObjectiveId::parse("o").unwrap(),
            title: Text::default(),
            group: ClientGroup::default(),
            measure,
            target: Measured::Number(to),
            due: Day::from_epoch_days(200),
        };
        let baseline = Baseline {
            day: Day::from_epoch_days(100),
            value: Measured::Number(from),
            clients: 3,
        };
        Objective::new(aim, baseline)
    }

    fn at(objective: &Objective, day: i32, present: f64) -> Progress {
        let present = Some(Measured::Number(present));
        Progress::of(objective, present, Day::from_epoch_days(day))
    }

    #[test]
    fn progress_is_the_share_of_the_way_and_the_pace_tells_where_it_ends() {
        let more = objective(Measure::ActiveClients, 10.0, 30.0);
        let half = at(&more, 150, 18.0);
        assert_eq!((half.share, half.time_share), (Some(0.4), 0.5));
        assert_eq!(half.expected, Some(Measured::Number(26.0)));
        assert_eq!(half.standing, Standing::Behind);
        assert_eq!(at(&more, 150, 20.0).standing, Standing::OnTrack);
        assert_eq!(at(&more, 150, 30.0).standing, Standing::Reached);
        assert_eq!(at(&more, 150, 5.0).share, Some(-0.25));
        let new = at(&more, 100, 10.0);
        assert_eq!((new.expected, new.standing), (None, Standing::JustSet));
        let late = at(&more, 260, 29.0);
        assert_eq!((late.expected, late.time_share), (None, 1.0));
        assert_eq!(late.standing, Standing::Missed);
        assert_eq!(at(&more, 260, 30.0).standing, Standing::Reached);
    }

    #[test]
    fn less_of_what_is_bad_is_progress_and_an_even_target_is_one_to_hold() {
        let less = objective(Measure::Churn, 0.5, 0.3);
        assert!((at(&less, 150, 0.45).share.unwrap() - 0.25).abs() < 1e-9);
        assert_eq!(at(&less, 150, 0.45).standing, Standing::Behind);
        assert_eq!(at(&less, 150, 0.25).standing, Standing::Reached);
        let hold = objective(Measure::Churn, 0.3, 0.3);
        assert_eq!(at(&hold, 150, 0.31).standing, Standing::Behind);
        assert_eq!(at(&hold, 150, 0.31).share, Some(0.0));
        assert_eq!(at(&hold, 150, 0.29).standing, Standing::Reached);
        let hold = objective(Measure::ActiveClients, 8.0, 8.0);
        assert_eq!(at(&hold, 150, 8.0).standing, Standing::Reached);
        assert_eq!(at(&hold, 150, 7.0).standing, Standing::Behind);
    }

    #[test]
    fn without_clients_there_is_no_progress() {
        let none = Progress::of(
            &objective(Measure::Churn, 0.5, 0.3),
            None,
            Day::from_epoch_days(150),
        );
        assert_eq!((none.share, none.standing), (None, Standing::NoClients));
        assert_eq!(
            measured(Measure::Churn, std::iter::empty(), Won::default()),
            None
        );
        let won = Won {
            offers: 3,
            tickets_minor: 70,
        };
        assert_eq!(
            measured(Measure::WonOffers, std::iter::empty(), won),
            Some(Measured::Number(3.0))
        );
        assert_eq!(
            measured(Measure::WonTickets, std::iter::empty(), won),
            Some(Measured::Minor(70))
        );
    }
}
