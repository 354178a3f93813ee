"""The segments of a book beside scikit-learn's k-means on the same numbers, these worked out again from the files.

    segments.py BINARY FOLDER      FOLDER holds clients.csv, products.csv, sales.csv (plain or .gz)

Needs numpy and scikit-learn. Checks that the numbers clients are clustered by, put together here from the files alone,
explain the segments served: every client is nearest to the mean of its own segment, the silhouettes are those that
ListSegments gives, what sets a segment apart is what its clients have, and k-means of scikit-learn with as many
clusters, from ten starts, stands no further apart. Tells how long the segments took.
"""
import collections, csv, gzip, json, math, pathlib, re, socket, subprocess, sys, tempfile, time
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

BINARY, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
BOOK = "book"
# Section `segments` of the recipe.
GROUPS, VALUES, LEAST_SHARE, MOST_DEVIATIONS, JUDGED, LEAST = 15, 8, 0.02, 3, 2_000, 3
WEIGHTS = dict(mix=1, size=1, profile=0.5)
WINDOW_MONTHS = 12


def given(name):
    return next(path for path in (FOLDER / f"{name}.csv", FOLDER / f"{name}.csv.gz") if path.exists())


def rows(name):
    path = given(name)
    opened = gzip.open(path, "rt", newline="", encoding="utf-8-sig") if path.suffix == ".gz" else open(path, newline="", encoding="utf-8-sig")
    with opened as file:
        yield from csv.DictReader(file)


# --- The numbers of each client, from the files ---

clients = list(rows("clients"))
products = {row["product_id"]: row for row in rows("products")}
minor = lambda raw: int((Decimal(raw) * 100).quantize(Decimal(1), ROUND_HALF_UP))
by_month, dated = collections.Counter(), True
for row in rows("sales"):
    dated = "date" in row
    month = int(row["date"][:4]) * 12 + int(row["date"][5:7]) if dated else 0
    by_month[row["client_id"], row["product_id"], month] += minor(row["amount"])
last = max(month for _, _, month in by_month)
months = min(WINDOW_MONTHS, last - min(month for _, _, month in by_month) + 1)
spent = collections.Counter()
for (client, product, month), amount in by_month.items():
    if month > last - months:
        spent[client, product] += amount
tickets = collections.defaultdict(dict)
for (client, product), amount in spent.items():
    ticket = int((Decimal(amount) / months).quantize(Decimal(1), ROUND_HALF_UP))
    if ticket > 0:
        tickets[client][product] = float(np.float32(ticket))
members = [row for row in clients if tickets[row["client_id"]]]


def group(product):
    row = products[product]
    return row.get("category") or row.get("name") or product


money = collections.Counter()
for row in members:
    for product, ticket in tickets[row["client_id"]].items():
        money[group(product)] += ticket
groups = sorted(money, key=lambda name: (-money[name], name))[:GROUPS]
shares = np.zeros((len(members), len(groups) + 1))
total = np.zeros(len(members))
for at, row in enumerate(members):
    for product, ticket in tickets[row["client_id"]].items():
        name = group(product)
        shares[at, groups.index(name) if name in groups else -1] += ticket
        total[at] += ticket
shares /= total[:, None]
columns = {("mix", name, ""): shares[:, at] for at, name in enumerate([*groups, ""])}
columns["size", "", ""] = total
code = re.compile(r"0\d")
is_number = lambda raw: re.fullmatch(r"-?\d+(\.\d+)?", raw) and not code.match(raw)
names = sorted(set(members[0]) - {"client_id", "name", "owner"}, key=lambda name: name.encode())
numeric = [name for name in names if (values := [row[name] for row in clients if row[name]]) and all(map(is_number, values))]
for name in numeric:
    columns["number", name, ""] = np.array([float(row[name] or "nan") for row in members])
for name in names:
    if name in numeric:
        continue
    held = np.array([row[name] for row in members])
    counts = collections.Counter(value for value in held if value)
    kept = [v for v in sorted(counts, key=lambda v: (-counts[v], v.encode())) if counts[v] >= max(2, LEAST_SHARE * len(members)) and counts[v] < len(members)]
    for value in kept[:VALUES]:
        columns["value", name, value] = np.where(held == "", np.nan, held == value)

