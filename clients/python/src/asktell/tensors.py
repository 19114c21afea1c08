"""Tensors on the wire as numpy arrays: packed, row-major, little-endian, no copy but protobuf's own; or encoded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Callable, Union

import numpy as np
import numpy.typing as npt

from . import encodings
from ._gen import tensor_pb2

Array = npt.NDArray[Any]
#: A numpy array, a CPU torch tensor, a nested list: whatever `numpy.asarray` takes.
ArrayLike = Any

#: How elements of each dtype lie in bytes. numpy has no bf16: its bits travel as uint16.
_BITS: dict[str, np.dtype[Any]] = {
    "f32": np.dtype("<f4"),
    "f64": np.dtype("<f8"),
    "bf16": np.dtype("<u2"),
    "f16": np.dtype("<f2"),
}
DTYPES = tuple(_BITS)
_TO_ENUM = {
    name: tensor_pb2.Dtype.Value(f"DTYPE_{name.upper().replace('-', '_')}") for name in DTYPES + encodings.LOSSY
}
_FROM_ENUM = {value: name for name, value in _TO_ENUM.items()}

#: Bytes of data in one chunk of a gradient that is streamed.
CHUNK_BYTES = 1 << 20


#: Finds the bytes of tensors that do not come with their message.
elsewhere: ContextVar[Callable[[tensor_pb2.Extent], Array] | None] = ContextVar("elsewhere", default=None)


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a session's manifest."""

    name: str
    #: () for a scalar.
    shape: tuple[int, ...]
    #: How values travel by default: "f32", "f64", "bf16" or "f16".
    dtype: str = "f32"
    #: Parameter group, for settings per group.
    group: str = ""

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def dtype_of(array: Array) -> str:
    """The dtype name of a floating-point array; bf16 arrays are those of `ml_dtypes`.

    Raises:
        TypeError: for anything else, since an optimizer moves real numbers.
    """
    names = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16"}
    try:
        return names[array.dtype.name]
    except KeyError:
        raise TypeError(f"expected an array of floats ({', '.join(names)}), got {array.dtype}") from None


def dtype_enum(name: str | None) -> Any:
    if name is None:
        return tensor_pb2.DTYPE_UNSPECIFIED
    try:
        return _TO_ENUM[name]
    except KeyError:
        raise ValueError(f"expected one of {', '.join(_TO_ENUM)}, got {name!r}") from None


def dtype_name(enum: int, default: str) -> str:
    return _FROM_ENUM.get(enum, default)


def to_bf16(array: ArrayLike) -> npt.NDArray[np.uint16]:
    """Bits of the nearest bf16 numbers (ties to even), of the same shape. NaN stays NaN."""
    f32 = np.ascontiguousarray(array, dtype="<f4")
    bits = f32.view("<u4")
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    return np.where(np.isnan(f32), np.uint16(0x7FC0), rounded).reshape(np.shape(array))


def from_bf16(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """The float32 numbers with these bf16 bits, of the same shape."""
    return (bits.astype("<u4") << 16).view("<f4")


def _bits(array: ArrayLike, dtype: str) -> Array:
    """The array as it lies on the wire: contiguous, of the dtype's bits. A view when it lies so already."""
    values = np.asarray(array)
    if dtype == "bf16":
        # A bfloat16 of ml_dtypes has these bits already.
        return np.ascontiguousarray(values).view("<u2") if values.dtype.name == "bfloat16" else to_bf16(values)
    bits: Array = np.ascontiguousarray(values, dtype=_BITS[dtype])
    return bits


def encode(name: str, array: ArrayLike, dtype: str) -> tensor_pb2.Tensor:
    return tensor_pb2.Tensor(name=name, dtype=dtype_enum(dtype), data=_bits(array, dtype).tobytes())


def encode_parts(name: str, array: ArrayLike, dtype: str) -> tuple[tensor_pb2.Tensor, Array]:
    """A tensor without its bytes, and these: a view where the array lies so already."""
    return tensor_pb2.Tensor(name=name, dtype=dtype_enum(dtype)), _bits(array, dtype).reshape(-1).view(np.uint8)


def encode_chunks(name: str, array: ArrayLike, dtype: str) -> Iterator[tensor_pb2.Tensor]:
    """The tensor in chunks of at most CHUNK_BYTES, in order; one empty chunk never occurs, tensors have elements."""
    flat = _bits(array, dtype).reshape(-1)
    length = CHUNK_BYTES // flat.itemsize
    for start in range(0, flat.size, length):
        data = flat[start : start + length].tobytes()
        yield tensor_pb2.Tensor(name=name, dtype=dtype_enum(dtype), data=data, offset=start)


def _data_of(tensor: tensor_pb2.Tensor) -> Array:
    if not tensor.HasField("shared"):
        return np.frombuffer(tensor.data, np.uint8)
    find = elsewhere.get()
    if find is None:
        raise ValueError(f"{tensor.name}: the server put it into memory that this client does not share")
    return find(tensor.shared)


def decode(tensor: tensor_pb2.Tensor, info: TensorInfo) -> Array:
    """A read-only array of the manifest's shape over the received bytes. bf16 comes as float32."""
    dtype = dtype_name(tensor.dtype, info.dtype)
    array = _data_of(tensor).view(_BITS[dtype]).reshape(info.shape)
    return from_bf16(array) if dtype == "bf16" else array


Manifest = Mapping[str, TensorInfo]
TensorValues = Union[Mapping[str, ArrayLike], ArrayLike]


def by_name(values: TensorValues, manifest: Manifest, at: str) -> Mapping[str, ArrayLike]:
    """Values by tensor name, shapes checked. Of a manifest of one tensor the bare array will do.

    Raises:
        ValueError: a tensor is missing, unknown, or of another shape than the manifest's.
    """
    if not isinstance(values, Mapping):
        if len(manifest) != 1:
            raise ValueError(f"{at}: expected arrays by tensor name ({', '.join(manifest)}), got one array")
        values = {name: values for name in manifest}
    unknown, missing = set(values) - set(manifest), set(manifest) - set(values)
    if unknown:
        raise ValueError(f"{at}: {sorted(unknown)[0]!r} is not a tensor of the session ({', '.join(manifest)})")
    if missing:
        raise ValueError(f"{at}: {sorted(missing)[0]!r} is missing")
    for name, value in values.items():
        if np.shape(value) != manifest[name].shape:
            raise ValueError(f"{at}[{name!r}]: expected shape {manifest[name].shape}, got {tuple(np.shape(value))}")
    return values


def encode_all(values: TensorValues, manifest: Manifest, at: str, dtype: str | None = None) -> tensor_pb2.Tensors:
    named = by_name(values, manifest, at)
    return tensor_pb2.Tensors(tensors=[encode(n, v, dtype or manifest[n].dtype) for n, v in named.items()])


def decode_all(tensors: Sequence[tensor_pb2.Tensor], manifest: Manifest) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for tensor in tensors:
        info = manifest[tensor.name]
        dtype = dtype_name(tensor.dtype, info.dtype)
        if dtype in encodings.LOSSY:
            piece = encodings.decode(dtype, _data_of(tensor).tobytes(), tensor.length)
            whole = arrays.setdefault(tensor.name, np.zeros(info.shape, np.float32))
            whole.reshape(-1)[tensor.offset : tensor.offset + tensor.length] = piece
        else:
            arrays[tensor.name] = decode(tensor, info)
    return arrays
