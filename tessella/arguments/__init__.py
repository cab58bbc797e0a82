"""The one gate that public functions go through: it looks at arguments, and gives spellings their names.

`public` reads the signature of a function once, when it is defined, and writes another function around it, in
Python. What mostly comes (tensors, small integers, nothing) passes a few checks of types that are written out in
that function, in a tenth of a microsecond. All else is looked at by `Gate`: what can become a tensor without a guess
is converted, keywords of PyTorch and NumPy that mean the same are understood, and whatever cannot serve raises an
error that says what was given, what is expected and what to do.

What a parameter takes is said by the text of its annotation, by the table in
`tessella.arguments.kinds`; what tensors are is told by the stratum that has them (`register`).
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any, TypeVar

from tessella.arguments.gates import (
    BOTH,
    NAMED,
    POSITIONAL,
    RECEIVERS,
    SEVERAL,
    Gate,
    Parameter,
    called_there,
    unknown_keyword,
)
from tessella.arguments.kinds import MISSING, TENSOR, TENSORS, kind_of, scope, shown
from tessella.errors import ArgumentTypeError

Function = TypeVar("Function", bound=Callable[..., Any])


def public(function: Function) -> Function:
    """Put a function behind the gate.

    >>> @public
    ... def scaled(x: float, times: int = 2) -> float:
    ...     return x * times
    """
    return _gated(function, False)


def elementwise(function: Function) -> Function:
    """Likewise for a function of single elements, which may be applied to what stands for one."""
    return _gated(function, True)


def _gated(function: Any, lifts: bool) -> Any:
    gate = Gate(function, lifts)
    parameters = tuple([p._replace(default=p.default is not MISSING) for p in gate.parameters])
    make = _factory(parameters, gate.inner is not function)
    defaults = [p.default for p in gate.parameters if p.default is not MISSING]
    made: FunctionType = make(function, gate, called_there, gate.inner, MISSING, *defaults)
    code = function.__code__
    made.__code__ = (
        made.__code__.replace(  # errors are told to come from the function's own first line
            co_name=code.co_name,
            co_qualname=code.co_qualname,
            co_filename=code.co_filename,
            co_firstlineno=code.co_firstlineno,
        )
    )
    gate.public = functools.update_wrapper(made, function)
    gate.public.__gate__ = gate  # type: ignore[attr-defined]
    return made


def constructor_gate(kind: type) -> Gate | None:
    """The gate of the constructor of a class, or of the first of its bases that has one."""
    constructors = [vars(base).get("__init__") for base in kind.__mro__]
    gates = [getattr(made, "__gate__", None) for made in constructors]
    return next((gate for gate in gates if gate is not None), None)


@functools.cache
def _factory(parameters: tuple[Parameter, ...], casts: bool) -> Callable[..., Any]:
    """What makes the functions around those of some parameters; `casts`: around those of the table of precisions."""
    source = _source(parameters, casts)
    tree = ast.parse(source)
    first = {"lineno": 1, "end_lineno": 1, "col_offset": 0, "end_col_offset": 0}
    for node in ast.walk(tree):
        vars(node).update({name: value for name, value in first.items() if hasattr(node, name)})
    exec(compile(tree, __file__, "exec"), scope)
    return scope.pop("make")


def _source(parameters: Sequence[Parameter], casts: bool) -> str:
    """The text of such a function, and of what makes it."""
    defaults = {p.name: f"default_{p.name}" for p in parameters if p.default}
    placed = [p.name for p in parameters if p.place in (POSITIONAL, BOTH)]
    named = [p.name for p in parameters if p.place is NAMED]
    several = next((p.name for p in parameters if p.place is SEVERAL), None)
    written = _written(parameters, defaults)
    by_name = f"{{{', '.join(f'{n!r}: {n}' for n in named)}}}"
    look = f"settle({_tuple(placed)}, {several or 'more'}, {by_name}, others)"
    passed = [f"*{several}"] if several else []
    call = ", ".join([*placed, *passed, *(f"{name}={name}" for name in named)])
    quick = " and ".join(["not others", *([] if several else ["not more"]), *_checks(parameters)])
    looked_at = several and all(p.annotation != "Any" for p in parameters if p.name == several)
    there = f"called_there(inner, ({', '.join([*placed, *passed, ''])}), {by_name})"
    first = next((p.name for p in parameters if p.annotation in ("Tensor", "Operand")), None)
    here = f"type({first}) is Tensor and {first}.device is current()" if first else "False"
    straight = f"(alone or {here}) and not casts" if casts else f"alone or {here}"
    hot = (
        f"        if {quick}:\n            return call({call}) if {straight} else {there}\n"
        if not looked_at
        else ""
    )
    return (
        f"def make(call, settle, called_there, inner, missing{''.join(f', {name}' for name in defaults.values())}):\n"
        f"    def public({written}):\n{hot}        return {look}\n    return public\n"
    )


def _written(parameters: Sequence[Parameter], defaults: Mapping[str, str]) -> str:
    """The parameters of the function around: each may be left out, so that we can say which one is."""
    written: list[str] = []
    for place, after in ((POSITIONAL, "/"), (BOTH, ""), (SEVERAL, ""), (NAMED, "")):
        mine = [p.name for p in parameters if p.place is place]
        if place is SEVERAL:
            written.append(f"*{mine[0] if mine else 'more'}")
            continue
        written += [f"{name}={defaults.get(name, 'missing')}" for name in mine]
        written += [after] if after and mine else []
    return ", ".join([*written, "**others"])


def _checks(parameters: Sequence[Parameter]) -> list[str]:
    """Python that is true if an argument needs no closer look, for each that might."""
    if [p.annotation for p in parameters] == ["Operand", "Operand"]:  # one must be a tensor
        first, second = (p.name for p in parameters)
        tensors = TENSOR.format(first), TENSOR.format(second)
        numbers = (
            f"(type({first}) is float or type({first}) is int)",
            f"(type({second}) is float or type({second}) is int)",
        )
        return [
            f"({tensors[0]} and ({tensors[1]} or {numbers[1]}) or {numbers[0]} and {tensors[1]})"
        ]
    kinds = [(p.name, kind_of(p.name, p.annotation), p.annotation) for p in parameters]
    checks = [
        (TENSORS[text] if kind is None else kind.quick).format(name) for name, kind, text in kinds
    ]
    required = [
        p.place is not SEVERAL and not p.default and p.name not in RECEIVERS for p in parameters
    ]
    return [
        check if check != "True" else f"{name} is not missing"
        for (name, _, _), check, must in zip(kinds, checks, required, strict=True)
        if check != "True" or must
    ]


def _tuple(names: Sequence[str]) -> str:
    return f"({''.join(f'{name}, ' for name in names)})"


def was_refused(error: TypeError) -> bool:
    """Whether Python itself refused the call that the caller tried: the error comes from its own line."""
    return error.__traceback__ is not None and error.__traceback__.tb_next is None


def refuse(function: str, others: Mapping[str, Any], *names: str) -> None:
    """What a function without a gate does with keywords that are not its own.

    Args:
        names: of its parameters.

    Raises:
        ArgumentTypeError: there are such keywords.

    >>> refuse("clone", {})
    """
    for keyword in others:
        raise unknown_keyword(function, keyword, names)


def require_function(function: object, name: str) -> None:
    """Complain about what cannot be called.

    Args:
        name: who it was given to.

    >>> require_function(3, "vmap")
    Traceback (most recent call last):
        ...
    tessella.errors.ArgumentTypeError: vmap: int was given; expected a function
    """
    if not callable(function):
        raise ArgumentTypeError(f"{name}: {type(function).__name__} was given; expected a function")


def called(told: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a user gives.

    Args:
        told: which one it is and how it is called, for the error if Python refuses that.

    Raises:
        ArgumentTypeError: it takes another number of arguments.

    >>> called("scan: the body is called as body(carry, x)", lambda carry: carry, 1, 2)
    Traceback (most recent call last):
        ...
    tessella.errors.ArgumentTypeError: scan: the body is called as body(carry, x); <lambda>() takes 1 positional argument but 2 were given
    """
    try:
        return function(*arguments)
    except TypeError as error:
        if was_refused(error):
            raise ArgumentTypeError(f"{told}; {error}") from None
        raise


def taking(told: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a user, called by `called`."""
    return functools.partial(called, told, function)


def gate_of(function: Callable[..., Any]) -> Gate | None:
    """The gate that a function is behind, if there is one."""
    return getattr(function, "__gate__", None)


def items_of(name: str, values: Any, expected: str) -> list[Any]:
    """What an argument that is gone through gives; its length, if it says one, is not asked for.

    Args:
        name: of the function.
        expected: what it is to be.

    Raises:
        ArgumentTypeError: it cannot be gone through.

    >>> items_of("extend", range(3), "several numbers")
    [0, 1, 2]
    """
    told = f"{name}: {shown(values)} was given; expected {expected}"
    if not hasattr(type(values), "__iter__"):
        raise ArgumentTypeError(told)
    return [item for item in called(told, iter, values)]  # noqa: C416
