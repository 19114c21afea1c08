"""What `Session.analyze` returns: figures of a session over a search space, and their charts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from google.protobuf import json_format, struct_pb2

from ._gen import analysis_pb2, query_pb2
from .spaces import Params, SearchSpace, _typed, from_value

__all__ = [
    "Analysis",
    "Chart",
    "Contour",
    "CrossValidation",
    "Fold",
    "HistoryStep",
    "Importance",
    "LeftOut",
    "ParallelLine",
    "Pareto",
    "ParetoTrial",
    "Prediction",
    "Slice",
    "TimelineEntry",
]


@dataclass(frozen=True)
class HistoryStep:
    trial: int
    value: float
    #: Of the trials told so far; None while all of them break a constraint.
    best: float | None


@dataclass(frozen=True)
class Importance:
    parameter: str
    #: Share of the sum over all parameters; all are 0 where nothing matters.
    importance: float
    #: Before division by the sum: PED-ANOVA's divergence, the forest's share of variance, the total Sobol' index.
    raw: float
    #: First-order Sobol' index.
    first_order: float | None


@dataclass(frozen=True)
class Slice:
    """The value along one parameter."""

    parameter: str
    #: Trial, value of the parameter, value of the objective.
    trials: tuple[tuple[int, Any, float], ...]
    #: Value of the parameter, mean and standard deviation of the surrogate. Empty where there is none.
    surrogate: tuple[tuple[Any, float, float], ...]
    #: The best trial in which the parameter is active: the other parameters of the surrogate.
    at: Params


@dataclass(frozen=True)
class Contour:
    """The surrogate over two parameters."""

    x: str
    y: str
    x_values: tuple[Any, ...]
    y_values: tuple[Any, ...]
    #: A row for each of y_values, with a number for each of x_values.
    means: tuple[tuple[float, ...], ...]
    deviations: tuple[tuple[float, ...], ...]
    #: Trial, x, y, value of the objective.
    trials: tuple[tuple[int, Any, Any, float], ...]
    at: Params


@dataclass(frozen=True)
class ParallelLine:
    trial: int
    params: Params
    #: Places from 0 to 1 by parameter; without those that are not active, and permutations.
    coordinates: Mapping[str, float]
    value: float


@dataclass(frozen=True)
class ParetoTrial:
    trial: int
    params: Params
    values: tuple[float, ...]


@dataclass(frozen=True)
class Pareto:
    front: tuple[ParetoTrial, ...]
    #: Trial and the hypervolume after it.
    hypervolumes: tuple[tuple[int, float], ...]
    #: The corner that hypervolumes are measured from.
    reference: tuple[float, ...]


@dataclass(frozen=True)
class TimelineEntry:
    trial: int
    #: waiting, running, completed, failed, infeasible, pruned, cancelled.
    state: str
    create_time: datetime
    end_time: datetime | None


@dataclass(frozen=True)
class Fold:
    """A trial and what the surrogate of all others predicts of it."""

    trial: int
    value: float
    mean: float
    #: Of the value, noise included.
    deviation: float


@dataclass(frozen=True)
class CrossValidation:
    folds: tuple[Fold, ...]
    rmse: float
    #: Share of the variance of the values that the predictions explain; below 0 when worse than their mean.
    explained: float
    #: Share of the values within two standard deviations.
    coverage: float


@dataclass(frozen=True)
class Prediction:
    params: Params
    mean: float
    #: Of the noiseless value.
    deviation: float


@dataclass(frozen=True)
class LeftOut:
    """A kind that could not be computed."""

    kind: str
    reason: str


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite specification with its data. Notebooks show it; ``altair.Chart.from_dict(chart.spec)`` takes it."""

    kind: str
    title: str
    spec: Mapping[str, Any] = field(repr=False)

    def _repr_mimebundle_(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"application/vnd.vegalite.v5+json": self.spec, "text/plain": repr(self)}


@dataclass(frozen=True)
class Analysis:
    """What was asked for; the rest is empty or None."""

    revision: int
    objective: str
    #: Completed trials with a finite value that are points of the present space.
    trials: int
    history: tuple[HistoryStep, ...]
    #: Largest first.
    importances: tuple[Importance, ...]
    slices: tuple[Slice, ...]
    contour: Contour | None
    parallel_coordinates: tuple[ParallelLine, ...]
    #: Rising values, and the share of trials with at most so much.
    edf: tuple[tuple[float, float], ...]
    pareto: Pareto | None
    timeline: tuple[TimelineEntry, ...]
    cross_validation: CrossValidation | None
    #: One per point.
    predictions: tuple[Prediction, ...]
    left_out: tuple[LeftOut, ...]
    #: By kind, where they were asked for.
    charts: Mapping[str, Chart] = field(repr=False)


