"""`minimize` and `maximize`: a function, a space, and as many evaluations as wanted, by parallel workers."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Callable, Generic, TypeVar, Union

import numpy as np
from tqdm import tqdm

from . import calls
from ._core import Core, StreamCore, run
from .aio import AsyncClient, AsyncSession
from .client import Client, Session
from .errors import FailedPrecondition, TrialPruned
from .models import Estimate, Observation, Query, SessionInfo, Step, TrialRecord
from .spaces import Params, TensorSpace, as_space
from .tensors import ArrayLike

#: Seconds a worker lets the server wait for a query before it looks again whether there is anything left to do.
WAIT = 2.0
#: The name of the only tensor when x0 is an array.
BARE = "x"

Catch = Union[type[BaseException], tuple[type[BaseException], ...]]
Call = Callable[[Any, Any], Awaitable[Any]]
S = TypeVar("S", Session, AsyncSession)


@dataclass(frozen=True)
class Result(Generic[S]):
    """What an optimization came to.

    Attributes:
        best_params: the parameters, or the array(s) as `x0` was, that the session holds best.
        best_value: the value there; of a gradient method evaluated at the end, since those answer with an iterate.
        trials: all trials, of a search space.
        session: to go on with, or to look further.
        estimate: the session's whole answer, with all points of a Pareto front.
    """

    best_params: Any
    best_value: float | None
    trials: list[TrialRecord]
    session: S
    estimate: Estimate


class NoSuccess(RuntimeError):
    """No evaluation succeeded. The cause is the exception of the last one that failed, where there was one."""


class Trial:
    """The evaluation under way, for functions that take it as a second argument."""

    def __init__(self, core: Core, session: SessionInfo, query: Query) -> None:
        self.query = query
        #: Number of the trial, for search spaces.
        self.number = query.trial
        self._core = core
        self._session = session
        self._prune = False
        self._last: float | None = None

    @property
    def params(self) -> Params:
        return self.query.params

    def report(self, step: int, value: float) -> bool:
        """Tells an intermediate value; returns whether the trial should be pruned. Renews the lease."""
        return run(self._report(step, value))

    def should_prune(self) -> bool:
        """What the pruner said of the last reported value. If so: ``raise asktell.TrialPruned``."""
        return self._prune

    async def _report(self, step: int, value: float) -> bool:
        answer = await self._core.call(calls.report(self._session, self.query, step, value))
        self._prune, self._last = answer.should_prune, value
        return self._prune


class AsyncTrial(Trial):
    async def report(self, step: int, value: float) -> bool:  # type: ignore[override]
        """Tells an intermediate value; returns whether the trial should be pruned. Renews the lease."""
        return await self._report(step, value)


class Plan:
    """What the workers of one run share: evaluations left, the progress bar, the best value."""

    def __init__(self, evaluations: int, direction: str, progress: bool) -> None:
        self.left = evaluations
        self.workers = 0
        #: Workers that got no query when they asked last, and the session's revision then.
        self.idle: dict[object, int] = {}
        self.sign = -1.0 if direction == "maximize" else 1.0
        self.best = np.inf
        self.failure: BaseException | None = None
        self.succeeded = False
        self.stopped = False
        self.lock = threading.Lock()
        # Where there is no terminal, there is no bar.
        self.bar = tqdm(total=evaluations, disable=None if progress else True, leave=False, unit="eval")

    def enter(self) -> None:
        with self.lock:
            self.workers += 1

    def leave(self, worker: object) -> None:
        with self.lock:
            self.workers -= 1
            self.idle.pop(worker, None)

    def take(self) -> bool:
        """Claims an evaluation; False when none is left."""
        with self.lock:
            if self.left <= 0 or self.stopped:
                return False
            self.left -= 1
            return True

    def give_back(self, worker: object, revision: int) -> bool:
        """Returns an evaluation that there was no query for. Whether another worker may still bring one about."""
        with self.lock:
            self.left += 1
            self.idle[worker] = revision
            return len(self.idle) < self.workers or len(set(self.idle.values())) > 1

    def done(self, observation: Observation) -> None:
        points = len(observation.query.points) if isinstance(observation.query, Query) else 1
        with self.lock:
            # A query of several points is as many evaluations.
            self.left -= points - 1
            if observation.status == "ok":
                self.succeeded = True
                values = np.ravel(observation.value) if observation.value is not None else np.empty(0)
                if values.size:
                    self.best = min(self.best, float(np.min(self.sign * values)))
                    self.bar.set_postfix(best=f"{self.sign * self.best:.6g}", refresh=False)
            self.bar.update(points)


class Objective:
    """The user's function, and how its arguments and results map to queries and observations."""

    def __init__(self, f: Callable[..., Any], jac: bool | Callable[..., Any] | None, bare: bool) -> None:
        self.f, self.jac, self.bare = f, jac, bare
        self.takes_trial = _takes_two(f)

    async def observe(self, query: Query, trial: Trial, call: Call, catch: Catch, plan: Plan) -> Observation:
        """The answer to a query. `call` calls a function with a point and the trial, however that is done here."""
        try:
            results = [await self._evaluate(point, query, trial, call) for point in query.points]
        except TrialPruned:
            return Observation(query, value=trial._last, status="pruned")
        except catch as failure:
            plan.failure = failure
            return Observation(query, status="failed", message=f"{type(failure).__name__}: {failure}")
        values = [value for value, _ in results if value is not None]
        gradients = [gradient for _, gradient in results if gradient is not None]
        # One list per point: a value may be one of several objectives.
        return Observation(query, value=[np.atleast_1d(v).tolist() for v in values] or None, gradient=gradients or None)

    async def _evaluate(self, point: Any, query: Query, trial: Trial, call: Call) -> tuple[Any, Any]:
        x = self.argument(point)
        wants_gradient = "gradient" in query.kinds
        gradient = await call(self.jac, (x,)) if callable(self.jac) and wants_gradient else None
        if gradient is not None and "value" not in query.kinds:
            return None, gradient
        value = await call(self._with_trial(self.f), (x, trial))
        if self.jac is True:
            value, gradient = value
        return value, gradient if wants_gradient else None

    def _with_trial(self, f: Callable[..., Any]) -> Callable[..., Any]:
        return f if self.takes_trial else lambda x, _: f(x)

    def argument(self, point: Any) -> Any:
        return point[BARE] if self.bare else point

    async def value_at(self, point: Any, call: Call) -> float | None:
        """The value at a point that was not asked, of functions that can do without a trial."""
        if self.takes_trial:
            return None
        result = await call(self.f, (self.argument(point),))
        return float(result[0] if self.jac is True else result)

    @property
    def offers(self) -> tuple[str, ...]:
        return ("value", "gradient") if self.jac else ("value",)


