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
from tessella.arguments import public, require_function
from tessella.errors import ArgumentError, ArgumentTypeError, GradientError
from tessella.tensors.tensor import Tensor, new_handle
from tessella.tracebacks import users_frames
from tessella.transforms import trees
from tessella.transforms.custom_rules import Call, JVPRule, Rule, VJPRule, name_of
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


class _WithRule:
    """A function whose derivative is given by others.

    Args:
        _kind: what they make.
        given_by: the call that gives them, for messages.
    """

    _kind: Callable[..., Rule]
    given_by: str
    rule: tuple[Callable[..., Any], ...] = ()

    @public
    def __init__(self, function: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        require_function(function, type(self).__name__)
        functools.update_wrapper(self, function, updated=())
        self.function, self.static = function, tuple(nondiff_argnums)

    def __repr__(self) -> str:
        without = "" if self.rule else ", without a rule yet"
        return f"<{type(self).__name__} of {name_of(self)}{without}>"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    @users_frames
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = type(self).__name__
        if not self.rule:
            raise GradientError(
                f"{name}: {name_of(self)} has no rule yet; give it one: {name_of(self)}.{self.given_by}"
            )
        call = Call(self, _in_order(self.function, args, kwargs, name), self.static)
        return call.run(self._kind(*self.rule, call))


class custom_vjp(_WithRule):
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

    _kind = VJPRule
    given_by = "defvjp(forward, backward)"

    @public
    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Give the rule."""
        self.rule = forward, backward


class custom_jvp(_WithRule):
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

    _kind = JVPRule
    given_by = "defjvp(rule)"

    @public
    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Give the rule; may be used as a decorator."""
        self.rule = (rule,)
        return rule


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
