"""Writes torch-optim.json: 50 steps of torch.optim on three functions, float64, for test/optimizers/presets/torch.test.ts;
and torch-training.json: learning rates, averages, groups, accumulation and optimizers of matrices, for torch-training.test.ts.

Run with a Python that has torch (CPU): python test/golden/generate_torch.py
"""

import json
import pathlib

import torch

STEPS = 50
SAMPLED = [1, 2, 3, 5, 10, 20, 35, 50]

# Else torch keeps step counts and the momentum product of NAdam in float32.
torch.set_default_dtype(torch.float64)


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def quadratic(x):
    return 0.5 * (torch.tensor([1.0, 3.0, 10.0], dtype=torch.float64) * (x - 0.5) ** 2).sum()


# Eight examples of four features, with three labels.
FEATURES = torch.sin(torch.arange(1.0, 33.0)).reshape(8, 4)
LABELS = torch.nn.functional.one_hot(torch.arange(8) % 3).to(FEATURES)


def logistic(weights, bias):
    """The loss of logistic regression, a mean over the examples."""
    logits = FEATURES @ weights + bias
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, LABELS, reduction="sum") / 8


# Functions of some tensors, and their values at the start.
PROBLEMS = {
    "rosenbrock": (rosenbrock, [[-1.2, 1.0]]),
    "quadratic": (quadratic, [[2.0, -1.0, 1.5]]),
    "logistic": (
        logistic,
        [[[0.5, -1.0, 0.25], [-0.75, 0.5, 1.0], [1.5, 0.75, -0.5], [-0.25, 1.25, -1.5]], [0.5, -0.25, 1.0]],
    ),
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
    tensors = [torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in start]
    optimizer = getattr(torch.optim, name)(tensors, **arguments)
    points = {}
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        function(*tensors).backward()
        optimizer.step()
        if step in SAMPLED:
            points[step] = written(tensors)
    return points


def written(tensors):
    """All elements, to more digits than are compared."""
    return [float(f"{value:.12g}") for tensor in tensors for value in tensor.flatten().tolist()]


# schedule of this library, torch's class and arguments; the learning rate is 0.1
SCHEDULES = [
    ({"id": "constant"}, "ConstantLR", {"factor": 1.0}),
    ({"id": "linear", "steps": 8, "initial": 0.25, "final": 0.75}, "LinearLR",
     {"start_factor": 0.25, "end_factor": 0.75, "total_iters": 8}),
    ({"id": "exponential", "factor": 0.9}, "ExponentialLR", {"gamma": 0.9}),
    ({"id": "step-decay", "every": 7, "factor": 0.5}, "StepLR", {"step_size": 7, "gamma": 0.5}),
    ({"id": "multistep", "milestones": [3, 10, 11], "factor": 0.3}, "MultiStepLR", {"milestones": [3, 10, 11], "gamma": 0.3}),
    ({"id": "polynomial", "steps": 20, "power": 2}, "PolynomialLR", {"total_iters": 20, "power": 2}),
    ({"id": "cosine", "steps": 40, "minimum": 0.01}, "CosineAnnealingLR", {"T_max": 40, "eta_min": 0.01}),
    ({"id": "sgdr", "period": 5, "multiplier": 2, "minimum": 0.01}, "CosineAnnealingWarmRestarts",
     {"T_0": 5, "T_mult": 2, "eta_min": 0.01}),
    ({"id": "cyclic", "low": 0.2, "up": 6, "down": 3}, "CyclicLR",
     {"base_lr": 0.02, "max_lr": 0.1, "step_size_up": 6, "step_size_down": 3, "cycle_momentum": False}),
    ({"id": "cyclic", "low": 0.2, "up": 5, "mode": "triangular2"}, "CyclicLR",
     {"base_lr": 0.02, "max_lr": 0.1, "step_size_up": 5, "mode": "triangular2", "cycle_momentum": False}),
    ({"id": "cyclic", "low": 0.2, "up": 5, "mode": "exp-range", "factor": 0.97}, "CyclicLR",
     {"base_lr": 0.02, "max_lr": 0.1, "step_size_up": 5, "mode": "exp_range", "gamma": 0.97, "cycle_momentum": False}),
    ({"id": "one-cycle", "steps": 41}, "OneCycleLR", {"max_lr": 0.1, "total_steps": 41, "cycle_momentum": False}),
    ({"id": "one-cycle", "steps": 41, "upShare": 0.4, "shape": "linear", "divisor": 10, "finalDivisor": 100, "threePhase": True},
     "OneCycleLR", {"max_lr": 0.1, "total_steps": 41, "pct_start": 0.4, "anneal_strategy": "linear", "div_factor": 10,
                    "final_div_factor": 100, "three_phase": True, "cycle_momentum": False}),
]
RATES = 40


def optimizer_of(rate=0.1):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)


