//! A book as the files that `carteira import` takes.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::book::{self, Size};

/// Owners that the clients have.
pub const OWNERS: usize = 50;
/// Categories that the products have.
pub const CATEGORIES: usize = 20;
const REGIONS: [&str; 5] = ["north", "north-east", "centre", "south-east", "south"];

/// The files of a book, and its tickets.
pub struct Files {
    /// Its clients.
    pub clients: PathBuf,
    /// Its products.
    pub products: PathBuf,
    /// Its tickets, a sales file without dates.
    pub sales: PathBuf,
    /// By client, product and ticket in minor units.
    pub rows: Vec<Vec<(u32, f32)>>,
}

impl Files {
    /// Writes a book to a folder.
    pub fn write(size: Size, folder: &Path) -> Self {
        let files = Self {
            clients: folder.join("clients.csv"),
            products: folder.join("products.csv"),
            sales: folder.join("sales.csv"),
            rows: book::rows(size),
        };
        let open = |path: &Path| BufWriter::new(File::create(path).unwrap());
        let mut out = open(&files.clients);
        writeln!(out, "client_id,name,owner,region").unwrap();
        for at in 0..size.clients {
            let (owner, region) = (at % OWNERS, REGIONS[at % 7 % REGIONS.len()]);
            writeln!(out, "{},Client {at},owner {owner},{region}", client_id(at)).unwrap();
        }
        out.flush().unwrap();
        let mut out = open(&files.products);
        writeln!(out, "product_id,name,category").unwrap();
        for at in 0..size.products {
            let category = at % CATEGORIES;
            writeln!(out, "{},Product {at},category {category}", product_id(at)).unwrap();
        }
        out.flush().unwrap();
        let mut out = open(&files.sales);
        writeln!(out, "client_id,product_id,amount").unwrap();
        let mut line = String::new();
        for (client, row) in files.rows.iter().enumerate() {
            for (product, ticket) in row {
                line.clear();
                let (client, product) = (client_id(client), product_id(*product as usize));
                writeln!(line, "{client},{product},{:.2}", f64::from(*ticket) / 100.0).unwrap();
                out.write_all(line.as_bytes()).unwrap();
            }
        }
        out.flush().unwrap();
        files
    }

    /// Tickets in it.
    pub fn tickets(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }
}

/// The id of a client.
pub fn client_id(at: usize) -> String {
    format!("c{at:06}")
}

/// The id of a product.
pub fn product_id(at: usize) -> String {
    format!("p{at:05}")
}
