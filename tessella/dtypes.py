"""Data types and how they promote.

The rules are the Python Array API standard's (section *Type promotion rules*), completed where the
standard is silent and users of NumPy, PyTorch and JAX agree: an integer array meeting a floating
one takes the floating dtype, and a Python scalar takes the dtype of the array it meets.

Storage dtypes (`STORAGE`: floats of eight bits and fewer, integers of four and two) are what numbers are kept
in: they are converted, moved and compared, but nothing is computed in them, and they promote with nothing.
"""

from __future__ import annotations

import functools
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from tessella.errors import DTypeError, StorageDTypeError
from tessella.uninterrupted import import_extension

_SIZES = (1, 2, 4, 6, 8, 16, 32, 64, 128)
Kind = Literal["bool", "int", "uint", "float", "complex"]
Library = Literal["numpy", "ml_dtypes"]
Special = Literal["IEEE", "last", "negative zero", "none"]


class FloatFormat(NamedTuple):
    """What the bits of a floating number mean: a sign, an exponent with a bias, a fraction.

    Args:
        exponent, fraction: how many bits they have.
        bias: what is taken from the exponent's bits, so that it may be negative.
        special: which bits are no finite numbers. "IEEE": those of the largest exponent are infinity and NaN;
            "last": the last number of either sign is NaN; "negative zero": its bits are NaN; "none": there are none.
        signed: whether there are negative numbers. Without them there is no zero either: the bits are an exponent.
    """

    exponent: int
    fraction: int
    bias: int
    special: Special = "IEEE"
    signed: bool = True

    @property
    def digits(self) -> int:
        """How many binary digits a number has; the first is not written down."""
        return self.fraction + 1


