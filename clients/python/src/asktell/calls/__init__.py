"""Every call of the service as a pure function: arguments in, the request and the parser of its response out.

No I/O happens here, so the sync and the asyncio client share all of it. Functions whose first argument is a
`SessionInfo` become methods of sessions, the others methods of clients; their docstrings are those methods' docs.
"""

from __future__ import annotations

from .call import Call, Named, Page, new_request_id
from .methods import describe, list_methods_page
from .sessions import (
    create_session,
    delete,
    export,
    fork_session,
    get_session,
    import_session,
    list_sessions_page,
    refresh,
    update,
    watch,
)
from .steps import analyze, ask, enqueue, estimate, report, step, tell
from .stream import Bulk, StreamStep, stream_step
from .told import Told, as_observations
from .trials import correct_trial, delete_trial, edit_space, list_audit_page, list_trials_page

__all__ = [
    "Bulk",
    "Call",
    "Named",
    "Page",
    "StreamStep",
    "Told",
    "analyze",
    "as_observations",
    "ask",
    "correct_trial",
    "create_session",
    "delete",
    "delete_trial",
    "describe",
    "edit_space",
    "enqueue",
    "estimate",
    "export",
    "fork_session",
    "get_session",
    "import_session",
    "list_audit_page",
    "list_methods_page",
    "list_sessions_page",
    "list_trials_page",
    "new_request_id",
    "refresh",
    "report",
    "step",
    "stream_step",
    "tell",
    "update",
    "watch",
]
