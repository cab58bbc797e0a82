"""Layers that take the number of their inputs from the first input that they are given."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from tessella import autodiff
from tessella.arguments import public
from tessella.arguments.kinds import Device, DTypeLike, ShapeLike, shown
from tessella.errors import ArgumentTypeError, ShapeError, UninitializedError
from tessella.nn.layers.convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from tessella.nn.layers.linear import Linear
from tessella.nn.layers.normalisation import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
)
from tessella.nn.module import Module, Parameter
from tessella.tensors.creation import empty
from tessella.tensors.tensor import Tensor, handle_of, hold_data_of
from tessella.tracing.trace import at_home, suspended


class _Uninitialized(Tensor):
    """A tensor whose shape is not known yet."""

    __slots__ = ()

    _becomes: ClassVar[type]

    @property
    def shape(self) -> Any:
        """Not known yet."""
        raise UninitializedError(
            f"{type(self).__name__}: its shape is not known yet; call the module once, or load a checkpoint"
        )

    @public
    def materialize(self, shape: ShapeLike, device: Device = None, dtype: Any = None) -> None:
        """Have a shape from now on; what the numbers are is not said."""
        with at_home(self):
            kind = self.dtype if dtype is None else dtype
            made = empty(shape, dtype=kind).to(self.device if device is None else device)
            hold_data_of(self, made)
        self.__class__ = self._becomes

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        fresh = memo[id(self)] = type(self)(self.requires_grad)
        return fresh

    def __reduce__(self: Any) -> tuple[Any, ...]:
        return (type(self), (self.requires_grad,))


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter whose shape is not known yet; lazy layers have such, until they are called.

    >>> weight = UninitializedParameter()
    >>> weight.materialize((2, 3))
    >>> weight.shape
    (2, 3)
    """

    __slots__ = ()

    _becomes = Parameter

    @public
    def __new__(cls, requires_grad: bool = True) -> UninitializedParameter:
        parameter = handle_of(cls, empty(0))
        if requires_grad:
            parameter.requires_grad_()
        return parameter

    def __init__(self, requires_grad: bool = True) -> None:
        pass  # all is done in __new__


class UninitializedBuffer(_Uninitialized):
    """A buffer whose shape is not known yet."""

    __slots__ = ()

    _becomes = Tensor

    @public
    def __new__(cls, requires_grad: bool = False) -> UninitializedBuffer:
        return handle_of(cls, empty(0))

    def __init__(self, requires_grad: bool = False) -> None:
        pass  # all is done in __new__


