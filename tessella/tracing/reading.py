"""Follows a traced function through its code, and notes what it reads and writes around itself.

Python calls us before every instruction of the functions that a trace runs through (`sys.settrace`; functions of this
package, of NumPy and of Python's library are passed over). What an instruction reads is a path
(`tessella.tracing.paths`), evaluated in its frame. If it starts at something from outside (a global, a variable of
a function around, an argument that is no tensor) and leads over attributes and items of such things, every
step becomes a guard. What is written there is written down, too, and taken back when the trace ends, so that
each call of the program can do it.

What a function makes itself is nobody's business: only objects that were reached from outside are *known*.
"""

from __future__ import annotations

import builtins
import collections
import contextlib
import functools
import os
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

from tessella.errors import SideEffectError
from tessella.primitives.graph import Where
from tessella.tracing.attributes import attribute, sets_itself
from tessella.tracing.changes import is_watched
from tessella.tracing.guards import (
    Guards,
    Source,
    absence_guard,
    elements_guard,
    fields_guard,
    names_guard,
    presence_guard,
    shadow_guard,
    value_guard,
    whole_guard,
)
from tessella.tracing.paths import (
    Access,
    Attribute,
    Constant,
    Global,
    Item,
    Local,
    Path,
    Result,
    accesses,
    start_of,
)

_MISSING = object()
_CONTAINERS = (list, dict, set, collections.deque)
_KEYS = (str, int, bytes, type, types.FunctionType)
_SEQUENCES = (list, tuple, collections.deque)
_SIMPLE = (type(None), bool, int, float, complex, str, bytes, range, type(...), slice)
# what C does with its arguments without looking inside
_BLIND: set[Any] = {isinstance, issubclass, id, type, callable, hash, super, object, property}
_BLIND |= {staticmethod, classmethod, functools.partial, functools.wraps}
_READS = {
    "get", "items", "keys", "values", "copy", "index", "count", "union", "intersection", "difference",
    "issubset", "issuperset", "isdisjoint", "symmetric_difference", "__len__", "__contains__", "__getitem__",
    "__iter__", "__reversed__", "__eq__", "__ne__",
}  # fmt: skip
_MOST_ELEMENTS = 1 << 16  # bytes of a NumPy array that are compared before every call
_NAMED = (getattr, hasattr, setattr, delattr)
_OTHERS = ("numpy", "optree", "opt_einsum", "einops", "llvmlite", "ml_dtypes", "rich", "typer")


@functools.cache
def _passed_over() -> tuple[str, ...]:
    """Where code lies that is not followed."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
    found = [here, "<frozen", "<guards>"]
    sites = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
    found += [os.path.join(site, other) + os.sep for site in sites for other in _OTHERS]
    return tuple(found)


@functools.cache
def _library() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where Python's own library lies, and what lies in there without belonging to it."""
    homes = {os.path.realpath(sysconfig.get_path(n)) + os.sep for n in ("stdlib", "platstdlib")}
    homes |= {sysconfig.get_path(n) + os.sep for n in ("stdlib", "platstdlib")}
    sites = tuple(os.path.join(home, name) for home in homes for name in _SITES)
    return tuple(homes), sites


_SITES = ("site-packages", "dist-packages")


def is_followed(code: CodeType) -> bool:
    """Whether a function is a user's: neither ours nor Python's own."""
    file = code.co_filename
    if file.startswith(_passed_over()) or code.co_name == "<module>":
        return False
    homes, sites = _library()
    return not file.startswith(homes) or file.startswith(sites)


class Write(NamedTuple):
    """Something from outside that the function gave another value.

    Args:
        before: what it held, or `ABSENT`.
        value: what it held at the end.
    """

    source: Source
    before: Any
    value: Any
    where: Where

    def do(self, value: Any) -> None:
        """Write what another call has made."""
        if self.source.kind == "append":
            self.source.owner.append(value)
        elif self.source.kind == "add":
            self.source.owner.add(value)
        else:
            self.source.put(value)


ABSENT = _MISSING


