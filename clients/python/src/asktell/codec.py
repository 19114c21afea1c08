"""Observations to messages, and messages to models: pure conversions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Callable

import numpy as np
from google.protobuf import duration_pb2, timestamp_pb2
from google.protobuf.message import Message

from . import tensors
from ._gen import method_pb2, query_pb2, service_pb2, session_pb2, tensor_pb2
from .feedback import Encodings, HeldCopy
from .models import (
    AuditEntry,
    CompletionWant,
    DirectionalWant,
    Estimate,
    EstimatePoint,
    Facts,
    GradientWant,
    HvpWant,
    Iterate,
    Method,
    Move,
    Objective,
    Observation,
    QuantitiesWant,
    Quantity,
    Query,
    RankingWant,
    Reference,
    Score,
    ScoreWant,
    Seeded,
    SessionInfo,
    Short,
    Step,
    Terms,
    TermsWant,
    TrialRecord,
    Usage,
    ValueWant,
    Want,
    WatchEvent,
)
from .spaces import SearchSpace, Space, TensorSpace, from_struct, space_from_proto

# Observations to proto


def encode_observation(
    session: SessionInfo, o: Observation, *, with_tensors: bool = True, encoding: str | None = None
) -> query_pb2.Observation:
    points = len(o.query.points) if isinstance(o.query, Query) else 1
    proto = query_pb2.Observation(
        query_id=query_id(o.query),
        status=enum_number(query_pb2.ObservationStatus, "OBSERVATION_STATUS", o.status),
        values=_numbers(o.value, points),
        noise=_numbers(o.noise, points),
        constraints=_numbers(o.constraints, 1 if points == 1 else points),
        completions=[o.completions] if isinstance(o.completions, str) else o.completions,
        message=o.message,
        derivatives=[float(d) for d in o.derivatives],
    )
    if with_tensors:
        for field, sets, into in (
            ("gradient", o.gradient, proto.gradients),
            ("products", o.products, proto.products),
        ):
            for i, values in enumerate(per_point(sets)):
                manifest = tensor_space_of(session).manifest
                if not isinstance(values, tensor_pb2.Tensors):
                    values = tensors.encode_all(values, manifest, f"{field}[{i}]", encoding)
                into.append(values)
    if o.ranking is not None:
        for group in o.ranking:
            proto.ranking.ties.add(points=[group] if isinstance(group, (int, np.integer)) else list(group))
    if o.score is not None:
        for score in o.score if isinstance(o.score, Sequence) else [o.score]:
            of = score if isinstance(score, Score) else Score(float(score))
            proto.scores.add(score=of.score, examples=of.examples, outputs=of.outputs)
    if o.terms is not None:
        for terms in [o.terms] if isinstance(o.terms, Terms) else o.terms:
            groups = [query_pb2.Groups(ids=[int(i) for i in ids]) for ids in terms.contributors]
            proto.terms.add(losses=[float(loss) for loss in terms.losses], contributors=groups)
    if o.quantities is not None:
        wanted = _quantities_of(o.query)
        for i, record in enumerate([o.quantities] if isinstance(o.quantities, Mapping) else o.quantities):
            proto.quantities.append(_encode_quantities(record, wanted, f"quantities[{i}]"))
    if o.usage is not None:
        u = o.usage
        usage = query_pb2.Usage(
            calls=u.calls, prompt_tokens=u.prompt_tokens, completion_tokens=u.completion_tokens, money=u.money
        )
        proto.usage.CopyFrom(usage)
    if o.point is not None:
        proto.point.CopyFrom(space_of(session).encode_point(o.point))
    return proto


def _quantities_of(query: Query | str | None) -> Mapping[str, Quantity]:
    wants = query.wants if isinstance(query, Query) else ()
    return {
        quantity.name: quantity for want in wants if isinstance(want, QuantitiesWant) for quantity in want.quantities
    }


def _encode_quantities(
    record: Mapping[str, tensors.ArrayLike], wanted: Mapping[str, Quantity], at: str
) -> tensor_pb2.Tensors:
    """The arrays of one point, in f32 where they are, else in f64. Shapes are checked where the query is known."""
    for name, quantity in wanted.items():
        shape = np.shape(record[name]) if name in record else None
        fits = shape is not None and len(shape) == len(quantity.shape)
        if shape is not None and not (fits and all(want in (got, -1) for got, want in zip(shape, quantity.shape))):
            raise ValueError(f"{at}[{name!r}]: expected shape {quantity.shape}, got {shape}")
    dtypes = {name: "f32" if np.asarray(array).dtype == np.float32 else "f64" for name, array in record.items()}
    return tensor_pb2.Tensors(tensors=[tensors.encode(name, array, dtypes[name]) for name, array in record.items()])


def _numbers(values: Any, points: int) -> Sequence[query_pb2.Numbers]:
    """values[point][number]: of one list, one number per point, or all of the only point."""
    if values is None:
        return []
    array = np.asarray(values, dtype=float)
    if array.ndim < 2:
        array = array.reshape(-1, 1) if points > 1 else array.reshape(1, -1)
    return [query_pb2.Numbers(values=row.tolist()) for row in array]


def per_point(sets: Any) -> Sequence[tensors.TensorValues | tensor_pb2.Tensors]:
    if sets is None:
        return ()
    return sets if isinstance(sets, (list, tuple)) else (sets,)


# Responses to models


def parse_session(s: session_pb2.Session) -> SessionInfo:
    budget = {
        field.json_name: getattr(s.budget, field.name)
        for field in s.budget.DESCRIPTOR.fields
        if getattr(s.budget, field.name)
    }
    return SessionInfo(
        name=s.name,
        display_name=s.display_name,
        method=s.method,
        config=from_struct(s.config),
        space=space_from_proto(s.space),
        objectives=tuple(Objective(o.name, _name(session_pb2.Direction, o.direction)) for o in s.objectives),
        constraints=tuple(s.constraints),
        pruner=(s.pruner.method, from_struct(s.pruner.config)) if s.HasField("pruner") else None,
        budget=budget,
        durability=_name(session_pb2.Durability, s.durability),
        seed=s.seed,
        lease=s.lease.ToNanoseconds() / 1e9,
        labels=dict(s.labels),
        offers=tuple(s.offers),
        encodings=_parse_encodings(s.encodings) if s.HasField("encodings") else None,
        prefetch=s.prefetch,
        warm_start_from=tuple(s.warm_start_from),
        state=_name(session_pb2.SessionState, s.state),
        status_message=s.status_message,
        revision=s.revision,
        config_hash=s.config_hash,
        create_time=_time(s, "create_time"),
        update_time=_time(s, "update_time"),
        counts={field.name: getattr(s.counts, field.name) for field in s.counts.DESCRIPTOR.fields},
        usage=Usage(s.usage.calls, s.usage.prompt_tokens, s.usage.completion_tokens, s.usage.money),
        forked_from=s.forked_from,
        state_hash=s.state_hash,
    )


def _parse_encodings(e: session_pb2.Encodings) -> Encodings:
    return Encodings(
        gradients=tuple(tensors.dtype_name(enum, "") for enum in e.gradients),
        parameters=tuple(tensors.dtype_name(enum, "") for enum in e.parameters),
        density=e.density if e.HasField("density") else None,
    )


def encode_encodings(encodings: Encodings) -> session_pb2.Encodings:
    return session_pb2.Encodings(
        gradients=[tensors.dtype_enum(name) for name in encodings.gradients],
        parameters=[tensors.dtype_enum(name) for name in encodings.parameters],
        density=encodings.density,
    )


def encode_held(held: HeldCopy | None) -> service_pb2.Held | None:
    return None if held is None else service_pb2.Held(copy=held.name, version=held.version)


def step_parser(session: SessionInfo, held: HeldCopy | None = None) -> Callable[[service_pb2.StepResponse], Step]:
    space = space_of(session)

    def parse(r: service_pb2.StepResponse) -> Step:
        short = None
        if r.HasField("short"):
            retry = r.short.retry_after.ToNanoseconds() / 1e9 if r.short.HasField("retry_after") else None
            short = Short(r.short.reason, retry)
        return Step(
            revision=r.revision,
            queries=tuple(_parse_query(space, q, held) for q in r.queries),
            short=short,
            state=_name(session_pb2.SessionState, r.state),
            status_message=r.status_message,
            repeated=r.repeated_request,
            durable_step=r.durable_step if r.HasField("durable_step") else None,
            metrics=dict(r.metrics),
        )

    return parse


def _is_note(space: Space, point: query_pb2.Point) -> bool:
    return space.kind != "text" and point.HasField("text")


def _parse_move(m: query_pb2.Move) -> Move:
    signs = m.WhichOneof("seed") == "signs"
    return Move(m.signs if signs else m.normal, m.scale, signs)


def _parse_point(space: Space, point: query_pb2.Point, held: HeldCopy | None) -> Any:
    if point.HasField("seeded"):
        return Seeded(_parse_move(point.seeded), point.seeded.alone)
    if held is not None and isinstance(space, TensorSpace):
        return held.decode(point.tensors, space.manifest) or None
    return space.decode_point(point)


def _parse_query(space: Space, q: query_pb2.Query, held: HeldCopy | None) -> Query:
    notes = [p.text.components for p in q.points if _is_note(space, p)]
    return Query(
        id=q.id,
        points=tuple(_parse_point(space, p, held) for p in q.points if not _is_note(space, p)),
        wants=tuple(_parse_want(w) for w in q.wants),
        sample_key=q.sample_key,
        purpose=q.purpose,
        trial=q.trial if q.HasField("trial") else None,
        lease_until=_time(q, "lease_until"),
        attempt=q.attempt,
        repeats=q.repeats if q.HasField("repeats") else None,
        parent=q.parent if q.HasField("parent") else None,
        iterate=Iterate(q.iterate.step, tuple(map(_parse_move, q.iterate.last))) if q.HasField("iterate") else None,
        note={name: text for note in notes for name, text in note.items()},
    )


def _parse_want(w: query_pb2.Want) -> Want:
    kind = w.WhichOneof("kind")
    if kind == "value":
        return ValueWant()
    if kind == "gradient":
        return GradientWant()
    if kind == "ranking":
        return RankingWant(w.ranking.top)
    if kind == "completion":
        c = w.completion
        messages = tuple((m.role, m.content) for m in c.messages)
        return CompletionWant(c.purpose, messages, c.count, c.temperature, c.max_tokens)
    if kind == "score":
        return ScoreWant(tuple(w.score.examples))
    if kind == "directional":
        return DirectionalWant()
    if kind == "terms":
        return TermsWant()
    if kind == "hvp":
        return HvpWant(_name(query_pb2.Curvature, w.hvp.curvature).replace("_", "-"))
    if kind == "quantities":
        return QuantitiesWant(tuple(Quantity(q.name, tuple(q.shape), q.description) for q in w.quantities.quantities))
    raise ValueError("the server wants something that this client does not know: update the package")


def parse_estimate(session: SessionInfo, e: session_pb2.Estimate) -> Estimate:
    space = space_of(session)
    points = tuple(
        EstimatePoint(space.decode_point(p.point), tuple(p.values), p.trial if p.HasField("trial") else None)
        for p in e.points
    )
    return Estimate(e.kind, points, e.step, dict(e.metrics), e.revision)


def parse_trial(session: SessionInfo, t: query_pb2.Trial) -> TrialRecord:
    space = space_of(session)
    return TrialRecord(
        number=t.number,
        query_id=t.query_id,
        state=_name(query_pb2.TrialState, t.state),
        params=space.decode_params(t.params) if isinstance(space, SearchSpace) else from_struct(t.params),
        values=tuple(t.values),
        constraints=tuple(t.constraints),
        intermediates=tuple((i.step, i.value) for i in t.intermediates),
        create_time=_time(t, "create_time"),
        end_time=_time(t, "end_time"),
        message=t.message,
        parent=t.parent if t.HasField("parent") else None,
    )


def parse_audit_entry(e: session_pb2.AuditEntry) -> AuditEntry:
    return AuditEntry(
        revision=e.revision,
        time=_time(e, "time"),
        principal=e.principal,
        action=e.action,
        trial=e.trial if e.HasField("trial") else None,
        reason=e.reason,
        before=from_struct(e.before),
        after=from_struct(e.after),
    )


def parse_event(e: session_pb2.WatchEvent) -> WatchEvent:
    return WatchEvent(
        revision=e.revision,
        time=_time(e, "time"),
        type=e.type,
        query_id=e.query_id,
        trial=e.trial if e.HasField("trial") else None,
        status=_name(query_pb2.ObservationStatus, e.status),
        values=tuple(e.values),
        best=e.best if e.HasField("best") else None,
        metrics=dict(e.metrics),
        message=e.message,
    )


def parse_method(m: method_pb2.Method) -> Method:
    return Method(
        id=m.id,
        version=m.version,
        kind=m.kind,
        family=m.family,
        title=m.title,
        summary=m.summary,
        references=tuple(Reference(r.authors, r.title, r.year, r.url) for r in m.references),
        config_schema=from_struct(m.config_schema),
        config_hash=m.config_hash,
        equations=tuple(m.equations),
        needs=tuple(m.needs),
        facts=Facts(
            spaces=tuple(m.facts.spaces),
            parameters=tuple(m.facts.parameters),
            many_objectives=m.facts.many_objectives,
            constraints=m.facts.constraints,
            parallel=m.facts.parallel,
            invariances=tuple(m.facts.invariances),
            unsolicited=m.facts.unsolicited,
            warm_start=m.facts.warm_start,
        ),
    )


# Small conversions


def full_name(name: str) -> str:
    return name if name.startswith("sessions/") else f"sessions/{name}"


def query_id(query: Query | str | None) -> str:
    return query.id if isinstance(query, Query) else query or ""


def space_of(session: SessionInfo) -> Space:
    if session.space is None:
        raise ValueError(f"{session.name} has no space that this client knows: update the package")
    return session.space


def tensor_space_of(session: SessionInfo) -> TensorSpace:
    if not isinstance(session.space, TensorSpace):
        raise TypeError(f"{session.name} has no tensors: gradients do not apply")
    return session.space


def enum_number(of: Any, prefix: str, name: str) -> Any:
    """The enum's number of a lower-case name."""
    names = {n[len(prefix) + 1 :].lower(): v for n, v in of.items() if v}
    if name not in names:
        raise ValueError(f"expected one of {', '.join(names)}, got {name!r}")
    return names[name]


def _name(of: Any, number: int) -> str:
    """The reverse: DIRECTION_MINIMIZE as "minimize"; "" when unspecified."""
    if number == 0:
        return ""
    prefix = of.Name(0)[: -len("UNSPECIFIED")]
    name: str = of.Name(number)[len(prefix) :].lower()
    return name


def encode_budget(budget: int | Mapping[str, float]) -> session_pb2.Budget:
    if not isinstance(budget, Mapping):
        return session_pb2.Budget(max_evaluations=budget)
    fields = {f.json_name: f.name for f in session_pb2.Budget.DESCRIPTOR.fields}
    for name in budget:
        if name not in fields:
            raise ValueError(f"budget: expected {', '.join(fields)}, got {name!r}")
    limits: dict[str, Any] = {fields[name]: value for name, value in budget.items()}
    return session_pb2.Budget(**limits)


def encode_duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def _time(message: Message, field: str) -> datetime | None:
    if not message.HasField(field):
        return None
    time: timestamp_pb2.Timestamp = getattr(message, field)
    return time.ToDatetime(tzinfo=timezone.utc)
