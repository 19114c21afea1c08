"""Every call of the service as a pure function: arguments in, the request and the parser of its response out.

No I/O happens here, so the sync and the asyncio client share all of it. Functions whose first argument is a
`SessionInfo` become methods of sessions, the others methods of clients; their docstrings are those methods' docs.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Callable, Generic, Protocol, TypeVar, Union

import numpy as np
from google.protobuf import field_mask_pb2

from . import codec, tensors
from ._gen import analysis_pb2, service_pb2, session_pb2, tensor_pb2
from .analysis import Analysis, kind_number, parse_analysis
from .feedback import Encoding, Encodings, ErrorFeedback, HeldCopy
from .models import (
    AuditEntry,
    Estimate,
    Method,
    Observation,
    Query,
    Report,
    SessionInfo,
    Step,
    Task,
    TrialRecord,
)
from .shared import Lease
from .spaces import Params, SearchSpace, TensorSpace, as_space, to_struct

T = TypeVar("T")


class Named(Protocol):
    """A session of either client, or what is known of it."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Call(Generic[T]):
    #: Name of the RPC in the service.
    method: str
    request: Any
    parse: Callable[[Any], T]
    #: Seconds that the server may hold the call back on purpose.
    wait: float = 0.0
    #: Bytes of the session's tensors, which the request or its answer may hold.
    bulk: int = 0


@dataclass(frozen=True)
class Page(Generic[T]):
    items: tuple[T, ...]
    #: Empty on the last page.
    next_page_token: str


def _page_of(field: str, parse: Callable[[Any], T]) -> Callable[[Any], Page[T]]:
    return lambda response: Page(tuple(map(parse, getattr(response, field))), response.next_page_token)


def new_request_id() -> str:
    """72 random bits: a session remembers some thousands, and a step of seeds is hardly longer."""
    return secrets.token_urlsafe(9)


# Sessions


def create_session(
    method: str,
    space: Any,
    *,
    config: Mapping[str, Any] | None = None,
    direction: str | None = None,
    objectives: Sequence[str] | Mapping[str, str] | None = None,
    constraints: Sequence[str] = (),
    task: Task | str | None = None,
    pruner: str | tuple[str, Mapping[str, Any]] | None = None,
    budget: int | Mapping[str, float] | None = None,
    seed: int | None = None,
    durability: str = "journal",
    resolver: str | tuple[str, str] | None = None,
    lease: float | None = None,
    labels: Mapping[str, str] | None = None,
    offers: Sequence[str] = (),
    encodings: Encodings | Encoding = None,
    prefetch: int = 0,
    warm_start_from: Sequence[str | Named] = (),
    name: str = "",
    display_name: str = "",
    request_id: str | None = None,
) -> Call[SessionInfo]:
    """Creates a session.

    Args:
        method: id of the method, such as "tpe" or "adam"; `methods()` lists them.
        space: what is optimized; see `asktell.spaces` for all that stands for a space.
        config: fields of the method's config; `describe(method).config_schema` has them with their defaults.
        direction: "minimize" (the default) or "maximize", for one objective.
        objectives: several of them, as ``{"loss": "minimize", "accuracy": "maximize"}``.
        constraints: names of outcome constraints; a told value <= 0 is feasible.
        task: what text methods are told, a description or a Task with examples.
        pruner: id of a pruner, such as "median", "asha", "hyperband", or an id with its config.
        budget: evaluations after which the session ends by itself; or a dict of maxEvaluations, maxCalls,
            maxTokens, maxMoney.
        seed: of all the session's randomness; chosen by the server when None.
        durability: "journal": a tell is on disk before it is acknowledged; "snapshot": only snapshots are.
        resolver: endpoint of the server's configuration that answers completion queries, or (endpoint, model).
        lease: seconds a worker may keep a query, 600 when None.
        labels: for filters: `list_sessions('labels.team = "vision"')`.
        offers: kinds of want the client can answer; a method that needs others is refused. Not checked when empty.
        encodings: lossy encodings of gradients and parameters that the session takes and gives: `Encodings`, or what a
            stream is then given as its `encoding`.
        prefetch: suggestions made ahead, while workers evaluate, so that an ask finds them ready. Each was made without
            what was told since.
        warm_start_from: earlier sessions of similar tasks, or their names: the method begins from their completed trials.
            At most 16, each with one objective of this direction; parameters are matched by name, and a trial that is
            no point of the space is left out. `describe(method).facts.warm_start` says which methods take them.
        name: id of the session: letters, digits, "-" and "_", at most 64. Chosen by the server when empty.

    Raises:
        InvalidArgument: with located issues, for a wrong space or config, or a method that cannot handle the space.
        AlreadyExists: a session of this name exists.
    """
    session = session_pb2.Session(
        display_name=display_name,
        method=method,
        config=to_struct(config or {}),
        space=as_space(space).to_proto(),
        constraints=constraints,
        durability=codec.enum_number(session_pb2.Durability, "DURABILITY", durability),
        seed=seed,
        labels=labels or {},
        offers=offers,
        prefetch=prefetch,
        warm_start_from=[codec.full_name(of if isinstance(of, str) else of.name) for of in warm_start_from],
    )
    if direction is not None and objectives is not None:
        raise ValueError("expected direction or objectives, got both")
    named = (
        objectives if isinstance(objectives, Mapping) else {f"objective{i}": d for i, d in enumerate(objectives or ())}
    )
    if direction is not None:
        named = {"value": direction}
    for key, toward in named.items():
        session.objectives.add(name=key, direction=codec.enum_number(session_pb2.Direction, "DIRECTION", toward))
    if task is not None:
        of = Task(task) if isinstance(task, str) else task
        session.task.description = of.description
        for given, expected in of.examples:
            session.task.examples.add(input=given, expected=expected)
    if pruner is not None:
        pruner_id, pruner_config = (pruner, {}) if isinstance(pruner, str) else pruner
        session.pruner.CopyFrom(session_pb2.PrunerSpec(method=pruner_id, config=to_struct(pruner_config)))
    if budget is not None:
        session.budget.CopyFrom(codec.encode_budget(budget))
    if resolver is not None:
        endpoint, model = (resolver, "") if isinstance(resolver, str) else resolver
        session.resolver.CopyFrom(session_pb2.Resolver(endpoint=endpoint, model=model))
    agreed = encodings if isinstance(encodings, Encodings) else Encodings.of(encodings)
    if agreed is not None:
        session.encodings.CopyFrom(codec.encode_encodings(agreed))
    if lease is not None:
        session.lease.CopyFrom(codec.encode_duration(lease))
    request = service_pb2.CreateSessionRequest(
        session=session, session_id=name, request_id=request_id or new_request_id()
    )
    return Call("CreateSession", request, codec.parse_session)


