"""The whole surface with grpcio against a real server: surface.py HOST:PORT"""
import math, random, sys, threading

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import receipts
from carteira.v1 import catalog_pb2 as cat, catalog_pb2_grpc, portfolio_pb2 as pf, portfolio_pb2_grpc
from carteira.v1 import model_pb2 as mod, model_pb2_grpc
from carteira.v1 import offer_pb2 as off, outcome_pb2 as out, outcome_pb2_grpc
from carteira.v1 import recommendation_pb2 as rec, recommendation_pb2_grpc, ticket_pb2 as tic, ticket_pb2_grpc

channel = grpc.insecure_channel(sys.argv[1])
grpc.channel_ready_future(channel).result(timeout=30)
P = portfolio_pb2_grpc.PortfolioServiceStub(channel)
C = catalog_pb2_grpc.CatalogServiceStub(channel)
T = ticket_pb2_grpc.TicketServiceStub(channel)
R = recommendation_pb2_grpc.RecommendationServiceStub(channel)
M = model_pb2_grpc.ModelServiceStub(channel)
O = outcome_pb2_grpc.OutcomeServiceStub(channel)
BOOK = "livro 乳 📒"


def ok(text):
    print("ok:", text, flush=True)


def violations(error):
    status = rpc_status.from_call(error)
    fields = []
    for detail in status.details if status else []:
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            fields += [v.field for v in bad.field_violations]
    return fields


def refused(call, request, code, field=None):
    try:
        call(request)
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details(), request)
        assert field is None or field in violations(error), (field, violations(error), error.details())
        return
    raise AssertionError(f"not refused: {request}")


# --- a book -----------------------------------------------------------------------------------------------------
rng = random.Random(7)
clients, products, sales = [], [], []
for p in range(12):
    products.append(cat.Product(product_id=f"p{p}", name=f"Produto {p}", category=f"k{p % 3}", margin_rate=0.2 + 0.01 * p))
NAMES = ["Padaria São João", "レストラン桜", "Ресторан Волга", "مطعم النيل", "Hotel Plaza"]
for c in range(80):
    size = math.exp(rng.gauss(0, 0.6))
    clients.append(cat.Client(
        client_id=f"c{c}", name=NAMES[c % 5], owner=f"o{c % 4}",
        attributes={"sector": cat.AttributeValue(text=f"s{c % 3}"), "staff": cat.AttributeValue(number=round(10 * size))}))
    for p in range(12):
        if rng.random() < (0.75 if p % 3 == c % 3 else 0.3):
            start = 0 if rng.random() < 0.7 else rng.randrange(1, 13)
            for m in range(start, 14):
                amount = round(100_000 * (p + 1) * size * math.exp(rng.gauss(0, 0.3)))
                sales.append(tic.Sale(client_id=f"c{c}", product_id=f"p{p}", date=f"{2025 + m // 12}-{m % 12 + 1:02d}-{rng.randrange(1, 28):02d}", amount_minor=amount, quantity=2.5))

made = P.CreatePortfolio(pf.CreatePortfolioRequest(portfolio=pf.Portfolio(portfolio_id=BOOK, currency="BRL"), request_id="make"))
assert made.portfolio.window_months == 12 and made.portfolio.recipe == "standard"
again = P.CreatePortfolio(pf.CreatePortfolioRequest(portfolio=pf.Portfolio(portfolio_id=BOOK, currency="BRL"), request_id="make"))
assert again.sequence == made.sequence
refused(P.CreatePortfolio, pf.CreatePortfolioRequest(portfolio=pf.Portfolio(portfolio_id=BOOK, currency="BRL")), grpc.StatusCode.ALREADY_EXISTS)
C.BatchUpsertProducts(cat.BatchUpsertProductsRequest(portfolio_id=BOOK, products=products))
C.BatchUpsertClients(cat.BatchUpsertClientsRequest(portfolio_id=BOOK, clients=clients))
half = len(sales) // 2
answer = T.RecordSales(tic.RecordSalesRequest(portfolio_id=BOOK, sales=sales[:half], currency="BRL", request_id="r1"))
assert answer.recorded == half and not answer.repeated
answer = T.RecordSales(tic.RecordSalesRequest(portfolio_id=BOOK, sales=sales[:half], currency="BRL", request_id="r1"))
assert answer.repeated
batches = [tic.StreamSalesRequest(portfolio_id=BOOK, sales=sales[i:i + 300]) for i in range(half, len(sales), 300)]
acks = list(T.StreamSales(iter(batches)))
assert [a.recorded for a in acks] == [len(b.sales) for b in batches] and acks[-1].sequence > acks[0].sequence


