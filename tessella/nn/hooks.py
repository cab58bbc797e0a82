"""What users have called when a module is called, and when gradients come back through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tessella import autodiff
from tessella.arguments import called, public
from tessella.autodiff import HookHandle
from tessella.tensors.tensor import Tensor
from tessella.tracing.changes import WatchedDict
from tessella.transforms import trees
from tessella.transforms.custom import custom_vjp
from tessella.transforms.recording import InnerTrace

Tuple = tuple[Any, ...]


class Hook:
    """A function of a user's, and how it is called.

    Args:
        told: which hook it is and how it is called, for the error if Python refuses that.
        with_kwargs: whether it is given the keyword arguments of the call, too.
        always_call: whether it is called even if the module's call fails.
    """

    def __init__(
        self, function: Callable[..., Any], told: str, with_kwargs: bool = False, always_call: bool = False
    ) -> None:  # fmt: skip
        self.function, self.told = function, told
        self.with_kwargs, self.always_call = with_kwargs, always_call

    def __call__(self, *arguments: Any) -> Any:
        return called(self.told, self.function, *arguments)


class BeforeForward(Hook):
    """Called before forward; may change what forward is given."""

    def change(self, module: Any, inputs: Tuple, options: dict[str, Any]) -> tuple[Tuple, Any]:
        if self.with_kwargs:
            changed = self(module, inputs, options)
            return (inputs, options) if changed is None else changed
        changed = self(module, inputs)
        if changed is None:
            return inputs, options
        return changed if isinstance(changed, tuple) else (changed,), options


class AfterForward(Hook):
    """Called after forward; may change what it gives."""

    def change(self, module: Any, inputs: Tuple, options: Mapping[str, Any], result: Any) -> Any:
        given = (inputs, options) if self.with_kwargs else (inputs,)
        changed = self(module, *given, result)
        return result if changed is None else changed


class BeforeBackward(Hook):
    """Called with the gradients of what the module gave; may change them."""


class AfterBackward(Hook):
    """Called with the gradients of what the module was given and of what it gave; may change the first."""


# Those of every module, which come before its own.
of_all: dict[int, Hook] = WatchedDict()


@public
def register_module_forward_pre_hook(hook: Callable[..., Any]) -> HookHandle:
    """Call `hook(module, inputs)` before the forward of every module; what it returns replaces the inputs."""
    told = "register_module_forward_pre_hook: the hook is called as hook(module, inputs)"
    return registered(of_all, BeforeForward(hook, told))


@public
def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> HookHandle:
    """Call `hook(module, inputs, output)` after the forward of every module; what it returns replaces the output.

    Args:
        with_kwargs: whether it is called as `hook(module, inputs, keyword_arguments, output)`.
        always_call: whether it is called, with None for the output, even if the call has failed.

    >>> import tessella as ts
    >>> from tessella import nn
    >>> handle = register_module_forward_hook(lambda module, inputs, output: print(type(module).__name__))
    >>> _ = nn.Sequential(nn.ReLU(), nn.Tanh())(ts.ones(1))
    ReLU
    Tanh
    Sequential
    >>> handle.remove()
    """
    options = ", keyword arguments" if with_kwargs else ""
    told = (
        f"register_module_forward_hook: the hook is called as hook(module, inputs{options}, output)"
    )
    return registered(of_all, AfterForward(hook, told, with_kwargs, always_call))


@public
def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> HookHandle:
    """Call `hook(module, grad_output)` before gradients go back through any module; what it returns replaces them."""
    told = "register_module_full_backward_pre_hook: the hook is called as hook(module, grad_output)"
    return registered(of_all, BeforeBackward(hook, told))


@public
def register_module_full_backward_hook(hook: Callable[..., Any]) -> HookHandle:
    """Call `hook(module, grad_input, grad_output)` when gradients have gone back through any module.

    What it returns replaces those of the inputs.
    """
    told = "register_module_full_backward_hook: the hook is called as hook(module, grad_input, grad_output)"
    return registered(of_all, AfterBackward(hook, told))


def registered(hooks: dict[int, Any], hook: Hook, prepend: bool = False) -> HookHandle:
    """Add a hook behind the others, or before them."""
    handle = HookHandle(hooks, hook)
    if prepend:
        *others, last = hooks.items()
        hooks.clear()
        hooks.update([last, *others])
    return handle


def call(
    module: Any, forward: Callable[..., Any], hooks: list[Hook], inputs: Tuple, options: dict[str, Any]
) -> Any:  # fmt: skip
    """Call the forward of a module, with its hooks around."""
    for hook in hooks:
        if isinstance(hook, BeforeForward):
            inputs, options = hook.change(module, inputs, options)
    way_back = _WayBack.of(module, hooks)
    if way_back is not None:
        inputs = way_back.enter(inputs)
    waiting = [hook for hook in hooks if isinstance(hook, AfterForward)]
    result = None
    try:
        result = forward(*inputs, **options)
        while waiting:
            result = waiting.pop(0).change(module, inputs, options, result)
    finally:  # of a call that has failed, some are told all the same
        for hook in waiting:
            if hook.always_call:
                hook.change(module, inputs, options, result)
    return result if way_back is None else way_back.leave(result)


class _WayBack:
    """The gradients of one call of a module: those of what it gave are kept until those of its inputs come."""

    def __init__(self, module: Any, before: list[Hook], after: list[Hook]) -> None:
        self.module, self.before, self.after = module, before, after
        self.of_results: Tuple = ()
        self.count: int | None = None  # of inputs, if no gradients of them will come

    @classmethod
    def of(cls, module: Any, hooks: list[Hook]) -> _WayBack | None:
        before: list[Hook] = [hook for hook in hooks if isinstance(hook, BeforeBackward)]
        after: list[Hook] = [hook for hook in hooks if isinstance(hook, AfterBackward)]
        return cls(module, before, after) if (before or after) and autodiff.is_enabled() else None

    def enter(self, inputs: Tuple) -> Tuple:
        """The inputs, watched."""
        watched = _watched(inputs, self._inputs_pulled)
        if watched is None:
            self.count = len(inputs)
            return inputs
        return watched

    def leave(self, result: Any) -> Any:
        """The result, watched; it may be a tree."""
        leaves, structure = trees.flatten(result)
        watched = _watched(tuple(leaves), self._results_pulled)
        return result if watched is None else trees.unflatten(structure, watched)

    def _results_pulled(self, gradients: Tuple) -> Tuple:
        for hook in self.before:
            gradients = _replaced(gradients, hook(self.module, gradients))
        self.of_results = gradients
        if self.count is not None:
            for hook in self.after:
                hook(self.module, (None,) * self.count, gradients)
        return gradients

    def _inputs_pulled(self, gradients: Tuple) -> Tuple:
        for hook in self.after:
            gradients = _replaced(gradients, hook(self.module, gradients, self.of_results))
        return gradients


def _replaced(gradients: Tuple, changed: Any) -> Tuple:
    """What a hook made of gradients: a tuple like theirs, or, for one, a tensor."""
    if changed is None:
        return gradients
    return tuple(changed) if isinstance(changed, (tuple, list)) else (changed,)


def _watched(items: Tuple, pulled: Callable[[Tuple], Tuple]) -> Tuple | None:
    """Items, through whose tensors gradients go by a function of a tuple like this one; None if none will.

    Of what is no tensor with a gradient the tuple has None. Where a transformation records a graph, nobody knows yet
    which will have one.
    """
    trace = autodiff.mode.trace
    unknown = isinstance(trace, InnerTrace) and not trace.inlines
    tensors = [(i, x) for i, x in enumerate(items) if isinstance(x, Tensor) and x.dtype.is_float]
    places = [i for i, x in tensors if unknown or x.requires_grad]
    if not places:
        return None

    def backward(_: Any, gradients: Tuple) -> Tuple:
        whole: list[Any] = [None] * len(items)
        for place, gradient in zip(places, gradients, strict=True):
            whole[place] = gradient
        found = pulled(tuple(whole))
        return tuple(found[place] for place in places)

    same = custom_vjp(lambda *xs: xs)
    same.defvjp(lambda *xs: (xs, None), backward)
    found = list(items)
    for place, x in zip(places, same(*[items[i] for i in places]), strict=True):
        found[place] = x
    return tuple(found)
