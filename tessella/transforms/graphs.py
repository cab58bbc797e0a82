"""`make_graph`: what a function does, to be read."""

from __future__ import annotations

import gc
import inspect
import types
from collections.abc import Callable
from typing import Any

from tessella.arguments import public, require_function
from tessella.primitives.base import Spec
from tessella.primitives.pictures import DrawnGraph, drawn
from tessella.tensors.tensor import Tensor
from tessella.tracebacks import users_frames
from tessella.tracing.surroundings import names_within
from tessella.transforms import trees
from tessella.transforms.recording import InnerTrace, record


@public
def make_graph(function: Callable[..., Any]) -> Callable[..., DrawnGraph]:
    """The function that gives the graph of a function, before any pass of the compiler.

    Print it to see what a transformation has done; it can also be drawn (`to_svg`, `to_mermaid`).

    >>> import tessella as ts
    >>> double = lambda x: ts.exp(x) * 2.0
    >>> print(ts.make_graph(double)(ts.ones(3)))
    graph(x: float32[3])
      %0: float32[3] = exp(x)
      %1: float32[] = Full() {dtype=tessella.float32, value=2.0}
      %2: float32[3] = multiply(%0, %1)
      return %2
    >>> print(ts.make_graph(ts.vmap(double))(ts.ones((5, 3))))
    graph(x: float32[5,3])
      %0: float32[5,3] = exp(x)
      %1: float32[] = Full() {dtype=tessella.float32, value=2.0}
      %2: float32[5,3] = multiply(%0, %1)
      return %2
    """
    require_function(function, "make_graph")

    @users_frames
    def graph(*args: Any, **kwargs: Any) -> DrawnGraph:
        leaves, structure = trees.flatten((args, kwargs))
        places = [i for i, leaf in enumerate(leaves) if trees.is_array(leaf)]
        tensors = [trees.as_tensor(leaves[i]) for i in places]

        def inner(*given: Any) -> Any:
            inner_args, inner_kwargs = trees.with_leaves(structure, leaves, places, given)
            return function(*inner_args, **inner_kwargs)

        specs = [Spec(x.shape, x.dtype) for x in tensors]
        recorded = record(InnerTrace("make_graph"), inner, specs)
        names = _names(function, args, kwargs)
        for place, value in zip(places, recorded.graph.inputs, strict=False):
            value.hint = names[place]
        around = _names_around(function)
        for tensor, value in zip(
            recorded.captured, recorded.graph.inputs[len(specs) :], strict=True
        ):
            value.hint = around.get(id(tensor), value.hint)
        return drawn(recorded.graph)

    return graph


def _names_around(function: Any) -> dict[int, str]:
    """What the tensors are called that a function can see around itself, by their ids."""
    inner = inspect.unwrap(function)
    seen = [(type(inner).__name__, getattr(inner, "__self__", inner))]
    if isinstance(inner, types.FunctionType):
        seen += _variables(inner)
    tensors = {id(value): name for name, value in seen if isinstance(value, Tensor)}
    owners = [pair for pair in seen if hasattr(type(pair[1]), "__tessella_names__")]
    return tensors | names_within(owners, tensors)


def _variables(function: types.FunctionType) -> list[tuple[str, Any]]:
    """The variables around a function that it reads, or that a function in it reads."""
    names = _names_in(function.__code__)
    found = [(name, function.__globals__[name]) for name in names if name in function.__globals__]
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return found + [(name, next(iter(gc.get_referents(cell)), None)) for name, cell in cells]


def _names_in(code: types.CodeType) -> list[str]:
    inner = [const for const in code.co_consts if isinstance(const, types.CodeType)]
    return list(dict.fromkeys([*code.co_names, *[n for part in inner for n in _names_in(part)]]))


def _names(function: Any, args: Any, kwargs: Any) -> list[str]:
    """A name for every leaf of the arguments: that of its parameter."""
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        parameters = []
    names = [*parameters, *["argument"] * len(args)][: len(args)]
    found = []
    for name, argument in zip(names, args, strict=True):
        found += [name] * len(trees.flatten(argument)[0])
    for key in kwargs:
        found += [key] * len(trees.flatten(kwargs[key])[0])
    return found
