//! `carteira keys`: who may use a portfolio.

use anyhow::anyhow;
use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::connect::{PortfolioArgs, block_on, explain};
use super::output::{self, Column, Output};
use super::usage::usage;
use crate::domain::Role;
use crate::wire::v1;
use crate::wire::v1::portfolio_service_client::PortfolioServiceClient;

const COLUMNS: [Column; 5] = [
    Column::plain("key_id", "key"),
    Column::plain("name", "name"),
    Column::plain("role", "role"),
    Column::plain("created_at", "made"),
    Column::plain("expires_at", "expires"),
];

/// Make, list or revoke the keys of a portfolio.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(CreateArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
}

/// Make a key and print it: it cannot be shown again.
#[derive(Debug, clap::Args)]
struct CreateArgs {
    #[command(flatten)]
    portfolio: PortfolioArgs,
    /// What it may do
    #[arg(long, value_parser = role)]
    role: Role,
    /// What to call it, such as the program that uses it
    #[arg(long, default_value = "", hide_default_value = true)]
    name: String,
    /// How long it is good for, such as 2160h; for good where it is left out
    #[arg(long, value_name = "TIME")]
    expires_in: Option<SignedDuration>,
}

/// List the keys, without their secrets.
#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    portfolio: PortfolioArgs,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
}

/// Take a key back: no call that starts afterwards is let in with it.
#[derive(Debug, clap::Args)]
struct RevokeArgs {
    #[command(flatten)]
    portfolio: PortfolioArgs,
    /// The key, by its 16 public digits
    #[arg(value_name = "KEY_ID")]
    key_id: String,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::Create(args) => create(args),
        Command::List(args) => list(args),
        Command::Revoke(args) => revoke(args),
    }
}

fn role(raw: &str) -> Result<Role, String> {
    let mut roles = Role::ALL.into_iter();
    let found = roles.find(|role| role.name() == raw);
    found.ok_or_else(|| "write reader, writer or admin".into())
}

fn create(args: &CreateArgs) -> anyhow::Result<()> {
    let expires_at = match args.expires_in {
        None => None,
        Some(time) => {
            let at = Timestamp::now().checked_add(time);
            let at = at.map_err(|_| usage(format!("--expires-in {time} is too long")))?;
            Some(prost_types::Timestamp {
                seconds: at.as_second(),
                nanos: 0,
            })
        }
    };
    let role = match args.role {
        Role::Reader => v1::KeyRole::Reader,
        Role::Writer => v1::KeyRole::Writer,
        Role::Admin => v1::KeyRole::Admin,
        Role::OutcomeOnly => v1::KeyRole::OutcomeOnly,
    };
    let request = v1::CreateApiKeyRequest {
        portfolio_id: args.portfolio.portfolio.clone(),
        name: args.name.clone(),
        role: role.into(),
        expires_at,
    };
    let answer = block_on(async {
        let connection = args.portfolio.server.connect().await?;
        let answer = PortfolioServiceClient::new(connection)
            .create_api_key(request)
            .await;
        Ok(answer.map_err(|status| explain(&status))?.into_inner())
    })?;
    eprintln!("keep it: it is stored nowhere and cannot be shown again");
    output::print(&answer.key)
}

fn list(args: &ListArgs) -> anyhow::Result<()> {
    let answer = block_on(async {
        let connection = args.portfolio.server.connect().await?;
        let request = v1::ListApiKeysRequest {
            portfolio_id: args.portfolio.portfolio.clone(),
        };
        let answer = PortfolioServiceClient::new(connection)
            .list_api_keys(request)
            .await;
        Ok(answer.map_err(|status| explain(&status))?.into_inner())
    })?;
    let rows: Vec<Value> = answer.api_keys.iter().map(row).collect();
    output::rows(args.output, &COLUMNS, &rows, None)
}

fn revoke(args: &RevokeArgs) -> anyhow::Result<()> {
    block_on(async {
        let connection = args.portfolio.server.connect().await?;
        let request = v1::RevokeApiKeyRequest {
            portfolio_id: args.portfolio.portfolio.clone(),
            key_id: args.key_id.clone(),
        };
        let answer = PortfolioServiceClient::new(connection)
            .revoke_api_key(request)
            .await;
        answer.map_err(|status| explain(&status))?;
        Ok(())
    })?;
    output::print(&format!("the key {} opens nothing any more", args.key_id))
}

fn row(key: &v1::ApiKey) -> Value {
    let role = match key.role() {
        v1::KeyRole::Reader => Role::Reader.name(),
        v1::KeyRole::Writer => Role::Writer.name(),
        v1::KeyRole::Admin => Role::Admin.name(),
        v1::KeyRole::OutcomeOnly => Role::OutcomeOnly.name(),
        v1::KeyRole::Unspecified => "",
    };
    json!({
        "key_id": key.key_id,
        "name": key.name,
        "role": role,
        "created_at": moment(key.created_at.as_ref()),
        "expires_at": moment(key.expires_at.as_ref()),
    })
}

fn moment(at: Option<&prost_types::Timestamp>) -> String {
    let read = |at: &prost_types::Timestamp| {
        Timestamp::from_second(at.seconds).map_err(|_| anyhow!("no time"))
    };
    at.and_then(|at| read(at).ok())
        .map_or_else(String::new, |at| at.to_string())
}
