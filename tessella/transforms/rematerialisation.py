"""`checkpoint`: what the backward pass needs is computed again, and not kept.

A checkpointed function is recorded, and the graph computed without a tape. On the tape the whole function is
one node, that keeps what went into it. In the backward pass the graph is computed once more, from inputs
behind a `Barrier`, through which the compiler does not look: otherwise it would find that the same had been
computed before, and keep that after all.

Source: Griewank & Walther, *Evaluating Derivatives* (2008), chapter 12; Chen, Xu, Zhang & Guestrin, *Training
deep nets with sublinear memory cost* (2016).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from tessella import autodiff
from tessella.arguments import public, require_function
from tessella.primitives.barrier import Barrier
from tessella.primitives.base import Spec
from tessella.tensors.tensor import Tensor, new_handle
from tessella.tracebacks import users_frames
from tessella.tracing.trace import binding
from tessella.transforms import trees
from tessella.transforms.batching import vmap
from tessella.transforms.custom_rules import Rule
from tessella.transforms.forward_mode import jvp
from tessella.transforms.recording import InnerTrace, beside, record, replay
from tessella.transforms.reverse_mode import vjp

P = ParamSpec("P")
R = TypeVar("R")


@public
def checkpoint(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, that keeps nothing for the backward pass but what goes into it.

    Its values are computed again when gradients are asked for: about a third more work, for the memory of
    its intermediate values. Random numbers are those of the first time. No bit of a result changes.

    >>> import tessella as ts
    >>> ts.grad(ts.checkpoint(lambda x: ts.sin(ts.exp(x)).sum()))(ts.zeros(2))
    tensor([0.5403, 0.5403])
    """
    require_function(function, "checkpoint")

    @users_frames
    @functools.wraps(function, updated=())
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = trees.results_of((args, kwargs))
        if not autodiff.is_enabled():
            inner_args, inner_kwargs = trees.unflatten(structure, leaves)
            found, structure = trees.results_of(function(*inner_args, **inner_kwargs))
            return trees.unflatten(structure, found)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        tensors = [leaves[i] for i in places]

        def inner(*given: Tensor) -> Any:
            inner_args, inner_kwargs = trees.with_leaves(structure, leaves, places, given)
            return function(*inner_args, **inner_kwargs)

        trace = InnerTrace("checkpoint")
        with beside(tensors):
            recorded = record(trace, inner, [Spec(x.shape, x.dtype) for x in tensors])
        rule = _Again(lambda *inputs: replay(recorded, inputs), "checkpoint")
        found, _ = rule.call(*tensors, *recorded.captured)
        return recorded.result(found)

    return checkpointed


class _Again(Rule):
    """Tensors to tensors, computed again where gradients are asked for."""

    has_own_code = False

    def __init__(self, plain: Callable[..., Any], name: str) -> None:
        self.plain, self.name = plain, name

    def on_the_tape(self, tensors: Sequence[Tensor]) -> tuple[list[Any], Any]:
        cut = [new_handle(binding(x)._value, None, 0) for x in tensors]
        with autodiff.set_enabled(False):
            leaves, structure = trees.flatten(list(self.plain(*cut)))
        if not any(x.requires_grad for x in tensors):
            return leaves, structure
        node = self.tape_node(tensors, leaves)
        shown = [
            new_handle(binding(y)._value, node, i) if y.dtype.is_float else y
            for i, y in enumerate(leaves)
        ]
        return shown, structure

    def pull(self, tensors: Sequence[Tensor], cotangents: Sequence[Tensor]) -> Sequence[Any]:
        behind = [Barrier()(x) for x in tensors]
        outputs, pullback = vjp(lambda *inputs: list(self.plain(*inputs)), *behind)
        given = [
            ct if y.dtype.is_float else None for y, ct in zip(outputs, cotangents, strict=True)
        ]
        found: Sequence[Any] = pullback(given)
        return found

    def push(self, tensors: Sequence[Tensor], tangents: Sequence[Any]) -> tuple[Any, Any]:
        found: tuple[Any, Any] = jvp(self.plain, tuple(tensors), tuple(tangents))
        return found

    def batched(self, axes: Sequence[Any], size: int, axis_name: str | None) -> Rule:
        plain = vmap(self.plain, tuple(axes), axis_size=size, axis_name=axis_name)
        return _Again(plain, self.name)
