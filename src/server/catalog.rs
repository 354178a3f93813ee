//! `CatalogService`.

use std::collections::BTreeSet;

use tonic::{Request, Response, Status};

use super::access::Caller;
use super::form::{Form, ItemField};
use super::outcomes::offer_to_wire;
use super::{Api, token};
use crate::domain::{
    Attribute, Client, ClientEvent, ClientEventKind, ClientId, MAX_CLIENT_BYTES,
    MAX_EXCLUDED_PRODUCTS, Product, ProductId, Slot,
};
use crate::engine::{Book, Write, recipe_of};
use crate::wire::v1;
use crate::wire::v1::catalog_service_server::CatalogService;

#[tonic::async_trait]
impl CatalogService for Api {
    async fn batch_upsert_clients(
        &self,
        request: Request<v1::BatchUpsertClientsRequest>,
    ) -> Result<Response<v1::BatchUpsertClientsResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let request_id = form.request_id(&request.request_id);
        form.batch("clients", &request.clients);
        let mut seen = BTreeSet::new();
        let mut clients = Vec::with_capacity(request.clients.len());
        for (at, wire) in request.clients.iter().enumerate() {
            if form.is_full() {
                break;
            }
            if !seen.insert(&wire.client_id) {
                form.refuse(
                    format!("clients[{at}].client_id"),
                    format!("names '{}' a second time", wire.client_id),
                );
            }
            clients.extend(client(&mut form, at, wire));
        }
        let (portfolio, request_id) = form.finish(portfolio.zip(request_id))?;
        let write = Write::UpsertClients(clients);
        let answer = self
            .gate
            .write(&caller, portfolio, request_id, write)
            .await?;
        Ok(Response::new(v1::BatchUpsertClientsResponse {
            created: answer.created,
            replaced: answer.replaced,
            sequence: answer.sequence,
        }))
    }

    async fn get_client(
        &self,
        request: Request<v1::GetClientRequest>,
    ) -> Result<Response<v1::GetClientResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let (book, client) = self.client(&caller, &request.portfolio_id, &request.client_id)?;
        let (_, client) = book.client(&client)?;
        Ok(Response::new(v1::GetClientResponse {
            client: Some(client_to_wire(client)),
        }))
    }

    async fn list_clients(
        &self,
        request: Request<v1::ListClientsRequest>,
    ) -> Result<Response<v1::ListClientsResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let size = form.size("page_size", request.page_size, 100, 1_000);
        let portfolio = form.finish(portfolio)?;
        let list = format!("clients of {portfolio}");
        let first: u32 = token::decode(&list, &request.page_token)?.unwrap_or(0);
        let book = self.gate.tenant(&caller, &portfolio)?.book();
        let mut rows = book.clients().from(first);
        let clients = rows
            .by_ref()
            .take(size)
            .map(|(_, client)| client_to_wire(client))
            .collect();
        let next_page_token = rows
            .next()
            .map_or(String::new(), |(next, _)| token::encode(&list, &next));
        Ok(Response::new(v1::ListClientsResponse {
            clients,
            next_page_token,
        }))
    }

    async fn delete_client(
        &self,
        request: Request<v1::DeleteClientRequest>,
    ) -> Result<Response<v1::DeleteClientResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let client = form.client("client_id", &request.client_id);
        let request_id = form.request_id(&request.request_id);
        let (portfolio, (client, request_id)) =
            form.finish(portfolio.zip(client.zip(request_id)))?;
        let write = Write::DeleteClient(client);
        let answer = self
            .gate
            .write(&caller, portfolio, request_id, write)
            .await?;
        Ok(Response::new(v1::DeleteClientResponse {
            sequence: answer.sequence,
        }))
    }

    async fn export_client(
        &self,
        request: Request<v1::ExportClientRequest>,
    ) -> Result<Response<v1::ExportClientResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let (book, id) = self.client(&caller, &request.portfolio_id, &request.client_id)?;
        let (number, client) = book.client(&id)?;
        let recipe = recipe_of(book.portfolio())?.outcomes;
        let purchases = book.buckets(number).map(|bucket| {
            let product = book.products().get(bucket.product.0);
            let (month, last_date) = match bucket.slot {
                Slot::SetTicket => (String::new(), String::new()),
                Slot::Month(month) => (
                    month.to_string(),
                    month.day(bucket.last_day_of_month).to_string(),
                ),
            };
            v1::PurchaseRecord {
                product_id: product.map_or(String::new(), |product| product.id.to_string()),
                month,
                amount_minor: bucket.amount_minor,
                quantity: bucket.quantity_milli as f64 / 1_000.0,
                sales: bucket.sales,
                last_date,
            }
        });
        Ok(Response::new(v1::ExportClientResponse {
            client: Some(client_to_wire(client)),
            purchases: purchases.collect(),
            events: book
                .events(number)
                .iter()
                .map(|event| event_to_wire(&id, event))
                .collect(),
            offers: book
                .offers_of(number)
                .map(|(key, offer)| offer_to_wire(&book, *key, offer, &recipe))
                .collect(),
        }))
    }

    async fn batch_upsert_products(
        &self,
        request: Request<v1::BatchUpsertProductsRequest>,
    ) -> Result<Response<v1::BatchUpsertProductsResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let request_id = form.request_id(&request.request_id);
        form.batch("products", &request.products);
        let mut seen = BTreeSet::new();
        let mut products = Vec::with_capacity(request.products.len());
        for (at, wire) in request.products.iter().enumerate() {
            if form.is_full() {
                break;
            }
            if !seen.insert(&wire.product_id) {
                form.refuse(
                    format!("products[{at}].product_id"),
                    format!("names '{}' a second time", wire.product_id),
                );
            }
            products.extend(product(&mut form, at, wire));
        }
        let (portfolio, request_id) = form.finish(portfolio.zip(request_id))?;
        let write = Write::UpsertProducts(products);
        let answer = self
            .gate
            .write(&caller, portfolio, request_id, write)
            .await?;
        Ok(Response::new(v1::BatchUpsertProductsResponse {
            created: answer.created,
            replaced: answer.replaced,
            sequence: answer.sequence,
        }))
    }

    async fn get_product(
        &self,
        request: Request<v1::GetProductRequest>,
    ) -> Result<Response<v1::GetProductResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let product = form.product("product_id", &request.product_id);
        let (portfolio, product) = form.finish(portfolio.zip(product))?;
        let book = self.gate.tenant(&caller, &portfolio)?.book();
        let (_, product) = book.product(&product)?;
        Ok(Response::new(v1::GetProductResponse {
            product: Some(product_to_wire(product)),
        }))
    }

    async fn list_products(
        &self,
        request: Request<v1::ListProductsRequest>,
    ) -> Result<Response<v1::ListProductsResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let size = form.size("page_size", request.page_size, 100, 1_000);
        let portfolio = form.finish(portfolio)?;
        let list = format!("products of {portfolio}");
        let first: u32 = token::decode(&list, &request.page_token)?.unwrap_or(0);
        let book = self.gate.tenant(&caller, &portfolio)?.book();
        let mut rows = book.products().from(first);
        let products = rows
            .by_ref()
            .take(size)
            .map(|(_, product)| product_to_wire(product))
            .collect();
        let next_page_token = rows
            .next()
            .map_or(String::new(), |(next, _)| token::encode(&list, &next));
        Ok(Response::new(v1::ListProductsResponse {
            products,
            next_page_token,
        }))
    }

    async fn delete_product(
        &self,
        request: Request<v1::DeleteProductRequest>,
    ) -> Result<Response<v1::DeleteProductResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let product = form.product("product_id", &request.product_id);
        let request_id = form.request_id(&request.request_id);
        let (portfolio, (product, request_id)) =
            form.finish(portfolio.zip(product.zip(request_id)))?;
        let write = Write::DeleteProduct(product);
        let answer = self
            .gate
            .write(&caller, portfolio, request_id, write)
            .await?;
        Ok(Response::new(v1::DeleteProductResponse {
            sequence: answer.sequence,
        }))
    }

    async fn record_client_events(
        &self,
        request: Request<v1::RecordClientEventsRequest>,
    ) -> Result<Response<v1::RecordClientEventsResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let request_id = form.request_id(&request.request_id);
        form.batch("events", &request.events);
        let mut events = Vec::with_capacity(request.events.len());
        for (at, wire) in request.events.iter().enumerate() {
            if form.is_full() {
                break;
            }
            events.extend(event(&mut form, at, wire));
        }
        let (portfolio, request_id) = form.finish(portfolio.zip(request_id))?;
        let write = Write::RecordEvents(events);
        let answer = self
            .gate
            .write(&caller, portfolio, request_id, write)
            .await?;
        Ok(Response::new(v1::RecordClientEventsResponse {
            sequence: answer.sequence,
        }))
    }
}

