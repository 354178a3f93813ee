//! `InsightService`.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use prost::Message;
use tonic::{Request, Response, Status};

use super::access::Caller;
use super::client_filter::{client_filter, life_cycle_to_wire, state_to_wire, tier_to_wire};
use super::form::Form;
use super::portfolios::language;
use super::token::{Place, expired};
use super::{Api, token};
use crate::domain::{Client, ClientNo, DAYS_PER_MONTH, Language, Opportunity, Text};
use crate::engine::{Insighted, Scored};
use crate::insight::{ClientInsight, Grouping, LifeCycle, Signal, State, Sums, Tier};
use crate::wire::v1;
use crate::wire::v1::insight_service_server::InsightService;

/// Overdue products of one client in an answer.
const MAX_LAPSES: usize = 10;

#[tonic::async_trait]
impl InsightService for Api {
    async fn get_portfolio_summary(
        &self,
        request: Request<v1::GetPortfolioSummaryRequest>,
    ) -> Result<Response<v1::GetPortfolioSummaryResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let group_by = form.text("group_by", &request.group_by);
        let (portfolio, group_by) = form.finish(portfolio.zip(group_by))?;
        let tenant = self.gate.tenant(&caller, &portfolio)?;
        let answer = self.compute.run(&caller, move || {
            let insighted = tenant.insights()?;
            let found = found(&insighted, &request.filter.unwrap_or_default())?;
            let book = &insighted.moment.book;
            let by = (!group_by.is_empty()).then(|| book.grouping(&group_by));
            let scored = tenant.scored_already()?;
            let summed = Summed::of(&insighted, scored.as_deref());
            Ok(v1::GetPortfolioSummaryResponse {
                currency: book.portfolio().currency.to_string(),
                as_of_date: insighted.insights.as_of.to_string(),
                sums: summed.groups(&found, by.as_ref()),
                rules: Some(rules(&insighted)),
                churn: Some(basis(&insighted)),
                sequence: book.sequence(),
            })
        });
        Ok(Response::new(answer.await?))
    }

    async fn list_client_insights(
        &self,
        request: Request<v1::ListClientInsightsRequest>,
    ) -> Result<Response<v1::ListClientInsightsResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let size = form.size("page_size", request.page_size, 100, 1_000);
        let language = language(&mut form, "language", request.language);
        let order = v1::ClientOrder::try_from(request.order);
        if order.is_err() {
            form.refuse("order", format!("has no value {}", request.order));
        }
        let (portfolio, (language, order)) =
            form.finish(portfolio.zip(language.zip(order.ok())))?;
        let tenant = self.gate.tenant(&caller, &portfolio)?;
        let answer = self.compute.run(&caller, move || {
            let wanted = request.filter.unwrap_or_default();
            let filter = wanted.encode_to_vec();
            let list = format!("clients of {portfolio} by {order:?} where {filter:02x?}");
            let place: Option<Place> = token::decode(&list, &request.page_token)?;
            let insighted = match place {
                None => tenant.insights()?,
                Some(place) => tenant.pinned(place.list).ok_or_else(expired)?,
            };
            let mut found = found(&insighted, &wanted)?;
            sort(&mut found, order);
            let book = &insighted.moment.book;
            let language = language.unwrap_or(book.portfolio().language);
            let given = place.map_or(0, |place| place.given as usize);
            let end = (given.saturating_add(size)).min(found.len());
            let page = found.get(given..end).unwrap_or_default();
            let next_page_token = match end < found.len() {
                true => {
                    let list_number = tenant.pin(&insighted);
                    let place = Place {
                        list: list_number,
                        given: end as u64,
                    };
                    token::encode(&list, &place)
                }
                false => String::new(),
            };
            let scored = tenant.scored_already()?;
            let summed = Summed::of(&insighted, scored.as_deref());
            let clients = page.iter().map(|(client, insight)| {
                let growth = summed.growth_year_minor(insight.client);
                to_wire(&insighted, client, insight, growth, language)
            });
            Ok(v1::ListClientInsightsResponse {
                clients: clients.collect(),
                next_page_token,
                total_size: found.len() as u64,
                currency: book.portfolio().currency.to_string(),
                as_of_date: insighted.insights.as_of.to_string(),
                rules: Some(rules(&insighted)),
                churn: Some(basis(&insighted)),
                sequence: book.sequence(),
            })
        });
        Ok(Response::new(answer.await?))
    }

    async fn list_segments(
        &self,
        request: Request<v1::ListSegmentsRequest>,
    ) -> Result<Response<v1::ListSegmentsResponse>, Status> {
        self.segments(request).await
    }

    async fn set_objective(
        &self,
        request: Request<v1::SetObjectiveRequest>,
    ) -> Result<Response<v1::SetObjectiveResponse>, Status> {
        self.set_aim(request).await
    }

    async fn record_actions(
        &self,
        request: Request<v1::RecordActionsRequest>,
    ) -> Result<Response<v1::RecordActionsResponse>, Status> {
        self.act(request).await
    }

    async fn list_objectives(
        &self,
        request: Request<v1::ListObjectivesRequest>,
    ) -> Result<Response<v1::ListObjectivesResponse>, Status> {
        self.objectives(request).await
    }

    async fn delete_objective(
        &self,
        request: Request<v1::DeleteObjectiveRequest>,
    ) -> Result<Response<v1::DeleteObjectiveResponse>, Status> {
        self.forget_aim(request).await
    }

    async fn get_ideal_client_profile(
        &self,
        request: Request<v1::GetIdealClientProfileRequest>,
    ) -> Result<Response<v1::GetIdealClientProfileResponse>, Status> {
        self.ideal_client_profile(request).await
    }

    async fn rank_prospects(
        &self,
        request: Request<v1::RankProspectsRequest>,
    ) -> Result<Response<v1::RankProspectsResponse>, Status> {
        self.ranked_prospects(request).await
    }
}

