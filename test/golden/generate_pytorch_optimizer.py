"""Writes pytorch-optimizer.json: 50 steps of the rules of the Python package pytorch_optimizer that asktell has too, on the
three functions of generate_torch.py, for test/optimizers/presets/pytorch-optimizer.test.ts.

Run with a Python that has torch (CPU) and pytorch_optimizer: python test/golden/generate_pytorch_optimizer.py
"""

import importlib.metadata
import json
import math
import pathlib

import torch

# Some rules of the package keep momenta, norms or matrices in less than the precision of the parameters; here, all is double.
torch.float32 = torch.bfloat16 = torch.float64
torch.Tensor.float = torch.Tensor.double

import pytorch_optimizer.optimizer as package  # noqa: E402
from generate_torch import PROBLEMS, SAMPLED, STEPS, written  # noqa: E402
from torch.autograd.functional import hessian  # noqa: E402

# method of asktell, its config, class and arguments of the package, and what form both are given the tensors in
CASES = [
    ("adopt", {"learningRate": 0.02, "beta2": 0.99, "weightDecay": 0.1}, "ADOPT",
     {"lr": 0.02, "betas": (0.9, 0.99), "weight_decay": 0.1, "clip_lambda": "(step - 1)^(1/4)"}),
    ("adopt", {"learningRate": 0.02, "clip": False, "transforms": [{"id": "cautious", "scale": "nnz-plus-one"}]}, "ADOPT",
     {"lr": 0.02, "clip_lambda": None, "cautious": True}),
    ("ademamix", {"learningRate": 0.02, "beta3": 0.99, "alpha": 2, "weightDecay": 0.1}, "AdEMAMix",
     {"lr": 0.02, "betas": (0.9, 0.999, 0.99), "alpha": 2.0, "weight_decay": 0.1, "weight_decouple": True}),
    ("ademamix", {"learningRate": 0.02, "warmup": 30}, "AdEMAMix", {"lr": 0.02, "t_alpha_beta3": 30}),
    ("adabelief", {"learningRate": 0.02, "weightDecay": 0.1}, "AdaBelief", {"lr": 0.02, "weight_decay": 0.1}),
    ("adabelief", {"learningRate": 0.02, "eps": 1e-8, "amsbound": True, "weightDecay": 0.01, "decay": "fixed"}, "AdaBelief",
     {"lr": 0.02, "eps": 1e-8, "ams_bound": True, "weight_decay": 0.01, "fixed_decay": True}),
    ("adabelief", {"learningRate": 0.002, "beta2": 0.9, "rectify": True}, "AdaBelief",
     {"lr": 0.002, "betas": (0.9, 0.9), "rectify": True}),
    ("adabound", {"learningRate": 0.02, "finalRate": 0.05, "gamma": 0.01, "weightDecay": 0.1, "decoupled": True}, "AdaBound",
     {"lr": 0.02, "final_lr": 0.05, "gamma": 0.01, "weight_decay": 0.1}),
    ("adabound", {"learningRate": 0.02, "finalRate": 0.001, "amsbound": True, "beta2": 0.9}, "AdaBound",
     {"lr": 0.02, "final_lr": 0.001, "ams_bound": True, "betas": (0.9, 0.9)}),
    ("adadelta", {"learningRate": 0.5, "eps": 1e-4, "weightDecay": 0.1}, "AdaDelta",
     {"lr": 0.5, "eps": 1e-4, "weight_decay": 0.1}),
    ("adafactor", {}, "AdaFactor", {"betas": (None, 0.999)}),
    ("adafactor", {"relativeStep": False, "scaleParameter": False, "learningRate": 0.05, "beta1": 0.9, "clip": 0.5,
                   "weightDecay": 0.1}, "AdaFactor",
     {"lr": 0.05, "clip_threshold": 0.5, "relative_step": False, "scale_parameter": False, "weight_decay": 0.1}),
    ("adahessian", {"eps": 1e-4, "weightDecay": 0.1}, "AdaHessian", {"lr": 0.15, "eps": 1e-4, "weight_decay": 0.1}),
    ("adahessian", {"learningRate": 0.05, "hessianPower": 0.5}, "AdaHessian", {"lr": 0.05, "eps": 1e-4, "hessian_power": 0.5}),
    ("adamax", {"learningRate": 0.02, "eps": 1e-8, "weightDecay": 0.1}, "AdaMax", {"lr": 0.02, "weight_decay": 0.1}),
    ("adamod", {"learningRate": 0.02, "beta2": 0.99, "beta3": 0.9, "weightDecay": 0.1}, "AdaMod",
     {"lr": 0.02, "betas": (0.9, 0.99, 0.9), "weight_decay": 0.1}),
    ("adamsn", {"learningRate": 0.02, "weightDecay": 0.1}, "AdamWSN", {"lr": 0.02, "eps": 1e-6, "sn": True, "weight_decay": 0.1}),
    ("adamsn", {"learningRate": 0.02, "subsetSize": 2, "eps": 1e-8}, "AdamWSN", {"lr": 0.02, "sn": True, "subset_size": 2}),
    ("adan", {"learningRate": 0.02, "weightDecay": 0.1}, "Adan", {"lr": 0.02, "weight_decay": 0.1}),
    ("polyak-sgd", {"maxRate": 1e-3, "eps": 1e-6}, "AliG", {"max_lr": 1e-3}),
    ("d-adaptation", {"variant": "adagrad", "d0": 0.01, "eps": 0, "momentum": 0.5}, "DAdaptAdaGrad", {"d0": 0.01, "momentum": 0.5}),
    ("d-adaptation", {"d0": 1e-3, "growthRate": 1.5, "weightDecay": 0.1}, "DAdaptAdam",
     {"d0": 1e-3, "growth_rate": 1.5, "weight_decay": 0.1, "weight_decouple": True}),
    ("d-adaptation", {"d0": 1e-3, "growthRate": 1.5, "biasCorrection": True}, "DAdaptAdam",
     {"d0": 1e-3, "growth_rate": 1.5, "bias_correction": True}),
    ("d-adaptation", {"variant": "sgd", "d0": 0.01, "momentum": 0.9}, "DAdaptSGD", {"d0": 0.01}),
    ("d-adaptation", {"variant": "lion", "learningRate": 0.1, "d0": 0.5, "weightDecay": 0.1}, "DAdaptLion",
     {"lr": 0.1, "betas": (0.9, 0.99), "d0": 0.5, "weight_decay": 0.1, "weight_decouple": True}),
    ("diffgrad", {"learningRate": 0.02, "weightDecay": 0.1}, "DiffGrad",
     {"lr": 0.02, "weight_decay": 0.1, "weight_decouple": False}),
    ("fadam", {"learningRate": 0.02, "eps": 0}, "FAdam", {"lr": 0.02, "eps": 1e-30}),
    ("grams", {"learningRate": 0.02, "eps": 0, "weightDecay": 0.1}, "Grams", {"lr": 0.02, "eps": 1e-30, "weight_decay": 0.1}),
    ("gravity", {"learningRate": 0.05, "initZero": True}, "Gravity", {"lr": 0.05, "alpha": 0.0}),
    ("lars", {"learningRate": 0.5, "trust": 0.02, "weightDecay": 0.1}, "LARS",
     {"lr": 0.5, "trust_coefficient": 0.02, "weight_decay": 0.1}, "column"),
    ("lamb", {"learningRate": 0.02, "eps": 0, "weightDecay": 0}, "Lamb", {"lr": 0.02, "eps": 1e-30, "adam_debias": True}),
    ("lion", {"learningRate": 0.01, "weightDecay": 0.1}, "Lion", {"lr": 0.01, "weight_decay": 0.1}),
    ("c-lion", {"learningRate": 0.01, "beta1": 0.9, "beta2": 0.99, "weightDecay": 0.1}, "Lion",
     {"lr": 0.01, "weight_decay": 0.1, "cautious": True}),
    ("sgd", {"learningRate": 1e-3, "momentum": 0.9, "transforms": [{"id": "lookahead"}]}, "Lookahead",
     {"optimizer": "SGD", "lr": 1e-3, "momentum": 0.9}),
    ("sgd", {"learningRate": 1e-3, "momentum": 0.9, "transforms": [{"id": "lookahead", "k": 3, "alpha": 0.8, "policy": "reset"}]},
     "Lookahead", {"optimizer": "SGD", "lr": 1e-3, "momentum": 0.9, "k": 3, "alpha": 0.8, "pullback_momentum": "reset"}),
    ("sgd", {"learningRate": 1e-3, "momentum": 0.9, "transforms": [{"id": "lookahead", "policy": "average"}]}, "Lookahead",
     {"optimizer": "SGD", "lr": 1e-3, "momentum": 0.9, "pullback_momentum": "pullback"}),
    ("mars", {"learningRate": 0.02, "eps": 0, "start": "zero", "weightDecay": 0.1}, "MARS",
     {"lr": 0.02, "eps": 1e-30, "optimize_1d": True, "weight_decay": 0.1}),
    ("mars", {"learningRate": 0.02, "start": "zero", "variant": "lion", "gamma": 0.05}, "MARS",
     {"lr": 0.02, "optimize_1d": True, "mars_type": "lion", "gamma": 0.05}),
    ("mars", {"learningRate": 0.02, "eps": 0, "start": "zero", "optimize1d": False}, "MARS",
     {"lr": 0.02, "eps": 1e-30, "lr_1d": 0.02, "weight_decay_1d": 0.0}),
    ("muon", {"learningRate": 0.02, "adamwRate": 0.5, "weightDecay": 0.1}, "Muon",
     {"lr": 0.02, "adamw_lr": 0.01, "weight_decay": 0.1, "adamw_wd": 0.2}),
    ("muon", {"learningRate": 0.02, "nesterov": False, "scaling": "match-rms-adamw", "iterations": 4}, "Muon",
     {"lr": 0.02, "nesterov": False, "use_adjusted_lr": True, "ns_steps": 4}, "column"),
    ("novograd", {"learningRate": 0.02, "weightDecay": 0.1}, "NovoGrad", {"lr": 0.02, "weight_decay": 0.1}),
    ("novograd", {"learningRate": 0.2, "gradientAveraging": True}, "NovoGrad", {"lr": 0.2, "grad_averaging": True}),
    ("upgrad", {"learningRate": 1e-3, "driver": {"id": "objectives", "aggregator": "pcgrad"}}, "PCGrad",
     {"optimizer": "SGD", "lr": 1e-3}),
    ("prodigy", {"d0": 1e-3, "weightDecay": 0.1}, "Prodigy", {"d0": 1e-3, "weight_decay": 0.1}),
    ("prodigy", {"d0": 1e-3, "dCoefficient": 0.5, "biasCorrection": True}, "Prodigy",
     {"d0": 1e-3, "d_coef": 0.5, "bias_correction": True}),
    ("qhm", {"momentum": 0.95, "nu": 0.7}, "QHM", {"momentum": 0.95, "nu": 0.7}),
    ("radam", {"learningRate": 0.002, "beta2": 0.9}, "RAdam", {"lr": 0.002, "betas": (0.9, 0.9), "degenerated_to_sgd": True}),
    ("radam", {"learningRate": 0.002, "beta1": 0.95, "beta2": 0.9, "eps": 1e-5, "transforms": [{"id": "lookahead", "k": 6}]},
     "Ranger", {"lr": 0.002, "betas": (0.95, 0.9), "degenerated_to_sgd": True, "use_gc": False}),
    ("sgd", {"learningRate": 1e-3, "momentum": 0.9, "driver": {"id": "sam"}}, "SAM",
     {"base_optimizer": "SGD", "lr": 1e-3, "momentum": 0.9}),
    ("adam", {"learningRate": 0.02, "driver": {"id": "sam", "rho": 0.2}}, "SAM",
     {"base_optimizer": "Adam", "lr": 0.02, "rho": 0.2}),
    ("sgd", {"learningRate": 1e-3, "momentum": 0.9, "nesterov": True, "transforms": [{"id": "weight-decay", "rate": 0.5}]}, "SGDW",
     {"lr": 1e-3, "momentum": 0.9, "nesterov": True, "weight_decay": 0.5}),
    ("soap", {"learningRate": 0.02}, "SOAP", {"lr": 0.02}),
    ("soap", {"learningRate": 0.02, "beta1": 0.9, "beta2": 0.99, "shampooBeta": 0.9, "refreshEvery": 3, "correction": False,
              "weightDecay": 0}, "SOAP",
     {"lr": 0.02, "betas": (0.9, 0.99), "shampoo_beta": 0.9, "precondition_frequency": 3, "correct_bias": False,
      "weight_decay": 0.0}),
    ("swats", {"learningRate": 0.02, "eps": 0.2, "tolerance": 0.2, "relative": True, "beta2": 0.9}, "SWATS",
     {"lr": 0.02, "eps": 0.2, "betas": (0.9, 0.9)}, "vector"),
    ("swats", {"learningRate": 0.02, "eps": 0.3, "tolerance": 0.3, "relative": True, "amsgrad": True}, "SWATS",
     {"lr": 0.02, "eps": 0.3, "ams_bound": True}, "vector"),
    ("shampoo", {"learningRate": 0.05, "beta1": 0.9, "beta2": 0.9, "grafting": "rmsprop", "start": 1, "preconditioningSteps": 1,
                 "ridge": 0}, "ScalableShampoo",
     {"lr": 0.05, "betas": (0.9, 0.9), "start_preconditioning_step": 1, "preconditioning_compute_steps": 1, "use_svd": True,
      "shape_interpretation": False, "graft_type": 3}, "column"),
    ("shampoo", {"learningRate": 1e-3, "beta2": 0.99, "grafting": "sgd", "nesterov": False, "start": 4, "preconditioningSteps": 4,
                 "ridge": 0}, "ScalableShampoo",
     {"lr": 1e-3, "betas": (0.9, 0.99), "start_preconditioning_step": 4, "preconditioning_compute_steps": 4, "use_svd": True,
      "shape_interpretation": False, "graft_type": 1, "nesterov": False}, "column"),
    ("schedule-free", {"learningRate": 0.02, "weightDecay": 0.1}, "ScheduleFreeAdamW", {"lr": 0.02, "weight_decay": 0.1}),
    ("schedule-free", {"learningRate": 1e-3, "base": "sgd", "power": 1, "weightDecay": 0.1}, "ScheduleFreeSGD",
     {"lr": 1e-3, "r": 1.0, "weight_decay": 0.1}),
    ("schedule-free", {"learningRate": 1e-3, "base": "sgd", "beta1": 0.8}, "ScheduleFreeWrapper",
     {"optimizer": "SGD", "lr": 1e-3, "momentum": 0.8}),
    ("shampoo", {"learningRate": 0.02, "beta1": 0, "grafting": "none", "start": 1, "preconditioningSteps": 1, "ridge": 0},
     "Shampoo", {"lr": 0.02}, "column"),
    ("sign-sgd", {"learningRate": 0.01, "weightDecay": 0.1}, "SignSGD", {"lr": 0.01, "momentum": 0.0, "weight_decay": 0.1}),
    ("sign-sgd", {"learningRate": 0.01, "momentum": 0.9}, "SignSGD", {"lr": 0.01}),
    ("sophia", {"learningRate": 6e-4, "eps": 1e-14, "weightDecay": 0.2}, "SophiaH", {"weight_decay": 0.2 * 0.01}),
    # Here the clip holds back some coordinates in some steps only: above it holds back all of them.
    ("sophia", {"learningRate": 0.2, "gamma": 10, "eps": 1e-14, "weightDecay": 0,
                "driver": {"id": "diagonal", "probes": "rademacher", "every": 10}}, "SophiaH", {"lr": 0.02, "p": 10.0}),
    ("sign-sgd", {"learningRate": 0.01, "momentum": 0.965, "weightDecay": 0.01}, "Tiger", {"lr": 0.01}),
    ("yogi", {"learningRate": 0.02, "weightDecay": 0.1}, "Yogi", {"lr": 0.02, "weight_decay": 0.1, "weight_decouple": False}),
]

