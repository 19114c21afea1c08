"""Errors of scikit-learn models on the data sets that come with it, on grids of their hyperparameters.

    python bench/quality/tuning_table.py [--quick] FILE

Makes or goes on with a table: gzipped JSON, 1 - accuracy or 1 - R^2 of a 3-fold cross-validation by data set and model.
Between the levels of a grid the table is interpolated linearly (log scales in the logarithm), so that its least value is
that of a level: the optimum of every task is known.
"""
import gzip
import itertools
import json
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from asktell import Categorical, Float, Int


@dataclass(frozen=True)
class Grid:
    """A numeric hyperparameter and the levels at which it is evaluated."""

    levels: tuple
    log: bool = False
    when: tuple | None = None

    @property
    def parameter(self):
        kind = Int if all(isinstance(level, int) for level in self.levels) else Float
        return kind(self.levels[0], self.levels[-1], log=self.log, when=self.when)

    def position(self, value):
        scale = np.log if self.log else np.asarray
        return np.interp(scale(value), scale(self.levels), np.arange(len(self.levels)))


@dataclass(frozen=True)
class Choice:
    choices: tuple
    when: tuple | None = None

    @property
    def parameter(self):
        return Categorical(list(self.choices), when=self.when)


MODELS = {
    "svm": {
        "kernel": Choice(("linear", "rbf", "poly")),
        "C": Grid(tuple(10.0**k for k in np.arange(-3, 3.1, 0.75)), log=True),
        "gamma": Grid(tuple(10.0**k for k in np.arange(-4, 2.1, 0.75)), log=True, when=("kernel", ("rbf", "poly"))),
        "degree": Grid((2, 3, 4), when=("kernel", ("poly",))),
    },
    "k-nn": {
        "scaling": Choice(("none", "standard")),
        "weights": Choice(("uniform", "distance")),
        "n_neighbors": Grid((1, 2, 3, 5, 8, 13, 21, 40), log=True),
        "p": Grid((1.0, 2.0, 4.0)),
    },
    "tree": {
        "criterion": Choice((0, 1)),
        "max_depth": Grid((1, 2, 3, 4, 6, 9, 15)),
        "min_samples_leaf": Grid((1, 2, 4, 8, 16, 32), log=True),
        "max_features": Grid((0.1, 0.3, 0.6, 1.0)),
    },
    "linear": {
        "loss": Choice((0, 1)),
        "penalty": Choice(("l2", "l1", "elasticnet")),
        "l1_ratio": Grid((0.1, 0.5, 0.9), when=("penalty", ("elasticnet",))),
        "alpha": Grid(tuple(10.0**k for k in range(-6, 1)), log=True),
        "learning_rate": Choice(("optimal", "adaptive")),
        "eta0": Grid((1e-3, 1e-2, 1e-1), log=True, when=("learning_rate", ("adaptive",))),
    },
    "forest": {
        "n_estimators": Grid((10, 30, 90), log=True),
        "max_depth": Grid((2, 4, 8, 16), log=True),
        "max_features": Grid((0.1, 0.3, 0.6, 1.0)),
        "min_samples_leaf": Grid((1, 3, 9), log=True),
    },
    "boosting": {
        "learning_rate": Grid((0.01, 0.03, 0.1, 0.3, 1.0), log=True),
        "max_depth": Grid((1, 2, 4, 6)),
        "subsample": Grid((0.4, 0.7, 1.0)),
        "n_estimators": Grid((10, 30, 90), log=True),
    },
    "mlp": {
        "solver": Choice(("adam", "sgd")),
        "momentum": Grid((0.0, 0.5, 0.9), when=("solver", ("sgd",))),
        "activation": Choice(("relu", "tanh")),
        "hidden": Grid((8, 32, 128), log=True),
        "alpha": Grid((1e-5, 1e-2, 10.0), log=True),
        "learning_rate_init": Grid((1e-4, 1e-3, 1e-2, 1e-1), log=True),
    },
}
DATA = ("iris", "wine", "breast_cancer", "diabetes", "digits")
QUICK = [("iris", model) for model in ("svm", "k-nn", "tree")]
#: Digits takes part with so many of its rows.
ROWS = 500
FOLDS = 3


def holds(parameter, chosen):
    return parameter.when is None or chosen.get(parameter.when[0]) in parameter.when[1]


def branches(model):
    """The combinations of choices, each with the grids that exist there."""
    choices = {name: p for name, p in MODELS[model].items() if isinstance(p, Choice)}
    for values in itertools.product(*(p.choices for p in choices.values())):
        chosen = dict(zip(choices, values))
        yield chosen, {n: p for n, p in MODELS[model].items() if isinstance(p, Grid) and holds(p, chosen)}


