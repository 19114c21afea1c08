"""Optuna with its gRPC storage proxy. `server`: the proxy before a storage in memory. `worker port study threads`: workers
as threads of one process, each with TPESampler as documented for parallel work.

A worker answers "run n seconds" with the number of trials it finished when it had n, or when the time was up.
"""
import os
import sys
import threading
import time

import grpc
import optuna
from optuna.distributions import FloatDistribution

optuna.logging.set_verbosity(optuna.logging.ERROR)
NAMES = [f"x{i}" for i in range(10)]
SPACE = {name: FloatDistribution(0, 1) for name in NAMES}


def serve():
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    storage = optuna.storages.InMemoryStorage()
    proxy = lambda: optuna.storages.run_grpc_proxy_server(storage, host="127.0.0.1", port=port)
    threading.Thread(target=proxy, daemon=True).start()
    grpc.channel_ready_future(grpc.insecure_channel(f"127.0.0.1:{port}")).result(30)
    print(f'{{"port": {port}, "optuna": "{optuna.__version__}"}}', flush=True)
    sys.stdin.read()


def worker(port, name, threads):
    storage = optuna.storages.GrpcStorageProxy(host="127.0.0.1", port=port)
    sampler = optuna.samplers.TPESampler(multivariate=True)
    study = optuna.create_study(storage=storage, study_name=name, sampler=sampler, load_if_exists=True)
    print("{}", flush=True)
    for line in sys.stdin:
        _, n, seconds = line.split()
        left, done, lock = int(n), [0], threading.Lock()
        until = time.monotonic() + float(seconds)

        def loop():
            nonlocal left
            while True:
                with lock:
                    if left <= 0 or time.monotonic() > until:
                        return
                    left -= 1
                trial = study.ask(SPACE)
                study.tell(trial, sum((trial.params[name] - 0.3) ** 2 for name in NAMES))
                with lock:
                    done[0] += 1

        loops = [threading.Thread(target=loop, daemon=True) for k in range(threads)]
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
    worker(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
