"""The instructions of a pickle, followed by us: they put values on a stack, and nothing is imported or called.

A pickle is a program for a small machine. Python's own machine imports what a program names and calls it, which is how
a file takes over a computer. This one knows the instructions that make numbers, texts and containers; a name is looked
up in a table that it is given, and what is made of it is what the table says.

Source: CPython, Lib/pickletools.py, which describes each instruction; PEP 307, 3154 and 574.
"""

from __future__ import annotations

import codecs
import collections
import struct
from collections.abc import Callable
from typing import Any, Protocol

from tessella.dtypes import DType
from tessella.errors import FileFormatError, UnsafeFileError
from tessella.io.contents import Stream, shown


class Made(Protocol):
    """What stands for a function or class by its name, and makes of its arguments what that would make."""

    def make(self, arguments: tuple[Any, ...]) -> Any: ...


class Changed(Protocol):
    """What is completed after it was made."""

    def build(self, state: Any) -> None: ...


Step = Callable[["Machine"], Any]
_STEPS: dict[int, Step] = {}
_STOP = ord(".")
_ITEM = 8  # bytes of a place in a container
_GROWTH = 8  # bytes that a byte of a pickle may become by calls;
_ALWAYS = 1 << 20  # and what any pickle may make
_BYTE, _SHORT, _WORD, _SIGNED, _LONG, _DOUBLE = map(
    struct.Struct, ("<B", "<H", "<I", "<i", "<Q", ">d")
)
_PLAIN = (str, bytes, int, float, complex, bool, type(None), DType)  # what may be a key


class Machine:
    """Follows the instructions of one pickle.

    Args:
        named: gives what stands for a name, `collections.OrderedDict`; it raises for what it does not know.
        stored: gives what stands for an object that is kept outside the pickle, by what the pickle calls it.
    """

    def __init__(
        self, source: Stream, named: Callable[[str], Any], stored: Callable[[Any], Any]
    ) -> None:
        self.source = source
        self.named = named
        self.stored = stored
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under each mark
        self.memory: dict[int, Any] = {}
        self._start, self._made = source.position, 0

    def charge(self, made: Any) -> None:
        """Count the bytes of what was made: a call is short, and what it makes of a long value is long each time.

        Raises:
            UnsafeFileError: they are many more than there are in the pickle.
        """
        size = getattr(made, "nbytes", 0)
        if isinstance(made, (bytes, bytearray)):
            size = len(made)
        elif isinstance(made, (tuple, list, dict, set, frozenset)):
            size = _ITEM * len(made)
        self._made += size
        if self._made > _ALWAYS + _GROWTH * (self.source.position - self._start):
            raise UnsafeFileError(
                f"is hostile: what its pickle makes, from the same few parts, takes more than {self._made >> 20} MiB"
            )

    def run(self) -> Any:
        """The value that is left when the pickle stops."""
        take, steps = self.source.take, _STEPS
        while (code := take(1)[0]) != _STOP:
            step = steps.get(code)
            if step is None:
                raise FileFormatError(
                    f"is damaged: byte {code:#04x} at {self.source.position - 1} is no instruction of a pickle"
                )
            step(self)
        return self.pop()

    def pop(self) -> Any:
        """The last value, taken from the stack."""
        if not self.stack:
            raise FileFormatError("is damaged: an instruction of its pickle lacks a value")
        return self.stack.pop()

    def top(self) -> Any:
        """The last value, which stays."""
        if not self.stack:
            raise FileFormatError("is damaged: an instruction of its pickle lacks a value")
        return self.stack[-1]

    def since_mark(self) -> list[Any]:
        """All values since the last mark, taken from the stack."""
        if not self.below:
            raise FileFormatError("is damaged: an instruction of its pickle lacks a mark")
        found, self.stack = self.stack, self.below.pop()
        return found

    def number(self, format: struct.Struct) -> Any:
        """A number from the next bytes."""
        return format.unpack(self.source.take(format.size))[0]

    def counted(self, format: struct.Struct) -> bytes:
        """As many bytes as a number says."""
        count = self.number(format)
        if count < 0:
            raise FileFormatError(f"is damaged: its pickle has a text of {count} characters")
        return self.source.take(count)


# --- values -----------------------------------------------------------------------------------------


def _text(raw: bytes) -> str:
    return raw.decode("utf8", "surrogatepass")


def _python_2_text(raw: bytes) -> str | bytes:
    """Python 2 had one type for texts and bytes."""
    try:
        return raw.decode("utf8")
    except UnicodeDecodeError:
        return raw


