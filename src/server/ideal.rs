//! The ideal client and prospects, between the contract and the domain.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use tonic::{Request, Response, Status};

use super::Api;
use super::access::Caller;
use super::form::{Form, ItemField};
use super::insights::{expected_gain, found, periods_gained};
use super::opportunities::Writer;
use super::portfolios::language;
use crate::domain::{Language, Text};
use crate::engine::{Prospect, Ranked};
use crate::insight::{IdealProfile, Lifts, Telling, Trait, Unfit, Values, Verdict};
use crate::recommend::{IdealRecipe, ProspectsRecipe};
use crate::wire::v1;

/// Traits in one answer.
const MAX_TRAITS: usize = 200;
/// Prospects in one request: each costs a scoring.
const MAX_PROSPECTS: usize = 1_000;
/// Products of each prospect where the request does not say.
const DEFAULT_PRODUCTS: usize = 5;
/// The most products of each prospect.
const MAX_PRODUCTS: usize = 100;

impl Api {
    pub(super) async fn ideal_client_profile(
        &self,
        request: Request<v1::GetIdealClientProfileRequest>,
    ) -> Result<Response<v1::GetIdealClientProfileResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let language = language(&mut form, "language", request.language);
        let (portfolio, language) = form.finish(portfolio.zip(language))?;
        let tenant = self.gate.tenant(&caller, &portfolio)?;
        let answer = self.compute.run(&caller, move || {
            let insighted = tenant.insights()?;
            let clients = found(&insighted, &request.filter.unwrap_or_default())?;
            let ideal = insighted.ideal(clients.into_iter());
            let book = &insighted.moment.book;
            let telling = ideal.lifts.as_ref().map(Lifts::telling);
            let language = language.unwrap_or(book.portfolio().language);
            Ok(v1::GetIdealClientProfileResponse {
                currency: book.portfolio().currency.to_string(),
                as_of_date: insighted.insights.as_of.to_string(),
                best_clients: ideal.best as u64,
                other_clients: ideal.others as u64,
                traits: ideal.traits.iter().take(MAX_TRAITS).map(to_wire).collect(),
                tested: ideal.tested as u64,
                best_median_year_minor: ideal.best_median_minor,
                other_median_year_minor: ideal.others_median_minor,
                auc: telling.map(|one| one.auc),
                auc_low: telling.map(|one| one.low),
                auc_high: telling.map(|one| one.high),
                rules: Some(rules(&insighted.recipe.ideal)),
                notices: notice(&ideal, language).into_iter().collect(),
                sequence: book.sequence(),
            })
        });
        Ok(Response::new(answer.await?))
    }

    pub(super) async fn ranked_prospects(
        &self,
        request: Request<v1::RankProspectsRequest>,
    ) -> Result<Response<v1::RankProspectsResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let rows = form.size(
            "max_products",
            request.max_products,
            DEFAULT_PRODUCTS,
            MAX_PRODUCTS,
        );
        let order = v1::ProspectOrder::try_from(request.order);
        if order.is_err() {
            form.refuse("order", format!("has no value {}", request.order));
        }
        let language = language(&mut form, "language", request.language);
        let prospects = prospects(&mut form, &request.prospects);
        let wanted = language.zip(order.ok()).zip(prospects);
        let (portfolio, ((language, order), prospects)) = form.finish(portfolio.zip(wanted))?;
        let tenant = self.gate.tenant(&caller, &portfolio)?;
        let answer = self.compute.run(&caller, move || {
            let insighted = tenant.insights()?;
            let (ideal, ranked) = tenant.look_at(&insighted, &prospects)?;
            let book = &insighted.moment.book;
            let writer = Writer {
                book,
                language: language.unwrap_or(book.portfolio().language),
            };
            let lifts = ideal.lifts.as_ref();
            let known: BTreeSet<&str> = lifts.map_or_else(BTreeSet::new, |lifts| {
                lifts.attributes().map(Text::as_str).collect()
            });
            let compared = insighted.moment.view().profiles.attributes() as u32;
            let periods = periods_gained(&insighted);
            let mut shortfalls = BTreeSet::new();
            let mut answers: Vec<v1::RankedProspect> = Vec::with_capacity(ranked.len());
            for (wire, ranked) in request.prospects.iter().zip(&ranked) {
                shortfalls.extend(&ranked.advice.shortfalls);
                let recipe = &insighted.recipe.prospects;
                let mut answer = ranked_to_wire(&writer, wire, ranked, recipe, rows, periods);
                if lifts.is_some() {
                    let names = wire.attributes.keys();
                    let unknown = names.filter(|name| !known.contains(name.as_str()));
                    answer.unknown_attributes = unknown.cloned().collect();
                }
                answers.push(answer);
            }
            sort(&mut answers, order);
            let telling = lifts.map(Lifts::telling);
            let mut notices: Vec<_> = notice(&ideal, writer.language).into_iter().collect();
            notices.extend(writer.notices(&shortfalls));
            Ok(v1::RankProspectsResponse {
                currency: book.portfolio().currency.to_string(),
                prospects: answers,
                auc: telling.map(|one: Telling| one.auc),
                auc_low: telling.map(|one| one.low),
                auc_high: telling.map(|one| one.high),
                compared_attributes: compared,
                notices,
                sequence: book.sequence(),
            })
        });
        Ok(Response::new(answer.await?))
    }
}

