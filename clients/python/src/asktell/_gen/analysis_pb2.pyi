import datetime

from . import query_pb2 as _query_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AnalysisKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ANALYSIS_KIND_UNSPECIFIED: _ClassVar[AnalysisKind]
    ANALYSIS_KIND_HISTORY: _ClassVar[AnalysisKind]
    ANALYSIS_KIND_IMPORTANCES: _ClassVar[AnalysisKind]
    ANALYSIS_KIND_SLICES: _ClassVar[AnalysisKind]
    ANALYSIS_KIND_CONTOUR: _ClassVar[AnalysisKind]
    ANALYSIS_KIND_PARALLEL_COORDINATES: _ClassVar[AnalysisKind]
    ANALYSIS_KIND_EDF: _ClassVar[AnalysisKind]
    ANALYSIS_KIND_PARETO: _ClassVar[AnalysisKind]
    ANALYSIS_KIND_TIMELINE: _ClassVar[AnalysisKind]
    ANALYSIS_KIND_CROSS_VALIDATION: _ClassVar[AnalysisKind]
    ANALYSIS_KIND_PREDICTION: _ClassVar[AnalysisKind]

class ImportanceMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IMPORTANCE_METHOD_UNSPECIFIED: _ClassVar[ImportanceMethod]
    IMPORTANCE_METHOD_PED_ANOVA: _ClassVar[ImportanceMethod]
    IMPORTANCE_METHOD_FANOVA: _ClassVar[ImportanceMethod]
    IMPORTANCE_METHOD_SOBOL: _ClassVar[ImportanceMethod]
ANALYSIS_KIND_UNSPECIFIED: AnalysisKind
ANALYSIS_KIND_HISTORY: AnalysisKind
ANALYSIS_KIND_IMPORTANCES: AnalysisKind
ANALYSIS_KIND_SLICES: AnalysisKind
ANALYSIS_KIND_CONTOUR: AnalysisKind
ANALYSIS_KIND_PARALLEL_COORDINATES: AnalysisKind
ANALYSIS_KIND_EDF: AnalysisKind
ANALYSIS_KIND_PARETO: AnalysisKind
ANALYSIS_KIND_TIMELINE: AnalysisKind
ANALYSIS_KIND_CROSS_VALIDATION: AnalysisKind
ANALYSIS_KIND_PREDICTION: AnalysisKind
IMPORTANCE_METHOD_UNSPECIFIED: ImportanceMethod
IMPORTANCE_METHOD_PED_ANOVA: ImportanceMethod
IMPORTANCE_METHOD_FANOVA: ImportanceMethod
IMPORTANCE_METHOD_SOBOL: ImportanceMethod

class AnalyzeSessionRequest(_message.Message):
    __slots__ = ("name", "kinds", "objective", "parameters", "importance_method", "quantile", "resolution", "points", "reference", "charts")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    IMPORTANCE_METHOD_FIELD_NUMBER: _ClassVar[int]
    QUANTILE_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    CHARTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    kinds: _containers.RepeatedScalarFieldContainer[AnalysisKind]
    objective: str
    parameters: _containers.RepeatedScalarFieldContainer[str]
    importance_method: ImportanceMethod
    quantile: float
    resolution: int
    points: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Struct]
    reference: _containers.RepeatedScalarFieldContainer[float]
    charts: bool
    def __init__(self, name: _Optional[str] = ..., kinds: _Optional[_Iterable[_Union[AnalysisKind, str]]] = ..., objective: _Optional[str] = ..., parameters: _Optional[_Iterable[str]] = ..., importance_method: _Optional[_Union[ImportanceMethod, str]] = ..., quantile: _Optional[float] = ..., resolution: _Optional[int] = ..., points: _Optional[_Iterable[_Union[_struct_pb2.Struct, _Mapping]]] = ..., reference: _Optional[_Iterable[float]] = ..., charts: bool = ...) -> None: ...

