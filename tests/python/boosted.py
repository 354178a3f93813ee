"""LightGBM for every question of a task, on neighbours' features: what `references.py TASK --boosted` runs.

Adoption as `references.py` has it. A hidden ticket's quantiles: quantile regression of its residual over the product's
median, by the client's size, the product's own quantiles and the weighted quantiles of the 100 nearest buyers (25 in
small books), at the distance of the protocol's recipe with the judged product left out. Growth: Poisson regression of
the rise and regression of the change, learnt one horizon earlier, by today's ticket, its recent and decayed ticket, the
client's trend and what is usual.
"""
import json, pathlib, resource, sys, time

import numpy as np, pandas as pd

LEVELS = np.array([0.5, 0.8, 0.9])


def answer(task):
    import lightgbm as trees

    out = pathlib.Path(sys.argv[sys.argv.index("--boosted") + 1]) if sys.argv[-1] != "--boosted" else None
    took = {}

    def timed(name, work):
        began = time.perf_counter()
        result = work()
        took[name] = time.perf_counter() - began
        return result

    now = task["now"]
    chance, ticket = timed("adoption", lambda: task["lightgbm"](now))
    rise, change = timed("growth", lambda: growth(task, trees))
    folds = timed("potential", lambda: potential(task, trees))
    print(", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items()), f"in all {sum(took.values()):.1f} s,",
          f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB", flush=True)
    task["score"]("lightgbm", chance, ticket)
    if out:
        write(task, out, chance, ticket, rise, change, folds)


def growth(task, trees):
    """Expected rise and expected change of every bought ticket."""
    C, P, day, end, horizon = (task[name] for name in ("C", "P", "day", "end", "horizon"))
    money, MONTH, few = task["money"], task["MONTH"], task["few"]

    def features(seen):
        until = seen.until
        last = money((day < until) & (day >= until - horizon)) / (horizon / MONTH)
        before = money((day < until - horizon) & (day >= until - 2 * horizon)) / (horizon / MONTH)
        latest = np.zeros((C, P))
        known = day < until
        np.maximum.at(latest, (task["who"][known], task["what"][known]), day[known])
        trend = np.log((last.sum(1) + 1) / (before.sum(1) + 1))
        season = np.log((last.sum(0) + 1) / (before.sum(0) + 1))
        c, p = np.nonzero(seen.bought)
        x = seen.ticket[c, p]
        size = np.log(seen.ticket.sum(1) + 1)
        columns = [x, last[c, p], before[c, p], x * 0.5 ** ((until - latest[c, p]) / 30), until - latest[c, p],
                   trend[c], season[p], seen.usual[p], x / seen.usual[p], size[c], seen.matrix.sum(1)[c], seen.matrix.mean(0)[p]]
        return c, p, x, np.stack(columns, 1)

    past = task["Seen"](end - horizon)
    c, p, x, known = features(past)
    real = (money((day >= end - horizon) & (day < end)) / (horizon / MONTH))[c, p] - x
    common = dict(learning_rate=0.05, num_leaves=31, min_data_in_leaf=20 if few else 100, verbose=-1, num_threads=2, seed=1, deterministic=True)
    rounds = 100 if few else 300
    rise = trees.train(dict(common, objective="poisson"), trees.Dataset(known, np.maximum(real, 0)), rounds)
    change = trees.train(common, trees.Dataset(known, real), rounds)
    c, p, x, asked = features(task["now"])
    return (c, p, rise.predict(asked)), (c, p, change.predict(asked))


def potential(task, trees):
    """Quantiles of every hidden ticket, fold by fold."""
    C, P, clients, products, read = (task[name] for name in ("C", "P", "clients", "products", "read"))
    ask = read("in/t5_ask")
    answers = []
    for fold in sorted(ask.fold.unique()):
        seen, hidden = read(f"in/t5_visible_{fold}"), ask[ask.fold == fold]
        rows, columns = seen.client_id.map(clients).values, seen.product_id.map(products).values
        x = np.zeros((C, P))
        x[rows, columns] = seen.ticket
        bought = x > 0
        median = np.array([np.median(x[bought[:, p], p]) if bought[:, p].any() else 1.0 for p in range(P)])
        residual = np.where(bought, np.log(np.where(bought, x, 1) / median), 0).astype(np.float32)
        near, total, count = Near(residual, bought), residual.sum(1), bought.sum(1)
        asked = hidden.client_id.map(clients).values, hidden.product_id.map(products).values
        learnt, answered = np.zeros((len(rows), 19), np.float32), np.zeros((len(hidden), 19), np.float32)
        for p in range(P):
            for (who, what), into in (((rows, columns), learnt), (asked, answered)):
                at = np.flatnonzero(what == p)
                if len(at):
                    into[at] = near.features(p, who[at], total, count, median[p])
        common = dict(learning_rate=0.05, num_leaves=31, min_data_in_leaf=20 if task["few"] else 50, verbose=-1, num_threads=2, seed=1, deterministic=True)
        data = trees.Dataset(learnt[:, :18], residual[rows, columns] - learnt[:, 18], free_raw_data=False)
        fit = lambda level: trees.train(dict(common, objective="quantile", alpha=level), data, 100 if task["few"] else 300)
        found = np.sort(np.stack([fit(level).predict(answered[:, :18]) for level in LEVELS], 1), axis=1)
        found = np.exp(found + answered[:, 18:]) * median[asked[1]][:, None]
        answers.append(hidden.assign(**{f"q{int(100 * level)}": found[:, at] for at, level in enumerate(LEVELS)}))
    return pd.concat(answers)


class Near:
    """Distances over common products, one of which can be left out."""

    def __init__(self, residual, bought):
        self.residual, self.bought = residual, bought
        matrix = bought.astype(np.float32)
        squares = (residual**2) @ matrix.T
        self.sum = squares + squares.T - 2 * residual @ residual.T
        self.common = matrix @ matrix.T
        self.spread = 2 * float(residual[bought].var())
        self.k = 25 if bought.shape[1] < 100 else 100

    def features(self, p, who, total, count, median):
        """Those of clients for one product: size, what is usual, what the nearest buyers spend."""
        levels = np.array([0.1, 0.25, 0.5, 0.75, 0.8, 0.9])
        buyers = np.flatnonzero(self.bought[:, p])
        own, buys = self.residual[who, p], self.bought[who, p]
        size = (total[who] - own) / (count[who] - buys + 1)
        usual = np.zeros((len(who), 19), np.float32)
        usual[:, 0], usual[:, 1], usual[:, 2], usual[:, 3] = size, np.log(count[who] - buys + 1), np.log(median), len(buyers)
        if len(buyers) < 3:
            return usual
        values = self.residual[buyers, p]
        usual[:, 4:10] = quantiles_without(values, np.where(buys, own, np.nan), levels)
        middle = usual[:, 6].copy()
        between = np.where(buys[:, None], (own[:, None] - values) ** 2, 0)
        shared = self.common[np.ix_(who, buyers)] - buys[:, None]
        distance = (self.sum[np.ix_(who, buyers)] - between + 2 * self.spread) / (shared + 2)
        weight = 1 / (distance + 0.05 * self.spread)
        weight[who[:, None] == buyers] = 0
        k = min(self.k, len(buyers))
        first = np.argpartition(-weight, k - 1, axis=1)[:, :k]
        weight = np.take_along_axis(weight, first, 1)
        sizes = total[buyers] / (count[buyers] + 1)
        for at, what in ((10, values), (14, values - sizes)):
            order = np.argsort(what[first], axis=1)
            heard, weights = np.take_along_axis(what[first], order, 1), np.take_along_axis(weight, order, 1)
            share = np.cumsum(weights, 1) / np.maximum(weights.sum(1, keepdims=True), 1e-9)
            for column, level in enumerate((0.2, 0.5, 0.8, 0.9)):
                place = np.minimum((share < level).sum(1), k - 1)
                usual[:, at + column] = np.take_along_axis(heard, place[:, None], 1)[:, 0]
        # All but the first four are told from the middle ticket of the others: the last column, which is no feature.
        usual[:, 4:10] -= middle[:, None]
        usual[:, 10:14] -= middle[:, None]
        usual[:, 18] = middle
        return usual


def quantiles_without(values, own, levels):
    """Quantiles of the values, for each row without its own, where it has one."""
    values = np.sort(values)
    own_at = np.where(np.isnan(own), len(values), np.searchsorted(values, own))
    at = levels * (len(values) - 1 - (own_at < len(values)))[:, None]
    pick = lambda place: values[np.minimum(place + (place >= own_at[:, None]), len(values) - 1)]
    below = np.floor(at).astype(int)
    return pick(below) + (at - below) * (pick(np.ceil(at).astype(int)) - pick(below))


def write(task, out, chance, ticket, rise, change, folds):
    """Answers as the protocol's scorer reads them; `t6.csv` by rise, `net/t6.csv` by change."""
    (out / "net").mkdir(parents=True, exist_ok=True)
    clients, products = np.array(list(task["clients"])), np.array(list(task["products"]))
    bought, new = task["now"].bought, task["new"]
    save = lambda frame, name: frame.to_csv(out / name, index=False)
    pairs = lambda c, p, **values: pd.DataFrame(dict(client_id=clients[c], product_id=products[p], **values))
    free = np.where(bought, -np.inf, chance)
    top = np.argsort(-free, axis=1, kind="stable")[:, :10]
    c = np.repeat(np.arange(len(clients)), top.shape[1])
    save(pairs(c, top.ravel(), score=free[c, top.ravel()]), "t1.csv")
    expected = np.where(bought, -np.inf, chance * ticket).ravel()
    first = np.argsort(-expected, kind="stable")[: task["manifest"]["pipeline_n"]]
    c, p = np.unravel_index(first, bought.shape)
    save(pairs(c, p, expected_value=expected[first]), "t2.csv")
    asked = task["read"]("in/t34_pairs")
    c, p = asked.client_id.map(task["clients"]).values, asked.product_id.map(task["products"]).values
    save(pairs(c, p, probability=chance[c, p], ticket=ticket[c, p]), "t34.csv")
    save(folds, "t5.csv")
    save(pairs(rise[0], rise[1], growth=rise[2]), "t6.csv")
    save(pairs(change[0], change[1], growth=change[2]), "net/t6.csv")
