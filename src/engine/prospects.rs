//! The ideal client, and companies that do not buy yet beside it.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::scoring::suppose;
use super::tenant::Tenant;
use super::{Advice, EngineError, Insighted, Supposed};
use crate::domain::{Attribute, Client, ClientId, ClientNo, Text};
use crate::insight::{ClientInsight, IdealProfile, Looks, Unfit, buyers, looks};

/// A company that may buy one day. Nothing of it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Prospect {
    /// The caller's id.
    pub id: ClientId,
    /// What it is.
    pub attributes: BTreeMap<Text, Attribute>,
}

/// A prospect beside the clients of a book.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// How it looks, and why it is not worth a call.
    pub looks: Looks,
    /// What it would buy.
    pub advice: Advice,
}

impl Insighted {
    /// What sets the best of some clients apart from the other buyers among them.
    pub fn ideal<'a>(
        &self,
        clients: impl Iterator<Item = (&'a Client, &'a ClientInsight)>,
    ) -> IdealProfile {
        let recipe = &self.recipe.ideal;
        let clients = clients.map(|(client, insight)| (&client.attributes, insight));
        IdealProfile::of(&buyers(clients, recipe), recipe)
    }

    /// The same of all clients.
    fn ideal_of_all(&self) -> IdealProfile {
        let clients = self.moment.book.clients();
        self.ideal(self.insights.iter().filter_map(|insight| {
            let client = clients.get(insight.client.0)?;
            Some((client.as_ref(), insight))
        }))
    }
}

impl Tenant {
    /// How prospects look and what they would buy, in the order they are named, and the profile that
    /// they were held against. Cost: for each the attributes of all buyers and one scoring of a client;
    /// on all cores.
    pub fn look_at(
        &self,
        insighted: &Insighted,
        prospects: &[Prospect],
    ) -> Result<(IdealProfile, Vec<Ranked>), EngineError> {
        let moment = &insighted.moment;
        let model = self.model(moment)?;
        let (book, view) = (&moment.book, moment.view());
        let ideal = insighted.ideal_of_all();
        let buying: Vec<ClientNo> = (0..book.clients().numbers() as u32)
            .map(ClientNo)
            .filter(|client| !book.matrix().row(*client).is_empty())
            .collect();
        let look = |prospect: &Prospect| {
            let encoded = view.profiles.encode(&prospect.attributes);
            let own = view.profiles.profile(&encoded);
            let mut looks = looks(
                &prospect.attributes,
                &own,
                buying.iter().map(|client| view.profiles.of_client(*client)),
                view.profiles.attributes(),
                &ideal,
                &insighted.recipe.prospects,
            );
            let supposed = Supposed {
                client: None,
                tickets: Vec::new(),
                attributes: prospect.attributes.clone(),
            };
            let advice = suppose(moment, &model, &supposed);
            let known = book.clients().number(&prospect.id).map(ClientNo);
            if known.is_some_and(|client| !book.matrix().row(client).is_empty()) {
                looks.unfit.push(Unfit::Buys);
            }
            if advice.opportunities.is_empty() {
                looks.unfit.push(Unfit::NoProduct);
            }
            looks.unfit.sort_unstable();
            Ranked { looks, advice }
        };
        let ranked = prospects.par_iter().map(look).collect();
        Ok((ideal, ranked))
    }
}