def get_session(name: str) -> Call[SessionInfo]:
    return Call("GetSession", service_pb2.GetSessionRequest(name=codec.full_name(name)), codec.parse_session)


def refresh(session: SessionInfo, /) -> Call[SessionInfo]:
    """Reads the session anew."""
    return get_session(session.name)


def list_sessions_page(filter: str = "", page_token: str = "", page_size: int = 0) -> Call[Page[SessionInfo]]:
    request = service_pb2.ListSessionsRequest(page_size=page_size, page_token=page_token, filter=filter)
    return Call("ListSessions", request, _page_of("sessions", codec.parse_session))


def update(
    session: SessionInfo,
    /,
    *,
    config: Mapping[str, Any] | None = None,
    state: str | None = None,
    budget: int | Mapping[str, float] | None = None,
    labels: Mapping[str, str] | None = None,
    display_name: str | None = None,
    request_id: str | None = None,
    expected_revision: int = 0,
) -> Call[SessionInfo]:
    """Changes what may change, and returns the session as it is then.

    Args:
        config: new values of mutable fields, others stay.
        state: "paused", "running" or "done".
        budget, labels, display_name: as for create_session; they replace what was there.
        expected_revision: refuse when the session is at another revision; not checked when 0.

    Raises:
        FailedPrecondition: NOT_MUTABLE, for a field of the config that cannot change.
        Conflict: REVISION_MISMATCH.
    """
    patch = session_pb2.Session(name=session.name)
    mask = []
    if config is not None:
        patch.config.CopyFrom(to_struct(config))
        mask.append("config")
    if state is not None:
        patch.state = codec.enum_number(session_pb2.SessionState, "SESSION_STATE", state)
        mask.append("state")
    if budget is not None:
        patch.budget.CopyFrom(codec.encode_budget(budget))
        mask.append("budget")
    if labels is not None:
        patch.labels.update(labels)
        mask.append("labels")
    if display_name is not None:
        patch.display_name = display_name
        mask.append("display_name")
    request = service_pb2.UpdateSessionRequest(
        session=patch,
        update_mask=field_mask_pb2.FieldMask(paths=mask),
        request_id=request_id or new_request_id(),
        expected_revision=expected_revision,
    )
    return Call("UpdateSession", request, codec.parse_session)


