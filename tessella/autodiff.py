"""The tape and the chain rule, for scalars and tensors alike.

Each operation on a value that needs gradients leaves a `Node`: where its inputs came from, and a
`pullback` that turns the gradients of its outputs into those of its inputs. `backward` walks the
nodes from the last to the first, and adds up what reaches each of them. It knows nothing of
scalars or tensors: gradients need only `+`.

Source: Griewank & Walther, *Evaluating Derivatives* (2008), chapter 3 (reverse mode).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, overload

from tessella import forking
from tessella.arguments.kinds import shown
from tessella.arguments.precision import as_written, lower_dtype
from tessella.blocks import Block, Setting
from tessella.errors import ArgumentTypeError, GradientError

Edge = tuple["Node", int]  # a node, and which of its outputs
Hook = Callable[[Any], Any]
Function = TypeVar("Function", bound=Callable[..., Any])

_hook_numbers = itertools.count(1)
_adding_hooks = forking.lock()


class HookHandle:
    """What registering a hook gives: `remove()` takes the hook away, the end of a `with` block too."""

    __slots__ = ("_hooks", "_key")

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        if not isinstance(hooks, dict):
            raise ArgumentTypeError(
                f"HookHandle: a {type(hooks).__name__} was given as the hooks; expected a dict"
            )
        self._hooks = hooks
        self._key = next(_hook_numbers)
        hooks[self._key] = hook

    def __repr__(self) -> str:
        return f"<a hook that is {'registered' if self._key in self._hooks else 'removed'}; remove() takes it away>"

    def remove(self) -> None:
        """Do not call the hook any more."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Node:
    """One recorded operation.

    Args:
        name: of the operation, for messages.
        parents: for each input the edge it came by, or None if it needs no gradient.
        pullback: gradients of the outputs (None for zero) to gradients of the inputs.
    """

    __slots__ = ("__weakref__", "hooks", "name", "parents", "pullback")

    is_end = False  # whether gradients that are asked for here go no further

    def __init__(
        self,
        name: str,
        parents: tuple[Edge | None, ...],
        pullback: Callable[[list[Any]], Sequence[Any]] | None,
    ) -> None:
        self.name = name
        self.parents = parents
        self.pullback = pullback
        self.hooks: dict[int, dict[int, Hook]] | None = None  # by output, in order

    def add_hook(self, output: int, hook: Hook) -> HookHandle:
        """Call `hook(gradient)` when that of an output is known."""
        with _adding_hooks:
            if self.hooks is None:
                self.hooks = {}
            hooks = self.hooks.setdefault(output, {})
        return HookHandle(hooks, hook)

    def pull(self, cotangents: list[Any]) -> Sequence[Any]:
        """The gradients of the inputs.

        Raises:
            GradientError: the history was freed by an earlier backward pass.
        """
        if self.pullback is None:
            raise GradientError(
                f"backward: the history of {self.name} is gone, because backward() has already "
                "gone through it; call the first one with retain_graph=True to go twice"
            )
        return self.pullback(cotangents)

    def release(self) -> None:
        """Forget what was kept for the backward pass."""
        self.pullback = None


class Leaf(Node):
    """The end of a history: a value that keeps its gradient."""

    __slots__ = ()

    is_end = True

    def __init__(self, accumulate: Callable[[Any], None]) -> None:
        def pullback(cotangents: list[Any]) -> Sequence[Any]:
            accumulate(cotangents[0])
            return ()

        super().__init__("leaf", (), pullback)

    def release(self) -> None:
        """A leaf can always take another gradient."""


class Mode(threading.local):
    """What this thread does with operations."""

    trace: Any = None  # what writes operations down instead of doing them (`tracing/trace.py`)
    where: Any = None  # the line of the user's program they belong to, where that is known
    pulled: Any = (
        None  # the node whose gradient they compute, where that is noted, and what is so around it
    )
    layer: Any = None  # the module whose call is under way, where that is noted (`nn/places.py`)
    watched = False  # whether somebody looks on at eager operations


mode = Mode()


class Recording(NamedTuple):
    """Whether operations are recorded, and whether the user wants no gradients through them (`no_grad`)."""

    enabled: bool = True
    silent: bool = False


recording = Setting("recording", Recording())
_NO_GRAD, _ENABLE_GRAD = Recording(False, True), Recording(True, False)


def is_enabled() -> bool:
    """Whether operations are being recorded in this thread, or task."""
    return recording.get().enabled


def set_enabled(enabled: bool) -> Block:
    """Record operations, or not, inside a `with` block (or a decorated function)."""
    return recording.block(Recording(enabled, recording.get().silent))