# As the package has them where asktell follows something else, which the test says and writes out.
DEPARTURES = [
    ("ADOPT", {"lr": 0.02, "betas": (0.9, 0.99)}),
    ("FAdam", {"lr": 0.02, "eps": 0.1}),
    ("Grams", {"lr": 0.02, "eps": 0.1}),
    ("LARS", {"lr": 1e-3}),
    ("Lamb", {"lr": 2e-3, "weight_decay": 0.1, "weight_decouple": False}),
    ("MARS", {"lr": 0.02, "eps": 0.1, "optimize_1d": True}),
    ("RAdam", {"lr": 0.02, "betas": (0.9, 0.9)}),
]


FUNCTIONS = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam, "(step - 1)^(1/4)": lambda step: math.pow(step - 1, 0.25)}


def build(name, tensors, arguments):
    arguments = {key: FUNCTIONS.get(value, value) if isinstance(value, str) else value for key, value in arguments.items()}
    if name == "Muon":
        rate, decay = arguments.pop("adamw_lr", 0.0), arguments.pop("adamw_wd", 0.0)
        groups = [{"params": [x], "use_muon": x.ndim > 1} for x in tensors]
        return package.Muon(groups, adamw_lr=rate, adamw_wd=decay, **arguments)
    if name == "PCGrad":
        return package.PCGrad(arguments.pop("optimizer")(tensors, **arguments))
    if name == "ScheduleFreeWrapper":
        momentum, base = arguments.pop("momentum"), arguments.pop("optimizer")
        optimizer = package.ScheduleFreeWrapper(base(tensors, **arguments), momentum=momentum)
        optimizer.train()
        return optimizer
    return getattr(package, name)(params=tensors, **arguments)