def delete(session: SessionInfo, /, *, request_id: str | None = None) -> Call[None]:
    """Deletes the session with all that is recorded of it."""
    request = service_pb2.DeleteSessionRequest(name=session.name, request_id=request_id or new_request_id())
    return Call("DeleteSession", request, lambda _: None)


def fork_session(
    session: SessionInfo,
    *,
    revision: int = 0,
    name: str = "",
    config: Mapping[str, Any] | None = None,
    request_id: str | None = None,
) -> Call[SessionInfo]:
    request = service_pb2.ForkSessionRequest(
        name=session.name,
        revision=revision,
        session_id=name,
        request_id=request_id or new_request_id(),
        config=None if config is None else to_struct(config),
    )
    return Call("ForkSession", request, codec.parse_session)


def export(session: SessionInfo) -> service_pb2.ExportSessionRequest:
    return service_pb2.ExportSessionRequest(name=session.name)


def import_session(data: Iterable[bytes], name: str, request_id: str) -> Iterator[service_pb2.ImportSessionRequest]:
    yield service_pb2.ImportSessionRequest(session_id=name, request_id=request_id)
    for chunk in data:
        yield service_pb2.ImportSessionRequest(data=chunk)


# Ask and tell


def ask(
    session: SessionInfo,
    /,
    count: int = 1,
    *,
    wait: float | None = None,
    enqueue: Sequence[Any] = (),
    omit_tensors: bool = False,
    encoding: str | None = None,
    held: HeldCopy | None = None,
    worker: str = "",
    request_id: str | None = None,
) -> Call[Step]:
    """Asks for queries to answer, each under a lease.

    Args:
        count: how many.
        wait: seconds to wait when there is none yet; not at all when None.
        enqueue: points to put first: each becomes a query of its own.
        omit_tensors: leave tensors out of the points, for a client that holds them.
        encoding: dtype in which tensors come, or a lossy encoding of what `held` lacks; the manifest's when None.
        held: the copy of the parameters that this client has: the answer brings what it lacks.
        worker: name of the caller, for the records.

    Raises:
        InvalidArgument: a point of `enqueue` is not one of the space.
    """
    request = service_pb2.AskRequest(
        name=session.name,
        count=count if count > 0 else -1,
        request_id=request_id or new_request_id(),
        wait=None if wait is None else codec.encode_duration(wait),
        omit_tensors=omit_tensors,
        encoding=tensors.dtype_enum(encoding),
        held=codec.encode_held(held),
        enqueue=[codec.space_of(session).encode_point(point) for point in enqueue],
        worker=worker,
    )
    return Call("Ask", request, codec.step_parser(session, held), wait or 0.0, _bulk_of(session))


Told = Union[Query, Observation, Iterable[Observation]]


def tell(
    session: SessionInfo,
    /,
    observations: Told,
    value: Any = None,
    *,
    request_id: str | None = None,
    expected_revision: int = 0,
    **answer: Any,
) -> Call[Step]:
    """Tells what was found out: ``tell(query, 0.3)``, ``tell(query, gradient=...)`` or ``tell(observations)``.

    Args:
        observations: one Observation or several: all are taken, or none. Or a query, whose Observation is then made
            of `value` and the other keywords.
        expected_revision: refuse when the session is at another revision; not checked when 0.

    Raises:
        InvalidArgument: OBSERVATION_INVALID, with located issues, when an observation does not fit its query.
        NotFound: QUERY_NOT_FOUND, the session never asked this.
        FailedPrecondition: QUERY_RESOLVED, someone was faster; or SESSION_CLOSED.
    """
    request = service_pb2.TellRequest(
        name=session.name,
        observations=[codec.encode_observation(session, o) for o in as_observations(observations, value, **answer)],
        request_id=request_id or new_request_id(),
        expected_revision=expected_revision,
    )
    return Call("Tell", request, codec.step_parser(session), bulk=_bulk_of(session))


def step(
    session: SessionInfo,
    /,
    observations: Told = (),
    value: Any = None,
    *,
    count: int = 1,
    wait: float | None = None,
    omit_tensors: bool = False,
    encoding: str | None = None,
    held: HeldCopy | None = None,
    worker: str = "",
    request_id: str | None = None,
    expected_revision: int = 0,
    **answer: Any,
) -> Call[Step]:
    """Tells and asks in one round trip: the call to build loops on. Arguments and errors are those of tell and ask.

    With ``count=0`` it asks nothing.
    """
    told = [codec.encode_observation(session, o) for o in as_observations(observations, value, **answer)]
    request = service_pb2.StepRequest(
        name=session.name,
        observations=told,
        # On the wire 0 stands for the default, 1.
        count=count if count > 0 else -1,
        request_id=request_id or new_request_id(),
        wait=None if wait is None else codec.encode_duration(wait),
        omit_tensors=omit_tensors,
        encoding=tensors.dtype_enum(encoding),
        held=codec.encode_held(held),
        expected_revision=expected_revision,
        worker=worker,
    )
    return Call("Step", request, codec.step_parser(session, held), wait or 0.0, _bulk_of(session))