@overload
def no_grad(function: None = None, /) -> Block: ...
@overload
def no_grad(function: Function, /) -> Function: ...
def no_grad(function: Any = None, /) -> Any:
    """Do not record what is done inside; for inference and updates of parameters.

    A `with` block, or a decorator, with or without parentheses.

    >>> @no_grad
    ... def recorded():
    ...     return is_enabled()
    >>> recorded()
    False
    """
    return _block_or_function(_NO_GRAD, function, "no_grad")


@overload
def enable_grad(function: None = None, /) -> Block: ...
@overload
def enable_grad(function: Function, /) -> Function: ...
def enable_grad(function: Any = None, /) -> Any:
    """Record again inside a `no_grad` block; used likewise."""
    return _block_or_function(_ENABLE_GRAD, function, "enable_grad")


@overload
def inference_mode(mode: bool = True) -> Block: ...
@overload
def inference_mode(mode: Function) -> Function: ...
def inference_mode(mode: Any = True) -> Any:
    """As `no_grad`; with False it changes nothing.

    >>> with inference_mode():
    ...     is_enabled()
    False
    """
    if isinstance(mode, bool):
        return recording.block(_NO_GRAD if mode else recording.get())
    return _block_or_function(_NO_GRAD, mode, "inference_mode")


def _block_or_function(value: Recording, function: Any, name: str) -> Any:
    block = recording.block(value)
    if function is None:
        return block
    if not callable(function):
        raise ArgumentTypeError(
            f"{name}: {shown(function)} was given; expected a function to decorate, or nothing: "
            f"`with ts.{name}():`"
        )
    return block(function)


def backward(
    roots: Sequence[tuple[Edge, Any]],
    retain_graph: bool = False,
    order: Sequence[Node] | None = None,
) -> None:
    """Carry the gradients of the roots back to every leaf.

    Args:
        roots: edges with their gradients.
        retain_graph: keep the history, to go through it again.
        order: all nodes below the roots, each before its parents, where that is known already.

    Raises:
        GradientError: the history is gone.
    """
    checked = _checked_roots(roots)
    if order is None:
        order = topological_order([edge[0] for edge, _ in checked])
    elif not isinstance(order, (list, tuple)):
        raise ArgumentTypeError(f"backward: the order is a {type(order).__name__}; expected nodes")
    pending = _Pending()
    for edge, cotangent in checked:
        pending.add(edge, cotangent)
    _walk(pending, order, retain_graph)


def gradients(
    roots: Sequence[tuple[Edge, Any]], targets: Sequence[Edge], retain_graph: bool = False
) -> list[Any]:
    """The gradients at some edges (None where none arrives); leaves keep what they have."""
    if not isinstance(targets, (list, tuple)) or not all(_is_edge(edge) for edge in targets):
        raise ArgumentTypeError(
            "gradients: the targets are no edges; expected [(node, output), ...]"
        )
    checked = _checked_roots(roots)
    order = topological_order([edge[0] for edge, _ in checked])
    nodes = {node for node, _ in targets}
    pending = _Sought(nodes, _leads_to(order, nodes))
    for edge, cotangent in checked:
        pending.add(edge, cotangent)
    _walk(pending, order, retain_graph)
    return [pending.at(edge) for edge in targets]


def _is_edge(edge: Any) -> bool:
    return isinstance(edge, tuple) and len(edge) == 2 and isinstance(edge[0], Node)


def _checked_roots(roots: Any) -> Sequence[tuple[Edge, Any]]:
    """What is walked from.

    Raises:
        ArgumentTypeError: it is no sequence of pairs of an edge and a gradient.
    """
    good = isinstance(roots, (list, tuple))
    for root in roots if good else ():
        good = good and isinstance(root, tuple) and len(root) == 2 and _is_edge(root[0])
    if not good:
        raise ArgumentTypeError(
            "backward: the roots are no edges with gradients; expected [((node, output), gradient), ...]"
        )
    checked: Sequence[tuple[Edge, Any]] = roots
    return checked


def _walk(pending: _Pending, order: Sequence[Node], retain_graph: bool) -> None:
    """The chain rule, in the dtypes of the forward pass whatever `autocast` says here."""
    if lower_dtype() is None:
        _walk_as_written(pending, order, retain_graph)
        return
    with as_written:
        _walk_as_written(pending, order, retain_graph)


