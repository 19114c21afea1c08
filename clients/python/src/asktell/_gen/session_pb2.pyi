import datetime

from . import query_pb2 as _query_pb2
from . import space_pb2 as _space_pb2
from . import tensor_pb2 as _tensor_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTION_UNSPECIFIED: _ClassVar[Direction]
    DIRECTION_MINIMIZE: _ClassVar[Direction]
    DIRECTION_MAXIMIZE: _ClassVar[Direction]

class SessionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_STATE_UNSPECIFIED: _ClassVar[SessionState]
    SESSION_STATE_RUNNING: _ClassVar[SessionState]
    SESSION_STATE_DONE: _ClassVar[SessionState]
    SESSION_STATE_PAUSED: _ClassVar[SessionState]

class Durability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DURABILITY_UNSPECIFIED: _ClassVar[Durability]
    DURABILITY_JOURNAL: _ClassVar[Durability]
    DURABILITY_SNAPSHOT: _ClassVar[Durability]
DIRECTION_UNSPECIFIED: Direction
DIRECTION_MINIMIZE: Direction
DIRECTION_MAXIMIZE: Direction
SESSION_STATE_UNSPECIFIED: SessionState
SESSION_STATE_RUNNING: SessionState
SESSION_STATE_DONE: SessionState
SESSION_STATE_PAUSED: SessionState
DURABILITY_UNSPECIFIED: Durability
DURABILITY_JOURNAL: Durability
DURABILITY_SNAPSHOT: Durability

