#!/usr/bin/env python3
"""Writes the golden files of this folder. Needs scipy and optuna (the versions are written into the files)."""
import functools
import json
import math
import random
import warnings
from pathlib import Path

import numpy as np
import optuna
import scipy
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights
from scipy.stats import qmc

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
here = Path(__file__).parent


def write(name, data):
    (here / f"{name}.json").write_text(json.dumps(data) + "\n")


def sobol():
    few = qmc.Sobol(10, scramble=False).random(64)
    many = qmc.Sobol(512, scramble=False).random(4096)
    write("sobol", {
        "source": f"scipy {scipy.__version__} stats.qmc.Sobol(scramble=False)",
        "few": few.tolist(),
        "many": {str(i): many[i].tolist() for i in (1, 777, 4095)},
    })


def pruning():
    """Four trials at a time report noisy curves; every report's decision is written down."""
    cases = []
    settings = [
        ("median", {}, lambda: optuna.pruners.MedianPruner()),
        ("median", {"nStartupTrials": 2, "nWarmupSteps": 3, "intervalSteps": 4, "nMinTrials": 3},
         lambda: optuna.pruners.MedianPruner(2, 3, 4, n_min_trials=3)),
        ("asha", {}, lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1)),
        ("asha", {"minResource": 2, "reductionFactor": 3, "minEarlyStoppingRate": 1, "bootstrapCount": 2},
         lambda: optuna.pruners.SuccessiveHalvingPruner(2, 3, 1, 2)),
    ]
    for pruner, config, make in settings:
        for direction in ("minimize", "maximize"):
            rng = random.Random(len(cases))
            study = optuna.create_study(direction=direction, pruner=make())
            sign = 1 if direction == "minimize" else -1
            events, running, started = [], [], 0
            while started < 40 or running:
                if started < 40 and len(running) < 4:
                    running.append([study.ask(), 0, rng.random()])
                    started += 1
                    continue
                job = rng.choice(running)
                trial, step, level = job
                value = sign * (level + 1 / (1 + step) + 0.2 * rng.random())
                if rng.random() < 0.03:
                    value = math.nan
                trial.report(value, step)
                prune = bool(trial.should_prune())
                events.append([trial.number, step, None if math.isnan(value) else value, prune])
                job[1] += rng.choice([1, 1, 1, 2])
                if prune or job[1] > 20:
                    running.remove(job)
                    failed = not prune and rng.random() < 0.2
                    state = optuna.trial.TrialState
                    if prune:
                        study.tell(trial, state=state.PRUNED)
                    elif failed:
                        study.tell(trial, state=state.FAIL)
                    else:
                        study.tell(trial, 0.0 if math.isnan(value) else value)
                    events.append([trial.number, "pruned" if prune else "failed" if failed else "ok"])
            cases.append({"pruner": pruner, "config": config, "direction": direction, "events": events})
    write("pruning", {"source": f"optuna {optuna.__version__}", "cases": cases})


def parzen():
    """Log densities of Optuna's estimator, in its own units; the unit cube's differ by a constant per space.

    Neighbours among equal values are a matter of the sort; NumPy's default depends on the processor, so it is replaced
    by the stable one: ties by age.
    """
    np.argsort = functools.partial(np.argsort, kind="stable")
    space = {
        "x": FloatDistribution(-2.0, 3.0),
        "rate": FloatDistribution(1e-4, 1.0, log=True),
        "width": IntDistribution(4, 200, log=True),
        "depth": IntDistribution(1, 6),
        "grid": FloatDistribution(0.0, 1.0, step=0.25),
        "kind": CategoricalDistribution(["a", "b", "c"]),
    }
    parameters = _ParzenEstimatorParameters(1.0, True, False, default_weights, True)
    cases = []
    for n in (0, 1, 2, 12, 26, 27, 150):
        rng = np.random.RandomState(n)

        def draw(count):
            return {
                "x": rng.uniform(-2, 3, count), "rate": np.exp(rng.uniform(math.log(1e-4), 0, count)),
                "width": rng.randint(4, 201, count).astype(float), "depth": rng.randint(1, 7, count).astype(float),
                "grid": rng.randint(0, 5, count) * 0.25, "kind": rng.randint(0, 3, count).astype(float),
            }

        kernels, points = draw(n), draw(24)
        estimator = _ParzenEstimator(kernels, space, parameters)
        rows = lambda table, count: [[float(table[k][i]) for k in space] for i in range(count)]
        cases.append({"kernels": rows(kernels, n), "points": rows(points, 24),
                      "logDensity": estimator.log_pdf(points).tolist()})
    write("parzen", {"source": f"optuna {optuna.__version__} _ParzenEstimator", "cases": cases})


sobol()
pruning()
parzen()
