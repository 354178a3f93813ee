//! Objectives: in the ledger, and how far they are.

use std::sync::Arc;

use super::clock::today;
use super::ledger::Ledger;
use super::{Book, EngineError, Insighted, Refusal};
use crate::domain::{
    Action, Aim, Baseline, ClientGroup, ClientNo, Day, Measure, Measured, Objective, ObjectiveId,
    Outcome, Violation,
};
use crate::insight::{ClientInsight, Grouping, Progress, Won, measured};
use crate::store::{Change, ObjectiveHash};

/// The most objectives of one portfolio.
pub const MAX_OBJECTIVES: usize = 1_000;

impl Ledger {
    /// Sets an objective. One that goes on measuring the same keeps its baseline.
    pub(super) fn set_objective(
        &mut self,
        aim: &Aim,
        baseline: Baseline,
        changes: &mut Vec<Change>,
    ) -> Result<(u32, u32), EngineError> {
        let there = self.book.objectives.get(&aim.id);
        if there.is_none() && self.book.objectives.len() >= MAX_OBJECTIVES {
            let text = format!(
                "the portfolio has {MAX_OBJECTIVES} objectives already; remove one with DeleteObjective"
            );
            return Err(Refusal::Precondition(text).into());
        }
        let goes_on = there.filter(|there| there.aim.measures_as(aim));
        let baseline = goes_on.map_or(baseline, |there| there.baseline);
        if aim.due <= baseline.day {
            let reason = format!("must be after {}, from which it is measured", baseline.day);
            return Err(Refusal::Invalid(vec![Violation::new("due_date", reason)]).into());
        }
        let (objective, answer) = match there {
            Some(there) => (there.with_aim(aim.clone(), baseline), (0, 1)),
            None => (Objective::new(aim.clone(), baseline), (1, 0)),
        };
        self.put_objective(objective, changes);
        Ok(answer)
    }

    /// Removes an objective.
    pub(super) fn delete_objective(
        &mut self,
        id: &ObjectiveId,
        changes: &mut Vec<Change>,
    ) -> Result<(u32, u32), EngineError> {
        if self.book.objectives.remove(id).is_none() {
            return Err(no_objective(id).into());
        }
        changes.push(Change::DropObjective(ObjectiveHash::of(id)));
        Ok((0, 0))
    }

    /// Works actions in; all of them or none.
    pub(super) fn record_actions(
        &mut self,
        id: &ObjectiveId,
        actions: &[Action],
        changes: &mut Vec<Change>,
    ) -> Result<(u32, u32), EngineError> {
        let there = self.book.objectives.get(id);
        let there = there.ok_or_else(|| no_objective(id))?;
        let mut objective = there.as_ref().clone();
        let (mut created, mut replaced) = (0, 0);
        for action in actions {
            match objective.act(action.clone()) {
                Ok(true) => created += 1,
                Ok(false) => replaced += 1,
                Err(error) => {
                    let violation = Violation::new("actions", error.to_string());
                    return Err(Refusal::Invalid(vec![violation]).into());
                }
            }
        }
        self.put_objective(objective, changes);
        Ok((created, replaced))
    }

    fn put_objective(&mut self, objective: Objective, changes: &mut Vec<Change>) {
        let objective = Arc::new(objective);
        let id = objective.aim.id.clone();
        self.book.objectives.insert(id, objective.clone());
        changes.push(Change::PutObjective(objective));
    }
}

fn no_objective(id: &ObjectiveId) -> Refusal {
    Refusal::NotFound {
        what: "objective",
        id: id.to_string(),
    }
}

/// What is measured of a group at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupMeasure {
    /// The day it is of.
    pub day: Day,
    /// Clients of the group.
    pub clients: u64,
    /// The measure; `None` where none of them can be measured.
    pub value: Option<Measured>,
}

impl GroupMeasure {
    /// The same of a group of which nothing has happened yet.
    #[must_use]
    pub fn starting_at_nothing(self) -> Self {
        Self {
            value: self.value.map(|value| value.with(0.0)),
            ..self
        }
    }

    /// The baseline of an objective that is set now, or why there is none.
    pub fn baseline(&self, aim: &Aim) -> Result<Baseline, Refusal> {
        let of_whom = || match aim.group.by.is_empty() {
            true => "the portfolio".to_owned(),
            false => format!("the group {} '{}'", aim.group.by, aim.group.value),
        };
        let refused =
            |field: &str, reason: String| Refusal::Invalid(vec![Violation::new(field, reason)]);
        if self.clients == 0 {
            return Err(refused("group", format!("holds no client: {}", of_whom())));
        }
        let value = self.value.ok_or_else(|| {
            let reason = format!(
                "cannot be measured: no client of {} has a dated purchase",
                of_whom()
            );
            refused("measure", reason)
        })?;
        Ok(Baseline {
            day: self.day,
            value,
            clients: self.clients,
        })
    }
}

impl Insighted {
    /// A measure of a group; `since` is the first day that counts for what is counted from a start on.
    /// Cost: the clients, and the offers that have a past.
    pub fn measure(
        &self,
        group: &ClientGroup,
        measure: Measure,
        since: Day,
    ) -> Result<GroupMeasure, Refusal> {
        let book = &self.moment.book;
        let grouping = match group.by.is_empty() {
            true => None,
            false => Some(book.grouping(&group.by)),
        };
        if grouping == Some(Grouping::Segment) {
            self.learnt_segments()?;
        }
        let within = |client: ClientNo| {
            let Some(grouping) = &grouping else {
                return true;
            };
            let record = book.clients().get(client.0);
            let value = record.and_then(|record| grouping.value(record, self.segment_of(client)));
            value.unwrap_or_default() == group.value
        };
        let clients: Vec<&ClientInsight> = self
            .insights
            .iter()
            .filter(|insight| within(insight.client))
            .collect();
        let won = match measure.is_since_start() {
            true => won(book, since, &within),
            false => Won::default(),
        };
        Ok(GroupMeasure {
            day: match measure.is_since_start() {
                true => today(),
                false => self.insights.as_of,
            },
            clients: clients.len() as u64,
            value: measured(measure, clients.into_iter(), won),
        })
    }

    /// How far an objective is, and what is measured of its group now.
    pub fn progress(&self, objective: &Objective) -> Result<(GroupMeasure, Progress), Refusal> {
        let Objective { aim, baseline, .. } = objective;
        let now = self.measure(&aim.group, aim.measure, baseline.day)?;
        // A group that nobody is in any more has no sum of 0 to show.
        let value = now.value.filter(|_| now.clients > 0);
        let now = GroupMeasure { value, ..now };
        Ok((now, Progress::of(objective, value, now.day)))
    }
}

/// Offers to some clients whose last outcome, since a day, is that they were won.
fn won(book: &Book, since: Day, within: &dyn Fn(ClientNo) -> bool) -> Won {
    let mut won = Won::default();
    for ((client, ..), offer) in book.offers() {
        let last = offer.last_outcome().filter(|last| last.day >= since);
        let Some(Outcome::Won { ticket_minor }) = last.map(|last| last.outcome) else {
            continue;
        };
        if within(*client) {
            won.offers += 1;
            won.tickets_minor = won.tickets_minor.saturating_add(ticket_minor);
        }
    }
    won
}