/// A client with its place among the others.
pub(super) type Row<'a> = (&'a Client, &'a ClientInsight);

/// The clients that a filter asks for, in the order in which they were first seen.
pub(super) fn found<'a>(
    insighted: &'a Insighted,
    wanted: &v1::ClientFilter,
) -> Result<Vec<Row<'a>>, Status> {
    let book = &insighted.moment.book;
    let mut form = Form::default();
    let filter = client_filter(&mut form, book, wanted, Some(insighted))?;
    let filter = form.finish(filter)?;
    let insights = &insighted.insights;
    let named = filter.clients.iter().flatten();
    let named = named.filter_map(|client| insights.get(*client));
    let all = insights.iter().filter(|_| filter.clients.is_none());
    let rows = named.chain(all).filter_map(|insight| {
        let client = book.clients().get(insight.client.0)?;
        let admitted = filter.admits(insight.client, client) && filter.admits_insight(insight);
        admitted.then_some((client.as_ref(), insight))
    });
    Ok(rows.collect())
}

fn sort(rows: &mut [Row<'_>], order: v1::ClientOrder) {
    match order {
        v1::ClientOrder::Unspecified | v1::ClientOrder::Value => {
            rows.sort_by_key(|(_, insight)| Reverse(insight.annual_minor));
        }
        v1::ClientOrder::Idle => rows.sort_by(|(_, a), (_, b)| {
            let gaps = |insight: &ClientInsight| insight.rhythm.map_or(-1.0, |one| one.gaps_idle());
            gaps(b).total_cmp(&gaps(a))
        }),
        v1::ClientOrder::FirstSeen => {}
        v1::ClientOrder::Churn => rows.sort_by(|(_, a), (_, b)| {
            let of = |insight: &ClientInsight| insight.churn.map_or(-1.0, |one| one.probability);
            of(b).total_cmp(&of(a))
        }),
        v1::ClientOrder::AtRisk => {
            rows.sort_by_key(|(_, insight)| Reverse(insight.at_risk_minor()));
        }
    }
}

/// Sums clients up, with what their offers would add where offers were worked out.
pub(super) struct Summed<'a> {
    insighted: &'a Insighted,
    scored: Option<&'a Scored>,
}

