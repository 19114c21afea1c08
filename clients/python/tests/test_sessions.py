"""Sessions: every kind of space there and back, errors, and the calls around ask and tell."""

from __future__ import annotations

import hashlib
import inspect
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import asktell
from asktell import Categorical, Float, Int, Observation, Ordinal

from .conftest import Server

SPACE = {
    "lr": Float(1e-5, 1e-1, log=True),
    "momentum": Float(0.0, 0.9, step=0.1),
    "layers": Int(1, 4),
    "width": Int(8, 256, log=True),
    "optimizer": Categorical(["sgd", "adam"]),
    "nesterov": Categorical([True, False], when=("optimizer", "sgd")),
    "batch": Ordinal([16, 32, 64]),
    "mixed": Categorical(["a", 1, 2.5, True], when=("optimizer", ["sgd", "adam"])),
}


def test_search_space_comes_back_as_it_was(client):
    session = client.create_session("random", SPACE, direction="maximize", seed=7, labels={"team": "vision"})
    info = client.session(session.name).info
    assert info.space.parameters == {
        **SPACE,
        "optimizer": Categorical(("sgd", "adam")),
        "nesterov": Categorical((True, False), ("optimizer", ("sgd",))),
        "batch": Ordinal((16, 32, 64)),
        "mixed": Categorical(("a", 1, 2.5, True), ("optimizer", ("sgd", "adam"))),
    }
    assert (info.method, info.seed, info.labels, info.state) == ("random", 7, {"team": "vision"}, "running")
    assert info.objectives == (asktell.Objective("value", "maximize"),)


def test_points_of_a_search_space_have_the_declared_types(client):
    session = client.create_session("random", SPACE, seed=1)
    step = session.ask(40)
    assert len(step) == 40
    for query in step:
        params = query.params
        assert query.kinds == {"value"}
        assert isinstance(params["lr"], float) and 1e-5 <= params["lr"] <= 1e-1
        assert isinstance(params["layers"], int) and isinstance(params["width"], int)
        assert ("nesterov" in params) == (params["optimizer"] == "sgd")
        assert params["batch"] in (16, 32, 64)
        assert any(
            params["mixed"] is c or (params["mixed"] == c and type(params["mixed"]) is type(c))
            for c in ("a", 1, 2.5, True)
        )
    session.tell([Observation(q, q.params["lr"]) for q in step])
    best = min(step, key=lambda q: q.params["lr"])
    estimate = session.estimate()
    assert estimate.point == best.params and estimate.value == best.params["lr"]
    assert [t.number for t in session.trials()] == list(range(40))


def test_tensors_text_and_items(client):
    weight = np.arange(6.0, dtype=np.float32).reshape(3, 2)
    tensors = client.create_session("adam", {"w": weight, "b": np.zeros((), np.float64)})
    query = tensors.ask().queries[0]
    assert query.kinds == {"gradient"}
    np.testing.assert_array_equal(query.point["w"], weight)
    assert query.point["w"].shape == (3, 2) and query.point["b"].shape == ()
    assert query.point["w"].dtype == np.float32 and query.point["b"].dtype == np.float64
    assert not query.point["w"].flags.writeable

    items = asktell.spaces.ItemSpace([asktell.Item("a", "A", (1.0, 2.0)), asktell.Item("b", "B", (3.0, 4.0))])
    text = asktell.TextSpace({"prompt": asktell.TextComponent("Think.", 100), "style": "short"})
    for space in (items, text):
        back = asktell.spaces.space_from_proto(space.to_proto())
        assert repr(back) == repr(space)
    assert items.decode_point(items.encode_point("a")) == "a"
    assert text.decode_point(text.encode_point({"prompt": "p", "style": "s"})) == {"prompt": "p", "style": "s"}


