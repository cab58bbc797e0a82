"""What is chosen where nobody says anything: the dtype of fractions, and the number of threads."""

from __future__ import annotations

from tessella import dtypes
from tessella.arguments import public
from tessella.arguments.kinds import DTypeLike
from tessella.devices.registry import host
from tessella.dtypes import DType, as_dtype
from tessella.errors import DTypeError


@public
def set_default_dtype(dtype: DTypeLike) -> None:
    """Let what is made from Python's fractions, or from nothing (`zeros`, `rand`, ...), have another dtype.

    Fractions beside tensors of integers stay float32, whatever the default is: tensors decide there. A
    compiled function follows the default, as it is at each call.

    Raises:
        DTypeError: not a floating dtype.

    >>> import tessella as ts
    >>> ts.set_default_dtype(ts.float64)
    >>> ts.zeros(1).dtype, ts.asarray([0.5]).dtype
    (tessella.float64, tessella.float64)
    >>> ts.set_default_dtype(ts.float32)
    """
    kind = as_dtype(dtype)
    if not kind.is_float or kind.is_storage:
        raise DTypeError(
            f"set_default_dtype: {kind.name} was given; expected a floating dtype that is computed with"
        )
    dtypes.defaults.floating = kind


@public
def get_default_dtype() -> DType:
    """The dtype of what is made from Python's fractions, or from nothing.

    >>> get_default_dtype()
    tessella.float32
    """
    from tessella.tensors.surroundings import default_float

    return default_float()


@public
def set_num_threads(number: int) -> None:
    """Work with that many threads from now on.

    Raises:
        ConfigurationError: not a positive whole number.
    """
    host().set_threads(number)


@public
def get_num_threads() -> int:
    """How many threads work on one operation, the caller's included.

    >>> get_num_threads() > 0
    True
    """
    return host().limits.threads


@public
def use_deterministic(mode: bool = True) -> str:
    """Say what is so already: the same program gives the same numbers at every run. There is nothing to switch on.

    Args:
        mode: True or False: nothing would be faster otherwise.

    >>> use_deterministic()
    'deterministic already: on one machine the same program gives the same bits with the same seed, versions and number of threads'
    """
    return (
        "deterministic already: on one machine the same program gives the same bits with the same seed, versions and "
        "number of threads"
    )
