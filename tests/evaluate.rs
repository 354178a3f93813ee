//! A user proves on files of its own that the scoring works: the files of a task, and what comes back.

#![allow(clippy::unwrap_used, clippy::format_collect)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use carteira::domain::Day;
use carteira::evaluate::{
    Answered, EvaluateError, Evaluation, Files, Forecaster, Horizon, Plan, Segment, Task, evaluate,
};
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

fn answer(folder: &Path, out: &str) -> (Answered, BTreeMap<String, String>) {
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

/// Runs `carteira evaluate` in a folder; its exit code, standard output and standard error.
fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_carteira"))
        .arg("evaluate")
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.status.code(), text(ran.stdout), text(ran.stderr))
}

const CUT: [&str; 6] = ["--data", "in", "--cut", "2024-07-01", "--horizon", "60"];

#[test]
fn a_user_proves_it_on_its_own_files_and_gets_a_table_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    write_task(folder.path());
    let (code, out, err) = run(folder.path(), &CUT);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("60 clients, 12 products; learnt from the"),
        "{out}"
    );
    assert!(out.contains("best-sellers") && out.contains("AUC"), "{out}");
    assert!(err.contains("report.html"), "{err}");
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 5, "one plot a question");
    for part in [
        "Where the money is",
        "sector: S0",
        "Padaria São João",
        "prefers-color-scheme",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // The page is whole by itself.
    for outside in [
        "http:", "https:", "src=", "<link", "<script", "@import", "url(",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    let (_, json, _) = run(folder.path(), &[&CUT[..], &["--output", "json"]].concat());
    let all: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(all["span"]["cut"], "2024-07-01");
    assert_eq!(all["methods"][0]["forecaster"], "recipe");
    assert!(
        all["methods"][2]["top_list"].is_null(),
        "own history cannot cross-sell"
    );
    let (_, csv, _) = run(folder.path(), &[&CUT[..], &["--output", "csv"]].concat());
    let header = "question,figure,recipe,best_sellers,own_history,product_quantile";
    assert_eq!(csv.lines().next(), Some(header));
    let skill: Vec<&str> = csv
        .lines()
        .find(|row| row.contains(",skill,"))
        .unwrap()
        .split(',')
        .collect();
    let shown = all["methods"][0]["calibration"]["skill"].as_f64().unwrap();
    assert!((skill[2].parse::<f64>().unwrap() - shown).abs() < 1e-12);
}

#[test]
fn what_happens_after_the_cut_changes_no_prediction() {
    let folder = tempfile::tempdir().unwrap();
    write_task(folder.path());
    let predict = |out: &str| {
        let (code, _, err) = run(folder.path(), &[&CUT[..], &["--out", out]].concat());
        assert_eq!(code, Some(0), "{err}");
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder.path().join(out)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            files.insert(name, std::fs::read_to_string(entry.path()).unwrap());
        }
        files.remove("report.html").unwrap();
        files
    };
    let before = predict("before");
    assert_eq!(before.len(), 9);
    let sales = folder.path().join("in/sales.csv");
    let mut other = String::new();
    for line in std::fs::read_to_string(&sales).unwrap().lines() {
        // Later sales go to another product, for another amount.
        let fields: Vec<&str> = line.split(',').collect();
        match fields[2] {
            "date" => writeln!(other, "{line}").unwrap(),
            date if date < "2024-07-01" => writeln!(other, "{line}").unwrap(),
            date => writeln!(other, "{},P3,{date},99999", fields[0]).unwrap(),
        }
    }
    std::fs::write(&sales, other).unwrap();
    assert_eq!(before, predict("after"));
}