def reshaped(function, start, form):
    """The tensors at the start, and the function of them, where vectors are columns or all elements are one vector."""
    given = [torch.tensor(values) for values in start]
    if form == "column":
        tensors = [x.reshape(len(x), -1) for x in given]
    elif form == "vector":
        tensors = [torch.cat([x.flatten() for x in given])]
    else:
        tensors = given

    def of(*tensors):
        parts = torch.cat([x.flatten() for x in tensors]).split([x.numel() for x in given])
        return function(*(part.reshape(x.shape) for part, x in zip(parts, given)))

    return [x.requires_grad_() for x in tensors], of


def trajectory(function, start, name, arguments, form=""):
    tensors, of = reshaped(function, start, form)
    optimizer = build(name, tensors, arguments)

    def closure():
        optimizer.zero_grad()
        loss = of(*tensors)
        loss.backward()
        return loss.item()

    points = {}
    for step in range(1, STEPS + 1):
        loss = closure()
        if name == "AdaHessian" or (name == "SophiaH" and step % 10 == 1):
            # In place of an estimate from random vectors; SophiaH has one every 10 steps.
            blocks = hessian(of, tuple(x.detach() for x in tensors))
            diagonals = [blocks[i][i].reshape(x.numel(), -1).diagonal().reshape(x.shape) for i, x in enumerate(tensors)]
            optimizer.step(hessian=diagonals)
        elif name == "SAM":
            optimizer.step(closure)
        elif name == "PCGrad":
            # Two objectives, so that the random order of their projections does not matter.
            optimizer.pc_backward([of(*tensors), sum(0.5 * ((x + 1) ** 2).sum() for x in tensors)])
            optimizer.step()
        elif name == "AliG":
            optimizer.step(lambda: loss)
        else:
            optimizer.step()
        if step in SAMPLED:
            points[step] = written(tensors)
    return points


