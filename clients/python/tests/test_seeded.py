"""Sessions that send seeds in place of vectors."""

from __future__ import annotations

import numpy as np
import pytest

from asktell import Move, Observation, SeededIterate, add_move

# Of addMove on the server's side: seed 4123456789, scale 0.5, tensor "w", elements 0 to 2 and 1000.
NORMALS = [-0.6282857886072943, -0.3703691356503961, -0.8308463429539679, 0.02442498253602921]
SIGNS = [0.5, 0.5, 0.5, -0.5]


def direction(rademacher: bool, n: int = 3000) -> np.ndarray:
    w = np.zeros((n // 3, 3))
    add_move({"w": w}, Move(4123456789, 0.5, rademacher))
    return w.reshape(-1)


def test_directions_are_those_of_the_server():
    np.testing.assert_allclose(direction(False)[[0, 1, 2, 1000]], NORMALS, rtol=1e-14)
    np.testing.assert_array_equal(direction(True)[[0, 1, 2, 1000]], SIGNS)


def test_a_direction_is_the_same_made_in_parts(monkeypatch):
    whole = [direction(rademacher) for rademacher in (False, True)]
    monkeypatch.setattr("asktell.seeded._CHUNK", 200)
    for rademacher, expected in zip((False, True), whole):
        np.testing.assert_array_equal(direction(rademacher), expected)


@pytest.mark.parametrize("distribution", ["normal", "rademacher"])
def test_a_client_trains_by_losses_alone(client, distribution):
    target = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)

    def loss(w):
        return float(((w.astype(np.float64) - target) ** 2).sum())

    start = {"w": np.zeros((4, 3), np.float32)}
    config = {"learningRate": 0.05, "distribution": distribution}
    session = client.create_session("mezo", start, config=config, seed=1)
    iterate = SeededIterate({"w": start["w"].copy()})
    with session.stream() as stream:
        (query,) = stream.step().queries
        for _ in range(150):
            iterate.follow(query)
            iterate.follow(query)
            losses = [loss(iterate.at(point)["w"]) for point in query.points]
            (query,) = stream.step(Observation(query, value=losses)).queries
        iterate.follow(query)
    assert loss(iterate.tensors["w"]) < loss(start["w"]) / 100
    estimate = session.estimate()
    assert (estimate.step, iterate.step) == (150, 150)
    # Normals may differ in the last bit of a double, which seldom shows in single precision.
    np.testing.assert_allclose(estimate.point["w"], iterate.tensors["w"], rtol=1e-6 if distribution == "normal" else 0)
    with pytest.raises(ValueError, match="at step 150, the iterate at 3: begin from the estimate"):
        SeededIterate(start, step=3).follow(query)


def test_derivatives_along_directions(client):
    target = np.arange(5.0)
    config = {"learningRate": 0.02, "feedback": "directional", "samples": 3, "distribution": "rademacher"}
    session = client.create_session("mezo", {"w": np.zeros(5)}, config=config, seed=1)
    iterate = SeededIterate({"w": np.zeros(5)})
    (query,) = session.ask().queries
    for _ in range(300):
        iterate.follow(query)
        here, *along = (iterate.at(point)["w"] for point in query.points)
        gradient = 2 * (here - target)
        session.tell(query, derivatives=[float(gradient @ u) for u in along])
        (query,) = session.ask().queries
    np.testing.assert_allclose(here, target, atol=1e-3)


def test_what_cannot_be_moved_is_refused():
    with pytest.raises(ValueError, match="w: expected a contiguous array"):
        SeededIterate({"w": np.zeros(3, np.int64)})
    with pytest.raises(ValueError, match="not contiguous"):
        add_move({"w": np.zeros((4, 4))[:, ::3]}, Move(1, 1.0, True))