def as_observations(told: Told, value: Any = None, **answer: Any) -> Sequence[Observation]:
    if isinstance(told, Query):
        return [Observation(told, value, **answer)]
    if value is not None or answer:
        raise TypeError("value and other answers go with a query; observations have their own")
    return [told] if isinstance(told, Observation) else list(told)


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


def _bulk_of(session: SessionInfo) -> int:
    """Bytes of the session's tensors."""
    if not isinstance(session.space, TensorSpace):
        return 0
    return sum(info.size * (8 if info.dtype == "f64" else 4) for info in session.space.manifest.values())


def _bytes_of(values: Any) -> int:
    """About how many bytes a set of tensors takes."""
    if isinstance(values, tensor_pb2.Tensors):
        return values.ByteSize()
    return 4 * sum(np.size(array) for array in (values.values() if isinstance(values, Mapping) else [values]))


def report(
    session: SessionInfo, /, query: Query | str, step: int, value: float, *, request_id: str | None = None
) -> Call[Report]:
    """Tells an intermediate value of a running trial; the answer says whether to go on. Renews the lease.

    Args:
        query: the query or its id.
        step: how far the trial is, in units of the client's choice: epochs, batches. Rises.
        value: of the (first) objective.
    """
    request = service_pb2.ReportRequest(
        name=session.name,
        query_id=codec.query_id(query),
        step=step,
        value=value,
        request_id=request_id or new_request_id(),
    )
    return Call("Report", request, lambda r: Report(r.should_prune, r.reason, r.revision))


def estimate(session: SessionInfo, /, *, encoding: str | None = None) -> Call[Estimate]:
    """The session's present answer: an iterate, an average, a best trial, a Pareto front, a prompt."""
    request = service_pb2.GetEstimateRequest(name=session.name, encoding=tensors.dtype_enum(encoding))
    return Call("GetEstimate", request, partial(codec.parse_estimate, session))


def analyze(
    session: SessionInfo,
    /,
    *kinds: str,
    objective: str = "",
    parameters: Sequence[str] = (),
    importance_method: str = "ped-anova",
    quantile: float = 0.1,
    resolution: int = 30,
    points: Sequence[Params] = (),
    reference: Sequence[float] = (),
    charts: bool = False,
) -> Call[Analysis]:
    """Computes figures of a session over a search space from its trials, on the server.

    Args:
        kinds: of "history", "importances", "slices", "contour", "parallel-coordinates", "edf", "pareto", "timeline",
            "cross-validation", "prediction"; all that the session allows when there are none.
        objective: its name; the first one when empty.
        parameters: of slices and parallel coordinates, all when empty; the two of a contour, those that matter most when
            empty.
        importance_method: "ped-anova", "fanova" or "sobol".
        quantile: the share of the trials that PED-ANOVA counts as the best.
        resolution: points along each axis of slices and contours, from 2 to 200.
        points: where to predict: dicts of parameters.
        reference: the corner that hypervolumes are measured from, a number per objective; the worst told values when empty.
        charts: whether Vega-Lite charts are wanted beside the numbers.

    Raises:
        InvalidArgument: with located issues: the session is not over a search space, an unknown parameter, a point that
            is not one of the space. What there are too few trials for is in `Analysis.left_out`.
    """
    space = codec.space_of(session)
    if not isinstance(space, SearchSpace):
        raise TypeError(f"{session.name} does not search over parameters: there is nothing to analyze")
    request = analysis_pb2.AnalyzeSessionRequest(
        name=session.name,
        kinds=[kind_number(analysis_pb2.AnalysisKind, kind) for kind in kinds],
        objective=objective,
        parameters=parameters,
        importance_method=kind_number(analysis_pb2.ImportanceMethod, importance_method),
        quantile=quantile,
        resolution=resolution,
        points=[to_struct(point) for point in points],
        reference=reference,
        charts=charts,
    )
    return Call("AnalyzeSession", request, partial(parse_analysis, space))


