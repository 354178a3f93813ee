"""All clients' 50 nearest by cosine: carteira's kernel beside the exact peers on PyPI.

    pip install -r benches/peers/requirements.txt
    python benches/peers/run.py M [--rounds 5]        (S, M or L)

Builds the bench, makes the book, writes the weighted rows that carteira compares (so that all compute
the same cosines), then runs carteira and the peers in turn, round after round, each with all cores,
and prints medians, ratios, and whether the neighbours agree. Times hold the search alone: making a
sparse matrix of the input and reading it are left out for every contestant.
"""
import argparse, json, os, pathlib, statistics, subprocess, tempfile, time

import numpy as np
import scipy.sparse as sp

ROOT = pathlib.Path(__file__).resolve().parents[2]
NEAREST = 50


def bench(*arguments):
    command = ["cargo", "bench", "--bench", "all_neighbours", "--", *arguments]
    out = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def book(size):
    with tempfile.TemporaryDirectory() as folder:
        bench(size, "write", folder)
        read = lambda name, kind: np.fromfile(os.path.join(folder, name), dtype=kind)
        starts, products = read("starts", "<u4"), read("products", "<u4")
        weights, nearest = read("weights", "<f4"), read("nearest", "<u4")
    shape = (len(starts) - 1, int(products.max()) + 1)
    rows = sp.csr_matrix((weights, products.astype(np.int32), starts.astype(np.int32)), shape=shape)
    rows.sort_indices()
    return rows, nearest.reshape(-1, NEAREST)


def rusket(rows, _, __):
    from rusket._rusket import userknn_gram_top_k

    csr = (rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data)
    starts, clients, values = userknn_gram_top_k(*csr, *csr, *rows.shape, NEAREST)
    return sp.csr_matrix((values, clients, starts), shape=(rows.shape[0],) * 2)


def implicit(rows, _, doubles):
    from implicit.nearest_neighbours import all_pairs_knn

    return all_pairs_knn(doubles, K=NEAREST + 1, num_threads=0, show_progress=False).tocsr()


def sparse_dot_topn(rows, columns, _):
    from sparse_dot_topn import sp_matmul_topn

    return sp_matmul_topn(rows, columns, top_n=NEAREST + 1, n_threads=os.cpu_count(), sort=True)


PEERS = {"rusket": rusket, "implicit": implicit, "sparse_dot_topn": sparse_dot_topn}


def agreement(ours, theirs):
    """The share of our neighbours that a peer also has, itself left out; ties and rounding part them."""
    same = total = 0
    for client in range(0, ours.shape[0], max(1, ours.shape[0] // 500)):
        row = theirs[client]
        known = [other for other in ours[client] if other != 2**32 - 1]
        best = sorted(zip(-row.data, row.indices))
        best = {other for _, other in best if other != client}
        same += len(best.intersection(known))
        total += len(known)
    return same / max(total, 1)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("size", choices=["S", "M", "L"])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    arguments = arguments.parse_args()
    rows, ours = book(arguments.size)
    columns = rows.T.tocsr()
    # implicit compares columns, and reads nothing but doubles.
    doubles = columns.astype(np.float64)
    peers = {name: PEERS[name] for name in arguments.peers}
    seconds = {name: [] for name in ["carteira", *peers]}
    agreed = {}
    for _ in range(arguments.rounds):
        told = bench(arguments.size, "once")
        seconds["carteira"].append(told["seconds"])
        for name, search in peers.items():
            started = time.perf_counter()
            found = search(rows, columns, doubles)
            seconds[name].append(time.perf_counter() - started)
            agreed[name] = agreement(ours, found)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"{arguments.size}: {rows.shape[0]} clients x {rows.shape[1]} products, {rows.nnz} tickets, "
          f"{arguments.rounds} rounds in turn, {os.cpu_count()} cores")
    for name, median in medians.items():
        spread = f"{min(seconds[name]):.2f} to {max(seconds[name]):.2f}"
        ratio = median / medians["carteira"]
        same = f", {agreed[name]:.4f} of the neighbours the same" if name in agreed else ""
        print(f"  {name}: {median:.3f} s ({spread}), {ratio:.1f} x carteira's{same}")
    print(f"  carteira: {1e9 * medians['carteira'] / told['multiply_adds']:.3f} ns a multiply-add")


if __name__ == "__main__":
    main()
