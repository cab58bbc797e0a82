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
import gc
import operator
import types
import weakref
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any

import numpy as np

from tessella.blocks import Restoring
from tessella.primitives.graph import Where
from tessella.tracing import objects
from tessella.tracing.attributes import attribute, of_class, sets_itself
from tessella.tracing.code import is_followed, is_of_the_library, is_users, setter_of_user
from tessella.tracing.following import following
from tessella.tracing.guards import Guards, Source
from tessella.tracing.lines import where_of
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
_ITEM_GETTERS = ("get", "setdefault", "__getitem__")
_ONLY_WRITES = {
    "append", "appendleft", "extend", "extendleft", "add", "update", "clear", "__setitem__", "__delitem__", "insert",
}  # fmt: skip
_CHANGES = _ONLY_WRITES | {
    "pop",
    "popleft",
    "popitem",
    "remove",
    "discard",
    "sort",
    "reverse",
    "rotate",
}
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
            self._runs(frame)
        return followed

    def _runs(self, frame: FrameType) -> None:
        """A function begins that may be a method, called by who knows what."""
        code = frame.f_code
        if code.co_argcount:
            owner = frame.f_locals.get(code.co_varnames[0], MISSING)
            if owner is not MISSING and (
                self.around.is_known(owner) or self.around.is_of_known_class(owner)
            ):
                self.around.runs(owner, code)

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
        return where_of(self._frame)

    # --- paths ------------------------------------------------------------------------------------

    def _value(self, frame: FrameType, path: Path) -> Any:
        """What a path leads to, or what that is a view of; `MISSING` if that is not known."""
        found = self._found(frame, path)
        if type(found) is types.MappingProxyType:
            return gc.get_referents(found)[0]
        return found

    def _found(self, frame: FrameType, path: Path) -> Any:
        if isinstance(path, Local):
            if path.name in frame.f_code.co_freevars and path.name not in frame.f_locals:
                around = (
                    frame.f_back
                )  # it is the body of a class, in the function that has the variable
                return MISSING if around is None else around.f_locals.get(path.name, MISSING)
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
            return self._given_back(frame, path.offset)
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
        if objects.is_module_of_ours(owner) and objects.is_ours(type(owner), path.name):
            return getattr(owner, path.name)  # a property of our own, which only looks
        if objects.has_item_as_attribute(owner, path.name):
            return dict.get(owner, path.name, MISSING)
        return self._given_back(frame, path.offset)  # by a property

    def _item_value(self, frame: FrameType, path: Item) -> Any:
        owner, key = self._value(frame, path.owner), self._value(frame, path.key)
        if owner is MISSING or key is MISSING:
            return self._given_back(frame, path.offset)
        plain = isinstance(owner, (*objects.SEQUENCES, dict)) and objects.keeps_items(type(owner))
        if not plain and not (
            objects.is_module_of_ours(owner) and objects.is_ours(type(owner), "__getitem__")
        ):
            return self._given_back(frame, path.offset)
        try:
            return dict.get(owner, key, MISSING) if isinstance(owner, dict) else owner[key]
        except (LookupError, TypeError):
            return MISSING

    def _given_back(self, frame: FrameType, offset: int) -> Any:
        """What a function of a user's, called by an instruction, gave it."""
        return self._results.get(id(frame), {}).get(offset, MISSING)

    def _result(self, frame: FrameType, path: Result) -> Any:
        found = self._given_back(frame, path.offset)
        if found is not MISSING:
            return found
        function = self._value(frame, path.function)
        values = [self._value(frame, x) for x in path.arguments]
        if function is getattr and len(values) >= 2 and all(v is not MISSING for v in values[:2]):
            return self._value(frame, Attribute(Constant(values[0]), values[1]))
        if function is type and len(values) == 1 and values[0] is not MISSING:
            return type(values[0])
        if isinstance(function, weakref.ref):
            return function()
        if function is super:
            return self._super(frame, values)
        if function is vars and len(values) == 1:
            return getattr(values[0], "__dict__", MISSING)
        if function is globals:
            return frame.f_globals
        if isinstance(path.function, Attribute) and path.function.name in _ITEM_GETTERS and values:
            owner = self._value(frame, path.function.owner)
            if isinstance(owner, dict) and values[0] is not MISSING:
                return self._value(frame, Item(Constant(owner), Constant(values[0])))
        return MISSING

    def _super(self, frame: FrameType, values: Sequence[Any]) -> Any:
        """What `super()` gives."""
        if not values and frame.f_code.co_argcount:
            names = ("__class__", frame.f_code.co_varnames[0])
            values = [frame.f_locals.get(name, MISSING) for name in names]
        if len(values) != 2 or not isinstance(values[0], type):
            return MISSING
        kind = values[1] if isinstance(values[1], type) else type(values[1])
        return super(values[0], values[1]) if issubclass(kind, values[0]) else MISSING

    # --- instructions -----------------------------------------------------------------------------

    def _on_global(self, frame: FrameType, access: Access) -> None:
        if access.name in frame.f_globals:
            self.around.read(Source("item", frame.f_globals, access.name, access.name))

    def _on_attribute(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if owner is not MISSING and type(owner) is not super:
            if self.around.is_known(owner):
                self.around.read_attribute(owner, access.name, f"{access.owner}.{access.name}")
            elif self.around.is_of_known_class(owner) and objects.is_plain(owner):
                self._on_attribute_of_class(owner, access.name)
            return
        self.around.read_anywhere(access.name)

    def _on_attribute_of_class(self, owner: Any, name: str) -> None:
        """What the function made itself has a class that it did not make."""
        if attribute(owner, name).kind in ("class", "method"):
            kind = type(owner)
            self.around.know(kind)
            self.around.read_attribute(kind, name, f"{kind.__name__}.{name}")

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
        if owner is not MISSING and self.around.is_known(owner) and objects.is_plain(owner):
            self.around.fields(owner, str(access.owner))

    def _on_compare(self, frame: FrameType, access: Access) -> None:
        self._on_operator(frame, access, deep=True)

    def _on_operator(self, frame: FrameType, access: Access, deep: bool = False) -> None:
        values = [self._value(frame, path) for path in (access.owner, access.name)]
        ours = any(objects.is_tensor(value) for value in values)
        for value, path in zip(values, (access.owner, access.name), strict=True):
            if value is not MISSING and self.around.is_known(value) and not ours:
                self.around.whole(value, str(path), deep)

    def _on_contains(self, frame: FrameType, access: Access) -> None:
        owner, key = self._value(frame, access.owner), self._value(frame, access.name)
        if owner is MISSING or not self.around.is_known(owner):
            return
        self.around.contains(owner, key, str(access.owner))

    def _on_call(self, frame: FrameType, access: Access) -> None:
        function = self._value(frame, access.owner)
        values = [self._value(frame, path) for path in access.arguments]
        texts = [str(path) for path in access.arguments]
        if isinstance(access.owner, Attribute) and access.owner.name == "__setattr__":
            self._on_setter(frame, access.owner, values)
            return
        if isinstance(access.owner, Attribute) and self._on_method(frame, access.owner, values):
            return
        if any(function is f for f in _NAMED) and len(values) >= 2:
            self._on_named(function, values, texts[0])
            return
        if (
            (function is isinstance or function is type)
            and values
            and self.around.is_known(values[0])
        ):
            self.around.read_class(values[0])
        if _is_hashable(function) and function in _BLIND:
            return
        if self._on_inspection(frame, function, values, texts):
            return
        if isinstance(function, (types.FunctionType, types.MethodType)):
            plain = getattr(function, "__func__", function)
            if isinstance(plain, types.FunctionType) and is_users(plain):
                return
        ours = getattr(function, "__module__", None) or getattr(type(function), "__module__", "")
        for value, text in zip(values, texts, strict=True):
            if value is MISSING or not self.around.is_known(value):
                continue
            if isinstance(value, np.ndarray):
                if not str(ours).startswith("tessella"):
                    self.around.whole(value, text)
            elif isinstance(value, (*objects.CONTAINERS, tuple)):
                self.around.whole(value, text, deep=True)
            elif objects.is_plain(value) and (function is MISSING or _looks_inside(function)):
                self.around.fields(value, text)

    def _on_inspection(
        self, frame: FrameType, function: Any, values: Sequence[Any], texts: Sequence[str]
    ) -> bool:
        """`vars`, `dir`, `globals` and `attrgetter`; gives whether it is one of these."""
        if function is globals:
            self.around.know(frame.f_globals)
            return True
        if len(values) != 1 or not self.around.is_known(values[0]):
            return False
        if function is vars:
            self.around.read_attribute(values[0], "__dict__", texts[0])
        elif function is dir and objects.has_fields(values[0]) and not isinstance(values[0], type):
            self.around.fields(values[0], texts[0])
        elif type(function) is operator.attrgetter:
            for name in function.__reduce__()[1]:
                self._on_chain(frame, values[0], name.split("."), texts[0])
        else:
            return False
        return True

    def _on_chain(self, frame: FrameType, owner: Any, names: Sequence[str], text: str) -> None:
        """Attributes of attributes are read."""
        path: Path = Constant(owner)
        for name in names:
            owner, text = self._value(frame, path), f"{text}.{name}"
            if owner is MISSING or not self.around.is_known(owner):
                return
            self.around.read_attribute(owner, name, text)
            path = Attribute(path, name)

    def _on_method(self, frame: FrameType, path: Attribute, values: Sequence[Any]) -> bool:
        """A method of a container; gives whether it is one."""
        owner = self._value(frame, path.owner)
        if type(owner) is super:
            owner = _instance(owner)
        elif owner is MISSING and path.name in _CHANGES:
            self.around.change_any(path.name)
        elif owner is not MISSING and _is_followed(of_class(owner, path.name)):
            return False
        if isinstance(owner, np.ndarray) and self.around.is_known(owner):
            self.around.whole(owner, str(path.owner))
            return True
        if not isinstance(
            owner, (*objects.CONTAINERS, tuple, frozenset)
        ) or not self.around.is_known(owner):
            return False
        if path.name in _READS or isinstance(owner, (tuple, frozenset)):
            if self._is_one_item(owner, path.name, values):
                self.around.read_item(owner, values[0], str(path.owner))
            else:
                self.around.whole(owner, str(path.owner), deep=True)
        else:
            if path.name not in _ONLY_WRITES:
                self.around.whole(owner, str(path.owner))
            self.writes.change(owner, str(path.owner))
        return True

    def _is_one_item(self, owner: Any, name: str, values: Sequence[Any]) -> bool:
        """Whether a method of a container looks at the item of one key."""
        if not values or values[0] is MISSING:
            return False
        if name == "get":
            return isinstance(owner, dict) and objects.base_of(owner) is dict
        return name == "__getitem__" and objects.keeps_items(type(owner))

    def _on_named(self, function: Any, values: Sequence[Any], text: str) -> None:
        """An attribute whose name is computed."""
        owner, name = values[:2]
        if owner is MISSING or not self.around.is_known(owner) or objects.is_tensor(owner):
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
            self._set(owner, name, text, function is delattr)

    def _on_set_attribute(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if owner is MISSING:
            for other in self.around.holders(access.name):
                self._set(other, access.name, type(other).__name__)
        elif self.around.is_known(owner) and not objects.is_tensor(owner):
            self._set(owner, access.name, str(access.owner))

    def _set(self, owner: Any, name: str, text: str, deletes: bool = False) -> None:
        """An attribute is set, unless code of its class does it, which is followed."""
        if isinstance(owner, dict) and of_class(owner, "__setattr__") is dict.__setitem__:
            self.writes.change(owner, text)
        elif deletes or not (sets_itself(owner, name) or setter_of_user(type(owner))):
            self.writes.write(Source("attribute", owner, name, f"{text}.{name}"), deletes)

    def _on_setter(self, frame: FrameType, path: Attribute, values: Sequence[Any]) -> None:
        """`super().__setattr__(name, value)` or `object.__setattr__(owner, name, value)`."""
        owner = self._value(frame, path.owner)
        if type(owner) is super:
            values = [_instance(owner), *values]
        if len(values) < 2 or values[0] is MISSING or not self.around.is_known(values[0]):
            return
        if isinstance(owner, type) and setter_of_user(owner):
            return
        if not isinstance(values[1], str):
            self.writes.refuse(
                f"an attribute of {path.owner} whose name is computed is written in a traced function; "
                "write owner.name = value"
            )
        elif not sets_itself(values[0], values[1]):
            self.writes.write(
                Source("attribute", values[0], values[1], f"{path.owner}.{values[1]}")
            )

    def _on_delete_attribute(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if owner is not MISSING and self.around.is_known(owner):
            self.writes.write(
                Source("attribute", owner, access.name, f"{access.owner}.{access.name}"), True
            )

    def _on_set_item(self, frame: FrameType, access: Access) -> None:
        """An item is set or deleted, or all are changed by an operator such as `+=`."""
        owner = self._value(frame, access.owner)
        if isinstance(owner, np.ndarray) and self.around.is_known(owner):
            self.writes.refuse(
                f"a NumPy array from outside ({access.owner}) is written to in a traced function, which a program "
                "does not repeat; let it be a tensor"
            )
        elif isinstance(owner, objects.CONTAINERS) and self.around.is_known(owner):
            self.writes.change(owner, str(access.owner))

    _on_delete_item = _on_change = _on_set_item

    def _on_set_global(self, frame: FrameType, access: Access) -> None:
        self.writes.write(Source("item", frame.f_globals, access.name, access.name))

    def _on_set_variable(self, frame: FrameType, access: Access) -> None:
        self.writes.variable(access.name)

    def _on_delete_global(self, frame: FrameType, access: Access) -> None:
        self.writes.write(Source("item", frame.f_globals, access.name, access.name), True)


_ACTIONS: dict[str, Callable[[Reader, FrameType, Access], None]] = {
    name.removeprefix("_on_").replace("_", " "): action  # by the kinds of accesses
    for name, action in vars(Reader).items()
    if name.startswith("_on_")
}


def _looks_inside(function: Any) -> bool:
    """Whether it may look into what it is given: functions of Python's library, `operator.attrgetter`."""
    return is_of_the_library(function) or getattr(type(function), "__module__", "") == "operator"


def _instance(parent: Any) -> Any:
    """Whose attributes `super()` gives."""
    return parent.__self__


def _is_followed(method: Any) -> bool:
    """Whether a method is a function of a user's."""
    return isinstance(method, types.FunctionType) and is_users(method)


def _is_hashable(value: Any) -> bool:
    return isinstance(value, (type, types.BuiltinFunctionType))
