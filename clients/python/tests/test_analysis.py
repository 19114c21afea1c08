"""Analyses of sessions and studies, against a real server."""

from __future__ import annotations

import asyncio
import math

import pytest

import asktell

SPACE = {
    "x": asktell.Float(-1, 1),
    "lr": asktell.Float(1e-4, 1, log=True),
    "n": asktell.Int(1, 8),
    "kind": asktell.Categorical(("a", "b")),
    "depth": asktell.Int(1, 4, when=("kind", "a")),
}


def loss(p):
    return p["x"] ** 2 + 0.1 * math.log10(p["lr"] / 0.01) ** 2 + (0.5 if p["kind"] == "b" else 0.0)


@pytest.fixture
def session(client):
    session = client.create_session("random", SPACE, seed=3)
    session.tell([asktell.Observation(query, loss(query.params)) for query in session.ask(40)])
    return session


def test_numbers_and_charts(session):
    point = {"x": 0.0, "lr": 0.01, "n": 2, "kind": "b"}
    analysis = session.analyze(charts=True, points=[point], resolution=5)
    assert analysis.left_out == () and analysis.trials == 40 and analysis.objective == "objective"
    assert analysis.history[-1].best == min(step.value for step in analysis.history)
    assert analysis.importances[0].parameter == "x"
    assert sum(i.importance for i in analysis.importances) == pytest.approx(1)
    (prediction,) = analysis.predictions
    assert prediction.params == point and prediction.mean == pytest.approx(loss(point), abs=0.2)
    slices = {s.parameter: s for s in analysis.slices}
    assert [value for value, *_ in slices["kind"].surrogate] == ["a", "b"]
    assert all(isinstance(value, int) for value, *_ in slices["n"].surrogate)
    assert slices["depth"].at["kind"] == "a"
    assert analysis.contour is not None and len(analysis.contour.means) == len(analysis.contour.y_values)
    line = next(line for line in analysis.parallel_coordinates if line.params["kind"] == "b")
    assert set(line.coordinates) == {"x", "lr", "n", "kind"}
    assert analysis.edf[-1] == (max(step.value for step in analysis.history), 1.0)
    assert [entry.state for entry in analysis.timeline] == ["completed"] * 40
    assert analysis.cross_validation is not None and len(analysis.cross_validation.folds) == 40
    chart = analysis.charts["history"]
    assert chart.spec["$schema"].endswith("v5.json") and len(chart.spec["data"]["values"]) == 40
    assert "application/vnd.vegalite.v5+json" in chart._repr_mimebundle_()


def test_kinds_and_refusals(session):
    analysis = session.analyze("importances", importance_method="sobol")
    assert analysis.importances[0].first_order is not None and analysis.history == () and analysis.contour is None
    with pytest.raises(ValueError, match="cross-validation"):
        session.analyze("nothing")
    with pytest.raises(asktell.InvalidArgument) as refused:
        session.analyze(parameters=["zz"])
    assert refused.value.issues[0].path == "parameters[0]"


def test_several_objectives_and_tensors(client):
    session = client.create_session("nsga2", SPACE, objectives={"loss": "minimize", "speed": "maximize"}, seed=3)
    session.tell([asktell.Observation(q, [loss(q.params), q.params["n"]]) for q in session.ask(12)])
    analysis = session.analyze("pareto", "history", objective="speed", reference=[10.0, 0.0])
    assert analysis.pareto is not None and analysis.pareto.reference == (10.0, 0.0)
    assert analysis.pareto.hypervolumes[-1][1] > analysis.pareto.hypervolumes[0][1]
    assert analysis.history[-1].best == max(step.value for step in analysis.history)
    with pytest.raises(TypeError, match="does not search"):
        client.create_session("adam", {"w": [0.0, 0.0]}).analyze()


def test_study_and_asyncio(client):
    study = asktell.study.create_study(client=client, seed=1)
    with pytest.raises(ValueError, match="no trials"):
        study.analyze()
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=6)
    assert study.analyze("history").history[-1].best == study.best_value

    async def analyze():
        async with asktell.AsyncClient(client.target) as other:
            return await (await other.session(study.session.name)).analyze("edf")

    assert len(asyncio.run(analyze()).edf) == 6
