"""Several objectives: evaluations after which the hypervolume is reached that pymoo's NSGA-II ends with.

Reads {"subjects", "problems", "seeds", "evaluations", "models"} as JSON on its argument. The population that NSGA-II has
after `evaluations` sets the mark. Against it all points of a run count, of NSGA-II's too; methods with models have
`models` evaluations. Objectives are scaled from ideal to nadir point, and the reference point is a tenth beyond the nadir,
or beyond the front that NSGA-II ends with where that is worse. "digits" is a network's error and the logarithm of the
number of its weights. Writes a line of JSON for each run.
"""
import json
import sys
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
from asktell import Categorical, Float, Int
from curves_table import AXES, Curves
from runs import measured
from subjects import Solved, Unsuited, asktell, optuna, random_search, versions

MODELS = ("asktell:ehvi", "asktell:tpe", "optuna-tpe", "optuna-gp")
#: Asked for several points at a time, a part of their population of 100.
POPULATIONS, BATCH = ("asktell:nsga2", "asktell:nsga3", "asktell:moead"), 10
#: Of DTLZ and WFG, which have three objectives.
VARIABLES = {"dtlz1": 7, "dtlz2": 12, "dtlz7": 22, "wfg4": 10, "wfg9": 10}
#: Ideal and nadir point where pymoo computes none.
EXTENTS = {
    "dtlz7": ((0, 0, 2.614), (0.8594, 0.8594, 6)),
    "wfg4": ((0, 0, 0), (2, 4, 6)),
    "wfg9": ((0, 0, 0), (2, 4, 6)),
}


class Pymoo:
    def __init__(self, name):
        from pymoo.problems import get_problem

        self.problem = get_problem(name, **({"n_var": VARIABLES[name], "n_obj": 3} if name in VARIABLES else {}))
        bounds = np.transpose(self.problem.bounds()).tolist()
        self.space = {f"x{i}": Float(low, high) for i, (low, high) in enumerate(bounds)}
        self.ideal, self.nadir = EXTENTS.get(name) or (self.problem.ideal_point(), self.problem.nadir_point())

    def values(self, points):
        return self.problem.evaluate(np.array([list(p.values()) for p in points]), return_values_of=["F"])


class Digits:
    def __init__(self):
        self.curves = Curves(Path(__file__).with_name("curves-table.json.gz"))
        self.space = self.curves.space
        levels = [getattr(p, "levels", None) or p.choices for p in AXES.values()]
        values = self.values([dict(zip(AXES, point)) for point in product(*levels)])
        front = nondominated(values)
        self.ideal, self.nadir = front.min(0), front.max(0)

    def values(self, points):
        size = [np.log10(65 * p["hidden"] + 10 * (p["hidden"] + 1)) for p in points]
        return np.stack([[self.curves.curve(p)[-1] for p in points], size], 1)


def nondominated(values):
    from moocore import filter_dominated

    return filter_dominated(np.asarray(values, dtype=float))


def volume(front, reference):
    from moocore import hypervolume

    return float(hypervolume(front, ref=reference))


class Scaled:
    """A problem with its mark and reference point, which a run of NSGA-II sets."""

    def __init__(self, name, seed, evaluations):
        problem = Digits() if name == "digits" else Pymoo(name)
        self.space, self.problem, self.objectives = problem.space, problem, len(problem.ideal)
        population = nsga2(self.space, evaluations, 0, seed, self.values)
        front = nondominated(population)
        self.reference = 1.1 * np.maximum(1, front.max(0))
        self.mark = volume(front, self.reference)

    def values(self, points):
        ideal, nadir = np.asarray(self.problem.ideal), np.asarray(self.problem.nadir)
        return (self.problem.values(points) - ideal) / (nadir - ideal)


scaled = cache(Scaled)


def nsga2(space, budget, batch, seed, evaluate):
    """pymoo's, on the unit cube where parameters are not plain floats. Returns the values of the last population."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem

    def placed(p, u):
        if isinstance(p, Categorical):
            return p.choices[min(int(u * len(p.choices)), len(p.choices) - 1)]
        value = np.exp(np.log(p.low) + u * np.log(p.high / p.low)) if p.log else p.low + u * (p.high - p.low)
        return int(round(value)) if isinstance(p, Int) else float(min(max(value, p.low), p.high))

    problem = Problem(n_var=len(space), n_obj=2, xl=0.0, xu=1.0)
    algorithm = NSGA2(pop_size=100)
    algorithm.setup(problem, termination=("n_eval", budget), seed=seed)
    while algorithm.has_next():
        asked = algorithm.ask()
        points = [{name: placed(p, u) for (name, p), u in zip(space.items(), x)} for x in asked.get("X")]
        asked.set("F", np.array(evaluate(points)))
        for individual in asked:
            individual.evaluated.add("F")
        algorithm.evaluator.n_eval += len(points)
        algorithm.tell(infills=asked)
    return algorithm.pop.get("F")


def subject(name, objectives):
    owner, _, method = name.partition(":")
    if owner == "asktell":
        return asktell(method, objectives)
    if owner in ("optuna-tpe", "optuna-gp", "optuna-nsga2"):
        return optuna(owner.removeprefix("optuna-"), objectives)
    if owner not in ("random", "pymoo-nsga2"):
        raise Unsuited("not for this benchmark")
    return random_search if owner == "random" else nsga2


def run(name, label, seed, evaluations, models):
    problem = scaled(label, seed, evaluations)
    front, fresh, done, reached = np.empty((0, problem.objectives)), [], 0, None

    def evaluate(points):
        nonlocal front, fresh, done, reached
        values = problem.values(points)
        for value in values:
            done += 1
            fresh.append(value)
            # The volume is looked at fifty times while the evaluations double, and a little more often than that.
            if len(fresh) * 50 >= done:
                front, fresh = nondominated([*front, *fresh]), []
                if volume(front, problem.reference) >= problem.mark:
                    reached = done
                    raise Solved
        return values.tolist()

    def result():
        met = nondominated([*front, *fresh]) if fresh and not reached else front
        share = 1.0 if reached else volume(met, problem.reference) / problem.mark
        return {"evaluations": done, "reached": reached, "share": share}

    budget = min(models, evaluations) if name in MODELS else evaluations
    batch = BATCH if name in POPULATIONS else 1
    return measured(
        {"subject": name, "problem": label, "seed": seed},
        lambda: subject(name, problem.objectives)(problem.space, budget, batch, seed, evaluate),
        result,
    )


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    print(json.dumps({"versions": versions()}), flush=True)
    for label in task["problems"]:
        for seed in task["seeds"]:
            for name in task["subjects"]:
                print(json.dumps(run(name, label, seed, task["evaluations"], task["models"])), flush=True)
    print(json.dumps({"done": True}))