async def work(
    core: Core, session: SessionInfo, plan: Plan, observe: Callable[[Query], Awaitable[Observation]]
) -> None:
    """One worker: asks, evaluates and tells, until the plan or the session is done."""
    worker = object()
    stream = StreamCore(core, session) if isinstance(session.space, TensorSpace) else None

    async def send(told: list[Observation], count: int) -> Step:
        try:
            if stream:
                return await stream.step(calls.stream_step(session, told, count=count, wait=WAIT))
            return await core.call(calls.step(session, told, count=count, wait=WAIT))
        except FailedPrecondition as error:
            if error.reason != "QUERY_RESOLVED":
                raise
            # The lease ended, and somebody else was faster.
            return await send([], count)

    told: list[Observation] = []
    plan.enter()
    try:
        while plan.take():
            answer = await send(told, 1)
            told = []
            if answer.queries:
                (query,) = answer.queries
                plan.idle.pop(worker, None)
                try:
                    told = [await observe(query)]
                except BaseException:
                    plan.stopped = True
                    told = [Observation(query, status="cancelled")]
                    raise
                plan.done(told[0])
                continue
            others = plan.give_back(worker, answer.revision)
            if answer.state != "running":
                return
            if answer.short and answer.short.retry_after is not None:
                await core.wire.sleep(answer.short.retry_after)
            elif not others:
                return
    finally:
        plan.leave(worker)
        if told:
            await send(told, 0)
        if stream:
            await stream.close()


