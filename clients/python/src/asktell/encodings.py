"""The lossy encodings of tensors on their way, as numpy: the same bits as src/core/encodings on the server's side.

All take and give float32 in one dimension; values must be finite.
"""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: Values that have a scale of their own.
BLOCK = 256
#: Elements of a piece: a tensor travels in pieces of its own data, so that no message grows large.
PIECE = 1 << 19
#: Share of the values that "top-k" keeps where nobody says otherwise.
DENSITY = 0.01
#: 127 times this is still a float32.
_LARGEST_SCALE = np.float32(2.67938e36)


def _blocks(values: Floats) -> Floats:
    """One block a row, the last one filled up with zeros."""
    rows = -(-values.size // BLOCK)
    return np.pad(values, (0, rows * BLOCK - values.size)).reshape(rows, BLOCK)


def _unblocked(blocks: NDArray[Any], length: int) -> NDArray[Any]:
    return blocks.reshape(-1)[:length]


def _bytes(*parts: NDArray[Any]) -> bytes:
    return b"".join(part.tobytes() for part in parts)


def _encode_block_int8(values: Floats, density: float) -> bytes:
    """Integers from -127 to 127 times the scale of their block, its largest magnitude / 127 (Dettmers et al. 2022)."""
    blocks = _blocks(values)
    scales = np.minimum(np.abs(blocks).max(axis=1) / np.float32(127), _LARGEST_SCALE)
    ratios = blocks / np.where(scales == 0, np.float32(1), scales)[:, None]
    integers = np.clip(np.rint(ratios), -127, 127).astype(np.int8)
    return _bytes(scales.astype("<f4"), _unblocked(integers, values.size))


def _decode_block_int8(data: bytes, length: int) -> Floats:
    rows = -(-length // BLOCK)
    scales = np.frombuffer(data, "<f4", rows)
    integers = np.frombuffer(data, np.int8, length, 4 * rows)
    return _unblocked(_blocks(integers.astype(np.float32)) * scales[:, None], length)


def _encode_sign(values: Floats, density: float) -> bytes:
    """The sign of each value times the mean magnitude of its block (Karimireddy et al. 2019)."""
    sums = np.abs(_blocks(values)).sum(axis=1, dtype=np.float64)
    counts = np.minimum(BLOCK, values.size - BLOCK * np.arange(sums.size))
    return _bytes((sums / counts).astype("<f4"), np.packbits(values < 0, bitorder="little"))


def _decode_sign(data: bytes, length: int) -> Floats:
    rows = -(-length // BLOCK)
    scales = np.repeat(np.frombuffer(data, "<f4", rows), BLOCK)[:length]
    negative = np.unpackbits(np.frombuffer(data, np.uint8, offset=4 * rows), count=length, bitorder="little")
    return np.where(negative, -scales, scales)


def _encode_top_k(values: Floats, density: float) -> bytes:
    """The values of largest magnitude, of equal ones the first, and their indices (Stich et al. 2018)."""
    kept = min(values.size, max(1, math.ceil(density * values.size)))
    magnitudes = np.abs(values)
    threshold = np.partition(magnitudes, values.size - kept)[values.size - kept]
    above = np.flatnonzero(magnitudes > threshold)
    ties = np.flatnonzero(magnitudes == threshold)[: kept - above.size]
    indices = np.sort(np.concatenate([above, ties]))
    return _bytes(indices.astype("<u4"), values[indices].astype("<f4"))


def _decode_top_k(data: bytes, length: int) -> Floats:
    kept = len(data) // 8
    values = np.zeros(length, np.float32)
    values[np.frombuffer(data, "<u4", kept)] = np.frombuffer(data, "<f4", kept, 4 * kept)
    return values


_ENCODE: dict[str, Callable[[Floats, float], bytes]] = {
    "block-int8": _encode_block_int8,
    "sign": _encode_sign,
    "top-k": _encode_top_k,
}
_DECODE: dict[str, Callable[[bytes, int], Floats]] = {
    "block-int8": _decode_block_int8,
    "sign": _decode_sign,
    "top-k": _decode_top_k,
}
LOSSY = tuple(_ENCODE)


def encode(name: str, values: NDArray[Any], density: float = DENSITY) -> bytes:
    """Bytes of values; `density` is the share of them that "top-k" keeps."""
    return _ENCODE[name](np.ascontiguousarray(values, np.float32), density)


def decode(name: str, data: bytes, length: int) -> Floats:
    """What bytes stand for."""
    return _DECODE[name](data, length)
