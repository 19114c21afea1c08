"""A call before it is made: its request, and the parser of its response."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Callable, Generic, Protocol, TypeVar

T = TypeVar("T")


class Named(Protocol):
    """A session of either client, or what is known of it."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Call(Generic[T]):
    #: Name of the RPC in the service.
    method: str
    request: Any
    parse: Callable[[Any], T]
    #: Seconds that the server may hold the call back on purpose.
    wait: float = 0.0
    #: Bytes of the session's tensors, which the request or its answer may hold.
    bulk: int = 0


@dataclass(frozen=True)
class Page(Generic[T]):
    items: tuple[T, ...]
    #: Empty on the last page.
    next_page_token: str


def page_of(field: str, parse: Callable[[Any], T]) -> Callable[[Any], Page[T]]:
    return lambda response: Page(tuple(map(parse, getattr(response, field))), response.next_page_token)


def new_request_id() -> str:
    """72 random bits: a session remembers some thousands, and a step of seeds is hardly longer."""
    return secrets.token_urlsafe(9)
