"""Where clients stand and what they are worth: every figure worked out again from the book's own files.

    insights.py BINARY FOLDER      FOLDER holds clients.csv, products.csv, sales.csv (plain or .gz)
"""
import collections, csv, datetime, gzip, json, math, pathlib, socket, statistics, subprocess, sys, tempfile
from decimal import ROUND_HALF_UP, Decimal

BINARY, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
BOOK = "book"


def given(name):
    return next(path for path in (FOLDER / f"{name}.csv", FOLDER / f"{name}.csv.gz") if path.exists())


def rows(name):
    path = given(name)
    opened = gzip.open(path, "rt", newline="", encoding="utf-8-sig") if path.suffix == ".gz" else open(path, newline="", encoding="utf-8-sig")
    with opened as file:
        return list(csv.DictReader(file))


# --- What the answers should be, from the files alone ---

ids = [row["client_id"] for row in rows("clients")]
attributes = {row["client_id"]: row for row in rows("clients")}
rates = {row["product_id"]: float(row.get("margin_rate") or 0.3) for row in rows("products")}
sales = [
    (row["client_id"], row["product_id"], datetime.date.fromisoformat(row["date"]),
     int((Decimal(row["amount"]) * 100).quantize(Decimal(1), ROUND_HALF_UP)), Decimal(row.get("quantity") or 0))
    for row in rows("sales")
]
as_of = max(day for _, _, day, _, _ in sales)
number = lambda day: day.year * 12 + day.month
buckets = collections.defaultdict(lambda: [0, datetime.date.min, 0, Decimal(0)])
for client, product, day, amount, quantity in sales:
    bucket = buckets[client, product, number(day)]
    bucket[0] += amount
    bucket[1] = max(bucket[1], day)
    bucket[2] += 1
    bucket[3] += quantity


def purchases(lines):
    """The greater of the different last days of products and of the sales of one product, month by month."""
    days, most = collections.defaultdict(set), collections.Counter()
    for (_, _, month), (amount, day, count, _) in lines:
        if amount > 0:
            days[month].add(day)
            most[month] = max(most[month], count)
    return sum(max(len(days[month]), most[month]) for month in days), [day for some in days.values() for day in some]


of_client = collections.defaultdict(list)
for key, bucket in buckets.items():
    of_client[key[0]].append((key, bucket))
expected = {}
for client in ids:
    lines = of_client[client]
    year = [line for line in lines if number(as_of) - line[0][2] < 12]
    count, days = purchases(lines)
    expected[client] = dict(
        purchases=count,
        first=min(days, default=None),
        last=max(days, default=None),
        revenue=sum(bucket[0] for _, bucket in lines),
        year_revenue=sum(bucket[0] for _, bucket in year),
        year_margin=sum(bucket[0] * rates[key[1]] for key, bucket in year),
        year_purchases=purchases(year)[0],
        year_quantity=float(sum(bucket[3] for _, bucket in year)),
        year_products=len({key[1] for key, bucket in year if bucket[0] > 0}),
    )

span = lambda one: (one["last"] - one["first"]).days
usual = statistics.median([span(one) / (one["purchases"] - 1) for one in expected.values() if one["purchases"] >= 2])
buyers = [one for one in expected.values() if one["last"]]
for one in expected.values():
    if not one["last"]:
        one.update(state="prospect", life_cycle="acquisition", gap=None, rfm=None)
        continue
    one["gap"] = max(7, (span(one) + 2 * usual) / (one["purchases"] - 1 + 2))
    one["idle"] = (as_of - one["last"]).days
    gaps, age = one["idle"] / one["gap"], (as_of - one["first"]).days
    one["state"] = "inactive" if gaps > 4 else "slipping" if gaps > 2 else "active"
    one["life_cycle"] = (
        "recovery" if one["state"] == "inactive" else "acquisition" if age < 90
        else "loyalty" if one["state"] == "active" and age >= 180 and one["purchases"] >= 6 else "retention")
    score = lambda figure: 1 + 5 * sum(figure(other) < figure(one) for other in buyers) // len(buyers)
    one["rfm"] = [score(lambda x: x["last"]), score(lambda x: x["year_purchases"]), score(lambda x: x["year_revenue"])]
worth, before = lambda one: max(0, one["year_revenue"]), 0
total = sum(map(worth, expected.values()))
for one in sorted(expected.values(), key=worth, reverse=True):
    one["tier"] = "A" if worth(one) and before < 0.8 * total else "B" if worth(one) and before < 0.95 * total else "C"
    before += worth(one)

# --- What they are ---

