//! The files of an import read into memory, for a command that needs no server.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::bail;

use super::clients::Clients;
use super::dialect::Dialect;
use super::file_name;
use super::known::Known;
use super::products::Products;
use super::sales::Sales;
use super::table::BadRow;
use super::upload::Items;
use crate::domain::{Attribute, ClientNo, Day, ProductNo, Share, Text};
use crate::evaluate::Input;
use crate::matrix::{Cell, Purchase, PurchaseLog, TicketMatrix};
use crate::recommend::ProductTraits;
use crate::wire::v1;
use crate::wire::v1::attribute_value::Value;

/// Digits of amounts whose currency nobody names: figures are told in the files' own unit.
const DIGITS: u32 = 2;

/// A client or a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its id in the files.
    pub id: String,
    /// What people call it; may be empty.
    pub name: String,
}

/// A folder's clients, products and sales. Bad rows are those that an import rejects.
#[derive(Debug, Default)]
pub struct Remembered {
    /// By client number.
    pub clients: Vec<Named>,
    /// By product number.
    pub products: Vec<Named>,
    /// Rows of sales.
    pub sales: u64,
    /// Rows of all files that cannot be used.
    pub rejected: u64,
    /// The first of these: file, line and reason.
    pub first_rejected: Option<String>,
    attributes: Vec<BTreeMap<Text, Attribute>>,
    traits: Vec<ProductTraits>,
    log: PurchaseLog,
    tickets: Option<TicketMatrix>,
}

impl Remembered {
    /// Reads `clients.csv`, `products.csv` and `sales.csv` of a folder, plain or `.gz`, as an import
    /// would.
    pub fn read(folder: &Path, dialect: &Dialect) -> anyhow::Result<Self> {
        let [clients, products, sales] = ["clients", "products", "sales"].map(|name| {
            let plain = folder.join(format!("{name}.csv"));
            let packed = folder.join(format!("{name}.csv.gz"));
            [plain, packed].into_iter().find(|path| path.exists())
        });
        let (Some(clients), Some(products), Some(sales)) = (clients, products, sales) else {
            bail!(
                "{} must hold clients.csv, products.csv and sales.csv (each also as .csv.gz); name the folder that does with --data",
                folder.display()
            );
        };
        let reading = dialect.reading(false);
        let opened = (
            Clients::open(reading, &clients)?,
            Products::open(reading, &products)?,
            Sales::open(reading, &sales, None)?,
        );
        let mut book = Self::default();
        let client_numbers = book.take_clients(opened.0, &clients)?;
        let product_numbers = book.take_products(opened.1, &products)?;
        book.take_sales(opened.2, &sales, dialect, &client_numbers, &product_numbers)?;
        Ok(book)
    }

