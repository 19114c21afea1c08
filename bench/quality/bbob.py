"""COCO's BBOB: evaluations after which each of the 51 targets 10^2, 10^1.8 ... 10^-8 above the optimum was reached.

Reads {"subjects", "dimensions", "functions", "instances", "budget"} as JSON on its argument; the budget is in evaluations
per coordinate. Writes a line of JSON for each run. The seed of a run is 100 * function + instance.
"""
import json
import os
import sys
import tempfile

import cocoex
import numpy as np
from asktell import Float
from runs import lines_of, until_targets
from subjects import versions

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


def run(line, function, dimension, instance, budget):
    problem, least = problem_of(function, dimension, instance), optimum(function, dimension, instance)
    space = {f"x{i}": Float(-5, 5) for i in range(dimension)}
    return until_targets(line, space, budget, problem, TARGETS, least)


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    print(json.dumps({"versions": versions()}), flush=True)
    for line in lines_of(task, run):
        print(json.dumps(line), flush=True)
    print(json.dumps({"done": True}))
