import datetime

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

class Curvature(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CURVATURE_UNSPECIFIED: _ClassVar[Curvature]
    CURVATURE_HESSIAN: _ClassVar[Curvature]
    CURVATURE_GAUSS_NEWTON: _ClassVar[Curvature]
    CURVATURE_FISHER: _ClassVar[Curvature]

class ObservationStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OBSERVATION_STATUS_UNSPECIFIED: _ClassVar[ObservationStatus]
    OBSERVATION_STATUS_OK: _ClassVar[ObservationStatus]
    OBSERVATION_STATUS_FAILED: _ClassVar[ObservationStatus]
    OBSERVATION_STATUS_INFEASIBLE: _ClassVar[ObservationStatus]
    OBSERVATION_STATUS_PRUNED: _ClassVar[ObservationStatus]
    OBSERVATION_STATUS_CANCELLED: _ClassVar[ObservationStatus]

class TrialState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRIAL_STATE_UNSPECIFIED: _ClassVar[TrialState]
    TRIAL_STATE_WAITING: _ClassVar[TrialState]
    TRIAL_STATE_RUNNING: _ClassVar[TrialState]
    TRIAL_STATE_COMPLETED: _ClassVar[TrialState]
    TRIAL_STATE_FAILED: _ClassVar[TrialState]
    TRIAL_STATE_INFEASIBLE: _ClassVar[TrialState]
    TRIAL_STATE_PRUNED: _ClassVar[TrialState]
    TRIAL_STATE_CANCELLED: _ClassVar[TrialState]
    TRIAL_STATE_DELETED: _ClassVar[TrialState]
CURVATURE_UNSPECIFIED: Curvature
CURVATURE_HESSIAN: Curvature
CURVATURE_GAUSS_NEWTON: Curvature
CURVATURE_FISHER: Curvature
OBSERVATION_STATUS_UNSPECIFIED: ObservationStatus
OBSERVATION_STATUS_OK: ObservationStatus
OBSERVATION_STATUS_FAILED: ObservationStatus
OBSERVATION_STATUS_INFEASIBLE: ObservationStatus
OBSERVATION_STATUS_PRUNED: ObservationStatus
OBSERVATION_STATUS_CANCELLED: ObservationStatus
TRIAL_STATE_UNSPECIFIED: TrialState
TRIAL_STATE_WAITING: TrialState
TRIAL_STATE_RUNNING: TrialState
TRIAL_STATE_COMPLETED: TrialState
TRIAL_STATE_FAILED: TrialState
TRIAL_STATE_INFEASIBLE: TrialState
TRIAL_STATE_PRUNED: TrialState
TRIAL_STATE_CANCELLED: TrialState
TRIAL_STATE_DELETED: TrialState

class Point(_message.Message):
    __slots__ = ("tensors", "params", "text", "item", "seeded")
    TENSORS_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    SEEDED_FIELD_NUMBER: _ClassVar[int]
    tensors: _tensor_pb2.Tensors
    params: _struct_pb2.Struct
    text: Text
    item: str
    seeded: Move
    def __init__(self, tensors: _Optional[_Union[_tensor_pb2.Tensors, _Mapping]] = ..., params: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., text: _Optional[_Union[Text, _Mapping]] = ..., item: _Optional[str] = ..., seeded: _Optional[_Union[Move, _Mapping]] = ...) -> None: ...

class Move(_message.Message):
    __slots__ = ("normal", "signs", "scale", "alone")
    NORMAL_FIELD_NUMBER: _ClassVar[int]
    SIGNS_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    ALONE_FIELD_NUMBER: _ClassVar[int]
    normal: int
    signs: int
    scale: float
    alone: bool
    def __init__(self, normal: _Optional[int] = ..., signs: _Optional[int] = ..., scale: _Optional[float] = ..., alone: bool = ...) -> None: ...

class Iterate(_message.Message):
    __slots__ = ("step", "last")
    STEP_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    step: int
    last: _containers.RepeatedCompositeFieldContainer[Move]
    def __init__(self, step: _Optional[int] = ..., last: _Optional[_Iterable[_Union[Move, _Mapping]]] = ...) -> None: ...

class Text(_message.Message):
    __slots__ = ("components",)
    class ComponentsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    components: _containers.ScalarMap[str, str]
    def __init__(self, components: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Query(_message.Message):
    __slots__ = ("id", "points", "wants", "sample_key", "purpose", "trial", "lease_until", "attempt", "repeats", "iterate", "parent")
    ID_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    WANTS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_KEY_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    LEASE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REPEATS_FIELD_NUMBER: _ClassVar[int]
    ITERATE_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    points: _containers.RepeatedCompositeFieldContainer[Point]
    wants: _containers.RepeatedCompositeFieldContainer[Want]
    sample_key: str
    purpose: str
    trial: int
    lease_until: _timestamp_pb2.Timestamp
    attempt: int
    repeats: int
    iterate: Iterate
    parent: int
    def __init__(self, id: _Optional[str] = ..., points: _Optional[_Iterable[_Union[Point, _Mapping]]] = ..., wants: _Optional[_Iterable[_Union[Want, _Mapping]]] = ..., sample_key: _Optional[str] = ..., purpose: _Optional[str] = ..., trial: _Optional[int] = ..., lease_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempt: _Optional[int] = ..., repeats: _Optional[int] = ..., iterate: _Optional[_Union[Iterate, _Mapping]] = ..., parent: _Optional[int] = ...) -> None: ...

class Want(_message.Message):
    __slots__ = ("value", "gradient", "ranking", "completion", "score", "directional", "terms", "hvp", "quantities")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    GRADIENT_FIELD_NUMBER: _ClassVar[int]
    RANKING_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    DIRECTIONAL_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    HVP_FIELD_NUMBER: _ClassVar[int]
    QUANTITIES_FIELD_NUMBER: _ClassVar[int]
    value: ValueWant
    gradient: GradientWant
    ranking: RankingWant
    completion: CompletionWant
    score: ScoreWant
    directional: DirectionalWant
    terms: TermsWant
    hvp: HvpWant
    quantities: QuantitiesWant
    def __init__(self, value: _Optional[_Union[ValueWant, _Mapping]] = ..., gradient: _Optional[_Union[GradientWant, _Mapping]] = ..., ranking: _Optional[_Union[RankingWant, _Mapping]] = ..., completion: _Optional[_Union[CompletionWant, _Mapping]] = ..., score: _Optional[_Union[ScoreWant, _Mapping]] = ..., directional: _Optional[_Union[DirectionalWant, _Mapping]] = ..., terms: _Optional[_Union[TermsWant, _Mapping]] = ..., hvp: _Optional[_Union[HvpWant, _Mapping]] = ..., quantities: _Optional[_Union[QuantitiesWant, _Mapping]] = ...) -> None: ...

class ValueWant(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GradientWant(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RankingWant(_message.Message):
    __slots__ = ("top",)
    TOP_FIELD_NUMBER: _ClassVar[int]
    top: int
    def __init__(self, top: _Optional[int] = ...) -> None: ...

class CompletionWant(_message.Message):
    __slots__ = ("purpose", "messages", "count", "temperature", "max_tokens")
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    purpose: str
    messages: _containers.RepeatedCompositeFieldContainer[ChatMessage]
    count: int
    temperature: float
    max_tokens: int
    def __init__(self, purpose: _Optional[str] = ..., messages: _Optional[_Iterable[_Union[ChatMessage, _Mapping]]] = ..., count: _Optional[int] = ..., temperature: _Optional[float] = ..., max_tokens: _Optional[int] = ...) -> None: ...

class ChatMessage(_message.Message):
    __slots__ = ("role", "content")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    role: str
    content: str
    def __init__(self, role: _Optional[str] = ..., content: _Optional[str] = ...) -> None: ...

class ScoreWant(_message.Message):
    __slots__ = ("examples",)
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    examples: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, examples: _Optional[_Iterable[int]] = ...) -> None: ...

class DirectionalWant(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TermsWant(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class HvpWant(_message.Message):
    __slots__ = ("curvature",)
    CURVATURE_FIELD_NUMBER: _ClassVar[int]
    curvature: Curvature
    def __init__(self, curvature: _Optional[_Union[Curvature, str]] = ...) -> None: ...

class QuantitiesWant(_message.Message):
    __slots__ = ("quantities",)
    QUANTITIES_FIELD_NUMBER: _ClassVar[int]
    quantities: _containers.RepeatedCompositeFieldContainer[Quantity]
    def __init__(self, quantities: _Optional[_Iterable[_Union[Quantity, _Mapping]]] = ...) -> None: ...

class Quantity(_message.Message):
    __slots__ = ("name", "shape", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    description: str
    def __init__(self, name: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., description: _Optional[str] = ...) -> None: ...

class Observation(_message.Message):
    __slots__ = ("query_id", "status", "values", "noise", "constraints", "gradients", "ranking", "completions", "scores", "usage", "message", "point", "derivatives", "terms", "products", "quantities")
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    NOISE_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    GRADIENTS_FIELD_NUMBER: _ClassVar[int]
    RANKING_FIELD_NUMBER: _ClassVar[int]
    COMPLETIONS_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    DERIVATIVES_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    QUANTITIES_FIELD_NUMBER: _ClassVar[int]
    query_id: str
    status: ObservationStatus
    values: _containers.RepeatedCompositeFieldContainer[Numbers]
    noise: _containers.RepeatedCompositeFieldContainer[Numbers]
    constraints: _containers.RepeatedCompositeFieldContainer[Numbers]
    gradients: _containers.RepeatedCompositeFieldContainer[_tensor_pb2.Tensors]
    ranking: Ranking
    completions: _containers.RepeatedScalarFieldContainer[str]
    scores: _containers.RepeatedCompositeFieldContainer[Score]
    usage: Usage
    message: str
    point: Point
    derivatives: _containers.RepeatedScalarFieldContainer[float]
    terms: _containers.RepeatedCompositeFieldContainer[Terms]
    products: _containers.RepeatedCompositeFieldContainer[_tensor_pb2.Tensors]
    quantities: _containers.RepeatedCompositeFieldContainer[_tensor_pb2.Tensors]
    def __init__(self, query_id: _Optional[str] = ..., status: _Optional[_Union[ObservationStatus, str]] = ..., values: _Optional[_Iterable[_Union[Numbers, _Mapping]]] = ..., noise: _Optional[_Iterable[_Union[Numbers, _Mapping]]] = ..., constraints: _Optional[_Iterable[_Union[Numbers, _Mapping]]] = ..., gradients: _Optional[_Iterable[_Union[_tensor_pb2.Tensors, _Mapping]]] = ..., ranking: _Optional[_Union[Ranking, _Mapping]] = ..., completions: _Optional[_Iterable[str]] = ..., scores: _Optional[_Iterable[_Union[Score, _Mapping]]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., message: _Optional[str] = ..., point: _Optional[_Union[Point, _Mapping]] = ..., derivatives: _Optional[_Iterable[float]] = ..., terms: _Optional[_Iterable[_Union[Terms, _Mapping]]] = ..., products: _Optional[_Iterable[_Union[_tensor_pb2.Tensors, _Mapping]]] = ..., quantities: _Optional[_Iterable[_Union[_tensor_pb2.Tensors, _Mapping]]] = ...) -> None: ...

class Numbers(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class Ranking(_message.Message):
    __slots__ = ("ties",)
    TIES_FIELD_NUMBER: _ClassVar[int]
    ties: _containers.RepeatedCompositeFieldContainer[Tie]
    def __init__(self, ties: _Optional[_Iterable[_Union[Tie, _Mapping]]] = ...) -> None: ...

class Tie(_message.Message):
    __slots__ = ("points",)
    POINTS_FIELD_NUMBER: _ClassVar[int]
    points: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, points: _Optional[_Iterable[int]] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("score", "examples", "outputs")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    score: float
    examples: _containers.RepeatedScalarFieldContainer[float]
    outputs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, score: _Optional[float] = ..., examples: _Optional[_Iterable[float]] = ..., outputs: _Optional[_Iterable[str]] = ...) -> None: ...

class Terms(_message.Message):
    __slots__ = ("losses", "contributors")
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTORS_FIELD_NUMBER: _ClassVar[int]
    losses: _containers.RepeatedScalarFieldContainer[float]
    contributors: _containers.RepeatedCompositeFieldContainer[Groups]
    def __init__(self, losses: _Optional[_Iterable[float]] = ..., contributors: _Optional[_Iterable[_Union[Groups, _Mapping]]] = ...) -> None: ...

class Groups(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, ids: _Optional[_Iterable[int]] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("calls", "prompt_tokens", "completion_tokens", "money")
    CALLS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MONEY_FIELD_NUMBER: _ClassVar[int]
    calls: int
    prompt_tokens: int
    completion_tokens: int
    money: float
    def __init__(self, calls: _Optional[int] = ..., prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ..., money: _Optional[float] = ...) -> None: ...

class Trial(_message.Message):
    __slots__ = ("number", "query_id", "state", "params", "values", "intermediates", "create_time", "end_time", "message", "constraints", "parent")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    INTERMEDIATES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    number: int
    query_id: str
    state: TrialState
    params: _struct_pb2.Struct
    values: _containers.RepeatedScalarFieldContainer[float]
    intermediates: _containers.RepeatedCompositeFieldContainer[Intermediate]
    create_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    message: str
    constraints: _containers.RepeatedScalarFieldContainer[float]
    parent: int
    def __init__(self, number: _Optional[int] = ..., query_id: _Optional[str] = ..., state: _Optional[_Union[TrialState, str]] = ..., params: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., values: _Optional[_Iterable[float]] = ..., intermediates: _Optional[_Iterable[_Union[Intermediate, _Mapping]]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., message: _Optional[str] = ..., constraints: _Optional[_Iterable[float]] = ..., parent: _Optional[int] = ...) -> None: ...

class Intermediate(_message.Message):
    __slots__ = ("step", "value")
    STEP_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    step: int
    value: float
    def __init__(self, step: _Optional[int] = ..., value: _Optional[float] = ...) -> None: ...

class Short(_message.Message):
    __slots__ = ("reason", "retry_after")
    REASON_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    reason: str
    retry_after: _duration_pb2.Duration
    def __init__(self, reason: _Optional[str] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
