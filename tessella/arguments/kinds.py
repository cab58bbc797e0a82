"""What parameters take: by the text of an annotation, how an argument is looked at and what is said of a wrong one."""

from __future__ import annotations

import ast
import operator
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from tessella import errors
from tessella.dtypes import DType
from tessella.sizes.size import Size

ShapeLike: TypeAlias = int | Sequence[int]
DTypeLike: TypeAlias = DType | type | str | np.dtype[Any] | None
PerAxis: TypeAlias = int | Sequence[int]  # of windows: one number for all axes, or one for each
Sizes: TypeAlias = int | Sequence[int | None] | None  # of results; None for that of the input
Factors: TypeAlias = float | Sequence[float]  # by which sizes grow
Padding: TypeAlias = int | str | Sequence[int] | Sequence[Sequence[int]]
PaddingMode: TypeAlias = Literal["zeros", "reflect", "replicate", "circular"]  # of convolutions
Device: TypeAlias = Any  # one of them, or its name; None for that of the tensors, or of the thread
Reduction: TypeAlias = str
DivergenceReduction: TypeAlias = str
Approximation: TypeAlias = str
Count: TypeAlias = int  # of at least 1
Natural: TypeAlias = int  # of at least 0
Probability: TypeAlias = float  # from 0 to 1
NotNegative: TypeAlias = float  # finite

_MOST = 1 << 63  # what integers lie below
_LARGEST_FLOAT = 1 << 1023
_FINITE = 1.7976931348623157e308
UNFIT: Any = type("Unfit", (), {"__repr__": lambda self: "<unfit>"})()
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "<missing>"})()


# the stratum of tensors tells what they are, and how to make one of what can become one without a guess
scope: dict[str, Any] = {
    "__name__": "tessella.arguments", "DType": DType, "Tensor": (), "alone": True,
    "casts": False,  # whether `ts.autocast` has ever been asked for
}  # fmt: skip


# --- kinds of arguments ----------------------------------------------------------------------------------


class Kind(NamedTuple):
    """What a parameter takes.

    Args:
        expected: in words.
        quick: Python that is true for what needs no closer look; `{0}` is the argument.
        look: gives what the function is to get, or `UNFIT`.
        error: the class of what is raised then.
        typed: for numbers in a range, gives `UNFIT` if it is no number of the kind at all.
    """

    expected: str
    quick: str
    look: Callable[[Any], Any]
    error: type[errors.TessellaError] = errors.ArgumentTypeError
    typed: Callable[[Any], Any] | None = None

    def error_for(self, value: Any) -> type[errors.TessellaError]:
        """The class of what is raised for an argument that does not fit."""
        wrong_type = self.typed is not None and self.typed(value) is UNFIT
        return errors.ArgumentTypeError if wrong_type else self.error

    def or_none(self) -> Kind:
        """The same, or None."""
        return self._replace(
            expected=f"{self.expected}, or None",
            quick=f"({{0}} is None or {self.quick})",
            look=lambda value: None if value is None else self.look(value),
        )


def _known(value: Any) -> Any:
    """A number among the arguments of a traced function as the number it is in this call."""
    return value.look() if _is_traced_number(value) else value


def _is_traced_number(value: Any) -> bool:
    """Asked of the class, as Python asks for special methods: an object may pretend to have everything."""
    kind = type(value)
    return hasattr(kind, "__tessella_operand__") and hasattr(kind, "look")


def _extent(value: Any) -> Any:
    """A whole number of any size."""
    if type(value) is Size:
        return value
    value = _known(value)
    if isinstance(value, (bool, np.bool_, type)) or not hasattr(value, "__index__"):
        return UNFIT
    try:
        found = operator.index(value)
    except TypeError:  # an array of several, or of fractions
        return UNFIT
    return found


def _integer(value: Any) -> Any:
    """A whole number of 64 bits."""
    found = _extent(value)
    return UNFIT if type(found) is int and not is_of_64_bits(found) else found


def is_of_64_bits(number: int) -> bool:
    """Whether a whole number is no larger than those of any dtype."""
    return -_MOST <= number < 2 * _MOST


