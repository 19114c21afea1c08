"""Seconds per suggestion of an Optuna sampler in process: no storage, no wire. Argument: tpe or gp, and the threads.

Answers lines on stdin: "load n seed" (a new study with n finished trials) | "suggest k" (k times ask and tell).
"""
import sys
import time
import warnings

import numpy as np
import optuna
from optuna.distributions import FloatDistribution

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")
kind, threads = sys.argv[1], int(sys.argv[2])
NAMES = [f"x{i}" for i in range(10)]
SPACE = {name: FloatDistribution(0, 1) for name in NAMES}


def objective(params):
    return sum((params[name] - 0.3) ** 2 for name in NAMES)


def sampler(seed):
    if kind == "gp":
        return optuna.samplers.GPSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, multivariate=True)


def load(n, seed):
    study = optuna.create_study(sampler=sampler(seed))
    points = np.random.default_rng(seed).random((n, 10))
    trials = []
    for point in points:
        params = dict(zip(NAMES, map(float, point)))
        trials.append(optuna.create_trial(params=params, distributions=SPACE, value=objective(params)))
    study.add_trials(trials)
    return study


if kind == "gp":
    import torch

    torch.set_num_threads(threads)
print(f'{{"optuna": "{optuna.__version__}"}}', flush=True)
study = None
for line in sys.stdin:
    command, *rest = line.split()
    begun = time.perf_counter()
    if command == "load":
        study = load(*map(int, rest))
    else:
        for _ in range(int(rest[0])):
            trial = study.ask(SPACE)
            study.tell(trial, objective(trial.params))
    print(time.perf_counter() - begun, flush=True)
