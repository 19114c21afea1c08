"""Lossy encodings: the bits of the server's side, what they leave out, and training with them."""

from __future__ import annotations

import asyncio
import base64
import json

import numpy as np
import pytest

import asktell
from asktell import Encodings, ErrorFeedback, HeldCopy, encodings

from .conftest import REPOSITORY

GOLDEN = json.loads((REPOSITORY / "test" / "golden" / "encodings.json").read_text())


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


@pytest.mark.parametrize("case", GOLDEN["encode"], ids=lambda c: f"{c['encoding']}-{c['name']}")
def test_the_bits_are_those_of_the_server(case):
    values = floats(case["values"])
    data = encodings.encode(case["encoding"], values, case["density"])
    assert data == base64.b64decode(case["data"])
    decoded = encodings.decode(case["encoding"], data, values.size)
    # Zeros may have either sign: they are only ever added.
    np.testing.assert_array_equal(decoded, floats(case["decoded"]))


@pytest.mark.parametrize("case", GOLDEN["feedback"], ids=lambda c: c["encoding"])
def test_error_feedback_has_the_bits_of_the_typescript_client(case):
    feedback = ErrorFeedback(case["encoding"], case["density"])
    for step in case["steps"]:
        (tensor,) = feedback.encode({"w": floats(step["values"])}).tensors
        assert tensor.data == base64.b64decode(step["data"])


@pytest.mark.parametrize("name", encodings.LOSSY)
def test_what_is_left_out_comes_later(name):
    rng = np.random.default_rng(1)
    feedback = ErrorFeedback(name, density=0.1)
    told, came = np.zeros(700), np.zeros(700)
    for _ in range(50):
        gradient = rng.normal(size=700)
        told += gradient
        (tensor,) = feedback.encode({"w": gradient}).tensors
        came += encodings.decode(name, tensor.data, 700)
    np.testing.assert_allclose(came + feedback._left["", "w"], told, atol=1e-5)
    with pytest.raises(ValueError, match="finite"):
        feedback.encode({"w": np.full(700, 1e39)})


def test_gradients_of_two_purposes_do_not_mix():
    feedback = ErrorFeedback("sign")
    feedback.encode({"w": np.array([1.0, 3.0])}, "ascent 0")
    (tensor,) = feedback.encode({"w": np.array([1.0, 1.0])}, "step 0").tensors
    assert encodings.decode("sign", tensor.data, 2).tolist() == [1, 1]


def gradient(x: np.ndarray) -> np.ndarray:
    return (0.5 + np.arange(x.size) % 4 / 2) * (x - np.sin(1 + np.arange(x.size)))


@pytest.mark.parametrize(
    "encoding",
    ["block-int8", "sign", "top-k", ("top-k", "block-int8"), (None, "bf16"), ("bf16", "block-int8")],
    ids=str,
)
def test_adam_gets_to_the_minimum(client, encoding):
    lossy = Encodings.of(encoding, density=0.1)
    session = client.create_session(
        "adam",
        {"w": np.zeros(300, np.float32)},
        config={"learningRate": 0.02, "schedule": {"id": "linear", "steps": 700}},
        encodings=lossy,
        durability="snapshot",
    )
    assert session.refresh().encodings == lossy
    with session.stream(encoding) as stream:
        step = stream.step()
        for _ in range(700):
            (query,) = step.queries
            step = stream.step(query, gradient=gradient(query.point["w"]))
    assert np.abs(session.estimate().point["w"] - np.sin(1 + np.arange(300))).max() < 0.02
    np.testing.assert_allclose(step.queries[0].point["w"], session.estimate().point["w"], atol=1e-2)


