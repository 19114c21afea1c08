"""Learning curves of networks on scikit-learn's digits, on a grid of their hyperparameters.

    python bench/quality/curves_table.py FILE

Makes a table: gzipped JSON, how many of 600 held-out images a network takes for another digit after each of 27 epochs.
Between the levels of the grid curves are interpolated linearly (log scales in the logarithm), so that the least error is
that of a level.
"""
import itertools
import sys
import warnings
from pathlib import Path

import numpy as np
from tuning_table import Choice, Grid, load, save

AXES = {
    "activation": Choice(("relu", "tanh")),
    "learning_rate": Grid((1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1), log=True),
    "momentum": Grid((0.0, 0.6, 0.9)),
    "hidden": Grid((8, 24, 72), log=True),
    "batch_size": Grid((16, 64, 256), log=True),
}
SHAPE = [len(getattr(p, "levels", None) or p.choices) for p in AXES.values()]
EPOCHS, HELD_OUT = 27, 600


def curve(x, y, activation, learning_rate, momentum, hidden, batch_size):
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier(
        (hidden,),
        activation=activation,
        solver="sgd",
        learning_rate_init=learning_rate,
        momentum=momentum,
        batch_size=batch_size,
        random_state=0,
    )
    errors = []
    for _ in range(EPOCHS):
        try:
            network.partial_fit(x[HELD_OUT:], y[HELD_OUT:], classes=np.arange(10))
        except ValueError:  # It diverged: from now on a guess.
            return errors + [round(0.9 * HELD_OUT)] * (EPOCHS - len(errors))
        errors.append(int((network.predict(x[:HELD_OUT]) != y[:HELD_OUT]).sum()))
    return errors


def evaluate():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order] / 16 - 0.5, y[order]
    for levels in itertools.product(*(getattr(p, "levels", None) or p.choices for p in AXES.values())):
        print(*levels, file=sys.stderr, flush=True)
        yield curve(x, y, *levels)


class Curves:
    """The task of finding the configuration of least error; a curve is a list of errors after each epoch."""

    space = {name: p.parameter for name, p in AXES.items()}

    def __init__(self, path):
        self.table = np.array(load(path)).reshape(*SHAPE, EPOCHS) / HELD_OUT
        self.least, self.mean = self.table.min(), self.table[..., -1].mean()

    def curve(self, params):
        value = self.table
        for name, p in AXES.items():
            if isinstance(p, Choice):
                value = value[p.choices.index(params[name])]
            else:
                at = p.position(params[name])
                low = min(int(at), len(p.levels) - 2)
                value = value[low] * (low + 1 - at) + value[low + 1] * (at - low)
        return value.tolist()

    def regret(self, error):
        """0 at the least error of the table, 1 at the mean of fully trained configurations."""
        return max(0.0, (error - self.least) / (self.mean - self.least))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    save(Path(sys.argv[1]), list(evaluate()))