class Analysis(_message.Message):
    __slots__ = ("revision", "objective", "trials", "history", "importances", "slices", "contour", "parallel_coordinates", "edf", "pareto", "timeline", "cross_validation", "predictions", "left_out", "charts")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    IMPORTANCES_FIELD_NUMBER: _ClassVar[int]
    SLICES_FIELD_NUMBER: _ClassVar[int]
    CONTOUR_FIELD_NUMBER: _ClassVar[int]
    PARALLEL_COORDINATES_FIELD_NUMBER: _ClassVar[int]
    EDF_FIELD_NUMBER: _ClassVar[int]
    PARETO_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    CROSS_VALIDATION_FIELD_NUMBER: _ClassVar[int]
    PREDICTIONS_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    CHARTS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    objective: str
    trials: int
    history: _containers.RepeatedCompositeFieldContainer[HistoryStep]
    importances: Importances
    slices: _containers.RepeatedCompositeFieldContainer[Slice]
    contour: Contour
    parallel_coordinates: ParallelCoordinates
    edf: Edf
    pareto: Pareto
    timeline: _containers.RepeatedCompositeFieldContainer[TimelineEntry]
    cross_validation: CrossValidation
    predictions: _containers.RepeatedCompositeFieldContainer[Prediction]
    left_out: _containers.RepeatedCompositeFieldContainer[LeftOut]
    charts: _containers.RepeatedCompositeFieldContainer[Chart]
    def __init__(self, revision: _Optional[int] = ..., objective: _Optional[str] = ..., trials: _Optional[int] = ..., history: _Optional[_Iterable[_Union[HistoryStep, _Mapping]]] = ..., importances: _Optional[_Union[Importances, _Mapping]] = ..., slices: _Optional[_Iterable[_Union[Slice, _Mapping]]] = ..., contour: _Optional[_Union[Contour, _Mapping]] = ..., parallel_coordinates: _Optional[_Union[ParallelCoordinates, _Mapping]] = ..., edf: _Optional[_Union[Edf, _Mapping]] = ..., pareto: _Optional[_Union[Pareto, _Mapping]] = ..., timeline: _Optional[_Iterable[_Union[TimelineEntry, _Mapping]]] = ..., cross_validation: _Optional[_Union[CrossValidation, _Mapping]] = ..., predictions: _Optional[_Iterable[_Union[Prediction, _Mapping]]] = ..., left_out: _Optional[_Iterable[_Union[LeftOut, _Mapping]]] = ..., charts: _Optional[_Iterable[_Union[Chart, _Mapping]]] = ...) -> None: ...

class HistoryStep(_message.Message):
    __slots__ = ("trial", "value", "best")
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    BEST_FIELD_NUMBER: _ClassVar[int]
    trial: int
    value: float
    best: float
    def __init__(self, trial: _Optional[int] = ..., value: _Optional[float] = ..., best: _Optional[float] = ...) -> None: ...

class Importances(_message.Message):
    __slots__ = ("method", "parameters")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    method: ImportanceMethod
    parameters: _containers.RepeatedCompositeFieldContainer[Importance]
    def __init__(self, method: _Optional[_Union[ImportanceMethod, str]] = ..., parameters: _Optional[_Iterable[_Union[Importance, _Mapping]]] = ...) -> None: ...

class Importance(_message.Message):
    __slots__ = ("parameter", "importance", "raw", "first_order")
    PARAMETER_FIELD_NUMBER: _ClassVar[int]
    IMPORTANCE_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    FIRST_ORDER_FIELD_NUMBER: _ClassVar[int]
    parameter: str
    importance: float
    raw: float
    first_order: float
    def __init__(self, parameter: _Optional[str] = ..., importance: _Optional[float] = ..., raw: _Optional[float] = ..., first_order: _Optional[float] = ...) -> None: ...

class Slice(_message.Message):
    __slots__ = ("parameter", "trials", "surrogate", "at")
    PARAMETER_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    SURROGATE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    parameter: str
    trials: _containers.RepeatedCompositeFieldContainer[SliceTrial]
    surrogate: _containers.RepeatedCompositeFieldContainer[SlicePoint]
    at: _struct_pb2.Struct
    def __init__(self, parameter: _Optional[str] = ..., trials: _Optional[_Iterable[_Union[SliceTrial, _Mapping]]] = ..., surrogate: _Optional[_Iterable[_Union[SlicePoint, _Mapping]]] = ..., at: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class SliceTrial(_message.Message):
    __slots__ = ("trial", "parameter_value", "value")
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    trial: int
    parameter_value: _struct_pb2.Value
    value: float
    def __init__(self, trial: _Optional[int] = ..., parameter_value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., value: _Optional[float] = ...) -> None: ...

class SlicePoint(_message.Message):
    __slots__ = ("parameter_value", "mean", "deviation")
    PARAMETER_VALUE_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    DEVIATION_FIELD_NUMBER: _ClassVar[int]
    parameter_value: _struct_pb2.Value
    mean: float
    deviation: float
    def __init__(self, parameter_value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., mean: _Optional[float] = ..., deviation: _Optional[float] = ...) -> None: ...

class Contour(_message.Message):
    __slots__ = ("x", "y", "x_values", "y_values", "means", "deviations", "trials", "at")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    X_VALUES_FIELD_NUMBER: _ClassVar[int]
    Y_VALUES_FIELD_NUMBER: _ClassVar[int]
    MEANS_FIELD_NUMBER: _ClassVar[int]
    DEVIATIONS_FIELD_NUMBER: _ClassVar[int]
    TRIALS_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    x: str
    y: str
    x_values: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    y_values: _containers.RepeatedCompositeFieldContainer[_struct_pb2.Value]
    means: _containers.RepeatedScalarFieldContainer[float]
    deviations: _containers.RepeatedScalarFieldContainer[float]
    trials: _containers.RepeatedCompositeFieldContainer[ContourTrial]
    at: _struct_pb2.Struct
    def __init__(self, x: _Optional[str] = ..., y: _Optional[str] = ..., x_values: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping]]] = ..., y_values: _Optional[_Iterable[_Union[_struct_pb2.Value, _Mapping]]] = ..., means: _Optional[_Iterable[float]] = ..., deviations: _Optional[_Iterable[float]] = ..., trials: _Optional[_Iterable[_Union[ContourTrial, _Mapping]]] = ..., at: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class ContourTrial(_message.Message):
    __slots__ = ("trial", "x_value", "y_value", "value")
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    X_VALUE_FIELD_NUMBER: _ClassVar[int]
    Y_VALUE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    trial: int
    x_value: _struct_pb2.Value
    y_value: _struct_pb2.Value
    value: float
    def __init__(self, trial: _Optional[int] = ..., x_value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., y_value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., value: _Optional[float] = ...) -> None: ...

