"""`Module` and `Parameter`: a tree of layers with names, as in PyTorch."""

from __future__ import annotations

import contextlib
import functools
import html
import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, TypeVar

import numpy as np

from tessella import autodiff, dtypes, notebooks
from tessella.arguments import called, public
from tessella.arguments.kinds import Device, DTypeLike, register_class, shown
from tessella.devices.array import check_shape
from tessella.devices.device import Device as OneDevice
from tessella.dtypes import as_dtype
from tessella.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    MissingRuleError,
    StateDictError,
    TessellaError,
    UnknownNameError,
)
from tessella.names import missing
from tessella.nn import hooks
from tessella.nn.conversions import Conversions
from tessella.nn.places import inside, place
from tessella.nn.summary import NetworkSummary, Zeros, summarised
from tessella.tensors.creation import asarray
from tessella.tensors.surroundings import about_to_write, at_once, guarded, touched
from tessella.tensors.tensor import Tensor, handle_of, hold_data_of, is_noted
from tessella.tracebacks import calls_users, shorten
from tessella.tracing.changes import WatchedDict, note
from tessella.tracing.trace import at_home, ours

_CALLED = "{}: the hook is called as hook({})"
_EXTRA = "_extra_state"  # the key of what a module keeps besides tensors
M = TypeVar("M", bound="Module")
P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
register_class("Parameter", lambda: Parameter, "an nn.Parameter")
register_class("Module", lambda: Module, "an nn.Module")


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(type(size) is int for size in value)


class Parameter(Tensor):
    """A tensor that a module trains: a leaf that requires a gradient.

    >>> import tessella as ts
    >>> Parameter(ts.zeros(2)).requires_grad
    True
    """

    __slots__ = ()

    @public
    def __new__(cls, data: Tensor, requires_grad: bool = True) -> Parameter:
        parameter = handle_of(cls, data)
        if requires_grad:
            parameter.requires_grad_()
        return parameter

    def __init__(self, data: Tensor, requires_grad: bool = True) -> None:
        pass  # all is done in __new__

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        fresh = Parameter(self.detach().copy(), self.requires_grad)
        if self.grad is not None:
            fresh.grad = self.grad.detach().copy()
        memo[id(self)] = fresh
        return fresh

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild_parameter, (self.detach(), self.requires_grad))


def _rebuild_parameter(data: Tensor, requires_grad: bool) -> Parameter:
    return Parameter(data, requires_grad)


class Buffer(Tensor):
    """A tensor that belongs to a module but is not trained, once it is assigned to an attribute.

    Args:
        persistent: whether it is part of `state_dict`.

    >>> import tessella as ts
    >>> module = Module()
    >>> module.mean = Buffer(ts.zeros(2))
    >>> list(module.state_dict())
    ['mean']
    """

    __slots__ = ("persistent",)

    persistent: bool

    @public
    def __new__(cls, data: Tensor, *, persistent: bool = True) -> Buffer:
        buffer = handle_of(cls, data)
        buffer.persistent = persistent
        return buffer

    def __init__(self, data: Tensor, *, persistent: bool = True) -> None:
        pass  # all is done in __new__

    def __deepcopy__(self, memo: dict[int, Any]) -> Buffer:
        fresh = memo[id(self)] = Buffer(self.detach().copy(), persistent=self.persistent)
        return fresh

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild_buffer, (self.detach(), self.persistent))


def _rebuild_buffer(data: Tensor, persistent: bool) -> Buffer:
    return Buffer(data, persistent=persistent)


class _HasForward(Protocol[P, R_co]):
    """What is called as its `forward` is."""

    def forward(self, *inputs: P.args, **options: P.kwargs) -> R_co: ...


