"""IOHprofiler's PBO, functions of bits: evaluations after which each of 51 targets was reached, as bbob.py has them.

The targets lie evenly between the mean of random points and the optimum. Reads {"subjects", "dimensions", "functions",
"instances", "budget"} as JSON on its argument; the budget is in evaluations per bit. Writes a line of JSON for each run.
An instance flips bits drawn for it, so that nothing is gained by ones. The seed of a run is 100 * function + instance.
"""
import json
import sys

import numpy as np
from asktell import Int
from runs import lines_of, until_targets
from subjects import versions

RANDOM = 1000
#: Optima of low autocorrelation, which ioh does not know, by dimension (T. Packebusch, S. Mertens, 2016).
MERIT_FACTORS = {16: 16**2 / 48, 64: 64**2 / 416}


def problem_of(function, dimension, instance):
    """The function of bits as they are asked, and its targets."""
    import ioh

    problem = ioh.get_problem(function, 1, dimension, ioh.ProblemClass.PBO)
    rng = np.random.default_rng([function, dimension, instance])
    least = np.mean([problem(bits) for bits in rng.integers(0, 2, (RANDOM, dimension)).tolist()])
    most = problem.optimum.y if np.isfinite(problem.optimum.y) else MERIT_FACTORS[dimension]
    flips = rng.integers(0, 2, dimension)
    return lambda bits: problem((flips ^ bits).tolist()), np.linspace(least, most, 52)[1:]


def run(line, function, dimension, instance, budget):
    problem, targets = problem_of(function, dimension, instance)
    space = {f"x{i}": Int(0, 1) for i in range(dimension)}
    return until_targets(line, space, budget, lambda bits: -problem(bits), 1e-9 - targets)


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    print(json.dumps({"versions": versions()}), flush=True)
    for line in lines_of(task, run):
        print(json.dumps(line), flush=True)
    print(json.dumps({"done": True}))
