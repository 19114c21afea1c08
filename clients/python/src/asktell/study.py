"""Studies, under the names that users of Optuna know.

    study = asktell.study.create_study(direction="minimize")
    study.optimize(objective, n_trials=100)

The server optimizes over a space that is declared when a session is created, while an objective here defines its space
as it runs. The two meet like this:

- The first trial draws its values at random on the client and shows what the objective suggests. When it has finished,
  the session is created with that space, and is told the trial. (Trials that run at the same time, before there is a
  session, are drawn at random too.)
- A trial that suggests a parameter which the space has not, or a wider range, draws that value at random. When it has
  finished, the study moves to a new session with the larger space, which is told all trials so far. The old one ends,
  and names the new one in its label ``next``; other processes of the study follow.
- A trial that left a parameter of the space unused is told with a random value of it, which is true: the objective does
  not depend on that parameter there. `Trial.params` and `Study.trials` show only what this process saw suggested.

Limits: a parameter keeps its type, scale, step and choices. The intermediate values of a trial reach the pruner only
once there is a session, and do not move with the study. A trial under way during a move counts as a new trial then.
Methods that take no observations of points which they did not ask for (`describe(id).facts.unsolicited`) do not learn
from the first trial, and cannot move.

``create_study(space=...)`` declares the space instead, conditions included: then none of this applies.
"""

from __future__ import annotations

import enum
import numbers
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Union

import numpy as np
from tqdm import tqdm

from .analysis import Analysis
from .client import Client, Session
from .errors import AlreadyExists, FailedPrecondition, NotFound, TrialPruned
from .models import Observation, Query, TrialRecord
from .spaces import Categorical, Float, Int, Ordinal, Parameter, Permutation, SearchSpace

__all__ = [
    "CategoricalDistribution",
    "FloatDistribution",
    "FrozenTrial",
    "IntDistribution",
    "Study",
    "Trial",
    "TrialPruned",
    "TrialState",
    "create_study",
    "load_study",
]

FloatDistribution = Float
IntDistribution = Int
CategoricalDistribution = Categorical

#: Seconds that an ask waits on the server for others to tell, before it asks again.
WAIT = 5.0
#: Label of a session that names the session which the study moved to.
NEXT = "next"


class TrialState(enum.Enum):
    RUNNING = 0
    COMPLETE = 1
    PRUNED = 2
    FAIL = 3
    WAITING = 4

    def is_finished(self) -> bool:
        return self in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


