from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Method(_message.Message):
    __slots__ = ("name", "id", "version", "family", "title", "summary", "references", "config_schema", "config_hash", "equations", "needs", "facts", "kind")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    CONFIG_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    CONFIG_HASH_FIELD_NUMBER: _ClassVar[int]
    EQUATIONS_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    name: str
    id: str
    version: int
    family: str
    title: str
    summary: str
    references: _containers.RepeatedCompositeFieldContainer[Reference]
    config_schema: _struct_pb2.Struct
    config_hash: str
    equations: _containers.RepeatedScalarFieldContainer[str]
    needs: _containers.RepeatedScalarFieldContainer[str]
    facts: Facts
    kind: str
    def __init__(self, name: _Optional[str] = ..., id: _Optional[str] = ..., version: _Optional[int] = ..., family: _Optional[str] = ..., title: _Optional[str] = ..., summary: _Optional[str] = ..., references: _Optional[_Iterable[_Union[Reference, _Mapping]]] = ..., config_schema: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., config_hash: _Optional[str] = ..., equations: _Optional[_Iterable[str]] = ..., needs: _Optional[_Iterable[str]] = ..., facts: _Optional[_Union[Facts, _Mapping]] = ..., kind: _Optional[str] = ...) -> None: ...

class Reference(_message.Message):
    __slots__ = ("authors", "title", "year", "url")
    AUTHORS_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    YEAR_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    authors: str
    title: str
    year: int
    url: str
    def __init__(self, authors: _Optional[str] = ..., title: _Optional[str] = ..., year: _Optional[int] = ..., url: _Optional[str] = ...) -> None: ...

class Facts(_message.Message):
    __slots__ = ("spaces", "parameters", "many_objectives", "constraints", "parallel", "invariances", "unsolicited", "warm_start")
    SPACES_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    MANY_OBJECTIVES_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    PARALLEL_FIELD_NUMBER: _ClassVar[int]
    INVARIANCES_FIELD_NUMBER: _ClassVar[int]
    UNSOLICITED_FIELD_NUMBER: _ClassVar[int]
    WARM_START_FIELD_NUMBER: _ClassVar[int]
    spaces: _containers.RepeatedScalarFieldContainer[str]
    parameters: _containers.RepeatedScalarFieldContainer[str]
    many_objectives: bool
    constraints: bool
    parallel: bool
    invariances: _containers.RepeatedScalarFieldContainer[str]
    unsolicited: bool
    warm_start: bool
    def __init__(self, spaces: _Optional[_Iterable[str]] = ..., parameters: _Optional[_Iterable[str]] = ..., many_objectives: bool = ..., constraints: bool = ..., parallel: bool = ..., invariances: _Optional[_Iterable[str]] = ..., unsolicited: bool = ..., warm_start: bool = ...) -> None: ...
