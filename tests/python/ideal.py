"""The ideal client and prospects: every figure worked out again from the book's own files.

    ideal.py BINARY FOLDER      FOLDER holds clients.csv, products.csv, sales.csv (plain or .gz); needs scipy

What each client is expected to spend is taken from `carteira insights`, which insights.py works out again.
"""
import csv, gzip, json, math, pathlib, socket, subprocess, sys, tempfile, time
import scipy.stats

BINARY, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])


def given(name):
    return next(path for path in (FOLDER / f"{name}.csv", FOLDER / f"{name}.csv.gz") if path.exists())


def rows(name):
    path = given(name)
    opened = gzip.open(path, "rt", newline="", encoding="utf-8-sig") if path.suffix == ".gz" else open(path, newline="", encoding="utf-8-sig")
    with opened as file:
        return list(csv.DictReader(file))


clients = rows("clients")
columns = [name for name in clients[0] if name not in ("client_id", "name", "owner", "excluded_products")]


def number(raw):
    try:
        return float(raw) if not (raw.startswith("0") and raw.isdigit() and len(raw) > 1) else None
    except ValueError:
        return None


known = {name: [row[name].strip() for row in clients if row[name].strip()] for name in columns}
numeric = {name for name in columns if known[name] and all(number(value) is not None for value in known[name])}
company = {
    row["client_id"]: {name: number(row[name]) if name in numeric else row[name].strip() for name in columns if row[name].strip()}
    for row in clients}

work = tempfile.TemporaryDirectory()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
log = open(f"{work.name}/serve.log", "w")
server = subprocess.Popen([BINARY, "serve", "--data-dir", f"{work.name}/data", "--listen", f"127.0.0.1:{port}", "--free-floor-mib", "0"], stderr=log)


def carteira(command, *more):
    asked = [BINARY, command, "--endpoint", f"http://127.0.0.1:{port}", "--portfolio", "book", *more]
    return subprocess.run(asked, check=True, stdout=subprocess.PIPE, stderr=log, text=True).stdout


def of(command, *more):
    return json.loads(carteira(command, "--output", "json", *more))


