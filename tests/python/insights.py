"""Where clients stand and what they are worth: every figure worked out again from the book's own files.

    insights.py BINARY FOLDER      FOLDER holds clients.csv, products.csv, sales.csv (plain or .gz); needs numpy
"""
import collections, csv, datetime, gzip, json, math, pathlib, statistics, sys
from decimal import ROUND_HALF_UP, Decimal

import numpy

from served import Served, given

BINARY, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
BOOK = "book"


def rows(name):
    path = given(FOLDER, name)
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
sales = [sale for sale in sales if sale[3] or sale[4]]  # an import passes over rows of no money and no goods
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

# --- Who stops: the line fitted to the book's own past, again from the files ---

first_month, last_month = min(number(day) for _, _, day, _, _ in sales), number(as_of)


def month_end(month):
    year, month = divmod(month - 1, 12)
    year, month = divmod(year * 12 + month + 1, 12)
    return datetime.date(year, month + 1, 1) - datetime.timedelta(days=1)


def stand(lines, day):
    """What a buyer looked like on a day: purchases, first, last, purchase days of the last four months."""
    lines = [line for line in lines if line[0][2] <= number(day)]
    count, days = purchases(lines)
    return (count, min(days), max(days), [d for d in days if number(d) > number(day) - 4]) if days else None


def rhythm(stood, usual, day):
    count, first, last, _ = stood
    return max(7, ((last - first).days + 2 * usual) / (count + 1)), (day - last).days, count / ((day - first).days + max(usual, 7))


