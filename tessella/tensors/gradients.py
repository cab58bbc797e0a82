"""What a tensor knows of its gradient, and the passes backward that compute it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from tessella import autodiff, forking
from tessella.arguments import public, taking
from tessella.arguments.kinds import shown
from tessella.autodiff import Leaf, Node
from tessella.errors import ArgumentTypeError, GradientError
from tessella.tensors.tensor import Tensor, alike, edge_of, new_handle, viewing
from tessella.tracing.trace import seen

_mode = autodiff.mode


class Gradients:
    """Methods and properties about gradients."""

    __slots__ = ()

    _node: Node | None
    _output: int
    _grad: Tensor | None

    @property
    def grad(self: Any) -> Tensor | None:
        """What backward passes have added up so far; None if none came by."""
        return self._grad if _mode.trace is None else _mode.trace.gradient(self)

    @grad.setter
    def grad(self: Any, gradient: Tensor | None) -> None:
        if gradient is not None:
            _check_gradient(self, gradient)
        if _mode.trace is None:
            self._grad = gradient
        else:
            _mode.trace.set_gradient(self, gradient)

    @property
    def requires_grad(self: Any) -> bool:
        """Whether operations on it are recorded."""
        held = (
            self if _mode.trace is None else _mode.trace.seen(self)
        )  # written out: it is asked often
        return held._node is not None

    @requires_grad.setter
    def requires_grad(self: Any, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def is_leaf(self: Any) -> bool:
        """Whether it was made by the user, not computed from what needs gradients."""
        node = seen(self)._node
        return node is None or isinstance(node, Leaf)

    @public
    def requires_grad_(self: Any, requires_grad: bool = True) -> Tensor:
        """Keep a gradient for this tensor from now on (or no longer).

        Raises:
            GradientError: integers and bool have no gradients; only a leaf can be switched off.
        """
        if not requires_grad:
            if not self.is_leaf:
                raise GradientError(
                    "requires_grad_(False): the tensor was computed from others; use detach()"
                )
            leaves(self, None)
        elif not self.requires_grad:
            if not self.dtype.is_float or self.dtype.is_storage:
                what = f"{self.dtype.name}{', a storage dtype' if self.dtype.is_storage else ''}"
                raise GradientError(
                    f"requires_grad_: only floating point tensors have gradients, and this one is {what}; convert it "
                    "first: x.astype(ts.float32)"
                )
            leaves(self, leaf_of(self))
        return self

    @public
    def retain_grad(self: Any) -> None:
        """Keep the gradient of a tensor that is not a leaf, too."""
        if not self.is_leaf:
            self.register_hook(_keeping(self))

    @public
    def register_hook(self: Any, hook: Callable[[Tensor], Tensor | None]) -> autodiff.HookHandle:
        """Call `hook(gradient)` in the backward pass; what it returns replaces the gradient.

        >>> import tessella as ts
        >>> x = ts.ones(2).requires_grad_()
        >>> with x.register_hook(lambda gradient: gradient * 10):
        ...     x.sum().backward()
        >>> x.grad
        tensor([10., 10.])
        """
        held = seen(self)
        if held._node is None:
            raise GradientError(
                "register_hook: the tensor needs no gradient; call requires_grad_() first"
            )
        told = "register_hook: the hook is called as hook(gradient)"
        return held._node.add_hook(held._output, taking(told, hook))

    def detach(self: Any) -> Tensor:
        """The same data without history."""
        if _mode.trace is not None:
            return viewing(_mode.trace.detached(self), self)
        return viewing(new_handle(self._value, None, 0), self)

    @property
    def data(self: Any) -> Tensor:
        """The same data without history, as `detach()`. Giving it a tensor is `assign`."""
        return self.detach()

    @data.setter
    def data(self: Any, other: Tensor) -> None:
        self.assign(other)

    @public
    def backward(
        self: Any, gradient: Tensor | None = None, retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:  # fmt: skip
        """Add the gradient of this tensor to `grad` of every leaf it was computed from.

        Args:
            gradient: that of this tensor; may be left out for a single element (it is 1).
            retain_graph: keep the history, to go through it again (default: `create_graph`).
            create_graph: record the backward pass too, for higher derivatives.

        Raises:
            GradientError: no history, history gone, or several elements and no gradient.
        """
        retain = create_graph if retain_graph is None else retain_graph
        root = _root(self, gradient, "backward")
        with autodiff.set_enabled(create_graph):
            autodiff.backward([root], retain)


def _check_gradient(tensor: Tensor, gradient: Any) -> None:
    if not isinstance(gradient, Tensor):
        raise ArgumentTypeError(
            f"grad: {type(gradient).__name__} was given; expected a Tensor or None"
        )
    if gradient.shape != tensor.shape or gradient.dtype is not tensor.dtype:
        raise GradientError(
            f"grad: {gradient.dtype.name} {gradient.shape} was given for a tensor of "
            f"{tensor.dtype.name} {tensor.shape}; they must be equal"
        )


def leaves(tensor: Tensor, node: Leaf | None) -> None:
    """Let a tensor be a leaf, or no longer, at once: in a traced function, too, as doing it again changes nothing."""
    tensor._node, tensor._output = node, 0
    trace = _mode.trace
    while trace is not None:
        held = trace.seen(tensor)
        held._node, held._output, trace = node, 0, trace.outer


def leaf_of(tensor: Tensor) -> Leaf:
    """The node of a leaf; it does not keep the tensor alive."""
    return Leaf(_keeping(tensor))


def _keeping(tensor: Tensor) -> Callable[[Tensor], None]:
    """What adds gradients to a tensor's, as long as that is there."""
    reference = weakref.ref(tensor)

    def accumulate(gradient: Tensor) -> None:
        target = reference()
        if target is not None:
            accumulate_in(target, gradient)

    return accumulate


