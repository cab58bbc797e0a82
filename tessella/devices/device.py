"""The contract of a device: what the compiler, tensors and those above them may ask of one.

A target (`tessella/targets`) has a class of this kind; nobody imports it, the registry loads it by name.
"""

from __future__ import annotations

import abc
import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

import numpy as np

from tessella.arguments.kinds import scope
from tessella.blocks import Block, Setting
from tessella.devices.buffer import Buffer
from tessella.dtypes import DType
from tessella.errors import DeviceError

if TYPE_CHECKING:
    from tessella.primitives.base import Primitive, Spec
    from tessella.primitives.contraction import Contraction


class MemoryStatistics(NamedTuple):
    """Bytes that a device keeps for the next arrays, and how many blocks they are."""

    cached_bytes: int
    cached_blocks: int


class Growth(NamedTuple):
    """By how much the two axes of a convolution must grow so that all tiles of a device are whole: of the input
    and the result, or (for a gradient) of both operands."""

    axes: tuple[int, int]
    of_result: bool


class Limits(abc.ABC):
    """What a device can do at most; lowerings fit their blocks to it, and people are told."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The device's name for people."""

    @property
    @abc.abstractmethod
    def threads(self) -> int:
        """How many threads work on one operation."""

    @property
    @abc.abstractmethod
    def vector_bytes(self) -> int:
        """The bytes that one instruction works on."""

    @property
    def shared_bytes(self) -> int:
        """The memory that threads of a block share, if the device has such; in bytes."""
        return 0

    @abc.abstractmethod
    def cache_bytes(self, level: int, default: int) -> int:
        """The size of the data cache of a level, in bytes; `default` if it is not known."""

    @abc.abstractmethod
    def multiply_adds_per_second(self, dtype: DType) -> float:
        """Operations per second, when nothing has to be fetched."""

    @abc.abstractmethod
    def bytes_per_second(self) -> float:
        """Bytes that a large copy reads and writes in a second."""

    @abc.abstractmethod
    def doubt(self, operations: float, dtype: DType, nbytes: float) -> None:
        """Measure again if so much was done in a second, and that is more than the device can do.

        Args:
            operations, nbytes: what was seen; 0 for nothing.
        """


class Compilation(Protocol):
    """Kernels that are compiled side by side, inside a `with` block."""

    def __enter__(self) -> Any: ...

    def __exit__(self, *error: Any) -> Any: ...

    def begin_kernel(self, kernel: Any) -> None:
        """Begin to compile a kernel, if it is not there yet."""

    def finish(self) -> None:
        """Wait until all kernels that were begun have addresses."""


class Tuner(Protocol):
    """How the products of a device are tried in several ways."""

    def watched(self) -> AbstractContextManager[list[Any]]:
        """Inside the block, products that are lowered are put on the list."""

    def tune_products(self, products: Sequence[Any]) -> list[Any]:
        """Find the best way for each class of products, and remember it."""

    def forget_recipes(self) -> None:
        """Let products be lowered anew."""

    def forget(self) -> int:
        """Remove what was found, on disk too; gives how much it was."""


_made = itertools.count()
chosen: Setting[Any] = Setting("device", None)  # a thread's; the registry knows the default


