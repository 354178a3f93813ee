//! A user proves on files of its own that the scoring works: the files of a task, and what comes back.

#![allow(clippy::unwrap_used, clippy::format_collect)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use carteira::evaluate::{Answers, Horizon, Task};
use carteira::recommend::Recipe;

const CLIENTS: usize = 60;
const PRODUCTS: usize = 12;

/// A book with two kinds of clients: each buys its own half of the products, a few a month.
fn write_task(folder: &Path) {
    let mut clients = "client_id,name,sector\n".to_owned();
    let mut products = "product_id,name\n".to_owned();
    let mut sales = "client_id,product_id,date,amount\n".to_owned();
    let mut pairs = "client_id,product_id\n".to_owned();
    for product in 0..PRODUCTS {
        writeln!(products, "P{product},\"Product, {product}\"").unwrap();
    }
    let mut seed = 7_u32;
    let mut draw = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % below
    };
    for client in 0..CLIENTS {
        let kind = client % 2;
        writeln!(clients, "C{client},Padaria São João {client},S{kind}").unwrap();
        for month in 1..=9 {
            for _ in 0..2 {
                let product = (draw(PRODUCTS / 2) + kind * PRODUCTS / 2 + draw(8) / 7) % PRODUCTS;
                let day = 1 + draw(28);
                let amount = 10 + draw(500);
                writeln!(
                    sales,
                    "C{client},P{product},2024-{month:02}-{day:02},{amount}.25"
                )
                .unwrap();
            }
        }
        for product in 0..PRODUCTS {
            writeln!(pairs, "C{client},P{product}").unwrap();
        }
    }
    sales.push_str("C0,P0,2024-09-28,-3.50\n");
    let ask = "fold,client_id,product_id\n0,C1,P7\n0,C2,P1\n";
    let visible: String = (0..CLIENTS)
        .map(|client| {
            format!(
                "C{client},P{},{}\n",
                client % 6 + client % 2 * 6,
                10 + client
            )
        })
        .collect();
    let manifest = r#"{"first_test_day": "2024-10-01", "last_day": "2024-12-31"}"#;
    std::fs::create_dir_all(folder.join("in")).unwrap();
    for (name, text) in [
        ("in/clients.csv", clients.as_str()),
        ("in/products.csv", &products),
        ("in/sales.csv", &sales),
        ("in/t34_pairs.csv", &pairs),
        ("in/t5_ask.csv", ask),
        (
            "in/t5_visible_0.csv",
            &format!("client_id,product_id,ticket\n{visible}"),
        ),
        ("manifest.json", manifest),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

fn answer(folder: &Path, out: &str) -> (Answers, BTreeMap<String, String>) {
    let horizon = Horizon::from_manifest(&folder.join("manifest.json")).unwrap();
    let recipe = Recipe::standard().unwrap();
    let task = Task::read(&folder.join("in"), horizon, recipe).unwrap();
    let out = folder.join(out);
    std::fs::create_dir_all(&out).unwrap();
    let answers = task.answer(&out).unwrap();
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        (entry.file_name().into_string().unwrap(), text)
    };
    (
        answers,
        std::fs::read_dir(&out).unwrap().map(read).collect(),
    )
}

fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect()
}

#[test]
fn a_task_is_answered_whole_in_its_format_and_the_same_every_time() {
    let folder = tempfile::tempdir().unwrap();
    write_task(folder.path());
    let (answers, files) = answer(folder.path(), "first");
    let fit = answers.adoption.unwrap();
    assert!(fit.adoptions > 40, "{fit:?}");
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "t1.csv",
            "t1_money.csv",
            "t1_probability.csv",
            "t2.csv",
            "t34.csv",
            "t5.csv",
            "t6.csv",
            "t6_net.csv",
            "t6_rise.csv"
        ]
    );
    assert_eq!(
        files["t1.csv"].lines().next(),
        Some("client_id,product_id,score")
    );
    assert_eq!(rows(&files["t34.csv"]).len(), CLIENTS * PRODUCTS);
    for row in rows(&files["t34.csv"]) {
        let (probability, ticket): (f64, f64) = (row[2].parse().unwrap(), row[3].parse().unwrap());
        assert!((0.0..1.0).contains(&probability) && ticket.is_finite() && ticket >= 0.0);
    }
    let bought = std::fs::read_to_string(folder.path().join("in/sales.csv")).unwrap();
    for name in ["t1.csv", "t1_money.csv", "t1_probability.csv", "t2.csv"] {
        for row in rows(&files[name]) {
            assert!(row[2].parse::<f64>().unwrap() > 0.0);
            let pair = format!("{},{},", row[0], row[1]);
            assert!(
                !bought.lines().any(|line| line.starts_with(&pair)),
                "{name} offers {pair} which is bought already"
            );
        }
    }
    for row in rows(&files["t5.csv"]) {
        let [q50, q80, q90] = [3, 4, 5].map(|at: usize| row[at].parse::<f64>().unwrap());
        assert!(0.0 < q50 && q50 <= q80 && q80 <= q90);
    }
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let (_, again) = one.install(|| answer(folder.path(), "again"));
    assert_eq!(files, again);
}

#[test]
fn a_task_without_dates_gets_potentials_alone() {
    let folder = tempfile::tempdir().unwrap();
    write_task(folder.path());
    std::fs::write(folder.path().join("manifest.json"), "{}").unwrap();
    std::fs::remove_file(folder.path().join("in/sales.csv")).unwrap();
    let (answers, files) = answer(folder.path(), "out");
    assert_eq!(answers.adoption, None);
    assert_eq!(files.keys().collect::<Vec<_>>(), ["t5.csv"]);
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    write_task(folder.path());
    let sales = "client_id,product_id,date,amount\nC0,P0,2024-01-31,5\nC0,P99,2024-01-31,5\n";
    std::fs::write(folder.path().join("in/sales.csv"), sales).unwrap();
    let recipe = Recipe::standard().unwrap();
    let error = Task::read(&folder.path().join("in"), None, recipe).unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("line 3") && said.contains("no product `P99`"),
        "{said}"
    );
}