def kind_name(of: Any, number: int) -> str:
    """ANALYSIS_KIND_CROSS_VALIDATION as "cross-validation"."""
    prefix = len(of.Name(0)) - len("UNSPECIFIED")
    name: str = of.Name(number)[prefix:].lower().replace("_", "-")
    return name


def kind_number(of: Any, name: str) -> Any:
    """The reverse."""
    names = {kind_name(of, number): number for number in of.values() if number}
    if name not in names:
        raise ValueError(f"expected one of {', '.join(names)}, got {name!r}")
    return names[name]


def parse_analysis(space: SearchSpace, a: analysis_pb2.Analysis) -> Analysis:
    params = space.decode_params

    def value(parameter: str, v: struct_pb2.Value) -> Any:
        return _typed(space.parameters[parameter], from_value(v))

    def rows(values: Any, width: int) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(values[i : i + width]) for i in range(0, len(values), width))

    def time(message: Any, name: str) -> datetime | None:
        return getattr(message, name).ToDatetime(tzinfo=timezone.utc) if message.HasField(name) else None

    c, lines, validation = a.contour, a.parallel_coordinates, a.cross_validation
    kinds = analysis_pb2.AnalysisKind
    charts = [Chart(kind_name(kinds, chart.kind), chart.title, json_format.MessageToDict(chart.spec)) for chart in a.charts]
    return Analysis(
        revision=a.revision,
        objective=a.objective,
        trials=a.trials,
        history=tuple(HistoryStep(s.trial, s.value, s.best if s.HasField("best") else None) for s in a.history),
        importances=tuple(
            Importance(i.parameter, i.importance, i.raw, i.first_order if i.HasField("first_order") else None)
            for i in a.importances.parameters
        ),
        slices=tuple(
            Slice(
                s.parameter,
                tuple((t.trial, value(s.parameter, t.parameter_value), t.value) for t in s.trials),
                tuple((value(s.parameter, p.parameter_value), p.mean, p.deviation) for p in s.surrogate),
                params(s.at),
            )
            for s in a.slices
        ),
        contour=Contour(
            x=c.x,
            y=c.y,
            x_values=tuple(value(c.x, v) for v in c.x_values),
            y_values=tuple(value(c.y, v) for v in c.y_values),
            means=rows(c.means, len(c.x_values)),
            deviations=rows(c.deviations, len(c.x_values)),
            trials=tuple((t.trial, value(c.x, t.x_value), value(c.y, t.y_value), t.value) for t in c.trials),
            at=params(c.at),
        )
        if a.HasField("contour")
        else None,
        parallel_coordinates=tuple(
            ParallelLine(
                line.trial,
                params(line.params),
                {name: place for name, place in zip(lines.parameters, line.coordinates) if place == place},
                line.value,
            )
            for line in lines.lines
        ),
        edf=tuple(zip(a.edf.values, a.edf.fractions)),
        pareto=Pareto(
            tuple(ParetoTrial(t.trial, params(t.params), tuple(t.values)) for t in a.pareto.front),
            tuple((s.trial, s.hypervolume) for s in a.pareto.hypervolumes),
            tuple(a.pareto.reference),
        )
        if a.HasField("pareto")
        else None,
        timeline=tuple(
            TimelineEntry(
                t.trial,
                kind_name(query_pb2.TrialState, t.state),
                t.create_time.ToDatetime(tzinfo=timezone.utc),
                time(t, "end_time"),
            )
            for t in a.timeline
        ),
        cross_validation=CrossValidation(
            tuple(Fold(f.trial, f.value, f.mean, f.deviation) for f in validation.folds),
            validation.rmse,
            validation.explained,
            validation.coverage,
        )
        if a.HasField("cross_validation")
        else None,
        predictions=tuple(Prediction(params(p.params), p.mean, p.deviation) for p in a.predictions),
        left_out=tuple(LeftOut(kind_name(kinds, o.kind), o.reason) for o in a.left_out),
        charts={chart.kind: chart for chart in charts},
    )
