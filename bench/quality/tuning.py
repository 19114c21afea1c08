"""Tuning of scikit-learn models by a table (tuning_table.py): rounds of batches, as in the black-box challenge of 2020.

Reads {"subjects", "table", "seeds", "rounds", "batch"} as JSON on its argument. Writes a line of JSON for each run, with the
normalised regret after each round: 0 at the table's optimum, 1 at the mean of all configurations.
"""
import json
import sys
import time

import numpy as np
from subjects import Solved, Unsuited, subject, versions
from tuning_table import Task, load


def run(name, task, label, seed, rounds, batch):
    best, curve = np.inf, []

    def evaluate(points):
        nonlocal best
        values = []
        for point in points:
            values.append(task.error(point))
            best = min(best, values[-1])
            curve.append(task.regret(best))
        return values

    line = {"subject": name, "task": label, "seed": seed}
    begun = time.perf_counter()
    try:
        subject(name)(task.space, rounds * batch, batch, seed, evaluate)
    except Solved:
        pass
    except (Unsuited, ImportError) as refusal:
        return line | {"refused": str(refusal)}
    except Exception as error:  # A peer that fails keeps what it had reached.
        line["failed"] = f"{type(error).__name__}: {error}"
    curve += curve[-1:] * (rounds * batch - len(curve))
    return line | {"regret": curve[batch - 1 :: batch], "seconds": time.perf_counter() - begun}


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    table = load(given["table"])
    print(json.dumps({"versions": versions()}), flush=True)
    for data in table:
        for model in [*table[data], None]:
            task = Task(table, data, model)
            for seed in given["seeds"]:
                for name in given["subjects"]:
                    label = f"{data}, {model or 'choice of the model'}"
                    print(json.dumps(run(name, task, label, seed, given["rounds"], given["batch"])), flush=True)
    print(json.dumps({"done": True}))
