"""Calls that make, change and move sessions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from google.protobuf import field_mask_pb2

from .. import codec
from .._gen import service_pb2, session_pb2
from ..feedback import Encoding, Encodings
from ..models import (
    SessionInfo,
    Task,
)
from ..spaces import as_space, to_struct
from .call import Call, Named, Page, new_request_id, page_of


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
    return Call("ListSessions", request, page_of("sessions", codec.parse_session))


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


def watch(session: SessionInfo, after_revision: int) -> service_pb2.WatchRequest:
    return service_pb2.WatchRequest(name=session.name, after_revision=after_revision)
