"""A study: its trials, and the session, or one session after the other, behind them."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Callable, Union

import numpy as np
from tqdm import tqdm

from ..analysis import Analysis
from ..client import Client, Session
from ..errors import AlreadyExists, FailedPrecondition, NotFound, TrialPruned
from ..models import Observation, Query, TrialRecord
from ..spaces import Parameter, SearchSpace
from .parameters import parameters_of, point_of, replayed, sample, union
from .trial import FrozenTrial, Trial, TrialState

#: Seconds that an ask waits on the server for others to tell, before it asks again.
WAIT = 5.0
#: Label of a session that names the session which the study moved to.
NEXT = "next"

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
            if self.session is not None and set(fixed) <= set(parameters_of(self.session)):
                enqueue = [point_of(parameters_of(self.session), fixed, self._draw)] if fixed else []
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
        told_before = [replayed(r, point_of(parameters, r.params, self._draw)) for r in records]
        if trial._query is not None and trial._query.trial is not None and trial._session is session:
            told_before[trial._query.trial] = told
        else:
            told_before.append(told)
        successor.tell(told_before)
        self.session = successor

    def _takes_points(self) -> bool:
        """Whether the method takes trials that it did not ask for."""
        return self.client.describe(self._options["method"]).facts.unsolicited

    # Trials

    def _draw(self, distribution: Parameter) -> Any:
        with self._lock:
            return sample(distribution, self._rng)

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
            known = parameters_of(session)
            if union(known, trial.distributions) == known:
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
        point = point_of(parameters_of(successor), query.params, self._draw)
        successor.tell(Observation(point=point, value=value, status=status, message=message))

    def _tell_point(self, trial: Trial, value: Any, status: str, message: str) -> None:
        """Tells a trial that the session did not ask for, or not like this."""
        session = self.session
        assert session is not None
        parameters = union(parameters_of(session), trial.distributions)
        point = point_of(parameters, trial.params, self._draw)
        told = Observation(point=point, value=value, status=status, message=message)
        try:
            if parameters == parameters_of(session):
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
