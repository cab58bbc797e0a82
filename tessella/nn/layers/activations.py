"""Activations as modules."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from tessella.arguments import public
from tessella.arguments.kinds import Count
from tessella.errors import ShapeError
from tessella.nn import functional as F
from tessella.nn.module import Module, Parameter
from tessella.tensors.creation import full
from tessella.tensors.tensor import Tensor


class _Activation(Module):
    """What activations share: they show the options that their constructors took."""

    _options: tuple[str, ...] = ()

    def extra_repr(self) -> str:
        shown = [f"{name}={getattr(self, name)!r}" for name in self._options]
        return ", ".join([*shown, "inplace=True"] if getattr(self, "inplace", False) else shown)


class _InPlace(_Activation):
    """Those that may let their input stand for the result from then on."""

    @public
    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class ReLU(_InPlace):
    """max(x, 0)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, self.inplace)


class Sigmoid(_Activation):
    """1 / (1 + e^-x)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class Tanh(_Activation):
    """The hyperbolic tangent."""

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class GELU(_Activation):
    """x times the normal distribution function of x."""

    _options = ("approximate",)

    @public
    def __init__(self, approximate: Literal["none", "tanh"] = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, self.approximate)


class SiLU(_InPlace):
    """x sigmoid(x)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, self.inplace)


class ELU(_Activation):
    """x where it is positive, else alpha (e^x - 1)."""

    _options = ("alpha",)

    @public
    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha, self.inplace)


class CELU(_Activation):
    """x where it is positive, else alpha (e^(x / alpha) - 1)."""

    _options = ("alpha",)

    @public
    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha, self.inplace)


class SELU(_InPlace):
    """`ELU`, scaled so that layers keep mean 0 and variance 1."""

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input, self.inplace)


class LeakyReLU(_Activation):
    """x where it is positive, else slope x."""

    _options = ("negative_slope",)

    @public
    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class PReLU(_Activation):
    """x where it is positive, else weight x, with a slope that is learned: one, or one for each channel.

    Shapes: any, whose second axis has as many places as there are slopes, if there are several.

    Parameters: `weight` (num_parameters,), all `init`.

    >>> import tessella as ts
    >>> PReLU()(ts.asarray([-4.0, 2.0]))
    tensor([-1.,  2.], grad_fn=prelu)
    """

    _options = ("num_parameters",)

    @public
    def __init__(self, num_parameters: Count = 1, init: float = 0.25) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(full((num_parameters,), float(init)))

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)


class RReLU(_Activation):
    """x where it is positive, else x times a slope that is drawn anew for each element in training."""

    _options = ("lower", "upper")

    @public
    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class ReLU6(_InPlace):
    """x, but at least 0 and at most 6."""

    def forward(self, input: Tensor) -> Tensor:
        return F.relu6(input, self.inplace)


class Hardtanh(_Activation):
    """x, but at least `min_val` and at most `max_val`."""

    _options = ("min_val", "max_val")

    @public
    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


class Hardsigmoid(_InPlace):
    """(x + 3) / 6, but at least 0 and at most 1."""

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)


class Hardswish(_InPlace):
    """x times `Hardsigmoid` of x."""

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)


class Hardshrink(_Activation):
    """x where its size is above `lambd`, else 0."""

    @public
    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Softshrink(_Activation):
    """x brought nearer to 0 by `lambd`, but not beyond."""

    @public
    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Tanhshrink(_Activation):
    """x - tanh(x)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.tanhshrink(input)


class Threshold(_Activation):
    """x where it is above a threshold, else a value."""

    _options = ("threshold", "value")

    @public
    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)


class Softplus(_Activation):
    """log(1 + e^(beta x)) / beta; x itself where beta x is above the threshold."""

    _options = ("beta", "threshold")

    @public
    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)


class Mish(_InPlace):
    """x tanh(softplus(x))."""

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input, self.inplace)


class Softsign(_Activation):
    """x / (1 + |x|)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.softsign(input)


class LogSigmoid(_Activation):
    """log(1 / (1 + e^-x))."""

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class _AlongAxis(_Activation):
    """What is computed along one axis, `dim`, by a function of that and the axis."""

    _options = ("dim",)
    _function: ClassVar[Any]  # a static one

    @public
    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return type(self)._function(input, self.dim)


class GLU(_AlongAxis):
    """One half of an axis, times the sigmoid of the other half."""

    _function = staticmethod(F.glu)


class Softmax(_AlongAxis):
    """e^x, divided by its sum along an axis."""

    _function = staticmethod(F.softmax)


class LogSoftmax(_AlongAxis):
    """The logarithm of softmax."""

    _function = staticmethod(F.log_softmax)


class Softmin(_AlongAxis):
    """Softmax of -x."""

    _function = staticmethod(F.softmin)


class Softmax2d(_Activation):
    """Softmax over the channels, at each place of an image.

    Shapes: (N, C, H, W) or (C, H, W); the same.

    Raises:
        ShapeError: of x, if it has neither three nor four axes.
    """

    @public
    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ShapeError(
                f"Softmax2d: the input has shape {input.shape}; expected (N, C, H, W) or (C, H, W)"
            )
        return F.softmax(input, -3)
