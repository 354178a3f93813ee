#!/usr/bin/env python3
"""Makes the demo's dairy book: src/cli/demo/{clients,products,sales}.csv.

    python3 tests/make_demo_book.py [OUT_DIR]

Sixty food businesses in three lines of trade, of very different sizes, with a year of monthly sales. The
client `padaria-central` buys milk for 7,000.00 and butter for 3,000.00 a month; nothing else of it is in
the files. LEVEL is the typical monthly ticket of the *other* clients, set once so that the demo's answer
comes out in the round figures of the documentation; the scoring has to find them. They come out at three
significant digits too, and up to 2 % more or less on the level of milk or of butter moves no figure by more than
another 2 %; other seeds stand next to a jump of the fit.
"""
import csv, math, pathlib, random, sys

# Typical monthly ticket of a client of size 1, by product.
LEVEL = {"milk": 5489.1, "butter": 2352.2, "cheese": 5912.8, "cream_cheese": 3736.6, "yogurt": 900.0}
NAMES = {"milk": ("Leite integral", "Laticínios"), "butter": ("Manteiga", "Laticínios"), "cheese": ("Queijo muçarela", "Queijos"),
         "cream_cheese": ("Requeijão", "Queijos"), "yogurt": ("Iogurte natural", "Laticínios")}
TRADES = {"bakery": "Padaria", "restaurant": "Restaurante", "hotel": "Hotel"}
CITIES = ["São Paulo", "Campinas", "Belo Horizonte", "Curitiba", "Porto Alegre", "Goiânia"]
STREETS = ["do Sol", "Boa Vista", "da Praça", "Santa Luzia", "Bela Aurora", "do Mercado", "Três Irmãos", "Nova Era", "Bom Jesus", "Primavera"]
OWNERS = ["Ana", "Bruno", "Carla"]
MONTHS = [(2025, m) for m in range(1, 13)]


def book(level):
    rng = random.Random(20)
    clients, sales = [], []
    clients.append(("padaria-central", "Padaria Central", "Ana", "bakery", "São Paulo", 14))
    own = {"milk": 7000.0, "butter": 3000.0}
    for i in range(60):
        trade = list(TRADES)[i % 3]
        size = math.exp(rng.gauss(0.35, 0.45))
        city = CITIES[rng.randrange(len(CITIES))]
        clients.append((f"c{i + 1:02d}", f"{TRADES[trade]} {STREETS[i % len(STREETS)]} {i // len(STREETS) + 1}", OWNERS[i % 3], trade, city, max(3, round(10 * size))))
        for product in level:
            if product == "yogurt" and i % 20:
                continue  # three clients only: too few to say anything of it
            if product in ("cheese", "cream_cheese") and rng.random() < 0.18:
                continue
            ticket = level[product] * size * math.exp(rng.gauss(0, 0.28))
            first = 0 if rng.random() < 0.75 else rng.randrange(1, 11)
            for k, (year, month) in enumerate(MONTHS):
                if product in ("cheese", "cream_cheese") and k < first:
                    continue
                amount = ticket * math.exp(rng.gauss(0, 0.06))
                sales.append((f"c{i + 1:02d}", product, f"{year}-{month:02d}-{rng.randrange(2, 28):02d}", f"{amount:.2f}"))
    for product, amount in own.items():
        for year, month in MONTHS:
            sales.append(("padaria-central", product, f"{year}-{month:02d}-10", f"{amount:.2f}"))
    return clients, sales


def write(out, level):
    out.mkdir(parents=True, exist_ok=True)
    clients, sales = book(level)
    for name, header, rows in [
        ("clients.csv", ["client_id", "name", "owner", "trade", "city", "staff"], clients),
        ("products.csv", ["product_id", "name", "category"], [(p, *NAMES[p]) for p in level]),
        ("sales.csv", ["client_id", "product_id", "date", "amount"], sorted(sales, key=lambda s: (s[2], s[0], s[1]))),
    ]:
        with open(out / name, "w", newline="") as f:
            csv.writer(f, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    default = pathlib.Path(__file__).resolve().parent.parent / "src/cli/demo"
    write(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default, LEVEL)
