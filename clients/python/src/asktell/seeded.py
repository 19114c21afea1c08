"""Sessions that send seeds in place of vectors: the client keeps the iterate, and makes all points itself.

The direction of a seed is that of src/core/directions.ts on the server's side: element i of a tensor comes from the Philox
stream of the seed with the tensor's name. Signs have the same bits on both sides; normals may differ in the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .models import Move, Query, Seeded
from .noise import normals, philox, stream

#: Elements that are made at once: what is beside the tensors takes a few hundred MiB at most.
_CHUNK = 1 << 20


def add_move(tensors: Mapping[str, NDArray[Any]], move: Move) -> None:
    """Adds a move to tensors, in place; every element is rounded once to its type.

    Args:
        tensors: contiguous float32 or float64 arrays by name.
        move: the seed of a direction, and what it is multiplied by.
    """
    for name, x in tensors.items():
        flat = x.reshape(-1)
        if not np.shares_memory(flat, x):
            raise ValueError(f"the array of {name} is not contiguous: it cannot be moved in place")
        key = stream(move.seed, name)
        for at in range(0, flat.size, _CHUNK):
            part = flat[at : at + _CHUNK]
            u = _signs(key, at, part.size) if move.rademacher else normals(key, at, part.size)
            part[...] = part.astype(np.float64) + move.scale * u


def _signs(key: tuple[int, int], at: int, count: int) -> NDArray[np.float64]:
    blocks = np.arange(at // 128, -(-(at + count) // 128), dtype=np.uint64)
    words = philox(blocks, key).astype("<u4")
    bits = np.unpackbits(words.reshape(-1).view(np.uint8), bitorder="little")
    return bits[at % 128 : at % 128 + count].astype(np.float64) * 2 - 1


class SeededIterate:
    """The iterate of a session whose queries are seeds.

    Args:
        tensors: start values by name, contiguous float32 or float64 arrays. `follow` updates them in place.
        step: the step that they are of: that of an estimate, when a run goes on.
    """

    def __init__(self, tensors: Mapping[str, NDArray[Any]], step: int = 0) -> None:
        for name, x in tensors.items():
            if x.dtype not in (np.float32, np.float64) or not x.flags.c_contiguous:
                raise ValueError(f"{name}: expected a contiguous array of float32 or float64")
        self.tensors = dict(tensors)
        self.step = step

    def follow(self, query: Query) -> None:
        """Moves on to where the query is asked. Once for a query or more often is the same.

        Raises:
            ValueError: when the session keeps the iterate itself, or steps lie between whose moves are not known here. Begin
                again from the session's estimate then.
        """
        if query.iterate is None:
            raise ValueError("the query is of a session that keeps the iterate itself")
        if query.iterate.step == self.step:
            return
        if query.iterate.step != self.step + 1:
            raise ValueError(f"the query is at step {query.iterate.step}, the iterate at {self.step}: begin from the estimate")
        for move in query.iterate.last:
            add_move(self.tensors, move)
        self.step = query.iterate.step

    def at(self, point: Seeded) -> dict[str, NDArray[Any]]:
        """A point of the query as new arrays."""
        made = {name: np.zeros_like(x) if point.alone else x.copy() for name, x in self.tensors.items()}
        add_move(made, point.move)
        return made