class Contents(NamedTuple):
    """A container that is changed, as it was before."""

    owner: Any
    items: Any
    text: str
    where: Where

    def held(self, key: Any, value: Any) -> bool:
        """Whether an item is still what it was before."""
        if isinstance(self.owner, dict):
            return any(k == key and v is value for k, v in self.items)
        return -len(self.items) <= key < len(self.items) and self.items[key] is value


class Reader:
    """What a traced function reads and writes around itself.

    Args:
        guards: where the guards go.
        lent: sources of numbers that hold something else during the trace, by their ids.
    """

    def __init__(self, guards: Guards, lent: Sequence[Source] = ()) -> None:
        self.guards = guards
        self.lent = {source.id for source in lent}
        self._known: dict[int, Any] = {}
        self._kept: list[Any] = []  # what ids stand for
        self._functions: set[CodeType | int] = set()
        self._paths: dict[int, dict[int, list[Access]]] = {}
        self._results: dict[int, dict[int, Any]] = {}  # of calls, by frame and instruction
        self._frame: FrameType | None = None
        self._written: dict[tuple[Any, ...], tuple[Source, Any, Where]] = {}
        self._contents: dict[int, Contents] = {}
        self._touched: dict[int, Any] = {}  # modules and the like that our own code looked into
        self._variables: dict[tuple[Any, ...], tuple[Source, Any]] = {}
        self._tensors: dict[int, list[Source]] = {}  # where tensors were read from
        self._refused: tuple[Where, str] | None = None
        self._codes: dict[int, bool] = {}

    # --- following --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def following(self, function: Any) -> Iterator[None]:
        """In the block the code that runs in this thread is followed; a function's surroundings are known."""
        self.know(function)
        self._other = sys.gettrace()
        sys.settrace(self._start)
        try:
            yield
        finally:
            sys.settrace(self._other)

    def _start(self, frame: FrameType, event: str, argument: Any) -> Any:
        """A function begins (or goes on, if it is a generator)."""
        code = frame.f_code
        followed = self._codes.get(id(code))
        if followed is None:
            followed = self._codes[id(code)] = is_followed(code)
            self._kept.append(code)
        theirs = self._other
        if theirs is not None:
            theirs = theirs(frame, event, argument)  # type: ignore[arg-type]
            if sys.gettrace() is not self._start:
                sys.settrace(self._start)  # some tracers put themselves in
        if not followed:
            caller = frame.f_back
            if caller is not None and self._codes.get(id(caller.f_code)):
                return self._beside(None, theirs, caller)
            return theirs
        return self._beside(frame, theirs, frame.f_back)

    def _beside(self, frame: FrameType | None, theirs: Any, caller: FrameType | None) -> Any:
        """What is told of a frame: its instructions, if it is followed, and its result."""
        table = None if frame is None else self._table(frame.f_code)
        if frame is not None:
            if frame.f_lasti <= 0 or id(frame) not in self._results:  # not a generator that goes on
                self._results[id(frame)] = {}
            frame.f_trace_opcodes = True
            if theirs is None:
                frame.f_trace_lines = False

        def local(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal theirs
            if event == "opcode":
                found = None if table is None else table.get(frame.f_lasti)
                if found is not None:
                    self._follow(frame, found)
                return local
            if event == "return" and caller is not None:
                self._note_result(caller, argument)
            if theirs is not None:
                theirs = theirs(frame, event, argument)
            return local

        return local

    def _table(self, code: CodeType) -> dict[int, list[Access]]:
        found = self._paths.get(id(code))
        if found is None:
            found = self._paths[id(code)] = accesses(code)
        return found

    def _note_result(self, caller: FrameType, result: Any) -> None:
        """A function gave a result to the instruction that the one around it is at."""
        table = self._results.get(id(caller))
        if table is not None:
            table[start_of(caller.f_code, caller.f_lasti)] = result

    def _follow(self, frame: FrameType, found: Sequence[Access]) -> None:
        self._frame = frame
        for access in found:
            _ACTIONS[access.kind](self, frame, access)
        self._frame = None

    def _line(self) -> Where:
        """The line of the instruction at hand."""
        frame = self._frame
        if frame is None:
            return Where("<unknown>", 0, "?")
        return Where(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)

    # --- paths ------------------------------------------------------------------------------------

    def _value(self, frame: FrameType, path: Path) -> Any:
        """What a path leads to; `_MISSING` if that is not known."""
        if isinstance(path, Local):
            return frame.f_locals.get(path.name, _MISSING)
        if isinstance(path, Constant):
            return path.value
        if isinstance(path, Global):
            found = frame.f_globals.get(path.name, _MISSING)
            return getattr(builtins, path.name, _MISSING) if found is _MISSING else found
        if isinstance(path, Attribute):
            return self._attribute_value(frame, path)
        if isinstance(path, Item):
            return self._item_value(frame, path)
        if isinstance(path, Result):
            return self._result(frame, path)
        return _MISSING

    def _attribute_value(self, frame: FrameType, path: Attribute) -> Any:
        owner = self._value(frame, path.owner)
        if owner is _MISSING:
            return _MISSING
        if path.name == "__dict__":
            return getattr(owner, "__dict__", _MISSING)
        found = attribute(owner, path.name)
        if found.kind == "method" and not isinstance(owner, type):
            return (
                types.MethodType(found.value, owner)
                if isinstance(found.value, types.FunctionType)
                else getattr(owner, path.name)
            )
        if found.kind in ("own", "class", "method"):
            return found.value
        if _is_module_of_ours(owner) and _is_ours(type(owner), path.name):
            return getattr(owner, path.name)  # a property of our own, which only looks
        return _MISSING

    def _item_value(self, frame: FrameType, path: Item) -> Any:
        owner, key = self._value(frame, path.owner), self._value(frame, path.key)
        if owner is _MISSING or key is _MISSING:
            return _MISSING
        plain = isinstance(owner, (*_SEQUENCES, dict)) and _keeps_items(type(owner))
        if not plain and not (_is_module_of_ours(owner) and _is_ours(type(owner), "__getitem__")):
            return _MISSING
        try:
            return dict.get(owner, key, _MISSING) if isinstance(owner, dict) else owner[key]
        except (LookupError, TypeError):
            return _MISSING

    def _result(self, frame: FrameType, path: Result) -> Any:
        found = self._results.get(id(frame), {}).get(path.offset, _MISSING)
        if found is not _MISSING:
            return found
        function = self._value(frame, path.function)
        values = [self._value(frame, x) for x in path.arguments]
        if function is getattr and len(values) >= 2 and all(v is not _MISSING for v in values[:2]):
            return self._value(frame, Attribute(Constant(values[0]), values[1]))
        if function is type and len(values) == 1 and values[0] is not _MISSING:
            return type(values[0])
        if function is vars and len(values) == 1:
            return getattr(values[0], "__dict__", _MISSING)
        if isinstance(path.function, Attribute) and path.function.name == "get" and values:
            owner = self._value(frame, path.function.owner)
            if isinstance(owner, dict) and values[0] is not _MISSING:
                return self._value(frame, Item(Constant(owner), Constant(values[0])))
        return _MISSING

    # --- what is known ----------------------------------------------------------------------------

    def is_known(self, value: Any) -> bool:
        """Whether an object was reached from outside."""
        return id(value) in self._known

    def know(self, value: Any) -> None:
        """An object was reached from outside; so is what it leads to by itself."""
        if isinstance(value, _SIMPLE) or id(value) in self._known:
            return
        self._known[id(value)] = value
        if isinstance(value, types.FunctionType):
            self._know_function(value)
        elif isinstance(value, types.MethodType):
            self.know(value.__self__)
            self.know(value.__func__)
        elif isinstance(value, functools.partial):
            for part in (value.func, *value.args, *value.keywords.values()):
                self.know(part)
        elif is_watched(value) and not isinstance(value, (dict, list)):
            for child in getattr(value, "_modules", {}).values():
                if child is not None:
                    self.know(child)
            for _, container in value.__tessella_containers__():
                self._known[id(container)] = container
        elif type(value).__module__.partition(".")[0] == "tessella" and hasattr(value, "__dict__"):
            for part in vars(value).values():  # what wraps a function of a user's
                if callable(part):
                    self.know(part)

    def _know_function(self, function: types.FunctionType) -> None:
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            source = Source("variable", cell, 0, name)
            if source.id not in self._variables:
                self._variables[source.id] = source, source.find(_MISSING)
                self._read(source)
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self.know(value)
        if (function.__defaults__ or function.__kwdefaults__) and is_followed(function.__code__):
            for name in ("__defaults__", "__kwdefaults__"):
                source = Source("attribute", function, name, f"{function.__name__}.{name}")
                self._guard_value(source, getattr(function, name))

    def _read(self, source: Source) -> None:
        """The function reads something from outside."""
        if source.id in self._written:
            return
        try:
            value = source.get()
        except LookupError:
            self.guards.add(absence_guard(source))
            return
        self._guard_value(source, value)
        self.know(value)

    def _guard_value(self, source: Source, value: Any) -> None:
        if source.id in self.lent or source.id in self._written:
            return
        contents = self._contents.get(id(source.owner)) if source.kind == "item" else None
        if contents is not None and not contents.held(source.key, value):
            return
        if hasattr(value, "_value") and hasattr(value, "_node"):
            self._tensors.setdefault(id(value), []).append(source)
        self.guards.add(value_guard(source, value))

    def _read_attribute(self, owner: Any, name: str, text: str) -> None:
        """An attribute of something known is read."""
        source = Source("attribute", owner, name, text)
        if name == "__dict__":
            self.know(getattr(owner, "__dict__", None))
            return
        if isinstance(owner, np.ndarray):
            if name in ("shape", "dtype", "strides"):
                self._guard_value(source, getattr(owner, name))
            return
        if isinstance(owner, _NOT_LOOKED_INTO) or _is_tensor(owner):
            return
        found = attribute(owner, name)
        if found.kind in ("own", "class"):
            if not _is_library_module(owner):
                self._read(source)
            else:
                self.know(found.value)
        elif found.kind == "absent":
            if source.id not in self._written:
                self.guards.add(absence_guard(source))
        elif found.kind == "method":
            self._read_method(owner, name, found.value, text)

    def _read_method(self, owner: Any, name: str, method: Any, text: str) -> None:
        function = getattr(method, "__func__", method)
        if isinstance(owner, type):
            self._guard_value(Source("attribute", owner, name, text), getattr(owner, name))
        elif isinstance(function, types.FunctionType) and is_followed(function.__code__):
            kind = type(owner)
            if hasattr(owner, "__dict__"):
                self.guards.add(shadow_guard(owner, name, text))
            source = Source("attribute", kind, name, f"{kind.__name__}.{name}")
            self._guard_value(source, getattr(kind, name))
        self.know(function)

    def _read_item(self, owner: Any, key: Any, text: str) -> None:
        """An item of something known is read."""
        if isinstance(owner, np.ndarray):
            if not isinstance(key, (slice, tuple)):
                self._elements(owner, text)
            return
        if not isinstance(owner, (*_SEQUENCES, dict)) or not _keeps_items(type(owner)):
            return
        if key is _MISSING or isinstance(key, slice) or _is_tensor(key):
            self.whole(owner, text)
            return
        if isinstance(owner, tuple):
            try:
                self.know(owner[key])
            except (LookupError, TypeError):
                return
        elif not isinstance(owner, dict) or key in owner:
            self._read(Source("item", owner, key, f"{text}[{key!r}]"))
        else:
            self.guards.add(absence_guard(Source("item", owner, key, f"{text}[{key!r}]")))

    def whole(self, owner: Any, text: str, deep: bool = False) -> None:
        """All items of a known container are looked at."""
        if isinstance(owner, np.ndarray):
            self._elements(owner, text)
            return
        if not isinstance(owner, (*_CONTAINERS, tuple, frozenset)) or not self.is_known(owner):
            return
        contents = self._contents.get(id(owner))
        if contents is not None:
            self.guards.add(whole_guard(owner, text, contents.items))
        elif not isinstance(owner, (tuple, frozenset)):
            self.guards.add(whole_guard(owner, text))
        if isinstance(owner, dict):
            for key in owner:
                self.know(key)
        for number, item in enumerate(list(owner.values() if isinstance(owner, dict) else owner)):
            self.know(item)
            if deep:
                self.whole(item, f"{text}[{number}]", deep)

    def _elements(self, array: np.ndarray[Any, Any], text: str) -> None:
        """Python or NumPy looks at the elements of an array."""
        if not self.is_known(array) or not _is_writable(array):
            return
        if array.nbytes > _MOST_ELEMENTS:
            self._refuse(
                f"the elements of a NumPy array of shape {array.shape} from outside ({text}) are looked at in a "
                "traced function, and may have changed at the next call; pass the array as an argument, make it "
                "a tensor before (ts.asarray), or make it read-only (array.flags.writeable = False)"
            )
            return
        self.guards.add(elements_guard(array, text))

    def is_outside(self, array: np.ndarray[Any, Any]) -> bool:
        """Whether a NumPy array is from outside, or a view of one that is, and may change."""
        part: Any = array
        while isinstance(part, np.ndarray):
            if self.is_known(part):
                return _is_writable(part)
            part = part.base
        return False

    # --- what our own code reads --------------------------------------------------------------------

    def touch(self, owner: Any, *parts: Any) -> None:
        """Our own code looks into a module or an optimiser; what it held is noted when the trace ends.

        Args:
            parts: what belongs to it, and is handed on to a user's code.
        """
        if self.is_known(owner):
            self._touched.setdefault(id(owner), owner)
            for part in parts:
                self.know(part)

    # --- instructions -----------------------------------------------------------------------------

    def _on_global(self, frame: FrameType, access: Access) -> None:
        if access.name in frame.f_globals:
            self._read(Source("item", frame.f_globals, access.name, access.name))

    def _on_attribute(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if owner is not _MISSING:
            if self.is_known(owner):
                self._read_attribute(owner, access.name, f"{access.owner}.{access.name}")
            return
        # it may be of anything that was reached so far
        for known in list(self._known.values()):
            if _has(known, access.name):
                self._read_attribute(known, access.name, f"{type(known).__name__}.{access.name}")

    def _on_item(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if owner is not _MISSING and self.is_known(owner):
            self._read_item(owner, self._value(frame, access.name), str(access.owner))

    def _on_whole(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if owner is not _MISSING and self.is_known(owner) and not isinstance(owner, np.ndarray):
            self.whole(owner, str(access.owner))

    def _on_operator(self, frame: FrameType, access: Access) -> None:
        values = [self._value(frame, path) for path in (access.owner, access.name)]
        ours = any(_is_tensor(value) for value in values)
        for value, path in zip(values, (access.owner, access.name), strict=True):
            if value is not _MISSING and self.is_known(value) and not ours:
                self.whole(value, str(path))

    def _on_contains(self, frame: FrameType, access: Access) -> None:
        owner, key = self._value(frame, access.owner), self._value(frame, access.name)
        if owner is _MISSING or not self.is_known(owner):
            return
        by_key = isinstance(owner, (dict, set)) and isinstance(key, _KEYS)
        if not by_key or id(owner) in self._contents:
            self.whole(owner, str(access.owner))
        else:
            self.guards.add(presence_guard(owner, key, str(access.owner)))

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
            code = getattr(function, "__code__", None)
            if code is not None and is_followed(code):
                return
        ours = getattr(function, "__module__", None) or type(function).__module__
        for value, text in zip(values, texts, strict=True):
            if value is _MISSING or not self.is_known(value):
                continue
            if isinstance(value, np.ndarray):
                if not str(ours).startswith("tessella"):
                    self.whole(value, text)
            elif isinstance(value, (*_CONTAINERS, tuple)):
                self.whole(value, text, deep=True)
            elif _is_plain(value) and _looks_into_objects(function):
                self.guards.add(fields_guard(value, text))

    def _on_method(self, frame: FrameType, path: Attribute, values: Sequence[Any]) -> bool:
        """A method of a container; gives whether it is one."""
        owner = self._value(frame, path.owner)
        if isinstance(owner, np.ndarray) and self.is_known(owner):
            self.whole(owner, str(path.owner))
            return True
        if not isinstance(owner, (*_CONTAINERS, tuple, frozenset)) or not self.is_known(owner):
            return False
        if path.name in _READS or isinstance(owner, (tuple, frozenset)):
            if path.name == "get" and type(owner) is dict and values and values[0] is not _MISSING:
                self._read_item(owner, values[0], str(path.owner))
            else:
                self.whole(owner, str(path.owner), deep=True)
        else:
            if path.name in ("pop", "popitem", "setdefault", "remove", "sort", "reverse"):
                self.whole(owner, str(path.owner))
            self._change(owner, str(path.owner))
        return True

    def _on_named(self, function: Any, values: Sequence[Any], text: str) -> None:
        """An attribute whose name is computed."""
        owner, name = values[:2]
        if owner is _MISSING or not self.is_known(owner) or _is_tensor(owner):
            return
        if not isinstance(name, str):  # it may be any
            if function is setattr or function is delattr:
                self._refuse(
                    f"an attribute of {text} whose name is computed is written in a traced function; "
                    "write owner.name = value"
                )
            elif hasattr(owner, "__dict__"):
                self.guards.add(fields_guard(owner, text))
                for value in list(vars(owner).values()):
                    self.know(value)
            return
        if function is getattr or function is hasattr:
            self._read_attribute(owner, name, f"{text}.{name}")
        else:
            self._write(Source("attribute", owner, name, f"{text}.{name}"), function is delattr)

    def _on_set_attribute(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if owner is _MISSING or not self.is_known(owner) or _is_tensor(owner):
            return
        if not sets_itself(owner, access.name):
            self._write(Source("attribute", owner, access.name, f"{access.owner}.{access.name}"))

    def _on_delete_attribute(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if owner is not _MISSING and self.is_known(owner):
            self._write(
                Source("attribute", owner, access.name, f"{access.owner}.{access.name}"), True
            )

    def _on_set_item(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if isinstance(owner, np.ndarray) and self.is_known(owner):
            self._refuse(
                f"a NumPy array from outside ({access.owner}) is written to in a traced function, which a program "
                "does not repeat; let it be a tensor"
            )
        elif isinstance(owner, _CONTAINERS) and self.is_known(owner):
            self._change(owner, str(access.owner))

    def _on_delete_item(self, frame: FrameType, access: Access) -> None:
        owner = self._value(frame, access.owner)
        if isinstance(owner, _CONTAINERS) and self.is_known(owner):
            self._change(owner, str(access.owner))

    def _on_set_global(self, frame: FrameType, access: Access) -> None:
        self._write(Source("item", frame.f_globals, access.name, access.name))

    def _on_delete_global(self, frame: FrameType, access: Access) -> None:
        self._write(Source("item", frame.f_globals, access.name, access.name), True)

    def _on_change(self, frame: FrameType, access: Access) -> None:
        """An operator such as `+=`, which changes lists, sets and dicts in place."""
        owner = self._value(frame, access.owner)
        if isinstance(owner, _CONTAINERS) and self.is_known(owner):
            self._change(owner, str(access.owner))
        elif isinstance(owner, np.ndarray) and self.is_known(owner):
            self._on_set_item(frame, access)

    # --- writing ----------------------------------------------------------------------------------

    def _write(self, source: Source, deletes: bool = False) -> None:
        """The function is about to give something from outside another value."""
        if deletes:
            self._refuse(
                f"{source.text} is deleted in a traced function, which a program does not repeat"
            )
        if source.id not in self._written:
            self._written[source.id] = source, source.find(_MISSING), self._line()
            self._kept.append(source)

    def write(self, owner: Any, name: str) -> None:
        """Our own code is about to give an attribute of something another value."""
        if self.is_known(owner):
            self._write(Source("attribute", owner, name, f"{type(owner).__name__}.{name}"))

    def has_written(self, source: Source) -> bool:
        """Whether the function has given a source another value."""
        return source.id in self._written

    def _change(self, owner: Any, text: str) -> None:
        """The function is about to change a container from outside."""
        if id(owner) not in self._contents:
            items = list(owner.items()) if isinstance(owner, dict) else list(owner)
            self._contents[id(owner)] = Contents(owner, items, text, self._line())

    def _refuse(self, why: str) -> None:
        if self._refused is None:
            self._refused = self._line(), why

    def take_back(self) -> list[Write]:
        """What the function wrote; everything outside is as it was before."""
        found = self._attribute_writes() + self._variable_writes()
        for contents in self._contents.values():
            found += self._container_writes(contents)
        return found

    def complete(self) -> None:
        """Add the guards of what our own code looked at.

        Raises:
            SideEffectError: the function did something that a program does not repeat.
        """
        if self._refused is not None:
            where, why = self._refused
            raise SideEffectError(f"{where}: {why}")
        for owner in self._touched.values():
            name = type(owner).__name__
            for table in owner.__tessella_tables__:
                self.guards.add(names_guard(owner, table, name))
            for member in owner.__tessella_members__():
                source = Source("attribute", owner, member, f"{name}.{member}")
                self._guard_value(source, source.find())
            for text, container in owner.__tessella_containers__():
                if id(container) not in self._contents:
                    self.guards.add(whole_guard(container, f"{name}.{text}"))

    def sources_of(self, tensor: Any) -> list[Source]:
        """Where a tensor was read from."""
        return self._tensors.get(id(tensor), [])

    def _attribute_writes(self) -> list[Write]:
        found = []
        for source, before, where in self._written.values():
            value = source.find(_MISSING)
            _restore(source, before)
            if value is not before:
                found.append(Write(source, before, value, where))
        return found

    def _variable_writes(self) -> list[Write]:
        """Variables of functions around that hold something else than when they were first read."""
        found = []
        for source, before in self._variables.values():
            value = source.find(_MISSING)
            if value is not before:
                _restore(source, before)
                found.append(Write(source, before, value, self._line()))
        return found

    def _container_writes(self, contents: Contents) -> list[Write]:
        owner, before = contents.owner, contents.items
        if isinstance(owner, dict):
            return self._dict_writes(contents)
        if isinstance(owner, set):
            return self._set_writes(contents)
        now = list(owner)
        owner.clear()
        owner.extend(before)
        if len(now) < len(before):
            self._refused = contents.where, _cannot(contents, "items are taken away from")
            return []
        found = [
            Write(Source("item", owner, i, f"{contents.text}[{i}]"), was, item, contents.where)
            for i, (was, item) in enumerate(zip(before, now, strict=False))
            if was is not item
        ]
        return found + [
            Write(Source("append", owner, None, contents.text), _MISSING, item, contents.where)
            for item in now[len(before) :]
        ]

    def _dict_writes(self, contents: Contents) -> list[Write]:
        owner, before = contents.owner, dict(contents.items)
        now = dict(owner)
        owner.clear()
        owner.update(before)
        if any(key not in now for key in before):
            self._refused = contents.where, _cannot(contents, "items are taken away from")
            return []
        return [
            Write(
                Source("item", owner, key, f"{contents.text}[{key!r}]"),
                before.get(key, _MISSING), value, contents.where,
            )
            for key, value in now.items()
            if value is not before.get(key, _MISSING)
        ]  # fmt: skip

    def _set_writes(self, contents: Contents) -> list[Write]:
        owner, before = contents.owner, contents.items
        added = [x for x in owner if x not in before]
        if len(owner) - len(added) != len(before):
            self._refused = contents.where, _cannot(contents, "items are taken away from")
        owner.clear()
        owner.update(before)
        return [
            Write(Source("add", owner, None, contents.text), _MISSING, item, contents.where)
            for item in added
        ]


_ACTIONS: dict[str, Callable[[Reader, FrameType, Access], None]] = {
    "global": Reader._on_global,
    "attribute": Reader._on_attribute,
    "item": Reader._on_item,
    "whole": Reader._on_whole,
    "operator": Reader._on_operator,
    "contains": Reader._on_contains,
    "call": Reader._on_call,
    "set attribute": Reader._on_set_attribute,
    "set item": Reader._on_set_item,
    "set global": Reader._on_set_global,
    "delete attribute": Reader._on_delete_attribute,
    "delete item": Reader._on_delete_item,
    "delete global": Reader._on_delete_global,
    "change": Reader._on_change,
}


def _restore(source: Source, before: Any) -> None:
    """Let a source hold what it held."""
    if before is not _MISSING:
        if source.find(_MISSING) is not before:
            source.put(before) if is_watched(source.owner) else source.lend(before)
    elif source.find(_MISSING) is not _MISSING:
        source.remove()


def _cannot(contents: Contents, what: str) -> str:
    return (
        f"{what} {contents.text}, a {type(contents.owner).__name__} from outside, in a traced function, which a "
        "program does not repeat; return what is new, or do it outside the compiled function"
    )


def _is_tensor(value: Any) -> bool:
    """Whether operations on a value are recorded."""
    kind = type(value)
    return hasattr(kind, "__tessella_apply__") or hasattr(kind, "__tessella_operand__")


def _is_writable(array: np.ndarray[Any, Any]) -> bool:
    """Whether the elements of an array can change."""
    part: Any = array
    while isinstance(part, np.ndarray):
        if part.flags.writeable:
            return True
        part = part.base
    return part is not None and not isinstance(part, bytes)


def _keeps_items(kind: type) -> bool:
    """Whether a class of containers takes items as its built-in base does."""
    base = next(b for b in (*_SEQUENCES, dict) if issubclass(kind, b))
    getter = getattr(kind, "__getitem__", None)
    return getter is base.__getitem__ and not hasattr(kind, "__missing__")


def _is_module_of_ours(value: Any) -> bool:
    return is_watched(value) and hasattr(value, "_modules")


def _is_ours(kind: type, name: str) -> bool:
    """Whether an attribute is defined by a class of this package."""
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__module__.partition(".")[0] == "tessella"
    return False


def _is_library_module(owner: Any) -> bool:
    """Whether it is a Python module of ours, of NumPy or of Python itself."""
    if not isinstance(owner, types.ModuleType):
        return False
    file = getattr(owner, "__file__", None)
    if file is None:
        return True
    homes, sites = _library()
    return file.startswith(_passed_over()) or (
        file.startswith(homes) and not file.startswith(sites)
    )


_NOT_LOOKED_INTO = (
    *_SIMPLE,
    *_CONTAINERS,
    tuple,
    frozenset,
    np.generic,
    np.dtype,
    types.BuiltinFunctionType,
)


def _has(owner: Any, name: str) -> bool:
    """Whether an object or a class has a value of a name."""
    if isinstance(
        owner, (*_NOT_LOOKED_INTO, types.FunctionType, types.MethodType, types.ModuleType)
    ):
        return False
    return not _is_tensor(owner) and attribute(owner, name).kind in ("own", "class", "method")


def _is_plain(value: Any) -> bool:
    """Whether a value is an object of a user's class."""
    return (
        not isinstance(value, (*_NOT_LOOKED_INTO, types.FunctionType, types.MethodType, type))
        and not isinstance(value, types.ModuleType)
        and hasattr(value, "__dict__")
        and not is_watched(value)
        and not _is_tensor(value)
    )


def _looks_into_objects(function: Any) -> bool:
    """Whether it is a function of Python's library, written in Python."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code is not None and code.co_filename.startswith(_library()[0])


def _is_hashable(value: Any) -> bool:
    return isinstance(value, (type, types.BuiltinFunctionType))
