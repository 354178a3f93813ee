//! Keys of a portfolio: made, listed, taken back.

use tonic::{Request, Response, Status};

use super::Api;
use super::access::{Caller, fresh};
use super::form::Form;
use crate::domain::{ApiKey, KeyId, Role};
use crate::engine::{Write, now_unix};
use crate::wire::v1;

impl Api {
    /// `PortfolioService.CreateApiKey`.
    pub(super) async fn make_key(
        &self,
        request: Request<v1::CreateApiKeyRequest>,
    ) -> Result<Response<v1::CreateApiKeyResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let name = form.text("name", &request.name);
        let role = role(&mut form, request.role);
        let expires = expiry(&mut form, request.expires_at.as_ref());
        let wanted = portfolio.zip(name).zip(role.zip(expires));
        let ((portfolio, name), (role, expires_at_unix)) = form.finish(wanted)?;
        let (text, id, secret_hash) = fresh().map_err(|error| {
            tracing::error!(%error, "the system gives no random numbers");
            Status::unavailable("the system gives no random numbers for a key; try again")
        })?;
        let key = ApiKey {
            id,
            name,
            role,
            created_at_unix: now_unix(),
            expires_at_unix,
            secret_hash,
        };
        // Its answer cannot be given again, so there is no request id: a repeat makes another key.
        let write = Write::CreateApiKey(key.clone());
        self.gate.write(&caller, portfolio, None, write).await?;
        Ok(Response::new(v1::CreateApiKeyResponse {
            key: text,
            api_key: Some(to_wire(&key)),
        }))
    }

    /// `PortfolioService.ListApiKeys`.
    pub(super) fn keys(
        &self,
        request: Request<v1::ListApiKeysRequest>,
    ) -> Result<Response<v1::ListApiKeysResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let tenant = self.gate.tenant(&caller, &form.finish(portfolio)?)?;
        let book = tenant.book();
        let keys = book.api_keys().values();
        Ok(Response::new(v1::ListApiKeysResponse {
            api_keys: keys.map(|key| to_wire(key)).collect(),
        }))
    }

    /// `PortfolioService.RevokeApiKey`.
    pub(super) async fn take_key_back(
        &self,
        request: Request<v1::RevokeApiKeyRequest>,
    ) -> Result<Response<v1::RevokeApiKeyResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let id = form.take("key_id", KeyId::parse(&request.key_id));
        let (portfolio, id) = form.finish(portfolio.zip(id))?;
        let write = Write::RevokeApiKey(id);
        self.gate.write(&caller, portfolio, None, write).await?;
        Ok(Response::new(v1::RevokeApiKeyResponse {}))
    }
}

fn role(form: &mut Form, raw: i32) -> Option<Role> {
    match v1::KeyRole::try_from(raw) {
        Ok(v1::KeyRole::Reader) => Some(Role::Reader),
        Ok(v1::KeyRole::Writer) => Some(Role::Writer),
        Ok(v1::KeyRole::Admin) => Some(Role::Admin),
        Ok(v1::KeyRole::OutcomeOnly) => Some(Role::OutcomeOnly),
        Ok(v1::KeyRole::Unspecified) => {
            form.refuse("role", "must be READER, WRITER, ADMIN or OUTCOME_ONLY");
            None
        }
        Err(_) => {
            form.refuse("role", format!("has no value {raw}"));
            None
        }
    }
}

/// When a key expires; `Some(None)` for never.
fn expiry(form: &mut Form, raw: Option<&prost_types::Timestamp>) -> Option<Option<i64>> {
    match raw {
        None => Some(None),
        Some(at) if at.seconds > now_unix() => Some(Some(at.seconds)),
        Some(_) => {
            form.refuse("expires_at", "must lie in the future");
            None
        }
    }
}

fn to_wire(key: &ApiKey) -> v1::ApiKey {
    let role = match key.role {
        Role::Reader => v1::KeyRole::Reader,
        Role::Writer => v1::KeyRole::Writer,
        Role::Admin => v1::KeyRole::Admin,
        Role::OutcomeOnly => v1::KeyRole::OutcomeOnly,
    };
    let timestamp = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
    v1::ApiKey {
        key_id: key.id.to_string(),
        name: key.name.to_string(),
        role: role.into(),
        created_at: Some(timestamp(key.created_at_unix)),
        expires_at: key.expires_at_unix.map(timestamp),
    }
}
