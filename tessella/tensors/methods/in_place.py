"""PyTorch's spellings with an underscore: the handle stands for the result from then on, as with `+=`.

Data is never written over (docs/adr/0007): other handles on the old data keep it. So a view, through which
PyTorch would write to the tensor it is a view of, says so instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tessella.arguments import public, was_refused
from tessella.errors import ArgumentTypeError
from tessella.tensors.methods.rebinding import rebind, refuse_if_view
from tessella.tensors.tensor import Tensor


def _in_place(name: str) -> Callable[..., Tensor]:
    """The method that rebinds a tensor to what another method of it gives."""
    spelled = f"{name}_"

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


class InPlace:
    """Methods that end in an underscore."""

    __slots__ = ()

    abs_ = _in_place("abs")
    absolute_ = _in_place("absolute")
    acos_ = _in_place("acos")
    acosh_ = _in_place("acosh")
    add_ = _in_place("add")
    addcdiv_ = _in_place("addcdiv")
    addcmul_ = _in_place("addcmul")
    addmm_ = _in_place("addmm")
    addmv_ = _in_place("addmv")
    addr_ = _in_place("addr")
    arccos_ = _in_place("arccos")
    arccosh_ = _in_place("arccosh")
    arcsin_ = _in_place("arcsin")
    arcsinh_ = _in_place("arcsinh")
    arctan_ = _in_place("arctan")
    arctan2_ = _in_place("arctan2")
    arctanh_ = _in_place("arctanh")
    asin_ = _in_place("asin")
    asinh_ = _in_place("asinh")
    atan_ = _in_place("atan")
    atan2_ = _in_place("atan2")
    atanh_ = _in_place("atanh")
    baddbmm_ = _in_place("baddbmm")
    bitwise_and_ = _in_place("bitwise_and")
    bitwise_left_shift_ = _in_place("bitwise_left_shift")
    bitwise_not_ = _in_place("bitwise_not")
    bitwise_or_ = _in_place("bitwise_or")
    bitwise_right_shift_ = _in_place("bitwise_right_shift")
    bitwise_xor_ = _in_place("bitwise_xor")
    ceil_ = _in_place("ceil")
    clamp_ = _in_place("clamp")
    clamp_max_ = _in_place("clamp_max")
    clamp_min_ = _in_place("clamp_min")
    clip_ = _in_place("clip")
    copysign_ = _in_place("copysign")
    cos_ = _in_place("cos")
    cosh_ = _in_place("cosh")
    cumprod_ = _in_place("cumprod")
    cumsum_ = _in_place("cumsum")
    deg2rad_ = _in_place("deg2rad")
    digamma_ = _in_place("digamma")
    div_ = _in_place("div")
    divide_ = _in_place("divide")
    erf_ = _in_place("erf")
    erfc_ = _in_place("erfc")
    erfinv_ = _in_place("erfinv")
    exp_ = _in_place("exp")
    exp2_ = _in_place("exp2")
    expm1_ = _in_place("expm1")
    fix_ = _in_place("fix")
    float_power_ = _in_place("float_power")
    floor_ = _in_place("floor")
    floor_divide_ = _in_place("floor_divide")
    fmod_ = _in_place("fmod")
    frac_ = _in_place("frac")
    gcd_ = _in_place("gcd")
    heaviside_ = _in_place("heaviside")
    hypot_ = _in_place("hypot")
    index_add_ = _in_place("index_add")
    index_copy_ = _in_place("index_copy")
    index_fill_ = _in_place("index_fill")
    lcm_ = _in_place("lcm")
    lerp_ = _in_place("lerp")
    lgamma_ = _in_place("lgamma")
    log_ = _in_place("log")
    log10_ = _in_place("log10")
    log1p_ = _in_place("log1p")
    log2_ = _in_place("log2")
    logical_and_ = _in_place("logical_and")
    logical_not_ = _in_place("logical_not")
    logical_or_ = _in_place("logical_or")
    logical_xor_ = _in_place("logical_xor")
    logit_ = _in_place("logit")
    masked_fill_ = _in_place("masked_fill")
    mul_ = _in_place("mul")
    multiply_ = _in_place("multiply")
    nan_to_num_ = _in_place("nan_to_num")
    neg_ = _in_place("neg")
    negative_ = _in_place("negative")
    nextafter_ = _in_place("nextafter")
    pow_ = _in_place("pow")
    rad2deg_ = _in_place("rad2deg")
    reciprocal_ = _in_place("reciprocal")
    relu_ = _in_place("relu")
    remainder_ = _in_place("remainder")
    round_ = _in_place("round")
    rsqrt_ = _in_place("rsqrt")
    scatter_ = _in_place("scatter")
    scatter_add_ = _in_place("scatter_add")
    sigmoid_ = _in_place("sigmoid")
    sign_ = _in_place("sign")
    sin_ = _in_place("sin")
    sinc_ = _in_place("sinc")
    sinh_ = _in_place("sinh")
    sqrt_ = _in_place("sqrt")
    square_ = _in_place("square")
    sub_ = _in_place("sub")
    subtract_ = _in_place("subtract")
    tan_ = _in_place("tan")
    tanh_ = _in_place("tanh")
    tril_ = _in_place("tril")
    triu_ = _in_place("triu")
    true_divide_ = _in_place("true_divide")
    trunc_ = _in_place("trunc")
    xlogy_ = _in_place("xlogy")

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