def minimize(
    f: Callable[..., Any],
    space: Any = None,
    *,
    max_evaluations: int,
    x0: ArrayLike | Mapping[str, ArrayLike] | None = None,
    jac: bool | Callable[..., Any] | None = None,
    workers: int = 1,
    method: str | None = None,
    config: Mapping[str, Any] | None = None,
    pruner: str | tuple[str, Mapping[str, Any]] | None = None,
    seed: int | None = None,
    lease: float | None = None,
    warm_start_from: Sequence[str | Session] = (),
    catch: Catch = Exception,
    progress: bool = True,
    name: str = "",
    client: Client | None = None,
    target: str | None = None,
    direction: str = "minimize",
) -> Result[Session]:
    """Minimizes a function on the server's advice.

        minimize(train, {"lr": Float(1e-5, 1e-1, log=True)}, max_evaluations=100, workers=8)
        minimize(f, x0=np.zeros(10), jac=True, method="adam", max_evaluations=500)

    Args:
        f: ``f(point)`` or ``f(point, trial)``; returns the value. With ``jac=True`` it returns (value, gradient).
            The point is a dict of parameters, or as `x0`: an array or a dict of arrays, read-only.
            An exception is an evaluation that failed, if of a type in `catch`; others end the run and are raised.
            TrialPruned ends the trial early; a value that is not finite is a failure.
        space: what is searched; see `asktell.spaces`. Or give `x0`.
        max_evaluations: points to evaluate, failed ones included.
        x0: where to start, an array or arrays by name, of floats. They are optimized as tensors.
        jac: True, or a function of the point that gives the gradient, shaped as `x0`.
        workers: threads that evaluate in parallel. With more than one `f` must be thread-safe.
        method: id of the method; "tpe" for a search space, "adam" with `jac`, else "cma-es".
        config: of the method.
        pruner: id of a pruner, such as "median", "asha", "hyperband", or an id with its config.
        seed: of the session. With one worker, the run repeats.
        lease: seconds until the point of an evaluation that has not reported is asked again, 600 when None.
        warm_start_from: earlier sessions of similar tasks, or their names, from whose trials the method begins; see
            `Client.create_session`.
        progress: whether to show a bar, if there is a terminal.
        name: id for the session; chosen by the server when empty.
        client, target: which server; see Client.

    Raises:
        NoSuccess: no evaluation succeeded.
        asktell.AsktellError: the server refused something.
    """
    client = client or Client(target)
    objective, options = _prepare(f, space, x0, jac, method, direction)
    options |= {"warm_start_from": warm_start_from}
    session = client.create_session(config=config, pruner=pruner, seed=seed, lease=lease, name=name, **options)
    core, info = session._core, session.info
    plan = Plan(max_evaluations, direction, progress)

    async def call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        return function(*arguments)

    def worker() -> None:
        run(work(core, info, plan, lambda q: objective.observe(q, Trial(core, info, q), call, catch, plan)))

    with plan.bar:
        if workers == 1:
            worker()
        else:
            _in_threads(worker, workers, plan)
    _check(plan)
    return run(_result(session, core, objective, call, Result[Session]))


def maximize(f: Callable[..., Any], space: Any = None, **options: Any) -> Result[Session]:
    """Maximizes a function; see minimize. A gradient is that of the function, not of its negative."""
    return minimize(f, space, direction="maximize", **options)


