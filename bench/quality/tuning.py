"""Tuning of scikit-learn models by a table (tuning_table.py): rounds of batches, as in the black-box challenge of 2020.

Reads {"subjects", "table", "seeds", "rounds", "batch"} as JSON on its argument. Writes a line of JSON for each run, with the
normalised regret after each round: 0 at the table's optimum, 1 at the mean of all configurations.
"""
import json
import sys

import numpy as np
from runs import measured
from subjects import subject, versions
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

    def result():
        whole = curve + curve[-1:] * (rounds * batch - len(curve))
        return {"regret": whole[batch - 1 :: batch]}

    return measured(
        {"subject": name, "task": label, "seed": seed},
        lambda: subject(name)(task.space, rounds * batch, batch, seed, evaluate),
        result,
    )


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