/// The companies of a request.
fn prospects(form: &mut Form, wire: &[v1::Prospect]) -> Option<Vec<Prospect>> {
    match wire.len() {
        0 => form.refuse("prospects", "must not be empty"),
        1..=MAX_PROSPECTS => {}
        more => {
            form.refuse(
                "prospects",
                format!("has {more} items; send at most {MAX_PROSPECTS} in one request"),
            );
            return None;
        }
    }
    let mut seen = BTreeSet::new();
    let mut prospects = Vec::with_capacity(wire.len());
    for (at, wire) in wire.iter().enumerate() {
        if form.is_full() {
            break;
        }
        let field = ItemField::of("prospects", at);
        let id = form.client(field("prospect_id"), &wire.prospect_id);
        if id.is_some() && !seen.insert(&wire.prospect_id) {
            form.refuse(field("prospect_id"), "names the same company a second time");
        }
        let name = form.text(field("name"), &wire.name);
        let attributes = form.attributes(field("attributes"), &wire.attributes);
        if let (Some(id), Some(_), Some(attributes)) = (id, name, attributes) {
            prospects.push(Prospect { id, attributes });
        }
    }
    Some(prospects)
}

fn ranked_to_wire(
    writer: &Writer<'_>,
    prospect: &v1::Prospect,
    ranked: &Ranked,
    recipe: &ProspectsRecipe,
    rows: usize,
    periods: f64,
) -> v1::RankedProspect {
    let looks = &ranked.looks;
    let offers = &ranked.advice.opportunities;
    let expected = expected_gain(offers);
    v1::RankedProspect {
        prospect_id: prospect.prospect_id.clone(),
        name: prospect.name.clone(),
        fit: looks.fit,
        fit_terms: looks
            .terms
            .iter()
            .map(|(attribute, log_lift)| v1::FitTerm {
                attribute: attribute.to_string(),
                log_lift: *log_lift,
            })
            .collect(),
        difference: looks.difference,
        known_attributes: looks.known as u32,
        unknown_attributes: Vec::new(),
        products: offers
            .iter()
            .take(rows)
            .map(|offer| writer.opportunity(offer, true))
            .collect(),
        expected_minor: expected.round() as i64,
        expected_year_minor: (expected * periods).round() as i64,
        disqualifications: looks
            .unfit
            .iter()
            .map(|unfit| disqualification(*unfit, ranked, recipe, writer.language))
            .collect(),
    }
}

/// The best first: those worth a call, then by what was asked for, then as they were sent.
fn sort(answers: &mut [v1::RankedProspect], order: v1::ProspectOrder) {
    answers.sort_by_key(|one| Reverse(one.expected_minor));
    if order != v1::ProspectOrder::Value {
        answers.sort_by(|a, b| b.fit.unwrap_or(0.0).total_cmp(&a.fit.unwrap_or(0.0)));
    }
    answers.sort_by_key(|one| !one.disqualifications.is_empty());
}

