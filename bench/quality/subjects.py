"""Optimizers behind one signature: minimize(space, budget, batch, seed, evaluate).

A space is a dict of asktell's Float, Int and Categorical; `evaluate` takes a list of parameter dicts and gives their values.
Every peer runs as its documentation advises; what cannot take a space is refused with the reason.
"""
import os
import warnings

import numpy as np
from asktell import Categorical, Client, Float, Int, Observation

warnings.simplefilter("ignore")


class Unsuited(Exception):
    """The optimizer cannot take the space, or is not installed."""


class Solved(Exception):
    """Raised by `evaluate` when no further evaluation can change the result."""


def active(params, parameter):
    """Whether a parameter exists beside those chosen before it."""
    if parameter.when is None:
        return True
    parent, values = parameter.when
    return params.get(parent) in (values if isinstance(values, (list, tuple)) else [values])


def without_inactive(space, params):
    kept = {}
    for name, parameter in space.items():
        if active(kept, parameter):
            kept[name] = params[name]
    return kept


def bounds_of(space, who):
    """Bounds of a space of plain floats."""
    if any(not isinstance(p, Float) or p.log or p.when for p in space.values()):
        raise Unsuited(f"{who}: floats only")
    return np.array([(p.low, p.high) for p in space.values()]).T


def in_batches(budget, batch, ask, tell, evaluate):
    done = 0
    while done < budget:
        points = ask(min(batch, budget - done))
        tell(points, evaluate([params for _, params in points]))
        done += len(points)


_client = None


def client():
    global _client
    _client = _client or Client(os.environ["ASKTELL_TARGET"], timeout=600)
    return _client


def asktell(method, objectives=1):
    def minimize(space, budget, batch, seed, evaluate):
        config = {"maxEvaluations": budget} if method == "auto" else {}
        goals = {f"f{k}": "minimize" for k in range(objectives)}
        session = client().create_session(method, space, config=config, objectives=goals, seed=seed)
        try:
            with session.stream() as stream:
                step, done = stream.step(count=batch), 0
                while step.queries:
                    values = evaluate([q.params for q in step.queries])
                    done += len(values)
                    told = [Observation(q, v) for q, v in zip(step.queries, values)]
                    step = stream.step(told, count=min(batch, budget - done))
        finally:
            session.delete()

    return minimize


def random_search(space, budget, batch, seed, evaluate):
    rng = np.random.default_rng(seed)

    def draw(p):
        if isinstance(p, Categorical):
            return p.choices[rng.integers(len(p.choices))]
        low, high = (p.low, p.high) if isinstance(p, Float) else (p.low - 0.5, p.high + 0.5)
        value = np.exp(rng.uniform(np.log(low), np.log(high))) if p.log else rng.uniform(low, high)
        return float(value) if isinstance(p, Float) else int(np.clip(round(value), p.low, p.high))

    def ask(count):
        return [(None, without_inactive(space, {k: draw(p) for k, p in space.items()})) for _ in range(count)]

    in_batches(budget, batch, ask, lambda points, values: None, evaluate)


def suggested(trial, space):
    """The parameters of a trial of Optuna."""
    params = {}
    for name, p in space.items():
        if not active(params, p):
            continue
        if isinstance(p, Categorical):
            params[name] = trial.suggest_categorical(name, p.choices)
        elif isinstance(p, Int):
            params[name] = trial.suggest_int(name, p.low, p.high, log=p.log)
        else:
            params[name] = trial.suggest_float(name, p.low, p.high, log=p.log)
    return params


def optuna(kind, objectives=1):
    def minimize(space, budget, batch, seed, evaluate):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers = optuna.samplers
        conditional = any(p.when for p in space.values())
        if kind == "tpe":
            sampler = samplers.TPESampler(seed=seed, multivariate=True, group=conditional, constant_liar=batch > 1)
        elif kind == "gp":
            sampler = samplers.GPSampler(seed=seed, deterministic_objective=True)
        elif kind == "nsga2":
            sampler = samplers.NSGAIISampler(seed=seed)
        else:
            sampler = samplers.CmaEsSampler(seed=seed)
        study = optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)

        def tell(points, values):
            for (trial, _), value in zip(points, values):
                study.tell(trial, value)

        def ask(count):
            trials = [study.ask() for _ in range(count)]
            return [(trial, suggested(trial, space)) for trial in trials]

        in_batches(budget, batch, ask, tell, evaluate)

    return minimize


