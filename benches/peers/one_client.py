"""One client from scratch: carteira's whole answer beside NumPy's nearest clients alone.

    pip install -r benches/peers/requirements.txt
    python benches/peers/one_client.py M            (S, M or L)

carteira's side is the `pipeline` bench's one client: its nearest buyers of every product that it buys, its
nearest clients by cosine, and all scores of the full recipe. NumPy's side is the cosine over postings
alone: for each product of the client the buyers' weights added up, the 200 best taken of the sums. Both on
one core, a few hundred clients drawn at random, one after the other; medians and their ratio.
"""
import argparse, re, subprocess, time

import numpy as np

from run import ROOT, book

NEAREST = 200
ASKED = 400


def numpy_ms(rows):
    columns = rows.tocsc()
    starts, clients, weights = columns.indptr, columns.indices, columns.data
    random = np.random.default_rng(3)
    times = []
    for client in random.integers(0, rows.shape[0], ASKED):
        own = rows[client]
        started = time.perf_counter()
        sums = np.zeros(rows.shape[0], dtype=np.float32)
        for product, weight in zip(own.indices, own.data):
            run = slice(starts[product], starts[product + 1])
            # A client buys a product once, so that no index repeats.
            sums[clients[run]] += weight * weights[run]
        sums[client] = 0.0
        best = np.argpartition(-sums, min(NEAREST, len(sums) - 1))[:NEAREST]
        best = best[np.lexsort((best, -sums[best]))]
        times.append(1e3 * (time.perf_counter() - started))
    return float(np.median(times))


def carteira_ms(size):
    command = ["cargo", "bench", "--bench", "pipeline", "--", size, "one"]
    out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return float(re.search(r"one client: p50 ([\d.]+) ms", out)[1])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("size", choices=["S", "M", "L"])
    size = arguments.parse_args().size
    rows, _ = book(size)
    theirs, ours = numpy_ms(rows), carteira_ms(size)
    print(f"{size}: one client, p50: numpy, its nearest alone {theirs:.3f} ms; "
          f"carteira, its whole answer {ours:.3f} ms; ratio {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
