//! Clients, products and sales from CSV files, numbered and ready to score.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::input::Input;
use crate::domain::{Attribute, ClientNo, Day, ProductNo, Text};
use crate::matrix::{Cell, Purchase, PurchaseLog, TicketMatrix};
use crate::recommend::ProductTraits;

/// Minor units in a unit of the amounts in the files.
pub(super) const MINOR: f64 = 100.0;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Neither the file nor its `.gz` is there, or it cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}; look at the folder and the room on the disk")]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is no CSV with these columns, or a value that is not what it should be.
    #[error("{path}, line {line}: {problem}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where, counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
}

/// One book as files hold it.
#[derive(Debug, Default)]
pub struct Files {
    /// Client ids by number.
    pub clients: Vec<String>,
    /// Product ids by number.
    pub products: Vec<String>,
    /// Attributes by client number.
    pub attributes: Vec<BTreeMap<Text, Attribute>>,
    /// What products are, by number.
    pub products_traits: Vec<ProductTraits>,
    /// Dated sales; empty where sales have no dates.
    pub log: PurchaseLog,
    /// Tickets set without a date, by client; empty where sales have dates.
    pub tickets: Option<TicketMatrix>,
    client_numbers: HashMap<String, u32>,
    product_numbers: HashMap<String, u32>,
}

/// A CSV file and where each wanted column stands in it.
pub(super) struct Table {
    path: PathBuf,
    reader: csv::Reader<Box<dyn Read>>,
    headers: Vec<String>,
}

impl Table {
    /// Opens `name` in a folder, plain or `.gz`.
    pub(super) fn open(folder: &Path, name: &str) -> Result<Self, FilesError> {
        let plain = folder.join(name);
        let path = if plain.exists() {
            plain
        } else {
            folder.join(format!("{name}.gz"))
        };
        let unreadable = |source| FilesError::Unreadable {
            path: path.clone(),
            source,
        };
        let file = BufReader::new(File::open(&path).map_err(unreadable)?);
        let bytes: Box<dyn Read> = if path.extension().is_some_and(|extension| extension == "gz") {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let mut reader = csv::Reader::from_reader(bytes);
        let headers = reader.headers().map(|headers| {
            let trimmed = headers
                .iter()
                .map(|name| name.trim_start_matches('\u{feff}'));
            trimmed.map(str::to_owned).collect()
        });
        match headers {
            Ok(headers) => Ok(Self {
                path,
                reader,
                headers,
            }),
            Err(error) => Err(FilesError::Malformed {
                path,
                line: 1,
                problem: error.to_string(),
            }),
        }
    }

    /// Whether a task or folder has the file.
    pub(super) fn exists(folder: &Path, name: &str) -> bool {
        folder.join(name).exists() || folder.join(format!("{name}.gz")).exists()
    }

    /// Where a column stands, if it does.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.headers.iter().position(|header| header == name)
    }

    /// Where a column stands that must be there.
    pub(super) fn needed(&self, name: &str) -> Result<usize, FilesError> {
        let missing = || self.malformed(1, format!("there is no column `{name}`"));
        self.column(name).ok_or_else(missing)
    }

    fn malformed(&self, line: u64, problem: String) -> FilesError {
        FilesError::Malformed {
            path: self.path.clone(),
            line,
            problem,
        }
    }

    /// Reads every row. `read` says what is wrong with one.
    pub(super) fn rows(
        mut self,
        mut read: impl FnMut(&csv::StringRecord) -> Result<(), String>,
    ) -> Result<(), FilesError> {
        let mut record = csv::StringRecord::new();
        loop {
            let line = self.reader.position().line();
            match self.reader.read_record(&mut record) {
                Ok(false) => return Ok(()),
                Ok(true) => {
                    let line = record.position().map_or(line, csv::Position::line);
                    read(&record).map_err(|problem| self.malformed(line, problem))?;
                }
                Err(error) => return Err(self.malformed(line, error.to_string())),
            }
        }
    }
}

/// A field; empty when the row is too short.
pub(super) fn field(record: &csv::StringRecord, at: usize) -> &str {
    record.get(at).unwrap_or_default()
}

/// A finite number.
pub(super) fn number(raw: &str) -> Result<f64, String> {
    match raw.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!("`{raw}` is not a number")),
    }
}

impl Files {
    /// Reads `clients.csv`, `products.csv` and `sales.csv` (each also as `.gz`) of a folder.
    ///
    /// Sales of clients or products that the first two files do not name are refused.
    pub fn read(folder: &Path) -> Result<Self, FilesError> {
        let mut files = Self::default();
        files.read_clients(folder)?;
        files.read_products(folder)?;
        if Table::exists(folder, "sales.csv") {
            files.read_sales(folder)?;
        }
        Ok(files)
    }