def pycma_bipop(space, budget, batch, seed, evaluate):
    import cma

    low, high = bounds_of(space, "pycma")
    rng = np.random.default_rng(seed)
    left = budget

    def objective(x):
        nonlocal left
        if left == 0:
            raise Solved
        left -= 1
        return evaluate([dict(zip(space, map(float, x)))])[0]

    options = {"bounds": [list(low), list(high)], "seed": seed + 1, "verbose": -9, "maxfevals": budget}
    start = lambda: rng.uniform(0.9 * low + 0.1 * high, 0.1 * low + 0.9 * high)  # noqa: E731
    while left > 0:
        cma.fmin2(objective, start, 0.2 * float(high[0] - low[0]), options, restarts=9, bipop=True)


def nevergrad(kind):
    return lambda *given: minimize_with_nevergrad(kind, *given)


def minimize_with_nevergrad(kind, space, budget, batch, seed, evaluate):
    import nevergrad as ng

    plain = all(isinstance(p, Float) and not p.log and not p.when for p in space.values())
    if plain:
        low, high = bounds_of(space, "nevergrad")
        parametrization = ng.p.Array(init=(low + high) / 2).set_bounds(low, high)
    else:

        def axis(p):
            if isinstance(p, Categorical):
                return ng.p.Choice(list(p.choices))
            scalar = ng.p.Log(lower=p.low, upper=p.high) if p.log else ng.p.Scalar(lower=p.low, upper=p.high)
            return scalar.set_integer_casting() if isinstance(p, Int) else scalar

        parametrization = ng.p.Dict(**{name: axis(p) for name, p in space.items()})
    parametrization.random_state.seed(seed)
    optimizer = ng.optimizers.registry[kind](parametrization=parametrization, budget=budget, num_workers=batch)

    def ask(count):
        candidates = [optimizer.ask() for _ in range(count)]
        named = [dict(zip(space, map(float, c.value))) if plain else c.value for c in candidates]
        return [(c, without_inactive(space, params)) for c, params in zip(candidates, named)]

    def tell(points, values):
        for (candidate, _), value in zip(points, values):
            optimizer.tell(candidate, float(value))

    in_batches(budget, batch, ask, tell, evaluate)


def botorch(space, budget, batch, seed, evaluate):
    import torch
    from botorch import fit_gpytorch_mll
    from botorch.acquisition import LogExpectedImprovement, qLogExpectedImprovement
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Standardize
    from botorch.optim import optimize_acqf
    from gpytorch.mlls import ExactMarginalLogLikelihood

    low, high = bounds_of(space, "botorch")
    d = len(low)
    torch.manual_seed(seed)
    unit = torch.stack([torch.zeros(d), torch.ones(d)]).double()
    sobol = torch.quasirandom.SobolEngine(d, scramble=True, seed=seed)
    points, values = torch.empty(0, d, dtype=torch.double), torch.empty(0, 1, dtype=torch.double)

    def ask(count):
        initial = 2 * (d + 1)
        if len(points) < initial:
            us = sobol.draw(min(count, initial - len(points))).double()
        else:
            model = SingleTaskGP(points, -values, outcome_transform=Standardize(1))
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            kind = LogExpectedImprovement if count == 1 else qLogExpectedImprovement
            acquisition = kind(model, best_f=(-values).max())
            us, _ = optimize_acqf(acquisition, unit, count, num_restarts=10, raw_samples=512)
        xs = low + (high - low) * us.numpy()
        return [(u, dict(zip(space, map(float, x)))) for u, x in zip(us, xs)]

    def tell(asked, told):
        nonlocal points, values
        points = torch.cat([points, torch.stack([u for u, _ in asked])])
        values = torch.cat([values, torch.tensor(told, dtype=torch.double)[:, None]])

    in_batches(budget, batch, ask, tell, evaluate)


PACKAGES = "optuna cmaes cma nevergrad botorch pymoo ioh syne-tune coco-experiment scikit-learn".split()
#: By name; the last two need over a tenth of a second for a suggestion.
PEERS = {
    "random": random_search,
    "optuna-tpe": optuna("tpe"),
    "optuna-cma-es": optuna("cma"),
    "pycma-bipop": pycma_bipop,
    "nevergrad-ngopt": nevergrad("NGOpt"),
    "nevergrad-discrete": nevergrad("DiscreteLenglerOnePlusOne"),
    "optuna-gp": optuna("gp"),
    "botorch-logei": botorch,
}


def subject(name):
    """A peer by its name, or a method of asktell as `asktell:auto`."""
    owner, _, method = name.partition(":")
    if owner != "asktell" and name not in PEERS:
        raise Unsuited("not for this benchmark")
    return asktell(method) if owner == "asktell" else PEERS[name]


def versions():
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found
