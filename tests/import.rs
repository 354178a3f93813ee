//! Imports as a user meets them: what goes in, what is refused, and what a second run changes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use common::{BINARY, Server, data_dir};
use serde_json::Value;

const CLIENTS: &str =
    "client_id,name,owner,sector,staff\na,Padaria,Ana,bakery,12\nb,Hotel,Rui,hotel,80\n";
const PRODUCTS: &str = "product_id,name,category\nmilk,Leite,dairy\nbutter,Manteiga,dairy\n";
const SALES: &str =
    "client_id,product_id,date,amount\na,milk,2025-01-02,10.00\nb,butter,2025-02-03,20.50\n";

/// A server, and a folder that commands run in.
struct Book {
    server: Server,
    folder: tempfile::TempDir,
}

impl Book {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&data_dir(&folder));
        let book = Self { server, folder };
        book.write("clients.csv", CLIENTS);
        book.write("products.csv", PRODUCTS);
        book.write("sales.csv", SALES);
        book
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(args)
            .env("CARTEIRA_ENDPOINT", &self.server.endpoint)
            .current_dir(self.folder.path());
        command
    }

    /// Runs a command that is to end with a code; what it wrote, standard output first.
    fn run(&self, code: i32, args: &[&str]) -> (String, String) {
        let ran = self.command(args).output().unwrap();
        let (out, err) = texts(&ran);
        assert_eq!(ran.status.code(), Some(code), "{args:?}\n{out}\n{err}");
        (out, err)
    }

    fn import(&self, code: i32, args: &[&str]) -> (String, String) {
        self.run(code, &[&["import", "--portfolio", "book"], args].concat())
    }

    /// Clients, products and sales by their usual names.
    fn import_all(&self, code: i32) -> (String, String) {
        let files = ["--clients", "clients.csv", "--products", "products.csv"];
        self.import(code, &[&files[..], &["--sales", "sales.csv"]].concat())
    }

    fn portfolios(&self) -> Vec<Value> {
        let (out, _) = self.run(0, &["portfolios", "--output", "json"]);
        serde_json::from_str(&out).unwrap()
    }

    fn figure(&self, name: &str) -> i64 {
        self.portfolios()[0][name].as_i64().unwrap()
    }

    fn tickets(&self) -> String {
        let args = ["export", "tickets", "--portfolio", "book"];
        self.run(0, &args).0
    }
}

fn texts(ran: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&ran.stdout), text(&ran.stderr))
}

