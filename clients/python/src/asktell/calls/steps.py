"""Calls that ask, tell, and read what a session has found."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from .. import codec, tensors
from .._gen import analysis_pb2, service_pb2
from ..analysis import Analysis, kind_number, parse_analysis
from ..feedback import HeldCopy
from ..models import (
    Estimate,
    Query,
    Report,
    SessionInfo,
    Step,
)
from ..spaces import Params, SearchSpace, to_struct
from .call import Call, new_request_id
from .told import Told, as_observations, bulk_of


def ask(
    session: SessionInfo,
    /,
    count: int = 1,
    *,
    wait: float | None = None,
    enqueue: Sequence[Any] = (),
    omit_tensors: bool = False,
    encoding: str | None = None,
    held: HeldCopy | None = None,
    worker: str = "",
    request_id: str | None = None,
) -> Call[Step]:
    """Asks for queries to answer, each under a lease.

    Args:
        count: how many.
        wait: seconds to wait when there is none yet; not at all when None.
        enqueue: points to put first: each becomes a query of its own.
        omit_tensors: leave tensors out of the points, for a client that holds them.
        encoding: dtype in which tensors come, or a lossy encoding of what `held` lacks; the manifest's when None.
        held: the copy of the parameters that this client has: the answer brings what it lacks.
        worker: name of the caller, for the records.

    Raises:
        InvalidArgument: a point of `enqueue` is not one of the space.
    """
    request = service_pb2.AskRequest(
        name=session.name,
        count=count if count > 0 else -1,
        request_id=request_id or new_request_id(),
        wait=None if wait is None else codec.encode_duration(wait),
        omit_tensors=omit_tensors,
        encoding=tensors.dtype_enum(encoding),
        held=codec.encode_held(held),
        enqueue=[codec.space_of(session).encode_point(point) for point in enqueue],
        worker=worker,
    )
    return Call("Ask", request, codec.step_parser(session, held), wait or 0.0, bulk_of(session))


def tell(
    session: SessionInfo,
    /,
    observations: Told,
    value: Any = None,
    *,
    request_id: str | None = None,
    expected_revision: int = 0,
    **answer: Any,
) -> Call[Step]:
    """Tells what was found out: ``tell(query, 0.3)``, ``tell(query, gradient=...)`` or ``tell(observations)``.

    Args:
        observations: one Observation or several: all are taken, or none. Or a query, whose Observation is then made
            of `value` and the other keywords.
        expected_revision: refuse when the session is at another revision; not checked when 0.

    Raises:
        InvalidArgument: OBSERVATION_INVALID, with located issues, when an observation does not fit its query.
        NotFound: QUERY_NOT_FOUND, the session never asked this.
        FailedPrecondition: QUERY_RESOLVED, someone was faster; or SESSION_CLOSED.
    """
    request = service_pb2.TellRequest(
        name=session.name,
        observations=[codec.encode_observation(session, o) for o in as_observations(observations, value, **answer)],
        request_id=request_id or new_request_id(),
        expected_revision=expected_revision,
    )
    return Call("Tell", request, codec.step_parser(session), bulk=bulk_of(session))


def step(
    session: SessionInfo,
    /,
    observations: Told = (),
    value: Any = None,
    *,
    count: int = 1,
    wait: float | None = None,
    omit_tensors: bool = False,
    encoding: str | None = None,
    held: HeldCopy | None = None,
    worker: str = "",
    request_id: str | None = None,
    expected_revision: int = 0,
    **answer: Any,
) -> Call[Step]:
    """Tells and asks in one round trip: the call to build loops on. Arguments and errors are those of tell and ask.

    With ``count=0`` it asks nothing.
    """
    told = [codec.encode_observation(session, o) for o in as_observations(observations, value, **answer)]
    request = service_pb2.StepRequest(
        name=session.name,
        observations=told,
        # On the wire 0 stands for the default, 1.
        count=count if count > 0 else -1,
        request_id=request_id or new_request_id(),
        wait=None if wait is None else codec.encode_duration(wait),
        omit_tensors=omit_tensors,
        encoding=tensors.dtype_enum(encoding),
        held=codec.encode_held(held),
        expected_revision=expected_revision,
        worker=worker,
    )
    return Call("Step", request, codec.step_parser(session, held), wait or 0.0, bulk_of(session))


def report(
    session: SessionInfo, /, query: Query | str, step: int, value: float, *, request_id: str | None = None
) -> Call[Report]:
    """Tells an intermediate value of a running trial; the answer says whether to go on. Renews the lease.

    Args:
        query: the query or its id.
        step: how far the trial is, in units of the client's choice: epochs, batches. Rises.
        value: of the (first) objective.
    """
    request = service_pb2.ReportRequest(
        name=session.name,
        query_id=codec.query_id(query),
        step=step,
        value=value,
        request_id=request_id or new_request_id(),
    )
    return Call("Report", request, lambda r: Report(r.should_prune, r.reason, r.revision))


def estimate(session: SessionInfo, /, *, encoding: str | None = None) -> Call[Estimate]:
    """The session's present answer: an iterate, an average, a best trial, a Pareto front, a prompt."""
    request = service_pb2.GetEstimateRequest(name=session.name, encoding=tensors.dtype_enum(encoding))
    return Call("GetEstimate", request, partial(codec.parse_estimate, session))


def analyze(
    session: SessionInfo,
    /,
    *kinds: str,
    objective: str = "",
    parameters: Sequence[str] = (),
    importance_method: str = "ped-anova",
    quantile: float = 0.1,
    resolution: int = 30,
    points: Sequence[Params] = (),
    reference: Sequence[float] = (),
    charts: bool = False,
) -> Call[Analysis]:
    """Computes figures of a session over a search space from its trials, on the server.

    Args:
        kinds: of "history", "importances", "slices", "contour", "parallel-coordinates", "edf", "pareto", "timeline",
            "cross-validation", "prediction"; all that the session allows when there are none.
        objective: its name; the first one when empty.
        parameters: of slices and parallel coordinates, all when empty; the two of a contour, those that matter most when
            empty.
        importance_method: "ped-anova", "fanova" or "sobol".
        quantile: the share of the trials that PED-ANOVA counts as the best.
        resolution: points along each axis of slices and contours, from 2 to 200.
        points: where to predict: dicts of parameters.
        reference: the corner that hypervolumes are measured from, a number per objective; the worst told values when empty.
        charts: whether Vega-Lite charts are wanted beside the numbers.

    Raises:
        InvalidArgument: with located issues: the session is not over a search space, an unknown parameter, a point that
            is not one of the space. What there are too few trials for is in `Analysis.left_out`.
    """
    space = codec.space_of(session)
    if not isinstance(space, SearchSpace):
        raise TypeError(f"{session.name} does not search over parameters: there is nothing to analyze")
    request = analysis_pb2.AnalyzeSessionRequest(
        name=session.name,
        kinds=[kind_number(analysis_pb2.AnalysisKind, kind) for kind in kinds],
        objective=objective,
        parameters=parameters,
        importance_method=kind_number(analysis_pb2.ImportanceMethod, importance_method),
        quantile=quantile,
        resolution=resolution,
        points=[to_struct(point) for point in points],
        reference=reference,
        charts=charts,
    )
    return Call("AnalyzeSession", request, partial(parse_analysis, space))


def enqueue(session: SessionInfo, /, *points: Any, request_id: str | None = None) -> Call[Step]:
    """Puts points first in what is asked, each as a trial of its own.

    Raises:
        InvalidArgument: a point is not one of the space.
    """
    return ask(session, 0, enqueue=points, request_id=request_id)
