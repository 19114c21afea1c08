"""A step on a stream, whose gradient may go ahead of it in chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable

import numpy as np

from .. import codec, tensors
from .._gen import service_pb2, tensor_pb2
from ..feedback import ErrorFeedback, HeldCopy
from ..models import (
    Observation,
    Query,
    SessionInfo,
    Step,
)
from ..shared import Lease
from .call import Call
from .steps import step
from .told import Told, as_observations


@dataclass(frozen=True)
class Bulk:
    """A gradient at a point, or a product with a direction, that is put together when it is sent."""

    #: Index of its observation.
    observation: int
    query_id: str
    point: int
    product: bool
    #: Makes its chunks, the same ones each time.
    chunks: Callable[[], Iterable[tensor_pb2.Tensor]]
    #: Makes its tensors, their bytes apart.
    parts: Callable[[], Iterable[tuple[tensor_pb2.Tensor, tensors.Array]]]

    def into(self, request: service_pb2.StepRequest) -> Any:
        """Its place in a request."""
        observation = request.observations[self.observation]
        return (observation.products if self.product else observation.gradients).add().tensors


@dataclass(frozen=True)
class StreamStep:
    """A step of the Optimize stream: one message, which chunks of large gradients and products may precede."""

    call: Call[Step]
    #: What the request lacks.
    told: Sequence[Bulk]
    #: Whether it goes ahead in chunks.
    chunked: bool

    def shared(self, lease: Lease) -> service_pb2.StepRequest | None:
        """The request of a step whose tensors lie in shared memory; None when they do not fit."""
        request = service_pb2.StepRequest()
        request.CopyFrom(self.call.request)
        request.shared.CopyFrom(lease.shared)
        if self.told:
            if lease.told is None:
                return None
            lease.told.begin()
            if not all(lease.place(told.parts(), told.into(request)) for told in self.told):
                return None
            lease.told.done()
        return request

    def messages(
        self, fresh: bool, shared: service_pb2.StepRequest | None = None
    ) -> Iterator[service_pb2.OptimizeRequest]:
        """The messages, the same ones each time; on a fresh stream a step that names the session comes first."""
        if shared is not None:
            yield service_pb2.OptimizeRequest(step=shared)
            return
        if not self.chunked:
            request = service_pb2.StepRequest()
            request.CopyFrom(self.call.request)
            for told in self.told:
                told.into(request).extend(told.chunks())
            yield service_pb2.OptimizeRequest(step=request)
            return
        if fresh:
            hello = service_pb2.StepRequest(name=self.call.request.name, count=-1)
            yield service_pb2.OptimizeRequest(step=hello)
        for told in self.told:
            for tensor in told.chunks():
                chunk = service_pb2.GradientChunk(
                    query_id=told.query_id, point=told.point, tensor=tensor, product=told.product
                )
                yield service_pb2.OptimizeRequest(chunk=chunk)
        yield service_pb2.OptimizeRequest(step=self.call.request)

    def answers(self, fresh: bool, shared: service_pb2.StepRequest | None = None) -> int:
        """How many responses the messages get; the last is the step's."""
        return 2 if fresh and self.chunked and shared is None else 1


def stream_step(
    session: SessionInfo,
    /,
    observations: Told = (),
    value: Any = None,
    *,
    count: int = 1,
    wait: float | None = None,
    omit_tensors: bool = False,
    encoding: str | None = None,
    gradient_encoding: ErrorFeedback | str | None = None,
    held: HeldCopy | None = None,
    worker: str = "",
    request_id: str | None = None,
    expected_revision: int = 0,
    **answer: Any,
) -> StreamStep:
    """Tells and asks in one message. Arguments and errors are those of `step`; a dtype as `encoding` also goes for
    gradients, unless they have a `gradient_encoding` of their own: a dtype, or an ErrorFeedback."""
    plain = encoding if encoding in tensors.DTYPES else None
    dtype = plain if gradient_encoding is None or isinstance(gradient_encoding, ErrorFeedback) else gradient_encoding
    told: list[Bulk] = []
    observations = as_observations(observations, value, **answer)
    encoded, size = [], 0
    for i, observation in enumerate(observations):
        if isinstance(gradient_encoding, ErrorFeedback):
            observation = _with_feedback(session, observation, gradient_encoding)
        for field, sets in (("gradient", observation.gradient), ("products", observation.products)):
            for point, values in enumerate(codec.per_point(sets)):
                make = _bulk_of_set(session, values, f"{field}[{point}]", dtype)
                told.append(Bulk(i, codec.query_id(observation.query), point, field == "products", *make))
                size += _bytes_of(values)
        encoded.append(codec.encode_observation(session, observation, with_tensors=False))
    call = step(
        session,
        count=count,
        wait=wait,
        omit_tensors=omit_tensors,
        encoding=encoding,
        held=held,
        worker=worker,
        request_id=request_id,
        expected_revision=expected_revision,
    )
    call.request.observations.extend(encoded)
    return StreamStep(call, told, size > tensors.CHUNK_BYTES)


def _with_feedback(session: SessionInfo, observation: Observation, feedback: ErrorFeedback) -> Observation:
    purpose = observation.query.purpose if isinstance(observation.query, Query) else ""
    encoded = []
    for point, values in enumerate(codec.per_point(observation.gradient)):
        if not isinstance(values, tensor_pb2.Tensors):
            named = tensors.by_name(values, codec.tensor_space_of(session).manifest, f"gradient[{point}]")
            values = feedback.encode(named, f"{purpose} {point}")
        encoded.append(values)
    return replace(observation, gradient=encoded or None)


def _bulk_of_set(session: SessionInfo, values: Any, at: str, dtype: str | None) -> tuple[Any, Any]:
    """The chunks of a set of tensors, and its parts."""
    if isinstance(values, tensor_pb2.Tensors):

        def parts() -> Iterator[tuple[tensor_pb2.Tensor, tensors.Array]]:
            for t in values.tensors:
                head = tensor_pb2.Tensor(name=t.name, dtype=t.dtype, offset=t.offset, length=t.length)
                yield head, np.frombuffer(t.data, np.uint8)

        return (lambda: values.tensors), parts
    manifest = codec.tensor_space_of(session).manifest
    named = tensors.by_name(values, manifest, at)
    return (
        lambda: (c for n, v in named.items() for c in tensors.encode_chunks(n, v, dtype or manifest[n].dtype)),
        lambda: (tensors.encode_parts(n, v, dtype or manifest[n].dtype) for n, v in named.items()),
    )


def _bytes_of(values: Any) -> int:
    """About how many bytes a set of tensors takes."""
    if isinstance(values, tensor_pb2.Tensors):
        return values.ByteSize()
    return 4 * sum(np.size(array) for array in (values.values() if isinstance(values, Mapping) else [values]))
