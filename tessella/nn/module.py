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
from tessella.arguments.kinds import Device, register_class, shown
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
from tessella.nn.conversions import Conversions
from tessella.tensors.creation import asarray
from tessella.tensors.surroundings import about_to_write, at_once, guarded, touched
from tessella.tensors.tensor import Tensor, handle_of, hold_data_of, is_traced
from tessella.tracebacks import calls_users, shorten
from tessella.tracing.changes import WatchedDict, note
from tessella.tracing.trace import at_home, ours

_PRE_HOOK = "register_forward_pre_hook: the hook is called as hook(module, inputs)"
_HOOK = "register_forward_hook: the hook is called as hook(module, inputs, output)"
M = TypeVar("M", bound="Module")
P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
register_class("Parameter", lambda: Parameter, "an nn.Parameter")
register_class("Module", lambda: Module, "an nn.Module")


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
                for before in list(self._forward_pre_hooks.values()):
                    changed = called(_PRE_HOOK, before, self, inputs)
                    if changed is not None:
                        inputs = changed if isinstance(changed, tuple) else (changed,)
                try:
                    forward = self._forward_traced if is_traced() else self.forward
                    result = forward(*inputs, **options)
                except TypeError as error:
                    _explain_refusal(self, error)
                    raise
                for after in list(self._forward_hooks.values()):
                    changed = called(_HOOK, after, self, inputs, result)
                    if changed is not None:
                        result = changed
                return result
            except Exception as error:  # goes on as it is, but for the frames of ours
                shorten(error)
                raise

    def _forward_traced(self, *inputs: Any, **options: Any) -> Any:
        """Forward, in a traced function; in a layer of ours no code of users runs."""
        own = "forward" in self.__dict__ or bool(self._modules)
        is_ours = not own and type(self).forward.__module__.startswith("tessella.")
        with ours() if is_ours else contextlib.nullcontext():
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
        if name in Module.__tessella_tables__ and name not in self.__dict__:
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
        """The modules right below this one, with their names."""
        touched(self)
        return ((name, m) for name, m in self._modules.items() if m is not None)

    @public
    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    @public
    def named_modules(
        self, memo: set[int] | None = None, prefix: str = ""
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with dotted names."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        memo.add(id(self))
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name)

    def _named(self, table: str, recurse: bool) -> Iterator[tuple[str, Tensor]]:
        seen: set[int] = set()
        modules = self.named_modules() if recurse else iter([("", self)])
        for prefix, module in modules:
            touched(module)
            for name, tensor in getattr(module, table).items():
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield f"{prefix}.{name}" if prefix else name, tensor

    @public
    def named_parameters(self, recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """All parameters with dotted names; a shared one once."""
        return self._named("_parameters", recurse)  # type: ignore[return-value]

    @public
    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters; a shared one once."""
        return (parameter for _, parameter in self.named_parameters(recurse))

    @public
    def named_buffers(self, recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """All buffers with dotted names."""
        return self._named("_buffers", recurse)

    @public
    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        return (buffer for _, buffer in self.named_buffers(recurse))

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

        What an optimiser remembers of a parameter follows at its next step.

        >>> import tessella as ts
        >>> from tessella import nn
        >>> nn.Linear(2, 1).to("cpu").to(ts.float64).weight.dtype
        tessella.float64
        """
        for one in to:
            known = {known.name for known in dtypes.ALL}
            if isinstance(one, OneDevice) or (isinstance(one, str) and one not in known):
                device = one
            else:
                dtype = one
        kind = None if dtype is None else as_dtype(dtype)
        if kind is not None and not kind.is_float:
            raise DTypeError(f"to: {kind.name} given; parameters are floating")
        with autodiff.no_grad():
            for tensor in (*self.parameters(), *self.buffers()):
                wanted = kind if tensor.dtype.is_float else None
                with at_home(tensor):
                    gradient = tensor.grad
                    hold_data_of(tensor, tensor.detach().to(device, wanted))
                    if gradient is not None:
                        tensor.grad = gradient.detach().to(device, wanted)
        return self

    # --- hooks ----------------------------------------------------------------------------------------

    @public
    def register_forward_hook(
        self, hook: Callable[[Module, tuple[Any, ...], Any], Any]
    ) -> autodiff.HookHandle:
        """Call `hook(module, inputs, output)` after forward; what it returns replaces the output."""
        return autodiff.HookHandle(self._forward_hooks, hook)

    @public
    def register_forward_pre_hook(
        self, hook: Callable[[Module, tuple[Any, ...]], Any]
    ) -> autodiff.HookHandle:
        """Call `hook(module, inputs)` before forward; what it returns replaces the inputs."""
        return autodiff.HookHandle(self._forward_pre_hooks, hook)

    # --- checkpoints ----------------------------------------------------------------------------------

    @public
    def state_dict(self) -> OrderedDict[str, Tensor]:
        """All parameters and persistent buffers by dotted name, without history."""
        entries = list(self._entries())
        held = at_once([tensor for _, tensor, _ in entries])
        return OrderedDict(zip([name for name, _, _ in entries], held, strict=True))

    def _entries(self, prefix: str = "") -> Iterator[tuple[str, Tensor, Module]]:
        touched(self)
        for name, parameter in self._parameters.items():
            if parameter is not None:
                yield prefix + name, parameter, self
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._transient:
                yield prefix + name, buffer, self
        for name, child in self.named_children():
            yield from child._entries(f"{prefix}{name}.")

    @public
    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Take parameters and buffers from a checkpoint; nothing is changed if it does not fit.

        Args:
            state_dict: names to tensors (or anything `ts.asarray` takes).
            strict: complain about names that are missing or unknown.

        Raises:
            StateDictError: says which names and shapes do not fit.
        """
        own = {name: tensor for name, tensor, _ in self._entries()}
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        problems = []
        if strict and missing:
            problems.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            shown_names = (x if isinstance(x, str) else shown(x) for x in unexpected)
            problems.append(f"unexpected: {', '.join(shown_names)}")
        found = {}
        for name in own:
            if name in state_dict:
                try:
                    found[name] = _as_tensor(state_dict[name]).astype(own[name].dtype)
                except TessellaError as error:
                    problems.append(f"{name}: {error}")
        problems += [
            f"size of {name}: the checkpoint has {value.shape}, the module {own[name].shape}"
            for name, value in found.items()
            if value.shape != own[name].shape
        ]
        if problems:
            raise StateDictError(
                f"load_state_dict: the checkpoint does not fit {type(self).__name__}:\n  "
                + "\n  ".join(problems)
                + "\nLoad it with strict=False to leave out names, or build the module it was made for."
            )
        with autodiff.no_grad():
            for name, value in found.items():
                own[name].assign(value.detach().copy())
        return IncompatibleKeys(missing, unexpected)

    # --- looking at it --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What `repr` shows between the brackets."""
        return ""

    def __repr__(self) -> str:
        children = [f"({name}): {_indented(repr(child))}" for name, child in self.named_children()]
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
        children = [child._as_html(key, depth - 1) for key, child in self.named_children()]
        if not children:
            return line
        return notebooks.folded(line, notebooks.listed(children), is_open=depth > 0)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for table in self.__tessella_tables__:  # kept by an earlier version, they may be plain
            self.__dict__[table] = WatchedDict(self.__dict__.get(table, {}))
        note()

    # --- what compiled functions depend on ------------------------------------------------------------

    __tessella_watched__ = True
    __tessella_tables__ = (
        "_parameters", "_buffers", "_modules", "_forward_hooks", "_forward_pre_hooks",
    )  # fmt: skip

    def __tessella_names__(self) -> Iterator[tuple[Tensor, Tensor | None, str]]:
        """The tensors of this module and those below it, with their names in `state_dict`."""
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            yield tensor, None, name

    def __tessella_children__(self) -> list[Module]:
        """The modules in this one; none before it is initialised."""
        modules = self.__dict__.get("_modules", {})
        return [module for module in modules.values() if module is not None]

    def __tessella_members__(self) -> list[str]:
        """The attributes that our own code reads when it calls this module."""
        own = _names_read_by(type(self))  # type: ignore[arg-type]
        plain = [name for name in self.__dict__ if name in own and not name.startswith("_")]
        return [*plain, *self._parameters, *self._buffers, *self._modules]

    def __tessella_containers__(self) -> list[tuple[str, Any]]:
        """The tables whose values our own code reads."""
        return [("hooks", self._forward_hooks), ("hooks", self._forward_pre_hooks)]


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


def _explain_refusal(module: Module, error: TypeError) -> None:
    """Say how a module is called, if Python refused the call before forward began.

    Raises:
        ArgumentTypeError: it did: the innermost frame is ours.
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    ours = [vars(Module)[name].__code__ for name in ("__call__", "_forward_traced")]
    if traceback is not None and traceback.tb_frame.f_code in ours:
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