def figures():
    return P.GetPortfolio(pf.GetPortfolioRequest(portfolio_id=BOOK))


total = sum(s.amount_minor for s in sales)
assert figures().figures.sales_amount_minor == total and figures().figures.sales == len(sales)
ok(f"a book of {len(clients)} clients and {len(sales)} sales, unary and streamed, equal to the cent")

sale = tic.Sale(client_id="c0", product_id="p0", date="2026-01-20", amount_minor=1_000, sale_id="v1")
T.RecordSales(tic.RecordSalesRequest(portfolio_id=BOOK, sales=[sale]))
sale.amount_minor = 3_000
sale.client_id = "c1"
answer = T.RecordSales(tic.RecordSalesRequest(portfolio_id=BOOK, sales=[sale]))
assert answer.replaced == 1 and figures().figures.sales_amount_minor == total + 3_000
sale.amount_minor = -3_000
sale.sale_id = ""
T.RecordSales(tic.RecordSalesRequest(portfolio_id=BOOK, sales=[sale]))
assert figures().figures.sales_amount_minor == total
ok("a sale_id replaces, never doubles; a return is taken off")

T.SetTickets(tic.SetTicketsRequest(portfolio_id=BOOK, tickets=[tic.TicketToSet(client_id="c2", product_id="p11", ticket_minor=777_700)]))
mine = T.GetClientTickets(tic.GetClientTicketsRequest(portfolio_id=BOOK, client_id="c2"))
assert [t.ticket_minor for t in mine.tickets if t.product_id == "p11" and t.set] == [777_700]
T.SetTickets(tic.SetTicketsRequest(portfolio_id=BOOK, tickets=[tic.TicketToSet(client_id="c2", product_id="p11", ticket_minor=0)]))
exported = [t for m in T.ExportTickets(tic.ExportTicketsRequest(portfolio_id=BOOK)) for t in m.tickets]
assert sum(t.sales_amount_minor for t in exported) == total
ok("tickets set, read and exported")

# --- reading ------------------------------------------------------------------------------------------------------
answer = R.RecommendForClient(rec.RecommendForClientRequest(portfolio_id=BOOK, client_id="c5", max_per_kind=5))
assert answer.upsell_total_minor == sum(o.gain_minor for o in answer.upsell) and len(answer.cross_sell) <= 5
for o in [*answer.upsell, *answer.cross_sell]:
    assert o.gain_minor == o.potential_ticket_minor - o.current_ticket_minor > 0 and o.reason and 0 < o.probability < 1
portuguese = R.RecommendForClient(rec.RecommendForClientRequest(portfolio_id=BOOK, client_id="c5", language=pf.LANGUAGE_PORTUGUESE))
assert "clientes parecidos" in [*portuguese.upsell, *portuguese.cross_sell][0].reason
ok("recommendations with totals and reasons in two languages")


def key(o):
    return (o.client_id, o.product_id, o.kind)


def pages(size, **more):
    rows, token = [], ""
    while True:
        page = R.ListOpportunities(rec.ListOpportunitiesRequest(portfolio_id=BOOK, page_size=size, page_token=token, **more))
        rows += page.opportunities
        token = page.next_page_token
        if not token:
            assert page.total_size == len(rows)
            return rows


