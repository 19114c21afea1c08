"""What travels: queries and observations, and what the server tells of sessions, trials and methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Union

from ._gen import tensor_pb2
from .feedback import Encodings
from .spaces import Params, Space
from .tensors import ArrayLike, TensorValues


@dataclass(frozen=True)
class ValueWant:
    """One number per point and objective."""


@dataclass(frozen=True)
class GradientWant:
    """The gradient at each point, tensor by tensor."""


@dataclass(frozen=True)
class RankingWant:
    """The points in order, best first."""

    #: How many of the best must be in order; the rest is tied last.
    top: int


@dataclass(frozen=True)
class CompletionWant:
    """`count` replies of a language model."""

    #: propose, critique, edit, paraphrase.
    purpose: str
    #: (role, content) each.
    messages: tuple[tuple[str, str], ...]
    count: int
    temperature: float
    #: No limit when 0.
    max_tokens: int


@dataclass(frozen=True)
class ScoreWant:
    """How well each text does on examples of the task."""

    #: Indices of the examples; all when empty.
    examples: tuple[int, ...]


@dataclass(frozen=True)
class DirectionalWant:
    """The derivative of the objective at the first point along each of the other points, which are directions."""


@dataclass(frozen=True)
class TermsWant:
    """Of an objective that is a mean of terms: at each point every term, and which parameters it depends on."""


@dataclass(frozen=True)
class HvpWant:
    """A curvature matrix at the first point times each of the other points, which are directions."""

    #: "hessian" of the objective, "gauss-newton" of its model, or "fisher" of the model's distribution.
    curvature: str


@dataclass(frozen=True)
class Quantity:
    """An array that is wanted at a point."""

    name: str
    #: () for a scalar. At most one length is -1: the client's choice, such as the size of its batch.
    shape: tuple[int, ...]
    #: What it is, as a formula where there is one.
    description: str


@dataclass(frozen=True)
class QuantitiesWant:
    """Named arrays at each point."""

    quantities: tuple[Quantity, ...]


Want = Union[
    ValueWant,
    GradientWant,
    RankingWant,
    CompletionWant,
    ScoreWant,
    DirectionalWant,
    TermsWant,
    HvpWant,
    QuantitiesWant,
]


@dataclass(frozen=True)
class Move:
    """`scale` times the random direction of a seed: standard normal numbers, or signs."""

    seed: int
    scale: float
    rademacher: bool


@dataclass(frozen=True)
class Seeded:
    """A point that the client makes: its iterate with a move added, or the move alone. See `SeededIterate`."""

    move: Move
    alone: bool


@dataclass(frozen=True)
class Iterate:
    """Where the iterate that the client keeps has to be: after `step` steps, the last of which made the moves `last`."""

    step: int
    last: tuple[Move, ...]


@dataclass(frozen=True)
class Query:
    """What a session asks: points, and what it wants to know about them.

    A point is, by the kind of the space: a dict of parameters, a dict of (read-only) arrays, a dict of texts, or the
    id of an item. It is None when tensors were left out of the answer, and `Seeded` where the client is to make it.
    """

    id: str
    points: tuple[Any, ...]
    wants: tuple[Want, ...]
    #: Queries with one key are to be answered with the same minibatch or random seed.
    sample_key: str
    #: What the optimizer's driver asks it for: "step", "ascent", "extrapolation".
    purpose: str
    #: Number of the trial, for search spaces.
    trial: int | None
    #: When the lease ends: after it the query is asked again, of whoever asks.
    lease_until: datetime | None
    #: How often it has been asked, 1 the first time.
    attempt: int
    #: The first trial that was told at the same parameters; None for a new point.
    repeats: int | None = None
    #: The trial that this one goes on from: load the checkpoint kept after it. None: from scratch.
    parent: int | None = None
    #: Of methods that leave the iterate to the client; None of others.
    iterate: Iterate | None = None
    #: What a method over anything but texts has to say in words and digits: seeds, coefficients. It is no point.
    note: Mapping[str, str] = field(default_factory=dict)

    @property
    def point(self) -> Any:
        """The only point."""
        (point,) = self.points
        return point

    @property
    def params(self) -> Params:
        """The only point, of a search space."""
        params: Params = self.point
        return params

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of want: value, gradient, ranking, completion, score, directional, terms, hvp, quantities."""
        return frozenset(type(want).__name__[: -len("Want")].lower() for want in self.wants)


