#!/usr/bin/env python3
"""Writes golden.json: decisions of Optuna's pruners and p-values of SciPy. Needs optuna and scipy."""
import json
import math
import random
import warnings
from pathlib import Path

import optuna
import optuna.pruners._hyperband as hyperband
import scipy
from optuna import pruners
from optuna.trial import TrialState

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)

# Optuna draws the bracket of a trial by a hash of its number; here the number itself, which is the order of the paper.
hyperband.binascii = type("", (), {"crc32": staticmethod(lambda name: int(name.decode().rsplit("_", 1)[1]))})

#: Pruner, config, Optuna's pruner, share of values that are NaN.
SETTINGS = [
    ("median", {}, lambda: pruners.MedianPruner(), 0.03),
    ("median", {"nStartupTrials": 2, "nWarmupSteps": 3, "intervalSteps": 4, "nMinTrials": 3},
     lambda: pruners.MedianPruner(2, 3, 4, n_min_trials=3), 0.03),
    ("asha", {}, lambda: pruners.SuccessiveHalvingPruner(min_resource=1), 0.03),
    ("asha", {"minResource": 2, "reductionFactor": 3, "minEarlyStoppingRate": 1, "bootstrapCount": 2},
     lambda: pruners.SuccessiveHalvingPruner(2, 3, 1, 2), 0.03),
    ("percentile", {}, lambda: pruners.PercentilePruner(25.0), 0.03),
    ("percentile", {"percentile": 70, "nStartupTrials": 3, "nWarmupSteps": 1, "intervalSteps": 2, "nMinTrials": 2},
     lambda: pruners.PercentilePruner(70.0, 3, 1, 2, n_min_trials=2), 0.03),
    ("threshold", {"upper": 1.2}, lambda: pruners.ThresholdPruner(upper=1.2), 0.01),
    ("threshold", {"lower": -0.7, "upper": 0.7, "nWarmupSteps": 3, "intervalSteps": 3},
     lambda: pruners.ThresholdPruner(-0.7, 0.7, 3, 3), 0.01),
    ("patient", {"patience": 1}, lambda: pruners.PatientPruner(None, 1), 0.03),
    ("patient", {"patience": 2, "minDelta": 0.02}, lambda: pruners.PatientPruner(None, 2, 0.02), 0.03),
    ("patient", {"patience": 0, "wrapped": {"method": "median"}},
     lambda: pruners.PatientPruner(pruners.MedianPruner(), 0), 0.03),
    ("patient", {"patience": 1, "wrapped": {"method": "percentile", "config": {"percentile": 40, "nStartupTrials": 2}}},
     lambda: pruners.PatientPruner(pruners.PercentilePruner(40.0, 2), 1), 0.03),
    ("hyperband", {}, lambda: pruners.HyperbandPruner(), 0.03),
    ("hyperband", {"maxResource": 20, "minResource": 2, "reductionFactor": 2, "bootstrapCount": 1},
     lambda: pruners.HyperbandPruner(2, 20, 2, 1), 0.03),
    ("wilcoxon", {}, lambda: pruners.WilcoxonPruner(), 0.002),
    ("wilcoxon", {"pThreshold": 0.02, "nStartupSteps": 7},
     lambda: pruners.WilcoxonPruner(p_threshold=0.02, n_startup_steps=7), 0.002),
]


def decisions():
    """Four trials at a time report noisy curves; every report's decision is written down, and how trials end."""
    cases = []
    for pruner, config, make, nan in SETTINGS:
        for direction in ("minimize", "maximize"):
            rng = random.Random(len(cases))
            study = optuna.create_study(direction=direction, pruner=make())
            sign = 1 if direction == "minimize" else -1
            events, running, started = [], [], 0
            while started < 40 or running:
                if started < 40 and len(running) < 4:
                    running.append([study.ask(), 0, rng.random()])
                    started += 1
                    continue
                job = rng.choice(running)
                trial, step, level = job
                value = round(sign * (level + 1 / (1 + step) + 0.2 * rng.random()), 6)
                if rng.random() < nan:
                    value = math.nan
                trial.report(value, step)
                prune = bool(trial.should_prune())
                events.append([trial.number, step, None if math.isnan(value) else value, prune])
                job[1] += rng.choice([1, 1, 1, 2])
                if prune or job[1] > 20:
                    running.remove(job)
                    if prune:
                        study.tell(trial, state=TrialState.PRUNED)
                        events.append([trial.number, "pruned"])
                    elif rng.random() < 0.2:
                        study.tell(trial, state=TrialState.FAIL)
                        events.append([trial.number, "failed"])
                    else:
                        final = 0.0 if math.isnan(value) else value
                        study.tell(trial, final)
                        events.append([trial.number, "ok", final])
            cases.append({"pruner": pruner, "config": config, "direction": direction, "events": events})
    return cases


def signed_rank():
    """SciPy is exact without ties and, by all changes of sign, for 13 differences or fewer; above 50 it approximates."""
    rng = random.Random(0)
    cases = []
    for n, ties in [(1, False), (2, False), (5, False), (5, True), (9, True), (13, True), (30, False), (50, False),
                    (51, False), (80, True)]:
        for shift in (-0.3, 0, 0.4):
            differences = [round(rng.gauss(shift, 1), 6) for _ in range(n)]
            if ties:
                differences = [round(2 * x) / 2 for x in differences]
            p = scipy.stats.wilcoxon(differences, alternative="greater", zero_method="zsplit").pvalue
            cases.append({"differences": differences, "p": float(p)})
    return cases


golden = {"source": f"optuna {optuna.__version__}, scipy {scipy.__version__}", "cases": decisions(), "signedRank": signed_rank()}
Path(__file__).with_suffix(".json").write_text(json.dumps(golden) + "\n")
