"""Spaces that grow with what trials suggest, and points in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Callable

import numpy as np

from ..client import Session
from ..models import Observation, TrialRecord
from ..spaces import Categorical, Int, Ordinal, Parameter, Permutation, SearchSpace


def parameters_of(session: Session) -> dict[str, Parameter]:
    if not isinstance(session.space, SearchSpace):
        raise TypeError(f"{session.name} is no study: it does not search over parameters")
    return session.space.parameters


def union(known: Mapping[str, Parameter], suggested: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The least space that holds both; what is known keeps its place and its condition."""
    union = dict(known)
    for name, new in suggested.items():
        old = known.get(name)
        union[name] = new if old is None else hull(name, old, new)
    return union


def hull(name: str, old: Parameter, new: Parameter) -> Parameter:
    if isinstance(old, (Categorical, Ordinal)):
        if not isinstance(new, Categorical) or list(old.choices) != list(new.choices):
            raise ValueError(f"{name!r} is {old}, and cannot become {new}: choices do not change")
        return old
    if isinstance(old, Permutation) or isinstance(new, (Permutation, Categorical, Ordinal)):
        raise ValueError(f"{name!r} is {old}, and cannot become {new}")
    if type(old) is not type(new) or old.log != new.log or old.step != new.step:
        raise ValueError(f"{name!r} is {old}, and cannot become {new}: only the range may change")
    if old.step and abs((new.low - old.low) / old.step - round((new.low - old.low) / old.step)) > 1e-9:
        raise ValueError(f"{name!r} is {old}, and cannot become {new}: the steps lie elsewhere")
    low, high = min(old.low, new.low), max(old.high, new.high)
    return replace(old, low=low, high=high)  # type: ignore[arg-type]


def contains(p: Parameter, value: Any) -> bool:
    if isinstance(p, Permutation):
        return isinstance(value, (list, tuple)) and len(value) == len(p.items) and all(i in value for i in p.items)
    if isinstance(p, (Categorical, Ordinal)):
        return value in p.choices
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not p.low <= value <= p.high:
        return False
    if isinstance(p, Int) and value != int(value):
        return False
    return not p.step or abs((value - p.low) / p.step - round((value - p.low) / p.step)) < 1e-9


def sample(p: Parameter, rng: np.random.Generator) -> Any:
    if isinstance(p, Permutation):
        return [p.items[int(i)] for i in rng.permutation(len(p.items))]
    if isinstance(p, (Categorical, Ordinal)):
        return p.choices[int(rng.integers(len(p.choices)))]
    if p.step:
        count = int((p.high - p.low) / p.step + 1e-9) + 1
        return p.low + int(rng.integers(count)) * p.step
    if isinstance(p, Int) and not p.log:
        return int(rng.integers(p.low, p.high, endpoint=True))
    if not p.log:
        return float(rng.uniform(p.low, p.high))
    # Half a unit at each end gives the integers at the ends their share.
    half = 0.5 if isinstance(p, Int) else 0.0
    value = float(np.exp(rng.uniform(np.log(p.low - half), np.log(p.high + half))))
    value = min(max(value, p.low), p.high)
    return round(value) if isinstance(p, Int) else value


def point_of(
    parameters: Mapping[str, Parameter], params: Mapping[str, Any], draw: Callable[[Parameter], Any]
) -> dict[str, Any]:
    """The point of the space that has these values; active parameters that they leave out are drawn."""
    point: dict[str, Any] = {}
    for name, p in parameters.items():
        if p.when is not None:
            parent, values = p.when
            allowed = values if isinstance(values, (list, tuple, set, frozenset)) else (values,)
            if parent not in point or point[parent] not in allowed:
                continue
        point[name] = params[name] if name in params else draw(p)
    return point


def replayed(record: TrialRecord, point: dict[str, Any]) -> Observation:
    """What a new session is told of a trial of the old one. What has not ended is cancelled, and keeps its number."""
    ended = {"completed": "ok", "waiting": "cancelled", "running": "cancelled", "deleted": "cancelled"}
    status = ended.get(record.state, record.state)
    return Observation(
        point=point, value=[list(record.values)] if record.values else None, status=status, message=record.message
    )
