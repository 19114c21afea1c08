"""Figures of gradient steps, as the server sends them with answers, events and estimates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from asktell import AsktellError, Client, TensorSpace


def test_come_with_answers_events_and_estimates(client: Client) -> None:
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(6, 4))
    config = {"learningRate": 0.1, "diagnostics": True, "driver": {"id": "accumulate", "batches": 2}}
    start = np.array([1.0, 2.0, -1.0, 0.5])
    session = client.create_session("sgd", TensorSpace({"w": start}), config=config, seed=1)
    for gradient in gradients:
        (query,) = session.ask().queries
        metrics = session.tell(query, gradient={"w": gradient}).metrics

    *_, before, last = gradients.reshape(3, 2, 4).mean(axis=1)
    x = start - 0.1 * gradients[:4].reshape(2, 2, 4).mean(axis=1).sum(axis=0)
    expected = {
        "gradientNorm": np.linalg.norm(last),
        "gradientCosine": last @ before / np.linalg.norm(last) / np.linalg.norm(before),
        "updateRatio": 0.1 * np.linalg.norm(last) / np.linalg.norm(x),
        "nonFinite": 0,
        "steps": 3,
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert session.estimate().metrics == metrics
    events = itertools.islice((e for e in session.watch(after_revision=0) if e.type == "told"), len(gradients))
    assert [e.metrics for e in events][-1] == metrics


def test_what_is_not_finite_is_refused_and_changes_nothing(client: Client) -> None:
    session = client.create_session("sgd", TensorSpace({"w": np.ones(2)}), config={"diagnostics": True}, seed=1)
    (query,) = session.ask().queries
    with pytest.raises(AsktellError, match="expected a finite number"):
        session.tell(query, gradient={"w": np.array([1.0, np.nan])})
    assert session.tell(query, gradient={"w": np.array([1.0, 0.0])}).metrics["nonFinite"] == 0
