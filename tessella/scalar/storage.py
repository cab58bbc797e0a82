"""Storage dtypes: numbers of eight bits and fewer, read and written by arithmetic on their bits.

Nothing is computed in them, so a conversion is all there is. A number is read into the dtype that it is computed
in (`DType.compute`), and written from there, rounded to the nearest, ties to even. A new format is a line in
`tessella/dtypes.py`: what is here asks for the exponent, the fraction, the bias and the special numbers.

What does not fit becomes infinite if the format has infinity, else NaN, else the largest number; integers keep
their lower bits. That is what `ml_dtypes` does, down to a NaN of which a format without NaN makes zero.

Source: Micikevicius et al., *FP8 formats for deep learning* (2022); Open Compute Project, *Microscaling formats
(MX) specification* 1.0 (2023), section 5; Giesen, *Float to half done quick* (2012), rounding by an addition.
"""

from __future__ import annotations

import struct

from tessella import dtypes
from tessella.dtypes import DType, FloatFormat
from tessella.scalar.expression import Expression, applied
from tessella.scalar.operators import (
    absolute,
    bitcast,
    bitcast_operator,
    convert,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    not_equal,
    select,
)

_FRACTION, _BIAS = 23, 127  # of float32
_SIGN, _INFINITY, _NAN = 1 << 31, 0x7F800000, 0x7FC00000


def conversion(x: Expression, target: DType) -> Expression | None:
    """x as another dtype, if that or its own is a storage dtype; None if neither is."""
    if x.dtype.is_storage:
        return convert(_read(x), target)
    return _written(x, target) if target.is_storage else None


def _read(x: Expression) -> Expression:
    bits = applied(bitcast_operator, (x,), static=dtypes.uint8)
    if x.dtype.format is None:
        return _read_integer(bits, x.dtype)
    word = convert(bits, dtypes.uint32) & (1 << x.dtype.bits) - 1
    if not x.dtype.format.signed:
        return _read_exponent(word)
    return _read_float(word, x.dtype.format, x.dtype.bits)


def _written(x: Expression, target: DType) -> Expression:
    if target.format is None:
        word = convert(convert(x, target.compute), dtypes.uint8) & (1 << target.bits) - 1
    else:
        single = _rounded_to_odd(x)
        if target.format.signed:
            word = _float_bits(single, target.format, target.bits)
        else:
            word = _exponent_bits(single)
    return applied(bitcast_operator, (convert(word, dtypes.uint8),), static=target)


# --- integers ----------------------------------------------------------------------------------------


def _read_integer(bits: Expression, dtype: DType) -> Expression:
    """The lower bits of a byte; the uppermost of them is the sign, which a shift repeats."""
    if dtype.kind == "uint":
        return bits & dtype.high
    unused = 8 - dtype.bits
    return convert(bits << unused, dtypes.int8) >> unused


# --- floats ------------------------------------------------------------------------------------------


def _read_float(word: Expression, f: FloatFormat, width: int) -> Expression:
    """The number as a float32, which holds every one of them."""
    size = word & (1 << width - 1) - 1
    shift = _FRACTION - f.fraction
    normal = (size << shift) + (_BIAS - f.bias << _FRACTION)
    subnormal = bitcast(convert(size, dtypes.float32) * 2.0 ** (1 - f.bias - f.fraction), dtypes.uint32)  # fmt: skip
    bits = select(less(size, 1 << f.fraction), subnormal, normal)
    if f.special == "IEEE":
        bits = select(equal(size, _endless(f)), _INFINITY, bits)
        bits = select(greater(size, _endless(f)), _NAN, bits)
    if f.special == "last":
        bits = select(equal(size, _largest(f, width) + 1), _NAN, bits)
    bits = bits | word >> width - 1 << 31
    if f.special == "negative zero":
        bits = select(equal(word, 1 << width - 1), _SIGN | _NAN, bits)
    return bitcast(bits, dtypes.float32)


