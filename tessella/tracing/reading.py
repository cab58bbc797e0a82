"""Follows a traced function through its code, and notes what it reads and writes around itself.

Python calls us before every instruction of the functions that a trace runs through (`tessella.tracing.following`; those of
this package, of NumPy and of Python's library are passed over). What an instruction reads is a path
(`tessella.tracing.paths`), evaluated in its frame. If it starts at something from outside (a global, a variable of
a function around, an argument that is no tensor) and leads over attributes and items of such things, every
step becomes a guard. What is written there is written down, too, and taken back when the trace ends, so that
each call of the program can do it.
"""

from __future__ import annotations

import builtins
import functools
import types
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any

import numpy as np

from tessella.blocks import Restoring
from tessella.primitives.graph import Where
from tessella.tracing.attributes import attribute, sets_itself
from tessella.tracing.code import is_followed, is_of_the_library, is_users
from tessella.tracing.following import following
from tessella.tracing.guards import Guards, Source
from tessella.tracing.objects import (
    CONTAINERS,
    SEQUENCES,
    is_module_of_ours,
    is_ours,
    is_plain,
    is_tensor,
    keeps_items,
)  # fmt: skip
from tessella.tracing.paths import (
    Access,
    Attribute,
    Constant,
    Global,
    Item,
    Local,
    Made,
    Path,
    Result,
    accesses,
    start_of,
)  # fmt: skip
from tessella.tracing.surroundings import FRESH, MISSING, Surroundings
from tessella.tracing.writing import Writes

# what C does with its arguments without looking inside
_BLIND: set[Any] = {isinstance, issubclass, id, type, callable, hash, super, object, property}
_BLIND |= {staticmethod, classmethod, functools.partial, functools.wraps}
_READS = {
    "get", "items", "keys", "values", "copy", "index", "count", "union", "intersection", "difference",
    "issubset", "issuperset", "isdisjoint", "symmetric_difference", "__len__", "__contains__", "__getitem__",
    "__iter__", "__reversed__", "__eq__", "__ne__",
}  # fmt: skip
_NAMED = (getattr, hasattr, setattr, delattr)


