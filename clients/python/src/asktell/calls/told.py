"""What is told, as observations, and the bulk of what a session tells and answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Union

from ..models import (
    Observation,
    Query,
    SessionInfo,
)
from ..spaces import TensorSpace

Told = Union[Query, Observation, Iterable[Observation]]


def as_observations(told: Told, value: Any = None, **answer: Any) -> Sequence[Observation]:
    if isinstance(told, Query):
        return [Observation(told, value, **answer)]
    if value is not None or answer:
        raise TypeError("value and other answers go with a query; observations have their own")
    return [told] if isinstance(told, Observation) else list(told)


def bulk_of(session: SessionInfo) -> int:
    """Bytes of the session's tensors."""
    if not isinstance(session.space, TensorSpace):
        return 0
    return sum(info.size * (8 if info.dtype == "f64" else 4) for info in session.space.manifest.values())