def signals(stood, usual, day, of_product=False):
    gap, idle, rate = rhythm(stood, usual, day)
    spans = {(day - d).days // 30 for d in stood[3] if 0 <= (day - d).days < 90}
    return [math.log(rate), len(spans), math.log1p(idle / gap)] + ([math.log(stood[0])] if of_product else [])


def usual_of(stood):
    gaps = [(last - first).days / (count - 1) for count, first, last, _ in stood if count >= 2]
    return statistics.median(gaps) if gaps else 30.4375


def learn(buyers, of_product=False):
    """Log odds that a buyer stops, as a function of its signals; None where the past is too short."""
    last = last_month if (month_end(last_month) - as_of).days < 5 else last_month - 1
    taught = min(3, (last - first_month + 1) // 3)
    xs, ys = [], []
    for back in range(3):
        cut = last - taught - back
        if taught < 1 or cut - first_month + 1 < taught:
            break
        stood = [(stand(lines, month_end(cut)), lines) for lines in buyers]
        stood = [(one, lines) for one, lines in stood if one]
        usual = usual_of([one for one, _ in stood])
        for one, lines in stood:
            xs.append(signals(one, usual, month_end(cut), of_product))
            ys.append(not any(bucket[0] > 0 and cut < key[2] <= cut + taught for key, bucket in lines))
    if min(sum(ys), len(ys) - sum(ys)) < 20:
        return None
    xs, ys = numpy.array(xs), numpy.array(ys, float)
    means, spreads = xs.mean(0), xs.std(0)
    spreads[spreads == 0] = 1
    zs = numpy.hstack([numpy.ones((len(xs), 1)), (xs - means) / spreads])
    line, ridge = numpy.zeros(zs.shape[1]), numpy.diag([0.0] + [3.0] * xs.shape[1])
    for _ in range(30):
        told = 1 / (1 + numpy.exp(-zs @ line))
        line += numpy.linalg.solve(zs.T @ (zs * (told * (1 - told))[:, None]) + ridge, zs.T @ (ys - told) - ridge @ line)
    longer = math.log(90 / (taught * 30.4375))
    return lambda x: float(line[0] + (line[1:] * (numpy.array(x) - means) / spreads).sum()) - longer


def probability(log_odds, stood, usual, of_product=False):
    if log_odds:
        return 1 / (1 + math.exp(-log_odds(signals(stood, usual, as_of, of_product))))
    gap, idle, _ = rhythm(stood, usual, as_of)
    return math.exp(-90 / gap * math.exp(-idle / gap / 4))


churn_line = learn([of_client[client] for client in ids if of_client[client]])
for client, one in expected.items():
    one["churn"] = probability(churn_line, stand(of_client[client], as_of), usual) if one["last"] else None

by_pair = collections.defaultdict(list)
for (client, product, month), bucket in sorted(buckets.items()):
    by_pair[client, product].append(((client, product, month), bucket))
# Lapses are learnt from at most about 100,000 pairs, those of every so many-th client.
taught_by = set(ids[:: -(-len(by_pair) // 100_000)])
taught = [lines for (client, _), lines in by_pair.items() if client in taught_by]
lapse_line = learn(taught, of_product=True)
pair_usual = usual_of([one for one in (stand(lines, as_of) for lines in taught) if one])
overdue = collections.defaultdict(list)
for (client, product), lines in by_pair.items():
    one = stand(lines, as_of)
    if not one or expected[client]["state"] == "inactive":
        continue
    gap, idle, _ = rhythm(one, pair_usual, as_of)
    year = sum(bucket[0] for key, bucket in lines if last_month - key[2] < 12)
    if idle / gap > 2 and year > 0:
        overdue[client].append((product, one[2].isoformat(), idle, year, probability(lapse_line, one, pair_usual, True)))

# --- What they are ---

with Served(BINARY, BOOK) as served:
    carteira, work = served.run, served.work
    served.load(FOLDER)
    wanted = {}
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
        assert (row["churn_probability"] is None) == (one["churn"] is None), row
        if one["churn"] is not None:
            assert abs(row["churn_probability"] - one["churn"]) < 1e-6, (row["client_id"], row["churn_probability"], one["churn"])
        assert 0 <= row["expected_year_minor"] <= row["annual_minor"], row
        lapses = [(lapse["product_id"], lapse["last_date"], lapse["idle_days"], lapse["year_revenue_minor"]) for lapse in row["lapses"]]
        most = sorted(overdue[row["client_id"]], key=lambda lapse: -lapse[3] * lapse[4])[:10]
        assert sorted(lapses) == sorted(lapse[:4] for lapse in most), (row["client_id"], lapses, most)
        likely = {lapse["product_id"]: lapse["probability"] for lapse in row["lapses"]}
        assert all(abs(likely[lapse[0]] - lapse[4]) < 1e-6 for lapse in most), (row["client_id"], likely, most)
    risks = [one["churn"] for one in expected.values() if one["churn"] is not None]
    print(f"ok: chances to stop ({'learnt' if churn_line else 'prior'}) from {min(risks):.3f} to {max(risks):.3f}, mean {statistics.fmean(risks):.3f}; {sum(map(len, overdue.values()))} products overdue")
    print(f"ok: {len(listed)} clients: state, life cycle, tier, rhythm, RFM and sums as worked out from the files")

    by = next((name for name in ("country", "region", "sector", "age") if name in attributes[ids[0]]), "")
    by_id = {row["client_id"]: row for row in listed}
    round_half = lambda amount, probability: math.floor(amount * (probability or 0) + 0.5)
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

    segment_of = {row["client_id"]: row["segment_id"] for row in listed}
    segments = json.loads(carteira("segments", "--output", "json"))
    assert segments["is_learnt"] and {one["segment_id"] for one in segments["segments"]} | {""} >= set(segment_of.values())
    assert segments["clients_without_segment"] == sum(not one for one in segment_of.values())

    want = {("all", ""): sums(expected.values())}
    for one in segments["segments"]:
        name = one["segment_id"]
        want["segment", name] = sums(expected[client] for client in ids if segment_of[client] == name)
        assert {figure: one[figure] for figure in want["segment", name]} == want["segment", name], one
        assert one["at_risk_minor"] == sum(round_half(worth(expected[client]), row["churn_probability"]) for client, row in by_id.items() if segment_of[client] == name), one
    for group, figure in (("state", "state"), ("life_cycle", "life_cycle"), ("tier", "tier")):
        for value in {one[figure] for one in expected.values()}:
            want[group, value] = sums(one for one in expected.values() if one[figure] == value)
    if by:
        for value in {row[by] for row in attributes.values()}:
            want["attribute", value] = sums(one for client, one in expected.items() if attributes[client][by] == value)
    have = {(row["group"], row["value"]): {name: row[name] for name in want["all", ""]} for row in summary["sums"]}
    assert have == want, [(key, have.get(key), want.get(key)) for key in have.keys() | want.keys() if have.get(key) != want.get(key)][:5]
    ltv = want["all", ""]["lifetime_value_minor"]
    print(f"ok: {len(have)} rows of the summary by state, life cycle, tier, segment and {by or 'no attribute'}; LTV {ltv / 100:,.2f}")

    # The pipeline follows the same filters.
    pipeline = json.loads(carteira("pipeline", "--limit", "0", "--output", "json"))
    for flag, figure in (("--state", "state"), ("--life-cycle", "life_cycle"), ("--tier", "tier")):
        for value in sorted({one[figure] for one in expected.values()}):
            asked = [flag, value.lower()]
            sieved = [row for row in pipeline if expected[row["client_id"]][figure] == value]
            assert json.loads(carteira("pipeline", "--limit", "0", "--output", "json", *asked)) == sieved, asked
            chosen = json.loads(carteira("insights", "--limit", "0", "--output", "json", *asked))
            assert chosen == [row for row in listed if row[figure] == value], asked
    for one in segments["segments"]:
        asked = ["--segment", one["segment_id"]]
        sieved = [row for row in pipeline if segment_of[row["client_id"]] == one["segment_id"]]
        assert json.loads(carteira("pipeline", "--limit", "0", "--output", "json", *asked)) == sieved, asked
        chosen = json.loads(carteira("insights", "--limit", "0", "--output", "json", *asked))
        assert chosen == [row for row in listed if row["segment_id"] == one["segment_id"]], asked
    print(f"ok: clients and {len(pipeline)} opportunities by state, life cycle, tier and {len(segments['segments'])} segments")

    # Objectives of every kind of group, measured as they are set.
    value = next(row[by] for row in attributes.values() if by and row[by])
    some = segments["segments"][0]["segment_id"]
    groups = {
        f"{by}={value}": [client for client in ids if attributes[client][by] == value],
        f"segment={some}": [client for client in ids if segment_of[client] == some],
        "": ids,
    }
    due = (as_of + datetime.timedelta(days=200)).isoformat()
    mean = lambda figures: statistics.fmean(figures) if figures else None
    for group, own in groups.items():
        figures = [expected[client] for client in own]
        risks = [one["churn"] for one in figures if one["churn"] is not None]
        breadth = [one["year_products"] for one in figures if one["year_products"]]
        for measure, now, target in (
            ("year_revenue", sum(one["year_revenue"] for one in figures), "99999999.00"),
            ("active_clients", sum(one["state"] in ("active", "renewal") for one in figures), "100000"),
            ("products_per_client", mean(breadth), "500"),
            ("churn", mean(risks), "0.001"),
        ):
            name = f"{group} {measure}"
            carteira("objectives", "set", name, "--measure", measure, "--target", target, "--due", due, *(["--of", group] if group else []))
            wanted[name] = (now, len(own))
    objectives = {one["objective_id"]: one for one in json.loads(carteira("objectives", "list", "--output", "json"))}
    assert objectives.keys() == wanted.keys()
    for name, (now, clients) in wanted.items():
        one = objectives[name]
        assert one["baseline"] == one["present"] and math.isclose(one["present"], now, rel_tol=1e-6, abs_tol=1e-9), (one, now)
        assert (one["clients"], one["baseline_date"], one["standing"]) == (clients, as_of.isoformat(), "just_set"), one
    print(f"ok: {len(wanted)} objectives of {', '.join(group or 'all' for group in groups)} as worked out from the files")

    # What keeps clients or wins them back: tickets, what other buyers do, chances, priorities.
    before, still = collections.defaultdict(set), collections.defaultdict(set)
    for (client, product, month), bucket in buckets.items():
        back = last_month - month
        if bucket[0] > 0 and back < 6:
            (still if back < 3 else before)[product].add(client)
    sum_before = sum(map(len, before.values()))
    usual_share = sum(len(before[product] & still[product]) for product in before) / sum_before if sum_before else 1

    def rounded(amount, digits=3):
        whole = math.floor(amount + 0.5)
        unit = 10 ** max(0, len(str(whole)) - digits)
        return (whole + unit // 2) // unit * unit

    def kept(client, product, kind, spent, bought, gap, risk, share):
        others = before[product] - {client}
        going = min(1, (len(others & still[product]) + 5 * usual_share) / (len(others) + 5) / usual_share) if usual_share else 1
        gain = rounded(spent / bought * 30.4375 / gap * going)
        chance = risk * share
        if going < 0.5 or gain <= 0:
            return None
        return dict(client_id=client, product_id=product, kind=kind, gain_minor=gain, probability=chance, neighbours=len(others),
                    neighbours_buying=len(others & still[product]), priority=chance * gain * rates[product])

    # Shares lost of products bought on time: each buyer votes with the part of two horizons' spending that is of the last.
    whole = last_month if (month_end(last_month) - as_of).days < 5 else last_month - 1

    def spent_at(until):
        spent = collections.defaultdict(lambda: [0, 0, 0])
        for (client, product, month), bucket in buckets.items():
            if 0 <= until - month < 6:
                late = until - month < 3
                spent[client, product][late] += bucket[0]
                spent[client, product][2] += 0 if late else bucket[2]
        return spent

    def votes_of(spent):
        votes = {cell: max(now, 0) / (early + max(now, 0)) for cell, (early, now, _) in spent.items() if early > 0}
        sums = collections.defaultdict(lambda: [0, 0])
        for (client, product), vote in votes.items():
            for of in (None, product, (segment_of[client], product)):
                sums[of][0] += vote
                sums[of][1] += 1
        return votes, sums

    def expected_part(votes, cell):
        votes, sums = votes
        part, like = 0.5, 0
        for of in (None, cell[1], (segment_of[cell[0]], cell[1])):
            own = [votes[cell]] if cell in votes else []
            total, like = sums[of][0] - sum(own), sums[of][1] - len(own)
            if isinstance(of, tuple) and not of[0]:  # in no segment, so like nobody
                total, like = 0, 0
            part = (total + 5 * part) / (like + 5)
        return min(0.8, max(0.2, part)), like

    def lost_at(spent, votes):
        for cell, (early, now, sold) in spent.items():
            if sold >= 4 and early > 0 and now > 0:
                part, like = expected_part(votes, cell)
                due = early * part / (1 - part)
                if due - now >= 0.5 * due:
                    yield cell, due, due - now, now

    now_spent, then_spent = spent_at(whole), spent_at(whole - 3)
    now_votes = votes_of(now_spent)
    left = []
    if whole - 8 >= first_month:
        for cell, due, gap, _ in lost_at(then_spent, votes_of(then_spent)):
            part, _ = expected_part(now_votes, cell)
            growth = part / (1 - part)
            left.append(min(1, max(0, (due * growth - now_spent[cell][1]) / (gap * growth))))
    stays = (sum(left) + 20 * 0.5) / (len(left) + 20)
    lost = collections.defaultdict(list)
    if whole - 5 >= first_month:
        for (client, product), _, gap, now in lost_at(now_spent, now_votes):
            lost[client].append((product, gap / 3, now / 3))

    # Ties go by the number of the product, which is its place in the file.
    number_of = {product: at for at, product in enumerate(rates)}
    want = []
    for client, one in expected.items():
        if not one["last"]:
            continue
        rows_of = []
        if one["state"] != "inactive":
            for product, _, _, spent, risk in overdue[client]:
                lines = by_pair[client, product]
                bought = purchases([line for line in lines if last_month - line[0][2] < 12])[0]
                gap = rhythm(stand(lines, as_of), pair_usual, as_of)[0]
                rows_of.append(kept(client, product, "lapse", spent, bought, gap, risk, 0.25))
            for product, gap, now in lost[client]:
                if product not in {late[0] for late in overdue[client]}:
                    others, chance, gain = before[product] - {client}, stays * 0.25, rounded(gap)
                    rows_of.append(dict(client_id=client, product_id=product, kind="lapse", gain_minor=gain, probability=chance, neighbours=len(others),
                                        neighbours_buying=len(others & still[product]), priority=chance * gain * rates[product]))
        elif (as_of - one["last"]).days <= 730:
            for product in {key[1] for key, _ in of_client[client]}:
                lines = by_pair[client, product]
                year = [line for line in lines if number(one["last"]) - line[0][2] < 12]
                spent, bought = sum(bucket[0] for _, bucket in year), purchases(year)[0]
                stood = stand(lines, one["last"])
                if stood and spent > 0 and bought:
                    rows_of.append(kept(client, product, "win_back", spent, bought, rhythm(stood, pair_usual, one["last"])[0], one["churn"], 0.1))
        rows_of = sorted(filter(None, rows_of), key=lambda row: (-row["priority"], number_of[row["product_id"]]))[:10]
        want += rows_of
        sells = [row for row in pipeline if row["client_id"] == client and row["kind"] in ("upsell", "cross_sell")]
        assert not (rows_of and one["churn"] >= 0.8 and sells), ("kept before it is sold more", client)
    have = {(row["client_id"], row["product_id"], row["kind"]): row for row in pipeline if row["kind"] not in ("upsell", "cross_sell")}
    assert have.keys() == {(row["client_id"], row["product_id"], row["kind"]) for row in want}, (len(have), len(want))
    for row in want:
        shown = have[row["client_id"], row["product_id"], row["kind"]]
        assert abs(shown["gain_minor"] - row["gain_minor"]) <= 10 ** max(0, len(str(row["gain_minor"])) - 3), (shown, row)
        assert abs(shown["probability"] - row["probability"]) < 1e-6, (shown, row)
        assert (shown["neighbours"], shown["neighbours_buying"]) == (row["neighbours"], row["neighbours_buying"]), (shown, row)
    by_kind = {kind: [row for row in want if row["kind"] == kind] for kind in ("lapse", "win_back")}
    told = f"{sum(map(len, lost.values()))} shares lost, of which {stays:.2f} stay ({len(left)} seen); " + ", ".join(f"{len(some)} {kind}s of {sum(row['gain_minor'] for row in some) / 100:,.2f} a month" for kind, some in by_kind.items())
    print(f"ok: {told}, with their chances and what other buyers do")

    # A sale ten days on: the objective of all is measured anew, at the pace of those ten days.
    sale = pathlib.Path(work.name) / "one.csv"
    day = as_of + datetime.timedelta(days=10)
    buyer, product = sales[-1][0], sales[-1][1]
    if day.month == as_of.month:
        sale.write_text(f"client_id,product_id,date,amount\n{buyer},{product},{day.isoformat()},1000.00\n")
        carteira("import", "--sales", str(sale))
        one = next(one for one in json.loads(carteira("objectives", "list", "--output", "json")) if one["objective_id"] == " year_revenue")
        before, now = wanted[" year_revenue"][0], wanted[" year_revenue"][0] + 100_000
        assert (one["present"], one["as_of_date"]) == (now, day.isoformat()), one
        assert one["expected_at_due"] == before + 100_000 * 20 and math.isclose(one["progress"], 100_000 / (9_999_999_900 - before)), one
        assert one["standing"] == "behind" and math.isclose(one["time_share"], 0.05), one
        print("ok: an objective follows a sale, with its pace")