class Reader:
    """What a traced function reads and writes around itself.

    Args:
        guards: where the guards go.
        lent: sources of numbers that hold something else during the trace.
    """

    def __init__(self, guards: Guards, lent: Sequence[Source] = ()) -> None:
        self.writes = Writes(self._line)
        self.around = Surroundings(guards, self.writes, lent)
        self._paths: dict[int, dict[int, list[Access]]] = {}
        self._results: dict[int, dict[int, Any]] = {}  # of calls, by frame and instruction
        self._codes: dict[int, bool] = {}  # whether they are followed
        self._kept: list[CodeType] = []  # they keep their ids
        self._frame: FrameType | None = None  # the one at work

    # --- following --------------------------------------------------------------------------------

    def following(self, function: Any) -> Restoring[None]:
        """In the block the code that runs in this thread is followed; a function's surroundings are known."""
        self.around.know(function)
        return following(self)

    def begins(self, frame: FrameType) -> bool:
        """A function begins; gives whether it is followed."""
        code = frame.f_code
        followed = self._codes.get(id(code))
        if followed is None:
            followed = self._codes[id(code)] = is_followed(code, frame.f_globals)
            self._kept.append(code)
        if followed:
            self._results[id(frame)] = {}
        return followed

    def wants_result(self, caller: FrameType | None) -> bool:
        """Whether a function that is followed has called."""
        return caller is not None and self._codes.get(id(caller.f_code), False)

    def instruction(self, frame: FrameType, offset: int) -> None:
        """Note what an instruction reads and writes, before it does."""
        found = self._table(frame.f_code).get(offset)
        if found is not None:
            self._frame = frame
            for access in found:
                _ACTIONS[access.kind](self, frame, access)
            self._frame = None

    def returns(self, caller: FrameType, result: Any) -> None:
        """A function gives a result to the instruction that the one around it is at."""
        table = self._results.get(id(caller))
        if table is not None:
            table[start_of(caller.f_code, caller.f_lasti)] = result

    def _table(self, code: CodeType) -> dict[int, list[Access]]:
        found = self._paths.get(id(code))
        if found is None:
            found = self._paths[id(code)] = accesses(code)
        return found

    def _line(self) -> Where:
        """The line of the instruction at hand."""
        frame = self._frame
        if frame is None:
            return Where("<unknown>", 0, "?")
        return Where(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)

    # --- paths ------------------------------------------------------------------------------------

    def _value(self, frame: FrameType, path: Path) -> Any:
        """What a path leads to; `MISSING` if that is not known."""
        if isinstance(path, Local):
            return frame.f_locals.get(path.name, MISSING)
        if isinstance(path, Constant):
            return path.value
        if isinstance(path, Global):
            found = frame.f_globals.get(path.name, MISSING)
            return getattr(builtins, path.name, MISSING) if found is MISSING else found
        if isinstance(path, Attribute):
            return self._attribute_value(frame, path)
        if isinstance(path, Item):
            return self._item_value(frame, path)
        if isinstance(path, Result):
            return self._result(frame, path)
        return FRESH if isinstance(path, Made) else MISSING

    def _attribute_value(self, frame: FrameType, path: Attribute) -> Any:
        owner = self._value(frame, path.owner)
        if owner is MISSING:
            return MISSING
        if path.name == "__dict__":
            return getattr(owner, "__dict__", MISSING)
        found = attribute(owner, path.name)
        if found.kind == "method" and not isinstance(owner, type):
            return (
                types.MethodType(found.value, owner)
                if isinstance(found.value, types.FunctionType)
                else getattr(owner, path.name)
            )
        if found.kind in ("own", "class", "method"):
            return found.value
        if is_module_of_ours(owner) and is_ours(type(owner), path.name):
            return getattr(owner, path.name)  # a property of our own, which only looks
        return MISSING

    def _item_value(self, frame: FrameType, path: Item) -> Any:
        owner, key = self._value(frame, path.owner), self._value(frame, path.key)
        if owner is MISSING or key is MISSING:
            return MISSING
        plain = isinstance(owner, (*SEQUENCES, dict)) and keeps_items(type(owner))
        if not plain and not (is_module_of_ours(owner) and is_ours(type(owner), "__getitem__")):
            return MISSING
        try:
            return dict.get(owner, key, MISSING) if isinstance(owner, dict) else owner[key]
        except (LookupError, TypeError):
            return MISSING

    def _result(self, frame: FrameType, path: Result) -> Any:
        found = self._results.get(id(frame), {}).get(path.offset, MISSING)
        if found is not MISSING:
            return found
        function = self._value(frame, path.function)
        values = [self._value(frame, x) for x in path.arguments]
        if function is getattr and len(values) >= 2 and all(v is not MISSING for v in values[:2]):
            return self._value(frame, Attribute(Constant(values[0]), values[1]))
        if function is type and len(values) == 1 and values[0] is not MISSING:
            return type(values[0])
        if function is vars and len(values) == 1:
            return getattr(values[0], "__dict__", MISSING)
        if isinstance(path.function, Attribute) and path.function.name == "get" and values:
            owner = self._value(frame, path.function.owner)
            if isinstance(owner, dict) and values[0] is not MISSING:
                return self._value(frame, Item(Constant(owner), Constant(values[0])))
        return MISSING

    # --- instructions -----------------------------------------------------------------------------

    def _on_global(self, frame: FrameType, access: Access) -> None:
        if access.name in frame.f_globals:
            self.around.read(Source("item", frame.f_globals, access.name, access.name))

    def _on_attribute(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if owner is not MISSING:
            if self.around.is_known(owner):
                self.around.read_attribute(owner, access.name, f"{access.owner}.{access.name}")
            return
        self.around.read_anywhere(access.name)

    def _on_item(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if owner is not MISSING and self.around.is_known(owner):
            self.around.read_item(owner, self._value(frame, access.name), str(access.owner))

    def _on_whole(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if owner is not MISSING and self.around.is_known(owner):
            self.around.whole(owner, str(access.owner))

    def _on_fields(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if owner is not MISSING and self.around.is_known(owner) and is_plain(owner):
            self.around.fields(owner, str(access.owner))

    def _on_operator(self, frame: FrameType, access: Access) -> None:
        values = [self._value(frame, path) for path in (access.owner, access.name)]
        ours = any(is_tensor(value) for value in values)
        for value, path in zip(values, (access.owner, access.name), strict=True):
            if value is not MISSING and self.around.is_known(value) and not ours:
                self.around.whole(value, str(path))

    def _on_contains(self, frame: FrameType, access: Access) -> None:
        owner, key = self._value(frame, access.owner), self._value(frame, access.name)
        if owner is MISSING or not self.around.is_known(owner):
            return
        self.around.contains(owner, key, str(access.owner))

    def _on_call(self, frame: FrameType, access: Access) -> None:
        function = self._value(frame, access.owner)
        values = [self._value(frame, path) for path in access.arguments]
        texts = [str(path) for path in access.arguments]
        if isinstance(access.owner, Attribute) and self._on_method(frame, access.owner, values):
            return
        if any(function is f for f in _NAMED) and len(values) >= 2:
            self._on_named(function, values, texts[0])
            return
        if _is_hashable(function) and function in _BLIND:
            return
        if isinstance(function, (types.FunctionType, types.MethodType)):
            plain = getattr(function, "__func__", function)
            if isinstance(plain, types.FunctionType) and is_users(plain):
                return
        ours = getattr(function, "__module__", None) or type(function).__module__
        for value, text in zip(values, texts, strict=True):
            if value is MISSING or not self.around.is_known(value):
                continue
            if isinstance(value, np.ndarray):
                if not str(ours).startswith("tessella"):
                    self.around.whole(value, text)
            elif isinstance(value, (*CONTAINERS, tuple)):
                self.around.whole(value, text, deep=True)
            elif is_plain(value) and (function is MISSING or _looks_inside(function)):
                self.around.fields(value, text)

    def _on_method(self, frame: FrameType, path: Attribute, values: Sequence[Any]) -> bool:
        """A method of a container; gives whether it is one."""
        owner = self._value(frame, path.owner)
        if isinstance(owner, np.ndarray) and self.around.is_known(owner):
            self.around.whole(owner, str(path.owner))
            return True
        if not isinstance(owner, (*CONTAINERS, tuple, frozenset)) or not self.around.is_known(
            owner
        ):
            return False
        if path.name in _READS or isinstance(owner, (tuple, frozenset)):
            if path.name == "get" and type(owner) is dict and values and values[0] is not MISSING:
                self.around.read_item(owner, values[0], str(path.owner))
            else:
                self.around.whole(owner, str(path.owner), deep=True)
        else:
            if path.name in ("pop", "popitem", "setdefault", "remove", "sort", "reverse"):
                self.around.whole(owner, str(path.owner))
            self.writes.change(owner, str(path.owner))
        return True

    def _on_named(self, function: Any, values: Sequence[Any], text: str) -> None:
        """An attribute whose name is computed."""
        owner, name = values[:2]
        if owner is MISSING or not self.around.is_known(owner) or is_tensor(owner):
            return
        if not isinstance(name, str):  # it may be any
            if function is setattr or function is delattr:
                self.writes.refuse(
                    f"an attribute of {text} whose name is computed is written in a traced function; "
                    "write owner.name = value"
                )
            elif hasattr(owner, "__dict__"):
                self.around.fields(owner, text)
            return
        if function is getattr or function is hasattr:
            self.around.read_attribute(owner, name, f"{text}.{name}")
        else:
            self.writes.write(
                Source("attribute", owner, name, f"{text}.{name}"), function is delattr
            )

    def _on_set_attribute(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if owner is MISSING or not self.around.is_known(owner) or is_tensor(owner):
            return
        if not sets_itself(owner, access.name):
            self.writes.write(
                Source("attribute", owner, access.name, f"{access.owner}.{access.name}")
            )

    def _on_delete_attribute(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if owner is not MISSING and self.around.is_known(owner):
            self.writes.write(
                Source("attribute", owner, access.name, f"{access.owner}.{access.name}"), True
            )

    def _on_set_item(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if isinstance(owner, np.ndarray) and self.around.is_known(owner):
            self.writes.refuse(
                f"a NumPy array from outside ({access.owner}) is written to in a traced function, which a program "
                "does not repeat; let it be a tensor"
            )
        elif isinstance(owner, CONTAINERS) and self.around.is_known(owner):
            self.writes.change(owner, str(access.owner))

    def _on_delete_item(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if isinstance(owner, CONTAINERS) and self.around.is_known(owner):
            self.writes.change(owner, str(access.owner))

    def _on_set_global(self, frame: FrameType, access: Access) -> None:
        self.writes.write(Source("item", frame.f_globals, access.name, access.name))

    def _on_set_variable(self, frame: FrameType, access: Access) -> None:
        self.writes.variable(access.name)

    def _on_delete_global(self, frame: FrameType, access: Access) -> None:
        self.writes.write(Source("item", frame.f_globals, access.name, access.name), True)

    def _on_change(self, frame: FrameType, access: Access) -> None:
        """An operator such as `+=`, which changes lists, sets and dicts in place."""
        owner = self._value(frame, access.owner)
        if isinstance(owner, CONTAINERS) and self.around.is_known(owner):
            self.writes.change(owner, str(access.owner))
        elif isinstance(owner, np.ndarray) and self.around.is_known(owner):
            self._on_set_item(frame, access)


_ACTIONS: dict[str, Callable[[Reader, FrameType, Access], None]] = {
    "global": Reader._on_global,
    "attribute": Reader._on_attribute,
    "item": Reader._on_item,
    "whole": Reader._on_whole,
    "fields": Reader._on_fields,
    "operator": Reader._on_operator,
    "contains": Reader._on_contains,
    "call": Reader._on_call,
    "set attribute": Reader._on_set_attribute,
    "set item": Reader._on_set_item,
    "set global": Reader._on_set_global,
    "set variable": Reader._on_set_variable,
    "delete attribute": Reader._on_delete_attribute,
    "delete item": Reader._on_delete_item,
    "delete global": Reader._on_delete_global,
    "change": Reader._on_change,
}


def _looks_inside(function: Any) -> bool:
    """Whether it may look into what it is given: functions of Python's library, `operator.attrgetter`."""
    return is_of_the_library(function) or type(function).__module__ == "operator"


def _is_hashable(value: Any) -> bool:
    return isinstance(value, (type, types.BuiltinFunctionType))