_accumulating = forking.lock()


def accumulate_in(target: Tensor, gradient: Tensor) -> None:
    """Add to `grad`. Several threads may do so at once: who finds that another was faster adds anew."""
    if _mode.trace is not None:
        target.grad = gradient if target.grad is None else target.grad + gradient
        return
    while True:
        before = target._grad
        total = gradient if before is None else before + gradient
        with _accumulating:
            if target._grad is before:
                target.grad = total
                return


def _root(tensor: Tensor, gradient: Tensor | None, name: str) -> tuple[autodiff.Edge, Tensor]:
    """Where a backward pass starts, and with what."""
    edge = edge_of(tensor)
    if edge is None:
        why = (
            f"{tensor.dtype.name} values have no gradients, so the history ended before them"
            if not tensor.dtype.is_inexact
            else "nothing it was computed from requires a gradient, or it was made in no_grad()"
        )
        raise GradientError(
            f"{name}: the tensor has no history: {why}; call requires_grad_() on the inputs first"
        )
    if gradient is None:
        if tensor.size != 1:
            raise GradientError(
                f"{name}: the tensor has shape {tensor.shape}; its gradient can only be left out "
                "for a single element; reduce it first (for example .sum()), or pass gradient="
            )
        gradient = alike(1, tensor)
    if not isinstance(gradient, Tensor):
        raise ArgumentTypeError(
            f"{name}: gradient is a {type(gradient).__name__}; expected a Tensor"
        )
    if gradient.shape != tensor.shape:
        raise GradientError(
            f"{name}: gradient has shape {gradient.shape}, the tensor {tensor.shape}; they must be "
            "equal"
        )
    return edge, gradient.astype(tensor.dtype.gradient)


def gradients(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor],
    cotangents: Sequence[Tensor | None] | None = None, retain_graph: bool | None = None,
    create_graph: bool = False,
) -> list[Tensor | None]:  # fmt: skip
    """The gradients of outputs by inputs, without touching `grad`; None where they do not depend.

    >>> import tessella as ts
    >>> x = ts.asarray([3.0]).requires_grad_()
    >>> ts.gradients([x * x], [x])
    [tensor([6.])]
    """
    for name, tensors in (("outputs", outputs), ("inputs", inputs)):
        if not isinstance(tensors, (list, tuple)) or not all(
            isinstance(x, Tensor) for x in tensors
        ):
            raise ArgumentTypeError(
                f"gradients: {name} is {shown(tensors)}; expected a list or a tuple of tensors"
            )
    if cotangents is None:
        cotangents = [None] * len(outputs)
    if not isinstance(cotangents, (list, tuple)) or len(cotangents) != len(outputs):
        raise ArgumentTypeError(
            f"gradients: cotangents is {shown(cotangents)}; expected a list with a gradient, or None, for each of "
            f"the {len(outputs)} outputs"
        )
    roots = [_root(y, ct, "gradients") for y, ct in zip(outputs, cotangents, strict=True)]
    targets = []
    for x in inputs:
        edge = edge_of(x)
        if edge is None:
            raise GradientError("gradients: an input requires no gradient; use requires_grad_()")
        targets.append(edge)
    retain = create_graph if retain_graph is None else retain_graph
    with autodiff.set_enabled(create_graph):
        return autodiff.gradients(roots, targets, retain)
