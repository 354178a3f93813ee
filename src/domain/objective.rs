//! An objective: what a manager wants of a group of clients by a day, and what is done towards it.

use serde::{Deserialize, Serialize};

use super::{ActionId, Day, ObjectiveId, Text};

/// The most actions of one objective. With texts as long as they may be, it still fits one record of the
/// store.
pub const MAX_ACTIONS: usize = 40;

/// Which clients an objective is about: a group that reports can be summed by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientGroup {
    /// What clients are told apart by: an attribute, the owner or the segment; empty for all clients.
    pub by: Text,
    /// The value that these have; empty for those without one.
    pub value: Text,
}

/// What is measured of the clients of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Measure {
    /// Dated sales less returns of the last twelve months, in minor units.
    YearRevenue,
    /// Tickets per period, in minor units.
    Tickets,
    /// Clients that buy as they used to, those up for renewal included.
    ActiveClients,
    /// Different products of the last twelve months a client that bought, the mean.
    ProductsPerClient,
    /// The mean probability that a client buys nothing within the horizon.
    Churn,
    /// What they spend a year times that probability, in minor units.
    AtRisk,
    /// Offers won since the start.
    WonOffers,
    /// Tickets of the offers won since the start, in minor units per period.
    WonTickets,
}

impl Measure {
    /// Whether it is counted in minor units.
    pub fn is_money(self) -> bool {
        matches!(
            self,
            Self::YearRevenue | Self::Tickets | Self::AtRisk | Self::WonTickets
        )
    }

    /// Whether it is counted from the start on, and not of a moment.
    pub fn is_since_start(self) -> bool {
        matches!(self, Self::WonOffers | Self::WonTickets)
    }

    /// Whether a manager wants less of it.
    pub fn is_better_low(self) -> bool {
        matches!(self, Self::Churn | Self::AtRisk)
    }
}

/// A measure's value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Measured {
    /// Minor units.
    Minor(i64),
    /// A count or a mean.
    Number(f64),
}

impl Measured {
    /// The value as a number that can be compared with others of the same measure.
    pub fn get(self) -> f64 {
        match self {
            Self::Minor(minor) => minor as f64,
            Self::Number(number) => number,
        }
    }

    /// The same kind of value, of another number.
    #[must_use]
    pub fn with(self, number: f64) -> Self {
        match self {
            Self::Minor(_) => Self::Minor(number.round() as i64),
            Self::Number(_) => Self::Number(number),
        }
    }
}

/// How things stood when an objective was set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The day that the book was seen from then; today for what is counted from the start on.
    pub day: Day,
    /// The measure.
    pub value: Measured,
    /// Clients of the group.
    pub clients: u64,
}

impl Default for Baseline {
    fn default() -> Self {
        Self {
            day: Day::from_epoch_days(0),
            value: Measured::Number(0.0),
            clients: 0,
        }
    }
}

/// What is wanted, as a manager says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aim {
    /// The manager's name for it.
    pub id: ObjectiveId,
    /// A few words; may be empty.
    pub title: Text,
    /// Of whom.
    pub group: ClientGroup,
    /// What is measured.
    pub measure: Measure,
    /// What it is to be.
    pub target: Measured,
    /// By when.
    pub due: Day,
}

impl Aim {
    /// Whether another one goes on from the same baseline: it measures the same of the same clients.
    pub fn measures_as(&self, other: &Self) -> bool {
        self.group == other.group && self.measure == other.measure
    }
}

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ActionState {
    /// It is yet to begin.
    Planned,
    /// It is under way.
    UnderWay,
    /// It is done.
    Done,
    /// It will not be done.
    Dropped,
}

/// Something done towards an objective.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The manager's name for it.
    pub id: ActionId,
    /// When.
    pub day: Day,
    /// What.
    pub text: Text,
    /// By whom; may be empty.
    pub owner: Text,
    /// Where it stands.
    pub state: ActionState,
}

/// An objective with its actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// What is wanted.
    pub aim: Aim,
    /// How things stood when it was set.
    pub baseline: Baseline,
    actions: Vec<Action>,
}

/// An objective has as many actions as are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "would give the objective more than {MAX_ACTIONS} actions; set another objective for the rest"
)]
pub struct TooManyActions;

impl Objective {
    /// An objective without actions.
    pub fn new(aim: Aim, baseline: Baseline) -> Self {
        Self {
            aim,
            baseline,
            actions: Vec::new(),
        }
    }

    /// The same actions towards another aim.
    #[must_use]
    pub fn with_aim(&self, aim: Aim, baseline: Baseline) -> Self {
        Self {
            aim,
            baseline,
            actions: self.actions.clone(),
        }
    }

    /// What is done, by day, then name.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// Notes an action; one of the same name takes the place of the one there. Returns whether it is new.
    pub fn act(&mut self, action: Action) -> Result<bool, TooManyActions> {
        let there = self.actions.iter().position(|one| one.id == action.id);
        match there {
            Some(at) => self.actions[at] = action,
            None if self.actions.len() == MAX_ACTIONS => return Err(TooManyActions),
            None => self.actions.push(action),
        }
        self.actions
            .sort_by(|a, b| a.day.cmp(&b.day).then_with(|| a.id.cmp(&b.id)));
        Ok(there.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(id: &str, day: i32, text: &str) -> Action {
        Action {
            id: ActionId::parse(id).unwrap(),
            day: Day::from_epoch_days(day),
            text: Text::parse(text).unwrap(),
            owner: Text::default(),
            state: ActionState::Planned,
        }
    }

    #[test]
    fn actions_stay_by_day_and_one_of_the_same_name_replaces() {
        let aim = Aim {
            id: ObjectiveId::parse("north").unwrap(),
            title: Text::default(),
            group: ClientGroup::default(),
            measure: Measure::Tickets,
            target: Measured::Minor(5),
            due: Day::from_epoch_days(9),
        };
        let mut objective = Objective::new(aim, Baseline::default());
        assert_eq!(objective.act(action("visit", 8, "visit")), Ok(true));
        assert_eq!(objective.act(action("call", 3, "call")), Ok(true));
        assert_eq!(objective.act(action("visit", 2, "visit all")), Ok(false));
        let texts: Vec<_> = objective
            .actions()
            .iter()
            .map(|one| one.text.as_str())
            .collect();
        assert_eq!(texts, ["visit all", "call"]);
        for at in 2..MAX_ACTIONS {
            assert_eq!(objective.act(action(&format!("{at}"), 1, "")), Ok(true));
        }
        assert_eq!(
            objective.act(action("one more", 1, "")),
            Err(TooManyActions)
        );
        assert_eq!(objective.act(action("call", 1, "")), Ok(false));
    }
}