def described(name, arguments):
    return f"{name}({', '.join(f'{key}={value}' for key, value in arguments.items())})"


if __name__ == "__main__":
    cases = [
        {
            "optimizer": name,
            "described": described(name, arguments),
            "method": method,
            "config": config,
            "problem": problem,
            **({"form": options[0]} if options else {}),
            "trajectory": trajectory(function, start, name, arguments, *options),
        }
        for method, config, name, arguments, *options in CASES
        for problem, (function, start) in PROBLEMS.items()
    ]
    departures = [
        {
            "optimizer": name,
            "described": described(name, arguments),
            "problem": problem,
            "trajectory": trajectory(function, start, name, arguments),
        }
        for name, arguments in DEPARTURES
        for problem, (function, start) in PROBLEMS.items()
    ]
    optimizers = sorted(
        name
        for name in package.__all__
        if isinstance(getattr(package, name), type) and issubclass(getattr(package, name), torch.optim.Optimizer)
    )
    found = {
        "pytorch_optimizer": importlib.metadata.version("pytorch_optimizer"),
        "torch": torch.__version__,
        "optimizers": optimizers,
        "cases": cases,
        "departures": departures,
    }
    pathlib.Path(__file__).with_name("pytorch-optimizer.json").write_text(json.dumps(found, allow_nan=False) + "\n")
