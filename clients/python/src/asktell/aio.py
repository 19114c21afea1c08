"""The asyncio client: the same names as the synchronous one, awaited."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping
from typing import Any, Callable, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message
from typing_extensions import Concatenate, ParamSpec

from . import _core, calls
from ._core import Core, Retry, StreamCore, StreamEnded, document
from .calls import Call, StreamStep
from .feedback import Encoding, stream_defaults
from .models import AuditEntry, Method, SessionInfo, Step, TrialRecord, WatchEvent
from .spaces import Space

P = ParamSpec("P")
T = TypeVar("T")


class AsyncWire:
    def __init__(self, channel: grpc.aio.Channel, metadata: Any) -> None:
        self.channel = channel
        self.stubs = _core.stubs(channel)
        self.metadata = metadata

    async def unary(self, method: str, request: Message | Iterable[Message], timeout: float | None) -> Any:
        return await self.stubs[method](request, timeout=timeout, metadata=self.metadata)

    def stream(self, method: str, request: Message | None) -> AsyncDuplex:
        return AsyncDuplex(self.stubs[method], request, self.metadata)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        await self.channel.close()


class AsyncDuplex:
    def __init__(self, stub: Any, request: Message | None, metadata: Any) -> None:
        self.call = stub(metadata=metadata) if request is None else stub(request, metadata=metadata)

    async def write(self, message: Message) -> None:
        # When the call is over, `read` says why.
        with contextlib.suppress(asyncio.InvalidStateError), _lost_connections():
            await self.call.write(message)

    async def read(self) -> Any | None:
        with _lost_connections():
            message = await self.call.read()
        return None if message is grpc.aio.EOF else message

    async def cancel(self) -> None:
        self.call.cancel()


@contextlib.contextmanager
def _lost_connections() -> Iterator[None]:
    """A write into a lost connection fails with an error of grpcio's own, which hides that the connection is lost."""
    try:
        yield
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.INTERNAL and error.details() == "Internal error from Core":
            raise StreamEnded from error
        raise


def _client_method(build: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncClient, P], Awaitable[T]]:
    """The method of a client for a call of the service."""

    @document(build)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._core.call(build(*args, **kwargs))

    return method


def _session_method(
    build: Callable[Concatenate[SessionInfo, P], Call[T]],
) -> Callable[Concatenate[AsyncSession, P], Awaitable[T]]:
    """The method of a session for a call of the service."""

    @document(build)
    async def method(self: AsyncSession, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._core.call(build(self.info, *args, **kwargs))

    return method


def _creates_session(
    build: Callable[P, Call[SessionInfo]],
) -> Callable[Concatenate[AsyncClient, P], Awaitable[AsyncSession]]:
    @document(build, "AsyncSession")
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncSession:
        return AsyncSession(self, await self._core.call(build(*args, **kwargs)))

    return method


def _renews_session(
    build: Callable[Concatenate[SessionInfo, P], Call[SessionInfo]],
) -> Callable[Concatenate[AsyncSession, P], Awaitable[SessionInfo]]:
    @document(build)
    async def method(self: AsyncSession, /, *args: P.args, **kwargs: P.kwargs) -> SessionInfo:
        self.info = await self._core.call(build(self.info, *args, **kwargs))
        return self.info

    return method


def _stream_method(
    build: Callable[Concatenate[SessionInfo, P], StreamStep],
) -> Callable[Concatenate[AsyncStream, P], Awaitable[Step]]:
    @document(build, "Step")
    async def method(self: AsyncStream, /, *args: P.args, **kwargs: P.kwargs) -> Step:
        return await self._stream.step(build(self.session.info, *args, **(self._defaults | kwargs)))

    return method


class AsyncClient:
    """A connection to a server, for one event loop. Close it, or use it in an ``async with`` statement.

    Arguments are those of `asktell.Client`.
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
            grpc.aio.secure_channel(target, credentials, options)
            if credentials
            else grpc.aio.insecure_channel(target, options)
        )
        metadata = _core.metadata_of(api_key or os.environ.get("ASKTELL_API_KEY"))
        self._core = Core(AsyncWire(channel, metadata), target, retry, timeout)

    @property
    def target(self) -> str:
        return self._core.target

    create_session = _creates_session(calls.create_session)
    describe = _client_method(calls.describe)

    async def session(self, name: str) -> AsyncSession:
        """The session of this name. Raises NotFound."""
        return AsyncSession(self, await self._core.call(calls.get_session(name)))

    async def list_sessions(self, filter: str = "") -> list[SessionInfo]:
        """All sessions that match, such as ``'method = "tpe" AND state = RUNNING AND labels.team = "vision"'``."""
        return await self._core.pages(lambda token: calls.list_sessions_page(filter, token))

    async def methods(self, filter: str = "") -> list[Method]:
        """All methods and pruners that match, such as ``'family = "bayes"'``."""
        return await self._core.pages(lambda token: calls.list_methods_page(filter, token))

    async def import_session(self, path: str | os.PathLike[str], name: str = "") -> AsyncSession:
        """A session from an exported file, under its id or a new one."""
        return AsyncSession(self, await self._core.import_session(path, name))

    async def close(self) -> None:
        await self._core.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncSession:
    """A session on the server. Holds no state but `info`, so any number of processes may work on one session."""

    def __init__(self, client: AsyncClient, info: SessionInfo) -> None:
        self.client = client
        #: As of the last create, get, update or refresh.
        self.info = info
        self._core = client._core

    def __repr__(self) -> str:
        return f"AsyncSession({self.info.name!r}, method={self.info.method!r})"

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

    async def fork(
        self,
        *,
        revision: int = 0,
        name: str = "",
        config: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> AsyncSession:
        """A new session that begins as this one was at a revision (now, when 0), with mutable config changed."""
        call = calls.fork_session(self.info, revision=revision, name=name, config=config, request_id=request_id)
        return AsyncSession(self.client, await self._core.call(call))

    async def trials(self, filter: str = "") -> list[TrialRecord]:
        """All trials that match, such as ``"state = COMPLETED"``, by number."""
        return await self._core.pages(lambda token: calls.list_trials_page(self.info, filter, token))

    async def audit(self) -> list[AuditEntry]:
        """Who changed what by hand, oldest first."""
        return await self._core.pages(lambda token: calls.list_audit_page(self.info, token))

    def watch(self, after_revision: int = -1) -> AsyncIterator[WatchEvent]:
        """Events as they happen, from the one after a revision on, or only new ones. Reconnects; close it to stop."""
        return self._core.watch(self.info, after_revision)

    async def export(self, path: str | os.PathLike[str]) -> None:
        """Writes the session with all its history to a file, which `import_session` reads."""
        await self._core.export(self.info, path)

    def stream(self, encoding: Encoding = None) -> AsyncStream:
        """Opens a stream of steps: less work per message than `step`, and gradients of any size.

        Args:
            encoding: how tensors travel both ways, or a pair for gradients and for parameters: a dtype, or one of
                "block-int8", "sign" and "top-k" if the session was created with it. Gradients are then encoded with
                error feedback, and parameters sent as deltas.
        """
        return AsyncStream(self, encoding)


class AsyncStream:
    """Steps over one bidirectional call; see `asktell.Stream`. Use it in an ``async with`` statement."""

    def __init__(self, session: AsyncSession, encoding: Encoding = None) -> None:
        self.session = session
        self._defaults = stream_defaults(encoding, session.info.encodings)
        self._stream = StreamCore(session._core, session.info)

    step = _stream_method(calls.stream_step)

    async def close(self) -> None:
        await self._stream.close()

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
