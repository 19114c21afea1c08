"""Fixtures: a real server process, built from this repository."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import asktell

REPOSITORY = Path(__file__).resolve().parents[3]
#: The built command line; another build can be named for a run of the tests.
MAIN = Path(os.environ.get("TEST_ASKTELL_MAIN", REPOSITORY / "dist" / "src" / "cli" / "main.js"))


class Server:
    """A server process that may be killed and started again on the same port and data."""

    def __init__(self, store: str, data: Path, *flags: str) -> None:
        if not MAIN.exists():
            pytest.fail(f"there is no server at {MAIN}: run `npm ci && npm run build` at the root of the repository")
        self.store, self.data, self.flags = store, data, flags
        self.port = 0
        self.start()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        flags = ["--store", self.store, "--data-dir", str(self.data), "--grpc-port", str(self.port), "--http-port", "0"]
        self.log = (self.data.parent / f"{self.data.name}.log").open("a")
        self.process = subprocess.Popen(
            ["node", str(MAIN), "serve", "--json", "--log-level", "warn", *flags, *self.flags],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            # The server takes every ASKTELL_ name for one of its settings.
            env={name: value for name, value in os.environ.items() if not name.startswith("ASKTELL_")},
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{") and "grpcPort" in line:
                self.port = json.loads(line)["grpcPort"]
                return
        pytest.fail(f"the server did not start: {Path(self.log.name).read_text()}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()

    def restart(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.stop(how)
        self.start()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that leave it alone, in memory."""
    server = Server("memory", tmp_path_factory.mktemp("memory") / "data")
    yield server
    server.stop()


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Server]:
    """A server of its own, on disk, for tests that kill it."""
    server = Server("lmdb", tmp_path / "data")
    yield server
    server.stop()


@pytest.fixture
def client(server: Server) -> Iterator[asktell.Client]:
    with asktell.Client(server.target) as client:
        yield client


class Proxy:
    """Passes TCP on to a server, and loses the connections or the answers when told to."""

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        #: While set, bytes of the server are swallowed: requests arrive, and their answers get lost.
        self.deaf = threading.Event()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                down, _ = self.listener.accept()
            except OSError:
                return
            up = socket.create_connection(("127.0.0.1", self.upstream))
            self.pairs.append((down, up))
            threading.Thread(target=self._pump, args=(down, up, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(up, down, True), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if not (answers and self.deaf.is_set()):
                    sink.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                end.close()

    def drop(self) -> None:
        """Cuts all connections."""
        pairs, self.pairs = self.pairs, []
        for ends in pairs:
            for end in ends:
                shut(end)

    def close(self) -> None:
        self.listener.close()
        self.drop()


def shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


def wait_until(condition, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
