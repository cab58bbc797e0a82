"""What each instruction of a Python function reads and writes, as paths from its names.

`model.layers[i].scale` is the path `Attribute(Item(Attribute(Global model, layers), Local i), scale)`. Paths are found
once for each code object: its instructions are gone through with a stack of paths in place of values, as the
interpreter goes through them with values. While a function is traced (`tessella.tracing.reading`), the paths of
the instruction at hand are evaluated in its frame; so what was read is known, and from where.

A path that depends on which way the function went, or on an instruction that is not known here, is `UNKNOWN`.

Source: the instructions are those of the `dis` module of Python 3.11 to 3.14.
"""

from __future__ import annotations

import bisect
import dataclasses
import dis
import functools
import sys
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any, NamedTuple, TypeAlias


@dataclasses.dataclass(frozen=True, slots=True)
class Local:
    """A local variable, or a variable of a function around."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclasses.dataclass(frozen=True, slots=True)
class Global:
    """A global variable, or a builtin."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclasses.dataclass(frozen=True, slots=True)
class Constant:
    """A constant."""

    value: Any

    def __str__(self) -> str:
        return repr(self.value)


@dataclasses.dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of what a path leads to, read by the instruction at an offset."""

    owner: Path
    name: str
    offset: int = dataclasses.field(default=-1, compare=False)

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """An item of what a path leads to, read by the instruction at an offset."""

    owner: Path
    key: Path
    offset: int = dataclasses.field(default=-1, compare=False)

    def __str__(self) -> str:
        return f"{self.owner}[{self.key}]"


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What the call at an instruction gave."""

    offset: int
    function: Path
    arguments: tuple[Path, ...]

    def __str__(self) -> str:
        return f"{self.function}(...)"


@dataclasses.dataclass(frozen=True, slots=True)
class Unknown:
    """A value that no path leads to."""

    def __str__(self) -> str:
        return "..."


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """A value made by an operator, or a list, a tuple or a string built here: nobody outside has it."""

    def __str__(self) -> str:
        return "..."


@dataclasses.dataclass(frozen=True, slots=True)
class Nothing:
    """The empty place beside a function that is called."""


Path: TypeAlias = "Local | Global | Constant | Attribute | Item | Result | Unknown | Made | Nothing"
UNKNOWN, MADE, NOTHING = Unknown(), Made(), Nothing()


class Access(NamedTuple):
    """What an instruction does with values from elsewhere.

    Args:
        kind: "global", "attribute", "item", "whole" (all items are looked at), "fields", "operator", "compare", "contains",
            "call", "set attribute", "set item", "set global", "set variable" (of a function around), "delete attribute",
            "delete item", "delete global", "change" (in place, by an operator).
        owner: whose attribute or item it is, what is called, or what is looked at.
        name: of an attribute or a variable, or the path of a key.
        arguments: of a call.
    """

    kind: str
    owner: Path
    name: Any = None
    arguments: tuple[Path, ...] = ()


Stack: TypeAlias = "list[Path]"
_SUBSCRIPT = "[]"  # how `dis` shows the operator of BINARY_OP that takes an item, from 3.14 on


@functools.lru_cache(maxsize=4096)
def accesses(code: CodeType) -> dict[int, list[Access]]:
    """What the instructions of a function read and write, by their offsets.

    >>> def f(model, i):
    ...     return model.layers[i].scale
    >>> for found in accesses(f.__code__).values():
    ...     print(found[0].kind, "of", found[0].owner)
    attribute of model
    item of model.layers
    attribute of model.layers[i]
    """
    return _Walk(code).found


