"""Calls that read what methods there are."""

from __future__ import annotations

from .. import codec
from .._gen import service_pb2
from ..models import (
    Method,
)
from .call import Call, Page, page_of


def list_methods_page(filter: str = "", page_token: str = "", page_size: int = 0) -> Call[Page[Method]]:
    request = service_pb2.ListMethodsRequest(page_size=page_size, page_token=page_token, filter=filter)
    return Call("ListMethods", request, page_of("methods", codec.parse_method))


def describe(method: str) -> Call[Method]:
    """All that is known of a method: config schema, equations, references, what it can handle.

    Raises:
        NotFound: METHOD_NOT_FOUND.
    """
    name = method if method.startswith("methods/") else f"methods/{method}"
    return Call("GetMethod", service_pb2.GetMethodRequest(name=name), codec.parse_method)