def _float_bits(x: Expression, f: FloatFormat, width: int) -> Expression:
    """The bits of a float32, rounded: of a normal number, or of a subnormal one, or what stands for too large ones."""
    bits = bitcast(x, dtypes.uint32)
    size = bits & _SIGN - 1
    code = select(
        less(size, 1 + _BIAS - f.bias << _FRACTION), _subnormal(size, f), _normal(size, f)
    )
    largest = _largest(f, width)
    code = select(greater(code, largest), largest if f.special == "none" else largest + 1, code)
    sign, is_nan = bits >> 31 << width - 1, greater(size, _INFINITY)
    if f.special == "IEEE":
        code = select(is_nan, _endless(f) | 1 << f.fraction - 1, code)
    if f.special == "none":
        return select(is_nan, sign ^ 1 << width - 1, code | sign)
    if f.special != "negative zero":
        return code | sign
    # the code of NaN is that of -0.0, which there is not
    return select(greater(code, largest), 1 << width - 1, select(equal(code, 0), 0, code | sign))


def _normal(size: Expression, f: FloatFormat) -> Expression:
    """The exponent moves to its other bias, and what is cut off rounds up by an addition: it may carry."""
    shift = _FRACTION - f.fraction
    odd = size >> shift & 1
    return size - (_BIAS - f.bias << _FRACTION) + ((1 << shift - 1) - 1) + odd >> shift


def _subnormal(size: Expression, f: FloatFormat) -> Expression:
    """Multiples of the least number: the float32 to which they are added has just their digits left."""
    large = 2.0 ** (_FRACTION + 1 - f.bias - f.fraction)
    total = bitcast(size, dtypes.float32) + large
    return bitcast(total, dtypes.uint32) - struct.unpack("<I", struct.pack("<f", large))[0]


def _endless(f: FloatFormat) -> int:
    """The bits of infinity."""
    return (1 << f.exponent) - 1 << f.fraction


def _largest(f: FloatFormat, width: int) -> int:
    """The bits of the largest finite number."""
    if f.special == "IEEE":
        return _endless(f) - 1
    return (1 << width - 1) - (2 if f.special == "last" else 1)


def _rounded_to_odd(x: Expression) -> Expression:
    """x as a float32 from which it can be rounded on as if from x: inexact ones end in a 1.

    Source: Boldo & Melquiond, *Emulation of FMA and correctly rounded sums* (2008), theorem 1.
    """
    if x.dtype.compute is dtypes.float32:
        return convert(x, dtypes.float32)
    wide = convert(x, dtypes.float64)
    near = convert(wide, dtypes.float32)
    back = convert(near, dtypes.float64)
    bits = bitcast(near, dtypes.int32)
    towards_zero = select(greater(absolute(back), absolute(wide)), bits - 1, bits)
    return bitcast(select(not_equal(back, wide), towards_zero | 1, bits), dtypes.float32)


# --- powers of two -------------------------------------------------------------------------------------


def _read_exponent(word: Expression) -> Expression:
    """2 to the power of word - 127, the first of which is a subnormal float32; the last one is NaN."""
    bits = select(equal(word, 0), 1 << _FRACTION - 1, word << _FRACTION)
    return bitcast(select(equal(word, 255), _NAN, bits), dtypes.float32)


def _exponent_bits(x: Expression) -> Expression:
    """The exponent of a positive float32, ties upwards; NaN for all others."""
    bits = bitcast(x, dtypes.uint32)
    exponent, rest = bits >> _FRACTION, bits & (1 << _FRACTION) - 1
    half = 1 << _FRACTION - 1
    up = greater(rest, half) | (equal(rest, half) & not_equal(exponent, 0))
    outside = greater_equal(bits, _INFINITY) | less_equal(x, 0.0)
    return select(outside, 255, exponent + convert(up, dtypes.uint32))