def test_a_text_session_asks_for_completions_and_scores(client):
    task = asktell.Task("Name the antonym.", [("hot", "cold"), ("up", "down")])
    session = client.create_session(
        "opro", {"instruction": "Give the opposite."}, task=task, direction="maximize", seed=0
    )
    seen = set()
    step = session.ask()
    for _ in range(6):
        (query,) = step.queries
        seen |= query.kinds
        if "completion" in query.kinds:
            (want,) = query.wants
            assert want.messages and want.count >= 1
            answer = dict(completions=[f"<INS>Opposite {i}</INS>" for i in range(want.count)])
        else:
            (want,) = query.wants
            count = len(want.examples) or 2
            answer = dict(score=[asktell.Score(0.5, [0.5] * count) for _ in query.points])
        step = session.step(query, **answer)
    assert seen == {"completion", "score"}
    assert isinstance(session.estimate().point["instruction"], str)


def test_a_ranking_session(client):
    session = client.create_session("zo-rank-sgd", {"x": np.ones(4)}, seed=0)
    query = session.ask().queries[0]
    (want,) = query.wants
    assert query.kinds == {"ranking"} and 1 <= want.top <= len(query.points)
    order = sorted(range(len(query.points)), key=lambda i: float(np.sum(query.points[i]["x"] ** 2)))
    assert session.step(query, ranking=order).revision > 0


def test_derivatives_along_directions(client):
    config = {"optimizer": {"id": "sgd", "config": {"learningRate": 0.1}}}
    session = client.create_session("forward-gradient", {"x": np.array([3.0, -4.0])}, config=config, seed=1)
    query = session.ask().queries[0]
    assert query.kinds == {"directional"}
    x, u = (point["x"] for point in query.points)
    j = 2 * float(x @ u)
    (after,) = session.step(query, derivatives=[j]).queries
    np.testing.assert_allclose(after.points[0]["x"], x - 0.1 * j * u, rtol=1e-12)


def test_the_terms_of_a_loss(client):
    session = client.create_session("per-pixel-sge", {"x": np.array([1.0, 2.0])}, seed=1)
    query = session.ask().queries[0]
    assert query.kinds == {"terms"}
    terms = [asktell.Terms([float(v) ** 2 for v in point["x"]], [[0], [1]]) for point in query.points]
    with pytest.raises(asktell.InvalidArgument) as caught:
        session.tell(query, terms=[terms[0], asktell.Terms(terms[1].losses, [[0], [2]])])
    assert "terms[1].contributors[1][0]" in str(caught.value)
    session.tell(query, terms=terms)
    assert session.estimate().step == 1


#: f = x'Hx/2 over a and b; the space has both.
HESSIAN = np.array([[2.0, 0.5, 0.0], [0.5, 3.0, 1.0], [0.0, 1.0, 4.0]])
START = {"a": np.array([1.0, -2.0]), "b": np.array([3.0], np.float32)}


def _gradient(point):
    g = HESSIAN @ np.concatenate([point["a"], point["b"]])
    return {"a": g[:2], "b": g[2:]}


def test_a_hessian_as_a_quantity(client):
    session = client.create_session("root-newton", START, config={"M": 1e-30})
    query = session.ask().queries[0]
    assert query.kinds == {"gradient", "quantities"}
    (want,) = [w for w in query.wants if isinstance(w, asktell.QuantitiesWant)]
    (quantity,) = want.quantities
    assert (quantity.name, quantity.shape) == ("hessian", (3, 3)) and quantity.description
    gradient = _gradient(query.point)
    with pytest.raises(ValueError, match=r"quantities\[0\]\['hessian'\]: expected shape \(3, 3\), got \(9,\)"):
        session.tell(query, gradient=gradient, quantities={"hessian": HESSIAN.reshape(-1)})
    for wrong, path in [({}, ".hessian"), ({"hessian": HESSIAN, "jacobian": HESSIAN}, ".jacobian")]:
        with pytest.raises(asktell.InvalidArgument) as caught:
            session.tell(query, gradient=gradient, quantities=[wrong])
        assert caught.value.reason == "OBSERVATION_INVALID"
        assert caught.value.issues[0].path == f"observations[0].quantities[0]{path}"
    bad = HESSIAN.copy()
    bad[1, 2] = np.inf
    with pytest.raises(asktell.InvalidArgument) as caught:
        session.tell(query, gradient=gradient, quantities={"hessian": bad})
    assert caught.value.issues[0].path.endswith("hessian[5]")
    session.tell(query, gradient=gradient, quantities={"hessian": HESSIAN.astype(np.float32)})
    point = session.estimate().point
    np.testing.assert_allclose(np.concatenate([point["a"], point["b"]]), 0, atol=1e-6)


