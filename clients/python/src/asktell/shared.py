"""Tensors by way of shared memory, for a client on the server's host: the calls then carry only where they lie."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import stat
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from . import tensors
from ._gen import service_pb2, tensor_pb2

#: Sessions with fewer bytes of tensors than this send them with their calls.
LEAST = 1 << 15
#: Bytes that a file should have at most, beyond the least number of slots.
_MOST_BYTES = 256 << 20
_HEAD, _HEADER, _PAGE = 4096, 64, 4096


def request_for(size: int) -> service_pb2.ShareMemoryRequest:
    """Slots for tensors of so many bytes: one for a gradient, others for parameters that are still looked at."""
    return service_pb2.ShareMemoryRequest(slot_bytes=size, slots=max(3, min(8, _MOST_BYTES // size)))


class Slot:
    """A slot that one call puts tensors into, or gets them in."""

    def __init__(self, memory: SharedMemory, index: int, generation: int) -> None:
        self.memory, self.index, self.generation = memory, index, generation
        self.used = 0

    def place(self, data: tensors.Array) -> tensor_pb2.Extent | None:
        """Puts bytes there; None where there is no room for them."""
        start = self.memory.start(self.index)
        if self.used + data.size > self.memory.slot_bytes:
            return None
        extent = tensor_pb2.Extent(slot=self.index, generation=self.generation, offset=self.used, length=data.size)
        self.memory.bytes[start + self.used : start + self.used + data.size] = data
        self.used += -(-data.size // _HEADER) * _HEADER
        return extent

    def begin(self) -> None:
        self.memory.mark(self.index, 0)

    def done(self) -> None:
        self.memory.mark(self.index, self.generation)


class Lease:
    """What one call has of the memory: a slot to tell in and one for the answer."""

    def __init__(self, memory: SharedMemory, told: Slot | None, answer: Slot | None) -> None:
        self.memory, self.told, self.answer = memory, told, answer
        self._lent: tensors.Array | None = None

    @property
    def shared(self) -> service_pb2.Shared:
        """What the call says of it."""
        if self.answer is None:
            return service_pb2.Shared(memory=self.memory.name)
        return service_pb2.Shared(memory=self.memory.name, slot=self.answer.index, generation=self.answer.generation)

    def place(self, parts: Iterable[tuple[tensor_pb2.Tensor, tensors.Array]], into: Any) -> bool:
        """Adds tensors whose bytes lie in the slot; False, and nothing is added, when they do not all fit."""
        if self.told is None:
            return False
        placed = []
        for tensor, data in parts:
            extent = self.told.place(data)
            if extent is None:
                return False
            tensor.shared.CopyFrom(extent)
            placed.append(tensor)
        into.extend(placed)
        return True

    def bytes(self, extent: tensor_pb2.Extent) -> tensors.Array:
        """The bytes of a tensor of the answer, without a copy: the slot is in use as long as an array lies on them."""
        slot = self.answer
        if slot is None or (extent.slot, extent.generation) != (slot.index, slot.generation):
            given = f"slot {extent.slot}, generation {extent.generation}"
            raise ValueError(f"the server names {given}, which it was not given")
        if self._lent is None:
            self._lent = self.memory.lend(slot)
        return self._lent[extent.offset : extent.offset + extent.length]

    def release(self) -> None:
        if self.told is not None:
            self.memory.free(self.told.index)
        if self.answer is not None and self._lent is None:
            self.memory.free(self.answer.index)


class SharedMemory:
    """A file that the server has made for this client. May be shared by threads.

    Raises:
        OSError: it is not there, as on another host.
        ValueError: it is not what the server should have made; nothing was written to it.
    """

    def __init__(self, offer: service_pb2.SharedMemory) -> None:
        self.name, self.slot_bytes = offer.memory, offer.slot_bytes
        self._stride = _HEADER + offer.slot_bytes
        size = _HEAD + self._stride * offer.slots
        # A path from elsewhere must not make this process write to a file of another purpose.
        if not re.fullmatch(r"[0-9a-f]{32}", offer.memory) or os.path.basename(offer.path) != f"asktell-{offer.memory}":
            raise ValueError(f"expected a file asktell-{offer.memory}, got {offer.path!r}")
        descriptor = os.open(offer.path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1
            if not ours or stat.S_IMODE(found.st_mode) != 0o600 or found.st_size != size:
                raise ValueError(f"{offer.path} is not a file of {size} bytes for this user alone")
            if os.pread(descriptor, 32, 0) != offer.memory.encode():
                raise ValueError(f"{offer.path} does not begin with its name")
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self.bytes = np.frombuffer(self._map, np.uint8)
        self._lock = threading.Lock()
        self._free = list(range(offer.slots))
        self._generation = 0

    def start(self, index: int) -> int:
        return _HEAD + self._stride * index + _HEADER

    def mark(self, index: int, generation: int) -> None:
        start = self.start(index) - _HEADER
        self.bytes[start : start + 8].view("<u8")[0] = generation

    def lease(self, tells: bool, answers: bool) -> Lease | None:
        """Slots for a call; None when none is free."""
        told = self._take() if tells else None
        answer = self._take() if answers else None
        return Lease(self, told, answer) if told or answer else None

    def _take(self) -> Slot | None:
        with self._lock:
            if not self._free:
                return None
            self._generation += 1
            return Slot(self, self._free.pop(), self._generation)

    def free(self, index: int) -> None:
        with self._lock:
            self._free.append(index)

    def lend(self, slot: Slot) -> tensors.Array:
        """The bytes of a slot, which is free again when no array lies on them any more."""
        start = self.start(slot.index)
        lent = np.frombuffer(self._map, np.uint8, self.slot_bytes, start)
        if self.bytes[start - _HEADER : start - _HEADER + 8].view("<u8")[0] != slot.generation:
            raise ValueError(f"slot {slot.index} does not hold generation {slot.generation}")
        lent.flags.writeable = False
        weakref.finalize(lent, self.free, slot.index).atexit = False
        return lent


def share(request: Any, lease: Lease) -> None:
    """Moves large tensors of a request to the memory."""
    if lease.told is not None:
        lease.told.begin()
        for tensor in _told(request):
            extent = lease.told.place(np.frombuffer(tensor.data, np.uint8)) if len(tensor.data) >= _PAGE else None
            if extent is not None:
                tensor.shared.CopyFrom(extent)
                tensor.ClearField("data")
        lease.told.done()
    request.shared.CopyFrom(lease.shared)


def unshare(request: Any, lease: Lease) -> None:
    """Moves them back: the memory is gone for the server, not for this client."""
    for tensor in _told(request):
        if tensor.HasField("shared"):
            start = lease.memory.start(tensor.shared.slot) + tensor.shared.offset
            tensor.data = lease.memory.bytes[start : start + tensor.shared.length].tobytes()
            tensor.ClearField("shared")
    request.ClearField("shared")


def _told(request: Any) -> Iterator[tensor_pb2.Tensor]:
    for observation in getattr(request, "observations", ()):
        for sets in (observation.gradients, observation.products):
            for values in sets:
                yield from values.tensors


@contextlib.contextmanager
def reading(lease: Lease | None) -> Iterator[None]:
    """While an answer is parsed: where its tensors lie."""
    token = tensors.elsewhere.set(lease.bytes if lease else None)
    try:
        yield
    finally:
        tensors.elsewhere.reset(token)
