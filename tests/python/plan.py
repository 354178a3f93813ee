"""Plans against the exact optimum: 50 random small books, each limited at random, solved again by HiGHS.

    plan.py BINARY [BOOKS [FIRST_SEED]]      needs the stubs on PYTHONPATH, and scipy
"""
import json, random, socket, subprocess, sys, tempfile, time
import grpc, numpy, scipy.optimize, scipy.sparse
from carteira.v1 import (capacity_pb2, catalog_pb2, catalog_pb2_grpc, offer_pb2, portfolio_pb2, portfolio_pb2_grpc,
                         recommendation_pb2, recommendation_pb2_grpc, ticket_pb2, ticket_pb2_grpc)

BINARY = sys.argv[1]
BOOKS = int(sys.argv[2]) if len(sys.argv) > 2 else 50
FIRST = int(sys.argv[3]) if len(sys.argv) > 3 else 0
REGIONS, OWNERS = ["north", "south", "east"], ["ana", "bia", "caio"]
UPSELL, CROSS_SELL = offer_pb2.OPPORTUNITY_KIND_UPSELL, offer_pb2.OPPORTUNITY_KIND_CROSS_SELL


def make_book(channel, name, chance):
    clients, products = chance.randint(18, 36), chance.randint(4, 8)
    owners = OWNERS[: chance.randint(1, 3)]
    catalog, tickets = catalog_pb2_grpc.CatalogServiceStub(channel), ticket_pb2_grpc.TicketServiceStub(channel)
    portfolio_pb2_grpc.PortfolioServiceStub(channel).CreatePortfolio(
        portfolio_pb2.CreatePortfolioRequest(portfolio=portfolio_pb2.Portfolio(portfolio_id=name, currency="BRL")))
    where = {f"c{at}": chance.choice(REGIONS) for at in range(clients)}
    catalog.BatchUpsertClients(catalog_pb2.BatchUpsertClientsRequest(portfolio_id=name, clients=[
        catalog_pb2.Client(client_id=client, owner=chance.choice(owners), attributes={"region": catalog_pb2.AttributeValue(text=region)})
        for client, region in where.items()]))
    catalog.BatchUpsertProducts(catalog_pb2.BatchUpsertProductsRequest(portfolio_id=name, products=[
        catalog_pb2.Product(product_id=f"p{at}", margin_rate=round(chance.uniform(0.1, 0.6), 2)) for at in range(products)]))
    level = [chance.lognormvariate(10, 0.8) for _ in range(products)]
    bought = []
    for client in where:
        size = chance.lognormvariate(0, 0.7)
        for at in range(products):
            if chance.random() < 0.6:
                bought.append(ticket_pb2.TicketToSet(client_id=client, product_id=f"p{at}", ticket_minor=int(size * level[at] * chance.lognormvariate(0, 0.6)) + 1))
    tickets.SetTickets(ticket_pb2.SetTicketsRequest(portfolio_id=name, tickets=bought))
    return where


def capacity_of(chance, rows, where):
    minutes = {UPSELL: chance.choice([15, 20, 30, 45]), CROSS_SELL: chance.choice([30, 45, 60])}
    ways = {region: chance.choice([0, 15, 30, 60, 90]) for region in REGIONS}
    owners = sorted({row.owner for row in rows})
    limits = []
    for owner in owners:
        own = [row for row in rows if row.owner == owner]
        visited = {row.client_id for row in own}
        whole = sum(minutes[row.kind] for row in own) + sum(ways[where[client]] for client in visited)
        limits.append(capacity_pb2.OwnerCapacity(
            owner=owner, minutes=int(whole * chance.uniform(0.15, 0.6)) + 30,
            visits=max(1, int(len(visited) * chance.uniform(0.3, 0.8))) if chance.random() < 0.5 else None,
            offers=max(1, int(len(own) * chance.uniform(0.2, 0.6))) if chance.random() < 0.3 else None))
    stock, credit = [], []
    for product in sorted({row.product_id for row in rows}):
        if chance.random() < 0.3:
            whole = sum(round(row.probability * row.gain_minor) for row in rows if row.product_id == product)
            stock.append(capacity_pb2.ProductStock(product_id=product, amount_minor=int(whole * chance.uniform(0.2, 0.8))))
    for client in sorted(where):
        if chance.random() < 0.3:
            whole = sum(row.gain_minor for row in rows if row.client_id == client)
            credit.append(capacity_pb2.ClientCredit(client_id=client, amount_minor=int(whole * chance.uniform(0.1, 0.9))))
    return capacity_pb2.Capacity(
        owners=limits, minutes_by_kind=[capacity_pb2.KindMinutes(kind=kind, minutes=long) for kind, long in minutes.items()],
        travel_attribute="region", travel=[capacity_pb2.TravelMinutes(value=region, minutes=way) for region, way in ways.items()],
        stock=stock, credit=credit)


