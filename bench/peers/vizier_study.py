"""OSS Vizier as a service. `server`: its default server. `worker endpoint study threads algorithm`: workers as threads of
one process, each a client with an id of its own.

A worker answers "run n seconds" with the number of trials it finished when it had n, or when the time was up.
"""
import os
import sys
import threading
import time

os.environ.setdefault("JAX_PLATFORMS", "cpu")
from absl import logging  # noqa: E402
from importlib.metadata import version  # noqa: E402
from vizier._src.service import vizier_server  # noqa: E402
from vizier.service import clients  # noqa: E402
from vizier.service import pyvizier as vz  # noqa: E402

logging.set_verbosity(logging.ERROR)


def serve():
    server = vizier_server.DefaultVizierServer()
    print(f'{{"endpoint": "{server.endpoint}", "vizier": "{version("google-vizier")}"}}', flush=True)
    sys.stdin.read()
    os._exit(0)


def worker(endpoint, name, threads, algorithm):
    clients.environment_variables.server_endpoint = endpoint
    config = vz.StudyConfig(algorithm=algorithm)
    for i in range(10):
        config.search_space.root.add_float_param(f"x{i}", 0.0, 1.0)
    config.metric_information.append(vz.MetricInformation(name="y", goal=vz.ObjectiveMetricGoal.MINIMIZE))
    study = clients.Study.from_study_config(config, owner="bench", study_id=name)
    print("{}", flush=True)
    for line in sys.stdin:
        _, n, seconds = line.split()
        left, done, lock = int(n), [0], threading.Lock()
        until = time.monotonic() + float(seconds)

        def loop(k):
            nonlocal left
            while True:
                with lock:
                    if left <= 0 or time.monotonic() > until:
                        return
                    left -= 1
                for trial in study.suggest(count=1, client_id=f"{os.getpid()}-{k}"):
                    y = sum((float(x) - 0.3) ** 2 for x in trial.parameters.values())
                    trial.complete(vz.Measurement({"y": y}))
                with lock:
                    done[0] += 1

        loops = [threading.Thread(target=loop, args=(k,), daemon=True) for k in range(threads)]
        for one in loops:
            one.start()
        for one in loops:
            one.join(max(0, until - time.monotonic()))  # what is under way when the time is up does not count
        with lock:
            print(done[0], flush=True)
    os._exit(0)


if sys.argv[1] == "server":
    serve()
else:
    worker(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