stop = threading.Event()


def scribble():
    k = 0
    while not stop.is_set():
        k += 1
        T.RecordSales(tic.RecordSalesRequest(portfolio_id=BOOK, sales=[tic.Sale(client_id=f"c{k % 80}", product_id=f"p{k % 12}", date="2026-02-10", amount_minor=50_000)]))


writer = threading.Thread(target=scribble)
writer.start()
for size in (7, 50):
    rows = pages(size)
    assert len({key(o) for o in rows}) == len(rows) > 300
stop.set()
writer.join()
whole = pages(1000)
streamed = [o for m in R.StreamOpportunities(rec.StreamOpportunitiesRequest(portfolio_id=BOOK)) for o in m.opportunities]
assert [key(o) for o in whole] == [key(o) for o in streamed] == [key(o) for o in pages(33)]
assert all(a.priority_minor >= b.priority_minor for a, b in zip(whole, whole[1:]))
ok(f"{len(whole)} opportunities on stable pages, none twice, none missing while writes go on")

kinds = {o.client_id: c for o in whole for c in clients if c.client_id == o.client_id}
for made, holds in [
    (rec.OpportunityFilter(kinds=[rec.OPPORTUNITY_KIND_CROSS_SELL]), lambda o: o.kind == rec.OPPORTUNITY_KIND_CROSS_SELL),
    (rec.OpportunityFilter(product_ids=["p1", "p4"]), lambda o: o.product_id in ("p1", "p4")),
    (rec.OpportunityFilter(categories=["k2"]), lambda o: o.category == "k2"),
    (rec.OpportunityFilter(owners=["o1", "o2"]), lambda o: o.owner in ("o1", "o2")),
    (rec.OpportunityFilter(client_ids=["c3"]), lambda o: o.client_id == "c3"),
    (rec.OpportunityFilter(attributes=[rec.AttributeFilter(name="sector", values=["s1"])]), lambda o: kinds[o.client_id].attributes["sector"].text == "s1"),
    (rec.OpportunityFilter(attributes=[rec.AttributeFilter(name="staff", min=8, max=15)]), lambda o: 8 <= kinds[o.client_id].attributes["staff"].number <= 15),
    (rec.OpportunityFilter(min_gain_minor=300_000, min_probability=0.1), lambda o: o.gain_minor >= 300_000 and o.probability >= 0.1),
]:
    assert [key(o) for o in pages(1000, filter=made)] == [key(o) for o in whole if holds(o)], made
by_gain = pages(1000, order=rec.OPPORTUNITY_ORDER_GAIN)
assert all(a.gain_minor >= b.gain_minor for a, b in zip(by_gain, by_gain[1:]))
by_probability = pages(1000, order=rec.OPPORTUNITY_ORDER_PROBABILITY)
assert all(a.probability >= b.probability for a, b in zip(by_probability, by_probability[1:]))
ok("filters by kind, product, category, owner, client, attributes, gain and probability; three orders")


# --- receipts ---------------------------------------------------------------------------------------------------
SELL = {rec.OPPORTUNITY_KIND_UPSELL, rec.OPPORTUNITY_KIND_CROSS_SELL}
done = dict.fromkeys(SELL, 0)
for o in whole:
    if done.setdefault(o.kind, 0) >= 200:
        continue
    explained = R.ExplainOpportunity(rec.ExplainOpportunityRequest(portfolio_id=BOOK, client_id=o.client_id, product_id=o.product_id, kind=o.kind))
    receipts.check(explained)
    done[o.kind] += 1
assert min(done[kind] for kind in SELL) >= 100, done
ok(f"receipts recomputed to the minor unit: {done}")

