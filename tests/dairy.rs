//! The dairy example, as every release must reproduce it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::process::Command;

use serde_json::Value;

#[test]
fn the_demo_answers_the_dairy_example_to_the_minor_unit() {
    let ran = Command::new(env!("CARGO_BIN_EXE_carteira"))
        .args(["demo", "--output", "json"])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let answer: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let rows = |kind: &str| -> Vec<(String, i64, i64, i64)> {
        let row = |row: &Value| {
            let amount = |field: &str| row[field].as_i64().unwrap();
            let product = row["product_id"].as_str().unwrap().to_owned();
            (
                product,
                amount("current_ticket_minor"),
                amount("potential_ticket_minor"),
                amount("gain_minor"),
            )
        };
        answer[kind].as_array().unwrap().iter().map(row).collect()
    };
    let line = |product: &str, current, potential| {
        (product.to_owned(), current, potential, potential - current)
    };
    assert_eq!(
        rows("upsell"),
        [
            line("milk", 700_000, 1_000_000),
            line("butter", 300_000, 400_000)
        ]
    );
    assert_eq!(
        rows("cross_sell"),
        [line("cheese", 0, 500_000), line("cream_cheese", 0, 400_000)]
    );
    assert_eq!(answer["upsell_total_minor"], 400_000);
    assert_eq!(answer["cross_sell_total_minor"], 900_000);
    assert_eq!(answer["currency"], "BRL");
}
