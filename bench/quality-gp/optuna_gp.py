"""The functions of problems.ts with Optuna's GPSampler: regret after 20, 40, ... evaluations, median of the seeds.

python bench/quality-gp/optuna_gp.py [seeds] [evaluations] [names]
"""
import sys
import time
import warnings

import numpy as np
import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")
A = np.array([[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]])
P = 1e-4 * np.array([[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991],
                     [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]])


def branin(x):
    return ((x[1] - 5.1 / (4 * np.pi**2) * x[0] ** 2 + 5 / np.pi * x[0] - 6) ** 2
            + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x[0]) + 10)


def hartmann6(x):
    return -np.sum(np.array([1, 1.2, 3, 3.2]) * np.exp(-np.sum(A * (x - P) ** 2, axis=1)))


def rosenbrock4(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def ackley5(x):
    return -20 * np.exp(-0.2 * np.sqrt(np.mean(x**2))) - np.exp(np.mean(np.cos(2 * np.pi * x))) + 20 + np.e


def ellipsoid5(x):
    i = np.arange(5)
    return np.sum(10.0**i * (x - 0.7 * np.cos(i + 1)) ** 2)


BENCHES = {
    "branin": (branin, [(-5, 10), (0, 15)], 0.39788735772973816),
    "hartmann6": (hartmann6, [(0, 1)] * 6, -3.322368011391339),
    "rosenbrock4": (rosenbrock4, [(-5, 10)] * 4, 0.0),
    "ackley5": (ackley5, [(-15, 30)] * 5, 0.0),
    "ellipsoid5": (ellipsoid5, [(-5, 5)] * 5, 0.0),
}

seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
evaluations = int(sys.argv[2]) if len(sys.argv) > 2 else 60
names = sys.argv[3].split(",") if len(sys.argv) > 3 else list(BENCHES)
for name in names:
    f, bounds, optimum = BENCHES[name]
    start = time.time()
    curves = []
    for seed in range(seeds):
        study = optuna.create_study(sampler=optuna.samplers.GPSampler(seed=seed))
        study.optimize(
            lambda trial: f(np.array([trial.suggest_float(f"x{i}", lo, hi) for i, (lo, hi) in enumerate(bounds)])),
            n_trials=evaluations,
        )
        curves.append(np.minimum.accumulate([t.value for t in study.trials]) - optimum)
    seconds = time.time() - start
    curves = np.array(curves)
    marks = range(20, evaluations + 1, 20)
    # The lower median, as in run.ts.
    cells = "  ".join(f"{n}: {np.sort(curves[:, n - 1])[(seeds - 1) // 2]:.2e} (max {curves[:, n - 1].max():.1e})" for n in marks)
    print(f"{name:12} {cells} {1000 * seconds / seeds / evaluations:.1f} ms/trial", flush=True)
