"""The noise that a query of ``ulr`` names by its seed: that of src/blackbox/zeroth/module-noise.ts on the server's side.

Number i of a stream is one block of Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011), so that any part can be made alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORD = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def philox(counter: NDArray[np.uint64], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Blocks of four words, one a row, for counters below 2^64."""
    c0, c1 = counter & _WORD, counter >> _32
    c2 = c3 = np.zeros_like(counter)
    k0, k1 = key
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1 = (p1 >> _32) ^ c1 ^ np.uint64(k0), p1 & _WORD
        c2, c3 = (p0 >> _32) ^ c3 ^ np.uint64(k1), p0 & _WORD
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return np.stack([c0, c1, c2, c3], axis=-1)


def stream(seed: int, name: str) -> tuple[int, int]:
    """The key of a named stream: the block at the FNV-1a hash of the name under the seed."""
    digest = 0xCBF29CE484222325
    for byte in name.encode():
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    block = philox(np.array([digest], np.uint64), (seed % 2**32, seed // 2**32))[0]
    return int(block[0]), int(block[1])


def normals(key: tuple[int, int], at: int, count: int) -> NDArray[np.float64]:
    """Standard normal numbers `at` to `at + count` of a stream: one block each, by Box and Muller."""
    words = philox(np.arange(at, at + count, dtype=np.uint64), key)
    high, low = words[:, 0::2] >> np.uint64(5), words[:, 1::2] >> np.uint64(6)
    u, v = ((high * np.uint64(67108864) + low) / 2.0**53).T
    normal: Any = np.sqrt(-2 * np.log(1 - u)) * np.cos(2 * np.pi * v)
    return np.asarray(normal, np.float64)


def module_noise(note: Mapping[str, str], module: str, examples: int, width: int) -> NDArray[np.float64]:
    """Standard normal noise of a module.

    Args:
        note: that of the query.
        module: the name of its weight.
        examples: N, in the batch.
        width: d, of the pre-activations.

    Returns:
        The noise e, shape (N, K, d) with the K draws of the note. With antithetic pairs each is run as e and as -e.

    Raises:
        ValueError: for quasi-random noise, which this client does not make.
    """
    if note["quasi"] == "true":
        raise ValueError("quasi-random noise is not made by this client; set quasi to false, or draw noise of your own")
    shape = (examples, int(note["copies"]), width)
    return normals(stream(int(note["seed"]), module), 0, int(np.prod(shape))).reshape(shape)


def coefficients(note: Mapping[str, str], examples: int) -> NDArray[np.float64]:
    """The coefficients q of a product query, shape (N, K): the answer is the sum of ``q[n, k] * e[n, k] * input[n]``."""
    return np.array(note["coefficients"].split(), np.float64).reshape(examples, -1)