bent, block_of = [], []
for (feature, name, value), column in columns.items():
    if feature == "mix":
        column = np.sqrt(column)
    elif feature == "size":
        column = np.log(np.maximum(column, 1))
    elif feature == "number":
        deviation = np.nanstd(column)
        column = np.clip((column - np.nanmean(column)) / deviation, -MOST_DEVIATIONS, MOST_DEVIATIONS) if deviation > 0 else column * np.nan
    bent.append(column - np.nanmean(column))
    block_of.append({"mix": "mix", "size": "size"}.get(feature, "profile"))
points = np.nan_to_num(np.array(bent, float)).T
block_of = np.array(block_of)
for block, weight in WEIGHTS.items():
    own = block_of == block
    variance = points[:, own].var(axis=0).sum()
    points[:, own] *= math.sqrt(weight / variance) if variance > 1e-12 else 0

# --- What the server makes of them ---

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
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    carteira("import", "--currency", "USD", *(f"--{name}={given(name)}" for name in ("clients", "products", "sales")))
    began = time.monotonic()
    while not (answer := json.loads(carteira("segments", "--output", "json")))["is_learnt"]:
        time.sleep(0.2)
    took = time.monotonic() - began
    listed = {row["client_id"]: row["segment_id"] for row in json.loads(carteira("insights", "--limit", "0", "--output", "json", "--order", "first-seen"))}
finally:
    server.terminate()
    server.wait()
    told = open(f"{work.name}/serve.log").read()
    assert "panicked" not in told, told

segments = answer["segments"]
ids = [one["segment_id"] for one in segments]
assert len(set(ids)) == len(ids) and all(ids)
labels = np.array([ids.index(listed[row["client_id"]]) for row in members])
assert all(listed[row["client_id"]] == "" for row in clients if not tickets[row["client_id"]])
assert answer["clients_without_segment"] == len(clients) - len(members)
for at, one in enumerate(segments):
    assert one["clients"] == (labels == at).sum(), one["segment_id"]

means = np.array([points[labels == at].mean(axis=0) for at in range(len(ids))])
away = ((points[:, None, :] - means[None]) ** 2).sum(axis=2)
astray = (away.argmin(axis=1) != labels).mean()
assert astray <= 0.005, f"{astray:.4f} of the clients are nearer to another segment's mean"

for at, one in enumerate(segments):
    for mark in one["marks"]:
        column = columns.get((mark["feature"], mark["name"], mark["value"]))
        assert column is not None, mark
        for figure, of in (("here", column[labels == at]), ("everywhere", column)):
            of = of[~np.isnan(of)]
            mean = 0 if not len(of) else np.exp(np.log(of).mean()) if mark["feature"] == "size" else of.mean()
            assert math.isclose(mark[figure], mean, rel_tol=1e-4, abs_tol=1e-6), (one["segment_id"], mark, mean)

step = max(1, math.ceil(len(points) / JUDGED))
tried = {one["segments"]: one["silhouette"] for one in answer["tried"]}
best = max((k for k in tried if k >= LEAST), key=lambda k: tried[k])
assert len(ids) == best, tried
ours = silhouette_score(points[::step], labels[::step])
assert abs(ours - tried[best]) < 0.02, (ours, tried)
peer = KMeans(best, n_init=10, random_state=0).fit(points)
theirs = silhouette_score(points[::step], peer.labels_[::step])
inertia = lambda of: sum(((points[of == at] - points[of == at].mean(axis=0)) ** 2).sum() for at in range(best))
print(f"ok: {len(members)} clients by {points.shape[1]} numbers in {best} segments: {', '.join(f'{one} ({(labels == at).sum()})' for at, one in enumerate(ids))}")
print(f"ok: silhouettes by number of segments {', '.join(f'{k}: {tried[k]:.4f}' for k in tried)}")
print(f"ok: silhouette {ours:.4f}, scikit-learn's {theirs:.4f}; squares within {inertia(labels):.2f}, scikit-learn's {inertia(peer.labels_):.2f}")
print(f"ok: learnt {took:.1f} s after the import at the latest")
assert inertia(labels) <= 1.01 * inertia(peer.labels_), "scikit-learn's clusters are tighter"
assert ours >= theirs - 0.01, "scikit-learn's clusters stand further apart"