#[test]
fn the_same_files_twice_change_nothing_and_say_so() {
    let book = Book::start();
    let (out, err) = book.import_all(0);
    assert!(
        out.contains("sales: 2 rows read, 2 in, 0 rejected, BRL 30.50"),
        "{out}"
    );
    assert!(
        out.contains("next: carteira pipeline --portfolio book"),
        "{out}"
    );
    assert!(err.contains("the new portfolio 'book' is in BRL"), "{err}");
    let (out, err) = book.import_all(0);
    assert!(
        out.contains("(1 batches with 2 rows were there already"),
        "{out}"
    );
    assert_eq!(err, "");
    assert_eq!(
        (book.figure("sales"), book.figure("sales_amount_minor")),
        (2, 3_050)
    );
    // Packed, it is the same file.
    let packed = std::fs::File::create(book.path("sales.csv.gz")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(packed, flate2::Compression::best());
    gzip.write_all(SALES.as_bytes()).unwrap();
    gzip.finish().unwrap();
    let (out, _) = book.import(0, &["--sales", "sales.csv.gz"]);
    assert!(out.contains("were there already"), "{out}");
    assert!(!book.path("sales.rejects.csv").exists());
}

#[test]
fn rejected_sales_come_in_once_their_cause_is_gone_and_the_others_are_not_doubled() {
    let book = Book::start();
    let mut sales = String::from("client_id,product_id,date,amount\n");
    for at in 0..12_000 {
        let product = if at % 4_000 == 7 { "cheese" } else { "milk" };
        sales += &format!("a,{product},2025-01-{:02},1.00\n", at % 28 + 1);
    }
    sales += "a,milk,04/05/2025,1.00\n";
    book.write("sales.csv", &sales);
    let (out, _) = book.import_all(0);
    assert!(
        out.contains("sales: 12001 rows read, 11997 in, 4 rejected"),
        "{out}"
    );
    assert!(out.contains("--retry sales.rejects.csv"), "{out}");
    let rejects = book.read("sales.rejects.csv");
    assert!(rejects.contains("\nsales.csv,9,"), "{rejects}");
    assert!(rejects.contains("--date-format"), "{rejects}");
    // The catalogue is completed: the same command cannot tell which rows are new, and says what can.
    book.write("products.csv", format!("{PRODUCTS}cheese,Queijo,dairy\n"));
    let (_, err) = book.import_all(1);
    assert!(err.contains("--retry"), "{err}");
    assert_eq!(book.figure("sales"), 11_997);
    assert_eq!(book.read("sales.rejects.csv"), rejects);
    let retry = ["--sales", "sales.csv", "--retry", "sales.rejects.csv"];
    for read in [
        "4 rows read, 3 in, 1 rejected",
        "1 rows read, 0 in, 1 rejected",
    ] {
        let (out, _) = book.import(0, &retry);
        assert!(out.contains(read), "{out}");
        assert_eq!(book.figure("sales"), 12_000);
    }
    let dmy = [&retry[..], &["--date-format", "dmy"]].concat();
    let (out, _) = book.import(0, &dmy);
    assert!(out.contains("1 rows read, 1 in, 0 rejected"), "{out}");
    let (out, _) = book.import(0, &dmy);
    assert!(out.contains("were there already"), "{out}");
    assert_eq!(book.figure("sales"), 12_001);
}

#[test]
fn a_wrong_file_leaves_nothing_behind() {
    let book = Book::start();
    book.write("empty.csv", "");
    book.write("columns.csv", "client_id;product;date;amount\n");
    book.write("workbook.xlsx", b"PK\x03\x04...");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(SALES.repeat(1_000).as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    book.write("cut.csv.gz", &packed[..packed.len() / 2]);
    for (file, part) in [
        ("nowhere.csv", "check the path"),
        ("empty.csv", "its first line must name the columns"),
        (
            "columns.csv",
            "no column 'product_id'; its columns are: client_id, product, date, amount",
        ),
        ("workbook.xlsx", "save it as CSV"),
        ("cut.csv.gz", "cannot read cut.csv.gz"),
        ("..", "is not a plain file"),
    ] {
        let (out, err) = book.import(1, &["--products", "products.csv", "--sales", file]);
        assert!(err.contains(part) && out.is_empty(), "{file}: {out}{err}");
    }
    for (args, part) in [
        (&[][..], "--clients, --products and --sales"),
        (&["--sales", "sales.csv", "--currency", "XXX"], "ISO 4217"),
        (
            &["--sales", "sales.csv", "--delimiter", "ab"],
            "one character",
        ),
        (
            &["--sales", "sales.csv", "--clients", "./sales.csv"],
            "rename one",
        ),
        (&["--clients", "clients.csv", "--retry", "x.csv"], "--sales"),
    ] {
        let (_, err) = book.import(2, args);
        assert!(err.contains(part), "{args:?}: {err}");
    }
    assert_eq!(book.portfolios(), Vec::<Value>::new());
}

#[test]
fn rejects_never_overwrite_what_is_imported() {
    let book = Book::start();
    book.write("sales.csv", format!("{SALES}x,milk,2025-01-01,1.00\n"));
    let before = book.read("sales.csv");
    let (_, err) = book.import(1, &["--sales", "sales.csv", "--rejects", "./sales.csv"]);
    assert!(err.contains("would overwrite"), "{err}");
    assert_eq!(book.read("sales.csv"), before);
}

#[test]
fn tickets_without_dates_are_set_and_can_be_set_back() {
    let book = Book::start();
    let header = "client_id,product_id,amount\n";
    book.write(
        "ten.csv",
        format!("{header}a,milk,10\na,milk,11\nb,milk,-1\n"),
    );
    book.write("many.csv", format!("{header}a,milk,99\n"));
    let catalogue = ["--clients", "clients.csv", "--products", "products.csv"];
    book.import(0, &catalogue);
    for (file, ticket) in [
        ("ten.csv", "1000"),
        ("many.csv", "9900"),
        ("ten.csv", "1000"),
    ] {
        book.import(0, &["--sales", file]);
        let tickets = book.tickets();
        let row = format!("a,milk,{ticket},0,,true");
        assert!(tickets.contains(&row), "{tickets}");
    }
    let rejects = book.read("ten.rejects.csv");
    assert!(rejects.contains("stands in the file already"), "{rejects}");
    assert!(rejects.contains("negative"), "{rejects}");
}

#[test]
fn batches_of_tickets_that_go_in_side_by_side_are_each_counted_once_and_all_there() {
    let book = Book::start();
    let (mut clients, mut products) = (String::from("client_id\n"), String::from("product_id\n"));
    let mut sales = String::from("client_id,product_id,amount\n");
    let (mut count, mut sum) = (0, 0);
    for product in 0..30 {
        products += &format!("p{product}\n");
    }
    for client in 0..1_000_i64 {
        clients += &format!("c{client}\n");
        for product in 0..30 {
            let amount = 1 + (client * 31 + product * 7) % 500;
            sales += &format!("c{client},p{product},{amount}\n");
            (count, sum) = (count + 1, sum + amount);
        }
        sales += &format!("c{client},nothing,5\n");
    }
    book.write("clients.csv", clients);
    book.write("products.csv", products);
    book.write("sales.csv", &sales);
    let (out, _) = book.import_all(0);
    let told = format!("sales: 31000 rows read, {count} in, 1000 rejected, BRL {sum}.00");
    assert!(out.contains(&told), "{out}");
    let exported = book.tickets();
    let exported: std::collections::BTreeSet<&str> = exported.lines().skip(1).collect();
    assert_eq!(exported.len(), count);
    for row in sales.lines().skip(1).filter(|row| !row.contains("nothing")) {
        assert!(exported.contains(&*format!("{row}00,0,,true")), "{row}");
    }
}

#[test]
fn numbers_are_read_as_they_are_meant() {
    let book = Book::start();
    let sales = |amounts: &[&str]| {
        let mut text = String::from("client_id;product_id;date;amount\n");
        for amount in amounts {
            text += &format!("a;milk;2025-01-02;{amount}\n");
        }
        book.write("sales.csv", text);
    };
    // A point that cannot part thousands is the decimal one, semicolons or not.
    sales(&[
        "0.125",
        "12.50",
        "3.00000000000000004",
        "33.333333333333336",
    ]);
    let (out, _) = book.import_all(0);
    assert!(
        out.contains("3 in, 1 rejected, BRL 15.63, 2 amounts rounded"),
        "{out}"
    );
    let rejects = book.read("sales.rejects.csv");
    assert!(rejects.contains("more than 6 decimals"), "{rejects}");
    // What can mean two things is said, and can be said otherwise.
    sales(&["1.234", "7"]);
    let (out, err) = book.import(0, &["--sales", "sales.csv"]);
    assert!(out.contains("BRL 1241.00"), "{out}");
    assert!(
        err.contains("1.234") && err.contains("--decimal-comma=false"),
        "{err}"
    );
    sales(&["1.234", "8"]);
    let (out, err) = book.import(0, &["--sales", "sales.csv", "--decimal-comma=false"]);
    assert!(out.contains("BRL 9.23"), "{out}");
    assert_eq!(err, "");
    // Returns are negative, and asked for.
    sales(&["-5,00", "9,00-"]);
    let (out, _) = book.import(0, &["--sales", "sales.csv"]);
    assert!(out.contains("0 in, 2 rejected"), "{out}");
    let retry = ["--sales", "sales.csv", "--retry", "sales.rejects.csv"];
    let (out, _) = book.import(0, &[&retry[..], &["--returns"]].concat());
    assert!(out.contains("2 in, 0 rejected, BRL -14.00"), "{out}");
}

#[test]
fn other_encodings_line_ends_and_leftovers_of_spreadsheets_are_understood() {
    let book = Book::start();
    book.write(
        "clients.csv",
        b"sep=;\r\nCLIENT_ID;Name;excluded_products\r\na;Caf\xe9 \x96 \x80;milk|butter\r\n;;\r\nb;\"x;\ny\";\r\n",
    );
    let (out, err) = book.import(0, &["--clients", "clients.csv"]);
    assert!(
        out.contains("clients: 2 rows read, 1 in, 1 rejected"),
        "{out}"
    );
    assert!(err.contains("1 rows of clients.csv are not UTF-8"), "{err}");
    let rejects = book.read("clients.rejects.csv");
    assert!(
        rejects.contains("clients.csv,5,name must not contain control"),
        "{rejects}"
    );
    assert_eq!(book.figure("clients"), 1);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let book = Book::start();
    book.import_all(0);
    for args in [
        &["completions", "bash"][..],
        &["portfolios", "--output", "json"],
        &["export", "tickets", "--portfolio", "book"],
        &["import", "--portfolio", "book", "--sales", "sales.csv"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = book.command(args);
        command.stdout(Stdio::from(writer)).stderr(Stdio::piped());
        let ran = command.spawn().unwrap().wait_with_output().unwrap();
        assert!(ran.status.success(), "{args:?}: {}", texts(&ran).1);
    }
}

#[test]
fn every_error_says_what_to_do_next() {
    let book = Book::start();
    let says = |code: i32, args: &[&str], part: &str| {
        let (_, err) = book.run(code, args);
        assert!(err.contains(part), "{args:?}: {err}");
    };
    let of = |command: &'static str| [command, "--portfolio", "bok", "--client", "a"];
    says(
        1,
        &of("recommend"),
        "there is none yet; `carteira import` makes one",
    );
    book.import_all(0);
    for command in ["recommend", "similar"] {
        says(1, &of(command), "no portfolio 'bok'; there is: book");
        let client = [command, "--portfolio", "book", "--client", "zz"];
        says(1, &client, "carteira export tickets");
    }
    says(1, &["pipeline", "--portfolio", "bok"], "there is: book");
    for what in ["opportunities", "tickets"] {
        says(1, &["export", what, "--portfolio", "bok"], "there is: book");
    }
    for (flag, value, part) in [
        ("--attribute", "foo", "write name=value"),
        ("--attribute", "staff>=x", "staff>=10"),
        ("--min-gain", "x", "1000.00"),
    ] {
        says(2, &["pipeline", "--portfolio", "book", flag, value], part);
    }
    let (_, err) = book.import(1, &["--currency", "usd", "--sales", "sales.csv"]);
    assert!(err.contains("is in BRL, not USD"), "{err}");
    let away = |endpoint: &'static str| ["portfolios", "--endpoint", endpoint];
    says(
        1,
        &away("http://127.0.0.1:1"),
        "start one with `carteira serve`",
    );
    says(1, &away("https://127.0.0.1:1"), "--tls-ca");
    let bare = book.server.endpoint.trim_start_matches("http://");
    book.run(0, &["portfolios", "--endpoint", bare]);
}

#[test]
fn an_export_holds_no_formulas_and_comes_back_as_it_was() {
    let book = Book::start();
    // Dates and sums are of no interest: ids are what a spreadsheet would run.
    let ids = [
        "=HYPERLINK(1)",
        "+1+1",
        "-cmd|x",
        "@SUM",
        "'=quoted",
        "''",
        "-5",
        "plain",
    ];
    let rows = |kind: &str| {
        let rows = ids.iter().map(|id| format!("\"{id}{kind}\",n\n"));
        format!("{kind}_id,name\n{}", rows.collect::<String>())
    };
    book.write("clients.csv", rows("client"));
    book.write("products.csv", rows("product"));
    let sales = ids
        .iter()
        .map(|id| format!("\"{id}client\",\"{id}product\",7.00\n"));
    let sales = format!("client_id,product_id,amount\n{}", sales.collect::<String>());
    book.write("sales.csv", sales);
    book.import_all(0);
    let first = book.tickets();
    let cells = first
        .lines()
        .skip(1)
        .flat_map(|line| line.split(',').take(2));
    for cell in cells {
        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
    }
    assert!(first.contains("'=HYPERLINK(1)client") && first.contains("\nplainclient"));
    // The same file into another book, its column of amounts by the name that an import reads.
    book.write("back.csv", first.replace("ticket_minor", "amount"));
    let header = first.lines().next().unwrap();
    assert!(header.starts_with("client_id,product_id,ticket_minor"));
    let ids_of = |kind: &str, at: usize| {
        let rows = first
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(at).unwrap());
        format!("{kind}_id\n{}\n", rows.collect::<Vec<_>>().join("\n"))
    };
    book.write("clients.csv", ids_of("client", 0));
    book.write("products.csv", ids_of("product", 1));
    let other = ["import", "--portfolio", "other", "--currency", "JPY"];
    let files = [
        "--clients",
        "clients.csv",
        "--products",
        "products.csv",
        "--sales",
        "back.csv",
    ];
    book.run(0, &[&other[..], &files].concat());
    let again = book
        .run(0, &["export", "tickets", "--portfolio", "other"])
        .0;
    let keys = |csv: &str| {
        let rows = csv
            .lines()
            .map(|line| line.split(',').take(3).collect::<Vec<_>>().join(","));
        rows.collect::<Vec<_>>()
    };
    assert_eq!(keys(&again), keys(&first));
}