def enqueue(session: SessionInfo, /, *points: Any, request_id: str | None = None) -> Call[Step]:
    """Puts points first in what is asked, each as a trial of its own.

    Raises:
        InvalidArgument: a point is not one of the space.
    """
    return ask(session, 0, enqueue=points, request_id=request_id)


def edit_space(
    session: SessionInfo,
    /,
    space: Any,
    *,
    defaults: Mapping[str, Any] | None = None,
    drop_invalid: bool = False,
    reason: str = "",
    request_id: str | None = None,
    expected_revision: int = 0,
) -> Call[SessionInfo]:
    """Gives the session another search space; the method starts anew from the trials.

    Args:
        space: the whole new space.
        defaults: what trials so far had of parameters that were not there before.
        drop_invalid: delete trials that are no points of the new space, rather than refuse.
        reason: for the audit trail.

    Raises:
        InvalidArgument: with located issues: a wrong space, one that leaves no point, trials outside of it, or a method
            that cannot start anew.
    """
    request = service_pb2.EditSpaceRequest(
        name=session.name,
        space=as_space(space).to_proto(),
        defaults=None if defaults is None else to_struct(defaults),
        drop_invalid=drop_invalid,
        reason=reason,
        request_id=request_id or new_request_id(),
        expected_revision=expected_revision,
    )
    return Call("EditSpace", request, codec.parse_session)


def correct_trial(
    session: SessionInfo,
    /,
    trial: int,
    value: Any = None,
    *,
    reason: str = "",
    request_id: str | None = None,
    expected_revision: int = 0,
    **answer: Any,
) -> Call[TrialRecord]:
    """Replaces what was told of a trial: ``correct_trial(3, 0.25)`` or ``correct_trial(3, status="failed")``.

    Args:
        trial: its number.
        value: and other keywords: those of an Observation.

    Raises:
        NotFound: TRIAL_NOT_FOUND.
        InvalidArgument: the trial is open, or the observation does not fit it.
    """
    request = service_pb2.CorrectTrialRequest(
        name=session.name,
        trial=trial,
        observation=codec.encode_observation(session, Observation(None, value, **answer)),
        reason=reason,
        request_id=request_id or new_request_id(),
        expected_revision=expected_revision,
    )
    return Call("CorrectTrial", request, partial(codec.parse_trial, session))


def delete_trial(
    session: SessionInfo,
    /,
    trial: int,
    *,
    reason: str = "",
    request_id: str | None = None,
    expected_revision: int = 0,
) -> Call[TrialRecord]:
    """Ends a trial that runs; makes the method forget one that was told. It stays in the list, as deleted.

    Raises:
        NotFound: TRIAL_NOT_FOUND.
    """
    request = service_pb2.DeleteTrialRequest(
        name=session.name,
        trial=trial,
        reason=reason,
        request_id=request_id or new_request_id(),
        expected_revision=expected_revision,
    )
    return Call("DeleteTrial", request, partial(codec.parse_trial, session))


def list_audit_page(session: SessionInfo, page_token: str = "", page_size: int = 0) -> Call[Page[AuditEntry]]:
    request = service_pb2.ListAuditEntriesRequest(parent=session.name, page_size=page_size, page_token=page_token)
    return Call("ListAuditEntries", request, _page_of("audit_entries", codec.parse_audit_entry))


def list_trials_page(
    session: SessionInfo, filter: str = "", page_token: str = "", page_size: int = 0
) -> Call[Page[TrialRecord]]:
    request = service_pb2.ListTrialsRequest(
        parent=session.name, page_size=page_size, page_token=page_token, filter=filter
    )
    return Call("ListTrials", request, _page_of("trials", partial(codec.parse_trial, session)))


def watch(session: SessionInfo, after_revision: int) -> service_pb2.WatchRequest:
    return service_pb2.WatchRequest(name=session.name, after_revision=after_revision)


# Methods


def list_methods_page(filter: str = "", page_token: str = "", page_size: int = 0) -> Call[Page[Method]]:
    request = service_pb2.ListMethodsRequest(page_size=page_size, page_token=page_token, filter=filter)
    return Call("ListMethods", request, _page_of("methods", codec.parse_method))


def describe(method: str) -> Call[Method]:
    """All that is known of a method: config schema, equations, references, what it can handle.

    Raises:
        NotFound: METHOD_NOT_FOUND.
    """
    name = method if method.startswith("methods/") else f"methods/{method}"
    return Call("GetMethod", service_pb2.GetMethodRequest(name=name), codec.parse_method)