similar = R.FindSimilarClients(rec.FindSimilarClientsRequest(portfolio_id=BOOK, client_id="c5", max_clients=4)).clients
assert len(similar) == 4 and "c5" not in [s.client_id for s in similar] and similar[0].similarity >= similar[-1].similarity
before = figures().sequence
supposed = R.RecommendWhatIf(rec.RecommendWhatIfRequest(portfolio_id=BOOK, tickets=[tic.TicketToSet(product_id="p0", ticket_minor=100_000), tic.TicketToSet(product_id="p3", ticket_minor=300_000)], attributes={"sector": cat.AttributeValue(text="s0")}))
assert supposed.cross_sell and figures().sequence == before
prospect = R.RecommendWhatIf(rec.RecommendWhatIfRequest(portfolio_id=BOOK, attributes={"sector": cat.AttributeValue(text="s0"), "staff": cat.AttributeValue(number=12)}))
assert rec.NOTICE_CODE_ATTRIBUTES_ONLY in [n.code for n in prospect.notices]
ok("similar clients; what-if and a prospect, nothing written")

event = lambda kind, day: C.RecordClientEvents(cat.RecordClientEventsRequest(portfolio_id=BOOK, events=[cat.ClientEvent(client_id="c5", kind=kind, date=day)]))
event(cat.CLIENT_EVENT_KIND_COMPLAINT_OPENED, "2026-02-01")
held = R.RecommendForClient(rec.RecommendForClientRequest(portfolio_id=BOOK, client_id="c5"))
assert not held.upsell and not held.cross_sell and "c5" not in {o.client_id for o in pages(1000)}
event(cat.CLIENT_EVENT_KIND_COMPLAINT_CLOSED, "2026-02-02")
assert R.RecommendForClient(rec.RecommendForClientRequest(portfolio_id=BOOK, client_id="c5")).cross_sell
products[1].active = False
C.BatchUpsertProducts(cat.BatchUpsertProductsRequest(portfolio_id=BOOK, products=[products[1]]))
assert "p1" not in {o.product_id for o in pages(1000)}
ok("an open complaint and an inactive product hold offers back")

# --- the recipe ---------------------------------------------------------------------------------------------------
shown = M.GetRecipe(mod.GetRecipeRequest(portfolio_id=BOOK))
assert shown.recipe == M.ListRecipes(mod.ListRecipesRequest()).recipes[0] and shown.learnt and shown.learnt_sequence
*steps, last = M.EvaluateRecipe(mod.EvaluateRecipeRequest(portfolio_id=BOOK, with_report=True))
assert all(a.progress < b.progress for a, b in zip(steps, steps[1:])) and last.finished.report_html.startswith("<!DOCTYPE html>")
tried = {f.name: f for f in last.finished.evaluation.figures}
assert abs(tried["coverage_q80"].recipe - 0.8) < 0.1 and tried["potential_q80"].recipe < tried["potential_q80"].product_quantile
M.SetRecipe(mod.SetRecipeRequest(portfolio_id=BOOK, overrides={"offer.contact_cost_minor": 1_000_000_000}))
assert all(o.priority_minor < 0 for o in pages(1000))
M.SetRecipe(mod.SetRecipeRequest(portfolio_id=BOOK))
assert M.GetRecipe(mod.GetRecipeRequest(portfolio_id=BOOK)).recipe == shown.recipe
ok("the recipe shown, set and tried on the book's own history")

# --- wrong input --------------------------------------------------------------------------------------------------
# --- what became of offers -----------------------------------------------------------------------------------------
shown = R.ListOpportunities(rec.ListOpportunitiesRequest(portfolio_id=BOOK, page_size=1000, log_shown=True)).opportunities
today = O.ListOutcomes(out.ListOutcomesRequest(portfolio_id=BOOK, page_size=1)).offers[0].showings[0].date
offered, outcomes = [o for at, o in enumerate(shown) if at % 2 and o.kind in SELL], []
for at, o in enumerate(offered):
    odds = 3 * o.probability / (1 - o.probability)  # sellers win three times as often as the history says
    won = rng.random() < odds / (1 + odds)
    outcomes.append(off.Outcome(
        client_id=o.client_id, product_id=o.product_id, kind=o.kind, date=today,
        result=off.OUTCOME_RESULT_WON if won else off.OUTCOME_RESULT_REJECTED,
        won_ticket_minor=o.potential_ticket_minor if won else 0,
        reason=off.REJECT_REASON_UNSPECIFIED if won else 1 + at % 5))