impl Api {
    /// The book of a portfolio, and the id of a client that the request names.
    pub(super) fn client(
        &self,
        caller: &Caller,
        portfolio: &str,
        client: &str,
    ) -> Result<(std::sync::Arc<Book>, ClientId), Status> {
        let mut form = Form::default();
        let portfolio = form.portfolio(portfolio);
        let client = form.client("client_id", client);
        let (portfolio, client) = form.finish(portfolio.zip(client))?;
        Ok((self.gate.tenant(caller, &portfolio)?.book(), client))
    }
}

fn client(form: &mut Form, at: usize, wire: &v1::Client) -> Option<Client> {
    let field = ItemField::of("clients", at);
    let id = form.client(field("client_id"), &wire.client_id);
    let name = form.text(field("name"), &wire.name);
    let owner = form.text(field("owner"), &wire.owner);
    let attributes = form.attributes(field("attributes"), &wire.attributes);
    if wire.excluded_product_ids.len() > MAX_EXCLUDED_PRODUCTS {
        form.refuse(
            field("excluded_product_ids"),
            format!("has more than {MAX_EXCLUDED_PRODUCTS} entries"),
        );
        return None;
    }
    let mut excluded_products = BTreeSet::new();
    for (nth, raw) in wire.excluded_product_ids.iter().enumerate() {
        let field = format_args!("clients[{at}].excluded_product_ids[{nth}]");
        excluded_products.extend(form.product(field, raw));
    }
    let client = Client {
        id: id?,
        name: name?,
        owner: owner?,
        attributes: attributes?,
        excluded_products,
    };
    let bytes = client.size_bytes();
    if bytes > MAX_CLIENT_BYTES {
        form.refuse(
            format!("clients[{at}]"),
            format!("takes {bytes} bytes in all; at most {MAX_CLIENT_BYTES} are kept: send fewer or shorter attributes"),
        );
        return None;
    }
    Some(client)
}