def test_products_with_the_hessian(client):
    config = {"M": 1e-30, "hessian": "products"}
    session = client.create_session("root-newton", START, config=config)
    query = session.ask().queries[0]
    query = session.step(query, gradient=_gradient(query.point)).queries[0]
    assert query.wants == (asktell.HvpWant("hessian"),)
    products = [_gradient(direction) for direction in query.points[1:]]
    with pytest.raises(ValueError, match=r"products\[1\]\['a'\]"):
        session.tell(query, products=[products[0], {**products[1], "a": np.zeros(3)}])
    with pytest.raises(asktell.InvalidArgument) as caught:
        session.tell(query, products=products[:2])
    assert caught.value.issues[0].path == "observations[0].products"
    session.tell(query, products=products)
    point = session.estimate().point
    np.testing.assert_allclose(np.concatenate([point["a"], point["b"]]), 0, atol=1e-6)


def test_errors_are_typed_and_located(client):
    with pytest.raises(asktell.InvalidArgument) as caught:
        client.create_session("random", {"a": Float(0, 1), "lr": Float(2.0, 1.0)})
    assert caught.value.reason == "SPACE_INVALID"
    assert "parameters[1]" in caught.value.issues[0].path and "low <= high" in caught.value.issues[0].message
    assert "parameters[1]" in str(caught.value)
    with pytest.raises(asktell.InvalidArgument) as caught:
        client.create_session("adam", {"x": np.zeros(2)}, config={"learningRate": -1})
    assert caught.value.reason == "CONFIG_INVALID" and "learningRate" in caught.value.issues[0].path
    with pytest.raises(asktell.InvalidArgument) as caught:
        client.create_session("adam", SPACE)
    assert caught.value.reason == "METHOD_UNSUITABLE"
    with pytest.raises(asktell.InvalidArgument) as caught:
        client.create_session("adam", {"x": np.zeros(2)}, offers=["value"])
    assert caught.value.issues[0].path.endswith("offers")
    with pytest.raises(asktell.NotFound) as caught:
        client.session("nobody")
    assert caught.value.reason == "SESSION_NOT_FOUND"
    with pytest.raises(asktell.NotFound):
        client.describe("nothing")
    client.create_session("random", SPACE, name="taken")
    with pytest.raises(asktell.AlreadyExists):
        client.create_session("random", SPACE, name="taken")


def test_wrong_observations_change_nothing(client):
    session = client.create_session("random", SPACE, seed=0)
    query = session.ask().queries[0]
    before = session.refresh().state_hash
    with pytest.raises(asktell.InvalidArgument) as caught:
        session.tell(query, [[1.0, 2.0]])
    assert caught.value.reason == "OBSERVATION_INVALID" and "values" in caught.value.issues[0].path
    with pytest.raises(asktell.NotFound):
        session.tell(Observation("t99", 1.0))
    with pytest.raises(asktell.InvalidArgument) as caught:
        session.tell(Observation(point={"lr": 1.0}, value=1.0))
    assert any("lr" in issue.path for issue in caught.value.issues)
    assert session.refresh().state_hash == before
    session.tell(query, 1.0)
    with pytest.raises(asktell.FailedPrecondition) as caught:
        session.tell(query, 1.0)
    assert caught.value.reason == "QUERY_RESOLVED"


def test_gradients_are_checked_before_they_are_sent(client):
    session = client.create_session("adam", {"w": np.zeros((3, 2)), "b": np.zeros(2)})
    query = session.ask().queries[0]
    with pytest.raises(ValueError, match=r"gradient\[0\]\['w'\]: expected shape \(3, 2\), got \(2, 3\)"):
        session.tell(query, gradient={"w": np.zeros((2, 3)), "b": np.zeros(2)})
    with pytest.raises(ValueError, match="'b' is missing"):
        session.tell(query, gradient={"w": np.zeros((3, 2))})
    with pytest.raises(ValueError, match="'c' is not a tensor"):
        session.tell(query, gradient={"w": np.zeros((3, 2)), "b": np.zeros(2), "c": np.zeros(1)})
    with pytest.raises(asktell.InvalidArgument) as caught:
        session.tell(query, gradient={"w": np.full((3, 2), np.nan), "b": np.zeros(2)})
    assert "w" in caught.value.issues[0].path
    session.tell(query, gradient={"w": np.zeros((3, 2)), "b": np.zeros(2)})


