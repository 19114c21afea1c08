"""The study façade: define-by-run over declared spaces."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

import asktell
from asktell.study import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    TrialPruned,
    TrialState,
    create_study,
    load_study,
)
from asktell.study.parameters import contains, hull, point_of, sample


def plain(trial):
    x = trial.suggest_float("x", -5, 5)
    n = trial.suggest_int("n", 1, 8, log=True)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    return (x - 1) ** 2 + n + (kind == "b")


def conditional(trial):
    if trial.suggest_categorical("optimizer", ["sgd", "adam"]) == "sgd":
        momentum = trial.suggest_float("momentum", 0, 0.9, step=0.1)
        return 1 + abs(momentum - 0.5)
    return abs(np.log10(trial.suggest_float("lr", 1e-5, 1e-1, log=True)) + 3)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_first_trial_shows_the_space(client, sampler):
    study = create_study(sampler=sampler, seed=0, client=client)
    assert study.session is None and study.trials == []
    with pytest.raises(ValueError, match="no trial is complete"):
        _ = study.best_trial
    study.optimize(plain, n_trials=20)
    assert study.session.space.parameters == {
        "x": FloatDistribution(-5, 5),
        "n": IntDistribution(1, 8, log=True),
        "kind": CategoricalDistribution(("a", "b")),
    }
    trials = study.trials
    assert [t.number for t in trials] == list(range(20))
    assert all(t.state is TrialState.COMPLETE and set(t.params) == {"x", "n", "kind"} for t in trials)
    best = min(trials, key=lambda t: t.value)
    assert (study.best_trial.number, study.best_params, study.best_value) == (best.number, best.params, best.value)
    assert best.value == (best.params["x"] - 1) ** 2 + best.params["n"] + (best.params["kind"] == "b")
    assert best.duration is not None and best.duration.total_seconds() >= 0
    assert study.session.estimate().value == best.value


def test_parameters_that_come_later_move_the_study(client):
    study = create_study(study_name="moves", sampler="random", seed=0, client=client)
    used = {}

    def objective(trial):
        value = conditional(trial)
        used[trial.number] = (dict(trial.params), value)
        return value

    study.optimize(objective, n_trials=20)
    assert set(study.session.space.parameters) == {"optimizer", "momentum", "lr"}
    assert study.session.id != "moves"
    # Numbers, parameters and values of all trials survived the moves.
    assert {t.number: (t.params, t.value) for t in study.trials} == used
    assert {len(params) for params, _ in used.values()} == {2}
    # The server was told all of them, with a value for the parameter that was not used.
    records = study.session.trials()
    assert len(records) == 20 and all(len(r.params) == 3 and r.state == "completed" for r in records)
    old = client.session("moves")
    assert old.info.state == "done" and old.info.labels["next"]
    # Whoever loads the study comes to where it is.
    other = load_study(study_name="moves", client=client)
    assert other.session.name == study.session.name and other.best_value == study.best_value
    assert other.ask().number == 20


def test_a_wider_range_moves_the_study_and_another_type_is_an_error(client):
    study = create_study(sampler="random", seed=0, client=client)
    high = [1.0, 1.0, 10.0, 1.0]
    study.optimize(lambda t: t.suggest_float("x", 0, high[t.number]), n_trials=4)
    assert study.session.space.parameters == {"x": FloatDistribution(0, 10.0)}
    assert all(t.params["x"] <= high[t.number] for t in study.trials) and len(study.trials) == 4
    with pytest.raises(ValueError, match="only the range may change"):
        study.optimize(lambda t: t.suggest_int("x", 0, 1), n_trials=1)


def test_choices_that_cannot_travel_are_refused_where_they_are_suggested(client):
    study = create_study(sampler="random", seed=0, client=client)
    trial = study.ask()
    for choices in (["a", None], [("a", "b")], [1, {"b": 2}]):
        with pytest.raises(TypeError, match="'d': expected choices that are strings, numbers or booleans, got"):
            trial.suggest_categorical("d", choices)
    assert trial.suggest_categorical("d", ["a", True, 1.5]) in ("a", True, 1.5)


def test_a_declared_space_has_conditions(client):
    space = {
        "optimizer": CategoricalDistribution(["sgd", "adam"]),
        "momentum": asktell.Float(0, 0.9, step=0.1, when=("optimizer", "sgd")),
        "lr": asktell.Float(1e-5, 1e-1, log=True, when=("optimizer", "adam")),
    }
    study = create_study(sampler="random", space=space, seed=0, client=client)
    first = study.session
    study.optimize(conditional, n_trials=12)
    assert study.session is first
    assert all(len(r.params) == 2 and r.state == "completed" for r in first.trials())


def test_ask_and_tell(client):
    study = create_study(direction="maximize", sampler="random", seed=0, client=client)
    trial = study.ask({"x": FloatDistribution(0, 1), "n": IntDistribution(1, 3)})
    assert set(trial.params) == {"x", "n"} and trial.number == 0
    assert study.tell(trial, 0.5).state is TrialState.COMPLETE
    with pytest.raises(ValueError, match="told of before"):
        study.tell(trial, 0.5)
    assert study.tell(trial, 0.5, skip_if_finished=True).value == 0.5
    assert study.tell(study.ask(), float("nan")).state is TrialState.FAIL
    assert study.tell(study.ask(), state=TrialState.PRUNED).state is TrialState.PRUNED
    number = study.ask().number
    study.tell(number, 0.75)
    with pytest.raises(ValueError, match="expected 1 values"):
        study.tell(study.ask(), [1.0, 2.0])
    assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "PRUNED", "COMPLETE", "RUNNING"]
    assert study.best_trial.number == 3 and study.best_value == 0.75
    assert [t.number for t in study.get_trials([TrialState.COMPLETE])] == [0, 3]


@pytest.mark.parametrize(
    "pruner",
    [
        ("median", {"nStartupTrials": 3}),
        ("percentile", {"nStartupTrials": 3}),
        ("threshold", {"upper": 1.0, "nWarmupSteps": 1}),
        ("patient", {"patience": 0, "wrapped": {"method": "asha"}}),
        "successive-halving",
        ("hyperband", {"maxResource": 4}),
        "wilcoxon",
    ],
)
def test_pruning(client, pruner):
    study = create_study(sampler="random", pruner=pruner, seed=0, client=client)

    def loss(x, step):
        return x * (step + 1) + 1 / (step + 1)

    def learn(trial):
        x = trial.suggest_float("x", 0, 1)
        for step in range(5):
            trial.report(loss(x, step), step)
            if trial.should_prune():
                raise TrialPruned
        return x

    study.optimize(learn, n_trials=30)
    pruned = study.get_trials([TrialState.PRUNED])
    assert len(pruned) >= 5
    trial = pruned[0]
    last = max(trial.intermediate_values)
    assert trial.value == trial.intermediate_values[last] == pytest.approx(loss(trial.params["x"], last))
    assert study.best_trial.state is TrialState.COMPLETE


def test_failures(client):
    study = create_study(sampler="random", seed=0, client=client)

    def fails(trial):
        if trial.number in (0, 3):
            raise RuntimeError("no")
        return trial.suggest_float("x", 0, 1)

    with pytest.raises(RuntimeError, match="no"):
        study.optimize(fails, n_trials=3)
    study.optimize(fails, n_trials=4, catch=RuntimeError)
    assert [t.state.name for t in study.trials] == ["FAIL", "COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    study.optimize(lambda t: t.set_user_attr("x", t.suggest_float("x", 0, 1)), n_trials=1)
    assert study.trials[-1].state is TrialState.FAIL


@pytest.mark.parametrize("objective", [plain, conditional])
def test_jobs_in_parallel(client, objective):
    study = create_study(sampler="random", seed=0, client=client)
    names, seen = set(), []

    def watched(trial):
        names.add(threading.current_thread().name)
        return objective(trial)

    study.optimize(watched, n_trials=40, n_jobs=8, callbacks=[lambda s, t: seen.append(t)])
    complete = study.get_trials([TrialState.COMPLETE])
    assert len(complete) == len(seen) == 40 and len(names) > 1
    assert sorted(t.value for t in complete) == pytest.approx(sorted(t.value for t in seen))
    assert study.best_value == min(t.value for t in seen)


def test_enqueue_attributes_stop_and_timeout(client):
    study = create_study(sampler="random", seed=0, client=client)
    study.enqueue_trial({"x": 2.5}, user_attrs={"by": "hand"})
    study.enqueue_trial({"n": 8})
    study.optimize(plain, n_trials=2)
    study.enqueue_trial({"x": -1.5, "n": 4})
    study.optimize(plain, n_trials=2)
    first, second, third, _ = study.trials
    assert first.params["x"] == 2.5 and first.user_attrs == {"by": "hand"}
    assert second.params["n"] == 8 and (third.params["x"], third.params["n"]) == (-1.5, 4)
    trial = study.ask()
    trial.set_user_attr("note", [1, 2])
    assert study.tell(trial, plain(trial)).user_attrs == {"note": [1, 2]}
    study.optimize(plain, callbacks=[lambda s, t: s.stop()])
    assert len(study.trials) == 6
    study.optimize(plain, timeout=0.0)
    assert len(study.trials) == 6


def test_names(client):
    study = create_study(study_name="named", direction="maximize", sampler="random", client=client)
    with pytest.raises(KeyError):
        load_study(study_name="named", client=client)
    study.optimize(plain, n_trials=2)
    with pytest.raises(asktell.AlreadyExists):
        create_study(study_name="named", client=client)
    loaded = create_study(study_name="named", load_if_exists=True, client=client)
    assert loaded.direction == "maximize" and len(loaded.trials) == 2
    # Two that began at the same time end up in one session.
    a, b = (create_study(study_name="twins", sampler="random", client=client) for _ in "ab")
    a.optimize(plain, n_trials=2)
    b.optimize(plain, n_trials=2)
    assert a.session.name == b.session.name and len(a.trials) == len(b.trials) == 4


def test_two_processes_follow_each_other(client):
    a = create_study(study_name="shared", sampler="random", seed=0, client=client)
    a.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=2)
    b = load_study(study_name="shared", client=client)
    pending = b.ask()
    pending.suggest_float("x", 0, 1)
    a.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_float("y", 0, 1), n_trials=2)
    assert b.session.name != a.session.name
    b.tell(pending, 0.5)
    assert b.session.name == a.session.name
    b.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_float("y", 0, 1), n_trials=2)
    assert sorted(t.value for t in a.get_trials([TrialState.COMPLETE])) == sorted(
        t.value for t in b.get_trials([TrialState.COMPLETE])
    )
    assert len(a.get_trials([TrialState.COMPLETE])) == 7


def test_methods_that_take_no_other_points(client, monkeypatch):
    # Of all methods that ask for values of parameters, none refuses points that it did not ask for.
    described = client.describe("random")
    picky = replace(described, facts=replace(described.facts, unsolicited=False))
    monkeypatch.setattr(client, "describe", lambda method: picky)
    study = create_study(sampler="random", client=client)
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=3)
    assert [t.number for t in study.trials] == [0, 1, 2]
    assert len(study.session.trials()) == 2
    with pytest.raises(RuntimeError, match="give create_study the whole space"):
        study.optimize(lambda t: t.suggest_float("y", 0, 1), n_trials=1)


@pytest.mark.parametrize(
    "p",
    [
        FloatDistribution(-1, 2),
        FloatDistribution(1e-6, 1, log=True),
        FloatDistribution(0, 1, step=0.25),
        IntDistribution(-3, 3),
        IntDistribution(1, 100, log=True),
        IntDistribution(0, 10, step=5),
        CategoricalDistribution(("a", 1, True)),
        asktell.Ordinal((1, 2, 4)),
    ],
)
def test_values_drawn_on_the_client_are_in_their_range(p):
    rng = np.random.default_rng(0)
    values = [sample(p, rng) for _ in range(300)]
    assert all(contains(p, v) for v in values)
    if isinstance(p, IntDistribution):
        assert all(isinstance(v, int) for v in values) and p.low in values and (p.log or p.high in values)
    if p == FloatDistribution(0, 1, step=0.25):
        assert set(values) == {0, 0.25, 0.5, 0.75, 1}
    if p == FloatDistribution(1e-6, 1, log=True):
        assert 100 < sum(v < 1e-3 for v in values) < 200


def test_hulls_and_completion():
    assert hull("x", IntDistribution(0, 4, step=2), IntDistribution(-2, 2, step=2)) == IntDistribution(-2, 4, step=2)
    with pytest.raises(ValueError, match="steps lie elsewhere"):
        hull("x", IntDistribution(0, 4, step=2), IntDistribution(1, 3, step=2))
    with pytest.raises(ValueError, match="choices do not change"):
        hull("x", CategoricalDistribution((1, 2)), CategoricalDistribution((1, 2, 3)))
    space = {"a": CategoricalDistribution((1, 2)), "b": asktell.Float(0, 1, when=("a", 2)), "c": asktell.Float(0, 1)}
    assert point_of(space, {"a": 1, "b": 0.5}, lambda p: 0.25) == {"a": 1, "c": 0.25}
    assert point_of(space, {"a": 2, "c": 0.5}, lambda p: 0.25) == {"a": 2, "b": 0.25, "c": 0.5}
