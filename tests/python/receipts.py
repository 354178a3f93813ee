"""Published figures worked out again from their receipts alone, by the formulae in the contract's comments."""
import math


def rounded(amount, digits):
    whole = math.floor(amount + 0.5)
    unit = 10 ** max(0, len(str(whole)) - digits) if whole else 1
    return (whole + unit // 2) // unit * unit


def quantile(sample, level):
    sample = sorted(sample)
    all_weight, done, middles = sum(w for _, w in sample), 0.0, []
    for value, weight in sample:
        middles.append(((done + weight / 2) / all_weight, value))
        done += weight
    if level <= middles[0][0]:
        return middles[0][1]
    for (a, va), (b, vb) in zip(middles, middles[1:]):
        if level <= b:
            return va + (vb - va) * (level - a) / (b - a)
    return middles[-1][1]


def recompute(receipt):
    if receipt.ticket.WhichOneof("method") == "linear":
        line = receipt.ticket.linear
        expected = math.exp(line.intercept + sum(t.value * t.coefficient for t in line.terms))
        return [rounded(expected * f, line.rounding.digits) for f in (line.low_factor, line.expected_factor, line.high_factor)]
    q = receipt.ticket.quantile
    sample = [(n.residual, n.weight) for n in q.neighbours if n.weight > 0] + [(n.residual, n.weight) for n in q.prior if n.weight > 0]
    tickets, least = [], -math.inf
    for level in q.levels:
        ln = q.ln_median + q.size_exponent * q.client_size + q.mix + q.deviation * (quantile(sample, level.level) + level.shift)
        least = max(least, ln)
        tickets.append(rounded(math.exp(least), q.rounding.digits))
    return tickets[:3]


def check(explained):
    """Fails where the receipt of an ExplainOpportunityResponse does not give its figures to the minor unit."""
    o, receipt = explained.opportunity, explained.receipt
    if receipt.HasField("keep"):
        return check_kept(o, receipt)
    tickets = recompute(receipt)
    assert tickets == [o.low_ticket_minor, o.expected_ticket_minor, o.high_ticket_minor], (o, tickets)
    z = receipt.probability.intercept + sum(t.value * t.coefficient for t in receipt.probability.terms)
    z = receipt.probability.outcome_shift + receipt.probability.outcome_scale * max(-15, min(15, z))
    assert abs(1 / (1 + math.exp(-max(-15, min(15, z)))) - o.probability) < 1e-7, o
    p = receipt.priority
    assert abs(p.probability * p.value_minor * p.margin_rate - p.contact_cost_minor - o.priority_minor) <= 0.5 + 1e-6, o


def check_kept(o, receipt):
    """The same of an offer that keeps a client."""
    keep, p = receipt.keep, receipt.priority
    if keep.expected_gap_days:
        assert abs(keep.ticket_minor - keep.purchase_minor * 30.4375 / keep.expected_gap_days) < 1e-6 * keep.ticket_minor, o
    if keep.HasField("share"):
        share = keep.share
        expected = share.before_minor * share.expected_part / (1 - share.expected_part)
        assert abs(keep.ticket_minor - (expected - share.now_minor) / share.months) < 1e-6 * keep.ticket_minor, o
        assert (o.current_ticket_minor, keep.going_on_share) == (math.floor(share.now_minor / share.months + 0.5), 1), o
    at_risk = rounded(keep.ticket_minor * keep.going_on_share, keep.rounding.digits)
    spends = o.current_ticket_minor if keep.HasField("share") else 0
    assert at_risk == o.gain_minor and at_risk + spends == o.potential_ticket_minor == o.expected_ticket_minor, (o, at_risk)
    assert (keep.other_buyers, keep.other_buyers_going_on) == (o.neighbours, o.neighbours_buying), o
    assert abs(keep.risk * keep.kept_share - o.probability) < 1e-7 and abs(100 * keep.risk - o.score) < 1e-5, o
    assert abs(p.probability * p.value_minor * p.margin_rate - p.contact_cost_minor - o.priority_minor) <= 0.5 + 1e-6, o
