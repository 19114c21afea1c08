"""Writes golden.json: importances by Optuna's PED-ANOVA and fANOVA, and the trees behind the latter, for the tests beside it.

Run with a Python that has optuna and scikit-learn: python test/blackbox/analysis/golden.py
"""

import json
import pathlib
import warnings

import numpy as np
import optuna
from optuna.importance._fanova._fanova import _Fanova

warnings.simplefilter("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)

SPACE = {
    "x": optuna.distributions.FloatDistribution(-3, 3),
    "lr": optuna.distributions.FloatDistribution(1e-5, 1, log=True),
    "s": optuna.distributions.FloatDistribution(0, 2, step=0.25),
    "n": optuna.distributions.IntDistribution(1, 20),
    "w": optuna.distributions.IntDistribution(1, 1000, log=True),
    "odd": optuna.distributions.IntDistribution(1, 199, step=2),
    "kind": optuna.distributions.CategoricalDistribution(["a", "b", "c"]),
    "depth": optuna.distributions.IntDistribution(1, 8),
}


def sample(rng):
    params = {
        "x": float(rng.uniform(-3, 3)),
        "lr": float(np.exp(rng.uniform(np.log(1e-5), 0))),
        "s": 0.25 * int(rng.integers(0, 9)),
        "n": int(rng.integers(1, 21)),
        "w": int(np.exp(rng.uniform(0, np.log(1000)))),
        "odd": 1 + 2 * int(rng.integers(0, 100)),
        "kind": str(rng.choice(["a", "b", "c"])),
    }
    if params["kind"] == "a":
        params["depth"] = int(rng.integers(1, 9))
    return params


def value(p):
    kind = {"a": 0.2 * (p.get("depth", 0) - 3) ** 2, "b": 2.0, "c": 1.0}[p["kind"]]
    return p["x"] ** 2 + 0.3 * (np.log10(p["lr"]) + 2) ** 2 + 0.1 * p["s"] + 0.01 * p["n"] + kind


def study_of(trials, direction):
    study = optuna.create_study(direction=direction)
    for params, told in trials:
        distributions = {k: SPACE[k] for k in params}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=told))
    return study


def ped_anova(count, seed, direction, quantile):
    rng = np.random.default_rng(seed)
    sign = -1 if direction == "maximize" else 1
    trials = [(p, float(sign * value(p))) for p in (sample(rng) for _ in range(count))]
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
    raw = evaluator.evaluate(study_of(trials, direction))
    return {
        "direction": direction,
        "quantile": quantile,
        "params": [p for p, _ in trials],
        "values": [v for _, v in trials],
        "raw": {k: float(v) for k, v in raw.items()},
    }


def fanova():
    """Four trees on three coordinates."""
    rng = np.random.default_rng(5)
    x = rng.uniform(0, 1, (40, 3))
    y = np.sin(6 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.3 * x[:, 1]
    groups = [np.array([k]) for k in range(3)]
    forest = _Fanova(n_trees=4, max_depth=64, min_samples_split=2, min_samples_leaf=1, seed=1)
    forest.fit(x, y, np.array([[0.0, 1.0]] * 3), groups)
    return {
        "importances": [forest.get_importance(i)[0] for i in range(len(groups))],
        "trees": [
            {
                "feature": tree._tree.feature.tolist(),
                "threshold": tree._tree.threshold.tolist(),
                "left": tree._tree.children_left.tolist(),
                "right": tree._tree.children_right.tolist(),
                "value": tree._tree.value.reshape(-1).tolist(),
                "variance": tree.variance,
            }
            for tree in forest._trees
        ],
    }


def forest_importances():
    """What Optuna's evaluator says of 150 trials, on average over seeds."""
    rng = np.random.default_rng(11)
    trials = []
    for _ in range(150):
        params = {k: v for k, v in sample(rng).items() if k in ("x", "s", "n", "kind")}
        trials.append((params, float(params["x"] ** 2 + 0.5 * params["s"] + {"a": 0.0, "b": 2.0, "c": 1.0}[params["kind"]])))
    study = study_of(trials, "minimize")
    runs = [
        optuna.importance.get_param_importances(study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=seed))
        for seed in range(5)
    ]
    names = list(trials[0][0])
    return {
        "params": [p for p, _ in trials],
        "values": [v for _, v in trials],
        "mean": {n: float(np.mean([r[n] for r in runs])) for n in names},
        "spread": {n: float(np.std([r[n] for r in runs])) for n in names},
    }


golden = {
    "pedAnova": [
        ped_anova(120, 0, "minimize", 0.1),
        ped_anova(57, 1, "maximize", 0.25),
        ped_anova(14, 2, "minimize", 0.1),
    ],
    "fanova": fanova(),
    "forest": forest_importances(),
}
(pathlib.Path(__file__).parent / "golden.json").write_text(json.dumps(golden) + "\n")
