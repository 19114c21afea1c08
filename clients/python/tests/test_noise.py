"""Noise from seeds that queries send, and training with it by forward passes alone."""

from __future__ import annotations

import numpy as np
import pytest

from asktell.noise import coefficients, module_noise

NOTE = {"seed": "4123456789", "copies": "3", "quasi": "false"}
# Of moduleNoise on the server's side: draws 0, 1 and 5 of a module of width 3.
KNOWN = [
    [1.1246134723081067, -0.2612450165823882, 1.652382320268582],
    [-1.0171839759494674, 1.0168623146521165, -1.3664970459664496],
    [-0.05819102529702509, -0.5187190812562451, 0.9543292345766206],
]


def test_the_noise_is_that_of_the_server():
    noise = module_noise(NOTE, "W1", 2, 3)
    np.testing.assert_allclose(noise[[0, 0, 1], [0, 1, 2]], KNOWN, rtol=1e-14)
    with pytest.raises(ValueError, match="quasi"):
        module_noise({**NOTE, "quasi": "true"}, "W1", 2, 3)


def test_a_linear_module_learns_without_a_gradient(client):
    inputs = np.array([[1.0, 0.5], [-0.5, 1.0], [0.2, -1.0]])
    wanted = inputs @ np.array([[1.0, -2.0], [0.5, 1.5]]).T
    config = {
        "modules": [{"weight": "W"}],
        "copies": 8,
        "optimizer": {"id": "adam", "config": {"learningRate": 0.1}},
    }
    session = client.create_session("ulr", {"W": np.zeros((2, 2))}, config=config)
    for _ in range(300):
        (query,) = session.ask().queries
        W, note = query.point["W"], query.note
        noise = module_noise(note, note["modules"], 3, 2)
        if query.purpose == "forward":
            z = (inputs @ W.T)[:, None, None, :] + float(note["sigma"]) * np.stack([noise, -noise], axis=2)
            losses = 0.5 * ((z - wanted[:, None, None, :]) ** 2).sum(axis=-1)
            session.tell(query, quantities={"losses": losses.reshape(3, -1)})
        else:
            q = coefficients(note, 3)
            session.tell(query, quantities={"W": np.einsum("nk,nki,nj->ij", q, noise, inputs)})
    error = session.estimate().point["W"] - np.array([[1.0, -2.0], [0.5, 1.5]])
    assert np.abs(error).max() < 0.1