def _written_text(raw: bytes) -> str | bytes:
    quoted = raw.strip()
    if len(quoted) < 2 or quoted[:1] != quoted[-1:] or quoted[:1] not in b"'\"":
        raise FileFormatError("is damaged: its pickle has a text without quotes")
    return _python_2_text(codecs.escape_decode(quoted[1:-1])[0])


def _whole(raw: bytes) -> int:
    return int.from_bytes(raw, "little", signed=True)


def _written_whole(raw: bytes) -> int | bool:
    if raw in (b"00", b"01"):
        return raw == b"01"
    return int(raw.decode("ascii").strip().removesuffix("L"))


def _written_fraction(raw: bytes) -> float:
    return float(raw.decode("ascii"))


def _decoded(decode: Callable[[bytes], Any], raw: bytes) -> Any:
    try:
        return decode(raw)
    except ValueError:  # of which UnicodeDecodeError is one
        raise FileFormatError(f"is damaged: its pickle has a value {shown(raw)}") from None


def _constant(value: Any) -> Step:
    return lambda machine: machine.stack.append(value)


def _number(format: struct.Struct) -> Step:
    return lambda machine: machine.stack.append(machine.number(format))


def _counted(format: struct.Struct, decode: Callable[[bytes], Any]) -> Step:
    return lambda machine: machine.stack.append(_decoded(decode, machine.counted(format)))


def _written(decode: Callable[[bytes], Any]) -> Step:
    return lambda machine: machine.stack.append(_decoded(decode, machine.source.line()))


# --- the stack and the memory -----------------------------------------------------------------------


def _mark(machine: Machine) -> None:
    machine.below.append(machine.stack)
    machine.stack = []


def _pop(machine: Machine) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.since_mark()


def _put(machine: Machine, place: int) -> None:
    machine.memory[place] = machine.top()


def _get(machine: Machine, place: int) -> None:
    if place not in machine.memory:
        raise FileFormatError(f"is damaged: its pickle asks for value {place}, which it never kept")
    machine.stack.append(machine.memory[place])


def _place(machine: Machine) -> int:
    place: int = _decoded(_written_whole, machine.source.line())
    return place


# --- containers -------------------------------------------------------------------------------------


def _tuple_of(count: int) -> Step:
    def step(machine: Machine) -> None:
        items = [machine.pop() for _ in range(count)]
        machine.stack.append(tuple(reversed(items)))

    return step


def _collected(make: Callable[[list[Any]], Any]) -> Step:
    def step(machine: Machine) -> None:
        made = make(machine.since_mark())
        machine.stack.append(made)

    return step


def pairs(items: list[Any]) -> list[tuple[Any, Any]]:
    """Keys and values from a row of both."""
    if len(items) % 2:
        raise FileFormatError("is damaged: its pickle has a name without a value")
    return [(key(name), value) for name, value in zip(items[::2], items[1::2], strict=True)]


def key(value: Any) -> Any:
    """A value that a dict or set can be asked for, at no cost: plain, or a tuple of plain ones.

    Raises:
        FileFormatError: it is another one. (To hash a tuple of tuples of tuples may take forever.)
    """
    if isinstance(value, _PLAIN) or (
        type(value) is tuple and all(isinstance(item, _PLAIN) for item in value)
    ):
        return value
    raise FileFormatError(
        f"has a {shown(value)} as a name in a dict or as a member of a set; numbers and texts can be, and tuples "
        "of them"
    )


def members(items: list[Any]) -> set[Any]:
    """The members of a set."""
    return {key(item) for item in items}


def _target(machine: Machine, kind: type, doing: str) -> Any:
    target = machine.top()
    if not isinstance(target, kind):
        raise FileFormatError(f"is damaged: its pickle {doing} a {shown(target)}")
    return target


def _set_items(machine: Machine) -> None:
    items = pairs(machine.since_mark())
    _target(machine, dict, "puts names into").update(items)


def _set_item(machine: Machine) -> None:
    value, name = machine.pop(), key(machine.pop())
    _target(machine, dict, "puts names into")[name] = value


def _append(machine: Machine) -> None:
    item = machine.pop()
    _target(machine, list, "appends to").append(item)


def _extend(machine: Machine) -> None:
    items = machine.since_mark()
    _target(machine, list, "appends to").extend(items)


def _add(machine: Machine) -> None:
    items = members(machine.since_mark())
    _target(machine, set, "adds members to").update(items)


# --- names, and what is made by them ----------------------------------------------------------------


def _name(machine: Machine) -> str:
    module, name = (_decoded(_text, machine.source.line()) for _ in range(2))
    return f"{module}.{name}"


def _named(machine: Machine) -> None:
    machine.stack.append(machine.named(_name(machine)))


def _named_on_stack(machine: Machine) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise FileFormatError("is damaged: its pickle imports by a name that is no text")
    machine.stack.append(machine.named(f"{module}.{name}"))