class Device(Block, abc.ABC):
    """A device: memory, kernels, programs, limits, and how it lowers what it does in its own way.

    Addresses are numbers that its kernels understand. The host looks at no address but by `copy_out` and `read`,
    unless the device says that it `shares_memory` with the host.

    Inside `with device:` new arrays are made on it, and what has no operands runs on it.
    """

    name: str
    shares_memory = False  # with the host: an address is one of this process
    setting = chosen

    def __new__(cls, *_: Any) -> Self:
        made = super().__new__(cls)
        made.layouts, made.row_major_layouts, made.numbers = {}, {}, {}
        scope["alone"] = next(_made) == 0
        return made

    layouts: dict[Any, Any]  # the arrays' on it, each once (`tessella.devices.array`)
    row_major_layouts: dict[Any, Any]
    numbers: dict[Any, Any]  # Python's beside tensors, by dtype (`tessella.tensors.operands`)

    @property
    def value(self) -> Device:
        """What the setting is inside its block."""
        return self

    def __init__(self) -> None:
        """A block needs to be told nothing."""

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"device({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, str) and other == self.name)

    def __hash__(self) -> int:
        return hash(self.name)

    # --- memory ---------------------------------------------------------------------------------

    @abc.abstractmethod
    def allocator(self, nbytes: int) -> Callable[[], Buffer]:
        """What makes buffers of at least so many bytes, with unknown contents. They are freed by dying.

        Calling it raises OutOfMemoryError if there is not so much memory.
        """

    def allocate(self, nbytes: int) -> Buffer:
        """A buffer of at least `nbytes` bytes, aligned to 64, with unknown contents.

        Raises:
            OutOfMemoryError: there is not so much memory.
        """
        return self.allocator(nbytes)()

    @abc.abstractmethod
    def require_available(self, nbytes: Any) -> None:
        """Complain if so much memory is not there; of a size that is not known yet, nothing is said.

        Raises:
            OutOfMemoryError: so it is.
        """

    def statistics(self) -> MemoryStatistics:
        """What is kept for the next arrays."""
        return MemoryStatistics(0, 0)

    def release_cached(self) -> None:
        """Give back what is kept for the next arrays."""

    @abc.abstractmethod
    def copy_in(self, target: int, source: np.ndarray[Any, Any]) -> None:
        """Copy elements of the host, which lie side by side, to an address of the device."""

    @abc.abstractmethod
    def copy_out(self, target: np.ndarray[Any, Any], source: int) -> None:
        """Copy from an address of the device to the host, where the elements lie side by side."""

    @abc.abstractmethod
    def copy_within(self, target: int, source: int, nbytes: int) -> None:
        """Copy bytes from one address of the device to another."""

    def read(self, address: int, dtype: DType) -> Any:
        """The number at an address: of a condition or a choice, which the host has to know."""
        found = np.empty((), dtype.numpy)
        self.copy_out(found, address)
        return found.item()

    # --- kernels --------------------------------------------------------------------------------

    @abc.abstractmethod
    def compilation(self) -> Compilation:
        """Room for kernels to be compiled side by side; for this device's programs to run, too."""

    @abc.abstractmethod
    def address_of(self, kernel: Any) -> int:
        """What stands for a kernel in a table of steps: it is compiled, once."""

    @abc.abstractmethod
    def source(self, kernel: Any, kind: str) -> str:
        """A kernel as text: "llvm" or "asm"."""

    @abc.abstractmethod
    def launcher(self, address: int, places: int, numbers: bytes, total: int, chunk: int) -> Any:
        """A call of a kernel as a function of the addresses of its operands.

        Args:
            places: how many operands there are.
            numbers: the values of its sizes, 8 bytes each.
            chunk: items that one thread takes at a time; 0 for all at once.
        """

    def load(self) -> None:
        """Load now what takes long to load, and is needed for the first kernel."""

    # --- programs (see `tessella.devices.table`) ---------------------------------------------------

    @abc.abstractmethod
    def run_program(self, head: int, alone: bool = False) -> int:
        """Run a table of calls; gives 0, or 1 + the number of the step that stopped it.

        Args:
            head: the address of the table's head, on the host.
            alone: whether no call is shared by threads.
        """

    @abc.abstractmethod
    def run_timed(self, head: int, times: int) -> int:
        """Like `run_program`, and write when the first call began and when each one ended.

        Args:
            times: the address of one `timespec` (seconds and nanoseconds, 8 bytes each) more than there
                are calls; the clock is that of `time.perf_counter_ns`.
        """

    @abc.abstractmethod
    def run_loop(self, table: Any, alone: bool = False) -> int:
        """Run a program many times; gives 0 if all turns were taken, and more may follow."""

    def signals(self) -> int:
        """What a program's head holds so that the device can look for signals; 0 for nothing."""
        return 0

    # --- what it does in its own way ------------------------------------------------------------

    @property
    @abc.abstractmethod
    def limits(self) -> Limits:
        """What it can do at most."""

    @property
    def lowerings(self) -> Mapping[type[Primitive], Callable[..., Any]]:
        """The families that it lowers itself; the others are lowered as on every device."""
        return {}

    def growth(self, primitive: Contraction, x: Spec, y: Spec) -> Growth | None:
        """How much larger a convolution had better be; None to leave it as it is."""
        return None

    @property
    def tuner(self) -> Tuner:
        """How its products are tuned.

        Raises:
            DeviceError: they are not.
        """
        raise DeviceError(f"tune: the device {self.name!r} has nothing to tune; tune on 'cpu'")