def _walk_as_written(pending: _Pending, order: Sequence[Node], retain_graph: bool) -> None:
    """The chain rule, where somebody looks on with a note of whose gradient is being computed."""
    if mode.trace is None and not mode.watched:
        _pull(pending.take, pending.add, order, retain_graph)
        return
    around = mode.pulled

    def take(node: Node) -> list[Any] | None:
        mode.pulled = None  # hooks are a user's
        taken = pending.take(node)
        mode.pulled = node, around
        return taken

    def add(edge: Edge, cotangent: Any) -> None:
        mode.pulled = edge[0], around
        pending.add(edge, cotangent)

    try:
        _pull(take, add, order, retain_graph)
    finally:
        mode.pulled = around


def _pull(
    take: Callable[[Node], list[Any] | None], add: Callable[[Edge, Any], None],
    order: Sequence[Node], retain_graph: bool,
) -> None:  # fmt: skip
    """The chain rule, from the last node to the first.

    A node's gradients are complete when it is reached, since each node stands before its parents; pulled back, they
    are added to what its parents have got from elsewhere.
    """
    for node in order:
        cotangents = take(node)
        if cotangents is None:
            continue
        # an argument by name would take longer than the rest of this line
        for edge, pulled in zip(node.parents, node.pull(cotangents)):  # noqa: B905
            if edge is not None and pulled is not None:
                add(edge, pulled)
        if not retain_graph:
            node.release()


class _Pending(dict[Node, list[Any]]):
    """Gradients on their way: for each node those of its outputs, as far as any has arrived."""

    __slots__ = ()

    def add(self, edge: Edge, cotangent: Any) -> None:
        """Add to the gradient of an output."""
        node, output = edge
        before = self.get(node)
        if before is None:
            self[node] = [None] * output + [cotangent] if output else [cotangent]
        elif output >= len(before):
            before += [None] * (output - len(before)) + [cotangent]
        else:
            known = before[output]
            before[output] = cotangent if known is None else known + cotangent

    def take(self, node: Node) -> list[Any] | None:
        """The gradients of a node's outputs, as its hooks leave them; None if nothing is to be pulled."""
        cotangents = self.pop(node, None)
        if node.hooks and cotangents is not None:
            _run_hooks(node.hooks, cotangents)
        return cotangents


class _Sought(_Pending):
    """Gradients on their way to some nodes, those that arrive there are kept.

    Args:
        targets: the nodes.
        leading: the nodes from which one of them can be reached; at others nothing needs to be pulled.
    """

    __slots__ = ("leading", "reached", "targets")

    def __init__(self, targets: set[Node], leading: set[Node]) -> None:
        super().__init__()
        self.targets = targets
        self.leading = leading
        self.reached: dict[Node, list[Any]] = {}

    def take(self, node: Node) -> list[Any] | None:
        """As above; None behind an end that is sought, too."""
        if node not in self.leading:
            self.pop(node, None)
            return None
        cotangents = super().take(node)
        if cotangents is None or node not in self.targets:
            return cotangents
        self.reached[node] = cotangents
        return None if node.is_end else cotangents

    def at(self, edge: Edge) -> Any:
        """The gradient that arrived at an edge, None if none did."""
        node, output = edge
        arrived = self.reached.get(node, ())
        return arrived[output] if output < len(arrived) else None


def _run_hooks(hooks: dict[int, dict[int, Hook]], cotangents: list[Any]) -> None:
    """Let the hooks of each output change its gradient, if it has one."""
    for output, of_output in list(hooks.items()):
        for hook in list(of_output.values()):
            if output < len(cotangents) and cotangents[output] is not None:
                changed = hook(cotangents[output])
                if changed is not None:
                    cotangents[output] = changed


def topological_order(roots: Sequence[Node]) -> list[Node]:
    """Every node below the roots, each before its parents. Iterative: histories are long.

    Raises:
        ArgumentTypeError: the roots are no nodes.
    """
    if not isinstance(roots, (list, tuple)) or not all(isinstance(root, Node) for root in roots):
        raise ArgumentTypeError(
            f"topological_order: roots is {shown(roots)}; expected a list of nodes"
        )
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in roots]
    while stack:
        node, finished = stack.pop()
        if finished:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            for edge in node.parents:
                if edge is not None and edge[0] not in seen:
                    stack.append((edge[0], False))
    order.reverse()
    return order


def _leads_to(order: Sequence[Node], targets: set[Node]) -> set[Node]:
    """The nodes from which a target can be reached; the others need no work."""
    needed: set[Node] = set()
    for node in reversed(order):
        leads = [edge is not None and edge[0] in needed for edge in node.parents]
        if node in targets or any(leads):
            needed.add(node)
    return needed
