"""Search spaces with orders and constraints, and changes by hand, as a user of the client meets them."""

from __future__ import annotations

import json
import urllib.request

import pytest

import asktell
from asktell import Categorical, Float, Forbidden, Int, Linear, Permutation, SearchSpace

SPACE = SearchSpace(
    {
        "route": Permutation(["a", "b", "c", "d"]),
        "x": Float(0, 1),
        "n": Int(1, 8),
        "kind": Categorical(["p", "q"]),
    },
    [Linear({"x": 4, "n": 1}, 6), "x^2 <= 0.5 or kind == 'q'", Forbidden({"kind": "p", "n": [1, 2]})],
)


def allowed(p):
    return 4 * p["x"] + p["n"] <= 6 and (p["x"] ** 2 <= 0.5 or p["kind"] == "q") and not (p["kind"] == "p" and p["n"] < 3)


def test_a_space_with_constraints_comes_back_as_it_was(client):
    session = client.create_session("random", SPACE, seed=1)
    space = client.session(session.name).space
    assert space.parameters == {**SPACE.parameters, "route": Permutation(("a", "b", "c", "d")), "kind": Categorical(("p", "q"))}
    assert space.constraints == (
        Linear({"x": 4.0, "n": 1.0}, 6.0),
        "x^2 <= 0.5 or kind == 'q'",
        Forbidden({"kind": ("p",), "n": (1, 2)}),
    )


@pytest.mark.parametrize("method", ["random", "tpe", "gp", "genetic"])
def test_what_is_asked_satisfies_them(client, method):
    session = client.create_session(method, SPACE, seed=1)
    for _ in range(15):
        (query,) = session.ask()
        assert sorted(query.params["route"]) == ["a", "b", "c", "d"]
        assert allowed(query.params)
        session.tell(query, query.params["x"] + "dcba".index(query.params["route"][0]))
    trials = session.trials()
    assert all(isinstance(t.params["route"], list) for t in trials)


def test_a_point_outside_is_refused_where_it_is(client):
    session = client.create_session("random", SPACE, seed=1)
    point = {"route": ["b", "a", "d", "c"], "x": 0.9, "n": 8, "kind": "q"}
    with pytest.raises(asktell.InvalidArgument) as caught:
        session.tell(asktell.Observation(point=point, value=1.0))
    (issue,) = caught.value.issues
    assert issue.path == "observations[0].point"
    assert issue.message == 'violates "4*x + 1*n <= 6"'
    with pytest.raises(asktell.InvalidArgument, match="is not a value of this parameter"):
        session.enqueue({**point, "route": ["a", "a", "b", "c"], "x": 0.1, "n": 1})


@pytest.mark.parametrize(
    ("constraint", "path"),
    [
        ("x +", "session.space.search.constraints[0].expression"),
        ("import('fs') < x", "session.space.search.constraints[0].expression"),
        (Linear({"kind": 1}, 1), 'session.space.search.constraints[0].linear.coefficients["kind"]'),
        (Forbidden({"y": 1}), "session.space.search.constraints[0].forbidden.values[0]"),
        ("x > 3", "session.space.search.constraints"),
    ],
)
def test_wrong_constraints_are_refused_where_they_are(client, constraint, path):
    with pytest.raises(asktell.InvalidArgument) as caught:
        client.create_session("random", SearchSpace(SPACE.parameters, [constraint]))
    assert caught.value.issues[0].path == path


def test_a_session_is_changed_by_hand(client):
    session = client.create_session("tpe", {"x": Float(0, 1)}, seed=1)
    for value in (0.5, -100.0, 0.25):
        (query,) = session.ask()
        session.tell(query, value)
    corrected = session.correct_trial(1, 0.75, reason="a typo")
    assert (corrected.state, corrected.value) == ("completed", 0.75)
    assert session.delete_trial(2, reason="wrong data").state == "deleted"
    assert session.estimate().value == 0.5
    session.edit_space({"x": Float(0, 2), "k": Categorical(["a", "b"])}, defaults={"k": "a"})
    assert session.space.parameters["x"] == Float(0.0, 2.0)
    assert [t.params.get("k") for t in session.trials()] == ["a", "a", None]
    session.enqueue({"x": 1.5, "k": "b"})
    assert session.ask().queries[0].params == {"x": 1.5, "k": "b"}
    entries = session.audit()
    assert [(e.action, e.trial, e.reason) for e in entries] == [
        ("correct_trial", 1, "a typo"),
        ("delete_trial", 2, "wrong data"),
        ("edit_space", None, ""),
        ("enqueue", 3, ""),
    ]
    assert entries[0].before["values"] == [-100]
    assert entries[0].after["values"] == [0.75]
    assert {e.principal for e in entries} == {"anonymous"}
    with pytest.raises(asktell.InvalidArgument) as caught:
        session.edit_space({"x": Float(0, 0.1), "k": Categorical(["a", "b"])})
    assert caught.value.issues[0].path.startswith("trials[")
    with pytest.raises(asktell.InvalidArgument) as caught:
        session.edit_space({"x": Float(0, -1)})
    assert caught.value.issues[0].path == "space.search.parameters[0].float.low"
    with pytest.raises(asktell.NotFound):
        session.delete_trial(99)


def test_a_repeat_names_the_trial_it_repeats(client):
    session = client.create_session("random", {"n": Int(1, 2)}, seed=1)
    first: dict[int, int] = {}
    for _ in range(6):
        (query,) = session.ask()
        n = query.params["n"]
        assert query.repeats == first.get(n)
        first.setdefault(n, query.trial)
        session.tell(query, 0.0)
    assert len(first) == 2


def test_a_study_leaves_deleted_trials_out(client):
    study = asktell.study.create_study(client=client, space={"x": Float(0, 1)})
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=4)
    worst = max(study.trials, key=lambda t: t.value)
    best = study.best_trial.number
    study.session.delete_trial(best)
    assert best not in [t.number for t in study.trials]
    assert study.best_trial.number != best
    assert worst.number in [t.number for t in study.trials]
