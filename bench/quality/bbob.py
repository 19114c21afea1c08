"""COCO's BBOB: evaluations after which each of the 51 targets 10^2, 10^1.8 ... 10^-8 above the optimum was reached.

Reads {"subjects", "dimensions", "functions", "instances", "budget"} as JSON on its argument; the budget is in evaluations
per coordinate. Writes a line of JSON for each run. The seed of a run is 100 * function + instance.
"""
import json
import os
import sys
import tempfile
import time

import cocoex
import numpy as np
from asktell import Float
from subjects import Solved, Unsuited, subject, versions

cocoex.log_level("error")
TARGETS = 10.0 ** np.linspace(2, -8, 51)


def problem_of(function, dimension, instance):
    return cocoex.Suite("bbob", f"instances: {instance}", f"function_indices: {function} dimensions: {dimension}")[0]


def optimum(function, dimension, instance):
    """The least value, which is a number of two decimals; COCO tells only where it lies, in a file of the working folder."""
    problem, here = problem_of(function, dimension, instance), os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            problem._best_parameter("print")
            value = problem(np.loadtxt("._bbob_problem_best_parameter.txt"))
        finally:
            os.chdir(here)
    assert abs(value - round(value, 2)) < 1e-9, (function, dimension, instance)
    return round(value, 2)


def run(name, function, dimension, instance, budget):
    problem, least = problem_of(function, dimension, instance), optimum(function, dimension, instance)
    space = {f"x{i}": Float(-5, 5) for i in range(dimension)}
    hits, done, best = [None] * len(TARGETS), 0, np.inf

    def evaluate(points):
        nonlocal done, best
        values = []
        for point in points:
            value = problem([point[key] for key in space])
            done += 1
            if value - least < best:
                best = value - least
                for i in np.flatnonzero(best <= TARGETS):
                    hits[i] = hits[i] or done
            values.append(value)
        if hits[-1]:
            raise Solved
        return values

    begun = time.perf_counter()
    seed = 100 * function + instance
    line = {"subject": name, "dimension": dimension, "function": function, "instance": instance, "seed": seed}
    try:
        subject(name)(space, budget, 1, seed, evaluate)
    except Solved:
        pass
    except (Unsuited, ImportError) as refusal:
        return line | {"refused": str(refusal)}
    except Exception as error:  # A peer that fails keeps what it had reached.
        line["failed"] = f"{type(error).__name__}: {error}"
    return line | {"evaluations": done, "hits": hits, "regret": best, "seconds": time.perf_counter() - begun}


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    print(json.dumps({"versions": versions()}), flush=True)
    for dimension in task["dimensions"]:
        for instance in task["instances"]:
            for function in task["functions"]:
                for name in task["subjects"]:
                    print(json.dumps(run(name, function, dimension, instance, task["budget"] * dimension)), flush=True)
    print(json.dumps({"done": True}))