class DType:
    """One element type; there is exactly one object for each, so `is` compares them.

    Args:
        name: "float32", ...; `kind` is "bool", "int", "uint", "float" or "complex".
        bits: how many bits an element has; `itemsize` says how many bytes.
        code: grows with kind and size, for the table of promotions.
        format: what the bits of a floating number mean.
        compute: the dtype in which arithmetic on it is done, if that is another one; the result is rounded once.
        library: the package that has its dtype for NumPy.
        is_storage: whether nothing is computed in it. It is converted to `compute` and back by those who ask for it.

    `is_float`, `is_integer` (signed or unsigned), `is_bool`, `is_complex`, `is_inexact` (floating or complex: it
    can carry a gradient) and `is_narrow` (it is computed in a wider dtype, and rounded) say what it is.

    >>> float32.itemsize, float32.kind, bfloat16.compute
    (4, 'float', tessella.float32)
    >>> int4.bits, int4.itemsize, int4.is_storage
    (4, 1, True)
    """

    __slots__ = (
        "bits", "code", "compute", "format", "gradient", "high", "is_bool", "is_complex", "is_float", "is_inexact",
        "is_integer", "is_narrow", "is_storage", "itemsize", "kind", "library", "low", "name",
    )  # fmt: skip

    name: str
    kind: Kind
    bits: int
    itemsize: int
    code: int
    format: FloatFormat | None
    compute: DType
    library: Library
    is_narrow: bool  # computed in a wider dtype, and rounded
    is_storage: bool
    gradient: DType  # of its gradients: they are added up, so it is no storage dtype
    is_float: bool
    is_complex: bool
    is_inexact: bool  # floating or complex: can carry a gradient
    is_integer: bool  # signed or unsigned, not bool
    is_bool: bool
    low: int  # what integers and bool lie between; for others it says nothing
    high: int

    def __init__(
        self, name: str, kind: Kind, bits: int, code: int, format: FloatFormat | None = None,
        compute: DType | None = None, library: Library = "numpy", is_storage: bool = False,
    ) -> None:  # fmt: skip
        if (
            not isinstance(kind, str)
            or kind not in get_args(Kind)
            or type(bits) is not int
            or bits not in _SIZES
        ):
            raise DTypeError(
                "DType: data types are not made; use one of those there are, such as ts.float32"
            )
        self.name = name
        self.kind = kind
        self.bits = bits
        self.itemsize = max(1, bits // 8)
        self.code = code
        self.format = format
        self.compute = compute or self
        self.library = library
        self.is_narrow = self.compute is not self and not is_storage
        self.is_storage = is_storage
        self.gradient = self.compute if is_storage else self
        self.is_float = kind == "float"
        self.is_complex = kind == "complex"
        self.is_inexact = kind in ("float", "complex")
        self.is_integer = kind in ("int", "uint")
        self.is_bool = kind == "bool"
        self.low = -(1 << (bits - 1)) if kind == "int" else 0
        self.high = (1 << (bits - (kind == "int"))) - 1

    def __repr__(self) -> str:
        return f"tessella.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return (as_dtype, (self.name,))  # pickling and copying keep the identity

    @property
    def is_floating_point(self) -> bool:
        """`is_float`, as PyTorch calls it."""
        return self.is_float

    @property
    def is_signed(self) -> bool:
        """Whether there are negative numbers."""
        return self.format.signed if self.format else self.kind in ("int", "complex")

    @property
    def numpy(self) -> np.dtype[Any]:
        """The NumPy dtype of the same bits, of NumPy itself or of `ml_dtypes`."""
        return _numpy_dtype(self.name, self.library)

    @property
    def carrier(self) -> np.dtype[Any]:
        """The dtype of NumPy itself that is as wide: as what it passes where only NumPy's are known.

        >>> float32.carrier, bfloat16.carrier
        (dtype('float32'), dtype('uint16'))
        """
        return _numpy_dtype(
            self.name if self.library == "numpy" else f"uint{8 * self.itemsize}", "numpy"
        )


@functools.cache
def _numpy_dtype(name: str, library: Library) -> np.dtype[Any]:
    if library == "numpy":
        return np.dtype(name)
    # here, because importing it takes longer than the rest of this package
    return np.dtype(getattr(import_extension(library), name))


bool_ = DType("bool", "bool", 1, 0)
int8 = DType("int8", "int", 8, 1)
int16 = DType("int16", "int", 16, 2)
int32 = DType("int32", "int", 32, 3)
int64 = DType("int64", "int", 64, 4)
uint8 = DType("uint8", "uint", 8, 5)
uint16 = DType("uint16", "uint", 16, 6)
uint32 = DType("uint32", "uint", 32, 7)
uint64 = DType("uint64", "uint", 64, 8)
float32 = DType("float32", "float", 32, 11, FloatFormat(8, 23, 127))
float64 = DType("float64", "float", 64, 12, FloatFormat(11, 52, 1023))
float16 = DType("float16", "float", 16, 9, FloatFormat(5, 10, 15), float32)
bfloat16 = DType("bfloat16", "float", 16, 10, FloatFormat(8, 7, 127), float32, "ml_dtypes")
complex64 = DType("complex64", "complex", 64, 13)
complex128 = DType("complex128", "complex", 128, 14)


def _stored(
    name: str, kind: Kind, bits: int, compute: DType, format: FloatFormat | None = None
) -> DType:
    return DType(name, kind, bits, 15, format, compute, "ml_dtypes", is_storage=True)


def _float_of(name: str, bits: int, *format: Any) -> DType:
    return _stored(name, "float", bits, float32, FloatFormat(*format))


float8_e4m3fn = _float_of("float8_e4m3fn", 8, 4, 3, 7, "last")
float8_e4m3fnuz = _float_of("float8_e4m3fnuz", 8, 4, 3, 8, "negative zero")
float8_e4m3b11fnuz = _float_of("float8_e4m3b11fnuz", 8, 4, 3, 11, "negative zero")
float8_e4m3 = _float_of("float8_e4m3", 8, 4, 3, 7)
float8_e3m4 = _float_of("float8_e3m4", 8, 3, 4, 3)
float8_e5m2 = _float_of("float8_e5m2", 8, 5, 2, 15)
float8_e5m2fnuz = _float_of("float8_e5m2fnuz", 8, 5, 2, 16, "negative zero")
float8_e8m0fnu = _float_of("float8_e8m0fnu", 8, 8, 0, 127, "last", False)
float6_e2m3fn = _float_of("float6_e2m3fn", 6, 2, 3, 1, "none")
float6_e3m2fn = _float_of("float6_e3m2fn", 6, 3, 2, 3, "none")
float4_e2m1fn = _float_of("float4_e2m1fn", 4, 2, 1, 1, "none")
int4 = _stored("int4", "int", 4, int8)
uint4 = _stored("uint4", "uint", 4, uint8)
int2 = _stored("int2", "int", 2, int8)
uint2 = _stored("uint2", "uint", 2, uint8)

ALL = (
    bool_,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
    float16,
    bfloat16,
    float32,
    float64,
    complex64,
    complex128,
)
SIGNED = (int8, int16, int32, int64)
UNSIGNED = (uint8, uint16, uint32, uint64)
INTEGERS = SIGNED + UNSIGNED
FLOATS = (float16, bfloat16, float32, float64)
COMPLEX = (complex64, complex128)
STORAGE = (
    float8_e4m3fn,
    float8_e4m3fnuz,
    float8_e4m3b11fnuz,
    float8_e4m3,
    float8_e3m4,
    float8_e5m2,
    float8_e5m2fnuz,
    float8_e8m0fnu,
    float6_e2m3fn,
    float6_e3m2fn,
    float4_e2m1fn,
    int4,
    uint4,
    int2,
    uint2,
)

DEFAULT_FLOAT = float32
DEFAULT_INT = int64
DEFAULT_COMPLEX = complex64


class Defaults:
    """The dtype of fractions that are made without one; `tessella.set_default_dtype` changes it."""

    __slots__ = ("floating",)

    def __init__(self) -> None:
        self.floating = DEFAULT_FLOAT


defaults = Defaults()

_BY_NAME = {dtype.name: dtype for dtype in (*ALL, *STORAGE)}
_PYTHON_TYPES: dict[Any, DType] = {
    bool: bool_,
    int: DEFAULT_INT,
    float: DEFAULT_FLOAT,
    complex: DEFAULT_COMPLEX,
}


def as_dtype(dtype: Any) -> DType:
    """The `DType` that a name, a Python type, a NumPy dtype or a `DType` stands for.

    Raises:
        DTypeError: nothing of that name is known.

    >>> as_dtype("float32") is float32, as_dtype(int)
    (True, tessella.int64)
    """
    if isinstance(dtype, DType):
        return dtype
    if not isinstance(
        dtype, (str, type, np.dtype)
    ):  # NumPy reads much into lists, numbers and None
        raise _unknown(dtype)
    return _found(dtype)


def _unknown(dtype: Any) -> DTypeError:
    known = ", ".join(_BY_NAME)
    shown = repr(dtype) if isinstance(dtype, (str, type, np.dtype)) else type(dtype).__name__
    return DTypeError(f"dtype: {shown} is not a data type that Tessella knows; use one of {known}")


@functools.lru_cache(maxsize=1024)
def _found(dtype: Any) -> DType:
    if isinstance(dtype, type) and dtype in _PYTHON_TYPES:
        return _PYTHON_TYPES[dtype]
    try:
        name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    found = _BY_NAME.get(name)
    if found is None:
        raise _unknown(dtype)
    return found


def python_scalar_dtype(value: bool | int | float | complex, like: DType) -> DType:
    """The dtype a Python scalar takes when it meets an array of dtype `like`.

    The scalar is *weak*: it keeps the array's dtype unless its kind is higher (a float meeting an
    integer array becomes the default float).

    Source: Python Array API standard, *Mixing arrays with Python scalars*.

    >>> python_scalar_dtype(2.0, float16), python_scalar_dtype(2.0, int32)
    (tessella.float16, tessella.float32)
    """
    like = as_dtype(like)
    if isinstance(value, (bool, np.bool_)):
        return bool_ if like.is_bool else like
    if isinstance(value, int):
        return DEFAULT_INT if like.is_bool else like
    if isinstance(value, float):
        return like if like.is_inexact else DEFAULT_FLOAT
    if like.is_complex:
        return like
    return complex128 if like is float64 else DEFAULT_COMPLEX


def promote(*dtypes: DType) -> DType:
    """The dtype in which an operation on these dtypes is done.

    Raises:
        DTypeError: the dtypes have no common one (uint64 with a signed integer, a storage dtype with any other).

    Source: Python Array API standard, *Type promotion rules*.

    >>> promote(int8, uint8), promote(float16, bfloat16), promote(int64, float32)
    (tessella.int16, tessella.float32, tessella.float32)
    """
    if len(dtypes) == 2 and type(dtypes[0]) is DType and type(dtypes[1]) is DType:
        return _promote_two(dtypes[0], dtypes[1])  # as it mostly comes
    if not dtypes:
        raise DTypeError("promote: no data type was given; give at least one")
    dtypes = tuple([as_dtype(dtype) for dtype in dtypes])
    return functools.reduce(_promote_two, dtypes)


@functools.cache
def _promote_two(a: DType, b: DType) -> DType:
    if a is b:
        return a
    for stored, other in ((a, b), (b, a)):
        if stored.is_storage:
            raise StorageDTypeError(
                f"cannot mix {stored.name} and {other.name}: {stored.name} is a storage dtype and promotes with "
                f"nothing; convert it first: x.astype(ts.{stored.compute.name})"
            )
    if a.code > b.code:  # the table is symmetric; `code` grows with kind and size
        a, b = b, a
    if a.is_bool:
        return b
    if a.is_integer and b.is_inexact:
        return b
    if a.kind == b.kind:
        return _same_kind(a, b)
    if a.is_integer and b.is_integer:
        return _mixed_sign(a, b)
    # a is floating, b complex
    return complex128 if a is float64 else b


def _same_kind(a: DType, b: DType) -> DType:
    if a.bits == b.bits:  # neither holds the other's values
        return _promote_two(a.compute, b.compute)
    return a if a.bits > b.bits else b


def _mixed_sign(signed: DType, unsigned: DType) -> DType:
    if unsigned is uint64:
        raise DTypeError(
            f"cannot mix {signed.name} and uint64: no integer dtype holds both; convert one of them "
            f"first, for example x.astype(ts.int64)"
        )
    bits = max(signed.bits, 2 * unsigned.bits)
    return _BY_NAME[f"int{bits}"]


def can_cast(source: DType, target: DType) -> bool:
    """Whether promotion allows `source` to become `target` without losing its kind.

    >>> can_cast(int32, float32), can_cast(float32, int64)
    (True, False)
    """
    source, target = as_dtype(source), as_dtype(target)
    try:
        return promote(source, target) is target
    except DTypeError:
        return False


def limits(dtype: DType) -> tuple[int, int]:
    """The least and the greatest number of an integer dtype (of bool: 0 and 1).

    >>> limits(int8), limits(uint16)
    ((-128, 127), (0, 65535))
    """
    kind = as_dtype(dtype)
    return kind.low, kind.high


def nothing_is_computed(dtype: DType) -> StorageDTypeError:
    """What is raised where an operation is given a storage dtype to compute in."""
    dtype = as_dtype(dtype)
    return StorageDTypeError(
        f"{dtype.name} is a storage dtype, nothing is computed in it; convert it first: "
        f"x.astype(ts.{dtype.compute.name})"
    )


def is_known(name: str) -> bool:
    """Whether a dtype has this name.

    >>> is_known("int4"), is_known("cpu")
    (True, False)
    """
    return isinstance(name, str) and name in _BY_NAME


def part_of(dtype: DType) -> DType:
    """The dtype of the real and the imaginary part of a complex one.

    >>> part_of(complex64), part_of(complex128)
    (tessella.float32, tessella.float64)
    """
    return float32 if dtype is complex64 else float64


def result_float(dtype: DType) -> DType:
    """The floating dtype of a maths function on `dtype`: itself, or the default for integers.

    >>> result_float(int8), result_float(float64)
    (tessella.float32, tessella.float64)
    """
    kind = as_dtype(dtype)
    if kind.is_storage:
        raise nothing_is_computed(kind)
    return kind if kind.is_inexact else DEFAULT_FLOAT
