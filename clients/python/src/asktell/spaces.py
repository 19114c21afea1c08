"""What is optimized: a search space of typed parameters, named tensors, text, or a set of items.

Wherever a space is expected, plain Python will do:

    {"lr": Float(1e-5, 1e-1, log=True), "layers": Int(1, 4)}     a search space
    {"weight": np.zeros((3, 2)), "bias": np.zeros(2)}            tensors with their start values
    np.zeros(10)                                                 one tensor, named "x"
    "Translate to French:"                                       one text component, named "text"
    ["a.png", "b.png"]                                           items
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
from google.protobuf import struct_pb2

from . import tensors
from ._gen import query_pb2, space_pb2, tensor_pb2

#: A value of a parameter; of a permutation a list of its items.
Value = Union[float, int, str, bool, Sequence[Union[float, int, str, bool]]]
Params = dict[str, Any]
#: (parent, value) or (parent, [values]).
When = tuple[str, Any]


@dataclass(frozen=True)
class Float:
    """A real number in [low, high], even on a log scale if `log`; only low + k*step if `step` is given.

    The parameter exists only when `when` holds: ``when=("optimizer", "sgd")`` or ``("optimizer", ["sgd", "adam"])``.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: When | None = None


@dataclass(frozen=True)
class Int:
    """An integer in [low, high]; see Float for the rest."""

    low: int
    high: int
    log: bool = False
    step: int | None = None
    when: When | None = None


@dataclass(frozen=True)
class Categorical:
    """One of the choices, with no order between them. Choices are strings, numbers or booleans."""

    choices: Sequence[Value]
    when: When | None = None


@dataclass(frozen=True)
class Ordinal:
    """One of the choices, listed in their order."""

    choices: Sequence[Value]
    when: When | None = None


@dataclass(frozen=True)
class Permutation:
    """All of the items, in any order. A value is a list of them. Items are strings, numbers or booleans."""

    items: Sequence[Value]
    when: When | None = None


Parameter = Union[Float, Int, Categorical, Ordinal, Permutation]
PARAMETERS = (Float, Int, Categorical, Ordinal, Permutation)


@dataclass(frozen=True)
class Linear:
    """The sum of coefficient times value is at most `bound`; of Float and Int parameters by name."""

    coefficients: Mapping[str, float]
    bound: float


@dataclass(frozen=True)
class Forbidden:
    """Not all of these parameters have their value, or one of a list of values, at once."""

    values: Mapping[str, Any]


#: A text is an expression: ``"width * depth <= 4096 and (solver != 'sgd' or nesterov)"``.
Constraint = Union[str, Linear, Forbidden]


@dataclass(frozen=True)
class Item:
    id: str
    label: str = ""
    #: As many for each item of a space.
    features: Sequence[float] = ()


@dataclass(frozen=True)
class TextComponent:
    initial: str
    #: Characters; no limit when 0.
    max_length: int = 0


class SearchSpace:
    """Parameters by name, in order: `when` may refer to parameters before.

    All `constraints` hold at every point that is asked or told: expressions as text, Linear, Forbidden. One holds as
    well where a parameter that it names is not active.
    """

    kind = "search"

    def __init__(self, parameters: Mapping[str, Parameter], constraints: Sequence[Constraint] = ()) -> None:
        for name, parameter in parameters.items():
            if not isinstance(parameter, PARAMETERS):
                raise TypeError(f"{name!r}: expected Float, Int, Categorical, Ordinal or Permutation, got {parameter!r}")
        for constraint in constraints:
            if not isinstance(constraint, (str, Linear, Forbidden)):
                raise TypeError(f"expected constraints that are text, Linear or Forbidden, got {constraint!r}")
        self.parameters = dict(parameters)
        self.constraints = tuple(constraints)

    def __repr__(self) -> str:
        constraints = f", {list(self.constraints)}" if self.constraints else ""
        return f"SearchSpace({self.parameters}{constraints})"

    def to_proto(self) -> space_pb2.Space:
        parameters = [_parameter_to_proto(name, parameter) for name, parameter in self.parameters.items()]
        constraints = [_constraint_to_proto(constraint) for constraint in self.constraints]
        return space_pb2.Space(search=space_pb2.SearchSpace(parameters=parameters, constraints=constraints))

    @classmethod
    def from_proto(cls, space: space_pb2.Space) -> SearchSpace:
        return cls(
            {p.name: _parameter_from_proto(p) for p in space.search.parameters},
            [_constraint_from_proto(c) for c in space.search.constraints],
        )

    def encode_point(self, point: Mapping[str, Value]) -> query_pb2.Point:
        return query_pb2.Point(params=to_struct(point))

    def decode_point(self, point: query_pb2.Point) -> Params:
        return self.decode_params(point.params)

    def decode_params(self, params: struct_pb2.Struct) -> Params:
        """Values of the declared types: JSON has only one kind of number."""
        return {
            name: _typed(parameter, from_value(params.fields[name]))
            for name, parameter in self.parameters.items()
            if name in params.fields
        }


