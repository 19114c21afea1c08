"""What the sync and the asyncio client share: retries, resumption, paging.

It is written once, as coroutines over a `Wire`. The asyncio client awaits them. The sync client's wire never
suspends, so `run` takes such a coroutine to its end in one go, without an event loop, in whatever thread it is called.
"""

from __future__ import annotations

import inspect
import os
import random
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Any,
    Callable,
    Protocol,
    TypeVar,
)

import grpc
from google.protobuf import message_factory
from google.protobuf.message import Message

from . import calls, codec, shared
from ._gen import service_pb2
from .calls import Call, Page, StreamStep
from .errors import AsktellError, FailedPrecondition, Unavailable, from_rpc, is_retryable
from .models import SessionInfo, Step, WatchEvent
from .shared import Lease, SharedMemory

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_TARGET = "127.0.0.1:7337"
#: Bytes of an exported session that are sent at once.
FILE_CHUNK_BYTES = 1 << 20


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError("a coroutine over a blocking wire suspended")


def iterate(items: AsyncIterator[T]) -> Iterator[T]:
    """The items of an asynchronous iterator that never suspends."""
    try:
        while True:
            try:
                item: T = run(items.__anext__())  # type: ignore[arg-type]
            except StopAsyncIteration:
                return
            yield item
    finally:
        run(items.aclose())  # type: ignore[attr-defined]


def document(build: Callable[..., Any], returns: str = "") -> Callable[[F], F]:
    """Gives a method the name, docs and arguments of the call that it is made of."""
    signature = inspect.signature(build)
    parameters = [p for p in signature.parameters.values() if p.name != "session" or p.kind is not p.POSITIONAL_ONLY]
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    parsed = str(signature.return_annotation).removeprefix("Call[").removesuffix("]")

    def adorn(method: F) -> F:
        method.__name__, method.__doc__ = build.__name__, build.__doc__
        method.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[this, *parameters], return_annotation=returns or parsed
        )
        return method

    return adorn


class Duplex(Protocol):
    """An open call that answers with several messages."""

    async def write(self, message: Message) -> None: ...

    async def read(self) -> Any | None:
        """The next message; None at the end. Raises grpc.RpcError."""

    async def cancel(self) -> None: ...


class Wire(Protocol):
    """One channel to a server, of the sync or the asyncio API of grpcio."""

    async def unary(self, method: str, request: Message | Iterable[Message], timeout: float | None) -> Any: ...

    def stream(self, method: str, request: Message | None) -> Duplex:
        """Opens a call; of a bidirectional one `request` is None."""

    async def sleep(self, seconds: float) -> None: ...

    async def close(self) -> None: ...


def stubs(channel: Any) -> dict[str, Any]:
    """The callables of the service by RPC name, for a sync or an asyncio channel."""
    service = service_pb2.DESCRIPTOR.services_by_name["Asktell"]
    found = {}
    for rpc in service.methods:
        kinds = ["stream" if streaming else "unary" for streaming in (rpc.client_streaming, rpc.server_streaming)]
        found[rpc.name] = getattr(channel, "_".join(kinds))(
            f"/{service.full_name}/{rpc.name}",
            request_serializer=message_factory.GetMessageClass(rpc.input_type).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(rpc.output_type).FromString,
        )
    return found


@dataclass(frozen=True)
class Retry:
    """When a call is sent again: if no server answered, or it was too busy. Mutations carry a request id, so that one
    which was applied although its answer got lost is not applied twice."""

    #: Seconds after the first attempt from which on an error is raised. 0 to never retry.
    limit: float = 60.0
    #: The same, for a client that has not had an answer yet: a wrong address should show soon.
    connect_limit: float = 10.0
    #: Seconds before the second attempt; doubled each time up to `longest`. Each wait is a random part of it.
    first: float = 0.05
    longest: float = 1.0


class Backoff:
    """The waits between the attempts of one call."""

    def __init__(self, retry: Retry, connected: bool) -> None:
        self.retry = retry
        self.next = retry.first
        self.until = time.monotonic() + (retry.limit if connected else min(retry.limit, retry.connect_limit))

    def after(self, failure: grpc.RpcError) -> float:
        """Seconds to wait after a failed attempt. Raises the typed error when there should be no other."""
        error = from_rpc(failure)
        # Random, so that a server that comes back is not hit by all clients at once.
        wait = max(self.next * random.uniform(0.5, 1.0), error.retry_after or 0.0)
        if is_retryable(error) and time.monotonic() + wait < self.until:
            self.next = min(2 * self.next, self.retry.longest)
            return wait
        # The typed error says it all; grpcio's own would only lengthen the traceback.
        raise error from None


