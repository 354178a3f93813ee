"""What anybody could have had with public packages, on a task of the evaluation protocol: popularity, user-kNN,
item-kNN, EASE, and LightGBM on features of these, fitted on the back-test.

    references.py TASK [METHOD ...]      needs numpy, pandas, scipy, lightgbm; prints NDCG@10, recall@10, money@10 of
                                         the list by probability, and pipeline money / ideal
    references.py TASK --boosted [FILES] LightGBM for every question of the task, with its time and memory; answers for
                                         the protocol's scorer go to the folder FILES, where it is given

TASK/in is read; TASK/truth is for the score alone. Time and memory of one METHOD: run it under /usr/bin/time -v.
"""
import json, pathlib, sys

import numpy as np, pandas as pd

TASK, MONTH = pathlib.Path(sys.argv[1]), 30.4375
BOOSTED = "--boosted" in sys.argv
METHODS = [] if BOOSTED else sys.argv[2:] or ["popularity", "user-knn", "item-knn", "ease", "lightgbm"]
manifest = json.loads((TASK / "manifest.json").read_text())


def read(name):
    path = TASK / f"{name}.csv"
    return pd.read_csv(path if path.exists() else f"{path}.gz", dtype={"client_id": str, "product_id": str})


clients = {name: at for at, name in enumerate(read("in/clients").client_id)}
products = {name: at for at, name in enumerate(read("in/products").product_id)}
sales = read("in/sales")
first, cut = pd.Timestamp(manifest["first_day"]), pd.Timestamp(manifest["first_test_day"])
end, horizon = (cut - first).days, (pd.Timestamp(manifest["last_day"]) - cut).days + 1
who, what = sales.client_id.map(clients).values, sales.product_id.map(products).values
day, amount = (pd.to_datetime(sales.date) - first).dt.days.values, sales.amount.values
C, P = len(clients), len(products)
k, few = (25, True) if C < 200 else (200, False)


def money(seen):
    sums = np.zeros((C, P))
    np.add.at(sums, (who[seen], what[seen]), amount[seen])
    return np.where(sums > 0.005, sums, 0)


def nearest(vectors, count):
    """Cosine similarities, all but the `count` largest of each row set to 0."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    near = (unit @ unit.T).astype(np.float32)
    np.fill_diagonal(near, 0)
    if count < len(near):
        near[near < -np.partition(-near, count - 1, axis=1)[:, count - 1 : count]] = 0
    return near


class Seen:
    """Scores and features of all pairs, from the purchases before a day."""

    def __init__(self, until):
        self.ticket = money(day < until) / (until / MONTH)
        self.bought = self.ticket > 0
        bought = self.bought.astype(np.float32)
        usual = [np.median(self.ticket[self.bought[:, p], p]) if self.bought[:, p].any() else 1.0 for p in range(P)]
        self.usual = np.array(usual)
        self.fresh = self.bought & ~(money(day < until - horizon) > 0)
        self.damped = np.log1p(self.ticket / self.usual) * np.log1p(C / np.maximum(bought.sum(0), 1))
        self.matrix = bought
        self.until = until

    def popularity(self):
        return np.broadcast_to(self.matrix.mean(0), (C, P))

    def users(self):
        near = nearest(self.damped, k)
        return near @ self.matrix / np.maximum(near.sum(1, keepdims=True), 1e-9)

    def items(self):
        return self.matrix @ nearest(self.matrix.T, 50)

    def ease(self):
        gram = (self.matrix.T @ self.matrix).astype(float)
        gram[np.diag_indices(P)] += 1000 if P < 500 else 300
        inverse = np.linalg.inv(gram)
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        return self.matrix @ weights

    def features(self):
        near = nearest(self.damped, k)
        weight = np.maximum(near.sum(1, keepdims=True), 1e-9)
        rows = lambda values: np.broadcast_to(np.asarray(values, float)[:, None], (C, P))
        columns = lambda values: np.broadcast_to(np.asarray(values, float), (C, P))
        days = np.unique(np.stack([who, day], 1)[day < self.until], axis=0)
        visits = lambda since: np.bincount(days[days[:, 1] >= since, 0], minlength=C)
        return np.stack([
            self.popularity(), near @ self.matrix / weight, near @ self.fresh.astype(np.float32) / weight, self.items(), self.ease(),
            columns(self.fresh.mean(0)), columns(np.log(self.usual)), rows(self.matrix.sum(1)), rows(self.fresh.sum(1)),
            rows(visits(0)), rows(visits(self.until - horizon)), rows(np.log1p(self.ticket.sum(1))),
        ], axis=2).astype(np.float32)


def lightgbm(now):
    """Probability and ticket, learnt one horizon earlier."""
    import lightgbm as trees

    past = Seen(end - horizon)
    later = money((day >= end - horizon) & (day < end)) / (horizon / MONTH)
    pairs = ~past.bought & past.bought.any(0) & past.bought.any(1)[:, None]
    adopted, known = (later > 0)[pairs], past.features()[pairs]
    common = dict(learning_rate=0.05, num_leaves=31, min_data_in_leaf=20 if few else 100, verbose=-1, num_threads=2, seed=1, deterministic=True)
    chance = trees.train(dict(common, objective="binary"), trees.Dataset(known, adopted.astype(float)), 100 if few else 300)
    ticket = trees.train(dict(common, objective="l1"), trees.Dataset(known[adopted], np.log(later[pairs][adopted])), 200)
    asked = now.features().reshape(C * P, -1)
    return chance.predict(asked).reshape(C, P), np.exp(ticket.predict(asked)).reshape(C, P)


truth = read("truth/test")
new = np.zeros((C, P))
new[truth.client_id.map(clients), truth.product_id.map(products)] = truth.ticket
now = Seen(end)
new[now.bought] = 0


def score(name, chance, ticket):
    chance = np.where(now.bought, -np.inf, chance)
    top = np.argsort(-chance, axis=1, kind="stable")[:, :10]
    judged = (new > 0).sum(1) > 0
    got, count = np.take_along_axis(new, top, 1)[judged], (new > 0).sum(1)[judged]
    discount = 1 / np.log2(np.arange(2, 12))
    ideal = np.cumsum(discount)[np.minimum(count, 10) - 1]
    listed = manifest["pipeline_n"]
    expected = np.where(now.bought, -np.inf, np.maximum(chance, 0) * ticket).ravel()
    first_rows = np.argsort(-expected, kind="stable")[:listed]
    best = np.sort(new.ravel())[::-1][:listed].sum()
    ndcg = ((got > 0) * discount).sum(1) / ideal
    print(f"{name}: NDCG {ndcg.mean():.4f} recall {((got > 0).sum(1) / count).mean():.4f} "
          f"money {got.sum() / new[judged].sum():.4f} pipeline {new.ravel()[first_rows].sum() / best:.4f}", flush=True)


if BOOSTED:
    import boosted

    boosted.answer(globals())
for method in METHODS:
    if method == "lightgbm":
        score(method, *lightgbm(now))
    else:
        scores = {"popularity": now.popularity, "user-knn": now.users, "item-knn": now.items, "ease": now.ease}
        score(method, scores[method](), now.usual)