class TensorSpace:
    """Named tensors with their start values; the dtype of an array decides how its values travel.

    Args:
        initial: start values by name. Arrays of f32, f64 or f16 (or bf16 of `ml_dtypes`).
        dtypes: other dtypes to travel in, by name: ``{"weight": "bf16"}``. Sessions compute in f32, of f64 in f64.
        groups: parameter groups by tensor name.
        low, high: bounds on every element.
    """

    kind = "tensors"

    def __init__(
        self,
        initial: Mapping[str, tensors.ArrayLike],
        *,
        dtypes: Mapping[str, str] | None = None,
        groups: Mapping[str, str] | None = None,
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        arrays = {name: np.asarray(array) for name, array in initial.items()}
        dtypes, groups = dtypes or {}, groups or {}
        self.manifest = {
            name: tensors.TensorInfo(
                name, array.shape, dtypes.get(name) or tensors.dtype_of(array), groups.get(name, "")
            )
            for name, array in arrays.items()
        }
        self.initial: dict[str, tensors.Array] | None = arrays
        self.low, self.high = low, high

    def __repr__(self) -> str:
        return f"TensorSpace({list(self.manifest.values())})"

    def to_proto(self) -> space_pb2.Space:
        specs = [
            tensor_pb2.TensorSpec(name=t.name, shape=t.shape, dtype=tensors.dtype_enum(t.dtype), group=t.group)
            for t in self.manifest.values()
        ]
        space = space_pb2.TensorSpace(tensors=specs, low=self.low, high=self.high)
        if self.initial is not None:
            space.initial.CopyFrom(tensors.encode_all(self.initial, self.manifest, "initial"))
        return space_pb2.Space(tensors=space)

    @classmethod
    def from_proto(cls, space: space_pb2.Space) -> TensorSpace:
        """Without the start values: where a session stands is asked with `estimate()`."""
        of = space.tensors
        self = cls.__new__(cls)
        self.manifest = {
            t.name: tensors.TensorInfo(t.name, tuple(t.shape), tensors.dtype_name(t.dtype, "f32"), t.group)
            for t in of.tensors
        }
        self.initial = None
        self.low = of.low if of.HasField("low") else None
        self.high = of.high if of.HasField("high") else None
        return self

    def encode_point(self, point: tensors.TensorValues) -> query_pb2.Point:
        return query_pb2.Point(tensors=tensors.encode_all(point, self.manifest, "point"))

    def decode_point(self, point: query_pb2.Point) -> dict[str, tensors.Array] | None:
        """None where tensors were left out of an answer."""
        return tensors.decode_all(point.tensors.tensors, self.manifest) or None


class TextSpace:
    """Text components by name: a prompt, an instruction, a set of both."""

    kind = "text"

    def __init__(self, components: Mapping[str, str | TextComponent]) -> None:
        self.components = {n: TextComponent(c) if isinstance(c, str) else c for n, c in components.items()}

    def __repr__(self) -> str:
        return f"TextSpace({self.components})"

    def to_proto(self) -> space_pb2.Space:
        components = [
            space_pb2.TextComponent(name=name, initial=c.initial, max_length=c.max_length)
            for name, c in self.components.items()
        ]
        return space_pb2.Space(text=space_pb2.TextSpace(components=components))

    @classmethod
    def from_proto(cls, space: space_pb2.Space) -> TextSpace:
        return cls({c.name: TextComponent(c.initial, c.max_length) for c in space.text.components})

    def encode_point(self, point: str | Mapping[str, str]) -> query_pb2.Point:
        texts = {name: point for name in self.components} if isinstance(point, str) else dict(point)
        return query_pb2.Point(text=query_pb2.Text(components=texts))

    def decode_point(self, point: query_pb2.Point) -> dict[str, str]:
        return dict(point.text.components)


class ItemSpace:
    """A fixed set of things to choose from."""

    kind = "items"

    def __init__(self, items: Sequence[str | Item]) -> None:
        self.items = [Item(item) if isinstance(item, str) else item for item in items]

    def __repr__(self) -> str:
        return f"ItemSpace({self.items})"

    def to_proto(self) -> space_pb2.Space:
        items = [space_pb2.Item(id=i.id, label=i.label, features=i.features) for i in self.items]
        return space_pb2.Space(items=space_pb2.ItemSpace(items=items))

    @classmethod
    def from_proto(cls, space: space_pb2.Space) -> ItemSpace:
        return cls([Item(i.id, i.label, tuple(i.features)) for i in space.items.items])

    def encode_point(self, point: str | Item) -> query_pb2.Point:
        return query_pb2.Point(item=point.id if isinstance(point, Item) else point)

    def decode_point(self, point: query_pb2.Point) -> str:
        return point.item


Space = Union[SearchSpace, TensorSpace, TextSpace, ItemSpace]
_KINDS: dict[str, Any] = {"search": SearchSpace, "tensors": TensorSpace, "text": TextSpace, "items": ItemSpace}


def as_space(space: Any) -> Space:
    """The space that plain Python stands for (see the head of this module).

    Raises:
        TypeError: when it stands for none.
    """
    if isinstance(space, (SearchSpace, TensorSpace, TextSpace, ItemSpace)):
        return space
    if isinstance(space, str):
        return TextSpace({"text": space})
    if isinstance(space, np.ndarray):
        return TensorSpace({"x": space})
    if isinstance(space, Mapping) and space:
        values = list(space.values())
        if any(isinstance(v, PARAMETERS) for v in values):
            return SearchSpace(space)
        if all(isinstance(v, (str, TextComponent)) for v in values):
            return TextSpace(space)
        return TensorSpace(space)
    if isinstance(space, Sequence) and space and all(isinstance(i, (str, Item)) for i in space):
        return ItemSpace(space)
    raise TypeError(f"expected a space: parameters or arrays by name, an array, text, or items; got {space!r}")


def space_from_proto(space: space_pb2.Space) -> Space | None:
    kind = space.WhichOneof("kind")
    found: Space | None = _KINDS[kind].from_proto(space) if kind else None
    return found


def to_value(value: Any) -> struct_pb2.Value:
    """A JSON value of plain Python or numpy scalars, lists and dicts."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, (int, float)):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=to_struct(value))
    if isinstance(value, Sequence):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[to_value(v) for v in value]))
    raise TypeError(f"expected a JSON value, got {value!r}")


def from_value(value: struct_pb2.Value) -> Any:
    """Plain Python of a JSON value; whole numbers as int."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return [from_value(v) for v in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    return None if kind in (None, "null_value") else getattr(value, kind)


def to_struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    return struct_pb2.Struct(fields={str(name): to_value(value) for name, value in values.items()})


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    return {name: from_value(value) for name, value in struct.fields.items()}


def _parameter_to_proto(name: str, p: Parameter) -> space_pb2.Parameter:
    proto = space_pb2.Parameter(name=name)
    if isinstance(p, Float):
        proto.float.CopyFrom(space_pb2.FloatRange(low=p.low, high=p.high, log=p.log, step=p.step))
    elif isinstance(p, Int):
        proto.int.CopyFrom(space_pb2.IntRange(low=p.low, high=p.high, log=p.log, step=p.step))
    elif isinstance(p, Permutation):
        proto.permutation.CopyFrom(space_pb2.Choices(choices=[to_value(item) for item in p.items]))
    else:
        field = proto.categorical if isinstance(p, Categorical) else proto.ordinal
        field.CopyFrom(space_pb2.Choices(choices=[to_value(c) for c in p.choices]))
    if p.when is not None:
        parent, values = p.when
        listed = values if isinstance(values, (list, tuple, set, frozenset)) else [values]
        proto.condition.CopyFrom(space_pb2.Condition(parent=parent, values=[to_value(v) for v in listed]))
    return proto


def _parameter_from_proto(proto: space_pb2.Parameter) -> Parameter:
    when = None
    if proto.HasField("condition"):
        when = (proto.condition.parent, tuple(from_value(v) for v in proto.condition.values))
    kind = proto.WhichOneof("type")
    of = getattr(proto, kind)
    if kind in ("categorical", "ordinal", "permutation"):
        choices = tuple(from_value(c) for c in of.choices)
        if kind == "permutation":
            return Permutation(choices, when)
        return Categorical(choices, when) if kind == "categorical" else Ordinal(choices, when)
    step = of.step if of.HasField("step") else None
    return (Float if kind == "float" else Int)(of.low, of.high, of.log, step, when)


def _constraint_to_proto(constraint: Constraint) -> space_pb2.ParameterConstraint:
    if isinstance(constraint, str):
        return space_pb2.ParameterConstraint(expression=constraint)
    if isinstance(constraint, Linear):
        linear = space_pb2.LinearConstraint(coefficients=dict(constraint.coefficients), bound=constraint.bound)
        return space_pb2.ParameterConstraint(linear=linear)
    proto = space_pb2.ParameterConstraint(forbidden=space_pb2.Combination())
    for name, values in constraint.values.items():
        listed = values if isinstance(values, (list, tuple, set, frozenset)) else [values]
        proto.forbidden.values.add(parent=name, values=[to_value(v) for v in listed])
    return proto


def _constraint_from_proto(proto: space_pb2.ParameterConstraint) -> Constraint:
    kind = proto.WhichOneof("kind")
    if kind == "linear":
        return Linear(dict(proto.linear.coefficients), proto.linear.bound)
    if kind == "forbidden":
        return Forbidden({c.parent: tuple(from_value(v) for v in c.values) for c in proto.forbidden.values})
    return str(proto.expression)


def _typed(parameter: Parameter, value: Any) -> Any:
    if isinstance(parameter, Float):
        return float(value)
    return int(value) if isinstance(parameter, Int) else value
