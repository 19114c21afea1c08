"""A trial: under way, as an objective gets it, and as it was when the study was asked for it."""

from __future__ import annotations

import enum
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from ..client import Session
from ..errors import FailedPrecondition, NotFound
from ..models import Query
from ..spaces import Categorical, Float, Int, Parameter
from .parameters import contains

if TYPE_CHECKING:
    from .study import Study


class TrialState(enum.Enum):
    RUNNING = 0
    COMPLETE = 1
    PRUNED = 2
    FAIL = 3
    WAITING = 4

    def is_finished(self) -> bool:
        return self in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class FrozenTrial:
    """A trial as it was when the study was asked for it."""

    number: int
    state: TrialState
    params: dict[str, Any]
    values: list[float] | None
    intermediate_values: dict[int, float] = field(default_factory=dict)
    user_attrs: dict[str, Any] = field(default_factory=dict)
    datetime_start: datetime | None = None
    datetime_complete: datetime | None = None

    @property
    def value(self) -> float | None:
        return self.values[0] if self.values else None

    @property
    def duration(self) -> timedelta | None:
        if self.datetime_start is None or self.datetime_complete is None:
            return None
        return self.datetime_complete - self.datetime_start


class Trial:
    """A trial under way: what an objective gets. One thread may use it at a time."""

    def __init__(
        self, study: Study, number: int, session: Session | None, query: Query | None, fixed: Mapping[str, Any]
    ) -> None:
        self.study = study
        self.number = number
        #: What has been suggested so far, by name.
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, Parameter] = {}
        self.user_attrs: dict[str, Any] = {}
        self.datetime_start = datetime.now(timezone.utc)
        self._session, self._query = session, query
        self._proposed = {**(query.params if query else {}), **fixed}
        self._intermediates: dict[int, float] = {}
        self._prune = False
        self._result: FrozenTrial | None = None

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number in [low, high]: even on a log scale if `log`, only low + k*step if `step` is given."""
        return float(self._suggest(name, Float(low, high, log=log, step=step)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """An integer in [low, high]: even on a log scale if `log`, only low + k*step."""
        return int(self._suggest(name, Int(low, high, log=log, step=None if step == 1 else step)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices, which are strings, numbers or booleans.

        Raises:
            TypeError: a choice is something else, which a server could not store.
        """
        for choice in choices:
            if not isinstance(choice, (str, numbers.Real)):
                raise TypeError(f"{name!r}: expected choices that are strings, numbers or booleans, got {choice!r}")
        return self._suggest(name, Categorical(tuple(choices)))

    def report(self, value: float, step: int) -> None:
        """Tells an intermediate value of the first objective. Steps rise."""
        self._intermediates[step] = value
        if self._session is None or self._query is None:
            return
        try:
            self._prune = self._session.report(self._query, step, value).should_prune
        except (FailedPrecondition, NotFound):
            # The study has moved on to another session, which does not know this trial yet.
            self._prune = False

    def should_prune(self) -> bool:
        """What the pruner said of the last reported value. If so: ``raise asktell.TrialPruned``."""
        return self._prune

    def set_user_attr(self, key: str, value: Any) -> None:
        """Remembers something of the trial, in this process only."""
        self.user_attrs[key] = value

    def _suggest(self, name: str, distribution: Parameter) -> Any:
        if name in self.params:
            if self.distributions[name] != distribution:
                raise ValueError(f"{name!r} was suggested before from {self.distributions[name]}, now {distribution}")
            return self.params[name]
        proposed = self._proposed.get(name)
        value = proposed if contains(distribution, proposed) else self.study._draw(distribution)
        self.params[name], self.distributions[name] = value, distribution
        return value
