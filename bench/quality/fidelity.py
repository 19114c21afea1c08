"""Training that may be stopped early, by a table of learning curves (curves_table.py): regret while epochs are spent.

Reads {"subjects", "table", "seeds", "trainings", "workers"} as JSON on its argument: the epochs of so many full trainings
are spent, by workers that take turns epoch by epoch. A subject is a method and a pruner, as in asktell:bohb+hyperband;
rungs are at 1, 3 and 9 epochs for all. Writes a line of JSON for each run, with the normalised regret of the least error
seen at any epoch, after each full training's worth of epochs.
"""
import json
import sys
import time
from datetime import datetime

import numpy as np
from asktell import Categorical, Int, Observation
from curves_table import EPOCHS, Curves
from subjects import Unsuited, client, suggested, versions

ETA = 3
RUNGS = {"minResource": 1, "reductionFactor": ETA}
BRACKETS = RUNGS | {"maxResource": EPOCHS}
PRUNERS = {"": None, "asha": ("asha", RUNGS), "hyperband": ("hyperband", BRACKETS), "median": "median"}


class Asktell:
    def __init__(self, method, pruner, space, seed):
        config = BRACKETS if method == "bohb" else {}
        self.session = client().create_session(
            method, space, config=config, pruner=PRUNERS[pruner], direction="minimize", seed=seed
        )

    def start(self):
        query = self.session.ask().queries[0]
        return query, query.params

    def report(self, query, epoch, error):
        return self.session.report(query, epoch, error).should_prune

    def end(self, query, error, pruned):
        self.session.tell(Observation(query, error, status="pruned" if pruned else "ok"))

    def close(self):
        self.session.delete()


class Optuna:
    def __init__(self, sampler, pruner, space, seed):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        samplers, pruners, self.space = optuna.samplers, optuna.pruners, space
        self.pruned = optuna.trial.TrialState.PRUNED
        self.study = optuna.create_study(
            sampler=samplers.RandomSampler(seed)
            if sampler == "random"
            else samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True),
            pruner={
                "": pruners.NopPruner(),
                "asha": pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=ETA),
                "hyperband": pruners.HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=ETA),
                "median": pruners.MedianPruner(),
            }[pruner],
        )

    def start(self):
        trial = self.study.ask()
        return trial, suggested(trial, self.space)

    def report(self, trial, epoch, error):
        trial.report(error, epoch)
        return trial.should_prune()

    def end(self, trial, error, pruned):
        self.study.tell(trial, **({"state": self.pruned} if pruned else {"values": error}))

    def close(self):
        pass


class SyneTune:
    """Its schedulers, as its Tuner drives them."""

    def __init__(self, kind, pruner, space, seed):
        from syne_tune import config_space as domains
        from syne_tune.backend.trial_status import Trial
        from syne_tune.optimizer import baselines

        def domain(p):
            if isinstance(p, Categorical):
                return domains.choice(list(p.choices))
            whole = isinstance(p, Int)
            kinds = (domains.lograndint, domains.randint) if whole else (domains.loguniform, domains.uniform)
            return kinds[0 if p.log else 1](p.low, p.high)

        np.random.seed(seed)  # Brackets are drawn from it.
        self.trial, self.count = Trial, 0
        self.scheduler = {
            "asha": baselines.ASHA,
            "bohb": baselines.BOHB,
            "bore": baselines.ASHABORE,
            "cqr": baselines.ASHACQR,
        }[kind](
            {name: domain(p) for name, p in space.items()},
            metric="error",
            time_attr="epoch",
            max_t=EPOCHS,
            reduction_factor=ETA,
            random_seed=seed,
        )

    def start(self):
        suggestion = self.scheduler.suggest()
        trial = self.trial(self.count, suggestion.config, datetime.now())
        self.count += 1
        self.scheduler.on_trial_add(trial)
        return trial, suggestion.config

    def report(self, trial, epoch, error):
        if epoch < EPOCHS:
            return self.scheduler.on_trial_result(trial, {"error": error, "epoch": epoch}) != "CONTINUE"

    def end(self, trial, error, pruned):
        if not pruned:
            self.scheduler.on_trial_complete(trial, {"error": error, "epoch": EPOCHS})

    def close(self):
        pass


def tuner(name, space, seed):
    for prefix, kind in {"asktell:": Asktell, "optuna-": Optuna, "syne-tune-": SyneTune}.items():
        if name.startswith(prefix):
            method, _, pruner = name.removeprefix(prefix).partition("+")
            return kind(method, pruner, space, seed)
    raise Unsuited("not for this benchmark")


def spend(subject, curves, epochs, workers):
    """Yields the error after each epoch."""
    running = [None] * workers
    for spent in range(epochs):
        at = spent % workers
        if running[at] is None:
            trial, params = subject.start()
            running[at] = trial, 0, curves.curve(params)
        trial, epoch, curve = running[at]
        error, epoch = curve[epoch], epoch + 1
        yield error
        pruned = subject.report(trial, epoch, error)
        running[at] = trial, epoch, curve
        if pruned or epoch == EPOCHS:
            subject.end(trial, error, epoch < EPOCHS)
            running[at] = None


def run(name, curves, seed, trainings, workers):
    line = {"subject": name, "task": "digits", "seed": seed}
    errors, begun = [], time.perf_counter()
    try:
        subject = tuner(name, curves.space, seed)
        try:
            errors.extend(spend(subject, curves, trainings * EPOCHS, workers))
        finally:
            subject.close()
    except (Unsuited, ImportError) as refusal:
        return line | {"refused": str(refusal)}
    except Exception as error:  # A peer that fails keeps what it had reached.
        line["failed"] = f"{type(error).__name__}: {error}"
    if not errors:
        return line | {"refused": line["failed"]}
    best = np.minimum.accumulate([*errors, *[np.inf] * (trainings * EPOCHS - len(errors))])
    regret = [curves.regret(error) for error in best[EPOCHS - 1 :: EPOCHS]]
    return line | {"regret": regret, "seconds": time.perf_counter() - begun}


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    print(json.dumps({"versions": versions()}), flush=True)
    curves = Curves(task["table"])
    for seed in task["seeds"]:
        for name in task["subjects"]:
            print(json.dumps(run(name, curves, seed, task["trainings"], task["workers"])), flush=True)
    print(json.dumps({"done": True}))