def rates(optimizer, scheduler):
    found = []
    for _ in range(RATES):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def joined():
    from torch.optim.lr_scheduler import ChainedScheduler, ExponentialLR, LinearLR, MultiStepLR, PolynomialLR, SequentialLR

    first = optimizer_of()
    parts = [LinearLR(first, 0.25, 1.0, 5), ExponentialLR(first, 0.9), PolynomialLR(first, 15, 1.0)]
    sequence = SequentialLR(first, parts, [6, 20])
    second = optimizer_of()
    product = ChainedScheduler([LinearLR(second, 0.5, 1.0, 4), ExponentialLR(second, 0.95), MultiStepLR(second, [10], 0.5)])
    return [
        {"schedule": {"id": "sequence", "milestones": [6, 20], "parts": [
            {"id": "linear", "steps": 5, "initial": 0.25, "final": 1}, {"id": "exponential", "factor": 0.9},
            {"id": "polynomial", "steps": 15, "power": 1}]},
         "torch": "SequentialLR", "rates": rates(first, sequence)},
        {"schedule": {"id": "product", "parts": [
            {"id": "linear", "steps": 4, "initial": 0.5, "final": 1}, {"id": "exponential", "factor": 0.95},
            {"id": "multistep", "milestones": [10], "factor": 0.5}]},
         "torch": "ChainedScheduler", "rates": rates(second, product)},
    ]


def schedules():
    cases = []
    for schedule, name, arguments in SCHEDULES:
        optimizer = optimizer_of()
        scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments)
        cases.append({"schedule": schedule, "torch": name, "rates": rates(optimizer, scheduler)})
    return cases + joined()


def matrix_gradient(x):
    return torch.sin(x * torch.arange(1.0, 1.0 + x.numel()).reshape(x.shape))


