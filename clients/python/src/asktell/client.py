"""The synchronous client."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable, TypeVar

import grpc
from google.protobuf.message import Message
from typing_extensions import Concatenate, ParamSpec

from . import _core, calls
from ._core import Core, Retry, StreamCore, document, iterate, run
from .calls import Call, StreamStep
from .feedback import Encoding, stream_defaults
from .models import AuditEntry, Method, SessionInfo, Step, TrialRecord, WatchEvent
from .spaces import Space

P = ParamSpec("P")
T = TypeVar("T")


class BlockingWire:
    """A channel whose coroutines block instead of suspending."""

    def __init__(self, channel: grpc.Channel, metadata: Any) -> None:
        self.channel = channel
        self.stubs = _core.stubs(channel)
        self.metadata = metadata

    async def unary(self, method: str, request: Message | Iterable[Message], timeout: float | None) -> Any:
        return self.stubs[method](request, timeout=timeout, metadata=self.metadata)

    def stream(self, method: str, request: Message | None) -> BlockingDuplex:
        return BlockingDuplex(self.stubs[method], request, self.metadata)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def close(self) -> None:
        self.channel.close()


class BlockingDuplex:
    def __init__(self, stub: Any, request: Message | None, metadata: Any) -> None:
        #: What is to be written; None ends it.
        self.outbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self.call = stub(iter(self.outbox.get, None) if request is None else request, metadata=metadata)

    async def write(self, message: Message) -> None:
        self.outbox.put(message)

    async def read(self) -> Any | None:
        return next(self.call, None)

    async def cancel(self) -> None:
        self.outbox.put(None)
        self.call.cancel()


def _client_method(build: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    """The method of a client for a call of the service."""

    @document(build)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return run(self._core.call(build(*args, **kwargs)))

    return method


def _session_method(build: Callable[Concatenate[SessionInfo, P], Call[T]]) -> Callable[Concatenate[Session, P], T]:
    """The method of a session for a call of the service."""

    @document(build)
    def method(self: Session, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return run(self._core.call(build(self.info, *args, **kwargs)))

    return method


def _creates_session(build: Callable[P, Call[SessionInfo]]) -> Callable[Concatenate[Client, P], Session]:
    @document(build, "Session")
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Session:
        return Session(self, run(self._core.call(build(*args, **kwargs))))

    return method


def _renews_session(
    build: Callable[Concatenate[SessionInfo, P], Call[SessionInfo]],
) -> Callable[Concatenate[Session, P], SessionInfo]:
    @document(build)
    def method(self: Session, /, *args: P.args, **kwargs: P.kwargs) -> SessionInfo:
        self.info = run(self._core.call(build(self.info, *args, **kwargs)))
        return self.info

    return method


def _stream_method(
    build: Callable[Concatenate[SessionInfo, P], StreamStep],
) -> Callable[Concatenate[Stream, P], Step]:
    @document(build, "Step")
    def method(self: Stream, /, *args: P.args, **kwargs: P.kwargs) -> Step:
        return run(self._stream.step(build(self.session.info, *args, **(self._defaults | kwargs))))

    return method


class Client:
    """A connection to a server. May be shared by threads; close it, or use it in a ``with`` statement.

    Args:
        target: host and port; $ASKTELL_TARGET or "127.0.0.1:7337" when None.
        api_key: sent as a bearer token; $ASKTELL_API_KEY when None.
        tls: True; or the PEM of the certificates to trust; or `grpc.ChannelCredentials`.
        retry: when calls are sent again.
        timeout: seconds one attempt of a call may take, beside what the server waits on purpose. None for no limit.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        api_key: str | None = None,
        tls: bool | bytes | grpc.ChannelCredentials = False,
        retry: Retry | None = None,
        timeout: float | None = 60.0,
    ) -> None:
        target = target or os.environ.get("ASKTELL_TARGET", _core.DEFAULT_TARGET)
        credentials, options = _core.credentials_of(tls), _core.channel_options()
        channel = (
            grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target, options)
        )
        metadata = _core.metadata_of(api_key or os.environ.get("ASKTELL_API_KEY"))
        self._core = Core(BlockingWire(channel, metadata), target, retry, timeout)

    @property
    def target(self) -> str:
        return self._core.target

    create_session = _creates_session(calls.create_session)
    describe = _client_method(calls.describe)

    def session(self, name: str) -> Session:
        """The session of this name. Raises NotFound."""
        return Session(self, run(self._core.call(calls.get_session(name))))

    def list_sessions(self, filter: str = "") -> list[SessionInfo]:
        """All sessions that match, such as ``'method = "tpe" AND state = RUNNING AND labels.team = "vision"'``."""
        return run(self._core.pages(lambda token: calls.list_sessions_page(filter, token)))

    def methods(self, filter: str = "") -> list[Method]:
        """All methods and pruners that match, such as ``'family = "bayes"'``."""
        return run(self._core.pages(lambda token: calls.list_methods_page(filter, token)))

    def import_session(self, path: str | os.PathLike[str], name: str = "") -> Session:
        """A session from an exported file, under its id or a new one."""
        return Session(self, run(self._core.import_session(path, name)))

    def close(self) -> None:
        run(self._core.close())

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Session:
    """A session on the server. Holds no state but `info`, so any number of processes may work on one session."""

    def __init__(self, client: Client, info: SessionInfo) -> None:
        self.client = client
        #: As of the last create, get, update or refresh.
        self.info = info
        self._core = client._core

    def __repr__(self) -> str:
        return f"Session({self.info.name!r}, method={self.info.method!r})"

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def space(self) -> Space | None:
        return self.info.space

    ask = _session_method(calls.ask)
    tell = _session_method(calls.tell)
    step = _session_method(calls.step)
    report = _session_method(calls.report)
    estimate = _session_method(calls.estimate)
    analyze = _session_method(calls.analyze)
    delete = _session_method(calls.delete)
    enqueue = _session_method(calls.enqueue)
    correct_trial = _session_method(calls.correct_trial)
    delete_trial = _session_method(calls.delete_trial)
    edit_space = _renews_session(calls.edit_space)
    refresh = _renews_session(calls.refresh)
    update = _renews_session(calls.update)

    def fork(
        self,
        *,
        revision: int = 0,
        name: str = "",
        config: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> Session:
        """A new session that begins as this one was at a revision (now, when 0), with mutable config changed."""
        call = calls.fork_session(self.info, revision=revision, name=name, config=config, request_id=request_id)
        return Session(self.client, run(self._core.call(call)))

    def trials(self, filter: str = "") -> list[TrialRecord]:
        """All trials that match, such as ``"state = COMPLETED"``, by number."""
        return run(self._core.pages(lambda token: calls.list_trials_page(self.info, filter, token)))

    def audit(self) -> list[AuditEntry]:
        """Who changed what by hand, oldest first."""
        return run(self._core.pages(lambda token: calls.list_audit_page(self.info, token)))

    def watch(self, after_revision: int = -1) -> Iterator[WatchEvent]:
        """Events as they happen, from the one after a revision on, or only new ones. Reconnects; close it to stop."""
        return iterate(self._core.watch(self.info, after_revision))

    def export(self, path: str | os.PathLike[str]) -> None:
        """Writes the session with all its history to a file, which `import_session` reads."""
        run(self._core.export(self.info, path))

    def stream(self, encoding: Encoding = None) -> Stream:
        """Opens a stream of steps: less work per message than `step`, and gradients of any size.

        Args:
            encoding: how tensors travel both ways, or a pair for gradients and for parameters: a dtype, or one of
                "block-int8", "sign" and "top-k" if the session was created with it. Gradients are then encoded with
                error feedback, and parameters sent as deltas.
        """
        return Stream(self, encoding)


class Stream:
    """Steps over one bidirectional call. Reconnects, and sends the step under way again under its request id.

    One step at a time: use a stream per thread. Close it, or use it in a ``with`` statement.
    """

    def __init__(self, session: Session, encoding: Encoding = None) -> None:
        self.session = session
        self._defaults = stream_defaults(encoding, session.info.encodings)
        self._stream = StreamCore(session._core, session.info)

    step = _stream_method(calls.stream_step)

    def close(self) -> None:
        run(self._stream.close())

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