def test_same_request_id_is_applied_once(client):
    session = client.create_session("random", SPACE, seed=0, request_id="create-1", name="once")
    again = client.create_session("random", SPACE, seed=0, request_id="create-1", name="once")
    assert again.name == session.name
    first, second = session.ask(request_id="ask-1"), session.ask(request_id="ask-1")
    assert first.queries == second.queries and second.repeated and not first.repeated
    query = first.queries[0]
    told = session.tell(query, 1.0, request_id="tell-1")
    repeat = session.tell(query, 1.0, request_id="tell-1")
    assert repeat.repeated and repeat.revision == told.revision
    assert session.refresh().counts["told"] == 1
    with pytest.raises(asktell.InvalidArgument) as caught:
        session.tell(query, 2.0, request_id="tell-1")
    assert caught.value.reason == "REQUEST_ID_REUSED"


def test_the_same_tell_at_the_same_time_is_applied_once(client):
    session = client.create_session("random", {"x": Float(0, 1)}, seed=0)
    for i in range(10):
        query = session.ask().queries[0]
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(lambda _, q=query, i=i: session.tell(q, 1.0, request_id=f"same-{i}"), range(8)))
        assert len({step.revision for step in told}) == 1
        assert sum(not step.repeated for step in told) == 1
    assert session.refresh().counts["told"] == 10


def test_statuses_unsolicited_and_enqueued_points(client):
    session = client.create_session("random", {"x": Float(0, 1)}, seed=0)
    a, b, c, d = session.ask(4)
    session.tell(
        [
            Observation(a, status="failed", message="no"),
            Observation(b, status="infeasible"),
            Observation(c, float("nan")),
            Observation(d, status="cancelled"),
            Observation(point={"x": 0.25}, value=3.0),
        ]
    )
    states = [t.state for t in session.trials()]
    assert states == ["failed", "infeasible", "failed", "cancelled", "completed"]
    assert session.trials("state = COMPLETED")[0].params == {"x": 0.25}
    assert session.ask(enqueue=[{"x": 0.5}]).queries[0].params == {"x": 0.5}


def test_warm_start_from_earlier_sessions(client):
    def loss(point):
        return (np.log10(point["lr"]) + 3) ** 2 + (point["optimizer"] == "sgd")

    space = {"lr": SPACE["lr"], "optimizer": SPACE["optimizer"]}
    earlier = asktell.minimize(loss, space, max_evaluations=15, client=client, seed=1, progress=False)
    session = client.create_session("gp", space, seed=2, warm_start_from=[earlier.session])
    twin = client.create_session("gp", space, seed=2, warm_start_from=[earlier.session.id])
    assert session.info.warm_start_from == (earlier.session.name,)
    study = asktell.study.create_study(sampler="gp", space=space, client=client, warm_start_from=[earlier.session])
    assert study.session.info.warm_start_from == (earlier.session.name,)
    again = asktell.minimize(
        loss, space, method="gp-bo", max_evaluations=3, client=client, progress=False, warm_start_from=[earlier.session]
    )
    assert again.best_value <= earlier.best_value
    earlier.session.delete()
    for of in (session, twin, study.session):
        (query,) = of.ask()
        assert query.params == earlier.best_params

    with pytest.raises(asktell.NotFound, match="earlier") as gone:
        client.create_session("gp", space, warm_start_from=[session.name, "earlier"])
    assert [issue.path for issue in gone.value.issues] == ["session.warm_start_from[1]"]
    with pytest.raises(asktell.InvalidArgument, match="sobol takes no trials"):
        client.create_session("sobol", space, warm_start_from=[session.name])
    assert client.describe("gp").facts.warm_start and not client.describe("sobol").facts.warm_start


