"""The week planned from one book: its limits kept, its worth beside a bound worked out by HiGHS from the whole pipeline.

    plan_book.py BINARY FOLDER      FOLDER holds clients.csv, products.csv, sales.csv (plain or .gz)
"""
import collections, pathlib, sys, time

import numpy, scipy.optimize, scipy.sparse

from served import Served

BINARY, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
HOURS, MINUTES, CROSS_SELL_MINUTES, WAY, VISITS = 40, 30, 45, 20, 60


with Served(BINARY) as served:
    served.load(FOLDER)
    offers = served.read("pipeline", "--limit", "0")
    began = time.monotonic()
    limits = ["--hours", str(HOURS), "--minutes", str(MINUTES), "--kind-minutes", f"cross-sell={CROSS_SELL_MINUTES}", "--way", str(WAY), "--visits", str(VISITS)]
    plan = served.read("plan", *limits)
    took = time.monotonic() - began
    minutes_of = lambda row: CROSS_SELL_MINUTES if row["kind"] == "cross_sell" else MINUTES
    cell = lambda row: (row["client_id"], row["product_id"], row["kind"])
    known = {cell(row): row for row in offers}
    chosen = plan["opportunities"]
    assert len({cell(row) for row in chosen}) == len(chosen)
    by_owner = collections.defaultdict(list)
    for row in chosen:
        assert row["priority_minor"] == known[cell(row)]["priority_minor"], row
        by_owner[row["owner"]].append(row)
    for owner, own in by_owner.items():
        visited = {row["client_id"] for row in own}
        assert len(visited) <= VISITS and sum(map(minutes_of, own)) + WAY * len(visited) <= 60 * HOURS, owner
    worth = sum(row["priority_minor"] for row in chosen)
    assert abs(worth - plan["value_minor"]) <= 0.5 * len(chosen) + 1, (worth, plan["value_minor"])

    # What no set of offers exceeds: the same problem with parts of offers allowed.
    offers = [row for row in offers if row["priority_minor"] > 0]
    place = {client: len(offers) + at for at, client in enumerate(sorted({row["client_id"] for row in offers}))}
    owners = {owner: at for at, owner in enumerate(sorted({row["owner"] for row in offers}))}
    data = []
    for at, row in enumerate(offers):
        data += [(1, at, at), (-1, at, place[row["client_id"]])]
        data.append((minutes_of(row), len(offers) + owners[row["owner"]], at))
    for client, owner in {row["client_id"]: row["owner"] for row in offers}.items():
        data.append((WAY, len(offers) + owners[owner], place[client]))
        data.append((1, len(offers) + len(owners) + owners[owner], place[client]))
    rows = len(offers) + 2 * len(owners)
    matrix = scipy.sparse.csr_array(([d[0] for d in data], ([d[1] for d in data], [d[2] for d in data])), shape=(rows, len(offers) + len(place)))
    limit = numpy.concatenate([numpy.zeros(len(offers)), numpy.full(len(owners), 60.0 * HOURS), numpy.full(len(owners), float(VISITS))])
    value = numpy.zeros(len(offers) + len(place))
    value[: len(offers)] = [row["priority_minor"] for row in offers]
    solved = scipy.optimize.linprog(-value, A_ub=matrix, b_ub=limit, bounds=(0, 1), method="highs")
    assert solved.status == 0, solved.message
    assert worth >= 0.99 * -solved.fun and plan["bound_minor"] >= worth - len(chosen), (worth, -solved.fun, plan["bound_minor"])
    print(f"ok: {len(chosen)} of {len(offers)} offers in the week of {len(owners)} owners, worth {worth / 100:,.2f}: {worth / -solved.fun:.4f} of what "
          f"HiGHS says no set exceeds; planned in {took:.1f} s")