def constraints(rows, where, capacity):
    """Rows of A x <= b over offers, then clients; and names of the owners' minutes among them."""
    clients = sorted({row.client_id for row in rows})
    place = {client: len(rows) + at for at, client in enumerate(clients)}
    minutes = {one.kind: one.minutes for one in capacity.minutes_by_kind}
    ways = {one.value: one.minutes for one in capacity.travel}
    a, b, names = [], [], []

    def add(terms, limit, name=None):
        a.append(terms), b.append(limit), names.append(name)

    for at, row in enumerate(rows):
        add({at: 1, place[row.client_id]: -1}, 0)
    for owner in capacity.owners:
        own = [at for at, row in enumerate(rows) if row.owner == owner.owner]
        visited = {rows[at].client_id for at in own}
        terms = {at: minutes[rows[at].kind] for at in own}
        terms.update({place[client]: ways[where[client]] for client in visited})
        add(terms, owner.minutes, owner.owner)
        if owner.HasField("visits"):
            add({place[client]: 1 for client in visited}, owner.visits)
        if owner.HasField("offers"):
            add({at: 1 for at in own}, owner.offers)
    for one in capacity.stock:
        add({at: round(row.probability * row.gain_minor) for at, row in enumerate(rows) if row.product_id == one.product_id}, one.amount_minor)
    for one in capacity.credit:
        add({at: row.gain_minor for at, row in enumerate(rows) if row.client_id == one.client_id}, one.amount_minor)
    return a, b, names, len(rows) + len(clients)


def solve(values, a, b, size):
    """The best set there is, and what no set exceeds."""
    data = [(value, at, column) for at, terms in enumerate(a) for column, value in terms.items()]
    matrix = scipy.sparse.csr_array(([d[0] for d in data], ([d[1] for d in data], [d[2] for d in data])), shape=(len(a), size))
    worth = numpy.zeros(size)
    worth[: len(values)] = values
    found = scipy.optimize.milp(-worth, constraints=scipy.optimize.LinearConstraint(matrix, ub=b), integrality=numpy.ones(size),
                                bounds=scipy.optimize.Bounds(0, 1), options=dict(time_limit=30, mip_rel_gap=1e-6))
    assert found.x is not None, found
    return -found.fun, -found.mip_dual_bound