    /// What an evaluation reads.
    pub fn input(&self) -> Input<'_> {
        Input {
            log: &self.log,
            tickets: self.tickets.as_ref(),
            attributes: self.attributes.iter().collect(),
            products: &self.traits,
        }
    }

    /// What to call a client.
    pub fn client(&self, client: ClientNo) -> &Named {
        &self.clients[client.index()]
    }

    /// What to call a product.
    pub fn product(&self, product: ProductNo) -> &Named {
        &self.products[product.index()]
    }

    fn reject(&mut self, path: &Path, bad: &BadRow) {
        self.rejected += 1;
        if self.first_rejected.is_none() {
            let name = file_name(path);
            self.first_rejected = Some(format!("{name}, line {}: {}", bad.line, bad.reason));
        }
    }

    fn take_clients(
        &mut self,
        file: Clients,
        path: &Path,
    ) -> anyhow::Result<HashMap<String, ClientNo>> {
        let mut numbers = HashMap::new();
        file.read(|row| match row {
            Ok(client) => {
                numbers.insert(
                    client.client_id.clone(),
                    ClientNo(self.clients.len() as u32),
                );
                self.attributes.push(attributes(&client));
                self.clients.push(Named {
                    id: client.client_id,
                    name: client.name,
                });
            }
            Err(bad) => self.reject(path, &bad),
        })?;
        Ok(numbers)
    }

    fn take_products(
        &mut self,
        file: Products,
        path: &Path,
    ) -> anyhow::Result<HashMap<String, ProductNo>> {
        let mut numbers = HashMap::new();
        file.read(DIGITS, |row| match row {
            Ok(product) => {
                let number = ProductNo(self.products.len() as u32);
                numbers.insert(product.product_id.clone(), number);
                self.traits.push(ProductTraits {
                    list_price_minor: product.list_price_minor.filter(|price| *price > 0),
                    margin_rate: product.margin_rate.and_then(|rate| Share::parse(rate).ok()),
                });
                self.products.push(Named {
                    id: product.product_id,
                    name: product.name,
                });
            }
            Err(bad) => self.reject(path, &bad),
        })?;
        Ok(numbers)
    }

    fn take_sales(
        &mut self,
        file: Sales,
        path: &Path,
        dialect: &Dialect,
        clients: &HashMap<String, ClientNo>,
        products: &HashMap<String, ProductNo>,
    ) -> anyhow::Result<()> {
        let known = Known::in_files(clients.keys().cloned(), products.keys().cloned());
        let is_dated = file.is_dated();
        let mut sales: Vec<(ClientNo, Purchase)> = Vec::new();
        let mut by_id: HashMap<String, usize> = HashMap::new();
        let mut tickets: Vec<Vec<Cell>> = vec![Vec::new(); self.clients.len()];
        let rows = file.read(known, dialect, DIGITS, |read| match read {
            Ok(Items::Sales(read)) => {
                for sale in read {
                    let Some((client, purchase)) = purchase(&sale, clients, products) else {
                        continue;
                    };
                    // The same sale again takes the place of the one before.
                    match by_id.get(&sale.sale_id) {
                        Some(&at) => sales[at] = (client, purchase),
                        None => {
                            if !sale.sale_id.is_empty() {
                                by_id.insert(sale.sale_id, sales.len());
                            }
                            sales.push((client, purchase));
                        }
                    }
                }
            }
            Ok(Items::Tickets(read)) => {
                for ticket in read {
                    let pair = (
                        clients.get(&ticket.client_id),
                        products.get(&ticket.product_id),
                    );
                    if let (Some(client), Some(&product)) = pair {
                        tickets[client.index()].push(Cell {
                            product,
                            ticket: ticket.ticket_minor as f32,
                            last_day: None,
                        });
                    }
                }
            }
            Err(bad) => self.reject(path, &bad),
        })?;
        self.sales = rows;
        let products = self.products.len();
        if is_dated {
            let mut by_client: Vec<Vec<Purchase>> = vec![Vec::new(); self.clients.len()];
            for (client, purchase) in sales {
                by_client[client.index()].push(purchase);
            }
            let mut log = PurchaseLog::builder(products);
            for purchases in by_client {
                log.push_client(purchases);
            }
            self.log = log.finish();
        } else {
            for row in &mut tickets {
                row.sort_unstable_by_key(|cell| cell.product);
            }
            self.tickets = Some(TicketMatrix::from_rows(products, tickets));
        }
        Ok(())
    }
}

fn purchase(
    sale: &v1::Sale,
    clients: &HashMap<String, ClientNo>,
    products: &HashMap<String, ProductNo>,
) -> Option<(ClientNo, Purchase)> {
    let purchase = Purchase {
        product: *products.get(&sale.product_id)?,
        day: Day::parse(&sale.date).ok()?,
        amount_minor: sale.amount_minor as f64,
    };
    Some((*clients.get(&sale.client_id)?, purchase))
}

fn attributes(client: &v1::Client) -> BTreeMap<Text, Attribute> {
    let mut found = BTreeMap::new();
    for (name, value) in &client.attributes {
        let value = match &value.value {
            Some(Value::Number(number)) => Some(Attribute::Number(*number)),
            Some(Value::Text(text)) => Text::parse(text).ok().map(Attribute::Text),
            None => None,
        };
        if let (Ok(name), Some(value)) = (Text::parse(name), value) {
            found.insert(name, value);
        }
    }
    found
}