@dataclass(frozen=True)
class Score:
    """How well a text did: the mean, and where known the score and the output for each example asked."""

    score: float
    examples: Sequence[float] = ()
    outputs: Sequence[str] = ()


@dataclass(frozen=True)
class Terms:
    """The terms of an objective at a point, and of each the groups of parameters that it was made of.

    Group i is the i-th slice of every tensor along its first axis.
    """

    losses: Sequence[float]
    contributors: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Usage:
    """What calls to a language model used."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0


@dataclass(frozen=True)
class Observation:
    """What a client found out about a query.

    Args:
        query: the query or its id; None for an observation of a `point` that was not asked.
        value: a number; or for several points one number each, for several objectives one number each, for both a
            list per point. NaN makes the observation a failed one.
        gradient: arrays by tensor name, each of the shape in the manifest; for several points a list of such.
        ranking: indices of the points, best first; a nested sequence is a group of ties. Points left out are last.
        completions: as many texts as were wanted.
        score: a number or a Score; for several points a list of such.
        derivatives: one number per direction.
        terms: the Terms; for several points a list of such.
        products: the curvature matrix times the direction, by tensor name; for several directions a list of such.
        quantities: arrays by name, each of the shape that the query asks for; for several points a list of such.
        constraints: one number per constraint, feasible when <= 0; for several points a list per point.
        noise: standard deviation of the noise of each value, laid out as `value`.
        status: "ok"; "failed": the point may be tried again; "infeasible": it can never work; "pruned": stopped
            early; "cancelled": given up, says nothing of the point.
        message: for the records, such as the exception's text.
        usage: calls and tokens of a language model that it took.
        point: see `query`.
    """

    query: Query | str | None = None
    value: float | Sequence[float] | Sequence[Sequence[float]] | None = None
    gradient: TensorValues | tensor_pb2.Tensors | Sequence[TensorValues | tensor_pb2.Tensors] | None = None
    ranking: Sequence[int | Sequence[int]] | None = None
    completions: Sequence[str] = ()
    score: float | Score | Sequence[float | Score] | None = None
    derivatives: Sequence[float] = ()
    terms: Terms | Sequence[Terms] | None = None
    products: TensorValues | Sequence[TensorValues] | None = None
    quantities: Mapping[str, ArrayLike] | Sequence[Mapping[str, ArrayLike]] | None = None
    constraints: Sequence[float] | Sequence[Sequence[float]] | None = None
    noise: float | Sequence[float] | Sequence[Sequence[float]] | None = None
    status: str = "ok"
    message: str = ""
    usage: Usage | None = None
    point: Any = None


@dataclass(frozen=True)
class Short:
    """Why fewer queries came back than were wanted."""

    reason: str
    #: Seconds until another ask may succeed; None when only an observation can help, or nothing.
    retry_after: float | None


@dataclass(frozen=True)
class Step:
    """The answer to ask, tell and step. Iterates over its queries."""

    revision: int
    queries: tuple[Query, ...]
    short: Short | None
    #: "running", "paused" or "done".
    state: str
    #: Why the session is done or paused.
    status_message: str
    #: The answer is the stored one of an earlier request with the same id.
    repeated: bool
    #: With snapshot durability: the step that a restart of the server would resume from.
    durable_step: int | None
    #: Learning rate, gradient norm and the like.
    metrics: dict[str, float]

    def __iter__(self) -> Iterator[Query]:
        return iter(self.queries)

    def __len__(self) -> int:
        return len(self.queries)


@dataclass(frozen=True)
class Report:
    """The answer to an intermediate value."""

    should_prune: bool
    reason: str
    revision: int


@dataclass(frozen=True)
class EstimatePoint:
    point: Any
    #: One per objective; empty when unknown.
    values: tuple[float, ...]
    trial: int | None


@dataclass(frozen=True)
class Estimate:
    """The session's present answer."""

    #: iterate, average, best, pareto, prompt.
    kind: str
    #: One point, or a Pareto front; empty while nothing is known.
    points: tuple[EstimatePoint, ...]
    #: Steps taken (gradient methods) or observations used.
    step: int
    metrics: dict[str, float]
    revision: int

    @property
    def point(self) -> Any:
        """The first point. Raises ValueError while nothing is known."""
        if not self.points:
            raise ValueError("the session has no estimate yet")
        return self.points[0].point

    @property
    def value(self) -> float | None:
        """The first value of the first point, None while unknown."""
        return self.points[0].values[0] if self.points and self.points[0].values else None