class Objective(_message.Message):
    __slots__ = ("name", "direction")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    direction: Direction
    def __init__(self, name: _Optional[str] = ..., direction: _Optional[_Union[Direction, str]] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("max_evaluations", "max_calls", "max_tokens", "max_money")
    MAX_EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    MAX_CALLS_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_MONEY_FIELD_NUMBER: _ClassVar[int]
    max_evaluations: int
    max_calls: int
    max_tokens: int
    max_money: float
    def __init__(self, max_evaluations: _Optional[int] = ..., max_calls: _Optional[int] = ..., max_tokens: _Optional[int] = ..., max_money: _Optional[float] = ...) -> None: ...

class PrunerSpec(_message.Message):
    __slots__ = ("method", "config")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    method: str
    config: _struct_pb2.Struct
    def __init__(self, method: _Optional[str] = ..., config: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Task(_message.Message):
    __slots__ = ("description", "examples")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    description: str
    examples: _containers.RepeatedCompositeFieldContainer[Example]
    def __init__(self, description: _Optional[str] = ..., examples: _Optional[_Iterable[_Union[Example, _Mapping]]] = ...) -> None: ...

class Example(_message.Message):
    __slots__ = ("input", "expected")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    input: str
    expected: str
    def __init__(self, input: _Optional[str] = ..., expected: _Optional[str] = ...) -> None: ...

class Resolver(_message.Message):
    __slots__ = ("endpoint", "model")
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    endpoint: str
    model: str
    def __init__(self, endpoint: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class Encodings(_message.Message):
    __slots__ = ("gradients", "parameters", "density")
    GRADIENTS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    DENSITY_FIELD_NUMBER: _ClassVar[int]
    gradients: _containers.RepeatedScalarFieldContainer[_tensor_pb2.Dtype]
    parameters: _containers.RepeatedScalarFieldContainer[_tensor_pb2.Dtype]
    density: float
    def __init__(self, gradients: _Optional[_Iterable[_Union[_tensor_pb2.Dtype, str]]] = ..., parameters: _Optional[_Iterable[_Union[_tensor_pb2.Dtype, str]]] = ..., density: _Optional[float] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ("name", "display_name", "method", "config", "space", "objectives", "constraints", "task", "pruner", "budget", "durability", "resolver", "seed", "lease", "labels", "offers", "encodings", "prefetch", "warm_start_from", "state", "status_message", "revision", "config_hash", "create_time", "update_time", "counts", "usage", "forked_from", "state_hash")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    SPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVES_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    PRUNER_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    RESOLVER_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    ENCODINGS_FIELD_NUMBER: _ClassVar[int]
    PREFETCH_FIELD_NUMBER: _ClassVar[int]
    WARM_START_FROM_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATUS_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CONFIG_HASH_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    FORKED_FROM_FIELD_NUMBER: _ClassVar[int]
    STATE_HASH_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    method: str
    config: _struct_pb2.Struct
    space: _space_pb2.Space
    objectives: _containers.RepeatedCompositeFieldContainer[Objective]
    constraints: _containers.RepeatedScalarFieldContainer[str]
    task: Task
    pruner: PrunerSpec
    budget: Budget
    durability: Durability
    resolver: Resolver
    seed: int
    lease: _duration_pb2.Duration
    labels: _containers.ScalarMap[str, str]
    offers: _containers.RepeatedScalarFieldContainer[str]
    encodings: Encodings
    prefetch: int
    warm_start_from: _containers.RepeatedScalarFieldContainer[str]
    state: SessionState
    status_message: str
    revision: int
    config_hash: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    counts: Counts
    usage: _query_pb2.Usage
    forked_from: str
    state_hash: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., method: _Optional[str] = ..., config: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., space: _Optional[_Union[_space_pb2.Space, _Mapping]] = ..., objectives: _Optional[_Iterable[_Union[Objective, _Mapping]]] = ..., constraints: _Optional[_Iterable[str]] = ..., task: _Optional[_Union[Task, _Mapping]] = ..., pruner: _Optional[_Union[PrunerSpec, _Mapping]] = ..., budget: _Optional[_Union[Budget, _Mapping]] = ..., durability: _Optional[_Union[Durability, str]] = ..., resolver: _Optional[_Union[Resolver, _Mapping]] = ..., seed: _Optional[int] = ..., lease: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., offers: _Optional[_Iterable[str]] = ..., encodings: _Optional[_Union[Encodings, _Mapping]] = ..., prefetch: _Optional[int] = ..., warm_start_from: _Optional[_Iterable[str]] = ..., state: _Optional[_Union[SessionState, str]] = ..., status_message: _Optional[str] = ..., revision: _Optional[int] = ..., config_hash: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., counts: _Optional[_Union[Counts, _Mapping]] = ..., usage: _Optional[_Union[_query_pb2.Usage, _Mapping]] = ..., forked_from: _Optional[str] = ..., state_hash: _Optional[str] = ...) -> None: ...

class Counts(_message.Message):
    __slots__ = ("asked", "told", "open", "failed", "pruned")
    ASKED_FIELD_NUMBER: _ClassVar[int]
    TOLD_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    PRUNED_FIELD_NUMBER: _ClassVar[int]
    asked: int
    told: int
    open: int
    failed: int
    pruned: int
    def __init__(self, asked: _Optional[int] = ..., told: _Optional[int] = ..., open: _Optional[int] = ..., failed: _Optional[int] = ..., pruned: _Optional[int] = ...) -> None: ...

class Estimate(_message.Message):
    __slots__ = ("kind", "points", "step", "metrics", "revision")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    kind: str
    points: _containers.RepeatedCompositeFieldContainer[EstimatePoint]
    step: int
    metrics: _containers.ScalarMap[str, float]
    revision: int
    def __init__(self, kind: _Optional[str] = ..., points: _Optional[_Iterable[_Union[EstimatePoint, _Mapping]]] = ..., step: _Optional[int] = ..., metrics: _Optional[_Mapping[str, float]] = ..., revision: _Optional[int] = ...) -> None: ...

class EstimatePoint(_message.Message):
    __slots__ = ("point", "values", "trial")
    POINT_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    point: _query_pb2.Point
    values: _containers.RepeatedScalarFieldContainer[float]
    trial: int
    def __init__(self, point: _Optional[_Union[_query_pb2.Point, _Mapping]] = ..., values: _Optional[_Iterable[float]] = ..., trial: _Optional[int] = ...) -> None: ...

class WatchEvent(_message.Message):
    __slots__ = ("revision", "time", "type", "query_id", "trial", "status", "values", "best", "metrics", "message", "more")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    BEST_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    revision: int
    time: _timestamp_pb2.Timestamp
    type: str
    query_id: str
    trial: int
    status: _query_pb2.ObservationStatus
    values: _containers.RepeatedScalarFieldContainer[float]
    best: float
    metrics: _containers.ScalarMap[str, float]
    message: str
    more: bool
    def __init__(self, revision: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., type: _Optional[str] = ..., query_id: _Optional[str] = ..., trial: _Optional[int] = ..., status: _Optional[_Union[_query_pb2.ObservationStatus, str]] = ..., values: _Optional[_Iterable[float]] = ..., best: _Optional[float] = ..., metrics: _Optional[_Mapping[str, float]] = ..., message: _Optional[str] = ..., more: bool = ...) -> None: ...

class AuditEntry(_message.Message):
    __slots__ = ("revision", "time", "principal", "action", "trial", "reason", "before", "after")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    revision: int
    time: _timestamp_pb2.Timestamp
    principal: str
    action: str
    trial: int
    reason: str
    before: _struct_pb2.Struct
    after: _struct_pb2.Struct
    def __init__(self, revision: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., principal: _Optional[str] = ..., action: _Optional[str] = ..., trial: _Optional[int] = ..., reason: _Optional[str] = ..., before: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., after: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...
