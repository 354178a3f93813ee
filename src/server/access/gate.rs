//! The one way to a portfolio.

use std::sync::Arc;

use tonic::{Request, Status};

use super::super::call::Call;
use super::super::quota::Quotas;
use super::credential::Presented;
use super::rights::Need;
use crate::domain::{PortfolioId, RequestId};
use crate::engine::{Answer, Engine, Patience, Tenant, Tenants, Write, WriteRequest, now_unix};

/// What a caller showed.
#[derive(Clone)]
pub(super) enum Credential {
    /// The server has no keys.
    Trusted,
    /// The operator's key.
    Operator,
    /// A portfolio's key, not yet looked at.
    Key(Presented),
    /// Nothing, for a call that needs nothing.
    None,
}

/// Who calls, what the call needs, and the call itself.
#[derive(Clone)]
pub(in crate::server) struct Caller {
    credential: Credential,
    need: Need,
    call: Call,
}

impl Caller {
    pub(super) fn new(credential: Credential, need: Need, call: Call) -> Self {
        Self {
            credential,
            need,
            call,
        }
    }

    /// How long it waits for an answer.
    pub(in crate::server) fn patience(&self) -> &Patience {
        self.call.patience()
    }

    /// The portfolio that it was let in to.
    pub(in crate::server) fn portfolio(&self) -> Option<&PortfolioId> {
        self.call.portfolio()
    }

    /// Whoever calls a server without keys.
    pub(in crate::server) fn trusted(call: Call) -> Self {
        Self::new(Credential::Trusted, Need::Nothing, call)
    }

    /// Who sent a request, and its message.
    pub(in crate::server) fn of<T>(mut request: Request<T>) -> Result<(Self, T), Status> {
        let caller = request.extensions_mut().remove::<Self>();
        // The layer puts it there; without it nobody is let in.
        let caller = caller.ok_or_else(|| Status::internal("the call passed no door"))?;
        Ok((caller, request.into_inner()))
    }
}

/// The engine behind its door.
#[derive(Debug, Clone)]
pub(in crate::server) struct Gate {
    engine: Arc<Engine>,
    quotas: Arc<Quotas>,
}

impl Gate {
    /// A door before an engine.
    pub(in crate::server) fn new(engine: Arc<Engine>, quotas: Quotas) -> Self {
        Self {
            engine,
            quotas: Arc::new(quotas),
        }
    }

    /// A portfolio, for a caller that may do there what it calls for, within the portfolio's share of the
    /// server.
    pub(in crate::server) fn tenant(
        &self,
        caller: &Caller,
        id: &PortfolioId,
    ) -> Result<Arc<Tenant>, Status> {
        let tenant = self.opened(caller, id)?;
        if caller.portfolio().is_none() {
            caller.call.is_about(id.clone(), self.quotas.admit(id)?);
        }
        Ok(tenant)
    }

    fn opened(&self, caller: &Caller, id: &PortfolioId) -> Result<Arc<Tenant>, Status> {
        let presented = match &caller.credential {
            Credential::Trusted | Credential::Operator => return Ok(self.engine.tenant(id)?),
            Credential::Key(presented) => presented,
            Credential::None => return Err(not_opened(id)),
        };
        let Ok(tenant) = self.engine.tenant(id) else {
            return Err(not_opened(id));
        };
        let book = tenant.book();
        let key = book.api_keys().get(&presented.id);
        let key =
            key.filter(|key| presented.matches(&key.secret_hash) && key.is_valid_at(now_unix()));
        match (key, caller.need) {
            (Some(key), Need::Role(role)) if key.role.covers(role) => Ok(tenant),
            (Some(key), Need::Role(role)) => Err(Status::permission_denied(format!(
                "this call needs a key of the role {}; this one is of the role {}",
                role.name(),
                key.role.name()
            ))),
            _ => Err(not_opened(id)),
        }
    }

    /// Applies a write to a portfolio, for a caller that may.
    pub(in crate::server) async fn write(
        &self,
        caller: &Caller,
        portfolio: PortfolioId,
        request_id: Option<RequestId>,
        write: Write,
    ) -> Result<Answer, Status> {
        match write {
            // It is not there yet, and its call needs the operator's key.
            Write::CreatePortfolio(_) => {}
            _ => drop(self.tenant(caller, &portfolio)?),
        }
        let request = WriteRequest {
            portfolio,
            request_id,
            write,
        };
        Ok(self.engine.apply(request, caller.patience()).await?)
    }

    /// All portfolios, for whoever may see all.
    pub(in crate::server) fn tenants(&self, caller: &Caller) -> Result<Arc<Tenants>, Status> {
        match caller.credential {
            Credential::Trusted | Credential::Operator => Ok(self.engine.tenants()),
            Credential::Key(_) | Credential::None => Err(Status::permission_denied(
                "this call needs the operator's key; a portfolio's key does not do",
            )),
        }
    }
}

/// One answer for keys and portfolios that are not there, and for those that do not go together.
fn not_opened(id: &PortfolioId) -> Status {
    Status::unauthenticated(format!(
        "the key opens no portfolio '{id}': it is another's, was revoked or has expired, or there is no such portfolio"
    ))
}