impl<'a> Summed<'a> {
    /// Sums of these insights and offers.
    pub(super) fn of(insighted: &'a Insighted, scored: Option<&'a Scored>) -> Self {
        Self { insighted, scored }
    }

    /// Adds a client to some sums.
    pub(super) fn add(&self, sums: &mut Sums, insight: &ClientInsight) {
        sums.add(insight, self.growth_year_minor(insight.client).unwrap_or(0));
    }

    fn growth_year_minor(&self, client: ClientNo) -> Option<i64> {
        let growth = |scored| growth_year_minor(self.insighted, scored, client);
        self.scored.map(growth)
    }

    /// All, then by each group, largest first.
    fn groups(&self, rows: &[Row<'_>], by: Option<&Grouping>) -> Vec<v1::ClientSums> {
        use v1::SummaryGroup::{All, Attribute, LifeCycle, Segment, State, Tier};
        // Clients alike in everything that tells groups apart are summed first: they are many, and these few.
        let mut alike = BTreeMap::new();
        for (client, insight) in rows {
            let segment = insight.facts.segment;
            let value =
                by.and_then(|by| by.value(client, self.insighted.segment_of(insight.client)));
            let key = (
                insight.state,
                insight.life_cycle,
                insight.tier,
                segment,
                value,
            );
            self.add(alike.entry(key).or_default(), insight);
        }
        let mut all = Sums::default();
        let mut groups: BTreeMap<(v1::SummaryGroup, String), Sums> = BTreeMap::new();
        for ((state, life_cycle, tier, segment, value), sums) in &alike {
            all.merge(sums);
            let mut add = |group: v1::SummaryGroup, value: &str| {
                groups
                    .entry((group, value.to_owned()))
                    .or_default()
                    .merge(sums);
            };
            add(State, state_name(*state));
            add(LifeCycle, life_cycle_name(*life_cycle));
            add(Tier, tier_name(*tier));
            let learnt = self.insighted.past.segments.as_ref();
            if let Some(segment) = segment.and_then(|segment| learnt?.get(segment)) {
                add(Segment, segment.id.as_str());
            }
            if by.is_some() {
                add(Attribute, value.as_ref().map_or("", Text::as_str));
            }
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|((group, _), sums)| (*group, Reverse(sums.year_revenue_minor)));
        let all = ((All, String::new()), all);
        std::iter::once(all)
            .chain(groups)
            .map(|((group, value), sums)| self.to_wire(group, value, &sums))
            .collect()
    }

    /// Sums as the contract has them.
    pub(super) fn to_wire(
        &self,
        group: v1::SummaryGroup,
        value: String,
        sums: &Sums,
    ) -> v1::ClientSums {
        v1::ClientSums {
            group: group.into(),
            value,
            clients: sums.clients,
            buyers: sums.buyers,
            revenue_minor: sums.revenue_minor,
            year_revenue_minor: sums.year_revenue_minor,
            year_margin_minor: sums.year_margin_minor,
            year_purchases: sums.year_purchases,
            ticket_minor: sums.ticket_minor,
            lifetime_value_minor: sums.lifetime_value_minor(),
            expected_year_minor: sums.expected_year_minor,
            at_risk_minor: sums.at_risk_minor,
            growth_year_minor: self.scored.map(|_| sums.growth_year_minor),
        }
    }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Active => "active",
        State::Slipping => "slipping",
        State::Inactive => "inactive",
        State::Renewal => "renewal",
        State::Undated => "undated",
        State::Prospect => "prospect",
    }
}

fn life_cycle_name(life_cycle: LifeCycle) -> &'static str {
    match life_cycle {
        LifeCycle::Acquisition => "acquisition",
        LifeCycle::Retention => "retention",
        LifeCycle::Loyalty => "loyalty",
        LifeCycle::Recovery => "recovery",
    }
}

fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::A => "A",
        Tier::B => "B",
        Tier::C => "C",
    }
}

