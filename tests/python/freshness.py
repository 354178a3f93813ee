"""How soon insights follow a write in a large book, and what that costs those who ask for offers.

    freshness.py BINARY [CLIENTS [PRODUCTS]]      100000 and 5000 by default; stubs on PYTHONPATH, as tests/python/run makes them

Needs numpy. Makes a book of dated sales over two years, some fifty tickets a client, imports it, waits until its segments
are learnt and its model is fitted, and then tells, in one run:

- how long clients, sums, segments and objectives take to show a write after it was acknowledged, the whole of it;
- the throughput of RecommendForClient while ten writes a second go to the book and clients, sums and segments are asked for
  every half second, beside the same while nobody asks for these, in turns: what keeping insights fresh costs.
"""
import json, pathlib, socket, statistics, subprocess, sys, tempfile, threading, time

import grpc
import numpy as np
from carteira.v1 import insight_pb2, insight_pb2_grpc, objective_pb2, recommendation_pb2, recommendation_pb2_grpc, ticket_pb2, ticket_pb2_grpc

BINARY = sys.argv[1]
CLIENTS, PRODUCTS = (int(sys.argv[at]) if len(sys.argv) > at else most for at, most in ((2, 100_000), (3, 5_000)))
A_CLIENT, TRADES, REGIONS = 50, 12, ["north", "south", "east", "west"]
WRITES, TURNS, TURN_SECONDS, CALLERS = 30, 6, 8, 2

work = tempfile.TemporaryDirectory()
folder = pathlib.Path(work.name)
draws = np.random.default_rng(7)
trade = draws.integers(0, TRADES, CLIENTS)
size = np.exp(draws.normal(0, 0.6, CLIENTS))
(folder / "clients.csv").write_text("client_id,owner,trade,region,staff\n" + "".join(
    f"c{at},o{at % 50},t{trade[at]},{REGIONS[at % 4]},{int(10 * size[at]) + 1}\n" for at in range(CLIENTS)))