fn disqualification(
    unfit: Unfit,
    ranked: &Ranked,
    recipe: &ProspectsRecipe,
    language: Language,
) -> v1::Disqualification {
    use v1::DisqualificationCode as Code;
    let looks = &ranked.looks;
    let fit = looks.fit.unwrap_or(0.0);
    let (known, compared) = (looks.known, looks.compared);
    let nearest = recipe.nearest;
    let difference = looks
        .difference
        .map_or("–".to_owned(), |difference| format!("{difference:.2}"));
    let (code, english, portuguese) = match unfit {
        Unfit::Buys => (
            Code::Buys,
            "A client of this id buys already.".to_owned(),
            "Um cliente com este código já compra.".to_owned(),
        ),
        Unfit::NothingKnown => (
            Code::NothingKnown,
            "Nothing is known of it that clients share: check the names of its attributes."
                .to_owned(),
            "Nada se sabe dela em comum com os clientes: confira os nomes dos atributos."
                .to_owned(),
        ),
        Unfit::MissingAttributes => (
            Code::MissingAttributes,
            format!(
                "Only {known} of the {compared} attributes that clients are compared by are known."
            ),
            format!(
                "Só se conhecem {known} dos {compared} atributos pelos quais os clientes são comparados."
            ),
        ),
        Unfit::TooFar => (
            Code::TooFar,
            format!(
                "It is far from any client: the difference to its {nearest} nearest buyers goes up to {difference}, more than {} (two clients at random: about 1).",
                recipe.most_difference
            ),
            format!(
                "Está longe de qualquer cliente: a diferença para os {nearest} compradores mais próximos chega a {difference}, mais de {} (dois clientes ao acaso: cerca de 1).",
                recipe.most_difference
            ),
        ),
        Unfit::OutsideProfile => (
            Code::OutsideProfile,
            format!(
                "It is outside the profile: only {fit:.0} of 100 buyers look less like the best clients."
            ),
            format!(
                "Está fora do perfil: só {fit:.0} de 100 compradores se parecem menos com os melhores clientes."
            ),
        ),
        Unfit::NoProduct => (
            Code::NoProduct,
            "No product can be named that it would buy: too few similar clients buy any."
                .to_owned(),
            "Não há produto que se possa indicar: poucos clientes parecidos compram algum."
                .to_owned(),
        ),
    };
    v1::Disqualification {
        code: code.into(),
        text: match language {
            Language::English => english,
            Language::Portuguese => portuguese,
        },
    }
}

fn to_wire(one: &Trait) -> v1::ProfileTrait {
    use v1::profile_trait::Values as Wire;
    v1::ProfileTrait {
        attribute: one.attribute.to_string(),
        values: Some(match &one.values {
            Values::Text(text) => Wire::Text(text.to_string()),
            Values::Range { min, max } => Wire::Range(v1::NumberRange {
                min: *min,
                max: *max,
            }),
        }),
        standing: match one.standing {
            Verdict::Best => v1::TraitStanding::Best,
            Verdict::Others => v1::TraitStanding::Others,
            Verdict::NotShown => v1::TraitStanding::NotShown,
        }
        .into(),
        clients: one.clients as u64,
        best_clients: one.best as u64,
        known_clients: one.known as u64,
        known_best_clients: one.known_best as u64,
        lift: one.lift,
        lift_low: one.interval[0],
        lift_high: one.interval[1],
        p_value: one.p_value,
    }
}

fn rules(recipe: &IdealRecipe) -> v1::IdealRules {
    v1::IdealRules {
        best_share: recipe.best_share,
        least_best: recipe.least_best as u32,
        least_support: recipe.least_support as u32,
        pseudo_clients: recipe.pseudo_clients,
        false_share: recipe.false_share,
    }
}

/// Why little or nothing can be said of what sets the best apart.
fn notice(ideal: &IdealProfile, language: Language) -> Option<v1::Notice> {
    let (best, others, tested) = (ideal.best, ideal.others, ideal.tested);
    let told = |one: &Trait| one.standing != Verdict::NotShown;
    let (code, english, portuguese) = match &ideal.lifts {
        None => (
            v1::NoticeCode::TooFewBest,
            format!(
                "{best} clients are among the best and {others} are not: too few to say what sets them apart."
            ),
            format!(
                "{best} clientes estão entre os melhores e {others} não: poucos para dizer o que os distingue."
            ),
        ),
        Some(_) if !ideal.traits.iter().any(told) => (
            v1::NoticeCode::NothingTells,
            format!(
                "None of the {tested} values and ranges tested sets the best clients apart beyond chance."
            ),
            format!(
                "Nenhum dos {tested} valores e faixas testados distingue os melhores clientes além do acaso."
            ),
        ),
        Some(_) => return None,
    };
    Some(v1::Notice {
        code: code.into(),
        text: match language {
            Language::English => english,
            Language::Portuguese => portuguese,
        },
    })
}
