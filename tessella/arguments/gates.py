"""The gate of one function: which argument is whose, and what each is to be."""

from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from tessella.arguments.kinds import (
    ALSO_NUMBERS,
    ANYTHING,
    MISSING,
    PLAIN,
    UNFIT,
    Kind,
    counted,
    is_of_64_bits,
    kind_of,
    scope,
    shown,
)
from tessella.arguments.precision import by_table
from tessella.arguments.spellings import SPELLINGS, SPELLINGS_OF
from tessella.errors import ArgumentTypeError, TessellaError
from tessella.names import argument_cure, keyword_cure, library_with

POSITIONAL, BOTH, SEVERAL, NAMED = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.KEYWORD_ONLY,
)


A_TENSOR = "a Tensor, or what ts.asarray takes: a NumPy array, a number, nested lists of numbers"
RECEIVERS = ("self", "cls")  # what a method is called on is no argument


class Parameter(NamedTuple):
    name: str
    place: Any  # how it is passed, in the words of `inspect`
    annotation: str
    default: Any


def unknown_keyword(
    function: str, keyword: str, names: Sequence[str],
    spelled: Mapping[str, str] = MappingProxyType({}),
) -> ArgumentTypeError:  # fmt: skip
    """The error for a keyword that a function does not have: what to do instead, or which one was meant.

    Args:
        names: of its parameters.
        spelled: what else they may be called.
    """
    head = f"{function}: no argument `{keyword}`"
    cure = keyword_cure(function, keyword)
    if cure:
        return ArgumentTypeError(f"{head}: {cure}")
    takes = f"t takes {listed(names)}"
    library = library_with(function, keyword)
    if library:
        return ArgumentTypeError(f"{head} yet, which {library} has; i{takes}")
    known = {name: name for name in names} | dict(spelled)
    close = difflib.get_close_matches(keyword, known, 1)
    hint = f"; did you mean `{known[close[0]]}`? I{takes}" if close else f"; i{takes}"
    return ArgumentTypeError(head + hint)


def listed(names: Iterable[str]) -> str:
    """Names as messages show them."""
    return ", ".join(f"`{name}`" for name in names) or "none"