class ParallelCoordinates(_message.Message):
    __slots__ = ("parameters", "lines")
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    parameters: _containers.RepeatedScalarFieldContainer[str]
    lines: _containers.RepeatedCompositeFieldContainer[ParallelLine]
    def __init__(self, parameters: _Optional[_Iterable[str]] = ..., lines: _Optional[_Iterable[_Union[ParallelLine, _Mapping]]] = ...) -> None: ...

class ParallelLine(_message.Message):
    __slots__ = ("trial", "params", "coordinates", "value")
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    COORDINATES_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    trial: int
    params: _struct_pb2.Struct
    coordinates: _containers.RepeatedScalarFieldContainer[float]
    value: float
    def __init__(self, trial: _Optional[int] = ..., params: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., coordinates: _Optional[_Iterable[float]] = ..., value: _Optional[float] = ...) -> None: ...

class Edf(_message.Message):
    __slots__ = ("values", "fractions")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    FRACTIONS_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    fractions: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ..., fractions: _Optional[_Iterable[float]] = ...) -> None: ...

class Pareto(_message.Message):
    __slots__ = ("front", "hypervolumes", "reference")
    FRONT_FIELD_NUMBER: _ClassVar[int]
    HYPERVOLUMES_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    front: _containers.RepeatedCompositeFieldContainer[ParetoTrial]
    hypervolumes: _containers.RepeatedCompositeFieldContainer[HypervolumeStep]
    reference: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, front: _Optional[_Iterable[_Union[ParetoTrial, _Mapping]]] = ..., hypervolumes: _Optional[_Iterable[_Union[HypervolumeStep, _Mapping]]] = ..., reference: _Optional[_Iterable[float]] = ...) -> None: ...

class ParetoTrial(_message.Message):
    __slots__ = ("trial", "params", "values")
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    trial: int
    params: _struct_pb2.Struct
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, trial: _Optional[int] = ..., params: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., values: _Optional[_Iterable[float]] = ...) -> None: ...

class HypervolumeStep(_message.Message):
    __slots__ = ("trial", "hypervolume")
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    HYPERVOLUME_FIELD_NUMBER: _ClassVar[int]
    trial: int
    hypervolume: float
    def __init__(self, trial: _Optional[int] = ..., hypervolume: _Optional[float] = ...) -> None: ...

class TimelineEntry(_message.Message):
    __slots__ = ("trial", "state", "create_time", "end_time")
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    trial: int
    state: _query_pb2.TrialState
    create_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, trial: _Optional[int] = ..., state: _Optional[_Union[_query_pb2.TrialState, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CrossValidation(_message.Message):
    __slots__ = ("folds", "rmse", "explained", "coverage")
    FOLDS_FIELD_NUMBER: _ClassVar[int]
    RMSE_FIELD_NUMBER: _ClassVar[int]
    EXPLAINED_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    folds: _containers.RepeatedCompositeFieldContainer[Fold]
    rmse: float
    explained: float
    coverage: float
    def __init__(self, folds: _Optional[_Iterable[_Union[Fold, _Mapping]]] = ..., rmse: _Optional[float] = ..., explained: _Optional[float] = ..., coverage: _Optional[float] = ...) -> None: ...

class Fold(_message.Message):
    __slots__ = ("trial", "value", "mean", "deviation")
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    DEVIATION_FIELD_NUMBER: _ClassVar[int]
    trial: int
    value: float
    mean: float
    deviation: float
    def __init__(self, trial: _Optional[int] = ..., value: _Optional[float] = ..., mean: _Optional[float] = ..., deviation: _Optional[float] = ...) -> None: ...

class Prediction(_message.Message):
    __slots__ = ("params", "mean", "deviation")
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    DEVIATION_FIELD_NUMBER: _ClassVar[int]
    params: _struct_pb2.Struct
    mean: float
    deviation: float
    def __init__(self, params: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., mean: _Optional[float] = ..., deviation: _Optional[float] = ...) -> None: ...

class LeftOut(_message.Message):
    __slots__ = ("kind", "reason")
    KIND_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    kind: AnalysisKind
    reason: str
    def __init__(self, kind: _Optional[_Union[AnalysisKind, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class Chart(_message.Message):
    __slots__ = ("kind", "title", "spec")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    kind: AnalysisKind
    title: str
    spec: _struct_pb2.Struct
    def __init__(self, kind: _Optional[_Union[AnalysisKind, str]] = ..., title: _Optional[str] = ..., spec: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...