def parts(values):
    """Fifths of sorted numbers, equal ones together: the largest of each."""
    ordered = sorted(values)
    return sorted({ordered[-(-len(ordered) * part // 5) - 1] for part in range(1, 6)})


def seen(name, buyers):
    """Counts of an attribute: [(low, high) or text, buyers, best among them]."""
    have = [(company[client][name], best) for client, best in buyers if name in company[client]]
    if name not in numeric:
        return [(value, [best for one, best in have if one == value]) for value in sorted({one for one, _ in have})]
    ends = parts([one for one, _ in have])
    groups = [[(one, best) for one, best in have if low < one <= high] for low, high in zip([-math.inf, *ends], ends)]
    return [((min(g)[0], max(g)[0]), [best for _, best in g]) for g in groups]


def log_lift(bests, base):
    return math.log((sum(bests) + 5 * base) / (len(bests) + 5) / base)


def lifts(buyers):
    learnt = {}
    for name in columns:
        groups = seen(name, buyers)
        all_best = [best for _, bests in groups for best in bests]
        if 0 < sum(all_best) < len(all_best):
            base = sum(all_best) / len(all_best)
            learnt[name] = [(values, log_lift(bests, base)) for values, bests in groups]
    return learnt


def terms(learnt, attributes):
    found = {}
    for name, groups in learnt.items():
        if name not in attributes:
            continue
        value = attributes[name]
        if name in numeric:
            found[name] = next((lift for (_, high), lift in groups if value <= high), groups[-1][1])
        else:
            found.update({name: lift for text, lift in groups if text == value})
    return found


try:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    carteira("import", "--currency", "USD", *(f"--{name}={given(name)}" for name in ("clients", "products", "sales")))

    # The best: loyal, and among the fifth of the buyers that are expected to spend most.
    listed = {row["client_id"]: row for row in of("insights", "--limit", "0", "--order", "first-seen")}
    buyers = [row for row in listed.values() if row["annual_minor"] > 0]
    top = sorted(buyers, key=lambda row: -row["expected_year_minor"])[: math.floor(0.2 * len(buyers))]
    best = {row["client_id"] for row in top if row["life_cycle"] == "loyalty" or row["state"] == "undated"}
    dealt = [(row["client_id"], row["client_id"] in best) for row in buyers]

    profile = of("ideal")
    assert (profile["best_clients"], profile["other_clients"]) == (len(best), len(buyers) - len(best)), (profile, len(best))
    tested = {}
    for name in columns:
        groups = seen(name, dealt)
        everyone = [one for _, bests in groups for one in bests]
        if not 0 < sum(everyone) < len(everyone):
            continue
        ranges = [(groups[first][0][0], groups[last][0][1], sum((bests for _, bests in groups[first : last + 1]), []))
                  for first in range(len(groups)) for last in range(first, len(groups)) if last - first + 1 < len(groups)] if name in numeric else None
        candidates = [((low, high), bests) for low, high, bests in ranges] if name in numeric else groups
        for values, bests in candidates:
            if min(len(bests), len(everyone) - len(bests)) >= 5:
                table = [[sum(bests), len(bests) - sum(bests)],
                         [sum(everyone) - sum(bests), len(everyone) - len(bests) - sum(everyone) + sum(bests)]]
                tested[name, values] = (scipy.stats.fisher_exact(table).pvalue, bests, sum(everyone) / len(everyone), len(everyone))
    ordered = sorted(p for p, *_ in tested.values())
    passed = max([at + 1 for at, p in enumerate(ordered) if p <= (at + 1) / len(ordered) * 0.05], default=0)
    worst = ordered[passed - 1] if passed else -1
    assert profile["tested"] == len(tested), (profile["tested"], len(tested))
    told = 0
    for one in profile["traits"]:
        values = one["text"] if one["text"] is not None else (one["min"], one["max"])
        p, bests, base, count = tested[one["attribute"], values]
        assert math.isclose(p, one["p_value"], rel_tol=1e-6), (one, p)
        assert (one["clients"], one["best_clients"], one["known_clients"]) == (len(bests), sum(bests), count), one
        chosen = one["p_value"] <= worst * (1 + 1e-9)
        hits, misses = sum(bests) + 5 * base, len(bests) - sum(bests) + 5 * (1 - base)
        confidence = 1 - 0.05 * passed / len(tested) if chosen else 0.95
        low, high = scipy.stats.beta.ppf([(1 - confidence) / 2, (1 + confidence) / 2], hits, misses) / base
        assert math.isclose(one["lift"], hits / (hits + misses) / base, rel_tol=1e-9), one
        assert abs(one["lift_low"] - low) < 1e-6 and abs(one["lift_high"] - high) < 1e-6, (one, low, high)
        standing = "not_shown" if not chosen else "best" if sum(bests) > len(bests) * base else "others"
        assert one["standing"] == standing, (one, standing)
        told += chosen
    few = len(best) < 10
    assert few == (profile["auc"] is None), profile
    if not few:
        texts = {key for key in tested if key[0] not in numeric}
        shown = {(one["attribute"], one["text"]) for one in profile["traits"] if one["text"] is not None}
        assert shown == texts or len(profile["traits"]) == 200, texts ^ shown
        judged = []
        for fold in range(5):
            learnt = lifts([one for at, one in enumerate(dealt) if at % 5 != fold])
            judged += [(sum(terms(learnt, company[client]).values()), is_best) for at, (client, is_best) in enumerate(dealt) if at % 5 == fold]
        ups, downs = [s for s, b in judged if b], [s for s, b in judged if not b]
        near = lambda a, b: round(a, 9) == round(b, 9)
        auc = sum(0.5 if near(a, b) else float(a > b) for a in ups for b in downs) / len(ups) / len(downs)
        assert abs(auc - profile["auc"]) < 1e-9, (auc, profile["auc"])
        print(f"ok: {len(best)} best of {len(buyers)} buyers; {told} of {len(tested)} values and ranges set them apart; AUC {profile['auc']:.3f} ({profile['auc_low']:.3f} to {profile['auc_high']:.3f})")
    else:
        assert not profile["traits"] and profile["notices"], profile
        print(f"ok: {len(best)} best of {len(buyers)} buyers are too few, and the answer says so")

    # Prospects: clients' own attributes under other ids; one that buys, one that nobody is like.
    prospects = [(f"new {client}", company[client]) for client in list(company)[:40]]
    prospects += [(buyers[0]["client_id"], company[buyers[0]["client_id"]]), ("nobody", {})]
    with open(f"{work.name}/prospects.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["prospect_id", "name", *columns])
        writer.writerows([name, f"Name of {name}", *(attributes.get(column, "") for column in columns)] for name, attributes in prospects)
    before = of("summary")["sequence"]
    ranked = of("prospects", "--file", f"{work.name}/prospects.csv", "--limit", "0", "--products", "100")
    assert of("summary")["sequence"] == before, "nothing is written"
    assert {row["prospect_id"] for row in ranked} == {name for name, _ in prospects}
    learnt = lifts(dealt)
    scores = [sum(terms(learnt, company[client]).values()) for client, _ in dealt]
    given_of = dict(prospects)
    worth_a_call = [not row["disqualifications"] for row in ranked]
    assert worth_a_call == sorted(worth_a_call, reverse=True), "those not worth a call come last"
    for row in ranked:
        codes = {one["code"] for one in row["disqualifications"]}
        assert ("buys" in codes) == (row["prospect_id"] == buyers[0]["client_id"]), row
        assert (not any(given_of[row["prospect_id"]].values())) == ("nothing_known" in codes), row
        expected = sum(product["probability"] * product["gain_minor"] for product in row["products"])
        assert abs(expected - row["expected_minor"]) <= 1 or len(row["products"]) == 100, (row["prospect_id"], expected, row["expected_minor"])
        late = 12 - 45 / 30.4375
        assert abs(row["expected_year_minor"] - expected * late) <= 1 or len(row["products"]) == 100, row["prospect_id"]
        if not few:
            mine = terms(learnt, dict(prospects)[row["prospect_id"]])
            assert {one["attribute"]: 1 for one in row["fit_terms"]}.keys() == mine.keys(), (row, mine)
            assert all(abs(one["log_lift"] - mine[one["attribute"]]) < 1e-9 for one in row["fit_terms"]), (row, mine)
            score = sum(mine.values())
            below = sum(round(other, 9) < round(score, 9) for other in scores)
            same = sum(round(other, 9) == round(score, 9) for other in scores)
            assert abs(row["fit"] - 100 * (below + same / 2) / len(scores)) <= 1e-6, (row["prospect_id"], row["fit"], below, same)
    called = [row for row in ranked if not row["disqualifications"]]
    fits = [row["fit"] or 0 for row in called]
    assert fits == sorted(fits, reverse=True), fits
    why = sorted({code["code"] for row in ranked for code in row["disqualifications"]})
    print(f"ok: {len(ranked)} prospects, {len(called)} worth a call; the others: {', '.join(why)}")
finally:
    server.terminate()
    server.wait()
    told = open(f"{work.name}/serve.log").read()
    assert "panicked" not in told, told
