"""Errors that the server answers with, as typed exceptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2


@dataclass(frozen=True)
class Issue:
    """What is wrong with one field of a request."""

    #: Where, such as ``space.parameters[0].low``.
    path: str
    #: What was expected there and, where it helps, what was found.
    message: str


class AsktellError(Exception):
    """A refused or failed call.

    Attributes:
        reason: stable name of the error, such as ``CONFIG_INVALID`` or ``SESSION_NOT_FOUND``.
        message: what happened, for people.
        issues: the fields that are wrong, each with its path; empty when the error is of another kind.
        retry_after: seconds to wait before another try is worth it, when the server said so.
        metadata: further facts by name.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        issues: Sequence[Issue] = (),
        retry_after: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.issues = tuple(issues)
        self.retry_after = retry_after
        self.metadata = dict(metadata or {})

    def __str__(self) -> str:
        located = "".join(f"\n  {issue.path}: {issue.message}" for issue in self.issues)
        return f"{self.message} [{self.reason}]{located}"


class InvalidArgument(AsktellError):
    """The request is wrong whatever the server's state; `issues` locate it."""


class NotFound(AsktellError):
    """No such session, method or query."""


class AlreadyExists(AsktellError):
    """A session of this name exists."""


class Conflict(AsktellError):
    """The session has moved on (REVISION_MISMATCH), or the same request is still being worked on."""


class FailedPrecondition(AsktellError):
    """The session is in a state that does not allow this: QUERY_RESOLVED, SESSION_CLOSED, NOT_MUTABLE."""


class Unauthenticated(AsktellError):
    """Credentials are missing or not valid."""


class PermissionDenied(AsktellError):
    """The caller may not do this."""


class ResourceExhausted(AsktellError):
    """A limit is reached: of size, quota, storage, or of what may wait; see `retry_after`."""


class Unsupported(AsktellError):
    """The server does not offer this."""


class Unavailable(AsktellError):
    """No server answered, or it cannot take writes at present."""


class DeadlineExceeded(AsktellError):
    """No answer within the time allowed."""


class ServerError(AsktellError):
    """The server failed: a defect there, or damaged data."""


class TrialPruned(Exception):
    """Raise it in an objective to end the trial early."""


_BY_CODE = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.OUT_OF_RANGE: InvalidArgument,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.ABORTED: Conflict,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNIMPLEMENTED: Unsupported,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
}


def from_rpc(error: grpc.RpcError) -> AsktellError:
    """The typed exception for a failed RPC of the sync or the asyncio API.

    Reason, issues and retry_after come from the ErrorInfo, BadRequest and RetryInfo of the status details.
    """
    code = error.code()
    message = error.details() or code.name
    reason, metadata = code.name, {}
    issues: list[Issue] = []
    retry_after = None
    for detail in _details(error):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            issues += [Issue(v.field, v.description) for v in bad.field_violations]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            detail.Unpack(retry)
            retry_after = retry.retry_delay.ToNanoseconds() / 1e9
    return _BY_CODE.get(code, ServerError)(reason, message, issues, retry_after, metadata)


def _details(error: grpc.RpcError) -> Any:
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key == "grpc-status-details-bin":
            return status_pb2.Status.FromString(value).details
    return ()


#: Errors after which the same request may be sent again: it was not applied, or its stored answer will come back.
_RETRYABLE = frozenset({"REQUEST_IN_FLIGHT", "OVERLOADED"})


def is_retryable(error: AsktellError) -> bool:
    return isinstance(error, (Unavailable, DeadlineExceeded)) or error.reason in _RETRYABLE
