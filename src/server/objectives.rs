//! Objectives of `InsightService`: set, worked on, listed, removed.

use std::collections::BTreeSet;

use tonic::{Request, Response, Status};

use super::access::Caller;
use super::form::{Form, ItemField};
use super::{Api, token};
use crate::domain::{
    Action, ActionId, ActionState, Aim, ClientGroup, MAX_ACTIONS, Measure, Measured, Objective,
    ObjectiveId,
};
use crate::engine::{Insighted, Refusal, Write, today};
use crate::insight::Standing;
use crate::wire::v1;

/// The most objectives of one answer: each takes a look at all clients.
const MAX_PAGE: usize = 100;

const MEASURES: [(Measure, v1::ObjectiveMeasure); 8] = [
    (Measure::YearRevenue, v1::ObjectiveMeasure::YearRevenue),
    (Measure::Tickets, v1::ObjectiveMeasure::Tickets),
    (Measure::ActiveClients, v1::ObjectiveMeasure::ActiveClients),
    (
        Measure::ProductsPerClient,
        v1::ObjectiveMeasure::ProductsPerClient,
    ),
    (Measure::Churn, v1::ObjectiveMeasure::Churn),
    (Measure::AtRisk, v1::ObjectiveMeasure::AtRisk),
    (Measure::WonOffers, v1::ObjectiveMeasure::WonOffers),
    (Measure::WonTickets, v1::ObjectiveMeasure::WonTickets),
];

const STATES: [(ActionState, v1::ActionState); 4] = [
    (ActionState::Planned, v1::ActionState::Planned),
    (ActionState::UnderWay, v1::ActionState::UnderWay),
    (ActionState::Done, v1::ActionState::Done),
    (ActionState::Dropped, v1::ActionState::Dropped),
];