def estimator(model, p, regression):
    from sklearn import ensemble, linear_model, neighbors, neural_network, svm, tree
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pick = lambda classifier, regressor: regressor if regression else classifier  # noqa: E731
    if model == "svm":
        made = pick(svm.SVC, svm.SVR)(**p, max_iter=20000)
    elif model == "k-nn":
        scaling = p.pop("scaling")
        made = pick(neighbors.KNeighborsClassifier, neighbors.KNeighborsRegressor)(**p)
        if scaling == "none":
            return made
    elif model == "tree":
        p["criterion"] = pick(("gini", "entropy"), ("squared_error", "absolute_error"))[p["criterion"]]
        made = pick(tree.DecisionTreeClassifier, tree.DecisionTreeRegressor)(**p, random_state=0)
    elif model == "linear":
        p["loss"] = pick(("log_loss", "hinge"), ("squared_error", "huber"))[p["loss"]]
        made = pick(linear_model.SGDClassifier, linear_model.SGDRegressor)(**p, max_iter=200, random_state=0)
    elif model == "forest":
        made = pick(ensemble.RandomForestClassifier, ensemble.RandomForestRegressor)(**p, random_state=0)
    elif model == "boosting":
        made = pick(ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor)(**p, random_state=0)
    else:
        p["hidden_layer_sizes"] = (p.pop("hidden"),)
        made = pick(neural_network.MLPClassifier, neural_network.MLPRegressor)(**p, max_iter=60, random_state=0)
    return make_pipeline(StandardScaler(), made)


def evaluate(data, model):
    """Errors of a model on a data set: for each of its branches those at all levels of the grids."""
    from sklearn import datasets
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

    regression = data == "diabetes"
    x, y = getattr(datasets, f"load_{data}")(return_X_y=True)
    if len(x) > 1000:
        x, y = x[:ROWS], y[:ROWS]
    if regression:
        y = (y - y.mean()) / y.std()
    folds = (KFold if regression else StratifiedKFold)(FOLDS, shuffle=True, random_state=0)

    def error(p):
        score = cross_val_score(estimator(model, p, regression), x, y, cv=folds).mean()
        return round(min(1 - float(score), 2.0), 5)

    return [
        [error(chosen | dict(zip(grids, levels))) for levels in itertools.product(*(g.levels for g in grids.values()))]
        for chosen, grids in branches(model)
    ]


def save(path, table):
    # No time in the header: the same table gives the same bytes.
    path.write_bytes(gzip.compress(json.dumps(table, separators=(",", ":")).encode(), mtime=0))


def load(path):
    return json.loads(gzip.decompress(Path(path).read_bytes()))


class Task:
    """A model on a data set; with model None the choice of the model too."""

    def __init__(self, table, data, model=None):
        self.models = [model] if model else sorted(table[data])
        self.joint = model is None
        self.arrays = {}
        for name in self.models:
            for (chosen, grids), errors in zip(branches(name), table[data][name]):
                shape = [len(g.levels) for g in grids.values()]
                self.arrays[name, tuple(chosen.values())] = np.array(errors).reshape(shape)
        # In a joint space each model weighs the same, as a uniform choice of the model does.
        means = [np.mean([a.mean() for (m, _), a in self.arrays.items() if m == name]) for name in self.models]
        self.least, self.mean = min(a.min() for a in self.arrays.values()), float(np.mean(means))

    @property
    def space(self):
        if not self.joint:
            return {name: p.parameter for name, p in MODELS[self.models[0]].items()}
        space = {"model": Categorical(self.models)}
        for model in self.models:
            for name, p in MODELS[model].items():
                when = (f"{model} {p.when[0]}", list(p.when[1])) if p.when else ("model", [model])
                space[f"{model} {name}"] = type(p)(**(vars(p) | {"when": when})).parameter
        return space

    def error(self, params):
        model = params["model"] if self.joint else self.models[0]
        if self.joint:
            params = {name.removeprefix(f"{model} "): v for name, v in params.items() if name.startswith(f"{model} ")}
        axes = MODELS[model]
        chosen = {name: params[name] for name, p in axes.items() if isinstance(p, Choice)}
        value = self.arrays[model, tuple(chosen.values())]
        for name, p in axes.items():
            if isinstance(p, Grid) and holds(p, chosen):
                at = p.position(params[name])
                low = min(int(at), len(p.levels) - 2)
                value = value[low] * (low + 1 - at) + value[low + 1] * (at - low)
        return float(value)

    def regret(self, error):
        """0 at the optimum, 1 at the mean of all configurations."""
        return max(0.0, (error - self.least) / (self.mean - self.least))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    path, quick = Path(sys.argv[-1]), "--quick" in sys.argv
    table = load(path) if path.exists() else {}
    for data, model in QUICK if quick else itertools.product(DATA, MODELS):
        if model not in table.setdefault(data, {}):
            table[data][model] = evaluate(data, model)
            save(path, table)
            print(data, model, sum(map(len, table[data][model])), file=sys.stderr, flush=True)