class Gate:
    """What is done with arguments that need a closer look.

    Args:
        lifts: whether the function is of single elements, so that what knows how to apply it to its own
            (`__tessella_lift__`) may do so.
    """

    def __init__(self, function: Callable[..., Any], lifts: bool) -> None:
        self.function, self.lifts = function, lifts
        self.inner = by_table(function)  # what is called with arguments that have been looked at
        self.name = function.__name__
        self.is_constructor = function.__name__ in ("__init__", "__new__")
        self.public = function  # what users call
        self.parameters = [
            Parameter(p.name, p.kind, str(p.annotation), MISSING if p.default is p.empty else p.default)
            for p in inspect.signature(function).parameters.values()
        ]  # fmt: skip
        kinds = {p.name: kind_of(p.name, p.annotation) for p in self.parameters}
        self.kinds = {name: kind for name, kind in kinds.items() if kind is not None}
        self.tensors = [p for p in self.parameters if kinds[p.name] is None]
        self.by_place = [p.name for p in self.parameters if p.place in (POSITIONAL, BOTH)]
        self.by_name = [p.name for p in self.parameters if p.place is NAMED]
        self.several = next((p.name for p in self.parameters if p.place is SEVERAL), None)
        self.defaults = {p.name: p.default for p in self.parameters}
        self.spelled = dict(SPELLINGS_OF.get(self.name, {}))
        for name in (*self.by_place, *self.by_name, *filter(None, [self.several])):
            for other in SPELLINGS.get(name, ()):
                self.spelled.setdefault(other, name)

    def __call__(
        self, placed: tuple[Any, ...], more: tuple[Any, ...], named: dict[str, Any],
        others: dict[str, Any],
    ) -> Any:  # fmt: skip
        """Call the function with what its arguments are to be.

        Args:
            placed: those of the parameters that have a place.
            more: further ones by place.
            named: those of the parameters that have only a name.
            others: keywords that are no parameter's name.
        """
        if not self.is_constructor:
            return self._settle(placed, more, named, others)
        made = placed[0] if isinstance(placed[0], type) else type(placed[0])
        gate = self._of_class(made)
        if not hasattr(made, "__tessella_made_as__"):
            return gate._settle(placed, more, named, others)
        wanted = {name: others.pop(name) for name in ("device", "dtype") if name in others}
        gate._settle(placed, more, named, others)
        if wanted and not placed[0].__tessella_made_as__(**wanted):
            names = [p.name for p in self.parameters if p.name not in RECEIVERS]
            raise unknown_keyword(gate.name, next(iter(wanted)), names, self.spelled)
        return None

    def _of_class(self, kind: type) -> Gate:
        """This gate under the name of the class that is made, which may have inherited it."""
        made = copy.copy(self)
        made.name = kind.__name__
        return made

    def _settle(
        self, placed: tuple[Any, ...], more: tuple[Any, ...], named: dict[str, Any],
        others: dict[str, Any],
    ) -> Any:  # fmt: skip
        values = dict(zip(self.by_place, placed, strict=True)) | named
        if self.several is not None:
            values[self.several] = more
        elif more:
            self._place(more, values)
        for keyword, value in others.items():
            self._spell(keyword, value, values)
        if others or (
            more and self.several is None
        ):  # all have their names now: the short way may do
            return self._apply(self.public, values)
        self._require_all_given(values)
        if self.lifts:
            operands = values[self.several] if self.several else tuple(values.values())
            for value in operands:
                lift = getattr(
                    type(value), "__tessella_lift__", None
                )  # of the class, as Python does
                if lift is not None:
                    return lift(self.public, operands)
        for name, kind in self.kinds.items():
            value = values[name]
            if name == self.several:
                values[name] = tuple([self._fit(name, kind, item) for item in value])
            else:
                values[name] = self._fit(name, kind, value)
        device = values["device"] if "device" in self.kinds else None
        device = device or device_beside(values.values())
        if device is None:
            self._fit_tensors(values)
            return self._apply(self.inner, values)
        with device:
            self._fit_tensors(values)
            return self._apply(self.inner, values)

    def _apply(self, function: Callable[..., Any], values: dict[str, Any]) -> Any:
        """Call a function of the same parameters with their values by name."""
        placed = [values.pop(name) for name in self.by_place]
        several = values.pop(self.several) if self.several is not None else ()
        return function(*placed, *several, **values)

    def fit_options(self, owner: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options by the names of parameters, as these take them; what has another name stays as it is.

        Args:
            owner: whose they are, for messages.
        """
        named = copy.copy(self)
        named.name = owner
        return {
            name: named._fit(name, self.kinds[name], value) if name in self.kinds else value
            for name, value in options.items()
        }

    # --- which argument is whose ---------------------------------------------------------------------

    def _place(self, more: tuple[Any, ...], values: dict[str, Any]) -> None:
        """Arguments beyond the last place: sizes, or an axis, which PyTorch and NumPy both have there."""
        if self.by_place == ["shape"]:  # sizes one by one, as PyTorch has them
            values["shape"] = (values["shape"], *more)
            return
        first = self.by_name[0] if self.by_name else None
        if len(more) > 1 or first not in ("axis", "k"):
            names = [name for name in self.by_place if name not in RECEIVERS]
            most = len(names)
            rest = f"; {self._listed(self.by_name)} by name" if self.by_name else ""
            raise ArgumentTypeError(
                f"{self.name}: {counted(most + len(more), 'argument')} given by place; expected at most {most} "
                f"({self._listed(names)}){rest}{self._cure('*')}"
            )
        self._give(first, first, more[0], values)

    def _spell(self, keyword: str, value: Any, values: dict[str, Any]) -> None:
        """A keyword that is no parameter's name, or of one that has only a place."""
        name = keyword if keyword in values else self.spelled.get(keyword)
        if name is not None:
            return self._give(name, keyword, value, values)
        if keyword == "out" and value is None:
            return None
        names = [p.name for p in self.parameters if p.name not in RECEIVERS]
        raise unknown_keyword(self.name, keyword, names, self.spelled)

    def _listed(self, names: Iterable[str]) -> str:
        return listed(names)

    def _give(self, name: str, spelled: str, value: Any, values: dict[str, Any]) -> None:
        before = values[name]
        is_several = name == self.several
        if before if is_several else before is not self.defaults[name] and before is not MISSING:
            also = "twice" if spelled == name else f"twice, as `{name}` and as `{spelled}`"
            raise ArgumentTypeError(f"{self.name}: `{name}` was given {also}; give it once")
        if is_several:  # all by one keyword, as PyTorch has `size=(2, 3)`
            value = tuple(value) if isinstance(value, (list, tuple)) else (value,)
        values[name] = value

    def _require_all_given(self, values: dict[str, Any]) -> None:
        missing = [name for name, value in values.items() if value is MISSING]
        if missing:
            expected = {p.name: self._expected(p) for p in self.parameters}[missing[0]]
            raise ArgumentTypeError(
                f"{self.name}: `{missing[0]}` was not given"
                f"{'' if expected == ANYTHING else f'; expected {expected}'}{self._cure(missing[0])}"
            )

    # --- what arguments are to be --------------------------------------------------------------------

    def _expected(self, parameter: Parameter) -> str:
        kind = self.kinds.get(parameter.name)
        if kind is not None:
            return kind.expected
        return f"{A_TENSOR}, or None" if parameter.annotation.endswith("None") else A_TENSOR

    def _fit(self, name: str, kind: Kind, value: Any) -> Any:
        found = kind.look(value)
        if found is UNFIT:
            large = type(value) is int and not is_of_64_bits(value)
            why = ", which has more than 64 bits" if large else ""
            raise kind.error_for(value)(
                f"{self.name}: {name} is {shown(value)}{why}; expected {kind.expected}"
                f"{self._cure(name)}"
            )
        return found

    def _cure(self, parameter: str) -> str:
        """What may have been meant by such an argument."""
        cure = argument_cure(self.name, parameter)
        return "" if cure is None else f"; {cure}"

    def _fit_tensors(self, values: dict[str, Any]) -> None:
        """What is to be a tensor becomes one; operands stay numbers if there is a tensor beside them.

        Arrays come first: what has no dtype of its own takes theirs.
        """
        like: list[Any] = [x for p in self.tensors for x in self._given(p, values)]
        like = [x for x in like if isinstance(x, scope["Tensor"])]
        for plain in (False, True):
            for p in self.tensors:
                found = tuple([
                    self._as_tensor(p, x, like) if isinstance(x, PLAIN) is plain else x
                    for x in self._given(p, values)
                ])  # fmt: skip
                values[p.name] = found if p.place is SEVERAL else found[0]

    def _given(self, parameter: Parameter, values: dict[str, Any]) -> tuple[Any, ...]:
        found = values[parameter.name]
        return found if parameter.place is SEVERAL else (found,)

    def _as_tensor(self, parameter: Parameter, value: Any, like: list[Any]) -> Any:
        """An argument as a tensor, or as the number or None that it may be."""
        text = parameter.annotation
        if isinstance(value, scope["Tensor"]) or (value is None and text.endswith("None")):
            return value
        if text in ALSO_NUMBERS and (like or text != "Operand"):
            number = ALSO_NUMBERS[text](value)
            if number is not UNFIT:
                return number
        found = as_tensor(value, like, self.name, parameter.name, self._expected(parameter))
        like.append(found)
        return found


def device_beside(values: Iterable[Any]) -> Any:
    """The device of the first tensor among some arguments, if it is not that of the thread."""
    for value in () if scope["alone"] else values:
        first = value[0] if type(value) in (list, tuple) and value else value
        if isinstance(first, scope["Tensor"]):
            device = first.device
            return None if device is scope["current"]() else device
    return None


def called_there(call: Callable[..., Any], placed: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Call a function where its tensors are: what it makes beside them is made there."""
    device = device_beside((*placed, *named.values()))
    if device is None:
        return call(*placed, **named)
    with device:
        return call(*placed, **named)


def as_tensor(value: Any, like: list[Any], function: str, name: str, expected: str) -> Any:
    """An argument as a tensor.

    Args:
        like: the tensors beside it.
        name: of the argument.

    Raises:
        ArgumentTypeError: it cannot become one without a guess.
    """
    try:
        found = scope["convert"](value, like)
    except TessellaError as error:
        raise type(error)(f"{function}: {name}: {error}") from None
    if found is None:
        raise ArgumentTypeError(f"{function}: {name} is {shown(value)}; expected {expected}")
    return found


def as_tensors(function: str, values: Iterable[Any]) -> list[Any]:
    """All of some arguments as tensors."""
    values = [*values]
    like = [x for x in values if isinstance(x, scope["Tensor"])]
    if len(like) == len(values):
        return like
    return [
        x
        if isinstance(x, scope["Tensor"])
        else as_tensor(x, like, function, f"number {i}", A_TENSOR)
        for i, x in enumerate(values)
    ]