#[test]
fn files_are_read_as_an_import_reads_them_and_names_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    write_task(folder.path());
    let (_, plain, _) = run(folder.path(), &[&CUT[..], &["--output", "csv"]].concat());
    let path = |name: &str| folder.path().join("in").join(name);
    let sales = std::fs::read_to_string(path("sales.csv")).unwrap();
    let mut brazilian = String::new();
    for line in sales.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let date = match fields[2].split('-').collect::<Vec<_>>()[..] {
            [year, month, day] => format!("{day}.{month}.{year}"),
            _ => "date".to_owned(),
        };
        writeln!(
            brazilian,
            "{};{};{date};{}",
            fields[0],
            fields[1],
            fields[3].replace('.', ",")
        )
        .unwrap();
    }
    brazilian.push_str("C0;P99;01.02.2024;5\nC0;P0;yesterday;5\n");
    std::fs::write(path("sales.csv"), brazilian).unwrap();
    let clients = std::fs::read_to_string(path("clients.csv")).unwrap();
    let nasty = clients
        .replace(",S1", ",<script>alert(1)</script>")
        .replace("Padaria", "<script>x</script>'&amp;");
    std::fs::write(path("clients.csv"), nasty).unwrap();
    let (code, same, err) = run(folder.path(), &[&CUT[..], &["--output", "csv"]].concat());
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(plain, same);
    // The two rows added, and the return, which nobody said to take.
    assert!(err.contains("3 rows could not be used"), "{err}");
    assert!(err.contains("sales.csv, line "), "{err}");
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(
        !page.contains("<script"),
        "a name reached the page as it is"
    );
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("&lt;script&gt;x&lt;/script&gt;'&amp;amp; São João"));
}

