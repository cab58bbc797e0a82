"""Derivatives given by hand: `custom_vjp`, `custom_jvp`, `stop_gradient`.

On the tape a function with a rule of its own is one node. In the graph of a transformation it is one
primitive, `CustomCall`, so that its rule is not lost when the graph is gone through again; under `vmap` its
parts are batched one by one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tessella import autodiff
from tessella.arguments import public
from tessella.errors import ArgumentError, ArgumentTypeError, GradientError
from tessella.tensors.tensor import Tensor, new_handle
from tessella.tracebacks import users_frames
from tessella.transforms import trees
from tessella.transforms.custom_rules import Call, JVPRule, VJPRule, name_of
from tessella.transforms.recording import STOP_GRADIENT, InnerTrace, apply_any

_mode = autodiff.mode


@public
def stop_gradient(tree: Any) -> Any:
    """The same values, through which no gradient goes, backwards or forwards.

    >>> import tessella as ts
    >>> ts.grad(lambda x: x * ts.stop_gradient(x))(ts.asarray(3.0))
    tensor(3.)
    """

    def stopped(leaf: Any) -> Any:
        if isinstance(leaf, np.ndarray):
            return trees.as_tensor(leaf)
        if not isinstance(leaf, Tensor):
            return leaf
        if not leaf.dtype.is_float or not isinstance(_mode.trace, InnerTrace):
            return leaf.detach()
        return new_handle(apply_any(STOP_GRADIENT, (leaf,))._value, None, 0)

    return trees.map_leaves(stopped, tree)


class custom_vjp:
    """A function whose gradient is given by two others.

    `function.defvjp(forward, backward)`: `forward` takes the function's arguments and gives its result and
    whatever `backward` needs; `backward` takes that and the gradient of the result, and gives a tuple with
    the gradient of each argument (None for zero).

    Args:
        nondiff_argnums: arguments that are no tensors, and may change what the rule does; `backward` is given
            them first.

    >>> import tessella as ts
    >>> @ts.custom_vjp
    ... def clipped(x):
    ...     return ts.clip(x, 0.0, 1.0)
    >>> clipped.defvjp(lambda x: (clipped(x), None), lambda _, ct: (ct,))  # straight through
    >>> ts.grad(clipped)(ts.asarray(5.0))
    tensor(1.)
    """

    @public
    def __init__(self, function: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        if not callable(function):
            raise ArgumentTypeError(
                f"custom_vjp: {type(function).__name__} was given; expected a function"
            )
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.static = tuple(nondiff_argnums)
        self.forward: Any = None
        self.backward: Any = None

    @public
    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Give the rule."""
        self.forward, self.backward = forward, backward

    def __repr__(self) -> str:
        return f"<custom_vjp of {name_of(self)}{'' if self.forward else ', without a rule yet'}>"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    @users_frames
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.forward is None:
            raise GradientError(
                f"custom_vjp: {name_of(self)} has no rule yet; give it one: "
                f"{name_of(self)}.defvjp(forward, backward)"
            )
        bound = _in_order(self.function, args, kwargs, "custom_vjp")
        call = Call(self, bound, self.static)
        return call.run(VJPRule(self.forward, self.backward, call))


class custom_jvp:
    """A function whose derivative along a direction is given by another.

    `function.defjvp(rule)`: the rule takes the primals and the tangents, two tuples, and gives the result and
    its tangent, in which the tangents must occur linearly; reverse mode follows from it.

    >>> import tessella as ts
    >>> @ts.custom_jvp
    ... def log1pexp(x):
    ...     return ts.log(1.0 + ts.exp(x))
    >>> @log1pexp.defjvp
    ... def rule(primals, tangents):
    ...     return log1pexp(*primals), tangents[0] * ts.sigmoid(primals[0])
    >>> ts.grad(log1pexp)(ts.asarray(100.0))
    tensor(1.)
    """

    @public
    def __init__(self, function: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        if not callable(function):
            raise ArgumentTypeError(
                f"custom_jvp: {type(function).__name__} was given; expected a function"
            )
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.static = tuple(nondiff_argnums)
        self.rule: Any = None

    @public
    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Give the rule; may be used as a decorator."""
        self.rule = rule
        return rule

    def __repr__(self) -> str:
        return f"<custom_jvp of {name_of(self)}{'' if self.rule else ', without a rule yet'}>"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    @users_frames
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.rule is None:
            raise GradientError(
                f"custom_jvp: {name_of(self)} has no rule yet; give it one: {name_of(self)}.defjvp(rule)"
            )
        bound = _in_order(self.function, args, kwargs, "custom_jvp")
        call = Call(self, bound, self.static)
        return call.run(JVPRule(self.rule, call))


def _in_order(function: Any, args: Any, kwargs: Any, name: str) -> tuple[Any, ...]:
    """All arguments by position."""
    if not kwargs:
        return tuple(args)
    import inspect

    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        raise ArgumentTypeError(f"{name}: {name_of(function)}: {error}") from None
    if bound.kwargs:
        raise ArgumentError(
            f"{name}: {name_of(function)} was given {sorted(bound.kwargs)}, which can only be given by name; "
            "rules are for positional arguments"
        )
    return bound.args


__all__ = ["custom_jvp", "custom_vjp", "stop_gradient"]
