"""PyTorch's spellings with an underscore: the handle stands for the result from then on, as with `+=`.

Data is never written over (docs/adr/0007): other handles on the old data keep it. So a view, through which
PyTorch would write to the tensor it is a view of, says so instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tessella.arguments import public, was_refused
from tessella.errors import ArgumentTypeError
from tessella.tensors.methods.method import by_name
from tessella.tensors.methods.rebinding import rebind, refuse_if_view
from tessella.tensors.tensor import Tensor


def _in_place(spelled: str) -> Callable[..., Tensor]:
    """The method that rebinds a tensor to what the one without the underscore gives."""
    name = spelled.removesuffix("_")

    def method(self: Any, /, *operands: Any, **options: Any) -> Tensor:
        refuse_if_view(self, spelled)
        try:
            result = getattr(self, name)(*operands, **options)
        except TypeError as error:
            if was_refused(error):
                raise ArgumentTypeError(f"{spelled}: {error}") from None
            raise
        return rebind(self, result, spelled)

    method.__name__, method.__qualname__ = spelled, f"Tensor.{spelled}"
    method.__doc__ = f"Let this tensor stand for `x.{name}(...)` from now on, as `+=` does."
    return method


IN_PLACE = by_name(_in_place)


class InPlace:
    """Methods that end in an underscore."""

    __slots__ = ()

    abs_ = absolute_ = acos_ = acosh_ = add_ = addcdiv_ = addcmul_ = addmm_ = addmv_ = IN_PLACE
    addr_ = arccos_ = arccosh_ = arcsin_ = arcsinh_ = arctan_ = arctan2_ = arctanh_ = IN_PLACE
    asin_ = asinh_ = atan_ = atan2_ = atanh_ = baddbmm_ = bitwise_and_ = IN_PLACE
    bitwise_left_shift_ = bitwise_not_ = bitwise_or_ = bitwise_right_shift_ = IN_PLACE
    bitwise_xor_ = ceil_ = clamp_ = clamp_max_ = clamp_min_ = clip_ = copysign_ = cos_ = IN_PLACE
    cosh_ = cumprod_ = cumsum_ = deg2rad_ = digamma_ = div_ = divide_ = erf_ = erfc_ = IN_PLACE
    erfinv_ = exp_ = exp2_ = expm1_ = fix_ = float_power_ = floor_ = floor_divide_ = IN_PLACE
    fmod_ = frac_ = gcd_ = heaviside_ = hypot_ = index_add_ = index_copy_ = index_fill_ = IN_PLACE
    lcm_ = lerp_ = lgamma_ = log_ = log10_ = log1p_ = log2_ = logical_and_ = IN_PLACE
    logical_not_ = logical_or_ = logical_xor_ = logit_ = masked_fill_ = mul_ = multiply_ = IN_PLACE
    nan_to_num_ = neg_ = negative_ = nextafter_ = pow_ = rad2deg_ = reciprocal_ = relu_ = IN_PLACE
    remainder_ = round_ = rsqrt_ = scatter_ = scatter_add_ = sigmoid_ = sign_ = sin_ = IN_PLACE
    sinc_ = sinh_ = sqrt_ = square_ = sub_ = subtract_ = tan_ = tanh_ = tril_ = triu_ = IN_PLACE
    true_divide_ = trunc_ = xlogy_ = IN_PLACE

    @public
    def fill_(self: Any, value: Any) -> Tensor:
        """Let this tensor stand for one value everywhere.

        >>> import tessella as ts
        >>> ts.zeros(2).fill_(7.0)
        tensor([7., 7.])
        """
        if isinstance(value, Tensor) and value.ndim:
            raise ArgumentTypeError(
                f"fill_: value has shape {value.shape}; expected a number, or a tensor of one; x.copy_(value) takes more"
            )
        if isinstance(value, complex) and not self.dtype.is_complex:
            raise ArgumentTypeError(
                f"fill_: {value} does not fit in {self.dtype.name}; expected a real number"
            )
        return stand_for(self, self.new_full(self.shape, value), "fill_")

    @public
    def zero_(self: Any) -> Tensor:
        """Let this tensor stand for zeros.

        >>> import tessella as ts
        >>> ts.ones(2).zero_()
        tensor([0., 0.])
        """
        return stand_for(self, self.new_zeros(self.shape), "zero_")

    def copy_(self: Any, src: Any, non_blocking: Any = False) -> Tensor:
        """Let this tensor stand for the numbers of another one, broadcast to its shape and made its dtype.

        >>> import tessella as ts
        >>> ts.zeros((2, 2)).copy_(ts.asarray([1, 2])).tolist()
        [[1.0, 2.0], [1.0, 2.0]]
        """
        given = src if isinstance(src, Tensor) else self.new_tensor(src)
        return stand_for(self, given.broadcast_to(self.shape).astype(self.dtype).copy(), "copy_")


def stand_for(tensor: Any, result: Any, spelled: str) -> Tensor:
    refuse_if_view(tensor, spelled)
    return rebind(tensor, result, spelled)