work = tempfile.TemporaryDirectory()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
log = open(f"{work.name}/serve.log", "w")
server = subprocess.Popen([BINARY, "serve", "--data-dir", f"{work.name}/data", "--listen", f"127.0.0.1:{port}", "--free-floor-mib", "0"], stderr=log)


def carteira(command, *more):
    asked = [BINARY, command, "--endpoint", f"http://127.0.0.1:{port}", "--portfolio", BOOK, *more]
    return subprocess.run(asked, check=True, stdout=subprocess.PIPE, stderr=log, text=True).stdout


try:
    import time
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    carteira("import", "--currency", "USD", *(f"--{name}={given(name)}" for name in ("clients", "products", "sales")))

    listed = json.loads(carteira("insights", "--limit", "0", "--output", "json"))
    assert [row["client_id"] for row in listed] == sorted(ids, key=lambda client: -worth(expected[client])), "order by value"
    text = lambda day: day.isoformat() if day else ""
    for row in listed:
        one = expected[row["client_id"]]
        want = dict(
            state=one["state"], life_cycle=one["life_cycle"], tier=one["tier"], purchases=one["purchases"],
            first_date=text(one["first"]), last_date=text(one["last"]), idle_days=one.get("idle"),
            revenue_minor=one["revenue"], year_revenue_minor=one["year_revenue"], annual_minor=worth(one),
            year_purchases=one["year_purchases"], year_products=one["year_products"],
            rfm=one["rfm"] and "-".join(map(str, one["rfm"])))
        have = {name: row[name] for name in want}
        assert have == want, (row["client_id"], have, want)
        assert abs(row["year_margin_minor"] - one["year_margin"]) <= 0.51, (row, one)
        assert abs(row["year_quantity"] - one["year_quantity"]) < 1e-6, (row, one)
        assert one["gap"] is None or math.isclose(row["expected_gap_days"], one["gap"], rel_tol=1e-9), (row, one)
    print(f"ok: {len(listed)} clients: state, life cycle, tier, rhythm, RFM and sums as worked out from the files")

    by = next((name for name in ("country", "region", "sector", "age") if name in attributes[ids[0]]), "")
    summary = json.loads(carteira("summary", "--output", "json", "--by", by))
    assert summary["as_of_date"] == as_of.isoformat()
    assert math.isclose(summary["rules"]["usual_gap_days"], usual)

    def sums(members):
        members = list(members)
        dated = [one for one in members if one["last"]]
        revenue = sum(one["revenue"] for one in members)
        return dict(
            clients=len(members), buyers=len(dated), revenue_minor=revenue,
            year_revenue_minor=sum(one["year_revenue"] for one in members),
            year_purchases=sum(one["year_purchases"] for one in members),
            lifetime_value_minor=max(0, revenue // len(dated)) if dated else None)

    want = {("all", ""): sums(expected.values())}
    for group, figure in (("state", "state"), ("life_cycle", "life_cycle"), ("tier", "tier")):
        for value in {one[figure] for one in expected.values()}:
            want[group, value] = sums(one for one in expected.values() if one[figure] == value)
    if by:
        for value in {row[by] for row in attributes.values()}:
            want["attribute", value] = sums(one for client, one in expected.items() if attributes[client][by] == value)
    have = {(row["group"], row["value"]): {name: row[name] for name in want["all", ""]} for row in summary["sums"]}
    assert have == want, [(key, have.get(key), want.get(key)) for key in have.keys() | want.keys() if have.get(key) != want.get(key)][:5]
    ltv = want["all", ""]["lifetime_value_minor"]
    print(f"ok: {len(have)} rows of the summary by state, life cycle, tier and {by or 'no attribute'}; LTV {ltv / 100:,.2f}")

    # The pipeline follows the same filters.
    pipeline = json.loads(carteira("pipeline", "--limit", "0", "--output", "json"))
    for flag, figure in (("--state", "state"), ("--life-cycle", "life_cycle"), ("--tier", "tier")):
        for value in sorted({one[figure] for one in expected.values()}):
            asked = [flag, value.lower()]
            sieved = [row for row in pipeline if expected[row["client_id"]][figure] == value]
            assert json.loads(carteira("pipeline", "--limit", "0", "--output", "json", *asked)) == sieved, asked
            chosen = json.loads(carteira("insights", "--limit", "0", "--output", "json", *asked))
            assert chosen == [row for row in listed if row[figure] == value], asked
    print(f"ok: clients and {len(pipeline)} opportunities by state, life cycle and tier")
finally:
    server.terminate()
    server.wait()
    told = open(f"{work.name}/serve.log").read()
    assert "panicked" not in told, told
