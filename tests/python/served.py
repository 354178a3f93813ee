"""A server on a folder of its own with one book imported, spoken to by the command line."""
import json, pathlib, re, socket, subprocess, tempfile, time

TWO_WORDS = ("objectives", "outcomes", "recipe")


def given(folder, name):
    """The file of a book, plain or packed."""
    return next(path for path in (pathlib.Path(folder) / f"{name}.csv", pathlib.Path(folder) / f"{name}.csv.gz") if path.exists())


class Served:
    """`with Served(BINARY) as served`: the server ends with it, and fails the script if it panicked."""

    def __init__(self, binary, book="book"):
        self.binary, self.book = binary, book
        self.work = tempfile.TemporaryDirectory()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = open(f"{self.work.name}/serve.log", "w")
        self.server = subprocess.Popen(
            [binary, "serve", "--data-dir", f"{self.work.name}/data", "--listen", f"127.0.0.1:{self.port}", "--free-floor-mib", "0",
             "--log", "info,carteira::engine::renewing=debug", "--log-format", "json"], stderr=self.log)

    def __enter__(self):
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.1)
        raise RuntimeError("the server does not listen")

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait()
        assert "panicked" not in self.told(), self.told()[-2_000:]

    def told(self):
        """All that the server logged."""
        return open(f"{self.work.name}/serve.log").read()

    def run(self, *command):
        """What a command prints."""
        words = 2 if command[0] in TWO_WORDS else 1
        asked = [self.binary, *command[:words], "--endpoint", f"http://127.0.0.1:{self.port}", "--portfolio", self.book, *command[words:]]
        return subprocess.run(asked, check=True, stdout=subprocess.PIPE, stderr=self.log, text=True).stdout

    def read(self, *command):
        """The same as data."""
        return json.loads(self.run(*command, "--output", "json"))

    def load(self, folder, currency="USD"):
        """Imports a book."""
        self.run("import", "--currency", currency, *(f"--{name}={given(folder, name)}" for name in ("clients", "products", "sales")))
        self.settle()

    def settle(self):
        """Waits until the model and all offers follow from all that was written."""
        # Any answer tells the write counter that it includes.
        written, began = self.read("segments")["sequence"], time.monotonic()
        renewed = re.compile(rf'model and pipeline renewed.*"sequence":{written},')
        while not renewed.search(self.told()):
            assert time.monotonic() - began < 900, "the model is not fitted anew"
            time.sleep(0.2)