class _Walk:
    """Goes through the instructions of a code object once, in their order."""

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.found: dict[int, list[Access]] = {}
        self.stack: Stack | None = []  # None where nobody comes by
        self.waiting: dict[int, Stack] = {}  # the stacks with which others jump here
        self.names: tuple[str, ...] = ()  # of the arguments of the next call
        handlers = {entry.target: entry for entry in dis.Bytecode(code).exception_entries}  # type: ignore[attr-defined]
        start: int | None = None  # of an instruction whose argument is long
        for instruction in dis.get_instructions(code):
            at = instruction.offset
            self._arrive(at, handlers.get(at))
            if instruction.opname == "EXTENDED_ARG":
                start = at if start is None else start
                continue
            self.at = at
            if self.stack is not None:
                self._step(instruction)
            if start is not None and at in self.found:
                self.found[start] = self.found[at]  # the event may come at either
            start = None

    def _arrive(self, at: int, handler: Any) -> None:
        """Meet those who jump to an instruction."""
        if handler is not None:
            self.stack = [UNKNOWN] * (handler.depth + handler.lasti + 1)
        other = self.waiting.pop(at, None)
        if other is not None:
            self.stack = other if self.stack is None else _met(self.stack, other)

    def note(
        self, kind: str, owner: Path, name: Any = None, arguments: Sequence[Path] = ()
    ) -> None:
        self.found.setdefault(self.at, []).append(Access(kind, owner, name, tuple(arguments)))

    def _step(self, instruction: dis.Instruction) -> None:
        name = instruction.opname
        rule = _RULES.get(name)
        if rule is not None:
            rule(self, instruction)
        else:
            self._by_its_effect(instruction)
        if name in _ENDS:
            self.stack = None

    def jump(self, target: int, stack: Stack) -> None:
        before = self.waiting.get(target)
        if target > self.at:
            self.waiting[target] = list(stack) if before is None else _met(before, stack)

    def _by_its_effect(self, instruction: dis.Instruction) -> None:
        """An instruction that is not known here: it leaves nothing that is known near the top."""
        argument = instruction.arg if instruction.opcode >= dis.HAVE_ARGUMENT else None
        if instruction.opcode in dis.hasjrel or instruction.opcode in dis.hasjabs:
            effect = dis.stack_effect(instruction.opcode, argument, jump=True)
            self.jump(instruction.argval, self.after(effect))
        effect = dis.stack_effect(instruction.opcode, argument, jump=False)
        self.stack = self.after(effect)

    def after(self, effect: int) -> Stack:
        assert self.stack is not None
        depth = max(0, len(self.stack) + effect)
        kept = max(0, min(depth, len(self.stack)) - _TOUCHED)
        return self.stack[:kept] + [UNKNOWN] * (depth - kept)

    # --- the stack ------------------------------------------------------------------------------

    def pop(self, count: int = 1) -> list[Path]:
        """The last paths of the stack, which is shorter afterwards."""
        assert self.stack is not None
        if count == 0:
            return []
        missing = max(0, count - len(self.stack))
        found = [UNKNOWN] * missing + self.stack[-count:]
        del self.stack[-count:]
        return found

    def push(self, *paths: Path) -> None:
        assert self.stack is not None
        self.stack.extend(paths)


_TOUCHED = 8  # how many values an unknown instruction may have touched
_ENDS = {
    "RETURN_VALUE", "RETURN_CONST", "RERAISE", "RAISE_VARARGS", "JUMP_FORWARD", "JUMP_BACKWARD",
    "JUMP_BACKWARD_NO_INTERRUPT", "JUMP_ABSOLUTE", "JUMP", "JUMP_NO_INTERRUPT", "INTERPRETER_EXIT",
}  # fmt: skip


def _met(a: Stack, b: Stack) -> Stack:
    """What is known where two ways meet."""
    if len(a) != len(b):  # the bottom is common
        a, b = a[: len(b)], b[: len(a)]
    return [x if x == y else UNKNOWN for x, y in zip(a, b, strict=True)]


# --- rules ---------------------------------------------------------------------------------------------

_Rule: TypeAlias = "Callable[[_Walk, dis.Instruction], None]"
_RULES: dict[str, _Rule] = {}


def _rule(*names: str) -> Callable[[_Rule], _Rule]:
    def add(rule: _Rule) -> _Rule:
        _RULES.update(dict.fromkeys(names, rule))
        return rule

    return add


def _plain(pops: int, pushes: int) -> _Rule:
    """What takes some values and gives others, which no path leads to."""

    def rule(walk: _Walk, _: dis.Instruction) -> None:
        walk.pop(pops)
        walk.push(*[UNKNOWN] * pushes)

    return rule