answer = O.RecordOutcomes(out.RecordOutcomesRequest(portfolio_id=BOOK, outcomes=outcomes, request_id="o1"))
assert answer.created == len(outcomes) and answer.replaced == 0
assert O.RecordOutcomes(out.RecordOutcomesRequest(portfolio_id=BOOK, outcomes=outcomes, request_id="o1")) == answer
key = lambda o: (o.client_id, o.product_id, o.kind)
left = R.ListOpportunities(rec.ListOpportunitiesRequest(portfolio_id=BOOK, page_size=1000)).opportunities
assert left and not {key(o) for o in left} & {key(o) for o in offered}, "an offer with an outcome is shown again"
report = O.GetEffectReport(out.GetEffectReportRequest(portfolio_id=BOOK, segment_attribute="sector"))
whole = report.conversions[0]
wins = sum(o.result == off.OUTCOME_RESULT_WON for o in outcomes)
assert (whole.shown, whole.won, whole.rejected, whole.open) == (len(shown), wins, len(outcomes) - wins, len(shown) - len(outcomes))
assert abs(whole.foretold - sum(o.probability for o in offered)) < 1e-6
learnt = report.calibration
assert learnt.in_use and learnt.loss_after < learnt.loss_before and learnt.outcomes == len(outcomes), learnt
before = {key(o): o.probability for o in shown}
for o in left[:50]:
    receipt = R.ExplainOpportunity(rec.ExplainOpportunityRequest(portfolio_id=BOOK, client_id=o.client_id, product_id=o.product_id, kind=o.kind))
    receipts.check(receipt)
    if o.kind not in SELL:
        continue
    assert receipt.receipt.probability.outcome_scale == learnt.scale and receipt.receipt.probability.outcome_shift == learnt.shift
    if key(o) in before:
        odds = math.log(before[key(o)] / (1 - before[key(o)]))
        assert abs(1 / (1 + math.exp(-(learnt.shift + learnt.scale * odds))) - o.probability) < 1e-6
assert report.uplifts[0].verdict == out.VERDICT_TOO_LITTLE and "held out" in report.uplifts[0].text
ok(f"outcomes of {len(outcomes)} offers: they wait, are counted, and correct the probabilities (loss {learnt.loss_before:.3f} to {learnt.loss_after:.3f})")

INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
before = figures().sequence
long, control, nan = "x" * 129, "a\nb", float("nan")
row = dict(client_id="c0", product_id="p0", date="2026-01-01", amount_minor=1)
for bad, field in [
    (dict(client_id=""), "client_id"), (dict(client_id="nobody"), "client_id"), (dict(client_id=long), "client_id"), (dict(client_id=control), "client_id"),
    (dict(product_id=""), "product_id"), (dict(product_id="nothing"), "product_id"), (dict(date="2026-02-30"), "date"), (dict(date=""), "date"),
    (dict(date="01/02/2026"), "date"), (dict(amount_minor=0), "amount_minor"), (dict(amount_minor=2**63 - 1), "amount_minor"),
    (dict(amount_minor=-(2**63)), "amount_minor"), (dict(quantity=nan), "quantity"), (dict(quantity=1e308), "quantity"), (dict(sale_id=long), "sale_id"), (dict(sale_id=control), "sale_id"),
]:
    request = tic.RecordSalesRequest(portfolio_id=BOOK, sales=[tic.Sale(**row), tic.Sale(**{**row, **bad})])
    refused(T.RecordSales, request, INVALID, f"sales[1].{field}")
    refused(lambda r: list(T.StreamSales(iter([tic.StreamSalesRequest(portfolio_id=BOOK, sales=r.sales)]))), request, INVALID, f"sales[1].{field}")
