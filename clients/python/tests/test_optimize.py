"""minimize, maximize and their asyncio twins."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest

import asktell
from asktell import Categorical, Float, Int, minimize

SPACE = {"x": Float(-5, 5), "n": Int(0, 3), "kind": Categorical(["plain", "shifted"])}


def bowl(p):
    return (p["x"] - 1) ** 2 + p["n"] + (3.0 if p["kind"] == "shifted" else 0.0)


def test_eight_workers_share_the_evaluations(client):
    names, lock = set(), threading.Lock()
    together = most = 0

    def slow(p):
        nonlocal together, most
        with lock:
            names.add(threading.current_thread().name)
            together += 1
            most = max(most, together)
        time.sleep(0.02)
        with lock:
            together -= 1
        return bowl(p)

    result = minimize(slow, SPACE, max_evaluations=80, workers=8, method="random", seed=1, client=client)
    assert len(names) == 8 and most > 4
    assert len(result.trials) == 80 and all(t.state == "completed" for t in result.trials)
    best = min(result.trials, key=lambda t: t.values[0])
    assert result.best_params == best.params and result.best_value == best.value == bowl(best.params)


def test_workers_wait_for_each_other_where_the_method_does(client):
    # A generation has fewer points than there are workers, and the next one waits for all of it.
    space = {"x": Float(-5, 5), "y": Float(-5, 5)}
    result = minimize(
        lambda p: p["x"] ** 2 + p["y"] ** 2,
        space,
        max_evaluations=60,
        workers=9,
        method="cma-es",
        config={"populationSize": 5},
        seed=0,
        client=client,
    )
    assert len(result.trials) == 60 and all(t.state == "completed" for t in result.trials)


def test_an_evaluation_that_outlives_its_lease_is_left_to_another(client):
    seen, lock, answered = [], threading.Lock(), threading.Event()

    def first_one_hangs(p):
        with lock:
            again = p in seen
            seen.append(p)
            first = len(seen) == 1
        if first:
            # Until somebody else has told of the same point, which they do in their next step.
            assert answered.wait(20)
            time.sleep(0.5)
        elif again:
            answered.set()
        else:
            time.sleep(0.05)
        return bowl(p)

    result = minimize(
        first_one_hangs, SPACE, max_evaluations=60, workers=3, method="random", lease=0.3, seed=0, client=client
    )
    assert len(seen) == 60 and len(result.trials) == 59
    assert all(t.state == "completed" for t in result.trials)


def test_a_run_with_one_worker_repeats(client):
    runs = [
        minimize(bowl, SPACE, max_evaluations=12, method="random", seed=3, client=client, progress=False) for _ in "ab"
    ]
    assert [t.params for t in runs[0].trials] == [t.params for t in runs[1].trials]


def test_maximize(client):
    result = asktell.maximize(lambda p: -bowl(p), SPACE, max_evaluations=30, method="random", seed=0, client=client)
    assert result.best_value == max(t.value for t in result.trials)


def test_failures_are_told_and_others_raised(client):
    def fails(p):
        if p["x"] > 0:
            raise RuntimeError("too far")
        return bowl(p)

    result = minimize(fails, SPACE, max_evaluations=20, method="random", seed=0, client=client, workers=3)
    failed = [t for t in result.trials if t.state == "failed"]
    assert failed and all(t.message == "RuntimeError: too far" for t in failed)
    assert result.best_params["x"] <= 0
    with pytest.raises(RuntimeError, match="too far"):
        minimize(fails, SPACE, max_evaluations=20, method="random", seed=0, client=client, workers=3, catch=())
    with pytest.raises(asktell.NoSuccess) as caught:
        minimize(lambda p: 1 / 0, SPACE, max_evaluations=3, method="random", client=client)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_trial_that_is_given_up_is_told_as_cancelled(client):
    def interrupted(p):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimize(interrupted, SPACE, max_evaluations=5, method="random", client=client, name="interrupted")
    assert [t.state for t in client.session("interrupted").trials()] == ["cancelled"]


def test_pruning(client):
    def learn(p, trial):
        for step in range(1, 11):
            value = bowl(p) + 10 / step
            if trial.report(step, value):
                assert trial.should_prune()
                raise asktell.TrialPruned
        return value

    pruner = ("median", {"nStartupTrials": 3})
    result = minimize(learn, SPACE, max_evaluations=30, method="random", pruner=pruner, seed=0, client=client)
    states = [t.state for t in result.trials]
    assert states.count("pruned") >= 5 and states.count("completed") >= 3
    pruned = next(t for t in result.trials if t.state == "pruned")
    assert pruned.value == pruned.intermediates[-1][1]
    assert result.best_value == min(t.value for t in result.trials if t.state == "completed")


def rosenbrock(x):
    value = np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    gradient = np.zeros_like(x)
    gradient[:-1] += -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
    gradient[1:] += 200 * (x[1:] - x[:-1] ** 2)
    return value, gradient


def test_gradients_of_an_array(client):
    result = minimize(
        rosenbrock, x0=np.zeros(3), jac=True, max_evaluations=600, config={"learningRate": 0.05}, client=client
    )
    assert result.session.info.method == "adam"
    assert isinstance(result.best_params, np.ndarray) and result.best_params.shape == (3,)
    assert result.best_value == rosenbrock(result.best_params)[0] < 0.05


def test_gradients_by_a_function_of_their_own(client):
    x0 = {"a": np.full(2, 3.0), "b": np.array(-2.0)}
    calls = []

    def f(x):
        calls.append(1)
        return float(np.sum(x["a"] ** 2) + x["b"] ** 2)

    def jac(x):
        return {"a": 2 * x["a"], "b": 2 * x["b"]}

    result = minimize(f, x0=x0, jac=jac, method="sgd", config={"learningRate": 0.25}, max_evaluations=20, client=client)
    np.testing.assert_allclose(result.best_params["a"], 3.0 * 0.5**20, rtol=1e-12)
    assert result.best_params["b"].shape == () and result.best_value == f(result.best_params)
    # Only the value at the end was asked of f.
    assert len(calls) == 2


def test_values_of_an_array(client):
    result = minimize(lambda x: float(np.sum((x - 1) ** 2)), x0=np.zeros(3), max_evaluations=400, seed=0, client=client)
    assert result.session.info.method == "cma-es"
    assert result.best_value < 1e-3


def test_a_method_that_needs_more_is_refused(client):
    with pytest.raises(asktell.InvalidArgument, match="offers"):
        minimize(lambda x: 0.0, x0=np.zeros(3), method="adam", max_evaluations=1, client=client)
    with pytest.raises(TypeError):
        minimize(bowl, max_evaluations=1, client=client)


async def abowl(p):
    await asyncio.sleep(0.01)
    return bowl(p)


def test_async_minimize(server):
    async def main():
        async with asktell.AsyncClient(server.target) as client:
            start = time.monotonic()
            result = await asktell.aminimize(
                abowl, SPACE, max_evaluations=40, workers=8, method="random", seed=0, client=client
            )
            assert time.monotonic() - start < 20
            assert len(result.trials) == 40
            assert result.best_value == min(t.value for t in result.trials)

            async def pruned(p, trial):
                if await trial.report(1, float("nan")):
                    raise asktell.TrialPruned
                return 0.0

            with pytest.raises(asktell.NoSuccess):
                await asktell.aminimize(pruned, SPACE, max_evaluations=2, method="random", client=client)
            best = await asktell.amaximize(lambda p: -bowl(p), SPACE, max_evaluations=5, method="random", client=client)
            assert best.best_value == max(t.value for t in best.trials)

    asyncio.run(main())


def test_async_sessions(server, tmp_path):
    async def main():
        async with asktell.AsyncClient(server.target) as client:
            session = await client.create_session("adam", np.ones(300_000, np.float32), config={"learningRate": 0.5})
            async with session.stream() as stream:
                step = await stream.step()
                for _ in range(2):
                    (query,) = step.queries
                    step = await stream.step(query, gradient=query.point["x"])
            events = []
            watching = session.watch(after_revision=0)
            async for event in watching:
                events.append(event.type)
                if events.count("told") == 2:
                    break
            await watching.aclose()
            assert events[0] == "created"
            await session.export(tmp_path / "s.bin")
            copy = await client.import_session(tmp_path / "s.bin", "async-copy")
            assert copy.info.state_hash == (await session.refresh()).state_hash
            assert (await session.update(config={"learningRate": 0.1})).config["learningRate"] == 0.1
            fork = await session.fork()
            assert fork.info.state_hash == session.info.state_hash
            assert (await session.estimate()).step == 2
            await copy.delete()
            with pytest.raises(asktell.NotFound):
                await client.session("async-copy")
            with pytest.raises(asktell.InvalidArgument) as caught:
                await client.create_session("random", {"x": Float(1, 0)})
            assert caught.value.issues
            assert "adam" in {m.id for m in await client.methods()}
            assert (await client.describe("adam")).id == "adam"
            search = await client.create_session("random", SPACE, name="async-search")
            query = (await search.ask()).queries[0]
            assert not (await search.report(query, 1, 0.5)).should_prune
            assert (await search.tell(query, 1.0)).state == "running"
            assert [t.value for t in await search.trials()] == [1.0]
            assert "async-search" in {s.id for s in await client.list_sessions('method = "random"')}

    asyncio.run(main())


def test_async_stream_resumes(proxy):
    async def main():
        async with asktell.AsyncClient(proxy.target) as client:
            session = await client.create_session("sgd", np.ones(400_000, np.float32), config={"learningRate": 0.1})
            async with session.stream() as stream:
                step = await stream.step()
                for t in range(9):
                    if t % 3 == 1:
                        proxy.drop()
                    (query,) = step.queries
                    step = await stream.step(query, gradient=query.point["x"])
            assert (await session.refresh()).counts["told"] == 9

    asyncio.run(main())
