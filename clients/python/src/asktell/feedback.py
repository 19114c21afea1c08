"""What a client keeps so that lossy encodings lose nothing in the long run."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union

import numpy as np

from . import encodings, tensors
from ._gen import tensor_pb2

#: How tensors travel both ways, or gradients and parameters: a dtype or a lossy encoding; None for their own dtypes.
Encoding = Union[str, tuple[Union[str, None], Union[str, None]], None]


@dataclass(frozen=True)
class Encodings:
    """Lossy encodings ("block-int8", "sign", "top-k") that a session takes and gives beside plain floats."""

    #: Of gradients that clients tell.
    gradients: tuple[str, ...] = ()
    #: Of parameters that are sent as deltas against what a client holds.
    parameters: tuple[str, ...] = ()
    #: Share of the elements that "top-k" keeps; 0.01 when None.
    density: float | None = None

    @classmethod
    def of(cls, encoding: Encoding, density: float | None = None) -> Encodings | None:
        """Those that a stream with this encoding needs, None where it needs none."""
        both = encoding if isinstance(encoding, tuple) else (encoding, encoding)
        gradients, parameters = (tuple(e for e in [name] if e in encodings.LOSSY) for name in both)
        return cls(gradients, parameters, density) if gradients or parameters else None


class ErrorFeedback:
    """Encodes gradients; what an encoding leaves out of one is added to the next (Karimireddy et al. 2019,
    https://arxiv.org/abs/1901.09847).

    Args:
        encoding: "block-int8", "sign" or "top-k".
        density: share of the elements that "top-k" keeps.
    """

    def __init__(self, encoding: str, density: float = encodings.DENSITY) -> None:
        if encoding not in encodings.LOSSY:
            raise ValueError(f"expected one of {', '.join(encodings.LOSSY)}, got {encoding!r}")
        self.encoding, self.density = encoding, density
        self._left: dict[tuple[str, str], tensors.Array] = {}

    def encode(self, gradient: Mapping[str, tensors.ArrayLike], place: str = "") -> tensor_pb2.Tensors:
        """A gradient for an Observation. Those with one `place` follow on each other: one purpose, one of its points.

        Raises:
            ValueError: an element is no finite float32; nothing is kept of such a gradient.
        """
        message = tensor_pb2.Tensors()
        after = {}
        for name, values in gradient.items():
            array = np.asarray(values)
            total: Any = array.astype(np.float64 if array.dtype == np.float64 else np.float32).reshape(-1)
            total += self._left.get((place, name), 0)
            with np.errstate(over="ignore"):
                single = total.astype(np.float32)
            if not np.isfinite(single).all():
                raise ValueError(f"gradient[{name!r}]: expected finite numbers")
            for start in range(0, total.size, encodings.PIECE):
                piece = slice(start, start + encodings.PIECE)
                length = single[piece].size
                data = encodings.encode(self.encoding, single[piece], self.density)
                dtype = tensors.dtype_enum(self.encoding)
                message.tensors.add(name=name, dtype=dtype, data=data, offset=start, length=length)
                total[piece] -= encodings.decode(self.encoding, data, length)
            after[place, name] = total
        self._left.update(after)
        return message


class HeldCopy:
    """The parameters as this client holds them, which a session may send deltas against. Belongs to one session, and
    to one call at a time."""

    def __init__(self) -> None:
        #: By which the session knows it.
        self.name = uuid.uuid4().hex
        #: That of the last tensors that came; 0 when there were none.
        self.version = 0
        self._arrays: dict[str, tensors.Array] = {}

    def decode(self, message: tensor_pb2.Tensors, manifest: tensors.Manifest) -> dict[str, tensors.Array]:
        """Read-only arrays of a message, added to the copy when they are a delta."""
        received = tensors.decode_all(message.tensors, manifest)
        if not message.version:
            return received
        if message.base and message.base != self.version:
            raise ValueError(
                f"the session sent a delta of version {message.base}, the copy is of version {self.version}"
            )
        held = {}
        for name, array in received.items():
            wide = array.astype(np.float64 if manifest[name].dtype == "f64" else np.float32, copy=False)
            # A sum of arrays without an axis is no array.
            held[name] = np.asarray(self._arrays[name] + wide) if message.base else wide
            held[name].flags.writeable = False
        self._arrays, self.version = held, message.version
        return dict(held)


def stream_defaults(encoding: Encoding, agreed: Encodings | None) -> dict[str, Any]:
    """The arguments of all steps of a stream whose tensors travel so."""
    gradients, parameters = encoding if isinstance(encoding, tuple) else (encoding, encoding)
    density = encodings.DENSITY if agreed is None or agreed.density is None else agreed.density
    return {
        "encoding": parameters,
        "gradient_encoding": ErrorFeedback(gradients, density) if gradients in encodings.LOSSY else gradients,
        "held": HeldCopy() if parameters in encodings.LOSSY else None,
    }