for _name, _pops, _pushes in (
    ("NOP", 0, 0), ("RESUME", 0, 0), ("CACHE", 0, 0), ("PRECALL", 0, 0), ("MAKE_CELL", 0, 0),
    ("COPY_FREE_VARS", 0, 0), ("NOT_TAKEN", 0, 0), ("POP_TOP", 1, 0), ("POP_ITER", 1, 0), ("DELETE_FAST", 0, 0),
    ("DELETE_NAME", 0, 0), ("DELETE_DEREF", 0, 0), ("STORE_FAST", 1, 0), ("STORE_NAME", 1, 0),
    ("GET_LEN", 0, 1), ("LIST_APPEND", 1, 0), ("SET_ADD", 1, 0), ("MAP_ADD", 2, 0),
    ("IS_OP", 2, 1), ("RETURN_VALUE", 1, 0),
    ("LOAD_LOCALS", 0, 1), ("LOAD_ASSERTION_ERROR", 0, 1), ("LOAD_BUILD_CLASS", 0, 1),
    ("YIELD_VALUE", 1, 1), ("FORMAT_SIMPLE", 1, 1), ("FORMAT_WITH_SPEC", 2, 1), ("IMPORT_NAME", 2, 1),
    ("IMPORT_FROM", 0, 1), ("STORE_FAST_MAYBE_NULL", 1, 0), ("CHECK_EXC_MATCH", 1, 1), ("PUSH_EXC_INFO", 1, 2),
    ("POP_EXCEPT", 1, 0), ("LOAD_COMMON_CONSTANT", 0, 1), ("BUILD_INTERPOLATION", 2, 1),
    ("LOAD_CLOSURE", 0, 1), ("STORE_FAST_STORE_FAST", 2, 0),
    ("KW_NAMES", 0, 0),  # the values are on the stack, which is what matters
):  # fmt: skip
    _RULES[_name] = _plain(_pops, _pushes)


@_rule(
    "LOAD_FAST",
    "LOAD_FAST_CHECK",
    "LOAD_FAST_AND_CLEAR",
    "LOAD_FAST_BORROW",
    "LOAD_DEREF",
    "LOAD_CLASSDEREF",
)
def _local(walk: _Walk, instruction: dis.Instruction) -> None:
    walk.push(Local(instruction.argval))


@_rule("LOAD_FROM_DICT_OR_DEREF")
def _in_the_body_of_a_class(walk: _Walk, instruction: dis.Instruction) -> None:
    walk.pop()
    walk.push(Local(instruction.argval))


@_rule("LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW")
def _two_locals(walk: _Walk, instruction: dis.Instruction) -> None:
    walk.push(*[Local(name) for name in instruction.argval])


@_rule("STORE_FAST_LOAD_FAST")
def _store_and_load(walk: _Walk, instruction: dis.Instruction) -> None:
    walk.pop()
    walk.push(Local(instruction.argval[1]))


@_rule("LOAD_CONST", "LOAD_SMALL_INT")
def _constant(walk: _Walk, instruction: dis.Instruction) -> None:
    walk.push(Constant(instruction.argval))