fn product(form: &mut Form, at: usize, wire: &v1::Product) -> Option<Product> {
    let field = ItemField::of("products", at);
    let id = form.product(field("product_id"), &wire.product_id);
    let name = form.text(field("name"), &wire.name);
    let category = form.text(field("category"), &wire.category);
    let margin_rate = form.optional_share(field("margin_rate"), wire.margin_rate);
    if wire.list_price_minor.is_some_and(|price| price < 0) {
        form.refuse(field("list_price_minor"), "must not be negative");
    }
    let upgrade_of =
        form.optional_product(field("upgrade_of_product_id"), &wire.upgrade_of_product_id);
    let needs_product = form.optional_product(field("needs_product_id"), &wire.needs_product_id);
    let own_id: Option<&ProductId> = id.as_ref();
    if own_id.is_some()
        && needs_product
            .as_ref()
            .is_some_and(|needs| needs.as_ref() == own_id)
    {
        form.refuse(field("needs_product_id"), "names the product itself");
    }
    Some(Product {
        id: id?,
        name: name?,
        category: category?,
        margin_rate: margin_rate?,
        list_price_minor: wire.list_price_minor,
        active: wire.active.unwrap_or(true),
        upgrade_of: upgrade_of?,
        needs_product: needs_product?,
    })
}