_STATES = {
    "waiting": TrialState.WAITING,
    "running": TrialState.RUNNING,
    "completed": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "infeasible": TrialState.FAIL,
    "cancelled": TrialState.FAIL,
}
_STATUSES = {TrialState.COMPLETE: "ok", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


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
        value = proposed if _contains(distribution, proposed) else self.study._draw(distribution)
        self.params[name], self.distributions[name] = value, distribution
        return value


Values = Union[float, Sequence[float], None]
Callback = Callable[["Study", FrozenTrial], None]
Catch = Union[type[BaseException], tuple[type[BaseException], ...]]


class Study:
    """A study: trials, their values, and what the server makes of them. Made by create_study and load_study.

    Threads may share it. `trials` and what follows from it are read from the server, other processes' trials included.
    """

    def __init__(self, client: Client, name: str, session: Session | None, options: dict[str, Any]) -> None:
        self.study_name = name
        self.client = client
        #: The session on the server; None until the space is known.
        self.session = session
        #: Arguments of create_session.
        self._options = options
        self._rng = np.random.default_rng(options.get("seed"))
        self._enqueued: deque[tuple[dict[str, Any], dict[str, Any]]] = deque()
        #: Finished trials that the session was not told.
        self._untold: list[FrozenTrial] = []
        #: Trials of this process by number.
        self._own: dict[int, Trial] = {}
        self._lock = threading.RLock()
        self._stopped = False

    @property
    def directions(self) -> list[str]:
        return list(self._options["objectives"].values())

    @property
    def direction(self) -> str:
        (direction,) = self.directions
        return direction

    def ask(self, fixed_distributions: Mapping[str, Parameter] | None = None) -> Trial:
        """A trial to evaluate and `tell` of. With `fixed_distributions` its `params` are there at once."""
        with self._lock:
            if fixed_distributions and self.session is None:
                self._create(dict(fixed_distributions))
            fixed, attrs = self._enqueued.popleft() if self._enqueued else ({}, {})
            if self.session is not None and set(fixed) <= set(_parameters(self.session)):
                enqueue = [_complete(_parameters(self.session), fixed, self._draw)] if fixed else []
                session = self.session
            else:
                session, enqueue = None, []
        query = None
        if session is not None:
            session, query = self._ask(session, enqueue)
        with self._lock:
            number = len(self._untold) + query.trial if query and query.trial is not None else self._fresh_number()
            trial = self._own[number] = Trial(self, number, session, query, {} if query else fixed)
        trial.user_attrs.update(attrs)
        for name, distribution in (fixed_distributions or {}).items():
            trial._suggest(name, distribution)
        return trial

    def tell(
        self,
        trial: Trial | int,
        values: Values = None,
        state: TrialState | None = None,
        skip_if_finished: bool = False,
    ) -> FrozenTrial:
        """Tells how a trial ended. Without a state it is COMPLETE, or FAIL where the values are not numbers.

        A PRUNED trial without a value has that of its last report.
        """
        if isinstance(trial, int):
            trial = self._own[trial]
        if trial._result is not None:
            if skip_if_finished:
                return trial._result
            raise ValueError(f"trial {trial.number} has been told of before")
        numbers = None if values is None else [float(v) for v in np.atleast_1d(np.asarray(values, dtype=float))]
        if state is None:
            state = TrialState.COMPLETE if numbers and np.isfinite(numbers).all() else TrialState.FAIL
        if state is TrialState.COMPLETE and (numbers is None or len(numbers) != len(self.directions)):
            raise ValueError(f"expected {len(self.directions)} values, got {numbers}")
        if state is TrialState.PRUNED and numbers is None and trial._intermediates:
            numbers = [trial._intermediates[max(trial._intermediates)]]
        if state is TrialState.FAIL:
            numbers = None
        return self._finish(trial, state, numbers)

    def optimize(
        self,
        func: Callable[[Trial], Values],
        n_trials: int | None = None,
        timeout: float | None = None,
        n_jobs: int = 1,
        catch: Catch = (),
        callbacks: Sequence[Callback] = (),
        show_progress_bar: bool = False,
    ) -> None:
        """Evaluates an objective trial by trial.

        Args:
            func: takes a trial, returns its value, or one per direction. TrialPruned ends a trial early.
            n_trials: how many; until `timeout` or `stop()` when None.
            timeout: seconds after which no trial is begun.
            n_jobs: threads that evaluate in parallel.
            catch: types of exception that fail a trial; others fail it too, end the study and are raised.
            callbacks: called with the study and each trial that has finished.
        """
        until = None if timeout is None else time.monotonic() + timeout
        left = iter(range(n_trials)) if n_trials is not None else None
        self._stopped = False

        def more() -> bool:
            with self._lock:
                in_time = until is None or time.monotonic() < until
                return not self._stopped and in_time and (left is None or next(left, None) is not None)

        def work() -> None:
            while more():
                frozen = self._evaluate(self.ask(), func, catch)
                with self._lock:
                    bar.update()
                for callback in callbacks:
                    callback(self, frozen)

        with tqdm(total=n_trials, disable=not show_progress_bar, leave=False, unit="trial") as bar:
            if n_jobs == 1:
                return work()
            with ThreadPoolExecutor(n_jobs, thread_name_prefix="asktell-study") as pool:
                futures = [pool.submit(work) for _ in range(n_jobs)]
                try:
                    wait(futures, return_when=FIRST_EXCEPTION)
                finally:
                    self._stopped = self._stopped or any(f.done() and f.exception() for f in futures)
            for future in futures:
                future.result()

    def stop(self) -> None:
        """Ends `optimize` after the trials under way."""
        self._stopped = True

    def enqueue_trial(self, params: Mapping[str, Any], user_attrs: Mapping[str, Any] | None = None) -> None:
        """Makes a coming trial of this process take these values; what they leave out is drawn at random."""
        with self._lock:
            self._enqueued.append((dict(params), dict(user_attrs or {})))

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, by number."""
        return self.get_trials()

    def get_trials(self, states: Sequence[TrialState] | None = None) -> list[FrozenTrial]:
        with self._lock:
            session, untold, own = self.session, list(self._untold), dict(self._own)
        records = [record for record in session.trials() if record.state != "deleted"] if session else []
        found = untold + [self._freeze(record, len(untold), own) for record in records]
        if session is None:
            running = [t for t in own.values() if t._result is None]
            found += [FrozenTrial(t.number, TrialState.RUNNING, dict(t.params), None) for t in running]
        return [t for t in found if states is None or t.state in states]

    def analyze(self, *kinds: str, **options: Any) -> Analysis:
        """Figures of the study; arguments and errors are those of `Session.analyze`.

        Trials count as the server has them: a parameter that an objective left unused has a random value there. Raises
        ValueError while there is no session, as before the first trial has finished.
        """
        if self.session is None:
            raise ValueError(f"study {self.study_name!r} has no trials yet")
        return self.session.analyze(*kinds, **options)

    @property
    def best_trial(self) -> FrozenTrial:
        """The trial with the best value. Raises ValueError while none is complete."""
        sign = self._signs()[0] if len(self.directions) == 1 else None
        if sign is None:
            raise ValueError("a study of several directions has best_trials")
        complete = self.get_trials([TrialState.COMPLETE])
        if not complete:
            raise ValueError("no trial is complete yet")
        return min(complete, key=lambda t: sign * t.values[0] if t.values else np.inf)

    @property
    def best_trials(self) -> list[FrozenTrial]:
        """The trials that no other beats in all directions."""
        complete = [t for t in self.get_trials([TrialState.COMPLETE]) if t.values]
        points = np.array([t.values for t in complete]).reshape(len(complete), -1) * self._signs()
        beaten = [np.any(np.all(points <= p, axis=1) & np.any(points < p, axis=1)) for p in points]
        return [t for t, is_beaten in zip(complete, beaten) if not is_beaten]

    @property
    def best_params(self) -> dict[str, Any]:
        return self.best_trial.params

    @property
    def best_value(self) -> float:
        value = self.best_trial.value
        assert value is not None
        return value

    # The session, and moves from one to the next

    def _create(self, parameters: dict[str, Parameter]) -> None:
        try:
            self.session = self.client.create_session(
                space=SearchSpace(parameters), name=self.study_name, labels={"study": self.study_name}, **self._options
            )
        except AlreadyExists:
            # Another process was faster.
            self.session = self._follow(self.client.session(self.study_name))

    def _ask(self, session: Session, enqueue: list[dict[str, Any]]) -> tuple[Session, Query]:
        while True:
            answer = session.ask(wait=WAIT, enqueue=enqueue)
            if answer.queries:
                return session, answer.queries[0]
            enqueue = []
            if answer.state == "running":
                time.sleep((answer.short and answer.short.retry_after) or 0.0)
                continue
            successor = self._follow(session)
            if successor is session:
                raise RuntimeError(f"the study's session is {answer.state}: {answer.status_message}")
            session = successor

    def _follow(self, session: Session) -> Session:
        """The session that the study is at, after all moves."""
        while session.refresh().labels.get(NEXT):
            for _ in range(50):
                try:
                    session = self.client.session(session.info.labels[NEXT])
                    break
                except NotFound:
                    # It is being made by the process that moves the study.
                    time.sleep(0.1)
            else:
                raise RuntimeError(f"{session.name} names a next session that does not exist")
        with self._lock:
            self.session = session
        return session

    def _move(self, session: Session, parameters: dict[str, Parameter], trial: Trial, told: Observation) -> None:
        """To a session with a larger space, in which trials keep their numbers."""
        if not self._takes_points():
            raise RuntimeError(
                f"trial {trial.number} suggested parameters that the space has not, and {session.info.method} takes no"
                " trials which it did not ask for: give create_study the whole space"
            )
        name = f"{self.study_name[:55]}-{uuid.uuid4().hex[:8]}"
        session.update(state="done", labels={**session.info.labels, NEXT: name})
        records = session.trials()
        successor = self.client.create_session(
            space=SearchSpace(parameters), name=name, labels={"study": self.study_name}, **self._options
        )
        replayed = [_replayed(r, _complete(parameters, r.params, self._draw)) for r in records]
        if trial._query is not None and trial._query.trial is not None and trial._session is session:
            replayed[trial._query.trial] = told
        else:
            replayed.append(told)
        successor.tell(replayed)
        self.session = successor

    def _takes_points(self) -> bool:
        """Whether the method takes trials that it did not ask for."""
        return self.client.describe(self._options["method"]).facts.unsolicited

    # Trials

    def _draw(self, distribution: Parameter) -> Any:
        with self._lock:
            return _sample(distribution, self._rng)

    def _fresh_number(self) -> int:
        return max(self._own, default=-1) + 1

    def _evaluate(self, trial: Trial, func: Callable[[Trial], Values], catch: Catch) -> FrozenTrial:
        try:
            values = func(trial)
        except TrialPruned:
            return self.tell(trial, state=TrialState.PRUNED)
        except BaseException as failure:
            frozen = self._finish(trial, TrialState.FAIL, None, f"{type(failure).__name__}: {failure}")
            if isinstance(failure, catch):
                return frozen
            raise
        return self.tell(trial, values)

    def _finish(self, trial: Trial, state: TrialState, values: list[float] | None, message: str = "") -> FrozenTrial:
        frozen = FrozenTrial(
            trial.number,
            state,
            dict(trial.params),
            values,
            dict(trial._intermediates),
            trial.user_attrs,
            trial.datetime_start,
            datetime.now(timezone.utc),
        )
        self._tell(trial, frozen, message)
        trial._result = frozen
        return frozen

    def _tell(self, trial: Trial, frozen: FrozenTrial, message: str) -> None:
        value = None if frozen.values is None else [frozen.values]
        status = _STATUSES[frozen.state]
        session, query = trial._session, trial._query
        if session is not None and session is self.session and query is not None:
            known = _parameters(session)
            if _union(known, trial.distributions) == known:
                return self._tell_query(session, query, value, status, message)
        with self._lock:
            if self.session is None:
                # A trial that failed may not have come to all its suggestions.
                if frozen.state is not TrialState.FAIL and trial.distributions:
                    self._create(dict(trial.distributions))
                if self.session is None or not self._takes_points():
                    self._untold.append(frozen)
                    return
            self._tell_point(trial, value, status, message)

    def _tell_query(self, session: Session, query: Query, value: Any, status: str, message: str) -> None:
        """Answers a query. If another process moved the study meanwhile, the new session is told too, where it was
        not told by the move."""
        try:
            if session.tell(query, value, status=status, message=message).state != "done":
                return
        except FailedPrecondition as error:
            if error.reason == "QUERY_RESOLVED":
                # The lease ended, and somebody else was faster.
                return
            raise
        successor = self._follow(session)
        if successor is session or query.trial is None or successor.trials()[query.trial].state != "cancelled":
            return
        point = _complete(_parameters(successor), query.params, self._draw)
        successor.tell(Observation(point=point, value=value, status=status, message=message))

    def _tell_point(self, trial: Trial, value: Any, status: str, message: str) -> None:
        """Tells a trial that the session did not ask for, or not like this."""
        session = self.session
        assert session is not None
        parameters = _union(_parameters(session), trial.distributions)
        point = _complete(parameters, trial.params, self._draw)
        told = Observation(point=point, value=value, status=status, message=message)
        try:
            if parameters == _parameters(session):
                session.tell(told)
                return
            if self._follow(session) is session:
                self._move(session, parameters, trial, told)
                return
        except FailedPrecondition:
            if self._follow(session) is session:
                raise
        # Another process has moved the study.
        self._tell_point(trial, value, status, message)

    def _freeze(self, record: TrialRecord, offset: int, own: Mapping[int, Trial]) -> FrozenTrial:
        number = record.number + offset
        frozen = FrozenTrial(
            number,
            _STATES[record.state],
            record.params,
            list(record.values) or None,
            dict(record.intermediates),
            {},
            record.create_time,
            record.end_time,
        )
        trial = own.get(number)
        if trial is None or any(record.params.get(n, v) != v for n, v in trial.params.items()):
            return frozen
        return replace(
            frozen,
            params=dict(trial.params),
            intermediate_values=dict(trial._intermediates),
            user_attrs=dict(trial.user_attrs),
            datetime_start=trial.datetime_start,
        )

    def _signs(self) -> Any:
        return np.array([-1.0 if d == "maximize" else 1.0 for d in self.directions])


def create_study(
    *,
    study_name: str | None = None,
    direction: str | None = None,
    directions: Sequence[str] | None = None,
    sampler: str = "tpe",
    config: Mapping[str, Any] | None = None,
    pruner: str | tuple[str, Mapping[str, Any]] | None = None,
    load_if_exists: bool = False,
    space: Mapping[str, Parameter] | None = None,
    seed: int | None = None,
    lease: float | None = None,
    warm_start_from: Sequence[str | Session] = (),
    client: Client | None = None,
    target: str | None = None,
) -> Study:
    """A new study.

    Args:
        study_name: letters, digits, "-" and "_", at most 64; also the id of the session. Made up when None.
        direction: "minimize" (the default) or "maximize"; or `directions` for several objectives.
        sampler: id of the method, such as "tpe", "gp", "random".
        config: of the method.
        pruner: id of a pruner: "median", "percentile", "threshold", "asha", "successive-halving", "hyperband", "wilcoxon",
            "patient". Or an id with its config, such as ``("patient", {"wrapped": {"method": "median"}})``.
        load_if_exists: return the study of this name where there is one.
        space: declares the parameters, with conditions. See the head of this module for what happens without.
        seed: of the session and of the values drawn on the client.
        lease: seconds until the point of a trial that has not reported is asked again, 600 when None.
        warm_start_from: sessions of earlier studies, or their names (`study.session`), from whose trials the sampler begins;
            see `Client.create_session`. They must be there until this study has its space.
        client, target: which server; see Client.

    Raises:
        AlreadyExists: there is a study of this name.
    """
    if direction is not None and directions is not None:
        raise ValueError("expected direction or directions, got both")
    client = client or Client(target)
    toward = list(directions or [direction or "minimize"])
    objectives = {"value" if len(toward) == 1 else f"value{i}": d for i, d in enumerate(toward)}
    options = dict(
        method=sampler,
        config=config,
        pruner=pruner,
        seed=seed,
        lease=lease,
        warm_start_from=warm_start_from,
        objectives=objectives,
        offers=("value",),
    )
    if study_name is not None:
        try:
            study = load_study(study_name=study_name, client=client)
        except KeyError:
            pass
        else:
            if load_if_exists:
                return study
            raise AlreadyExists(
                "SESSION_EXISTS", f"there is a study {study_name!r}: load_study, or load_if_exists=True"
            )
    study = Study(client, study_name or f"study-{uuid.uuid4().hex[:12]}", None, options)
    if space is not None:
        study._create(dict(space))
    return study


def load_study(*, study_name: str, client: Client | None = None, target: str | None = None) -> Study:
    """The study of this name, which has a session already.

    Raises:
        KeyError: there is none.
    """
    client = client or Client(target)
    try:
        session = client.session(study_name)
    except NotFound:
        raise KeyError(f"there is no study {study_name!r}") from None
    info = session.info
    options = dict(
        method=info.method,
        config=info.config,
        pruner=info.pruner,
        seed=info.seed,
        lease=info.lease,
        objectives={o.name: o.direction for o in info.objectives},
        offers=("value",),
    )
    study = Study(client, study_name, session, options)
    # The trials of another process are to be drawn otherwise.
    study._rng = np.random.default_rng()
    study._follow(session)
    return study


# Spaces


def _parameters(session: Session) -> dict[str, Parameter]:
    if not isinstance(session.space, SearchSpace):
        raise TypeError(f"{session.name} is no study: it does not search over parameters")
    return session.space.parameters


def _union(known: Mapping[str, Parameter], suggested: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The least space that holds both; what is known keeps its place and its condition."""
    union = dict(known)
    for name, new in suggested.items():
        old = known.get(name)
        union[name] = new if old is None else _hull(name, old, new)
    return union


def _hull(name: str, old: Parameter, new: Parameter) -> Parameter:
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


def _contains(p: Parameter, value: Any) -> bool:
    if isinstance(p, Permutation):
        return isinstance(value, (list, tuple)) and len(value) == len(p.items) and all(i in value for i in p.items)
    if isinstance(p, (Categorical, Ordinal)):
        return value in p.choices
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not p.low <= value <= p.high:
        return False
    if isinstance(p, Int) and value != int(value):
        return False
    return not p.step or abs((value - p.low) / p.step - round((value - p.low) / p.step)) < 1e-9


def _sample(p: Parameter, rng: np.random.Generator) -> Any:
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


def _complete(
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


def _replayed(record: TrialRecord, point: dict[str, Any]) -> Observation:
    """What a new session is told of a trial of the old one. What has not ended is cancelled, and keeps its number."""
    ended = {"completed": "ok", "waiting": "cancelled", "running": "cancelled", "deleted": "cancelled"}
    status = ended.get(record.state, record.state)
    return Observation(
        point=point, value=[list(record.values)] if record.values else None, status=status, message=record.message
    )