work = tempfile.TemporaryDirectory()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
log = open(f"{work.name}/serve.log", "w")
server = subprocess.Popen([BINARY, "serve", "--data-dir", f"{work.name}/data", "--listen", f"127.0.0.1:{port}", "--free-floor-mib", "0"], stderr=log)
try:
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    grpc.channel_ready_future(channel).result(timeout=30)
    service = recommendation_pb2_grpc.RecommendationServiceStub(channel)
    shares, gaps, promised, gained, took = [], [], 0.0, 0.0, 0.0
    for seed in range(FIRST, FIRST + BOOKS):
        chance, name = random.Random(seed), f"book {seed}"
        where = make_book(channel, name, chance)
        rows, token = [], ""
        while True:
            page = service.ListOpportunities(recommendation_pb2.ListOpportunitiesRequest(portfolio_id=name, page_size=1000, page_token=token))
            rows.extend(page.opportunities)
            token = page.next_page_token
            if not token:
                break
        rows = [row for row in rows if row.priority_minor > 0]
        capacity = capacity_of(chance, rows, where)
        began = time.time()
        ask = recommendation_pb2.PlanPipelineRequest(portfolio_id=name, capacity=capacity, page_size=1000)
        plan = service.PlanPipeline(ask)
        took = max(took, time.time() - began)
        assert not plan.next_page_token and plan.considered == plan.available == len(rows), (plan.considered, len(rows))
        assert service.PlanPipeline(ask) == plan, "the same book, the same plan"
        a, b, names, size = constraints(rows, where, capacity)
        values = [row.priority_minor for row in rows]
        at = {(row.client_id, row.product_id, row.kind): at for at, row in enumerate(rows)}
        chosen = {at[one.opportunity.client_id, one.opportunity.product_id, one.opportunity.kind] for one in plan.opportunities}
        assert len(chosen) == len(plan.opportunities) == plan.total_size, "no offer twice"
        clients = sorted({row.client_id for row in rows})
        visited = {len(rows) + clients.index(rows[one].client_id) for one in chosen}
        for terms, limit in zip(a, b):
            assert sum(value for column, value in terms.items() if column in chosen or column in visited) <= limit, (seed, terms, limit)
        worth = sum(values[one] for one in chosen)
        assert abs(worth - plan.value_minor) <= len(rows), (worth, plan.value_minor)
        for owner in plan.owners:
            own = [one for one in plan.opportunities if one.opportunity.owner == owner.owner]
            assert owner.offers == len(own) and owner.visits == len({one.opportunity.client_id for one in own}), owner
            assert owner.minutes == sum(one.minutes + one.travel_minutes for one in own), owner
            assert abs(owner.value_minor - sum(one.opportunity.priority_minor for one in own)) <= len(rows), owner
        best, over = solve(values, a, b, size)
        assert best <= plan.bound_minor + len(rows), ("the bound", seed, best, plan.bound_minor)
        # An hour more for the first owner: no more than the bound and its price say.
        hour = plan.owners[0].hour_worth_minor
        longer = [limit + 60 if name == plan.owners[0].owner else limit for limit, name in zip(b, names)]
        more, _ = solve(values, a, longer, size)
        assert more <= plan.bound_minor + hour + len(rows), ("the price of an hour", seed, more, plan.bound_minor, hour)
        promised, gained = promised + hour, gained + more - best
        shares.append(worth / over)
        gaps.append(plan.bound_minor / best - 1)
        assert shares[-1] >= 0.99, (seed, shares[-1], worth, best, over, plan.bound_minor)
    print(f"ok: {BOOKS} plans are worth {min(shares):.4f} to {max(shares):.4f} of the optimum, mean {sum(shares) / len(shares):.5f}; "
          f"bounds above it by at most {max(gaps):.4f}; an hour more earned {gained / promised:.2f} of its price; slowest {took:.2f} s")

    # The command asks the same.
    asked = [BINARY, "plan", "--endpoint", f"http://127.0.0.1:{port}", "--portfolio", name, "--hours", "4", "--visits", "3", "--minutes", "20",
             "--kind-minutes", "cross_sell=45", "--way", "15", "--way-to", "south=60", "--owner-hours", "ana=1.5", "--output", "json"]
    told = json.loads(subprocess.run(asked, check=True, stdout=subprocess.PIPE, stderr=log, text=True).stdout)
    assert told["opportunities"] and 0 < told["value_minor"] <= told["bound_minor"], told["owners"]
    for owner in told["owners"]:
        own = [one for one in told["opportunities"] if one["owner"] == owner["owner"]]
        firsts = {one["client_id"]: one["travel_minutes"] for one in own if one["travel_minutes"]}
        assert firsts == {one["client_id"]: 60 if where[one["client_id"]] == "south" else 15 for one in own}, (owner, firsts)
        used = sum(firsts.values()) + sum(45 if one["kind"] == "cross_sell" else 20 for one in own)
        assert used == owner["minutes"] <= (90 if owner["owner"] == "ana" else 240) and owner["visits"] == len(firsts) <= 3, owner
    print(f"ok: carteira plan: {len(told['opportunities'])} offers of {told['available']} in the hours of {len(told['owners'])} owners")
finally:
    server.terminate()
    server.wait()
    told = open(f"{work.name}/serve.log").read()
    assert "panicked" not in told, told