impl Api {
    /// `InsightService.SetObjective`.
    pub(super) async fn set_aim(
        &self,
        request: Request<v1::SetObjectiveRequest>,
    ) -> Result<Response<v1::SetObjectiveResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let request_id = form.request_id(&request.request_id);
        if request.objective.is_none() {
            form.refuse("objective", "must be given");
        }
        let aim = aim(&mut form, &request.objective.unwrap_or_default());
        let (portfolio, (request_id, aim)) = form.finish(portfolio.zip(request_id.zip(aim)))?;
        let tenant = self.gate.tenant(&caller, &portfolio)?;
        let write = move || {
            let there = tenant.book().objectives().get(&aim.id).cloned();
            let goes_on = there.filter(|there| there.aim.measures_as(&aim));
            let baseline = match goes_on {
                Some(there) => there.baseline,
                None => {
                    let insighted = tenant.insights()?;
                    let now = insighted.measure(&aim.group, aim.measure, today())?;
                    // What was won before it was set counts for nothing.
                    let now = match aim.measure.is_since_start() {
                        true => now.starting_at_nothing(),
                        false => now,
                    };
                    now.baseline(&aim)?
                }
            };
            Ok(Write::SetObjective { aim, baseline })
        };
        let write = self.compute.run(&caller, write).await?;
        let answer = self
            .gate
            .write(&caller, portfolio, request_id, write)
            .await?;
        Ok(Response::new(v1::SetObjectiveResponse {
            created: answer.created > 0,
            sequence: answer.sequence,
        }))
    }

    /// `InsightService.RecordActions`.
    pub(super) async fn act(
        &self,
        request: Request<v1::RecordActionsRequest>,
    ) -> Result<Response<v1::RecordActionsResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let id = form.take("objective_id", ObjectiveId::parse(&request.objective_id));
        let request_id = form.request_id(&request.request_id);
        match request.actions.len() {
            0 => form.refuse("actions", "must not be empty"),
            1..=MAX_ACTIONS => {}
            more => form.refuse(
                "actions",
                format!("has {more} entries; an objective keeps at most {MAX_ACTIONS}"),
            ),
        }
        let mut seen = BTreeSet::new();
        let mut actions = Vec::new();
        for (at, wire) in request.actions.iter().take(MAX_ACTIONS).enumerate() {
            if let Some(action) = action(&mut form, at, wire) {
                if !seen.insert(action.id.clone()) {
                    form.refuse(format!("actions[{at}].action_id"), "is there twice");
                }
                actions.push(action);
            }
        }
        let (portfolio, (id, request_id)) = form.finish(portfolio.zip(id.zip(request_id)))?;
        let write = Write::RecordActions(id, actions);
        let answer = self
            .gate
            .write(&caller, portfolio, request_id, write)
            .await?;
        Ok(Response::new(v1::RecordActionsResponse {
            created: answer.created,
            replaced: answer.replaced,
            sequence: answer.sequence,
        }))
    }

    /// `InsightService.ListObjectives`.
    pub(super) async fn objectives(
        &self,
        request: Request<v1::ListObjectivesRequest>,
    ) -> Result<Response<v1::ListObjectivesResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let size = form.size("page_size", request.page_size, MAX_PAGE, MAX_PAGE);
        let portfolio = form.finish(portfolio)?;
        let list = format!("objectives of {portfolio}");
        let from: Option<ObjectiveId> = token::decode(&list, &request.page_token)?;
        let tenant = self.gate.tenant(&caller, &portfolio)?;
        let answer = self.compute.run(&caller, move || {
            // Objectives are no facts of the book: they are taken from the newest one.
            let book = tenant.book();
            let insighted = tenant.insights()?;
            let all = book.objectives().iter();
            let mut rest = all.skip_while(|(id, _)| from.as_ref().is_some_and(|from| *id < from));
            let page: Vec<_> = rest.by_ref().take(size).collect();
            let progress = page.iter().map(|(_, one)| progress(&insighted, one));
            Ok(v1::ListObjectivesResponse {
                objectives: progress.collect::<Result<_, Refusal>>()?,
                next_page_token: rest
                    .next()
                    .map_or(String::new(), |(id, _)| token::encode(&list, id)),
                currency: book.portfolio().currency.to_string(),
                sequence: book.sequence(),
            })
        });
        Ok(Response::new(answer.await?))
    }

    /// `InsightService.DeleteObjective`.
    pub(super) async fn forget_aim(
        &self,
        request: Request<v1::DeleteObjectiveRequest>,
    ) -> Result<Response<v1::DeleteObjectiveResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let id = form.take("objective_id", ObjectiveId::parse(&request.objective_id));
        let request_id = form.request_id(&request.request_id);
        let (portfolio, (id, request_id)) = form.finish(portfolio.zip(id.zip(request_id)))?;
        let write = Write::DeleteObjective(id);
        let answer = self
            .gate
            .write(&caller, portfolio, request_id, write)
            .await?;
        Ok(Response::new(v1::DeleteObjectiveResponse {
            sequence: answer.sequence,
        }))
    }
}

fn aim(form: &mut Form, wire: &v1::Objective) -> Option<Aim> {
    let id = form.take(
        "objective.objective_id",
        ObjectiveId::parse(&wire.objective_id),
    );
    let title = form.text("objective.title", &wire.title);
    let group = wire.group.clone().unwrap_or_default();
    if group.group_by.is_empty() && !group.value.is_empty() {
        form.refuse("objective.group.group_by", "must say what the value is of");
    }
    let by = form.text("objective.group.group_by", &group.group_by);
    let value = form.text("objective.group.value", &group.value);
    let measures = MEASURES
        .iter()
        .find(|(_, one)| i32::from(*one) == wire.measure);
    let measure = measures.map(|(measure, _)| *measure);
    if measure.is_none() {
        let reason = match wire.measure {
            0 => "must be given".to_owned(),
            raw => format!("has no value {raw}"),
        };
        form.refuse("objective.measure", reason);
    }
    let target = measure.and_then(|measure| target(form, measure, wire.target));
    let due = form.day("objective.due_date", &wire.due_date);
    Some(Aim {
        id: id?,
        title: title?,
        group: ClientGroup {
            by: by?,
            value: value?,
        },
        measure: measure?,
        target: target?,
        due: due?,
    })
}