def test_update_fork_export_import_delete(client, tmp_path):
    session = client.create_session("adam", {"x": np.ones(3)}, config={"learningRate": 0.1})
    step = session.ask()
    for _ in range(3):
        (query,) = step.queries
        step = session.step(query, gradient={"x": query.point["x"]})
    assert session.update(config={"learningRate": 0.01}).config["learningRate"] == 0.01
    with pytest.raises(asktell.FailedPrecondition) as caught:
        session.update(config={"driver": {"id": "sam"}})
    assert caught.value.reason == "NOT_MUTABLE"
    with pytest.raises(asktell.Conflict):
        session.update(display_name="x", expected_revision=1)
    fork = session.fork(config={"learningRate": 0.5})
    assert fork.info.forked_from.startswith(session.name) and fork.info.config["learningRate"] == 0.5
    session.export(tmp_path / "session.bin")
    copy = client.import_session(tmp_path / "session.bin", name="imported")
    assert copy.info.state_hash == session.refresh().state_hash
    np.testing.assert_array_equal(copy.estimate().point["x"], session.estimate().point["x"])
    assert [p.name for p in tmp_path.iterdir()] == ["session.bin"]
    assert session.update(state="paused").state == "paused"
    assert session.ask().state == "paused"
    copy.delete()
    with pytest.raises(asktell.NotFound):
        client.session("imported")


def test_lists(client):
    for i in range(3):
        client.create_session("random", SPACE, labels={"suite": "lists", "i": str(i)})
    assert len(client.list_sessions('labels.suite = "lists"')) == 3
    assert len(client.list_sessions('labels.suite = "lists" AND labels.i = "1"')) == 1
    adam = client.describe("adam")
    assert adam.kind == "optimizer" and adam.equations and "learningRate" in adam.config_schema["properties"]
    assert adam.needs == ("gradient",) and adam.references[0].year > 2000
    assert {"adam", "random", "median"} <= {m.id for m in client.methods()}


def test_watch_tells_what_happens(client):
    session = client.create_session("random", {"x": Float(0, 1)}, seed=0)
    seen = []
    events = session.watch(after_revision=0)

    def listen():
        for event in events:
            seen.append(event)
            if event.type == "told":
                return

    thread = threading.Thread(target=listen)
    thread.start()
    query = session.ask().queries[0]
    session.tell(query, 2.0)
    thread.join(10)
    assert not thread.is_alive()
    assert [e.type for e in seen] == ["created", "asked", "told"]
    assert seen[-1].values == (2.0,) and seen[-1].best == 2.0 and seen[-1].query_id == query.id


def test_budget_ends_the_session(client):
    session = client.create_session("random", {"x": Float(0, 1)}, budget=2, seed=0)
    step = session.ask(5)
    assert len(step) == 2 and step.short is not None and step.short.reason
    assert session.tell([Observation(q, 1.0) for q in step]).state == "done"
    assert session.refresh().budget == {"maxEvaluations": 2}


KEY = "correct horse battery staple"


def test_keys(tmp_path):
    keys = [{"name": "reader", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "access": "read"}]
    server = Server("memory", tmp_path / "data", "--api-keys", json.dumps(keys))
    try:
        with asktell.Client(server.target) as client, pytest.raises(asktell.Unauthenticated):
            client.methods()
        with asktell.Client(server.target, api_key=KEY) as client:
            assert client.methods()
            with pytest.raises(asktell.PermissionDenied):
                client.create_session("random", SPACE)
    finally:
        server.stop()


def test_methods_have_the_docs_and_arguments_of_their_calls():
    for session in (asktell.Session, asktell.AsyncSession):
        assert list(inspect.signature(session.ask).parameters)[:2] == ["self", "count"]
        assert "under a lease" in session.ask.__doc__
    assert inspect.signature(asktell.Session.ask).return_annotation == "Step"
    assert inspect.signature(asktell.AsyncSession.ask).return_annotation == "Step"
    assert inspect.signature(asktell.Client.create_session).return_annotation == "Session"
