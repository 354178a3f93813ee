"""What became of offers, through the command line: shown, reported, kept back until their time, counted.

    outcomes.py BINARY FOLDER      FOLDER holds clients.csv, products.csv, sales.csv (plain or .gz)

Shows the head of the pipeline, holds clients out, reports an outcome of most rows by a fixed rule, and works the effect
report out again from that rule and the rows as they were printed.
"""
import bisect, collections, csv, datetime, math, pathlib, sys, time

from served import Served

BINARY, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
SHOWN, HELD_OUT, Z = 300, 0.2, 1.959963984540054
REASONS = ["contract_elsewhere", "no_use", "price", "timing", "other"]


cell = lambda row: (row["client_id"], row["product_id"], row["kind"])
with Served(BINARY) as served:
    carteira, read = served.run, served.read
    served.load(FOLDER)
    everything = read("pipeline", "--limit", "0")
    carteira("recipe", "set", f"outcomes.held_out_share={HELD_OUT}")
    served.settle()
    shown = read("pipeline", "--limit", str(SHOWN), "--log-shown")
    left_out = {row["client_id"] for row in everything[:SHOWN]} - {row["client_id"] for row in shown}
    head = len({row["client_id"] for row in everything[:SHOWN]})
    assert abs(len(left_out) / head - HELD_OUT) < 4 * math.sqrt(HELD_OUT * (1 - HELD_OUT) / head), (len(left_out), head)

    today = datetime.datetime.now(datetime.timezone.utc).date()
    outcomes, result_of = pathlib.Path(served.work.name) / "outcomes.csv", {}
    with open(outcomes, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["client_id", "product_id", "kind", "date", "result", "won_ticket", "reason", "until_date"])
        for at, row in enumerate(shown):
            result = ["won", "lost", "rejected", "postponed", "open"][at % 5]
            result_of[cell(row)] = (result, row, REASONS[at // 5 % 5])
            if result == "open":
                continue
            table.writerow([*cell(row), today.isoformat(), result, f"{row['potential_ticket_minor'] / 100:.2f}" if result == "won" else "",
                            REASONS[at // 5 % 5] if result == "rejected" else "", (today + datetime.timedelta(days=30)).isoformat() if result == "postponed" else ""])
    carteira("outcomes", "record", "--file", str(outcomes))
    wrote = time.monotonic()
    waits = {key for key, (result, _, _) in result_of.items() if result != "open"}
    while waits & {cell(row) for row in read("pipeline", "--limit", str(SHOWN))}:
        assert time.monotonic() - wrote < 30, "offers with an outcome are still shown"
    within = time.monotonic() - wrote
    still = {cell(row) for row in read("pipeline", "--limit", "0")}
    assert not waits & still
    open_rows = {key for key, (result, _, _) in result_of.items() if result == "open"}
    print(f"ok: {len(waits)} of {len(shown)} offers keep out of the pipeline within {within:.2f} s, the read included; {len(open_rows & still)} of {len(open_rows)} open ones are still in it")
    assert len(open_rows & still) > 0.8 * len(open_rows)

    def wilson(won, of):
        middle, spread = (won / of + Z * Z / 2 / of), Z * math.sqrt(won / of * (1 - won / of) / of + Z * Z / 4 / of / of)
        return (middle - spread) / (1 + Z * Z / of), (middle + spread) / (1 + Z * Z / of)

    groups = collections.defaultdict(list)
    ordered = sorted(result_of.values(), key=lambda one: one[1]["probability"])
    for at, one in enumerate(ordered):
        groups["all", ""].append(one)
        groups["kind", one[1]["kind"]].append(one)
        groups["owner", one[1]["owner"]].append(one)
    report = read("effect")
    conversions = {(row["group"], row["value"]): row for row in report["conversions"]}
    checked = 0
    for key, some in groups.items():
        if key == ("owner", ""):
            continue
        row = conversions[key]
        count = collections.Counter(result for result, _, _ in some)
        assert (row["shown"], *(row[name] for name in ("won", "lost", "rejected", "postponed", "open"))) == (
            len(some), *(count[name] for name in ("won", "lost", "rejected", "postponed", "open"))), (key, row, count)
        ended = count["won"] + count["lost"] + count["rejected"]
        foretold = sum(one["probability"] for result, one, _ in some if result in ("won", "lost", "rejected"))
        assert math.isclose(row["foretold"], foretold, rel_tol=1e-9, abs_tol=1e-9), (key, row["foretold"], foretold)
        assert row["won_ticket_minor"] == sum(one["potential_ticket_minor"] for result, one, _ in some if result == "won"), key
        if ended:
            low, high = wilson(count["won"], ended)
            assert math.isclose(row["conversion"], count["won"] / ended) and abs(row["conversion_low"] - low) < 1e-9 and abs(row["conversion_high"] - high) < 1e-9, (key, row)
        checked += 1
    tenths = [row for row in report["conversions"] if row["group"] == "decile"]
    # Offers of one probability are of one tenth, the one in which the first of them stands.
    chances = sorted(one["probability"] for result, one, _ in groups["all", ""])
    of_tenth = collections.Counter(str(10 * bisect.bisect_left(chances, chance) // len(chances) + 1) for chance in chances)
    assert {row["value"]: row["shown"] for row in tenths} == of_tenth, (tenths, of_tenth)
    reasons = collections.Counter(reason for result, _, reason in result_of.values() if result == "rejected")
    assert {row["reason"].removeprefix("REJECT_REASON_").lower(): row["offers"] for row in report["reject_reasons"]} == reasons, report["reject_reasons"]
    print(f"ok: the effect report counts {checked} groups, {len(tenths)} tenths and {sum(reasons.values())} rejections as they were reported; "
          f"verdict {report['uplifts'][0]['verdict']}, {len(left_out)} of {head} clients of the head held out")