    /// What an evaluation reads.
    pub fn input(&self) -> Input<'_> {
        Input {
            log: &self.log,
            tickets: self.tickets.as_ref(),
            attributes: self.attributes.iter().collect(),
            products: &self.products_traits,
        }
    }

    /// A client's number.
    pub fn client(&self, id: &str) -> Option<ClientNo> {
        self.client_numbers.get(id).copied().map(ClientNo)
    }

    /// A product's number.
    pub fn product(&self, id: &str) -> Option<ProductNo> {
        self.product_numbers.get(id).copied().map(ProductNo)
    }

    /// A client's and a product's number by their ids, or what is wrong with them.
    pub(super) fn pair(
        &self,
        client: &str,
        product: &str,
    ) -> Result<(ClientNo, ProductNo), String> {
        let unknown = |what: &str, id: &str| format!("there is no {what} `{id}`");
        let client_no = self
            .client(client)
            .ok_or_else(|| unknown("client", client))?;
        let product_no = self
            .product(product)
            .ok_or_else(|| unknown("product", product))?;
        Ok((client_no, product_no))
    }

    fn read_clients(&mut self, folder: &Path) -> Result<(), FilesError> {
        let table = Table::open(folder, "clients.csv")?;
        let id = table.needed("client_id")?;
        let headers: Vec<(usize, Text)> = table
            .headers
            .iter()
            .enumerate()
            .filter(|(at, name)| *at != id && name.as_str() != "name")
            .filter_map(|(at, name)| Text::parse(name).ok().map(|name| (at, name)))
            .collect();
        let mut rows: Vec<Vec<String>> = Vec::new();
        table.rows(|record| {
            let number = rows.len() as u32;
            self.client_numbers
                .insert(field(record, id).to_owned(), number);
            self.clients.push(field(record, id).to_owned());
            let values = headers.iter().map(|(at, _)| field(record, *at).to_owned());
            rows.push(values.collect());
            Ok(())
        })?;
        // A column is numeric when every value in it is a number; else each value is a category.
        let numeric: Vec<bool> = (0..headers.len())
            .map(|at| {
                let mut values = rows.iter().map(|row| row[at].as_str());
                values.all(|value| value.is_empty() || number(value).is_ok())
            })
            .collect();
        for row in rows {
            let mut attributes = BTreeMap::new();
            for (at, value) in row
                .iter()
                .enumerate()
                .filter(|(_, value)| !value.is_empty())
            {
                let attribute = if numeric[at] {
                    number(value).ok().map(Attribute::Number)
                } else {
                    Text::parse(value).ok().map(Attribute::Text)
                };
                if let Some(attribute) = attribute {
                    attributes.insert(headers[at].1.clone(), attribute);
                }
            }
            self.attributes.push(attributes);
        }
        Ok(())
    }

    fn read_products(&mut self, folder: &Path) -> Result<(), FilesError> {
        let table = Table::open(folder, "products.csv")?;
        let id = table.needed("product_id")?;
        let price = table.column("list_price");
        table.rows(|record| {
            let number_of = self.products.len() as u32;
            self.product_numbers
                .insert(field(record, id).to_owned(), number_of);
            self.products.push(field(record, id).to_owned());
            let price = price.and_then(|at| number(field(record, at)).ok());
            let minor = price.filter(|price| *price > 0.0 && *price < 1e12);
            self.products_traits.push(ProductTraits {
                list_price_minor: minor.map(|price| (price * MINOR).round() as i64),
                margin_rate: None,
            });
            Ok(())
        })
    }

    fn read_sales(&mut self, folder: &Path) -> Result<(), FilesError> {
        let table = Table::open(folder, "sales.csv")?;
        let (client, product) = (table.needed("client_id")?, table.needed("product_id")?);
        let (date, amount) = (table.column("date"), table.needed("amount")?);
        let mut dated: Vec<Vec<Purchase>> = vec![Vec::new(); self.clients.len()];
        let mut undated: Vec<BTreeMap<ProductNo, f64>> = vec![BTreeMap::new(); self.clients.len()];
        table.rows(|record| {
            let (client, product) = self.pair(field(record, client), field(record, product))?;
            let amount_minor = number(field(record, amount))? * MINOR;
            if let Some(date) = date {
                let day = Day::parse(field(record, date))
                    .map_err(|error| format!("`{}` {error}", field(record, date)))?;
                dated[client.index()].push(Purchase {
                    product,
                    day,
                    amount_minor,
                });
            } else {
                *undated[client.index()].entry(product).or_default() += amount_minor;
            }
            Ok(())
        })?;
        if date.is_some() {
            let mut log = PurchaseLog::builder(self.products.len());
            for purchases in dated {
                log.push_client(purchases);
            }
            self.log = log.finish();
        } else {
            self.tickets = Some(matrix(self.products.len(), &undated));
        }
        Ok(())
    }
}

/// A matrix of tickets without dates, in minor units; what is not above 0 is not bought.
pub(super) fn matrix(products: usize, rows: &[BTreeMap<ProductNo, f64>]) -> TicketMatrix {
    let cells = |row: &BTreeMap<ProductNo, f64>| -> Vec<Cell> {
        row.iter()
            .map(|(&product, &ticket)| Cell {
                product,
                ticket: ticket as f32,
                last_day: None,
            })
            .filter(|cell| cell.ticket > 0.0 && cell.ticket.is_finite())
            .collect()
    };
    TicketMatrix::from_rows(products, rows.iter().map(cells))
}