@_rule("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
def _global(walk: _Walk, instruction: dis.Instruction) -> None:
    if instruction.opname == "LOAD_FROM_DICT_OR_GLOBALS":
        walk.pop()
    path = Global(instruction.argval)
    walk.note("global", path, path.name)
    with_null = instruction.opname == "LOAD_GLOBAL" and bool((instruction.arg or 0) & 1)
    walk.push(*_callable(path) if with_null else (path,))


def _callable(path: Path) -> tuple[Path, Path]:
    """A function and the empty place beside it, in the order of this Python."""
    return (path, NOTHING) if sys.version_info >= (3, 13) else (NOTHING, path)


@_rule("PUSH_NULL")
def _null(walk: _Walk, _: dis.Instruction) -> None:
    walk.push(NOTHING)


@_rule("LOAD_ATTR", "LOAD_METHOD")
def _attribute(walk: _Walk, instruction: dis.Instruction) -> None:
    (owner,) = walk.pop()
    name = instruction.argval
    path = Attribute(owner, name, walk.at)
    walk.note("attribute", owner, name)
    method = instruction.opname == "LOAD_METHOD" or (
        _FLAGGED_ATTRIBUTES and bool((instruction.arg or 0) & 1)
    )
    walk.push(*_callable(path) if method else (path,))


_FLAGGED_ATTRIBUTES = "LOAD_METHOD" not in dis.opmap or dis.opmap["LOAD_METHOD"] > 255


@_rule("LOAD_SUPER_ATTR")
def _super_attribute(walk: _Walk, instruction: dis.Instruction) -> None:
    function, kind, owner = walk.pop(3)
    # no call of a function of Python's has its result there
    path = Attribute(Result(-1, function, (kind, owner)), instruction.argval)
    walk.note("attribute", path.owner, instruction.argval)
    walk.push(*_callable(path) if (instruction.arg or 0) & 1 else (path,))


@_rule("BINARY_SUBSCR")
def _item(walk: _Walk, _: dis.Instruction) -> None:
    owner, key = walk.pop(2)
    walk.note("item", owner, key)
    walk.push(Item(owner, key, walk.at))


@_rule("BINARY_SLICE")
def _slice(walk: _Walk, _: dis.Instruction) -> None:
    owner, _start, _stop = walk.pop(3)
    walk.note("whole", owner)
    walk.push(MADE)


@_rule("BINARY_OP")
def _operator(walk: _Walk, instruction: dis.Instruction) -> None:
    if instruction.argrepr == _SUBSCRIPT:
        _item(walk, instruction)
        return
    a, b = walk.pop(2)
    in_place = instruction.argrepr.endswith("=")
    walk.note("change" if in_place else "operator", a, b)
    # what is changed in place is what it was, for a list
    walk.push(a if in_place else MADE)


@_rule("COMPARE_OP")
def _compare(walk: _Walk, _: dis.Instruction) -> None:
    a, b = walk.pop(2)
    walk.note("compare", a, b)
    walk.push(MADE)


@_rule("CONTAINS_OP")
def _contains(walk: _Walk, _: dis.Instruction) -> None:
    key, owner = walk.pop(2)
    walk.note("contains", owner, key)
    walk.push(MADE)


@_rule(
    "UNARY_NOT",
    "UNARY_NEGATIVE",
    "UNARY_INVERT",
    "UNARY_POSITIVE",
    "TO_BOOL",
    "LIST_TO_TUPLE",
    "CONVERT_VALUE",
    "GET_ITER",
    "GET_YIELD_FROM_ITER",
    "CALL_INTRINSIC_1",
)
def _looked_at(walk: _Walk, _: dis.Instruction) -> None:
    (path,) = walk.pop()
    walk.note("whole", path)
    walk.push(UNKNOWN)


@_rule("FOR_ITER")
def _for(walk: _Walk, instruction: dis.Instruction) -> None:
    assert walk.stack is not None
    # from 3.12 on the iterator is still there where the loop ends
    ends = walk.stack if _ITERATOR_STAYS else walk.stack[:-1]
    walk.jump(instruction.argval, ends)
    walk.push(UNKNOWN)


_ITERATOR_STAYS = "END_FOR" in dis.opmap


@_rule("END_FOR")
def _end_of_for(walk: _Walk, instruction: dis.Instruction) -> None:
    # 3.12 takes the iterator and what it gave, later ones leave the iterator to the next instruction
    effect = dis.stack_effect(instruction.opcode)
    assert walk.stack is not None
    walk.stack = walk.after(0) if effect == 0 else walk.stack
    if _ENDS_WITH_TWO:
        walk.pop(1)


_ENDS_WITH_TWO = _ITERATOR_STAYS and dis.stack_effect(dis.opmap["END_FOR"]) == -2


@_rule("UNPACK_SEQUENCE")
def _unpack(walk: _Walk, instruction: dis.Instruction) -> None:
    (owner,) = walk.pop()
    walk.note("whole", owner)
    count = instruction.arg or 0
    walk.push(*[Item(owner, Constant(i)) for i in reversed(range(count))])


@_rule("UNPACK_EX")
def _unpack_some(walk: _Walk, instruction: dis.Instruction) -> None:
    (owner,) = walk.pop()
    walk.note("whole", owner)
    argument = instruction.arg or 0
    walk.push(*[UNKNOWN] * ((argument & 0xFF) + 1 + (argument >> 8)))


@_rule("LIST_EXTEND", "SET_UPDATE", "DICT_UPDATE", "DICT_MERGE")
def _extend(walk: _Walk, _: dis.Instruction) -> None:
    (path,) = walk.pop()
    walk.note("whole", path)


@_rule("MATCH_MAPPING", "MATCH_SEQUENCE")
def _match(walk: _Walk, _: dis.Instruction) -> None:
    assert walk.stack is not None
    walk.note("whole", walk.stack[-1] if walk.stack else UNKNOWN)
    walk.push(UNKNOWN)


@_rule("MATCH_KEYS")
def _match_keys(walk: _Walk, _: dis.Instruction) -> None:
    subject, keys = walk.pop(2)
    walk.note("whole", subject)
    walk.push(subject, keys, UNKNOWN)


@_rule("MATCH_CLASS")
def _match_class(walk: _Walk, _: dis.Instruction) -> None:
    subject, _kind, _names = walk.pop(3)
    walk.note("fields", subject)
    walk.push(UNKNOWN)


@_rule("FORMAT_VALUE")
def _format(walk: _Walk, instruction: dis.Instruction) -> None:
    paths = walk.pop(2 if (instruction.arg or 0) & 4 else 1)
    walk.note("whole", paths[0])
    walk.push(MADE)


@_rule("BUILD_TUPLE", "BUILD_LIST", "BUILD_SET", "BUILD_STRING", "BUILD_SLICE")
def _build(walk: _Walk, instruction: dis.Instruction) -> None:
    walk.pop(instruction.arg or 0)
    walk.push(MADE)


@_rule("BUILD_MAP")
def _build_map(walk: _Walk, instruction: dis.Instruction) -> None:
    walk.pop(2 * (instruction.arg or 0))
    walk.push(MADE)


@_rule("BUILD_CONST_KEY_MAP")
def _build_constant_map(walk: _Walk, instruction: dis.Instruction) -> None:
    walk.pop((instruction.arg or 0) + 1)
    walk.push(MADE)


@_rule("COPY")
def _copy(walk: _Walk, instruction: dis.Instruction) -> None:
    assert walk.stack is not None
    depth = instruction.arg or 1
    walk.push(walk.stack[-depth] if depth <= len(walk.stack) else UNKNOWN)


@_rule("SWAP")
def _swap(walk: _Walk, instruction: dis.Instruction) -> None:
    stack, depth = walk.stack, instruction.arg or 1
    assert stack is not None
    if depth <= len(stack):
        stack[-1], stack[-depth] = stack[-depth], stack[-1]


@_rule("MAKE_FUNCTION")
def _make_function(walk: _Walk, instruction: dis.Instruction) -> None:
    flags = instruction.arg or 0 if instruction.opcode >= dis.HAVE_ARGUMENT else 0
    walk.pop(1 + sum(bool(flags & bit) for bit in (1, 2, 4, 8)))
    walk.push(MADE)


@_rule("SET_FUNCTION_ATTRIBUTE")
def _set_function_attribute(walk: _Walk, _: dis.Instruction) -> None:
    function, _attribute = walk.pop(2)[::-1]
    walk.push(function)


@_rule("POP_JUMP_FORWARD_IF_FALSE", "POP_JUMP_FORWARD_IF_TRUE", "POP_JUMP_BACKWARD_IF_FALSE",
       "POP_JUMP_BACKWARD_IF_TRUE", "POP_JUMP_IF_FALSE", "POP_JUMP_IF_TRUE", "POP_JUMP_IF_NONE",
       "POP_JUMP_IF_NOT_NONE", "POP_JUMP_FORWARD_IF_NONE", "POP_JUMP_FORWARD_IF_NOT_NONE",
       "POP_JUMP_BACKWARD_IF_NONE", "POP_JUMP_BACKWARD_IF_NOT_NONE")  # fmt: skip
def _branch(walk: _Walk, instruction: dis.Instruction) -> None:
    (path,) = walk.pop()
    if "NONE" not in instruction.opname:
        walk.note("whole", path)
    assert walk.stack is not None
    walk.jump(instruction.argval, walk.stack)


@_rule("JUMP_IF_FALSE_OR_POP", "JUMP_IF_TRUE_OR_POP")
def _branch_or_pop(walk: _Walk, instruction: dis.Instruction) -> None:
    assert walk.stack is not None
    if walk.stack:
        walk.note("whole", walk.stack[-1])
    walk.jump(instruction.argval, walk.stack)
    walk.pop()


@_rule("JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT")
def _go(walk: _Walk, instruction: dis.Instruction) -> None:
    assert walk.stack is not None
    walk.jump(instruction.argval, walk.stack)


@_rule("CALL")
def _call(walk: _Walk, instruction: dis.Instruction) -> None:
    arguments = walk.pop(instruction.arg or 0)
    _called(walk, arguments)


@_rule("CALL_KW")
def _call_with_names(walk: _Walk, instruction: dis.Instruction) -> None:
    walk.pop()
    _called(walk, walk.pop(instruction.arg or 0))


def _called(walk: _Walk, arguments: Sequence[Path]) -> None:
    a, b = walk.pop(2)
    function = b if a is NOTHING else a
    if (
        a is not NOTHING and b is not NOTHING
    ):  # a method of its first argument, which is unknown as such
        arguments = [b, *arguments]
    walk.note("call", function, None, arguments)
    walk.push(Result(walk.at, function, tuple(arguments)))


@_rule("CALL_FUNCTION_EX")
def _call_with_star(walk: _Walk, instruction: dis.Instruction) -> None:
    # from 3.14 on there is always a place for named arguments
    named = _ALWAYS_NAMED or bool((instruction.arg or 0) & 1)
    arguments = walk.pop(1 + named)
    a, b = walk.pop(2)
    function = b if a is NOTHING else a
    for path in arguments:
        walk.note("whole", path)
    walk.note("call", function, None, arguments)
    walk.push(Result(walk.at, function, ()))


_ALWAYS_NAMED = dis.opmap["CALL_FUNCTION_EX"] < dis.HAVE_ARGUMENT


@_rule("STORE_ATTR")
def _set_attribute(walk: _Walk, instruction: dis.Instruction) -> None:
    _value, owner = walk.pop(2)
    walk.note("set attribute", owner, instruction.argval)


@_rule("DELETE_ATTR")
def _delete_attribute(walk: _Walk, instruction: dis.Instruction) -> None:
    (owner,) = walk.pop()
    walk.note("delete attribute", owner, instruction.argval)


@_rule("STORE_SUBSCR")
def _set_item(walk: _Walk, _: dis.Instruction) -> None:
    _value, owner, key = walk.pop(3)
    walk.note("set item", owner, key)


@_rule("STORE_SLICE")
def _set_slice(walk: _Walk, _: dis.Instruction) -> None:
    _value, owner, _start, _stop = walk.pop(4)
    walk.note("set item", owner, UNKNOWN)


@_rule("DELETE_SUBSCR")
def _delete_item(walk: _Walk, _: dis.Instruction) -> None:
    owner, key = walk.pop(2)
    walk.note("delete item", owner, key)


@_rule("STORE_GLOBAL")
def _set_global(walk: _Walk, instruction: dis.Instruction) -> None:
    walk.pop()
    walk.note("set global", Global(instruction.argval), instruction.argval)


@_rule("DELETE_GLOBAL")
def _delete_global(walk: _Walk, instruction: dis.Instruction) -> None:
    walk.note("delete global", Global(instruction.argval), instruction.argval)


@_rule("STORE_DEREF")
def _set_variable(walk: _Walk, instruction: dis.Instruction) -> None:
    walk.pop()
    if instruction.argval in walk.code.co_freevars:
        walk.note("set variable", Local(instruction.argval), instruction.argval)


@functools.cache
def _starts(code: CodeType) -> list[int]:
    return [instruction.offset for instruction in dis.get_instructions(code)]


def start_of(code: CodeType, offset: int) -> int:
    """Where the instruction begins that an offset lies in: frames may stand at what is cached behind it."""
    starts = _starts(code)
    return starts[bisect.bisect_right(starts, offset) - 1]