def matrices():
    """Optimizers of torch that take matrices, on gradients sin(k*x_k) of a 2x3 and a 3x2 matrix."""
    cases = [
        ("muon", {"learningRate": 0.1}, "Muon", {"lr": 0.1, "weight_decay": 0.0}),
        ("muon", {"learningRate": 0.05, "momentum": 0.8, "nesterov": False, "scaling": "match-rms-adamw", "weightDecay": 0.1,
                  "iterations": 4}, "Muon",
         {"lr": 0.05, "momentum": 0.8, "nesterov": False, "adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.1, "ns_steps": 4}),
        ("adafactor", {}, "Adafactor", {"lr": 0.01}),
        ("asgd", {"learningRate": 0.1, "averageFrom": 0}, "ASGD", {"lr": 0.1, "t0": 0}),
        ("asgd", {"learningRate": 0.1, "lambda": 0.02, "alpha": 0.6, "averageFrom": 7, "weightDecay": 0.1}, "ASGD",
         {"lr": 0.1, "lambd": 0.02, "alpha": 0.6, "t0": 7, "weight_decay": 0.1}),
    ]
    found = []
    for method, config, name, arguments in cases:
        for shape in [(2, 3), (3, 2)]:
            x = torch.linspace(-1.0, 1.5, 6).reshape(shape).requires_grad_()
            optimizer = getattr(torch.optim, name)([x], **arguments)
            points = []
            for _ in range(20):
                x.grad = matrix_gradient(x.detach())
                optimizer.step()
                points.append(x.detach().flatten().tolist())
            average = optimizer.state[x].get("ax")
            found.append({"method": method, "config": config, "shape": list(shape), "torch": name, "trajectory": points,
                          "average": None if average is None else average.flatten().tolist()})
    return found


def training():
    """What is around an optimizer: averages, groups, accumulation, and a plateau; trajectories on the quadratic."""
    function, [start] = PROBLEMS["quadratic"]

    def run(make, steps=30, step=None):
        x = torch.tensor(start, requires_grad=True)
        return make(x, steps)

    def averaged(average):
        def make(x, steps):
            optimizer = torch.optim.SGD([x], lr=0.05)
            points, count, mean = [], 0, None
            model = torch.nn.Module()
            model.x = torch.nn.Parameter(x.detach().clone())
            tracked = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=average)
            for _ in range(steps):
                optimizer.zero_grad()
                function(x).backward()
                optimizer.step()
                model.x.data.copy_(x.detach())
                tracked.update_parameters(model)
                points.append(tracked.module.x.detach().tolist())
            return points

        return run(make)

    def accumulated(x, steps):
        optimizer = torch.optim.Adam([x], lr=0.05)
        points = []
        for _ in range(steps):
            optimizer.zero_grad()
            for k in range(3):
                (function(x + 0.1 * k) / 3).backward()
            optimizer.step()
            points.append(x.detach().tolist())
        return points

    def plateau(x, steps):
        optimizer = torch.optim.SGD([x], lr=0.25, momentum=0.5)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.5, patience=1, threshold=0.05, cooldown=2, min_lr=0.01)
        points = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = function(x)
            loss.backward()
            scheduler.step(loss.item())
            optimizer.step()
            points.append(x.detach().tolist())
        return points

    def groups():
        a = torch.tensor(start, requires_grad=True)
        b = torch.tensor(start, requires_grad=True)
        optimizer = torch.optim.AdamW([{"params": [a]}, {"params": [b], "lr": 0.01, "weight_decay": 0.0, "betas": (0.5, 0.999)}],
                                      lr=0.05, weight_decay=0.2)
        points = []
        for _ in range(30):
            optimizer.zero_grad()
            (function(a) + function(b)).backward()
            optimizer.step()
            points.append(a.detach().tolist() + b.detach().tolist())
        return points

    utils = torch.optim.swa_utils
    return {
        "ema": averaged(utils.get_ema_multi_avg_fn(0.9)),
        "swa": averaged(utils.get_swa_multi_avg_fn()),
        "accumulated": run(accumulated),
        "plateau": run(plateau),
        "groups": groups(),
    }


def lbfgs():
    """Steps of LBFGS of one iteration each, without a line search."""
    found = []
    for problem, rate, history in [("quadratic", 1.0, 10), ("quadratic", 0.5, 2), ("rosenbrock", 0.2, 5)]:
        function, [start] = PROBLEMS[problem]
        x = torch.tensor(start, requires_grad=True)
        optimizer = torch.optim.LBFGS([x], lr=rate, max_iter=1, history_size=history, tolerance_grad=0, tolerance_change=0)

        def closure():
            optimizer.zero_grad()
            loss = function(x)
            loss.backward()
            return loss

        points = []
        for _ in range(12):
            optimizer.step(closure)
            points.append(x.detach().tolist())
        found.append({"problem": problem, "start": start, "learningRate": rate, "memory": history, "trajectory": points})
    return found


def in_double():
    """Muon orthogonalizes in bfloat16; here, in double precision, as this library does."""
    import torch.optim._muon as muon

    source = muon._zeropower_via_newtonschulz
    source.__globals__["torch"] = type("Double", (), {"__getattr__": lambda _, name: getattr(torch, name), "bfloat16": torch.float64})()


if __name__ == "__main__":
    cases = [
        {
            "method": method,
            "config": config,
            "problem": problem,
            "torch": f"{name}({', '.join(f'{k}={v}' for k, v in arguments.items())})",
            "trajectory": trajectory(function, start, name, arguments),
        }
        for method, config, name, arguments in CASES
        for problem, (function, start) in PROBLEMS.items()
    ]
    target = pathlib.Path(__file__).with_name("torch-optim.json")
    target.write_text(json.dumps({"torch": torch.__version__, "cases": cases}) + "\n")

    in_double()
    more = {"torch": torch.__version__, "schedules": schedules(), "matrices": matrices(), "training": training(), "lbfgs": lbfgs()}
    pathlib.Path(__file__).with_name("torch-training.json").write_text(json.dumps(more) + "\n")