def _number(value: Any) -> Any:
    """A real number; tensors, and numbers that are traced, stay what they are."""
    if type(value) is float or type(value) is Size or hasattr(type(value), "__tessella_operand__"):
        return value
    if isinstance(value, scope["Tensor"]):
        return value if value.ndim == 0 else UNFIT
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        return UNFIT
    if isinstance(value, int):
        return value if -_LARGEST_FLOAT < value < _LARGEST_FLOAT else UNFIT
    return value.item() if isinstance(value, np.generic) else value


def _scalar(value: Any) -> Any:
    """A number of any kind; those of NumPy stay what they are."""
    if isinstance(value, (bool, np.bool_, complex, np.complexfloating)):
        return value
    return value if isinstance(value, (np.integer, np.floating)) else _number(value)


def _weak(value: Any) -> Any:
    """A number that takes the dtype of the tensor beside it; those of NumPy have one of their own."""
    if isinstance(value, np.generic) and not isinstance(value, (float, complex)):
        return UNFIT
    plain = isinstance(value, (bool, float, complex))
    return value if plain else _number(value)


def _flag(value: Any) -> Any:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    is_bool = isinstance(value, scope["Tensor"]) and value.ndim == 0 and value.dtype.is_bool
    return bool(value) if is_bool else UNFIT


_DTYPES = (DType, np.dtype, type, str)


def _tensor(value: Any) -> Any:
    return value if isinstance(value, scope["Tensor"]) else UNFIT


def _instance_of(kind: type) -> Callable[[Any], Any]:
    return lambda value: value if isinstance(value, kind) else UNFIT


def _dtype(value: Any) -> Any:
    return value if value is None or (isinstance(value, _DTYPES) and value != "") else UNFIT


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, str) else UNFIT


def _function(value: Any) -> Any:
    return value if callable(value) else UNFIT


def _items(value: Any) -> list[Any] | None:
    """The items of what has an order; None for text, bytes, sets, tables and what has none."""
    if isinstance(value, (list, tuple)):
        return [*value]
    if isinstance(value, (str, bytes, bytearray, memoryview, Set, Mapping, type)):
        return None
    if isinstance(value, (np.ndarray, scope["Tensor"])) and not value.ndim:
        return None
    return [*value] if isinstance(value, Iterable) else None


