"""Every mistake a user can make has one class here, under `TessellaError`.

Each class also derives from the built-in exception a Python programmer would expect, so that
``except ValueError`` keeps working. Messages say what was given, what was expected and what to do.
"""

from __future__ import annotations

from collections.abc import Callable


class TessellaError(Exception):
    """The root of everything Tessella raises on purpose.

    `layer` tells in which layer of a network it arose, `encoder.layers.2.linear1 (Linear)`; the text begins with it.
    """

    layer: object = None

    def __str__(self) -> str:
        layer = str(self.layer or "")
        return f"{layer}: {self.text}" if layer else self.text

    @property
    def text(self) -> str:
        """What is wrong, without the layer."""
        return Exception.__str__(self)


class ShapeError(TessellaError, ValueError):
    """Shapes that do not fit together, or sizes that make no sense."""


class AxisError(TessellaError, IndexError, ValueError):
    """An axis that the array does not have, or that is named twice."""


class DTypeError(TessellaError, TypeError):
    """A dtype that an operation does not take, or two that do not promote.

    Args:
        operation: whose name the text begins with, if it does.
    """

    def __init__(self, text: str = "", operation: str | None = None) -> None:
        super().__init__(text)
        self.operation = operation

    def told_of(self, operation: str) -> DTypeError:
        """The same of an operation that meets it: the text begins with its name."""
        if self.operation == operation:
            return self
        return DTypeError(f"{operation}: {self}", operation)


class StorageDTypeError(DTypeError):
    """Something was to be computed in a dtype that numbers are only stored in; it is told of the outermost operation."""

    def __init__(self, text: str = "", operation: str | None = None) -> None:
        super().__init__(text if operation is None else f"{operation}: {text}", operation)
        self.bare = text

    def told_of(self, operation: str) -> StorageDTypeError:
        """The same of an operation that meets it, or in which another one met it."""
        return StorageDTypeError(self.bare, operation)

    def __reduce__(self) -> tuple[type, tuple[str, str | None]]:
        return StorageDTypeError, (self.bare, self.operation)


class IndexingError(TessellaError, IndexError):
    """An index out of range, of the wrong kind, or too many of them."""


class UnknownKeyError(TessellaError, KeyError):
    """A name under which a container holds nothing."""


class ArgumentError(TessellaError, ValueError):
    """An argument whose value makes no sense."""


class ArgumentTypeError(TessellaError, TypeError):
    """An argument of a type that cannot serve."""


class FileFormatError(ArgumentError):
    """A file that is damaged, cut short, or of another kind than was expected."""


class UnsafeFileError(FileFormatError):
    """A file that wants code to be run, or more of the machine than a file of numbers needs."""


class UnknownNameError(TessellaError, AttributeError):
    """An attribute that is not here; says what PyTorch, JAX and NumPy mean by it, or which one was meant.

    Its text is worked out when it is read, because programs ask for what may not be there all the time.
    """

    def __init__(self, text: str | Callable[[], str] = "") -> None:
        super().__init__(text)
        # what Python would look through for a name to suggest, which the text does better
        self.obj = self

    @property
    def text(self) -> str:
        """What is wrong, without the layer."""
        text = self.args[0]
        return text() if callable(text) else str(text)

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str]]:
        return (type(self), (str(self),))


class AbsentAttributeError(ArgumentError, AttributeError):
    """An attribute that tensors of other shapes have."""


class UninitializedError(TessellaError, RuntimeError):
    """A parameter of a lazy layer that has not been called yet was used."""


class DeviceError(TessellaError, ValueError):
    """A device or backend that does not exist."""


class GradientError(TessellaError, RuntimeError):
    """A backward pass that cannot be done, or history that is gone."""


class TracingError(TessellaError, TypeError):
    """A Python function that cannot become an expression; names the line and the cure."""


class UntraceableLineError(TracingError):
    """A line of a Python function that cannot become an expression; what called that function adds nothing."""


class TracedValueError(TracingError):
    """The elements of a tensor were asked for while its function was being traced."""


class SideEffectError(TracingError):
    """A traced function does something that a compiled program could not do at every call."""


class NotFiniteError(TessellaError, ArithmeticError):
    """An operation made a NaN or an infinity while `debug.check_nan` looked on."""


class MissingRuleError(TessellaError, NotImplementedError):
    """A primitive or a class without the rule that was needed; names the method to add."""


class OutOfMemoryError(TessellaError, MemoryError):
    """A request for more memory than the machine has."""


class MissingPackageError(TessellaError, ImportError):
    """Another package is needed that is not installed; names it, and how to get it."""


class ConfigurationError(TessellaError, ValueError):
    """An environment variable or setting whose value makes no sense."""


class WorkerError(TessellaError, RuntimeError):
    """A worker process that died, or what was raised in one: then it is also of the kind of that."""


class BadRowError(TessellaError, ValueError):
    """A row of a file that cannot be read, or makes no sense; names the file and the row."""


class SkippedRowsWarning(UserWarning):
    """Bad rows were left out, as was asked for; says how many and which."""


class StateDictError(TessellaError, RuntimeError, KeyError):
    """A checkpoint whose names or shapes do not fit the module."""


# MiniTorch's code asserts where it could raise, and tests of the course expect so.


class CourseShapeError(ShapeError, AssertionError):
    """A `ShapeError` where MiniTorch's code has an `assert`."""


class CourseIndexingError(IndexingError, AssertionError):
    """An `IndexingError` where MiniTorch's code has an `assert`."""


class CourseArgumentError(ArgumentError, AssertionError):
    """An `ArgumentError` where MiniTorch's code has an `assert`."""


class CourseGradientError(GradientError, AssertionError):
    """A `GradientError` where MiniTorch's code has an `assert`."""


class RunFolderError(TessellaError, RuntimeError):
    """A run folder that is in use, or belongs to another run, or is damaged."""


class CheckpointWarning(UserWarning):
    """A checkpoint, or a line of what was measured, could not be written; training goes on."""


class RetraceWarning(UserWarning):
    """A function is traced and compiled again and again."""


class CacheWarning(UserWarning):
    """The cache of compiled kernels cannot be used; work goes on without it."""