(folder / "products.csv").write_text("product_id,name,category\n" + "".join(f"p{at},Product {at},g{at % 24}\n" for at in range(PRODUCTS)))
popular = 1 / (np.arange(PRODUCTS) + 20)
with open(folder / "sales.csv", "w") as file:
    file.write("client_id,product_id,date,amount\n")
    for of_trade in range(TRADES):
        liked = popular * (0.3 + 3.0 * (np.arange(PRODUCTS) % 24 % TRADES == of_trade))
        likely = np.cumsum(liked / liked.sum())
        members = np.flatnonzero(trade == of_trade)
        counts = draws.poisson(A_CLIENT * 1.3, len(members)) + 3
        who = np.repeat(members, counts)
        what = np.searchsorted(likely, draws.random(len(who))).clip(0, PRODUCTS - 1)
        days = np.datetime64("2024-01-01") + draws.integers(0, 730, len(who))
        amounts = np.exp(4 + 0.7 * np.log(size[who]) + draws.normal(0, 0.7, len(who)))
        file.writelines(f"c{c},p{p},{d},{a:.2f}\n" for c, p, d, a in zip(who, what, days, amounts))

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
log = open(folder / "serve.log", "w")
server = subprocess.Popen([BINARY, "serve", "--data-dir", str(folder / "data"), "--listen", f"127.0.0.1:{port}", "--free-floor-mib", "0", "--log-format", "json"], stderr=log)
try:
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    began = time.monotonic()
    subprocess.run([BINARY, "import", "--endpoint", f"http://127.0.0.1:{port}", "--portfolio", "large", "--currency", "BRL",
                    *(f"--{name}={folder}/{name}.csv" for name in ("clients", "products", "sales"))], check=True, stdout=subprocess.DEVNULL, stderr=log)
    print(f"imported in {time.monotonic() - began:.0f} s", flush=True)
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)])
    insight, tickets = insight_pb2_grpc.InsightServiceStub(channel), ticket_pb2_grpc.TicketServiceStub(channel)
    offers = recommendation_pb2_grpc.RecommendationServiceStub(channel)
    began = time.monotonic()
    # Earlier ones may be known, of the first part of the import.
    written = insight.ListSegments(insight_pb2.ListSegmentsRequest(portfolio_id="large")).sequence
    renewed = lambda line: '"insights renewed"' in line and f'"sequence":{written},' in line
    while not any(map(renewed, open(folder / "serve.log"))):
        time.sleep(0.5)
    learnt = [json.loads(line) for line in open(folder / "serve.log") if '"insights renewed"' in line]
    learnt = [line.get("fields", line) for line in learnt]
    print(f"segments and chances to stop learnt in {learnt[-1]['took_ms'] / 1e3:.1f} s, {learnt[-1]['segments']} segments", flush=True)

    def write(book, client, day="2025-12-30"):
        sale = ticket_pb2.Sale(client_id=client, product_id="p0", date=day, amount_minor=100)
        tickets.RecordSales(ticket_pb2.RecordSalesRequest(portfolio_id=book, sales=[sale]))

    total = objective_pb2.Objective(objective_id="all", measure="OBJECTIVE_MEASURE_YEAR_REVENUE", target=objective_pb2.MeasuredValue(amount_minor=1), due_date="2199-12-31")
    insight.SetObjective(insight_pb2.SetObjectiveRequest(portfolio_id="large", objective=total))
    one = lambda client: insight_pb2.ClientFilter(client_ids=[client])
    seen = {
        "client": lambda client: insight.ListClientInsights(insight_pb2.ListClientInsightsRequest(portfolio_id="large", filter=one(client))).clients[0].revenue_minor,
        "sums": lambda _: insight.GetPortfolioSummary(insight_pb2.GetPortfolioSummaryRequest(portfolio_id="large")).sums[0].revenue_minor,
        "segments": lambda client: sum(of.sums.revenue_minor for of in insight.ListSegments(insight_pb2.ListSegmentsRequest(portfolio_id="large", filter=one(client))).segments),
        "objectives": lambda _: insight.ListObjectives(insight_pb2.ListObjectivesRequest(portfolio_id="large")).objectives[0].present.amount_minor,
    }
    slowest = {}
    for at in range(WRITES):
        client = f"c{at * 997 % CLIENTS}"
        before = {name: figure(client) for name, figure in seen.items()}
        write("large", client)
        began = time.monotonic()
        for name, figure in seen.items():
            while figure(client) != before[name] + 100:
                assert time.monotonic() - began < 60, name
            slowest[name] = max(slowest.get(name, 0), time.monotonic() - began)
    print("slowest after a write: " + ", ".join(f"{name} {took:.2f} s" for name, took in slowest.items()) + f" ({WRITES} writes)", flush=True)

    ask = lambda client: offers.RecommendForClient(recommendation_pb2.RecommendForClientRequest(portfolio_id="large", client_id=client))
    began = time.monotonic()
    ask("c0")
    print(f"the first answer of RecommendForClient after {time.monotonic() - began:.0f} s more (the model's first fit)", flush=True)

    def turn(asked):
        """Answers a second, and the median of one, while ten writes a second go to the book."""
        ends, took, late, written = time.monotonic() + TURN_SECONDS, [], [], [0]

        def call(of):
            at = of
            while time.monotonic() < ends:
                start = time.monotonic()
                ask(f"c{at * 7919 % CLIENTS}")
                took.append(time.monotonic() - start)
                at += CALLERS

        def writes():
            while time.monotonic() < ends:
                write("large", f"c{written[0] % 5}")
                written[0] += 1
                time.sleep(0.1)

        def look():
            while time.monotonic() < ends:
                for name in ("client", "sums", "segments"):
                    start = time.monotonic()
                    seen[name]("c1")
                    late.append(time.monotonic() - start)
                time.sleep(0.5)

        threads = [threading.Thread(target=call, args=(of,)) for of in range(CALLERS)] + [threading.Thread(target=writes)]
        threads += [threading.Thread(target=look)] if asked else []
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(took) / TURN_SECONDS, statistics.median(took), written[0], max(late, default=0)

    turn(False), turn(True)
    rates = {False: [], True: []}
    for _ in range(TURNS):
        for asked in rates:
            rate, median, written, late = turn(asked)
            rates[asked].append(rate)
            told = f", insights within {late:.2f} s" if asked else ""
            print(f"  {written} writes, insights {'' if asked else 'not '}asked for: {rate:.1f} answers/s, median {median * 1e3:.1f} ms{told}", flush=True)
    rate = {asked: statistics.median(of) for asked, of in rates.items()}
    print(f"RecommendForClient while insights are kept fresh: {rate[True] / rate[False]:.3f} of its rate without")
    with open(f"/proc/{server.pid}/status") as status:
        print(next(line.strip() for line in status if line.startswith("VmHWM")))
finally:
    server.terminate()
    server.wait()
    told = open(folder / "serve.log").read()
    assert "panicked" not in told, told[-2_000:]