fn rules(insighted: &Insighted) -> v1::InsightRules {
    let (state, value) = (&insighted.recipe.state, &insighted.recipe.value);
    v1::InsightRules {
        usual_gap_days: insighted.insights.usual_gap_days,
        rhythm_pseudo_gaps: state.rhythm_pseudo_gaps,
        least_gap_days: state.least_gap_days,
        slipping_gaps: state.slipping_gaps,
        inactive_gaps: state.inactive_gaps,
        renewal_days: state.renewal_days.unsigned_abs(),
        new_days: state.new_days.unsigned_abs(),
        loyal_days: state.loyal_days.unsigned_abs(),
        loyal_purchases: state.loyal_purchases,
        a_share: value.a_share,
        b_share: value.b_share,
    }
}

fn to_wire(
    insighted: &Insighted,
    client: &Client,
    insight: &ClientInsight,
    growth_year_minor: Option<i64>,
    language: Language,
) -> v1::ClientInsight {
    let purchases = &insight.facts.purchases;
    let year = &purchases.year;
    let day = |day: Option<crate::domain::Day>| day.map_or(String::new(), |day| day.to_string());
    v1::ClientInsight {
        client_id: client.id.to_string(),
        client_name: client.name.to_string(),
        owner: client.owner.to_string(),
        state: state_to_wire(insight.state).into(),
        life_cycle: life_cycle_to_wire(insight.life_cycle).into(),
        reason: reason(insighted, insight, language),
        first_date: day(purchases.first_day),
        last_date: day(purchases.last_day),
        idle_days: insight
            .rhythm
            .map_or(0, |rhythm| rhythm.idle_days.unsigned_abs()),
        expected_gap_days: insight.rhythm.map(|rhythm| rhythm.gap_days),
        contract_end_date: day(insight.facts.contract_end),
        purchases: purchases.purchases.into(),
        revenue_minor: purchases.revenue_minor,
        year_revenue_minor: year.revenue_minor,
        year_margin_minor: year.margin_minor,
        year_purchases: year.purchases.into(),
        year_quantity: year.quantity_milli as f64 / 1_000.0,
        year_products: year.products,
        ticket_minor: insight.facts.ticket_minor,
        annual_minor: insight.annual_minor,
        tier: tier_to_wire(insight.tier).into(),
        rfm: insight.rfm.map(|rfm| v1::RfmScores {
            recency: rfm.recency.into(),
            frequency: rfm.frequency.into(),
            monetary: rfm.monetary.into(),
        }),
        churn_probability: insight.churn.map(|churn| churn.probability),
        churn_terms: churn_terms(insighted, insight),
        expected_year_minor: insight.expected_year_minor,
        growth_year_minor,
        lapses: lapses(insighted, insight),
        segment_id: insighted
            .segment_of(insight.client)
            .map_or(String::new(), |segment| segment.id.to_string()),
    }
}

fn churn_terms(insighted: &Insighted, insight: &ClientInsight) -> Vec<v1::ChurnTerm> {
    let Some(rhythm) = &insight.rhythm else {
        return Vec::new();
    };
    let (model, as_of) = (&insighted.past.churn, insighted.insights.as_of);
    let terms = model.terms(&insight.facts.purchases, rhythm, as_of);
    let terms = terms.into_iter().filter_map(|(signal, log_odds)| {
        let signal = match signal {
            Signal::Rate => v1::ChurnSignal::Rate,
            Signal::Recent => v1::ChurnSignal::Recent,
            Signal::GapsIdle => v1::ChurnSignal::GapsIdle,
            // Not of clients.
            Signal::Idle | Signal::Purchases => return None,
        };
        Some(v1::ChurnTerm {
            signal: signal.into(),
            log_odds,
        })
    });
    terms.collect()
}

