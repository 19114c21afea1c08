"""A run of one subject on one problem, as a line of the results."""
import time

import numpy as np
from subjects import Solved, Unsuited, subject


def measured(line, work, result):
    """The line with what came of `work`: `result()`, also of a peer that fails, which keeps what it had reached."""
    begun = time.perf_counter()
    try:
        work()
    except Solved:
        pass
    except (Unsuited, ImportError) as refusal:
        return line | {"refused": str(refusal)}
    except Exception as error:
        line = line | {"failed": f"{type(error).__name__}: {error}"}
    return line | result() | {"seconds": time.perf_counter() - begun}


def until_targets(line, space, budget, value, goals, least=0.0):
    """A run one point at a time, and in `hits` after how many each of `goals` was reached, the last of which ends it.

    `value` of the coordinates is minimized; a goal is reached by values of at most so much above `least`. With the best of
    those differences.
    """
    hits, done, best = [None] * len(goals), 0, np.inf

    def evaluate(points):
        nonlocal done, best
        values = []
        for point in points:
            values.append(value([point[key] for key in space]))
            done += 1
            if values[-1] - least < best:
                best = values[-1] - least
                for i in np.flatnonzero(best <= goals):
                    hits[i] = hits[i] or done
        if hits[-1]:
            raise Solved
        return values

    return measured(
        line,
        lambda: subject(line["subject"])(space, budget, 1, line["seed"], evaluate),
        lambda: {"evaluations": done, "hits": hits, "best": best},
    )


def lines_of(task, run):
    """A run for each function, instance, dimension and subject, with a seed of its own."""
    for dimension in task["dimensions"]:
        for instance in task["instances"]:
            for function in task["functions"]:
                for name in task["subjects"]:
                    seed = 100 * function + instance
                    line = {"subject": name, "dimension": dimension, "function": function, "instance": instance}
                    yield run(line | {"seed": seed}, function, dimension, instance, task["budget"] * dimension)