/// A target of the kind that its measure is counted in.
fn target(form: &mut Form, measure: Measure, wire: Option<v1::MeasuredValue>) -> Option<Measured> {
    use v1::measured_value::Value;
    match (measure.is_money(), wire.and_then(|wire| wire.value)) {
        (true, Some(Value::AmountMinor(minor))) if minor >= 0 => Some(Measured::Minor(minor)),
        (false, Some(Value::Number(number))) if number.is_finite() && number >= 0.0 => {
            Some(Measured::Number(number))
        }
        (true, _) => {
            form.refuse("objective.target", "must be an amount_minor of 0 or more");
            None
        }
        (false, _) => {
            form.refuse("objective.target", "must be a number of 0 or more");
            None
        }
    }
}

fn action(form: &mut Form, at: usize, wire: &v1::ObjectiveAction) -> Option<Action> {
    let field = ItemField::of("actions", at);
    let id = form.take(field("action_id"), ActionId::parse(&wire.action_id));
    let day = form.day(field("date"), &wire.date);
    let text = form.text(field("text"), &wire.text);
    if wire.text.is_empty() {
        form.refuse(field("text"), "must say what is done");
    }
    let owner = form.text(field("owner"), &wire.owner);
    let state = match wire.state {
        0 => Some(ActionState::Planned),
        raw => {
            let found = STATES.iter().find(|(_, one)| i32::from(*one) == raw);
            if found.is_none() {
                form.refuse(field("state"), format!("has no value {raw}"));
            }
            found.map(|(state, _)| *state)
        }
    };
    Some(Action {
        id: id?,
        day: day?,
        text: text?,
        owner: owner?,
        state: state?,
    })
}

fn measured_to_wire(measured: Measured) -> v1::MeasuredValue {
    use v1::measured_value::Value;
    let value = match measured {
        Measured::Minor(minor) => Value::AmountMinor(minor),
        Measured::Number(number) => Value::Number(number),
    };
    v1::MeasuredValue { value: Some(value) }
}

fn progress(
    insighted: &Insighted,
    objective: &Objective,
) -> Result<v1::ObjectiveProgress, Refusal> {
    let (now, progress) = insighted.progress(objective)?;
    let Objective { aim, baseline, .. } = objective;
    let measure = MEASURES.iter().find(|(one, _)| *one == aim.measure);
    let action = |action: &Action| {
        let state = STATES.iter().find(|(one, _)| *one == action.state);
        v1::ObjectiveAction {
            action_id: action.id.to_string(),
            date: action.day.to_string(),
            text: action.text.to_string(),
            owner: action.owner.to_string(),
            state: state.map_or(0, |(_, state)| (*state).into()),
        }
    };
    let standing = match progress.standing {
        Standing::Reached => v1::ObjectiveStanding::Reached,
        Standing::JustSet => v1::ObjectiveStanding::JustSet,
        Standing::OnTrack => v1::ObjectiveStanding::OnTrack,
        Standing::Behind => v1::ObjectiveStanding::Behind,
        Standing::Missed => v1::ObjectiveStanding::Missed,
        Standing::NoClients => v1::ObjectiveStanding::NoClients,
    };
    Ok(v1::ObjectiveProgress {
        objective: Some(v1::Objective {
            objective_id: aim.id.to_string(),
            title: aim.title.to_string(),
            group: Some(v1::ClientGroup {
                group_by: aim.group.by.to_string(),
                value: aim.group.value.to_string(),
            }),
            measure: measure.map_or(0, |(_, measure)| (*measure).into()),
            target: Some(measured_to_wire(aim.target)),
            due_date: aim.due.to_string(),
        }),
        actions: objective.actions().iter().map(action).collect(),
        baseline_date: baseline.day.to_string(),
        baseline: Some(measured_to_wire(baseline.value)),
        baseline_clients: baseline.clients,
        as_of_date: now.day.to_string(),
        present: now.value.map(measured_to_wire),
        clients: now.clients,
        progress: progress.share,
        time_share: progress.time_share,
        expected_at_due: progress.expected.map(measured_to_wire),
        standing: standing.into(),
    })
}