fn lapses(insighted: &Insighted, insight: &ClientInsight) -> Vec<v1::Lapse> {
    if insight.state == State::Inactive {
        return Vec::new();
    }
    let products = insighted.moment.book.products();
    let lapses = insighted.lapses(insight.client).into_iter();
    let lapses = lapses.take(MAX_LAPSES).filter_map(|lapse| {
        let product = products.get(lapse.product.0)?;
        Some(v1::Lapse {
            product_id: product.id.to_string(),
            product_name: product.name.to_string(),
            last_date: lapse.last_day.to_string(),
            idle_days: lapse.rhythm.idle_days.unsigned_abs(),
            expected_gap_days: lapse.rhythm.gap_days,
            probability: lapse.probability,
            year_revenue_minor: lapse.year_minor,
        })
    });
    lapses.collect()
}

/// What a client's offers would add over a year: each for the part of it after half a horizon.
fn growth_year_minor(insighted: &Insighted, scored: &Scored, client: ClientNo) -> i64 {
    let gain = expected_gain(&scored.pipeline.of(client));
    (gain * periods_gained(insighted)).round() as i64
}

/// What offers gain per period on average.
pub(super) fn expected_gain(opportunities: &[Opportunity]) -> f64 {
    let expected = |one: &Opportunity| one.probability * one.gain_minor as f64;
    opportunities.iter().map(expected).sum()
}

/// Periods of a year in which an offer that succeeds half a horizon from now earns.
pub(super) fn periods_gained(insighted: &Insighted) -> f64 {
    let period_months = insighted.moment.book.portfolio().period.months() as f64;
    let late = f64::from(insighted.recipe.offer.horizon_days) / 2.0 / DAYS_PER_MONTH;
    (12.0 - late).max(0.0) / period_months
}

fn basis(insighted: &Insighted) -> v1::ChurnBasis {
    let churn = &insighted.past.churn;
    let (lessons, stopped) = churn.lessons();
    v1::ChurnBasis {
        horizon_days: churn.horizon_days(),
        is_calibrated: churn.is_calibrated(),
        lessons: lessons as u64,
        stopped: stopped as u64,
    }
}

/// Why a client is in its state, in a sentence.
fn reason(insighted: &Insighted, insight: &ClientInsight, language: Language) -> String {
    let recipe = &insighted.recipe.state;
    let (idle, gap) = insight
        .rhythm
        .map_or((0, 0.0), |rhythm| (rhythm.idle_days, rhythm.gap_days));
    let end = insight
        .facts
        .contract_end
        .map_or(String::new(), |day| day.to_string());
    let (slipping, inactive) = (recipe.slipping_gaps, recipe.inactive_gaps);
    match (insight.state, language) {
        (State::Active, Language::English) => format!(
            "Last bought {idle} days ago; it buys every {gap:.0} days or so, and slips after {slipping} times that."
        ),
        (State::Active, Language::Portuguese) => format!(
            "Última compra há {idle} dias; compra a cada {gap:.0} dias, e é tido como em queda após {slipping} vezes isso."
        ),
        (State::Slipping, Language::English) => format!(
            "Last bought {idle} days ago, more than {slipping} times its usual {gap:.0} days."
        ),
        (State::Slipping, Language::Portuguese) => format!(
            "Última compra há {idle} dias, mais de {slipping} vezes os {gap:.0} dias habituais."
        ),
        (State::Inactive, Language::English) => format!(
            "Last bought {idle} days ago, more than {inactive} times its usual {gap:.0} days."
        ),
        (State::Inactive, Language::Portuguese) => format!(
            "Última compra há {idle} dias, mais de {inactive} vezes os {gap:.0} dias habituais."
        ),
        (State::Renewal, Language::English) => format!(
            "Its contract ends on {end}, within {} days.",
            recipe.renewal_days
        ),
        (State::Renewal, Language::Portuguese) => format!(
            "O contrato termina em {end}, dentro de {} dias.",
            recipe.renewal_days
        ),
        (State::Undated, Language::English) => {
            "It has tickets and no dated sale: when it buys is not known.".to_owned()
        }
        (State::Undated, Language::Portuguese) => {
            "Tem compras sem data: não se sabe quando compra.".to_owned()
        }
        (State::Prospect, Language::English) => "It has bought nothing yet.".to_owned(),
        (State::Prospect, Language::Portuguese) => "Ainda não comprou.".to_owned(),
    }
}
