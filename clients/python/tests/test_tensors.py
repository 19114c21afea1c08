"""Tensors on the wire: dtypes, chunks, and Adam on a quadratic against its own equations."""

from __future__ import annotations

import numpy as np
import pytest

import asktell
from asktell import TensorSpace, from_bf16, tensors, to_bf16
from asktell.calls import StreamStep

ALL_BF16 = np.arange(1 << 16, dtype=np.uint16)


def test_bf16_keeps_every_bf16_number():
    finite = ALL_BF16[np.isfinite(from_bf16(ALL_BF16))]
    np.testing.assert_array_equal(to_bf16(from_bf16(finite)), finite)
    assert np.isnan(from_bf16(to_bf16(np.array([np.nan, -np.nan])))).all()
    assert from_bf16(to_bf16(np.float32(np.inf))) == np.inf


def test_bf16_rounds_to_nearest_even():
    step = 2.0**-7
    given = np.array([1 + step / 2, 1 + step * 1.5, 1 + step * 0.51, 1 + step * 0.49], np.float32)
    np.testing.assert_array_equal(from_bf16(to_bf16(given)), [1.0, 1 + 2 * step, 1 + step, 1.0])
    assert to_bf16(np.zeros((2, 3))).shape == (2, 3) and to_bf16(1.0).shape == ()


def test_received_tensors_are_views_of_the_message():
    sent = tensors.encode("x", np.arange(4, dtype=np.float32), "f32")
    array = tensors.decode(sent, tensors.TensorInfo("x", (2, 2), "f32"))
    assert not array.flags.owndata and not array.flags.writeable
    np.testing.assert_array_equal(array, [[0, 1], [2, 3]])


def test_arrays_need_not_be_contiguous():
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T
    sent = tensors.encode("x", array, "f32")
    np.testing.assert_array_equal(tensors.decode(sent, tensors.TensorInfo("x", (4, 3), "f32")), array)


def test_chunks_cover_a_tensor_in_order():
    array = np.random.default_rng(0).normal(size=(1000, 1000))
    chunks = list(tensors.encode_chunks("x", array, "f32"))
    assert [c.offset for c in chunks] == list(range(0, array.size, tensors.CHUNK_BYTES // 4))
    assert max(len(c.data) for c in chunks) == tensors.CHUNK_BYTES
    np.testing.assert_array_equal(np.frombuffer(b"".join(c.data for c in chunks), "<f4"), array.astype("f4").ravel())


def test_integers_are_no_tensors():
    with pytest.raises(TypeError, match="expected an array of floats"):
        TensorSpace({"x": np.arange(3)})


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16", "f16"])
def test_every_dtype_travels_both_ways(client, dtype):
    start = np.array([[1.5, -2.25], [0.5, 3.0]], np.float64 if dtype == "f64" else np.float32)
    space = TensorSpace({"x": start}, dtypes={"x": dtype})
    session = client.create_session("sgd", space, config={"learningRate": 0.5})
    query = session.ask().queries[0]
    np.testing.assert_array_equal(query.point["x"], start)
    assert query.point["x"].dtype == {"f64": np.float64, "f16": np.float16}.get(dtype, np.float32)
    (query,) = session.step(query, gradient={"x": start}).queries
    # Halves of these numbers are numbers of every dtype.
    np.testing.assert_array_equal(query.point["x"], start / 2)
    assert session.estimate(encoding="f64").point["x"].dtype == np.float64


def adam(x, gradient, steps, lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8):
    m = v = np.zeros_like(x)
    for t in range(1, steps + 1):
        g = gradient(x)
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        x = x - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return x


def test_adam_on_a_quadratic_over_the_stream(client):
    scales = np.array([1.0, 10.0, 100.0])
    session = client.create_session("adam", np.ones(3), config={"learningRate": 0.1})
    with session.stream() as stream:
        step = stream.step()
        for _ in range(100):
            (query,) = step.queries
            assert query.purpose == "step"
            step = stream.step(query, gradient=scales * query.point["x"])
        assert step.metrics["learningRate"] == 0.1
    expected = adam(np.ones(3), lambda x: scales * x, 100)
    np.testing.assert_allclose(session.estimate().point["x"], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("encoding", [None, "bf16"])
def test_large_gradients_go_in_chunks(client, encoding):
    rng = np.random.default_rng(0)
    start = {"w": rng.normal(size=(700, 1000)).astype("f4"), "b": np.zeros(3, "f4")}
    gradient = {"w": rng.integers(-4, 5, size=(700, 1000)).astype("f4"), "b": np.ones(3, "f4")}
    session = client.create_session("sgd", start, config={"learningRate": 0.5})
    with session.stream() as stream:
        (query,) = stream.step(omit_tensors=True).queries
        assert query.points == (None,)
        (query,) = stream.step(query, gradient=gradient, encoding=encoding).queries
        (query,) = stream.step(query, gradient=gradient).queries
    # The first message of a stream may have to be a chunk.
    with session.stream() as stream:
        (query,) = stream.step(query, gradient=gradient).queries
    for name, value in start.items():
        np.testing.assert_allclose(query.point[name], value - 1.5 * gradient[name], rtol=1e-6, atol=1e-6)


def test_large_products_go_in_chunks(client):
    size = 400_000
    scales = np.linspace(1, 2, size)
    config = {"jacobian": "products", "lambda": 1e-6, "learningRate": 1, "solverIterations": 4}
    session = client.create_session("egn", {"x": np.ones(size)}, config=config)
    with session.stream() as stream:
        (query,) = stream.step().queries
        (query,) = stream.step(query, gradient={"x": scales}).queries
        for _ in range(4):
            assert query.wants == (asktell.HvpWant("gauss-newton"),)
            step = stream.step(query, products={"x": scales * query.points[1]["x"]})
            (query,) = step.queries
    # Four conjugate gradients on a spectrum from 1 to 2 leave little of the start.
    np.testing.assert_allclose(query.point["x"], 0, atol=0.01)


@pytest.mark.parametrize("size", [10, 700_000])
def test_a_stream_survives_a_refused_step(client, size):
    session = client.create_session("sgd", np.ones(size, np.float32), config={"learningRate": 0.5})
    bad = np.zeros(size, np.float32)
    bad[size // 2] = np.nan
    with session.stream() as stream:
        (query,) = stream.step().queries
        with pytest.raises(asktell.InvalidArgument) as caught:
            stream.step(query, gradient=bad)
        assert caught.value.issues[0].path.endswith(f"[{size // 2}]")
        (query,) = stream.step(query, gradient=np.ones(size)).queries
        np.testing.assert_array_equal(query.point["x"], 0.5)


def test_small_gradients_go_with_their_step(client):
    from asktell import calls

    session = client.create_session("sgd", np.zeros(10))
    query = session.ask().queries[0]
    step: StreamStep = calls.stream_step(session.info, query, gradient=np.ones(10))
    assert len(list(step.messages(fresh=True))) == 1 and step.answers(fresh=True) == 1
