"""A book in which clients stop, some with a product and some with all: stopping_book.py FOLDER writes its files."""
import csv, datetime, pathlib, random, sys

folder, chance = pathlib.Path(sys.argv[1]), random.Random(5)
clients, products = [f"c{at}" for at in range(120)], [f"p{at}" for at in range(12)]
start, end = datetime.date(2024, 1, 3), datetime.date(2025, 12, 28)
later = lambda least, most: start + datetime.timedelta(chance.randint(least, most))
sales = []
for client in clients:
    stops = end if chance.random() > 0.15 else later(100, 600)
    for product in products:
        if chance.random() < 0.5:
            continue
        last = stops if chance.random() > 0.25 else min(stops, later(100, 650))
        gap = chance.choice([10, 20, 30, 45])
        day = later(0, gap)
        while day <= last:
            sales.append((client, product, day, round(chance.lognormvariate(4, 0.5), 2), 1))
            day += datetime.timedelta(max(1, int(chance.gauss(gap, gap / 4))))
for name, header, rows in [
    ("clients", ["client_id", "name", "region"], [(client, client, chance.choice(["north", "south"])) for client in clients]),
    ("products", ["product_id", "name", "category", "margin_rate"], [(product, product, "any", round(chance.uniform(0.1, 0.5), 2)) for product in products]),
    ("sales", ["client_id", "product_id", "date", "amount", "quantity"], sales),
]:
    with open(folder / f"{name}.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