huge = [tic.Sale(**{**row, "amount_minor": (2**63 - 1) // 1000}) for _ in range(1_100)]
refused(T.RecordSales, tic.RecordSalesRequest(portfolio_id=BOOK, sales=huge), INVALID)
refused(T.RecordSales, tic.RecordSalesRequest(portfolio_id=BOOK, sales=[tic.Sale(**row)], currency="USD"), INVALID, "currency")
refused(T.RecordSales, tic.RecordSalesRequest(portfolio_id=BOOK), INVALID, "sales")
refused(T.RecordSales, tic.RecordSalesRequest(portfolio_id=BOOK, sales=[tic.Sale(**row)], request_id="r1"), INVALID, "request_id")
refused(T.SetTickets, tic.SetTicketsRequest(portfolio_id=BOOK, tickets=[tic.TicketToSet(client_id="c0", product_id="p0", ticket_minor=-1)]), INVALID, "tickets[0].ticket_minor")
refused(T.SetTickets, tic.SetTicketsRequest(portfolio_id=BOOK, tickets=[tic.TicketToSet(client_id="c0", product_id="p0", ticket_minor=1)] * 2), INVALID, "tickets[1].product_id")
refused(C.BatchUpsertClients, cat.BatchUpsertClientsRequest(portfolio_id=BOOK, clients=[cat.Client(client_id="n", attributes={"a": cat.AttributeValue(number=nan)})]), INVALID, 'clients[0].attributes["a"]')
refused(C.BatchUpsertClients, cat.BatchUpsertClientsRequest(portfolio_id=BOOK, clients=[cat.Client(client_id="n"), cat.Client(client_id="n")]), INVALID, "clients[1].client_id")
refused(C.BatchUpsertClients, cat.BatchUpsertClientsRequest(portfolio_id=BOOK, clients=[cat.Client(client_id="n", name="y" * 257)]), INVALID, "clients[0].name")
refused(C.BatchUpsertProducts, cat.BatchUpsertProductsRequest(portfolio_id=BOOK, products=[cat.Product(product_id="n", margin_rate=1.5)]), INVALID, "products[0].margin_rate")
refused(C.BatchUpsertProducts, cat.BatchUpsertProductsRequest(portfolio_id=BOOK, products=[cat.Product(product_id="n", list_price_minor=-1)]), INVALID, "products[0].list_price_minor")
refused(C.DeleteProduct, cat.DeleteProductRequest(portfolio_id=BOOK, product_id="p0"), grpc.StatusCode.FAILED_PRECONDITION)
refused(C.RecordClientEvents, cat.RecordClientEventsRequest(portfolio_id=BOOK, events=[cat.ClientEvent(client_id="c0", date="2026-01-01")]), INVALID, "events[0].kind")
refused(C.RecordClientEvents, cat.RecordClientEventsRequest(portfolio_id=BOOK, events=[cat.ClientEvent(client_id="c0", kind=4, date="2026-01-01")]), INVALID, "events[0].end_date")
refused(P.CreatePortfolio, pf.CreatePortfolioRequest(portfolio=pf.Portfolio(portfolio_id="x", currency="R$")), INVALID, "portfolio.currency")
refused(P.CreatePortfolio, pf.CreatePortfolioRequest(portfolio=pf.Portfolio(portfolio_id="x", currency="BRL", recipe_overrides={"upsell.nothing": 1})), INVALID, "portfolio.recipe_overrides")
refused(P.CreatePortfolio, pf.CreatePortfolioRequest(portfolio=pf.Portfolio(portfolio_id="x", currency="BRL", window_months=61)), INVALID, "portfolio.window_months")
refused(P.UpdatePortfolio, pf.UpdatePortfolioRequest(portfolio=pf.Portfolio(portfolio_id=BOOK), update_fields=["currency"]), INVALID, "update_fields")
refused(P.ListPortfolios, pf.ListPortfoliosRequest(page_token="nonsense"), INVALID, "page_token")
refused(P.ListPortfolios, pf.ListPortfoliosRequest(page_size=5_000), INVALID, "page_size")
refused(C.ListClients, cat.ListClientsRequest(portfolio_id=BOOK, page_token="AAAA"), INVALID, "page_token")
token = R.ListOpportunities(rec.ListOpportunitiesRequest(portfolio_id=BOOK, page_size=5)).next_page_token
refused(R.ListOpportunities, rec.ListOpportunitiesRequest(portfolio_id=BOOK, page_token=token, order=rec.OPPORTUNITY_ORDER_GAIN), INVALID, "page_token")
refused(R.ListOpportunities, rec.ListOpportunitiesRequest(portfolio_id=BOOK, filter=rec.OpportunityFilter(min_probability=nan)), INVALID, "filter.min_probability")
refused(R.ListOpportunities, rec.ListOpportunitiesRequest(portfolio_id=BOOK, filter=rec.OpportunityFilter(product_ids=["nothing"])), INVALID, "filter.product_ids[0]")
refused(R.RecommendWhatIf, rec.RecommendWhatIfRequest(portfolio_id=BOOK, tickets=[tic.TicketToSet(product_id="nothing", ticket_minor=1)]), INVALID, "tickets[0].product_id")
refused(R.ExplainOpportunity, rec.ExplainOpportunityRequest(portfolio_id=BOOK, client_id="c0", product_id=""), INVALID, "product_id")
by_portfolio = [
    (P.GetPortfolio, pf.GetPortfolioRequest()), (P.DeletePortfolio, pf.DeletePortfolioRequest()), (C.BatchUpsertClients, cat.BatchUpsertClientsRequest(clients=[cat.Client(client_id="c")])),
    (C.GetClient, cat.GetClientRequest(client_id="c")), (C.ListClients, cat.ListClientsRequest()), (C.DeleteClient, cat.DeleteClientRequest(client_id="c")),
    (C.ExportClient, cat.ExportClientRequest(client_id="c")), (C.BatchUpsertProducts, cat.BatchUpsertProductsRequest(products=[cat.Product(product_id="p")])),
    (C.GetProduct, cat.GetProductRequest(product_id="p")), (C.ListProducts, cat.ListProductsRequest()), (C.DeleteProduct, cat.DeleteProductRequest(product_id="p")),
    (C.RecordClientEvents, cat.RecordClientEventsRequest(events=[cat.ClientEvent(client_id="c", kind=3, date="2026-01-01")])),
    (T.RecordSales, tic.RecordSalesRequest(sales=[tic.Sale(**row)])), (T.SetTickets, tic.SetTicketsRequest(tickets=[tic.TicketToSet(client_id="c", product_id="p", ticket_minor=1)])),
    (T.GetClientTickets, tic.GetClientTicketsRequest(client_id="c")), (lambda r: list(T.ExportTickets(r)), tic.ExportTicketsRequest()),
    (lambda r: list(T.StreamSales(iter([r]))), tic.StreamSalesRequest(sales=[tic.Sale(**row)])),
    (R.RecommendForClient, rec.RecommendForClientRequest(client_id="c")), (R.ListOpportunities, rec.ListOpportunitiesRequest()),
    (lambda r: list(R.StreamOpportunities(r)), rec.StreamOpportunitiesRequest()), (R.ExplainOpportunity, rec.ExplainOpportunityRequest(client_id="c", product_id="p")),
    (R.FindSimilarClients, rec.FindSimilarClientsRequest(client_id="c")), (R.RecommendWhatIf, rec.RecommendWhatIfRequest()),
    (O.RecordOutcomes, out.RecordOutcomesRequest(outcomes=outcomes[:1])), (O.ListOutcomes, out.ListOutcomesRequest()), (O.GetEffectReport, out.GetEffectReportRequest()),
]
for call, request in by_portfolio:
    for wrong in ("", long, control):
        request.portfolio_id = wrong
        refused(call, request, INVALID, "portfolio_id")
    request.portfolio_id = "nowhere"
    refused(call, request, MISSING)
    if hasattr(request, "client_id") and not isinstance(request, (rec.RecommendWhatIfRequest, out.ListOutcomesRequest)):
        request.portfolio_id = BOOK
        for wrong in ("", long, control):
            request.client_id = wrong
            refused(call, request, INVALID, "client_id")
        request.client_id = "nobody"
        refused(call, request, MISSING)
assert figures().sequence == before
ok(f"wrong input to all {len(by_portfolio) + 3} calls: status, field, nothing changed")

# --- the end of a client ---------------------------------------------------------------------------------------
kept = C.ExportClient(cat.ExportClientRequest(portfolio_id=BOOK, client_id="c7"))
assert kept.client.name == NAMES[2] and kept.purchases
gone = sum(p.amount_minor for p in kept.purchases)
amount = figures().figures.sales_amount_minor
C.DeleteClient(cat.DeleteClientRequest(portfolio_id=BOOK, client_id="c7"))
assert figures().figures.sales_amount_minor == amount - gone and figures().figures.clients == 79
refused(C.GetClient, cat.GetClientRequest(portfolio_id=BOOK, client_id="c7"), MISSING)
assert "c7" not in {o.client_id for o in pages(1000)}
listed, token = [], ""
while True:
    page = C.ListClients(cat.ListClientsRequest(portfolio_id=BOOK, page_size=9, page_token=token))
    listed += [c.client_id for c in page.clients]
    token = page.next_page_token
    if not token:
        break
assert listed == [f"c{c}" for c in range(80) if c != 7]
ok("a client exported, then erased from records, sums and lists")

# --- too little data -----------------------------------------------------------------------------------------------
for size in (1, 4):
    small = f"small-{size}"
    P.CreatePortfolio(pf.CreatePortfolioRequest(portfolio=pf.Portfolio(portfolio_id=small, currency="USD")))
    empty = R.ListOpportunities(rec.ListOpportunitiesRequest(portfolio_id=small))
    assert not empty.opportunities
    C.BatchUpsertProducts(cat.BatchUpsertProductsRequest(portfolio_id=small, products=products[:3]))
    C.BatchUpsertClients(cat.BatchUpsertClientsRequest(portfolio_id=small, clients=clients[:size]))
    T.RecordSales(tic.RecordSalesRequest(portfolio_id=small, sales=[tic.Sale(client_id=f"c{c}", product_id=f"p{c % 3}", date="2026-01-05", amount_minor=1_000 + c) for c in range(size)]))
    answer = R.RecommendForClient(rec.RecommendForClientRequest(portfolio_id=small, client_id="c0"))
    assert not answer.upsell and not answer.cross_sell and answer.notices, answer
C.BatchUpsertClients(cat.BatchUpsertClientsRequest(portfolio_id=BOOK, clients=[cat.Client(client_id="blank")]))
answer = R.RecommendForClient(rec.RecommendForClientRequest(portfolio_id=BOOK, client_id="blank"))
assert rec.NOTICE_CODE_NOTHING_KNOWN in [n.code for n in answer.notices] and not answer.upsell and not answer.cross_sell, answer
P.DeletePortfolio(pf.DeletePortfolioRequest(portfolio_id="small-1"))
refused(P.GetPortfolio, pf.GetPortfolioRequest(portfolio_id="small-1"), MISSING)
assert [p.portfolio_id for p in P.ListPortfolios(pf.ListPortfoliosRequest()).portfolios] == sorted([BOOK, "small-4"], key=lambda s: s.encode())
ok("too little data: fewer rows and a reason; portfolios listed and deleted")
