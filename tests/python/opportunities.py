"""The pipeline of a real book: every filter and order against the whole list, sieved from the book's own files,
and receipts.

    opportunities.py BINARY FOLDER      FOLDER holds clients.csv, products.csv, sales.csv (plain or .gz)
"""
import csv, gzip, pathlib, random, socket, statistics, subprocess, sys, tempfile, threading, time, zlib

import grpc

import receipts
from carteira.v1 import portfolio_pb2 as pf, recommendation_pb2 as rec, recommendation_pb2_grpc, ticket_pb2 as tic, ticket_pb2_grpc

BINARY, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
BOOK = "book"


def rows(name):
    path = FOLDER / f"{name}.csv"
    opened = open(path, newline="", encoding="utf-8-sig") if path.exists() else gzip.open(f"{path}.gz", "rt", newline="", encoding="utf-8-sig")
    with opened as file:
        return list(csv.DictReader(file))


def number(text):
    try:
        return float(text)
    except ValueError:
        return None


work = tempfile.TemporaryDirectory()
clients, products = {}, {row["product_id"]: row for row in rows("products")}
for row in rows("clients"):
    row.setdefault("owner", f"seller {zlib.crc32(row['client_id'].encode()) % 7}")
    clients[row["client_id"]] = row
with open(f"{work.name}/clients.csv", "w", newline="") as file:
    writer = csv.DictWriter(file, next(iter(clients.values())))
    writer.writeheader()
    writer.writerows(clients.values())

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
log = open(f"{work.name}/serve.log", "w")
server = subprocess.Popen([BINARY, "serve", "--data-dir", f"{work.name}/data", "--listen", f"127.0.0.1:{port}", "--free-floor-mib", "0", "--log", "info,carteira::engine::renewing=debug", "--log-format", "json"], stderr=log)
try:
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)])
    grpc.channel_ready_future(channel).result(timeout=30)
    R = recommendation_pb2_grpc.RecommendationServiceStub(channel)
    T = ticket_pb2_grpc.TicketServiceStub(channel)

    def given(name):
        return next(str(path) for path in (FOLDER / f"{name}.csv", FOLDER / f"{name}.csv.gz") if path.exists())

    subprocess.run(
        [BINARY, "import", "--endpoint", f"http://127.0.0.1:{port}", "--portfolio", BOOK, "--currency", "USD",
         "--clients", f"{work.name}/clients.csv", "--products", given("products"), "--sales", given("sales")],
        check=True, stderr=log)

    def pages(size=1000, **more):
        found, token = [], ""
        while True:
            page = R.ListOpportunities(rec.ListOpportunitiesRequest(portfolio_id=BOOK, page_size=size, page_token=token, **more))
            found += page.opportunities
            token = page.next_page_token
            if not token:
                assert page.total_size == len(found) and page.total_gain_minor == sum(o.gain_minor for o in found)
                return found

    def key(o):
        return (o.client_id, o.product_id, o.kind)

    # The background fits the model anew once the book is quiet: lists are compared when it is done.
    written = R.ListOpportunities(rec.ListOpportunitiesRequest(portfolio_id=BOOK, page_size=1)).sequence
    began = time.monotonic()
    renewed = lambda line: "model and pipeline renewed" in line and f'"sequence":{written},' in line
    while not any(map(renewed, open(f"{work.name}/serve.log"))):
        assert time.monotonic() - began < 600, "the model is not fitted anew"
        time.sleep(0.2)
    whole = pages()
    assert len({key(o) for o in whole}) == len(whole) > 0
    print(f"{len(clients)} clients, {len(products)} products: {len(whole)} opportunities")

    kinds = {o.kind for o in whole}
    gain, probability = statistics.median(o.gain_minor for o in whole), statistics.quantiles([o.probability for o in whole], n=10)[-1]
    some_products = sorted({o.product_id for o in whole})[:3]
    some_clients = sorted({o.client_id for o in whole})[:5]
    category = next((row["category"] for row in products.values() if row.get("category")), None)
    sieves = {f"kind {kind}": (dict(kinds=[kind]), lambda o, kind=kind: o.kind == kind) for kind in kinds}
    sieves |= {
        "products": (dict(product_ids=some_products), lambda o: o.product_id in some_products),
        "clients": (dict(client_ids=some_clients), lambda o: o.client_id in some_clients),
        "owners": (dict(owners=["seller 1", "seller 4"]), lambda o: clients[o.client_id]["owner"] in ("seller 1", "seller 4")),
        "gain": (dict(min_gain_minor=int(gain)), lambda o: o.gain_minor >= int(gain)),
        "probability": (dict(min_probability=probability), lambda o: o.probability >= probability),
        "all at once": (dict(owners=["seller 2"], min_gain_minor=int(gain / 2), min_probability=0.05, kinds=[rec.OPPORTUNITY_KIND_CROSS_SELL]),
                        lambda o: clients[o.client_id]["owner"] == "seller 2" and o.gain_minor >= int(gain / 2) and o.probability >= 0.05 and o.kind == rec.OPPORTUNITY_KIND_CROSS_SELL),
    }
    if category:
        sieves["category"] = (dict(categories=[category]), lambda o: products[o.product_id]["category"] == category)
    attributes = [name for name in next(iter(clients.values())) if name not in ("client_id", "name", "owner")]
    for name in attributes:
        values = sorted({row[name] for row in clients.values()} - {""})
        numbers = [number(value) for value in values]
        if None not in numbers:
            low, high = sorted(numbers)[len(numbers) // 4], sorted(numbers)[len(numbers) * 3 // 4]
            condition = rec.AttributeFilter(name=name, min=low, max=high)
            sieves[f"{name} from {low} to {high}"] = (dict(attributes=[condition]), lambda o, name=name, low=low, high=high: low <= (number(clients[o.client_id][name]) if clients[o.client_id][name] else float("nan")) <= high)
        else:
            chosen = values[:2]
            condition = rec.AttributeFilter(name=name, values=chosen)
            sieves[f"{name} {chosen}"] = (dict(attributes=[condition]), lambda o, name=name, chosen=chosen: clients[o.client_id][name] in chosen)
    orders = {
        rec.OPPORTUNITY_ORDER_PRIORITY: lambda o: o.priority_minor,
        rec.OPPORTUNITY_ORDER_GAIN: lambda o: o.gain_minor,
        rec.OPPORTUNITY_ORDER_PROBABILITY: lambda o: o.probability,
    }
    for what, (sieve, holds) in sieves.items():
        expected = [key(o) for o in whole if holds(o)]
        for order, figure in orders.items():
            began = time.monotonic()
            found = pages(order=order, filter=rec.OpportunityFilter(**sieve))
            took = time.monotonic() - began
            assert sorted(map(key, found)) == sorted(expected), (what, order, len(found), len(expected))
            assert all(figure(a) >= figure(b) for a, b in zip(found, found[1:])), (what, order)
            if order == rec.OPPORTUNITY_ORDER_PRIORITY:
                assert list(map(key, found)) == expected, what
        print(f"ok: {what}: {len(expected)} rows in three orders, the last in {took:.2f} s")

    # A thousand of each kind, drawn at random, worked out again from their receipts.
    dice = random.Random(7)
    for kind in kinds:
        of_kind = [o for o in whole if o.kind == kind]
        drawn = dice.sample(of_kind, min(1000, len(of_kind)))
        for o in drawn:
            asked = rec.ExplainOpportunityRequest(portfolio_id=BOOK, client_id=o.client_id, product_id=o.product_id, kind=o.kind)
            explained = R.ExplainOpportunity(asked)
            receipts.check(explained)
            assert explained.opportunity.priority_minor == o.priority_minor, o
        print(f"ok: kind {kind}: {len(drawn)} of {len(of_kind)} worked out again from their receipts")

    # Pages stay those of one moment while writes go on.
    stop = threading.Event()

    def scribble():
        at = 0
        names, goods = list(clients), list(products)
        while not stop.is_set():
            at += 1
            sale = tic.Sale(client_id=names[at % len(names)], product_id=goods[at % len(goods)], date="2017-12-30", amount_minor=100)
            T.RecordSales(tic.RecordSalesRequest(portfolio_id=BOOK, sales=[sale]))

    writer = threading.Thread(target=scribble)
    writer.start()
    size = min(1000, max(10, len(whole) // 40))
    listed = pages(size)
    stop.set()
    writer.join()
    assert len({key(o) for o in listed}) == len(listed) > 0
    print(f"ok: {len(listed)} rows on pages of {size} while writes go on, none twice, as many as announced")
finally:
    server.terminate()
    server.wait()
    told = open(f"{work.name}/serve.log").read()
    assert "panicked" not in told, told
