"""Optimizers behind one signature: minimize(space, budget, batch, seed, evaluate).

A space is a dict of asktell's Float, Int and Categorical; `evaluate` takes a list of parameter dicts and gives their values.
Every peer runs as its documentation advises; what cannot take a space is refused with the reason.
"""

import json
import os
import subprocess
import tempfile
import warnings
from pathlib import Path

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


def pycma(bipop):
    return lambda *given: minimize_with_pycma(bipop, *given)


def minimize_with_pycma(bipop, space, budget, batch, seed, evaluate):
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
        cma.fmin2(objective, start, 0.2 * float(high[0] - low[0]), options, restarts=9, bipop=bipop)


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


def hebo_axis(name, p):
    if isinstance(p, Categorical):
        return {"name": name, "type": "cat", "categories": list(p.choices)}
    whole = "_int" if isinstance(p, Int) else ""
    kind = f"pow{whole}" if p.log else "int" if whole else "num"
    return {"name": name, "type": kind, "lb": p.low, "ub": p.high}


def hebo(space, budget, batch, seed, evaluate):
    """Parameters that do not exist beside others are drawn and left out: HEBO knows no conditions."""
    if not HEBO:
        raise Unsuited("hebo: not installed")
    command = [HEBO, str(Path(__file__).with_name("hebo_process.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:

        def say(message):
            print(json.dumps(message), file=process.stdin, flush=True)

        def ask(count):
            say({"ask": count})
            return [(None, without_inactive(space, point)) for point in json.loads(process.stdout.readline())["points"]]

        try:
            say({"space": [hebo_axis(name, p) for name, p in space.items()], "seed": seed})
            in_batches(budget, batch, ask, lambda points, values: say({"tell": values}), evaluate)
        finally:
            process.kill()


def smac3(space, budget, batch, seed, evaluate):
    """Its facade for black boxes, a Gaussian process, where all are floats; else that for hyperparameters, a forest."""
    from ConfigSpace import Categorical as Choice
    from ConfigSpace import ConfigurationSpace, InCondition
    from ConfigSpace import Float as Real
    from ConfigSpace import Integer as Whole
    from smac import BlackBoxFacade, HyperparameterOptimizationFacade, Scenario
    from smac.runhistory.dataclasses import TrialValue

    def axis(name, p):
        if isinstance(p, Categorical):
            return Choice(name, list(p.choices))
        return (Whole if isinstance(p, Int) else Real)(name, (p.low, p.high), log=p.log)

    axes = {name: axis(name, p) for name, p in space.items()}
    configurations = ConfigurationSpace(seed=seed)
    configurations.add(list(axes.values()))
    for name, p in space.items():
        if p.when:
            parent, values = p.when
            listed = list(values) if isinstance(values, (list, tuple)) else [values]
            configurations.add(InCondition(axes[name], axes[parent], listed))
    real = all(isinstance(p, Float) and not p.when for p in space.values())
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            configurations, deterministic=True, n_trials=budget, seed=seed, output_directory=Path(folder)
        )
        facade = BlackBoxFacade if real else HyperparameterOptimizationFacade
        optimizer = facade(scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=False)

        def ask(count):
            trials = [optimizer.ask() for _ in range(count)]
            return [
                (trial, {k: v.item() if isinstance(v, np.generic) else v for k, v in trial.config.items()})
                for trial in trials
            ]

        def tell(points, values):
            for (trial, _), value in zip(points, values):
                optimizer.tell(trial, TrialValue(cost=float(value)))

        in_batches(budget, batch, ask, tell, evaluate)


#: The interpreter that has HEBO, which needs older packages than the others.
HEBO = os.environ.get("ASKTELL_BENCH_HEBO")
PACKAGES = "optuna cmaes cma nevergrad botorch smac pymoo ioh syne-tune coco-experiment scikit-learn".split()
#: By name; the last four need over a tenth of a second for a suggestion.
PEERS = {
    "random": random_search,
    "optuna-tpe": optuna("tpe"),
    "optuna-cma-es": optuna("cma"),
    "pycma-bipop": pycma(bipop=True),
    "pycma-ipop": pycma(bipop=False),
    "nevergrad-ngopt": nevergrad("NGOpt"),
    "nevergrad-discrete": nevergrad("DiscreteLenglerOnePlusOne"),
    "optuna-gp": optuna("gp"),
    "botorch-logei": botorch,
    "smac3": smac3,
    "hebo": hebo,
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
    if HEBO:
        ask = "import importlib.metadata as m; print(m.version('HEBO'))"
        found["HEBO"] = subprocess.run([HEBO, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    return found