@dataclass(frozen=True)
class TrialRecord:
    """A query over a search space and all that is known of it."""

    number: int
    query_id: str
    #: waiting, running, completed, failed, infeasible, pruned, cancelled, deleted.
    state: str
    params: Params
    #: One per objective; empty while unknown.
    values: tuple[float, ...]
    constraints: tuple[float, ...]
    #: (step, value) each.
    intermediates: tuple[tuple[int, float], ...]
    create_time: datetime | None
    end_time: datetime | None
    message: str
    #: The trial whose checkpoint it went on from.
    parent: int | None = None

    @property
    def value(self) -> float | None:
        return self.values[0] if self.values else None


@dataclass(frozen=True)
class AuditEntry:
    """A change that somebody made by hand."""

    revision: int
    time: datetime | None
    #: Name of the key that the call came with.
    principal: str
    #: edit_space, correct_trial, delete_trial, enqueue, update.
    action: str
    trial: int | None
    reason: str
    #: What was there, and what is there now.
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True)
class WatchEvent:
    """Something that happened, in the session's one order."""

    revision: int
    time: datetime | None
    #: created, asked, told, reported, reconfigured, expired, edited, corrected, deleted, done.
    type: str
    query_id: str
    trial: int | None
    #: Status of an observation: ok, failed, infeasible, pruned, cancelled; empty for other events.
    status: str
    values: tuple[float, ...]
    #: Best value so far, for one objective.
    best: float | None
    metrics: dict[str, float]
    message: str


@dataclass(frozen=True)
class Objective:
    name: str
    #: "minimize" or "maximize".
    direction: str


@dataclass(frozen=True)
class SessionInfo:
    """A session as the server described it last."""

    #: "sessions/{id}".
    name: str
    display_name: str
    method: str
    #: With every default filled in.
    config: dict[str, Any]
    space: Space | None
    objectives: tuple[Objective, ...]
    constraints: tuple[str, ...]
    #: Id and config.
    pruner: tuple[str, dict[str, Any]] | None
    #: maxEvaluations, maxCalls, maxTokens, maxMoney, where limited.
    budget: dict[str, float]
    #: "journal" or "snapshot".
    durability: str
    seed: int
    #: Seconds a worker may keep a query.
    lease: float
    labels: dict[str, str]
    offers: tuple[str, ...]
    encodings: Encodings | None
    #: Suggestions made ahead, while workers evaluate.
    prefetch: int
    #: Names of the sessions whose trials it began from.
    warm_start_from: tuple[str, ...]
    #: "running", "paused" or "done".
    state: str
    status_message: str
    revision: int
    config_hash: str
    create_time: datetime | None
    update_time: datetime | None
    #: asked, told, open, failed, pruned.
    counts: dict[str, int]
    usage: Usage
    #: Session and revision that it was forked from, or empty.
    forked_from: str
    #: SHA-256 of the state: equal hashes mean equal futures.
    state_hash: str

    @property
    def id(self) -> str:
        return self.name.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Reference:
    authors: str
    title: str
    year: int
    url: str


@dataclass(frozen=True)
class Facts:
    """What a method can handle and what it promises."""

    spaces: tuple[str, ...]
    #: Parameter types of a search space; "conditional" where conditions are understood.
    parameters: tuple[str, ...]
    many_objectives: bool
    constraints: bool
    #: Whether several queries may be open at once.
    parallel: bool
    invariances: tuple[str, ...]
    #: Whether observations of points that were not asked are taken.
    unsolicited: bool
    #: Takes trials of earlier sessions: `warm_start_from`.
    warm_start: bool


@dataclass(frozen=True)
class Method:
    """An algorithm that a session can run, or a pruner."""

    id: str
    version: int
    #: "optimizer" or "pruner".
    kind: str
    family: str
    title: str
    summary: str
    references: tuple[Reference, ...]
    #: JSON Schema of the config, with defaults and their sources.
    config_schema: Mapping[str, Any] = field(repr=False)
    config_hash: str
    #: The rule as LaTeX, one equation each.
    equations: tuple[str, ...]
    #: What it asks with its default config: value, gradient, ranking, completion, score, directional, terms, hvp,
    #: quantities.
    needs: tuple[str, ...]
    facts: Facts


@dataclass(frozen=True)
class Task:
    """What text methods are told of the task."""

    description: str
    #: (input, expected) each; scores and critiques refer to them by index.
    examples: Sequence[tuple[str, str]] = ()