class _Lazy(Module):
    """What lazy layers share: they are made when they are called first, and are of the class `cls_to_become` then."""

    cls_to_become: ClassVar[Any]
    usual: ClassVar[dict[str, Any]] = {}  # defaults that are not those of that class

    def __init_subclass__(cls) -> None:
        takes = inspect.signature(cls.cls_to_become.__init__).parameters
        _, _, *others = takes.values()  # without the number of inputs
        others = [p.replace(default=cls.usual.get(p.name, p.default)) for p in others]
        cls.__signature__ = inspect.Signature(others)  # type: ignore[attr-defined]

    def __init__(
        self, *arguments: Any, device: Device = None, dtype: DTypeLike = None, **options: Any
    ) -> None:
        try:
            bound = inspect.signature(type(self)).bind(*arguments, **options)
        except TypeError as error:
            raise ArgumentTypeError(f"{type(self).__name__}: {error}") from None
        bound.apply_defaults()
        given = dict(bound.arguments)
        made = self._made(given.get("groups", 1), given)  # of which the names are kept
        vars(self).update(vars(made))
        self._given = given
        parameters = [name for name, tensor in made.named_parameters() if tensor.ndim]
        buffers = [name for name, tensor in made.named_buffers() if tensor.ndim]
        self._late = [*parameters, *buffers]
        for name in self._late:
            setattr(
                self,
                name,
                UninitializedParameter() if name in parameters else UninitializedBuffer(),
            )
        self._start = self.register_forward_pre_hook(_initialize)
        self._loading = self.register_load_state_dict_pre_hook(_take_shapes)
        self.to(device=device, dtype=dtype)

    def _made(self, size: Any, given: dict[str, Any]) -> Any:
        return self.cls_to_become(size, **given)

    def has_uninitialized_params(self) -> bool:
        """Whether there are parameters or buffers whose shape is not known yet."""
        return any(isinstance(getattr(self, name), _Uninitialized) for name in self._late)

    def initialize_parameters(self, x: Tensor) -> None:
        """Make the parameters for inputs like this one; those that a checkpoint gave stay.

        Raises:
            ShapeError: the layer takes no such inputs.
        """
        with suspended(), autodiff.no_grad():
            made = self._made(self._inputs_of(x), self._given)
            for name in self._late:
                own: Any = getattr(self, name)
                new = getattr(made, name)
                if isinstance(own, _Uninitialized):
                    own.materialize(new.shape)
                    hold_data_of(own, new.detach().to(own.device, own.dtype))
        fields = {n: x for n, x in vars(made).items() if not n.startswith("_")}
        vars(self).update(fields)

    def _inputs_of(self, x: Any) -> int:
        """The number of inputs, or channels."""
        least = 1 if issubclass(self.cls_to_become, Linear) else 2
        if not isinstance(x, Tensor) or x.ndim < least:
            told = f"shape {x.shape}" if isinstance(x, Tensor) else shown(x)
            raise ShapeError(
                f"{type(self).__name__}: {told} was given; expected at least {least} axes"
            )
        if least == 1:
            return int(x.shape[-1])
        batched = issubclass(self.cls_to_become, (BatchNorm1d, BatchNorm2d, BatchNorm3d))
        axis = 1 if batched else x.ndim - self.cls_to_become.rank - 1
        if not 0 <= axis < x.ndim:
            raise ShapeError(f"{type(self).__name__}: shape {x.shape} has no axis of channels")
        return int(x.shape[axis])

    def become(self) -> None:
        """Be a layer as any other from now on."""
        self._start.remove()
        self._loading.remove()
        for name in ("_start", "_loading", "_given", "_late"):
            del vars(self)[name]
        self.__class__ = self.cls_to_become


def _initialize(module: Any, inputs: tuple[Any, ...]) -> None:
    module.initialize_parameters(inputs[0] if inputs else None)
    module.become()


def _take_shapes(module: Any, state: Any, prefix: str, *_: Any) -> None:
    """Have the shapes that a checkpoint has."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if isinstance(tensor, _Uninitialized) and hasattr(state.get(prefix + name), "shape"):
            tensor.materialize(tuple(state[prefix + name].shape))


class LazyLinear(_Lazy, Linear):
    """`Linear` that takes `in_features` from its first input.

    >>> import tessella as ts
    >>> layer = LazyLinear(2)
    >>> layer(ts.ones((5, 3))).shape, layer
    ((5, 2), Linear(in_features=3, out_features=2, bias=True))
    """

    cls_to_become = Linear


class LazyConv1d(_Lazy, Conv1d):
    """`Conv1d` that takes `in_channels` from its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_Lazy, Conv2d):
    """`Conv2d` that takes `in_channels` from its first input."""

    cls_to_become = Conv2d


class LazyConv3d(_Lazy, Conv3d):
    """`Conv3d` that takes `in_channels` from its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_Lazy, ConvTranspose1d):
    """`ConvTranspose1d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_Lazy, ConvTranspose2d):
    """`ConvTranspose2d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_Lazy, ConvTranspose3d):
    """`ConvTranspose3d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose3d


class LazyBatchNorm1d(_Lazy, BatchNorm1d):
    """`BatchNorm1d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_Lazy, BatchNorm2d):
    """`BatchNorm2d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_Lazy, BatchNorm3d):
    """`BatchNorm3d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm3d


_TRACKED = {"affine": True, "track_running_stats": True}  # as in PyTorch


class LazyInstanceNorm1d(_Lazy, InstanceNorm1d):
    """`InstanceNorm1d` that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm1d
    usual = _TRACKED


class LazyInstanceNorm2d(_Lazy, InstanceNorm2d):
    """`InstanceNorm2d` that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm2d
    usual = _TRACKED


class LazyInstanceNorm3d(_Lazy, InstanceNorm3d):
    """`InstanceNorm3d` that takes `num_features` from its first input."""

    cls_to_become = InstanceNorm3d
    usual = _TRACKED