class IncompatibleKeys(NamedTuple):
    """What a checkpoint lacked, and what it had too much."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module(Conversions):
    """The base of all layers. Write `__init__` and `forward`; the rest follows.

    Parameters, buffers and modules that are assigned as attributes are found again by their names.

    >>> class Double(Module):
    ...     def forward(self, x):
    ...         return x * 2
    >>> import tessella as ts
    >>> Double()(ts.ones(2))
    tensor([2., 2.])
    """

    _training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _state_hooks: dict[str, dict[int, Any]]

    @public
    def __init__(self) -> None:
        fields: dict[str, Any] = {
            "_training": True,
            "_parameters": WatchedDict(),
            "_buffers": WatchedDict(),
            "_transient": set(),
            "_modules": WatchedDict(),
            "_forward_hooks": WatchedDict(),
            "_forward_pre_hooks": WatchedDict(),
            "_state_hooks": {},
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the layer computes."""
        raise MissingRuleError(
            f"{type(self).__name__} has no forward; define forward(self, x) in it"
        )

    if TYPE_CHECKING:  # an editor is told that a module is called as its `forward` is

        def __call__(self: _HasForward[P, R], *inputs: P.args, **options: P.kwargs) -> R: ...

    else:

        @calls_users
        def __call__(self, *inputs: Any, **options: Any) -> Any:
            try:
                touched(self)
                try:
                    forward = self._forward_noted if is_noted() else self.forward
                    if self._forward_pre_hooks or self._forward_hooks or hooks.of_all:
                        own = [*self._forward_pre_hooks.values(), *self._forward_hooks.values()]
                        held = [*hooks.of_all.values(), *own]
                        return hooks.call(self, forward, held, inputs, options)
                    return forward(*inputs, **options)
                except TypeError as error:
                    _explain_refusal(self, error)
                    raise
            except Exception as error:  # goes on as it is, but for the frames of ours
                place(error, self)
                shorten(error)
                raise

    def _forward_noted(self, *inputs: Any, **options: Any) -> Any:
        """Forward, in a traced function or looked on at; in a layer of ours no code of users runs."""
        own = "forward" in self.__dict__ or bool(self._modules)
        is_ours = not own and type(self).forward.__module__.startswith("tessella.")
        with inside(self), ours() if is_ours else contextlib.nullcontext():
            return self.forward(*inputs, **options)

    # --- attributes -------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if "_parameters" not in self.__dict__:
            if isinstance(value, (Parameter, Module)):
                raise ArgumentError(
                    f"{type(self).__name__}.{name}: call super().__init__() before assigning "
                    "parameters and modules"
                )
            object.__setattr__(self, name, value)
            return
        home = self._home_of(name, value)
        about_to_write(self, name)
        for other in (self._parameters, self._buffers, self._modules):
            if other is not home:
                other.pop(name, None)
        if home is None:
            object.__setattr__(self, name, value)
            note()
        else:
            self.__dict__.pop(name, None)
            home[name] = value

    def _home_of(self, name: str, value: Any) -> dict[str, Any] | None:
        if isinstance(value, Parameter):
            if name not in self._parameters:
                self._require_name("attribute", name)
                if hasattr(type(self), name):  # it would hide the parameter
                    raise ArgumentError(
                        f"{type(self).__name__}.{name} is an attribute of the class, which hides a parameter of "
                        "that name; take another name"
                    )
            return self._parameters
        if isinstance(value, Module):
            if name not in self._modules:
                self._require_name("attribute", name)
            self._require_no_circle("attribute", name, value)
            return self._modules
        if isinstance(value, Buffer):
            if name not in self._buffers:
                self._require_name("attribute", name)
            (self._transient.discard if value.persistent else self._transient.add)(name)
            return self._buffers
        if name in self._parameters:
            if value is None:
                return self._parameters
            raise ArgumentTypeError(
                f"{type(self).__name__}.{name} is a parameter; assign an nn.Parameter or None, not "
                f"{type(value).__name__}"
            )
        if name in self._buffers and (value is None or isinstance(value, Tensor)):
            return self._buffers
        if name in self._modules and value is None:
            return self._modules
        return None

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(table)
            if found is not None and name in found:
                return found[name]
        if name.startswith("__"):  # which Python itself and libraries look for
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        tables = (*Module.__tessella_tables__, "_state_hooks")
        if name in tables and name not in self.__dict__:
            raise UnknownNameError(
                f"{type(self).__name__} has no {name} yet; call super().__init__() first in its __init__"
            )
        asked = inspect.getattr_static(type(self), name, None)
        if isinstance(asked, (property, functools.cached_property)):
            return asked.__get__(self, type(self))  # whose own error says what it lacks
        raise missing("Module", name, self)

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                return
        if name not in self.__dict__:
            raise missing("Module", name, self)
        object.__delattr__(self, name)
        note()

    def __dir__(self) -> list[str]:
        tables = (self.__dict__.get(table, {}) for table in ("_parameters", "_buffers", "_modules"))
        return [*super().__dir__(), *(name for table in tables for name in table)]

    @public
    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Add a parameter (or None, for one that is left out).

        Raises:
            ArgumentError: the name is taken, or cannot be part of a key of `state_dict`.
        """
        self._require_free("register_parameter", name, self._parameters)
        self._parameters[name] = parameter

    @public
    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the module but is not trained, such as running means.

        Args:
            persistent: whether it is part of `state_dict`.

        Raises:
            ArgumentError: the name is taken, or cannot be part of a key of `state_dict`.
        """
        self._require_free("register_buffer", name, self._buffers)
        self._buffers[name] = tensor
        (self._transient.discard if persistent else self._transient.add)(name)

    @public
    def add_module(self, name: str, module: Module | None) -> None:
        """Add a module under a name.

        Raises:
            ArgumentError: the name is taken, or cannot be part of a key of `state_dict`.
        """
        self._require_free("add_module", name, self._modules)
        self._require_no_circle("add_module", name, module)
        self._modules[name] = module

    def _require_no_circle(self, call: str, name: str, module: Module | None) -> None:
        """Keys of `state_dict` are ways down a tree, which would have no end."""
        if module is not None and any(below is self for below in module.modules()):
            raise ArgumentError(
                f"{call}: {name!r} would be a part of {type(self).__name__} that holds this {type(self).__name__} "
                "itself, and modules are a tree; keep what leads back in a tuple: self.parent = (module,)"
            )

    def _require_free(self, call: str, name: Any, home: Mapping[str, Any]) -> None:
        self._require_name(call, name)
        if name not in home and hasattr(self, name):
            raise ArgumentError(
                f"{call}: {type(self).__name__} has an attribute {name!r} already; take another name, or "
                "delete that one first"
            )

    def _require_name(self, call: str, name: Any) -> None:
        """Dots join the names of modules to keys of `state_dict`: with one inside, two could have one key."""
        if not isinstance(name, str):
            raise ArgumentTypeError(f"{call}: the name is {shown(name)}; expected a string")
        if not name or "." in name:
            cure = f"for example {name.replace('.', '_')!r}" if name else "for example 'weight'"
            raise ArgumentError(
                f"{call}: {name!r} cannot be a name in {type(self).__name__}: expected one that is not empty and "
                f"has no dot, which separates names in keys of state_dict; {cure}"
            )

    # --- the tree -----------------------------------------------------------------------------------

    @public
    def children(self) -> Iterator[Module]:
        """The modules right below this one."""
        return (module for _, module in self.named_children())

    @public
    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules right below this one, each once, with their names."""
        seen: set[int] = set()
        for name, module in self._held():
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def _held(self) -> Iterator[tuple[str, Module]]:
        """The modules right below this one under all their names."""
        touched(self)
        return ((name, m) for name, m in self._modules.items() if m is not None)

    @public
    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    @public
    def named_modules(
        self, memo: set[int] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with dotted names.

        Args:
            memo: ids of modules that are left out.
            prefix: the name of this one.
            remove_duplicate: whether a module that has several names is given once.
        """
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        if remove_duplicate:
            memo.add(id(self))
        yield prefix, self
        for name, child in self._held():
            below = f"{prefix}.{name}" if prefix else name
            yield from child.named_modules(memo, below, remove_duplicate)

    def _named(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Tensor]]:
        seen: set[int] = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else iter([(prefix, self)])
        )
        for path, module in modules:
            touched(module)
            for name, tensor in getattr(module, table).items():
                if tensor is not None and id(tensor) not in seen:
                    if remove_duplicate:
                        seen.add(id(tensor))
                    yield f"{path}.{name}" if path else name, tensor

    @public
    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with dotted names.

        Args:
            prefix: what all names begin with, before a dot.
            recurse: whether those of the modules below are given, too.
            remove_duplicate: whether one that is shared is given once.
        """
        return self._named("_parameters", prefix, recurse, remove_duplicate)  # type: ignore[return-value]

    @public
    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters; a shared one once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    @public
    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with dotted names; the arguments are those of `named_parameters`."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    @public
    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    @public
    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name."""
        return self._get("_parameters", target)  # type: ignore[return-value]

    @public
    def get_buffer(self, target: str) -> Tensor:
        """The buffer of a dotted name."""
        return self._get("_buffers", target)

    def _get(self, table: str, target: str) -> Tensor:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        touched(owner)
        held: Mapping[str, Tensor | None] = getattr(owner, table)
        found = held.get(name)
        if found is None:
            function = "get_parameter" if table == "_parameters" else "get_buffer"
            names = ", ".join(held) or "none"
            raise ArgumentError(f"{function}: {target!r}: no {name!r}; there is: {names}")
        return found

    @public
    def get_submodule(self, target: str) -> Module:
        """The module of a dotted name."""
        found = self
        for part in filter(None, target.split(".")):
            child = found._modules.get(part)
            if child is None:
                names = ", ".join(found._modules) or "none"
                raise ArgumentError(f"get_submodule: {target!r}: no {part!r}; there is: {names}")
            found = child
        return found

    @public
    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Let another module have a dotted name.

        Args:
            strict: whether there must be one already.

        Raises:
            ArgumentError: there is none, or nothing that it could be in.

        >>> from tessella import nn
        >>> net = nn.Sequential(nn.Linear(2, 2))
        >>> net.set_submodule("0", nn.Identity())
        >>> net
        Sequential(
          (0): Identity()
        )
        """
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if strict:
            self.get_submodule(target)
        owner._require_name("set_submodule", name)
        setattr(owner, name, module)

    @public
    def register_module(self, name: str, module: Module | None) -> None:
        """Add a module under a name, as `add_module` does."""
        self.add_module(name, module)

    @public
    def apply(self: M, function: Callable[[Module], Any]) -> M:
        """Call a function on every module below and on this one, for initialising."""
        for child in self.children():
            child.apply(function)
        called("apply: the function is called as function(module)", function, self)
        return self

    # --- modes ----------------------------------------------------------------------------------------

    @property
    def training(self) -> bool:
        """Whether the module is in training mode."""
        return guarded(self, "_training", self._training)

    @training.setter
    @public
    def training(self, mode: bool) -> None:
        about_to_write(self, "_training")
        object.__setattr__(self, "_training", mode)
        note()

    @public
    def train(self: M, mode: bool = True) -> M:
        """Training mode: dropout drops, batch normalisation learns its statistics."""
        for module in self.modules():
            module.training = mode
        return self

    @public
    def eval(self: M) -> M:
        """Evaluation mode."""
        return self.train(False)

    @public
    def summary(self, *inputs: Any, dtype: DTypeLike = None) -> NetworkSummary:
        """The layers in the order of their calls: shapes, parameters, FLOPs and memory; nothing is computed.

        Args:
            inputs: what the module is called with, shapes for tensors of zeros: `model.summary((8, 3, 32, 32))`.
            dtype: of those tensors; that of the parameters unless given.

        >>> import tessella as ts
        >>> print(ts.nn.Sequential(ts.nn.Linear(4, 8), ts.nn.ReLU(), ts.nn.Linear(8, 2)).summary((5, 4)))
        layer        input  output  parameters  FLOPs  output memory
        ------------------------------------------------------------
        Sequential   5×4    5×2             58    480           40 B
          0: Linear  5×4    5×8             40    320          160 B
          1: ReLU    5×8    5×8              0      0          160 B
          2: Linear  5×8    5×2             18    160           40 B
        <BLANKLINE>
        parameters: 58, of which 58 are trained (232 B)
        FLOPs of a call: 480; outputs of the layers: 360 B
        """
        kinds = [p.dtype for p in self.parameters() if p.dtype.is_float]
        kind = as_dtype(dtype) if dtype is not None else kinds[0] if kinds else dtypes.float32
        given = [Zeros(check_shape(x, "summary"), kind) if _is_shape(x) else x for x in inputs]
        return summarised(self, given)

    @public
    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Train all parameters, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    @public
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            if set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad = parameter.grad.detach() * 0

    @public
    def to(
        self: M, *to: Any, dtype: Any = None, device: Device = None, non_blocking: Any = False
    ) -> M:
        """Bring all parameters, their gradients and buffers to a device, and those of fractions to a dtype.

        What an optimiser remembers of a parameter follows at its next step. What is kept in a storage dtype stays so.

        Raises:
            DTypeError: the dtype is none that parameters can have.

        >>> import tessella as ts
        >>> from tessella import nn
        >>> nn.Linear(2, 1).to("cpu").to(ts.float64).weight.dtype
        tessella.float64
        """
        for one in to:
            if isinstance(one, OneDevice) or (isinstance(one, str) and not dtypes.is_known(one)):
                device = one
            else:
                dtype = one
        kind = None if dtype is None else as_dtype(dtype)
        if kind is not None and (not kind.is_float or kind.is_storage):
            what = "floating, and computed with" if kind.is_storage else "floating"
            raise DTypeError(f"to: {kind.name} given; parameters are {what}")
        with autodiff.no_grad():
            for tensor in (*self.parameters(), *self.buffers()):
                wanted = kind if tensor.dtype.is_float and not tensor.dtype.is_storage else None
                with at_home(tensor):
                    gradient = tensor.grad
                    hold_data_of(tensor, tensor.detach().to(device, wanted))
                    if gradient is not None:
                        tensor.grad = gradient.detach().to(device, wanted)
        return self

    # --- hooks ----------------------------------------------------------------------------------------

    @public
    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False,
        always_call: bool = False,
    ) -> autodiff.HookHandle:  # fmt: skip
        """Call `hook(module, inputs, output)` after forward; what it returns replaces the output.

        Args:
            prepend: whether it is called before the hooks that are there already.
            with_kwargs: whether it is called as `hook(module, inputs, keyword_arguments, output)`.
            always_call: whether it is called, with None for the output, even if the call has failed.
        """
        options = ", keyword arguments" if with_kwargs else ""
        told = _CALLED.format("register_forward_hook", f"module, inputs{options}, output")
        made = hooks.AfterForward(hook, told, with_kwargs, always_call)
        return hooks.registered(self._forward_hooks, made, prepend)

    @public
    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> autodiff.HookHandle:
        """Call `hook(module, inputs)` before forward; what it returns replaces the inputs.

        Args:
            prepend: whether it is called before the hooks that are there already.
            with_kwargs: whether it is called as `hook(module, inputs, keyword_arguments)`, and returns both.
        """
        options = ", keyword arguments" if with_kwargs else ""
        told = _CALLED.format("register_forward_pre_hook", f"module, inputs{options}")
        made = hooks.BeforeForward(hook, told, with_kwargs)
        return hooks.registered(self._forward_pre_hooks, made, prepend)

    @public
    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> autodiff.HookHandle:
        """Call `hook(module, grad_input, grad_output)` when gradients of the inputs have been computed.

        Both are tuples; what is no tensor with a gradient has None in them, and what the loss does not depend on, zeros.
        What the hook returns replaces the gradients of the inputs.

        >>> import tessella as ts
        >>> layer = Module()
        >>> layer.forward = lambda x: x * 2
        >>> _ = layer.register_full_backward_hook(lambda module, given, got: (got[0] * 10,))
        >>> ts.grad(layer)(ts.asarray(1.0))
        tensor(10.)
        """
        told = _CALLED.format("register_full_backward_hook", "module, grad_input, grad_output")
        return hooks.registered(self._forward_hooks, hooks.AfterBackward(hook, told), prepend)

    @public
    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> autodiff.HookHandle:
        """Call `hook(module, grad_output)` before the gradients go back through the module.

        What the hook returns replaces them.
        """
        told = _CALLED.format("register_full_backward_pre_hook", "module, grad_output")
        return hooks.registered(self._forward_hooks, hooks.BeforeBackward(hook, told), prepend)

    @public
    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> autodiff.HookHandle:
        """Call `hook(module, prefix, keep_vars)` before `state_dict` takes what is in this module."""
        return self._state_hook("state_dict_pre", hook, "module, prefix, keep_vars")

    @public
    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> autodiff.HookHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` when what is in this module and below is in a `state_dict`.

        It may change the dict. The metadata are an empty dict.
        """
        told = "module, state_dict, prefix, local_metadata"
        return self._state_hook("state_dict_post", hook, told)

    @public
    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> autodiff.HookHandle:
        """Call a hook before `load_state_dict` looks at the checkpoint, which it may change: a copy of the user's.

        It is called as `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
        error_msgs)`; what it puts into the lists is complained about with the rest.
        """
        told = (
            "module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, "
            "error_msgs"
        )
        return self._state_hook("load_state_dict_pre", hook, told)

    @public
    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> autodiff.HookHandle:
        """Call `hook(module, incompatible_keys)` after `load_state_dict`.

        What it takes out of the lists of `missing_keys` and `unexpected_keys` is not complained about.
        """
        return self._state_hook("load_state_dict_post", hook, "module, incompatible_keys")

    def _state_hook(self, kind: str, hook: Callable[..., Any], given: str) -> autodiff.HookHandle:
        told = _CALLED.format(f"register_{kind}_hook", given)
        return hooks.registered(self._state_hooks.setdefault(kind, {}), hooks.Hook(hook, told))

    def _hooks_for(self, kind: str) -> list[hooks.Hook]:
        return list(self._state_hooks.get(kind, {}).values())

    # --- checkpoints ----------------------------------------------------------------------------------

    @public
    def state_dict(
        self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> OrderedDict[str, Tensor]:
        """All parameters and persistent buffers by dotted name, without history.

        Args:
            destination: a dict that they are put into.
            prefix: what all names begin with.
            keep_vars: whether they are the parameters and buffers themselves.
        """
        if destination is not None and not isinstance(destination, dict):
            raise ArgumentTypeError(
                f"state_dict: destination is {shown(destination)}; expected a dict, or None"
            )
        state: Any = OrderedDict() if destination is None else destination
        before = set(state)
        state = self._collect(state, prefix, keep_vars)
        names = [n for n, x in state.items() if n not in before and isinstance(x, Tensor)]
        if not keep_vars:
            held = at_once([state[name] for name in names])
            state.update(zip(names, held, strict=True))
        return state

    def _collect(self, state: Any, prefix: str, keep_vars: bool) -> Any:
        """Put what is in this module and below into a dict."""
        for hook in self._hooks_for("state_dict_pre"):
            hook(self, prefix, keep_vars)
        state.update((prefix + name, tensor) for name, tensor in self._own())
        if self._has_extra_state():
            state[prefix + _EXTRA] = self.get_extra_state()
        for name, child in self._held():
            state = child._collect(state, f"{prefix}{name}.", keep_vars)
        for hook in self._hooks_for("state_dict_post"):
            changed = hook(self, state, prefix, {})
            state = state if changed is None else changed
        return state

    def _own(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters of this module alone, then its persistent buffers."""
        touched(self)
        for name, tensor in (*self._parameters.items(), *self._buffers.items()):
            if tensor is not None and name not in self._transient:
                yield name, tensor

    def _places(self, prefix: str = "") -> Iterator[tuple[str, Module, str]]:
        """The keys of `state_dict`: for each the module, and the name in it."""
        for name, _ in self._own():
            yield prefix + name, self, name
        if self._has_extra_state():
            yield prefix + _EXTRA, self, _EXTRA
        for name, child in self._held():
            yield from child._places(f"{prefix}{name}.")

    def _has_extra_state(self) -> bool:
        return type(self).get_extra_state is not Module.get_extra_state

    def get_extra_state(self) -> Any:
        """What this module keeps in a `state_dict` besides tensors; for classes that define it, with `set_extra_state`."""
        raise MissingRuleError(f"{type(self).__name__} has no get_extra_state; define it")

    def set_extra_state(self, state: Any) -> None:
        """Take what `get_extra_state` gave."""
        raise MissingRuleError(
            f"{type(self).__name__} has no set_extra_state; define it beside get_extra_state"
        )

    @public
    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Take parameters and buffers from a checkpoint; nothing is changed if it does not fit.

        Args:
            state_dict: names to tensors (or anything `ts.asarray` takes).
            strict: complain about names that are missing or unknown.
            assign: let the checkpoint's tensors be the parameters and buffers, of their own dtypes, instead of
                copying their numbers.

        Raises:
            StateDictError: says which names and shapes do not fit.
        """
        given = OrderedDict(state_dict)
        keys, problems = IncompatibleKeys([], []), list[str]()
        for name, module in self.named_modules(remove_duplicate=False):
            for hook in module._hooks_for("load_state_dict_pre"):
                hook(module, given, f"{name}." if name else "", {}, strict, *keys, problems)
        places = {key: (owner, name) for key, owner, name in self._places()}
        keys.missing_keys.extend(key for key in places if key not in given)
        keys.unexpected_keys.extend(key for key in given if key not in places)
        found = self._fitting(given, places, assign, problems)
        heard = [(m, hook) for m in self.modules() for hook in m._hooks_for("load_state_dict_post")]
        told = _told(keys) if problems or (strict and not heard) else []
        self._complain(problems + told, strict)
        before = {key: getattr(*places[key]).detach().copy() for key in found} if heard else {}
        _load(found, places, assign)
        for module, hook in heard:
            hook(module, keys)
        if strict and any(keys):
            _load(before, places, assign)
            self._complain(_told(keys), strict)
        for key, (owner, name) in places.items():
            if name == _EXTRA and key in given:
                owner.set_extra_state(given[key])
        return keys

    def _fitting(
        self, given: Mapping[str, Any], places: Mapping[str, Any], assign: bool, problems: list[str]
    ) -> dict[str, Tensor]:
        """The tensors of a checkpoint that fit; what is wrong with others goes to the problems."""
        found = {}
        for key, (owner, name) in places.items():
            if key not in given or name == _EXTRA:
                continue
            own = getattr(owner, name)
            try:
                value = _as_tensor(given[key])
                value = value if assign else value.astype(own.dtype)
            except TessellaError as error:
                problems.append(f"{key}: {error}")
                continue
            if value.shape == own.shape:
                found[key] = value
            else:
                problems.append(
                    f"size of {key}: the checkpoint has {value.shape}, the module {own.shape}"
                )
        return found

    def _complain(self, problems: list[str], strict: bool) -> None:
        """
        Raises:
            StateDictError: there are problems.
        """
        leave_out = "Load it with strict=False to leave out names, or build" if strict else "Build"
        if problems:
            raise StateDictError(
                f"load_state_dict: the checkpoint does not fit {type(self).__name__}:\n  "
                + "\n  ".join(problems)
                + f"\n{leave_out} the module it was made for; nothing has been loaded."
            )

    # --- looking at it --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What `repr` shows between the brackets."""
        return ""

    def __repr__(self) -> str:
        children = [f"({name}): {_indented(repr(child))}" for name, child in self._held()]
        extra = self.extra_repr()
        if not children:
            return f"{type(self).__name__}({extra})"
        lines = [*([extra] if extra else []), *children]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"

    def _repr_html_(self) -> str:
        count = sum(parameter.size for parameter in self.parameters())
        total = notebooks.head(type(self).__name__, f"{count:,} numbers in parameters")
        return notebooks.piece(total, self._as_html("", 2))

    def _as_html(self, name: str, depth: int) -> str:
        """The tree of modules below this one, the first levels of it unfolded."""
        own = [
            f"{key} {list(parameter.shape)}"
            for key, parameter in self._parameters.items()
            if parameter is not None
        ]
        title = f"({name}): " if name else ""
        text = f"{title}{type(self).__name__}({self.extra_repr()})"
        line = f"<code>{html.escape(text)}</code> {notebooks.soft(', '.join(own))}"
        children = [child._as_html(key, depth - 1) for key, child in self._held()]
        if not children:
            return line
        return notebooks.folded(line, notebooks.listed(children), is_open=depth > 0)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.setdefault("_state_hooks", {})
        for table in self.__tessella_tables__:  # kept by an earlier version, they may be plain
            self.__dict__[table] = WatchedDict(self.__dict__.get(table, {}))
        note()

    # --- what compiled functions depend on ------------------------------------------------------------

    __tessella_watched__ = True
    __tessella_tables__ = (
        "_parameters", "_buffers", "_modules", "_forward_hooks", "_forward_pre_hooks",
    )  # fmt: skip

    def __tessella_made_as__(self, device: Device = None, dtype: DTypeLike = None) -> bool:
        """Bring a layer that has just been made to a device and a dtype; False if it is of a kind without tensors."""
        self.to(device=device, dtype=dtype)
        return bool(self._parameters or self._buffers or self._modules)

    def __tessella_names__(self) -> Iterator[tuple[Tensor, Tensor | None, str]]:
        """The tensors of this module and those below it, with their names in `state_dict`."""
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            yield tensor, None, name

    def __tessella_children__(self) -> list[tuple[str, Module]]:
        """The modules in this one, with their names; none before it is initialised."""
        modules = self.__dict__.get("_modules", {})
        return [(name, module) for name, module in modules.items() if module is not None]

    def __tessella_members__(self) -> list[str]:
        """The attributes that our own code reads when it calls this module."""
        own = _names_read_by(type(self))  # type: ignore[arg-type]
        plain = [name for name in self.__dict__ if name in own and not name.startswith("_")]
        return [*plain, *self._parameters, *self._buffers, *self._modules]

    def __tessella_containers__(self) -> list[tuple[str, Any]]:
        """The tables whose values our own code reads."""
        own = [self._forward_hooks, self._forward_pre_hooks]
        return [("hooks", table) for table in (*own, hooks.of_all)]


@functools.cache
def _names_read_by(kind: type) -> frozenset[str]:
    """The names in the code of a class, as far as it is ours: users' own code is followed."""
    found: set[str] = set()
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] == "tessella":
            for member in vars(base).values():
                code = getattr(inspect.unwrap(member), "__code__", None)
                found.update(getattr(code, "co_names", ()))
    return frozenset(found)


def _told(keys: IncompatibleKeys) -> list[str]:
    """What a checkpoint lacks, and has too much, in words."""
    unexpected = [x if isinstance(x, str) else shown(x) for x in keys.unexpected_keys]
    named = {"missing": keys.missing_keys, "unexpected": unexpected}
    return [f"{what}: {', '.join(names)}" for what, names in named.items() if names]


def _load(
    found: Mapping[str, Tensor], places: Mapping[str, tuple[Module, str]], assign: bool
) -> None:
    """Let parameters and buffers hold tensors of a checkpoint."""
    with autodiff.no_grad():
        for key, value in found.items():
            owner, name = places[key]
            own = getattr(owner, name)
            if not assign:
                own.assign(value.detach().copy())
            elif isinstance(own, Parameter):
                setattr(owner, name, Parameter(value.detach(), own.requires_grad))
            else:
                setattr(owner, name, value.detach())


def _explain_refusal(module: Module, error: TypeError) -> None:
    """Say how a module is called, if Python refused the call before forward began.

    Raises:
        ArgumentTypeError: it did: the innermost frame is ours.
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    ours = [vars(Module)[name].__code__ for name in ("__call__", "_forward_noted")]
    if traceback is not None and traceback.tb_frame.f_code in (*ours, hooks.call.__code__):
        raise ArgumentTypeError(
            f"{type(module).__name__}: forward takes {inspect.signature(module.forward)}; {error}"
        ) from None


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def _as_tensor(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if hasattr(value, "detach"):  # another framework's tensor that has a history
        value = value.detach()
    return asarray(value if not isinstance(value, (int, float)) else np.asarray(value))
