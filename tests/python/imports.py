"""Imports of dirty files, of the same file twice, and of one that kill -9 cut off: imports.py BINARY"""
import csv, json, os, pathlib, random, signal, socket, subprocess, sys, tempfile, time
from decimal import Decimal

binary = os.path.realpath(sys.argv[1])
work = pathlib.Path(tempfile.mkdtemp(prefix="carteira-import-"))
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
endpoint = f"http://127.0.0.1:{port}"


def start():
    server = subprocess.Popen([binary, "serve", "--data-dir", work / "data", "--listen", f"127.0.0.1:{port}", "--free-floor-mib", "0"], stderr=open(work / "log", "ab"))
    for _ in range(300):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.05)
    raise SystemExit("the server does not start")


def carteira(*args, ok=True):
    ran = subprocess.run([binary, *map(str, args)], cwd=work, capture_output=True, text=True)
    assert (ran.returncode == 0) == ok, (args, ran.returncode, ran.stdout, ran.stderr)
    return ran.stdout + ran.stderr


def load(portfolio, *more, ok=True):
    return carteira("import", "--endpoint", endpoint, "--portfolio", portfolio, *more, ok=ok)


def figures(portfolio):
    rows = json.loads(carteira("portfolios", "--endpoint", endpoint, "--output", "json"))
    return next(row for row in rows if row["portfolio_id"] == portfolio)


server = start()
try:
    # --- dirty: semicolons, decimal commas, a BOM, quotes, scripts, CRLF ---------------------------------------------
    (work / "clients.csv").write_bytes("\ufeffclient_id;name;sector;staff\r\nc1;\"Padaria; \"\"São João\"\"\";padaria;12\r\nc2;レストラン;;7,5\r\nç3;Ресторан;hotel;3\r\n;nobody;;\r\nc2;again;;\r\n".encode())
    (work / "products.csv").write_bytes("\ufeffproduct_id;name;category;list_price\r\nleite;Leite;laticínios;4,50\r\nqueijo;Queijo;queijos;39,90\r\nbad;x;y;NaN\r\n".encode())
    good = [("c1", "leite", "2026-01-05", "1.234,56"), ("c1", "queijo", "05/01/2026", "7,00"), ("c2", "leite", "31.01.2026", "1234,5"), ("ç3", "queijo", "2026-02-01", "0,01"), ("c1", "leite", "2026-02-28", "\"99,90\"")]
    good[1] = ("c1", "queijo", "15/01/2026", "7,00")
    bad = [("c1", "leite", "2026-02-30", "1,00"), ("c1", "leite", "yesterday", "1,00"), ("nobody", "leite", "2026-01-01", "1,00"), ("c1", "nothing", "2026-01-01", "1,00"),
           ("c1", "leite", "2026-01-01", "-5,00"), ("c1", "leite", "2026-01-01", "0,00"), ("c1", "leite", "2026-01-01", "NaN"), ("c1", "leite", "2026-01-01", ""),
           ("c1", "leite", "2026-01-01", "inf"), ("c1", "leite", "2026-01-01", "99999999999999999999"), ("c1", "leite", "05/01/2026", "1,00")]
    rows = [(row, True) for row in good] + [(row, False) for row in bad]
    random.Random(3).shuffle(rows)
    lines = ["\ufeffclient_id;product_id;date;amount"] + [";".join(row) for row, _ in rows]
    lines += ["c1;leite;2026-01-01", "c1;leite;2026-01-01;1,00;extra", "x" * 10_000_000, "", "c2;queijo;2026-03-01;3,00", "c1;leite;2026-01-01;\"1,00"]
    (work / "sales.csv").write_bytes("\r\n".join(lines).encode())
    expected = sum(Decimal(r[3].strip('"').replace(".", "").replace(",", ".")) for r in good) + Decimal("3.00")
    said = load("dirty", "--clients", "clients.csv", "--products", "products.csv", "--sales", "sales.csv", "--rejects", "rejects.csv")
    assert figures("dirty")["sales_amount_minor"] == int(expected * 100), (figures("dirty"), expected, said)
    assert figures("dirty")["clients"] == 3 and figures("dirty")["products"] == 2
    rejects = list(csv.DictReader(open(work / "rejects.csv", encoding="utf-8")))
    assert sum(r["file"] == "sales.csv" for r in rejects) == len(bad) + 4, [(r["line"], r["reason"]) for r in rejects]
    numbered = {1 + k: row for k, (row, fine) in enumerate(rows, 1) if not fine}
    assert set(numbered) <= {int(r["line"]) for r in rejects if r["file"] == "sales.csv"} and all(r["reason"] for r in rejects)
    assert sum(r["file"] == "clients.csv" for r in rejects) == 2 and sum(r["file"] == "products.csv" for r in rejects) == 1
    (work / "empty.csv").write_bytes(b"")
    assert "empty" in load("dirty", "--sales", "empty.csv", ok=False)
    assert "BRL" in load("dirty", "--currency", "USD", "--sales", "sales.csv", ok=False)
    print(f"ok: a dirty file: {len(good) + 1} good rows in, {len(rejects)} bad ones named with line and reason, {expected} to the cent", flush=True)

    # --- the same file twice; kill -9 in the middle --------------------------------------------------------------------
    rng = random.Random(5)
    n, total = 400_000, 0
    with open(work / "clients.csv", "w") as f:
        f.write("client_id,name\n" + "".join(f"k{i},Client {i}\n" for i in range(500)))
    with open(work / "products.csv", "w") as f:
        f.write("product_id,name\n" + "".join(f"p{i},Product {i}\n" for i in range(50)))
    with open(work / "sales.csv", "w") as f, open(work / "named.csv", "w") as g:
        f.write("client_id,product_id,date,amount\n")
        g.write("client_id,product_id,date,amount,sale_id\n")
        named = 0
        for i in range(n):
            minor = rng.randrange(1, 1_000_000)
            total += minor
            row = f"k{rng.randrange(500)},p{rng.randrange(50)},2025-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d},{minor // 100}.{minor % 100:02d}"
            f.write(row + "\n")
            if i < 20_000:
                named += minor
                g.write(f"{row},sale-{i}\n")
    load("named", "--clients", "clients.csv", "--products", "products.csv", "--sales", "named.csv")
    assert figures("named")["sales_amount_minor"] == named
    with open(work / "named.csv", "a") as g:  # another file, so other request names: the sale ids alone must hold
        g.write("k0,p0,2025-01-01,1.00,sale-new\n")
    load("named", "--sales", "named.csv")
    assert figures("named")["sales_amount_minor"] == named + 100 and figures("named")["sales"] == 20_001
    print("ok: sales with a sale_id, sent again in another file, are not doubled", flush=True)
    load("twice", "--clients", "clients.csv", "--products", "products.csv")
    kills = 0
    for attempt in range(3):
        client = subprocess.Popen([binary, "import", "--endpoint", endpoint, "--portfolio", "twice", "--sales", "sales.csv"], cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.4 + 0.2 * attempt)
        if client.poll() is None:
            kills += 1
        server.send_signal(signal.SIGKILL)
        server.wait()
        client.wait()
        server = start()
    load("twice", "--sales", "sales.csv")
    load("twice", "--sales", "sales.csv")
    assert figures("twice")["sales_amount_minor"] == total and figures("twice")["sales"] == n, (figures("twice"), total)
    print(f"ok: {n} sales, {kills} imports cut off by kill -9, then twice more: each sale counted once", flush=True)
finally:
    server.terminate()
    server.wait()
    assert b"panicked" not in (work / "log").read_bytes()
    subprocess.run(["rm", "-rf", work])
