"""Several processes on one gradient session: a step takes what a quorum of them tells."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np

from asktell import Client, TensorSpace

from .conftest import Server

#: Each worker has its own rows of one least-squares problem. Argument 1: the server; 2: the session; 3: its number.
WORKER = """
import sys
import numpy as np
from asktell import Client

target, name, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
rng = np.random.default_rng(number)
rows = rng.normal(size=(20, 4))
answers = rows @ np.array([1.0, -2.0, 3.0, 0.5])
session = Client(target).session(name)
step = session.ask(wait=30, worker=f"worker-{number}")
print("ready", flush=True)
while step.state == "running":
    if not step.queries:
        step = session.ask(wait=30, worker=f"worker-{number}")
        continue
    query = step.queries[0]
    gradient = rows.T @ (rows @ query.point["w"] - answers) / len(rows)
    try:
        step = session.step(query, gradient={"w": gradient.astype(np.float32)}, wait=30, worker=f"worker-{number}")
    except Exception as error:
        # The step was made without this one.
        if getattr(error, "reason", "") != "QUERY_RESOLVED":
            raise
        step = session.ask(wait=30, worker=f"worker-{number}")
"""


def test_goes_on_without_a_worker_that_is_killed(server: Server) -> None:
    client = Client(server.target)
    gathering = {"id": "barrier", "workers": 3, "quorum": 2, "deadline": 0.2}
    config = {"learningRate": 0.2, "gathering": gathering}
    session = client.create_session("sgd", TensorSpace({"w": np.zeros(4, np.float32)}), config=config, seed=1)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, server.target, session.name, str(number)], stdout=subprocess.PIPE, text=True
        )
        for number in range(3)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"

        def until(steps: int) -> None:
            deadline = time.monotonic() + 60
            while session.estimate().step < steps:
                assert time.monotonic() < deadline, "the session stands still"
                assert all(worker.poll() in (None, -signal.SIGKILL) for worker in workers)
                time.sleep(0.05)

        until(5)
        workers[0].kill()
        until(80)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    w = session.estimate().point["w"]
    np.testing.assert_allclose(w, [1.0, -2.0, 3.0, 0.5], atol=1e-3)
    client.close()