async def aminimize(
    f: Callable[..., Any],
    space: Any = None,
    *,
    max_evaluations: int,
    x0: ArrayLike | Mapping[str, ArrayLike] | None = None,
    jac: bool | Callable[..., Any] | None = None,
    workers: int = 1,
    method: str | None = None,
    config: Mapping[str, Any] | None = None,
    pruner: str | tuple[str, Mapping[str, Any]] | None = None,
    seed: int | None = None,
    lease: float | None = None,
    warm_start_from: Sequence[str | AsyncSession] = (),
    catch: Catch = Exception,
    progress: bool = True,
    name: str = "",
    client: AsyncClient | None = None,
    target: str | None = None,
    direction: str = "minimize",
) -> Result[AsyncSession]:
    """Minimizes a coroutine function; `workers` is how many of its calls run at once. See minimize.

    A trial's `report` is to be awaited.
    """
    client = client or AsyncClient(target)
    objective, options = _prepare(f, space, x0, jac, method, direction)
    options |= {"warm_start_from": warm_start_from}
    session = await client.create_session(config=config, pruner=pruner, seed=seed, lease=lease, name=name, **options)
    core, info = session._core, session.info
    plan = Plan(max_evaluations, direction, progress)

    async def call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        result = function(*arguments)
        return await result if inspect.isawaitable(result) else result

    def worker() -> Awaitable[None]:
        return work(core, info, plan, lambda q: objective.observe(q, AsyncTrial(core, info, q), call, catch, plan))

    with plan.bar:
        await asyncio.gather(*(worker() for _ in range(workers)))
    _check(plan)
    return await _result(session, core, objective, call, Result[AsyncSession])


async def amaximize(f: Callable[..., Any], space: Any = None, **options: Any) -> Result[AsyncSession]:
    """Maximizes a coroutine function; see aminimize."""
    return await aminimize(f, space, direction="maximize", **options)


def _prepare(
    f: Callable[..., Any],
    space: Any,
    x0: Any,
    jac: bool | Callable[..., Any] | None,
    method: str | None,
    direction: str,
) -> tuple[Objective, dict[str, Any]]:
    """The objective, and the arguments of create_session that follow from what is to be optimized."""
    if (space is None) == (x0 is None):
        raise TypeError("expected a space or x0, and not both")
    bare = x0 is not None and not isinstance(x0, Mapping)
    if x0 is not None:
        space = TensorSpace({BARE: np.asarray(x0, dtype=_float_type(x0))} if bare else x0)
    space = as_space(space)
    objective = Objective(f, jac, bare)
    chosen = method or ("adam" if jac else "cma-es" if isinstance(space, TensorSpace) else "tpe")
    return objective, {"method": chosen, "space": space, "direction": direction, "offers": objective.offers}


def _float_type(x0: ArrayLike) -> Any:
    dtype = np.asarray(x0).dtype
    return dtype if dtype.kind in "fV" else np.float64


def _in_threads(worker: Callable[[], None], workers: int, plan: Plan) -> None:
    with ThreadPoolExecutor(workers, thread_name_prefix="asktell") as pool:
        futures: list[Future[None]] = [pool.submit(worker) for _ in range(workers)]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            # After an exception, here or in a worker, the others finish what they are evaluating.
            plan.stopped = True
    for future in futures:
        future.result()


def _check(plan: Plan) -> None:
    if not plan.succeeded:
        raise NoSuccess("no evaluation succeeded") from plan.failure


async def _result(
    session: S, core: Core, objective: Objective, call: Call, make: Callable[..., Result[S]]
) -> Result[S]:
    estimate = await core.call(calls.estimate(session.info))
    best, value, trials = None, estimate.value, []
    if estimate.points:
        best = objective.argument(estimate.point)
        if isinstance(session.info.space, TensorSpace):
            value = value if value is not None else await objective.value_at(estimate.point, call)
        else:
            trials = await core.pages(lambda token: calls.list_trials_page(session.info, "", token))
    return make(best, value, trials, session, estimate)


def _takes_two(f: Callable[..., Any]) -> bool:
    """Whether a function has to be, or can be, called with a second positional argument, and wants it."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 1 and (positional[1].default is inspect.Parameter.empty or positional[1].name == "trial")