fn event(form: &mut Form, at: usize, wire: &v1::ClientEvent) -> Option<(ClientId, ClientEvent)> {
    let field = ItemField::of("events", at);
    let client = form.client(field("client_id"), &wire.client_id);
    let kind = match v1::ClientEventKind::try_from(wire.kind) {
        Ok(v1::ClientEventKind::ComplaintOpened) => Some(ClientEventKind::ComplaintOpened),
        Ok(v1::ClientEventKind::ComplaintClosed) => Some(ClientEventKind::ComplaintClosed),
        Ok(v1::ClientEventKind::Contact) => Some(ClientEventKind::Contact),
        Ok(v1::ClientEventKind::Contract) => Some(ClientEventKind::Contract),
        Ok(v1::ClientEventKind::Unspecified) | Err(_) => {
            form.refuse(
                field("kind"),
                "must be one of COMPLAINT_OPENED, COMPLAINT_CLOSED, CONTACT, CONTRACT",
            );
            None
        }
    };
    let day = form.day(field("date"), &wire.date);
    let end_day = match (wire.end_date.as_str(), kind) {
        ("", Some(ClientEventKind::Contract)) => {
            form.refuse(
                field("end_date"),
                "must be given for a contract: its last day, YYYY-MM-DD",
            );
            None
        }
        ("", _) => Some(None),
        (_, Some(kind)) if kind != ClientEventKind::Contract => {
            form.refuse(field("end_date"), "belongs to a contract only");
            None
        }
        (raw, _) => form.day(field("end_date"), raw).map(Some),
    };
    if let (Some(day), Some(Some(end))) = (day, end_day)
        && end < day
    {
        form.refuse(field("end_date"), "is before the date");
    }
    let note = form.text(field("note"), &wire.note);
    let event = ClientEvent {
        kind: kind?,
        day: day?,
        end_day: end_day?,
        note: note?,
    };
    Some((client?, event))
}

fn client_to_wire(client: &Client) -> v1::Client {
    let attributes = client.attributes.iter().map(|(name, value)| {
        let value = match value {
            Attribute::Text(text) => v1::attribute_value::Value::Text(text.to_string()),
            Attribute::Number(number) => v1::attribute_value::Value::Number(*number),
        };
        (name.to_string(), v1::AttributeValue { value: Some(value) })
    });
    v1::Client {
        client_id: client.id.to_string(),
        name: client.name.to_string(),
        owner: client.owner.to_string(),
        attributes: attributes.collect(),
        excluded_product_ids: client
            .excluded_products
            .iter()
            .map(ToString::to_string)
            .collect(),
    }
}

fn product_to_wire(product: &Product) -> v1::Product {
    let id = |id: &Option<ProductId>| id.as_ref().map_or(String::new(), ToString::to_string);
    v1::Product {
        product_id: product.id.to_string(),
        name: product.name.to_string(),
        category: product.category.to_string(),
        margin_rate: product.margin_rate.map(crate::domain::Share::get),
        list_price_minor: product.list_price_minor,
        active: Some(product.active),
        upgrade_of_product_id: id(&product.upgrade_of),
        needs_product_id: id(&product.needs_product),
    }
}

fn event_to_wire(client: &ClientId, event: &ClientEvent) -> v1::ClientEvent {
    let kind = match event.kind {
        ClientEventKind::ComplaintOpened => v1::ClientEventKind::ComplaintOpened,
        ClientEventKind::ComplaintClosed => v1::ClientEventKind::ComplaintClosed,
        ClientEventKind::Contact => v1::ClientEventKind::Contact,
        ClientEventKind::Contract => v1::ClientEventKind::Contract,
    };
    v1::ClientEvent {
        client_id: client.to_string(),
        kind: kind.into(),
        date: event.day.to_string(),
        end_date: event.end_day.map_or(String::new(), |day| day.to_string()),
        note: event.note.to_string(),
    }
}
