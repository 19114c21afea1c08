"""Writes torch-optim.json: 50 steps of torch.optim on two functions, float64, for test/optimizers/presets/torch.test.ts.

Run with a Python that has torch (CPU): python test/golden/generate_torch.py
"""

import json
import pathlib

import torch

STEPS = 50

# Else torch keeps step counts and the momentum product of NAdam in float32.
torch.set_default_dtype(torch.float64)


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def quadratic(x):
    return 0.5 * (torch.tensor([1.0, 3.0, 10.0], dtype=torch.float64) * (x - 0.5) ** 2).sum()


PROBLEMS = {
    "rosenbrock": (rosenbrock, [-1.2, 1.0]),
    "quadratic": (quadratic, [2.0, -1.0, 1.5]),
}

# method of this library, its config, class and arguments of torch
CASES = [
    ("sgd", {"learningRate": 1e-3}, "SGD", {"lr": 1e-3}),
    ("sgd", {"learningRate": 1e-3, "momentum": 0.9}, "SGD", {"lr": 1e-3, "momentum": 0.9}),
    (
        "sgd",
        {"learningRate": 1e-3, "momentum": 0.9, "dampening": 0.3, "weightDecay": 0.1},
        "SGD",
        {"lr": 1e-3, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
    ),
    (
        "sgd",
        {"learningRate": 1e-3, "momentum": 0.9, "nesterov": True},
        "SGD",
        {"lr": 1e-3, "momentum": 0.9, "nesterov": True},
    ),
    ("adam", {"learningRate": 0.02}, "Adam", {"lr": 0.02}),
    (
        "adam",
        {"learningRate": 0.02, "beta1": 0.8, "beta2": 0.99, "eps": 1e-3, "weightDecay": 0.1},
        "Adam",
        {"lr": 0.02, "betas": (0.8, 0.99), "eps": 1e-3, "weight_decay": 0.1},
    ),
    ("adamw", {"learningRate": 0.02}, "AdamW", {"lr": 0.02}),
    ("adamw", {"learningRate": 0.02, "weightDecay": 0.3}, "AdamW", {"lr": 0.02, "weight_decay": 0.3}),
    ("adamax", {"learningRate": 0.02, "eps": 1e-8}, "Adamax", {"lr": 0.02}),
    (
        "adamax",
        {"learningRate": 0.02, "eps": 1e-8, "weightDecay": 0.1},
        "Adamax",
        {"lr": 0.02, "weight_decay": 0.1},
    ),
    ("amsgrad", {"learningRate": 0.02, "biasCorrection": "after"}, "Adam", {"lr": 0.02, "amsgrad": True}),
    (
        "amsgrad",
        {"learningRate": 0.02, "biasCorrection": "after", "beta2": 0.9, "weightDecay": 0.1},
        "Adam",
        {"lr": 0.02, "betas": (0.9, 0.9), "amsgrad": True, "weight_decay": 0.1},
    ),
    ("rmsprop", {}, "RMSprop", {}),
    (
        "rmsprop",
        {"learningRate": 0.002, "decay": 0.9, "centered": True, "momentum": 0.5, "weightDecay": 0.1},
        "RMSprop",
        {"lr": 0.002, "alpha": 0.9, "centered": True, "momentum": 0.5, "weight_decay": 0.1},
    ),
    ("adagrad", {"learningRate": 0.1}, "Adagrad", {"lr": 0.1}),
    (
        "adagrad",
        {"learningRate": 0.1, "rateDecay": 0.1, "initial": 0.5, "eps": 1e-3, "weightDecay": 0.1},
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3, "weight_decay": 0.1},
    ),
    ("adadelta", {}, "Adadelta", {}),
    (
        "adadelta",
        {"learningRate": 0.5, "rho": 0.8, "eps": 1e-4, "weightDecay": 0.1},
        "Adadelta",
        {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1},
    ),
    ("nadam", {"learningRate": 0.02}, "NAdam", {"lr": 0.02}),
    (
        "nadam",
        {"learningRate": 0.02, "beta1": 0.8, "momentumDecay": 0.1, "weightDecay": 0.1},
        "NAdam",
        {"lr": 0.02, "betas": (0.8, 0.999), "momentum_decay": 0.1, "weight_decay": 0.1},
    ),
    ("radam", {"learningRate": 0.002}, "RAdam", {"lr": 0.002}),
    (
        "radam",
        {"learningRate": 0.002, "beta2": 0.9, "weightDecay": 0.1},
        "RAdam",
        {"lr": 0.002, "betas": (0.9, 0.9), "weight_decay": 0.1},
    ),
    ("rprop", {}, "Rprop", {}),
    (
        "rprop",
        {"learningRate": 0.1, "shrink": 0.4, "grow": 1.5, "smallest": 1e-3, "largest": 0.3},
        "Rprop",
        {"lr": 0.1, "etas": (0.4, 1.5), "step_sizes": (1e-3, 0.3)},
    ),
]


def trajectory(function, start, name, arguments):
    x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, name)([x], **arguments)
    points = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        function(x).backward()
        optimizer.step()
        points.append(x.detach().tolist())
    return points


if __name__ == "__main__":
    cases = [
        {
            "method": method,
            "config": config,
            "problem": problem,
            "start": start,
            "torch": f"{name}({', '.join(f'{k}={v}' for k, v in arguments.items())})",
            "trajectory": trajectory(function, start, name, arguments),
        }
        for method, config, name, arguments in CASES
        for problem, (function, start) in PROBLEMS.items()
    ]
    target = pathlib.Path(__file__).with_name("torch-optim.json")
    target.write_text(json.dumps({"torch": torch.__version__, "cases": cases}) + "\n")
