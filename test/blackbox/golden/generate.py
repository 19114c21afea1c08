#!/usr/bin/env python3
"""Writes the golden files of this folder. Needs scipy and optuna (the versions are written into the files)."""
import functools
import json
import math
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
parzen()