def test_a_copy_comes_whole_and_then_by_deltas_and_whole_again_when_an_answer_is_lost(client):
    session = client.create_session("sgd", {"w": np.zeros(3), "b": np.zeros(())}, encodings=(None, "block-int8"))
    held = HeldCopy()
    (query,) = session.ask(encoding="block-int8", held=held).queries
    first = held.version
    assert first > 0
    for _ in range(3):
        answer = {"w": query.point["w"] - [1, 2, 3], "b": query.point["b"] - 1}
        (query,) = session.step(query, gradient=answer, encoding="block-int8", held=held).queries
    assert held.version == first + 3
    assert not query.point["w"].flags.writeable
    held.version -= 1
    (query,) = session.step([asktell.Observation(query, status="cancelled")], encoding="block-int8", held=held).queries
    assert held.version not in range(first, first + 5)
    for name, array in session.estimate().point.items():
        np.testing.assert_array_equal(query.point[name], array)


def test_what_is_not_agreed_on_is_refused(client):
    with pytest.raises(asktell.InvalidArgument, match="no gradient"):
        client.create_session("zo-rank-sgd", {"w": np.zeros(3)}, encodings=("sign", None))
    session = client.create_session("adam", {"w": np.zeros(3)}, encodings=("sign", None))
    with pytest.raises(asktell.InvalidArgument) as caught:
        session.ask(encoding="sign", held=HeldCopy())
    assert caught.value.issues[0].path == "encoding"
    with session.stream(("block-int8", None)) as stream:
        (query,) = stream.step().queries
        with pytest.raises(asktell.InvalidArgument, match="block-int8 is not taken here"):
            stream.step(query, gradient={"w": np.ones(3)})
    with pytest.raises(ValueError, match="expected one of"):
        session.stream("zip").step()


def test_large_gradients_go_in_pieces(client):
    n = 1_200_128  # whole blocks: with a largest magnitude of 127 each, integers come back as they are
    session = client.create_session(
        "sgd", {"w": np.zeros(n, np.float32)}, config={"learningRate": 1}, encodings="block-int8"
    )
    w = (np.arange(n) % 255 - 127).astype(np.float32)
    with session.stream("block-int8") as stream:
        (query,) = stream.step().queries
        (query,) = stream.step(query, gradient={"w": w}).queries
    np.testing.assert_allclose(query.point["w"], -w, atol=1e-3)


def test_streams_of_the_asyncio_client_encode_too(server):
    async def run():
        async with asktell.AsyncClient(server.target) as client:
            session = await client.create_session("sgd", {"w": np.zeros(4)}, encodings="block-int8")
            async with session.stream("block-int8") as stream:
                step = await stream.step()
                for _ in range(3):
                    (query,) = step.queries
                    step = await stream.step(query, gradient=query.point["w"] - 1)
                estimate = await session.estimate()
                np.testing.assert_allclose(step.queries[0].point["w"], estimate.point["w"], rtol=1e-2)
            return stream._defaults["held"].version

    assert asyncio.run(run()) > 3


def train(server, method, encoding, **options):
    torch = pytest.importorskip("torch")
    from asktell.torch import RemoteOptimizer

    torch.manual_seed(0)
    inputs = torch.randn(64, 4)
    targets = inputs @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]])
    model = torch.nn.Linear(4, 1, dtype=options.pop("dtype", torch.float32))
    optimizer = RemoteOptimizer(model.named_parameters(), method, encoding=encoding, target=server.target, **options)
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(inputs.to(model.weight.dtype)).float(), targets)
        loss.backward()
        losses.append(float(loss.detach()))
        return loss

    for _ in range(150):
        optimizer.step(closure)
    optimizer.close()
    return losses


@pytest.mark.parametrize("encoding", [*encodings.LOSSY, ("sign", "block-int8")], ids=str)
def test_a_torch_model_trains(server, encoding):
    losses = train(server, "adam", encoding, lr=0.05)
    assert losses[-1] < 0.02 * losses[0]


def test_a_torch_model_trains_where_gradients_are_asked_at_two_points(server):
    losses = train(server, "sam", "block-int8", lr=0.05)
    assert losses[-2] < 0.02 * losses[0]


def test_a_torch_model_of_bf16_is_held_in_f32(server):
    torch = pytest.importorskip("torch")
    losses = train(server, "adam", "block-int8", lr=0.05, dtype=torch.bfloat16)
    assert losses[-1] < 0.02 * losses[0]