def _several(one: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several of what is looked at by a function."""

    def look(value: Any) -> Any:
        items = _items(value)
        if items is None:
            return UNFIT
        found = tuple([one(item) for item in items])
        return UNFIT if any(item is UNFIT for item in found) else found

    return look


def _either(*looks: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def look(value: Any) -> Any:
        # by a loop: a generator that is left before its end is closed, and no Ctrl-C may come by then
        for one in looks:
            found = one(value)
            if found is not UNFIT:
                return found
        return UNFIT

    return look


ANYTHING = "anything"  # what is expected of a parameter that takes whatever it is given


def _anything(value: Any) -> Any:
    return value


def _pair(value: Any) -> Any:
    found = _several(_number)(value)
    return found if found is not UNFIT and len(found) == 2 else UNFIT


def _iterable(value: Any) -> Any:
    """What can be gone through, but not text."""
    return (
        UNFIT if isinstance(value, (str, bytes, type)) or not hasattr(value, "__iter__") else value
    )


def _dtypes(value: Any) -> Any:
    items = value if isinstance(value, (tuple, list)) else None
    good = items is not None and all(isinstance(kind, DType) for kind in items)
    return tuple(items or ()) if good else UNFIT


def _within(one: Callable[[Any], Any], least: float, most: float) -> Callable[[Any], Any]:
    """Numbers of a kind in a range; NaN is in none."""

    def look(value: Any) -> Any:
        found = one(value)
        if found is UNFIT or type(found) is Size:
            return found
        return found if least <= found <= most else UNFIT

    return look


_integers = _several(_integer)
_IS_SEVERAL = "(type({0}) is tuple or type({0}) is list)"  # whose items the function looks at
_is_small = f"type({{0}}) is int and {-_MOST} <= {{0}} < {_MOST}"
_INTEGER = Kind("a whole number", f"({_is_small})", _integer)
_FLAG = Kind("True or False", "({0} is False or {0} is True)", _flag)
_NUMBER = Kind("a number", f"(type({{0}}) is float or {_is_small})", _number)
_INTEGERS = Kind("several whole numbers, as a tuple or a list", _IS_SEVERAL, _integers)
_ONE_OR_MORE = Kind(
    "a whole number or several, as a tuple or a list", f"({_IS_SEVERAL} or {_is_small})",
    _either(_integer, _integers),
)  # fmt: skip
_TEXT = Kind("text", "type({0}) is str", _text)
_MAPPING = Kind("a mapping of names, such as a dict", "type({0}) is dict", _instance_of(Mapping))
_FUNCTION = Kind("a function", "callable({0})", _function)
_AXIS = Kind(
    "the number of an axis", "(type({0}) is int and -99 < {0} < 99)", _integer, errors.AxisError
)
_AXES = Kind(
    "the number of an axis, or several as a tuple or a list",
    "({0} is None or type({0}) is int and -99 < {0} < 99 or type({0}) is tuple or type({0}) is list)",
    _either(_instance_of(type(None)), _integer, _integers), errors.AxisError,
)  # fmt: skip

# What parameters take, by the text of their annotations. Tensors are looked at together (`Gate._fit_tensors`).
_KINDS: dict[str, Kind] = {
    "Any": Kind(ANYTHING, "True", _anything),
    "bool": _FLAG,
    "bool | None": _FLAG.or_none(),
    "int": _INTEGER,
    "int | None": _INTEGER.or_none(),
    "float": _NUMBER,
    "float | None": _NUMBER.or_none(),
    "Number": Kind("a number", "(type({0}) is float or type({0}) is int)", _scalar),
    "Axes": _AXES,
    "ShapeLike": _ONE_OR_MORE._replace(
        expected="a whole number or several, as a tuple or a list", look=_either(_extent, _several(_extent)),
        error=errors.ShapeError
    ),
    "Key": Kind("a key, as ts.random.key(seed) gives it, or None", "True", _anything, errors.ArgumentError),
    "PerAxis": _ONE_OR_MORE,
    "PerAxis | None": _ONE_OR_MORE.or_none(),
    "int | Sequence[int]": _ONE_OR_MORE,
    "Sizes": Kind(
        "a whole number, or one or None for each axis", f"({_is_small} or {{0}} is None)",
        _either(_instance_of(type(None)), _integer, _several(_either(_instance_of(type(None)), _integer))),
    ),
    "Factors | None": Kind(
        "a number, or one for each axis", "(type({0}) is float or {0} is None)", _either(_number, _several(_number)),
    ).or_none(),
    "int | tuple[Sequence[int], Sequence[int]]": Kind(
        "a whole number, or two lists of axes", f"({_is_small})",
        _either(_integer, _several(_either(_integer, _integers))),
    ),
    "Padding": Kind(
        "whole numbers, pairs of them, 'same' or 'valid'", f"({_is_small} or type({{0}}) is str)",
        _either(_integer, _text, _several(_either(_integer, _integers))),
    ),
    "Sequence[int]": _INTEGERS,
    "Sequence[int] | None": _INTEGERS.or_none(),
    "Starts": Kind(
        "integers and tensors of one, as a tuple or a list, or one tensor of them", "False", _either(_tensor, _several(_either(_integer, _tensor)))
    ),
    "Sequence[Sequence[int]]": Kind("pairs of whole numbers", "False", _several(_integers)),
    "DTypeLike": Kind(
        "a dtype, such as ts.float32", "({0} is None or type({0}) is DType)", _dtype, errors.DTypeError
    ),
    "Device": Kind(
        "'cpu', or another device", "{0} is None", lambda value: scope["device"](value), errors.DeviceError
    ),
    "bool | int | float": Kind(
        "a real number", "(type({0}) is float or type({0}) is int)",
        lambda value: UNFIT if isinstance(value, (complex, np.complexfloating)) else _scalar(value),
    ),
    "str": _TEXT,
    "str | None": _TEXT.or_none(),
    "Count": Kind(
        "a whole number of at least 1", f"(type({{0}}) is int and 0 < {{0}} < {_MOST})",
        _within(_integer, 1, _MOST), errors.ArgumentError, _number,
    ),
    "Natural": Kind(
        "a whole number of at least 0", f"(type({{0}}) is int and 0 <= {{0}} < {_MOST})",
        _within(_integer, 0, _MOST), errors.ArgumentError, _number,
    ),
    "Probability": Kind(
        "a probability from 0 to 1", "(type({0}) is float and 0.0 <= {0} <= 1.0)",
        _within(_number, 0.0, 1.0), errors.ArgumentError, _number,
    ),
    "NotNegative": Kind(
        "a finite number of at least 0", "(type({0}) is float and 0.0 <= {0} < 1e300)",
        _within(_number, 0.0, _FINITE), errors.ArgumentError, _number,
    ),
    "set[int] | None": Kind("a set", "False", _instance_of(set)).or_none(),
    "str | Sequence[str]": Kind(
        "a name, or several as a tuple or a list", "(type({0}) is str)", _either(_text, _several(_text))
    ),
    "DTypes": Kind(
        "several dtypes, as a tuple", "(type({0}) is tuple and {0} and type({0}[0]) is DType)", _dtypes, errors.DTypeError
    ),
    "Sequence[str]": Kind("several names", "False", _several(_text)),
    "Sequence[str] | None": Kind("several names", "False", _several(_text)).or_none(),
    "Sequence[Callable[..., Any]]": Kind("a list of functions", _IS_SEVERAL, _several(_function)),
    "Sequence[Callable[..., Any]] | None": Kind("several functions", "False", _several(_function)).or_none(),
    "Mapping[str, Any]": _MAPPING,
    "Mapping[str, Any] | None": _MAPPING.or_none(),
    "Iterable[Any]": Kind("several, for example a list", "type({0}) is list", _iterable),
    "tuple[float, float]": Kind("two numbers, as a tuple or a list", "False", _pair),
    "Sequence[Tensor]": Kind(
        "several tensors, as a list or a tuple", _IS_SEVERAL, _several(_anything)
    ),
}  # fmt: skip
TENSOR = "(type({0}) is Tensor or isinstance({0}, Tensor))"
TENSORS = {  # likewise, of what is or becomes a tensor
    "Tensor": TENSOR,
    "Tensor | None": f"({{0}} is None or {TENSOR})",
    "Operand": f"(type({{0}}) is float or type({{0}}) is int or {TENSOR})",
    "Operand | None": f"({{0}} is None or type({{0}}) is float or type({{0}}) is int or {TENSOR})",
    "int | Tensor": f"({_is_small} or {TENSOR})",
    "float | Tensor": f"(type({{0}}) is float or {TENSOR})",
}
ALSO_NUMBERS = {
    "Operand": _weak,
    "Operand | None": _weak,
    "int | Tensor": _integer,
    "float | Tensor": _number,
}
PLAIN = (bool, int, float, complex, list, tuple)  # what has no dtype of its own
_AXES_OF = {
    "int": _AXIS, "int | None": _AXIS.or_none(),
    "int | Sequence[int]": _AXES._replace(
        quick=f"({_IS_SEVERAL} or {_is_small})", look=_either(_integer, _integers)
    ),
}  # fmt: skip
_AXIS_NAMES = ("axis", "dim")


def _choice(text: str) -> Kind:
    """One of the strings of a `Literal`."""
    names: tuple[str, ...] = ast.literal_eval(f"({text.removeprefix('Literal[')[:-1]},)")
    return Kind(
        " or ".join(map(repr, names)), f"(type({{0}}) is str and {{0}} in {names!r})",
        lambda value: value if isinstance(value, str) and value in names else UNFIT,
        errors.ArgumentError,
    )  # fmt: skip


for _name in ("Count", "Natural", "NotNegative", "Probability", "ShapeLike"):
    _KINDS[f"{_name} | None"] = _KINDS[_name].or_none()
_KINDS["Reduction"] = _choice("Literal['mean', 'sum', 'none']")
_KINDS["DivergenceReduction"] = _choice("Literal['mean', 'sum', 'none', 'batchmean']")
_KINDS["PaddingMode"] = _choice("Literal['zeros', 'reflect', 'replicate', 'circular']")
_KINDS["Approximation"] = _choice("Literal['none', 'tanh']")


def register_kind(annotation: str, kind: Kind) -> None:
    """Say what parameters of an annotation take, and that they may be None with `| None` after it."""
    assert {annotation, f"{annotation} | None"}.isdisjoint(_KINDS), (
        f"two kinds are called {annotation}"
    )
    _KINDS[annotation], _KINDS[f"{annotation} | None"] = kind, kind.or_none()


def register_class(annotation: str, kind: Callable[[], type], expected: str) -> None:
    """Likewise for the objects of a class of a stratum above.

    Args:
        kind: gives the class; its own methods may take such objects, too.
    """

    def look(value: Any) -> Any:
        return value if isinstance(value, kind()) else UNFIT

    register_kind(annotation, Kind(expected, "False", look))


def kind_of(name: str, annotation: str) -> Kind | None:
    """What a parameter takes; None for tensors."""
    if name in ("self", "cls"):
        return _KINDS["Any"]
    if annotation in TENSORS:
        return None
    if name in _AXIS_NAMES and annotation in _AXES_OF:
        return _AXES_OF[annotation]
    if annotation.startswith("Callable["):
        return _FUNCTION.or_none() if annotation.endswith("| None") else _FUNCTION
    if annotation.startswith("Literal["):
        choice = _choice(annotation.removesuffix(" | None"))
        return choice.or_none() if annotation.endswith(" | None") else choice
    return _KINDS[annotation]  # an annotation that is not there is to be added to the table


class _Short(reprlib.Repr):
    """Short and safe: an integer of thousands of digits is not written out."""

    def repr_int(self, x: int, level: int) -> str:
        return repr(x) if x.bit_length() < 128 else f"an integer of {x.bit_length()} bits"


_short = _Short()


def shown(value: Any) -> str:
    """A value in a message: numbers, text and small lists as they are, of all else what it is."""
    value = _known(value)
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return _short.repr(value)
    if type(value) in (list, tuple, set, dict) and len(value) <= 6:
        return _short.repr(value)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, scope["Tensor"]):
        return f"a {type(value).__name__} of shape {value.shape} and dtype {value.dtype.name}"
    if isinstance(value, (np.number, np.bool_)):
        return f"{_short.repr(value.item())} of NumPy's {value.dtype}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    return f"an object of class {type(value).__name__}"


def counted(number: int, noun: str) -> str:
    """How many there were, in a message.

    >>> counted(1, "argument"), counted(3, "shape")
    ('1 argument was', '3 shapes were')
    """
    return f"1 {noun} was" if number == 1 else f"{number} {noun}s were"


def an(noun: str) -> str:
    """A noun with its article, in a message.

    >>> an("int"), an("Tensor"), an("uint8")
    ('an int', 'a Tensor', 'a uint8')
    """
    return f"an {noun}" if noun[:1] in "aeioAEIO" else f"a {noun}"


def register_devices(find: Callable[[Any], Any], current: Callable[[], Any]) -> None:
    """Tell what devices there are.

    Args:
        find: gives the one that is meant, None for None, `UNFIT` for what means none.
        current: gives that of the thread.
    """
    scope["device"], scope["current"] = find, current


def register(tensor: type, convert: Callable[[Any, Sequence[Any]], Any]) -> None:
    """Tell what tensors are.

    Args:
        convert: makes a tensor of what can become one without a guess, given the tensors beside it; None
            for all else.
    """
    scope["Tensor"], scope["convert"] = tensor, convert
