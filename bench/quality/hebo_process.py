"""HEBO in a process of its own, whose packages are older than those of the other peers.

A line of JSON in, a line out: first {"space", "seed"}, whose dimensions are those of HEBO's DesignSpace; then {"ask": count},
answered by {"points"}, and {"tell": values} of these points.
"""

import json
import sys
import warnings

import numpy as np
import torch

warnings.simplefilter("ignore")
# What else is printed must not be taken for an answer.
answers, sys.stdout = sys.stdout, sys.stderr

from hebo.design_space.design_space import DesignSpace  # noqa: E402
from hebo.optimizers.hebo import HEBO  # noqa: E402


def plain(value):
    return value.item() if isinstance(value, np.generic) else value


def main():
    begin = json.loads(sys.stdin.readline())
    np.random.seed(begin["seed"])
    torch.manual_seed(begin["seed"])
    optimizer = HEBO(DesignSpace().parse(begin["space"]), scramble_seed=begin["seed"])
    for line in sys.stdin:
        message = json.loads(line)
        if "ask" in message:
            asked = optimizer.suggest(n_suggestions=message["ask"])
            points = [{key: plain(value) for key, value in row.items()} for row in asked.to_dict("records")]
            print(json.dumps({"points": points}), file=answers, flush=True)
        else:
            optimizer.observe(asked, np.array(message["tell"], dtype=float)[:, None])


main()