#[test]
fn what_cannot_be_measured_is_said_with_what_to_write_instead() {
    let folder = tempfile::tempdir().unwrap();
    write_task(folder.path());
    let refused = |code: i32, args: &[&str], parts: &[&str]| {
        let (was, _, err) = run(folder.path(), args);
        assert_eq!(was, Some(code), "{args:?}: {err}");
        for part in parts {
            assert!(err.contains(part), "{args:?}: {err}");
        }
        assert!(!err.contains("panicked"), "{err}");
    };
    let data = ["--data", "in"];
    let with = |more: &[&'static str]| -> Vec<&'static str> { [&data[..], more].concat() };
    refused(
        2,
        &data,
        &[
            "sales run from 2024-01-01 to 2024-09-28",
            "--cut ",
            "--horizon ",
        ],
    );
    refused(
        2,
        &with(&["--cut", "2025-01-01", "--horizon", "9"]),
        &["not after the last", "--cut "],
    );
    refused(
        2,
        &with(&["--cut", "2023-01-01", "--horizon", "9"]),
        &["after the first sale"],
    );
    refused(
        2,
        &with(&["--cut", "2024-09-01", "--horizon", "60"]),
        &["there are 28 days", "--horizon 28"],
    );
    refused(
        2,
        &with(&["--cut", "2024-09-01", "--horizon", "0"]),
        &["0 days"],
    );
    refused(2, &with(&["--cut", "2024-09-01"]), &["--horizon"]);
    refused(
        2,
        &with(&["--cut", "01/09/2024", "--horizon", "9"]),
        &["is not a date"],
    );
    refused(
        2,
        &["--data", "in", "--task", "in"],
        &["cannot be used with"],
    );
    refused(2, &["--task", "in"], &["--horizon-from"]);
    refused(2, &[], &["--data"]);
    refused(
        1,
        &["--data", "nowhere"],
        &["nowhere must hold clients.csv"],
    );
    let many = with(&[
        "--cut",
        "2024-07-01",
        "--horizon",
        "60",
        "--min-buyers",
        "61",
    ]);
    refused(1, &many, &["at least 61 buyers"]);
    let sales = folder.path().join("in/sales.csv");
    std::fs::write(
        &sales,
        "client_id,product_id,day,value\nC0,P0,2024-01-01,3\n",
    )
    .unwrap();
    refused(
        1,
        &CUT,
        &[
            "has no column 'amount'",
            "client_id, product_id, day, value",
        ],
    );
    std::fs::write(&sales, "client_id,product_id,amount\nC0,P0,3\nC1,P0,4\n").unwrap();
    refused(2, &CUT, &["have no dates", "leave --cut and --horizon out"]);
    std::fs::write(&sales, "client_id,product_id,date,amount\n").unwrap();
    refused(1, &CUT, &["not one sale"]);
}

#[test]
fn sales_without_dates_measure_the_potential_alone() {
    let folder = tempfile::tempdir().unwrap();
    write_task(folder.path());
    let tickets = std::fs::read_to_string(folder.path().join("in/t5_visible_0.csv")).unwrap();
    std::fs::write(
        folder.path().join("in/sales.csv"),
        tickets.replace("ticket", "amount"),
    )
    .unwrap();
    let (code, out, err) = run(folder.path(), &["--data", "in", "--out", "out"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("the potential alone is measured"), "{err}");
    assert!(
        out.contains("60 of them hidden") && !out.contains("pipeline"),
        "{out}"
    );
    let mut names: Vec<_> = std::fs::read_dir(folder.path().join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["report.html", "t5.csv"]);
    assert_eq!(
        std::fs::read_to_string(folder.path().join("out/t5.csv"))
            .unwrap()
            .lines()
            .count(),
        61
    );
}

/// The made-up book through the library, told how far it is.
fn evaluated(
    folder: &Path,
    go_on: &dyn Fn(f64) -> ControlFlow<()>,
) -> Result<Evaluation, EvaluateError> {
    let files = Files::read(&folder.join("in")).unwrap();
    let as_of = Day::parse("2024-07-01").unwrap();
    let plan = Plan {
        horizon: Some(Horizon { as_of, days: 60 }),
        least_buyers: 1,
    };
    evaluate(&files.input(), &plan, &Recipe::standard().unwrap(), go_on)
}

#[test]
fn progress_rises_to_the_end_and_whoever_breaks_it_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write_task(folder.path());
    let shares = RefCell::new(Vec::new());
    let note = |share: f64| {
        shares.borrow_mut().push(share);
        ControlFlow::Continue(())
    };
    evaluated(folder.path(), &note).unwrap();
    let shares = shares.into_inner();
    assert!(shares.is_sorted(), "{shares:?}");
    assert_eq!((shares.first(), shares.last()), (Some(&0.0), Some(&1.0)));
    assert!(shares.len() > 10, "{shares:?}");
    for at in &shares {
        let stop = |share: f64| match share >= *at {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        assert_eq!(
            evaluated(folder.path(), &stop),
            Err(EvaluateError::Cancelled)
        );
    }
}

#[test]
fn the_thirds_by_size_add_up_to_the_book_and_the_command_says_what_the_library_does() {
    let folder = tempfile::tempdir().unwrap();
    write_task(folder.path());
    let go_on = |_: f64| ControlFlow::Continue(());
    let found = evaluated(folder.path(), &go_on).unwrap();
    let thirds: Vec<_> = found
        .segments
        .iter()
        .filter(|of| of.attribute == "client size")
        .collect();
    let sum = |count: &dyn Fn(&Segment) -> usize| thirds.iter().map(|of| count(of)).sum::<usize>();
    let recipe = |of: &Segment| of.method(Forecaster::Recipe).unwrap().clone();
    assert_eq!(sum(&|of| of.clients), found.book.judged_clients);
    assert_eq!(
        sum(&|of| recipe(of).calibration.unwrap().pairs),
        found.book.pairs
    );
    assert_eq!(
        sum(&|of| recipe(of).ticket.unwrap().pairs),
        found.book.adoptions
    );
    assert_eq!(
        sum(&|of| recipe(of).potential.unwrap().tickets),
        found.book.hidden_tickets
    );
    let by_sector = found.segments.iter().filter(|of| of.attribute == "sector");
    assert_eq!(by_sector.map(|of| of.clients).sum::<usize>(), CLIENTS);
    let as_library = [&CUT[..], &["--returns", "--output", "json"]].concat();
    let (_, json, _) = run(folder.path(), &as_library);
    let command: serde_json::Value = serde_json::from_str(&json).unwrap();
    let library = serde_json::to_value(&found).unwrap();
    for field in ["book", "span"] {
        assert_eq!(command[field], library[field]);
    }
    for (at, field) in [(0, "top_list"), (0, "growth"), (3, "potential")] {
        assert!(library["methods"][at][field].is_object(), "{field}");
        assert_eq!(command["methods"][at][field], library["methods"][at][field]);
    }
}