def _made(machine: Machine) -> None:
    arguments, function = machine.pop(), machine.pop()
    make = getattr(function, "make", None)
    if make is None:
        raise UnsafeFileError(
            f"is hostile: it wants to call a {shown(function)}, which is no function of PyTorch's files"
        )
    if not isinstance(arguments, tuple):
        raise FileFormatError(f"is damaged: it calls {function} with a {shown(arguments)}")
    made = make(arguments)
    machine.charge(made)
    machine.stack.append(made)


def _built(machine: Machine) -> None:
    state = machine.pop()
    target = machine.top()
    build = getattr(target, "build", None)
    if build is not None:
        build(state)
        machine.charge(target)
    elif not isinstance(target, collections.OrderedDict) or not isinstance(state, dict):
        # what Python hangs on an ordered dict (the versions of layers) is left out
        raise UnsafeFileError(f"is hostile: it wants to set what is inside a {shown(target)}")


def _stored(machine: Machine) -> None:
    machine.stack.append(machine.stored(machine.pop()))


def _never(what: str) -> Step:
    def step(machine: Machine) -> None:
        raise UnsafeFileError(f"is hostile or no file of PyTorch's: {what}; nothing of it was run")

    return step


def _instance(machine: Machine) -> None:
    raise UnsafeFileError(
        f"is hostile or no file of PyTorch's: it wants an object of {shown(_name(machine))}, which a file of "
        "numbers does not need; nothing of it was run"
    )


_EXTENSION = "it wants something of Python's registry of extensions, which nobody has in common"
_OUTSIDE = "it wants memory from outside the file"
_OBJECT = "it makes an object as Python's pickle alone does, and files of numbers do not"

_STEPS |= {
    ord(code): step
    for code, step in {
        # frames and versions say nothing that the other instructions do not
        "\x80": lambda machine: machine.source.take(1), "\x95": lambda machine: machine.source.take(8),
        "N": _constant(None), "\x88": _constant(True), "\x89": _constant(False),
        "J": _number(_SIGNED), "K": _number(_BYTE), "M": _number(_SHORT), "G": _number(_DOUBLE),
        "\x8a": _counted(_BYTE, _whole), "\x8b": _counted(_SIGNED, _whole),
        "I": _written(_written_whole), "L": _written(_written_whole), "F": _written(_written_fraction),
        "X": _counted(_WORD, _text), "\x8c": _counted(_BYTE, _text), "\x8d": _counted(_LONG, _text),
        "T": _counted(_SIGNED, _python_2_text), "U": _counted(_BYTE, _python_2_text), "S": _written(_written_text),
        "V": _written(lambda raw: raw.decode("raw-unicode-escape")),
        "B": _counted(_WORD, bytes), "C": _counted(_BYTE, bytes), "\x8e": _counted(_LONG, bytes),
        "\x96": _counted(_LONG, bytearray),
        "(": _mark, "0": _pop, "1": lambda machine: machine.since_mark(),
        "2": lambda machine: machine.stack.append(machine.top()),
        "q": lambda machine: _put(machine, machine.number(_BYTE)),
        "r": lambda machine: _put(machine, machine.number(_WORD)),
        "p": lambda machine: _put(machine, _place(machine)),
        "\x94": lambda machine: _put(machine, len(machine.memory)),
        "h": lambda machine: _get(machine, machine.number(_BYTE)),
        "j": lambda machine: _get(machine, machine.number(_WORD)),
        "g": lambda machine: _get(machine, _place(machine)),
        ")": lambda machine: machine.stack.append(()), "]": lambda machine: machine.stack.append([]),
        "}": lambda machine: machine.stack.append({}), "\x8f": lambda machine: machine.stack.append(set()),
        "\x85": _tuple_of(1), "\x86": _tuple_of(2), "\x87": _tuple_of(3),
        "t": _collected(tuple), "l": _collected(list), "d": _collected(lambda items: dict(pairs(items))),
        "\x91": _collected(lambda items: frozenset(members(items))),
        "a": _append, "e": _extend, "s": _set_item, "u": _set_items, "\x90": _add,
        "c": _named, "\x93": _named_on_stack, "R": _made, "\x81": _made, "b": _built, "Q": _stored,
        "i": _instance, "o": _never(_OBJECT), "\x92": _never(_OBJECT),
        "P": _never("it calls what is kept outside its pickle by a text"),
        "\x82": _never(_EXTENSION), "\x83": _never(_EXTENSION), "\x84": _never(_EXTENSION),
        "\x97": _never(_OUTSIDE), "\x98": _never(_OUTSIDE),
    }.items()
}  # fmt: skip