class Core:
    """Calls with retries. `timeout` is the seconds one attempt may take, beside what the server waits on purpose."""

    def __init__(self, wire: Wire, target: str, retry: Retry | None, timeout: float | None) -> None:
        self.wire = wire
        self.target = target
        self.retry = retry or Retry()
        self.timeout = timeout
        self.connected = False
        #: Shared with the server, and the call that it lasts as long as; none while `shares` is not known or False.
        self.memory: SharedMemory | None = None
        self._memory_call: Duplex | None = None
        self.shares = True
        self._sharing = threading.Lock()

    async def lease(self, call: Call[Any], tells: bool) -> Lease | None:
        """Room in memory that is shared with the server, for tensors of a call and of its answer."""
        answers = getattr(call.request, "count", -1) >= 0 and not call.request.omit_tensors
        if call.bulk < shared.LEAST or not self.shares or not (tells or answers):
            return None
        if self.memory is None or self.memory.slot_bytes < call.bulk:
            # Others go on without it until it is there.
            if not self._sharing.acquire(blocking=False):
                return None
            try:
                await self._share(call.bulk)
            finally:
                self._sharing.release()
        memory = self.memory
        return memory.lease(tells, answers) if memory is not None else None

    async def _share(self, size: int) -> None:
        await self.unshare()
        opened = self.wire.stream("ShareMemory", shared.request_for(size))
        try:
            offer = await opened.read()
            if offer is None:
                raise StreamEnded
            self.memory, self._memory_call = SharedMemory(offer), opened
        except grpc.RpcError as failure:
            # A server that cannot be reached may share memory later.
            self.shares = is_retryable(from_rpc(failure))
        except (OSError, ValueError):
            # It is on another host, or runs for another user.
            self.shares = False
            await opened.cancel()

    async def unshare(self) -> None:
        opened, self._memory_call, self.memory = self._memory_call, None, None
        if opened is not None:
            await opened.cancel()

    async def close(self) -> None:
        await self.unshare()
        await self.wire.close()

    def backoff(self) -> Backoff:
        return Backoff(self.retry, self.connected)

    async def attempt(self, backoff: Backoff, send: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of `send`, sent until it works."""
        while True:
            try:
                result = await send()
            except grpc.RpcError as failure:
                try:
                    await self.wire.sleep(backoff.after(failure))
                except Unavailable as error:
                    if not self.connected:
                        error.args = (f"{error.message} (is there a server at {self.target}?)",)
                        error.message = error.args[0]
                    raise
            else:
                self.connected = True
                return result

    async def call(self, call: Call[T]) -> T:
        timeout = None if self.timeout is None else self.timeout + call.wait

        async def send() -> Any:
            return await self.wire.unary(call.method, call.request, timeout)

        lease = await self.lease(call, len(getattr(call.request, "observations", ())) > 0) if call.bulk else None
        if lease is None:
            return call.parse(await self.attempt(self.backoff(), send))
        try:
            shared.share(call.request, lease)
            try:
                response = await self.attempt(self.backoff(), send)
            except FailedPrecondition as error:
                await self.lose(error)
                shared.unshare(call.request, lease)
                response = await self.attempt(self.backoff(), send)
            with shared.reading(lease):
                return call.parse(response)
        finally:
            lease.release()

    async def lose(self, error: AsktellError) -> None:
        """Goes on without the memory if that is what the error says; else raises it."""
        if error.reason != "SHARED_MEMORY_LOST":
            raise error
        await self.unshare()

    async def pages(self, page: Callable[[str], Call[Page[T]]]) -> list[T]:
        """The items of all pages."""
        items: list[T] = []
        token = ""
        while True:
            part = await self.call(page(token))
            items += part.items
            token = part.next_page_token
            if not token:
                return items

    async def watch(self, session: SessionInfo, after_revision: int) -> AsyncIterator[WatchEvent]:
        """Events, each once: after a lost connection it goes on after the last one seen."""
        # "From now on" is pinned to a revision, so that nothing is missed while a connection is lost.
        last = after_revision if after_revision >= 0 else (await self.call(calls.get_session(session.name))).revision
        backoff = self.backoff()
        # Events of a revision that is not complete yet; after a lost connection it is sent again from its first one.
        seen = 0
        while True:
            stream = self.wire.stream("Watch", calls.watch(session, last))
            skip = seen
            try:
                while True:
                    event = await stream.read()
                    if event is None:
                        return
                    backoff = self.backoff()
                    if skip:
                        skip -= 1
                        continue
                    if event.more:
                        seen += 1
                    else:
                        last, seen = event.revision, 0
                    yield codec.parse_event(event)
            except grpc.RpcError as failure:
                await self.wire.sleep(backoff.after(failure))
            finally:
                await stream.cancel()

    async def export(self, session: SessionInfo, path: str | os.PathLike[str]) -> None:
        """Writes the file at once or not at all."""
        target = Path(path)

        async def receive(file: Any) -> None:
            file.seek(0)
            file.truncate()
            stream = self.wire.stream("ExportSession", calls.export(session))
            try:
                while True:
                    chunk = await stream.read()
                    if chunk is None:
                        return
                    file.write(chunk.data)
            finally:
                await stream.cancel()

        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            try:
                await self.attempt(self.backoff(), lambda: receive(file))
            except BaseException:
                file.close()
                os.unlink(file.name)
                raise
        os.replace(file.name, target)

    async def import_session(self, path: str | os.PathLike[str], name: str) -> SessionInfo:
        request_id = calls.new_request_id()

        async def send() -> Any:
            with open(path, "rb") as file:
                chunks = iter(lambda: file.read(FILE_CHUNK_BYTES), b"")
                return await self.wire.unary("ImportSession", calls.import_session(chunks, name, request_id), None)

        return codec.parse_session(await self.attempt(self.backoff(), send))


class StreamCore:
    """The Optimize stream, one step at a time. A lost connection is opened again and the step under way sent again
    with its request id, so it is applied once."""

    def __init__(self, core: Core, session: SessionInfo) -> None:
        self.core = core
        self.session = session
        self.open: Duplex | None = None

    async def step(self, step: StreamStep) -> Step:
        core = self.core
        lease = await core.lease(step.call, len(step.told) > 0)
        if lease is None:
            return step.call.parse(await core.attempt(core.backoff(), lambda: self.send(step)))
        try:
            request = step.shared(lease)
            try:
                response = await core.attempt(core.backoff(), lambda: self.send(step, request))
            except FailedPrecondition as error:
                await core.lose(error)
                response = await core.attempt(core.backoff(), lambda: self.send(step))
            with shared.reading(lease):
                return step.call.parse(response)
        finally:
            lease.release()

    async def send(self, step: StreamStep, shared: service_pb2.StepRequest | None = None) -> Any:
        fresh = self.open is None
        stream = self.open = self.open or self.core.wire.stream("Optimize", None)
        try:
            for message in step.messages(fresh, shared):
                await stream.write(message)
            for _ in range(step.answers(fresh, shared)):
                answer = await stream.read()
                if answer is None:
                    raise StreamEnded
        except BaseException:
            await self.close()
            raise
        return answer

    async def close(self) -> None:
        stream, self.open = self.open, None
        if stream is not None:
            await stream.cancel()


class StreamEnded(grpc.RpcError):
    """A stream was over while an answer was due."""

    @staticmethod
    def code() -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    @staticmethod
    def details() -> str:
        return "the stream ended, or its connection was lost"

    @staticmethod
    def trailing_metadata() -> tuple[()]:
        return ()


def channel_options() -> Sequence[tuple[str, Any]]:
    return (
        # Tensors may be large; the server has its own limits.
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        # Come back soon after a restart of the server: grpcio's own default grows to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 500),
        # A client has a connection of its own, not one shared with others of the same process.
        ("grpc.use_local_subchannel_pool", 1),
        # A peer that vanished without a goodbye is noticed.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    )


def credentials_of(tls: bool | bytes | grpc.ChannelCredentials) -> grpc.ChannelCredentials | None:
    """None for a plain connection; `bytes` are the PEM of the certificates to trust."""
    if isinstance(tls, bytes):
        return grpc.ssl_channel_credentials(tls)
    if isinstance(tls, bool):
        return grpc.ssl_channel_credentials() if tls else None
    return tls


def metadata_of(api_key: str | None) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {api_key}"),) if api_key else ()
