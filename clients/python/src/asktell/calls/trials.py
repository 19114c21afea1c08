"""Calls on the trials of a session and on its space."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from .. import codec
from .._gen import service_pb2
from ..models import (
    AuditEntry,
    Observation,
    SessionInfo,
    TrialRecord,
)
from ..spaces import as_space, to_struct
from .call import Call, Page, new_request_id, page_of


def edit_space(
    session: SessionInfo,
    /,
    space: Any,
    *,
    defaults: Mapping[str, Any] | None = None,
    drop_invalid: bool = False,
    reason: str = "",
    request_id: str | None = None,
    expected_revision: int = 0,
) -> Call[SessionInfo]:
    """Gives the session another search space; the method starts anew from the trials.

    Args:
        space: the whole new space.
        defaults: what trials so far had of parameters that were not there before.
        drop_invalid: delete trials that are no points of the new space, rather than refuse.
        reason: for the audit trail.

    Raises:
        InvalidArgument: with located issues: a wrong space, one that leaves no point, trials outside of it, or a method
            that cannot start anew.
    """
    request = service_pb2.EditSpaceRequest(
        name=session.name,
        space=as_space(space).to_proto(),
        defaults=None if defaults is None else to_struct(defaults),
        drop_invalid=drop_invalid,
        reason=reason,
        request_id=request_id or new_request_id(),
        expected_revision=expected_revision,
    )
    return Call("EditSpace", request, codec.parse_session)


def correct_trial(
    session: SessionInfo,
    /,
    trial: int,
    value: Any = None,
    *,
    reason: str = "",
    request_id: str | None = None,
    expected_revision: int = 0,
    **answer: Any,
) -> Call[TrialRecord]:
    """Replaces what was told of a trial: ``correct_trial(3, 0.25)`` or ``correct_trial(3, status="failed")``.

    Args:
        trial: its number.
        value: and other keywords: those of an Observation.

    Raises:
        NotFound: TRIAL_NOT_FOUND.
        InvalidArgument: the trial is open, or the observation does not fit it.
    """
    request = service_pb2.CorrectTrialRequest(
        name=session.name,
        trial=trial,
        observation=codec.encode_observation(session, Observation(None, value, **answer)),
        reason=reason,
        request_id=request_id or new_request_id(),
        expected_revision=expected_revision,
    )
    return Call("CorrectTrial", request, partial(codec.parse_trial, session))


def delete_trial(
    session: SessionInfo,
    /,
    trial: int,
    *,
    reason: str = "",
    request_id: str | None = None,
    expected_revision: int = 0,
) -> Call[TrialRecord]:
    """Ends a trial that runs; makes the method forget one that was told. It stays in the list, as deleted.

    Raises:
        NotFound: TRIAL_NOT_FOUND.
    """
    request = service_pb2.DeleteTrialRequest(
        name=session.name,
        trial=trial,
        reason=reason,
        request_id=request_id or new_request_id(),
        expected_revision=expected_revision,
    )
    return Call("DeleteTrial", request, partial(codec.parse_trial, session))


def list_audit_page(session: SessionInfo, page_token: str = "", page_size: int = 0) -> Call[Page[AuditEntry]]:
    request = service_pb2.ListAuditEntriesRequest(parent=session.name, page_size=page_size, page_token=page_token)
    return Call("ListAuditEntries", request, page_of("audit_entries", codec.parse_audit_entry))


def list_trials_page(
    session: SessionInfo, filter: str = "", page_token: str = "", page_size: int = 0
) -> Call[Page[TrialRecord]]:
    request = service_pb2.ListTrialsRequest(
        parent=session.name, page_size=page_size, page_token=page_token, filter=filter
    )
    return Call("ListTrials", request, page_of("trials", partial(codec.parse_trial, session)))
