"""What a traced function was seen to read around itself, as guards.

What a function makes itself is nobody's business: only objects that were reached from outside are *known*.
"""

from __future__ import annotations

import collections
import contextvars
import functools
import gc
import types
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from tessella.arguments import gate_of
from tessella.arguments.kinds import an
from tessella.tracing import objects
from tessella.tracing.attributes import attribute, definition, has, of_class
from tessella.tracing.changes import is_watched
from tessella.tracing.code import is_library_module, is_users
from tessella.tracing.guards import (
    Guards,
    Source,
    absence_guard,
    class_guard,
    content_guard,
    defined_guard,
    elements_guard,
    fields_guard,
    names_guard,
    presence_guard,
    shadow_guard,
    shown,
    value_guard,
    whole_guard,
)  # fmt: skip
from tessella.tracing.trace import is_anothers
from tessella.tracing.writing import Writes

MISSING = object()  # a value that no path leads to
FRESH = object()  # one that the function has just made
_KEYS = (str, int, bytes, type, types.FunctionType)
_MOST_ELEMENTS = 1 << 16  # bytes of a NumPy array that are compared before every call
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))


def names_within(owners: Sequence[tuple[str, Any]], others: dict[int, str]) -> dict[int, str]:
    """What the tensors of modules and optimisers are called: as in `state_dict`, by their ids.

    Args:
        owners: with what each is called; before the names in one of several modules there stands that.
        others: names of tensors that belong to neither.
    """
    below = {id(m) for _, owner in owners for m in objects.children_of(owner)}
    roots = [(called, owner) for called, owner in owners if id(owner) not in below]
    several = sum(objects.is_module_of_ours(root) for _, root in roots) > 1
    found: dict[int, str] = {}
    for called, root in sorted(roots, key=lambda pair: not objects.is_module_of_ours(pair[1])):
        for tensor, beside, name in root.__tessella_names__():
            if beside is not None:
                name = f"{found.get(id(beside), others.get(id(beside), 'parameter'))}.{name}"
            elif several:
                name = f"{called}.{name}"
            found.setdefault(id(tensor), name)
    return found


class Surroundings:
    """What is known, and what of it was read.

    Args:
        guards: where the guards go.
        writes: what was written; it is not guarded any more.
        lent: sources of numbers that hold something else during the trace.
    """

    def __init__(self, guards: Guards, writes: Writes, lent: Sequence[Source]) -> None:
        self.guards, self.writes = guards, writes
        self.lent = {source.id for source in lent}
        self._known: dict[int, Any] = {}
        self._touched: dict[int, Any] = {}  # modules and the like that our own code looked into
        self._deep: set[int] = set()  # containers that were looked at with all that is in them
        self._searched: dict[str, int] = {}  # names that were looked for in all that was known then
        self._running: dict[tuple[int, int], Any] = {}  # whose methods ran, with their code
        self._tensors: dict[int, list[Source]] = {}  # where tensors were read from
        self._called: dict[int, str] = {}  # how modules were written where they were read

    # --- what is known ----------------------------------------------------------------------------

    def is_known(self, value: Any) -> bool:
        """Whether an object was reached from outside, or is a view of a NumPy array that was."""
        while isinstance(value, np.ndarray) and id(value) not in self._known:
            value = value.base
        return id(value) in self._known

    def know(self, value: Any) -> None:
        """An object was reached from outside; so is what it leads to by itself."""
        if type(value) is types.MappingProxyType:
            value = gc.get_referents(value)[0]  # what it is a view of
        if isinstance(value, objects.SIMPLE) or id(value) in self._known:
            return
        self._known[id(value)] = value
        if isinstance(value, types.FunctionType):
            gate = gate_of(value)
            if gate is not None and gate.public is value:
                self.know(gate.function)  # what is around it never changes
            else:
                self._know_function(value)
        elif isinstance(value, types.MethodType):
            self.know(value.__self__)
            self.know(value.__func__)
        elif isinstance(value, weakref.ref):
            self.know(value())
        elif isinstance(value, contextvars.ContextVar):
            self.guards.add(content_guard(value, _in_context, f"the ContextVar {value.name}"))
            self.know(_in_context(value))
            self.whole(_in_context(value), f"what the ContextVar {value.name} holds")
        elif isinstance(value, _VIEWS):
            self.know(gc.get_referents(value)[0])
            self.whole(gc.get_referents(value)[0], "a dict that is viewed")
        elif isinstance(value, functools.partial):
            for part in (value.func, *value.args, value.keywords):
                self.know(part)
            if value.keywords:
                self.whole(value.keywords, "the named arguments of a partial")
        elif is_watched(value) and not isinstance(value, (dict, list)):
            for child in objects.children_of(value):
                self.know(child)
            for _, container in value.__tessella_containers__():
                self._known[id(container)] = container
                for part in container.values() if isinstance(container, dict) else ():
                    if callable(part):  # a hook
                        self.know(part)
        elif getattr(type(value), "__module__", "").partition(".")[0] == "tessella" and hasattr(
            value, "__dict__"
        ):
            for part in vars(value).values():  # what wraps a function of a user's
                if callable(part):
                    self.know(part)
        else:
            self._memory(value)

    def is_of_known_class(self, value: Any) -> bool:
        """Whether an object is of a class that was reached from outside, or of one that is derived from it."""
        return any(id(kind) in self._known for kind in type(value).__mro__)

    def change_any(self, method: str) -> None:
        """A method that changes containers is called of who knows which."""
        for owner in list(self._known.values()):
            if (
                isinstance(owner, objects.CONTAINERS)
                and not is_watched(owner)
                and hasattr(owner, method)
            ):
                self.writes.change(owner, an(type(owner).__name__))

    def _know_function(self, function: types.FunctionType) -> None:
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            source = Source("variable", cell, 0, name)
            if self.writes.watch(source):
                self.read(source)
        if is_users(function):
            source = Source("attribute", function, "__code__", f"the code of {function.__name__}")
            self._guard_value(source, function.__code__)
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self.know(value)
        if (function.__defaults__ or function.__kwdefaults__) and is_users(function):
            for name in ("__defaults__", "__kwdefaults__"):
                source = Source("attribute", function, name, f"{function.__name__}.{name}")
                self._guard_value(source, getattr(function, name))

    def read(self, source: Source) -> None:
        """The function reads something from outside."""
        if self.writes.has(source):
            return
        try:
            value = source.get()
            if is_anothers(value):
                self.writes.alone()  # until it has been taken back
                value = source.get()
        except LookupError:
            self.guards.add(absence_guard(source))
            return
        if self._is_put_there(source, value):
            return
        self._guard_value(source, value)
        self.know(value)

    def _is_put_there(self, source: Source, value: Any) -> bool:
        """Whether the function itself has put an item there."""
        contents = self.writes.contents(source.owner) if source.kind == "item" else None
        return contents is not None and not contents.held(source.key, value)

    def _guard_value(self, source: Source, value: Any) -> None:
        if source.id in self.lent or self.writes.has(source):
            return
        if self._is_put_there(source, value):
            return
        if has(type(value), "_value") and has(type(value), "_node"):
            self._tensors.setdefault(id(value), []).append(source)
        elif is_watched(value):
            self._called.setdefault(id(value), source.text)
        self.guards.add(value_guard(source, value))

    def read_attribute(self, owner: Any, name: str, text: str) -> None:
        """An attribute of something known is read."""
        source = Source("attribute", owner, name, text)
        if name == "__dict__":
            self.know(getattr(owner, "__dict__", None))
            return
        if isinstance(owner, np.ndarray):
            if name in ("shape", "dtype", "strides"):
                self._guard_value(source, getattr(owner, name))
            return
        if not objects.is_looked_into(owner):
            return
        found = attribute(owner, name)
        if isinstance(owner, tuple) and name in getattr(type(owner), "_fields", ()):
            self.know(found.value)
        elif found.kind in ("own", "class"):
            if not is_library_module(owner):
                self.read(source)
            else:
                self.know(found.value)
        elif found.kind == "absent":
            if not self.writes.has(source):
                self.guards.add(absence_guard(source))
        elif found.kind == "method":
            self._read_method(owner, name, found.value, text)
        else:
            self._read_computed(owner, name, text)
        if found.kind in ("class", "method") and not isinstance(owner, type):
            self._read_class(owner)

    def _read_class(self, owner: Any) -> None:
        """The class of something known is asked."""
        if not isinstance(owner, types.ModuleType):
            self.guards.add(class_guard(owner))

    def _read_computed(self, owner: Any, name: str, text: str) -> None:
        """A property or another descriptor is asked, whose code is followed."""
        by = of_class(owner, name)
        if isinstance(owner, (types.ModuleType, types.FunctionType)):
            return
        if objects.is_module_of_ours(owner) and objects.is_ours(type(owner), name):
            return
        self._read_class(owner)
        self.guards.add(defined_guard(owner, name, text))
        if objects.has_item_as_attribute(owner, name):
            self.read_item(owner, name, text)
            return
        if not has(type(by), "__set__") and objects.has_fields(owner):
            self.guards.add(shadow_guard(owner, name, text))
        self.know(by)

    def read_class(self, owner: Any) -> None:
        """Of which class something known is, is asked by `isinstance` or `type`."""
        if objects.is_looked_into(owner) and not isinstance(
            owner, (type, types.FunctionType, np.ndarray)
        ):
            self._read_class(owner)

    def runs(self, owner: Any, code: types.CodeType) -> None:
        """Code of the class of something known runs, who knows by what: an operator, `len`, a property."""
        if isinstance(owner, (type, types.FunctionType)) or objects.is_tensor(owner):
            return
        if (id(owner), id(code)) in self._running:
            return
        self._running[id(owner), id(code)] = owner  # and kept, with its id
        found = definition(type(owner), code)
        if found is None:
            return
        base, name = found
        kind = type(owner) if of_class(owner, name) is base.__dict__[name] else base
        if self.is_known(owner):
            self._read_class(owner)
        self.know(base.__dict__[name])
        source = Source("attribute", kind, name, f"{kind.__name__}.{name}")
        self._guard_value(source, getattr(kind, name))

    def _read_method(self, owner: Any, name: str, method: Any, text: str) -> None:
        function = getattr(method, "__func__", method)
        if isinstance(owner, type):
            self._guard_value(Source("attribute", owner, name, text), getattr(owner, name))
        elif isinstance(function, types.FunctionType) and is_users(function):
            kind = type(owner)
            if hasattr(owner, "__dict__"):
                self.guards.add(shadow_guard(owner, name, text))
            source = Source("attribute", kind, name, f"{kind.__name__}.{name}")
            self._guard_value(source, getattr(kind, name))
        self.know(function)

    def read_anywhere(self, name: str) -> None:
        """An attribute is read of who knows what: of anything reached so far, or of what `super()` gives."""
        if self._searched.get(name) == len(self._known):
            return
        for owner in list(self._known.values()):
            if not objects.has_value(owner, name):
                continue
            self.read_attribute(owner, name, f"{type(owner).__name__}.{name}")
            for kind in type(owner).__mro__:
                value = kind.__dict__.get(name)
                users = is_users(value) if isinstance(value, types.FunctionType) else True
                if name in kind.__dict__ and users and attribute(kind, name).kind != "computed":
                    source = Source("attribute", kind, name, f"{kind.__name__}.{name}")
                    self._guard_value(source, getattr(kind, name))
        self._searched[name] = len(self._known)

    def holders(self, name: str) -> list[Any]:
        """Who may be meant by an attribute that is set of who knows what."""
        self.read_anywhere(name)
        known = [x for x in self._known.values() if objects.is_looked_into(x)]
        return [x for x in known if attribute(x, name).kind == "own"]

    def read_item(self, owner: Any, key: Any, text: str) -> None:
        """An item of something known is read."""
        if isinstance(owner, np.ndarray):
            if not isinstance(key, (slice, tuple)):
                self._elements(owner, text)
            return
        if isinstance(owner, collections.defaultdict):
            if key is MISSING or key is FRESH or key not in owner:  # it is put there now
                self.whole(owner, text)
                self.writes.change(owner, text)
                return
        elif not isinstance(owner, (*objects.SEQUENCES, dict)) or not objects.keeps_items(
            type(owner)
        ):
            return  # its code is followed
        if key is MISSING or key is FRESH or isinstance(key, slice) or objects.is_tensor(key):
            self.whole(owner, text)
            return
        if isinstance(owner, tuple):
            try:
                self.know(owner[key])
            except (LookupError, TypeError):
                return
        elif not isinstance(owner, dict) or key in owner:
            self.read(Source("item", owner, key, f"{text}[{shown(key)}]"))
        else:
            self.guards.add(absence_guard(Source("item", owner, key, f"{text}[{shown(key)}]")))

    def whole(self, owner: Any, text: str, deep: bool = False) -> None:
        """All items of a known container are looked at."""
        if isinstance(owner, np.ndarray):
            self._elements(owner, text)
            return
        if not isinstance(owner, (*objects.CONTAINERS, tuple, frozenset)) or not self.is_known(
            owner
        ):
            return
        contents = self.writes.contents(owner)
        if contents is not None:
            self.guards.add(whole_guard(owner, text, contents.items))
        elif not isinstance(owner, (tuple, frozenset)):
            self.guards.add(whole_guard(owner, text))
        if deep and id(owner) in self._deep:
            return
        if deep:
            self._deep.add(id(owner))
        values = (
            objects.items_of(owner) if contents is None else contents.items
        )  # not what it put there
        if isinstance(owner, dict):
            for key, _ in values:
                self.know(key)
            values = [value for _, value in values]
        for number, item in enumerate(values):
            self.know(item)
            if deep:
                self.whole(item, f"{text}[{number}]", deep)

    def contains(self, owner: Any, key: Any, text: str) -> None:
        """Whether something is in a known container is asked."""
        by_key = isinstance(owner, (dict, set)) and isinstance(key, _KEYS)
        if not by_key or self.writes.contents(owner) is not None:
            self.whole(owner, text)
        else:
            self.guards.add(presence_guard(owner, key, text))

    def fields(self, owner: Any, text: str) -> None:
        """All attributes of a known object are looked at."""
        self.guards.add(fields_guard(owner, text))
        for value in list(vars(owner).values()):
            self.know(value)

    def _elements(self, array: np.ndarray[Any, Any], text: str) -> None:
        """Python or NumPy looks at the elements of an array."""
        if not self.is_known(array) or not objects.is_writable(array):
            return
        if array.nbytes > _MOST_ELEMENTS:
            self.writes.refuse(
                f"the elements of a NumPy array of shape {array.shape} from outside ({text}) are looked at in a "
                "traced function, and may have changed at the next call; pass the array as an argument, make it "
                "a tensor before (ts.asarray), or make it read-only (array.flags.writeable = False)"
            )
            return
        self.guards.add(elements_guard(array, text))

    def _memory(self, owner: Any) -> None:
        """Memory is read by who knows whom, without a sign."""
        memory = objects.memory_of(owner)
        if memory is None:
            return
        text = f"{an(type(owner).__name__)} from outside"
        if memory.nbytes > _MOST_ELEMENTS:
            self.writes.refuse(
                f"{text}, of {memory.nbytes} bytes, is read in a traced function, and may have changed at the next call; "
                "pass what is in it as an argument, as a tensor or an array of NumPy"
            )
            return
        self.guards.add(content_guard(owner, objects.bytes_of, text))

    def is_outside(self, array: np.ndarray[Any, Any]) -> bool:
        """Whether a NumPy array is from outside, or a view of one that is, and may change."""
        return self.is_known(array) and objects.is_writable(array)

    # --- what our own code reads --------------------------------------------------------------------

    def touch(self, owner: Any, *parts: Any) -> None:
        """Our own code looks into a module or an optimiser; what it held is noted when the trace ends.

        Args:
            parts: what belongs to it, and is handed on to a user's code.
        """
        if self.is_known(owner):
            if id(owner) not in self._touched:
                self._touched[id(owner)] = owner
                self.know(vars(owner).get("forward"))  # in place of the class's
            for part in parts:
                self.know(part)

    def complete(self) -> None:
        """Add the guards of what our own code looked at."""
        for owner in self._touched.values():
            name = type(owner).__name__
            for table in owner.__tessella_tables__:
                self.guards.add(names_guard(owner, table, name))
            for member in owner.__tessella_members__():
                source = Source("attribute", owner, member, f"{name}.{member}")
                self._guard_value(source, source.find())
            if hasattr(type(owner), "forward"):
                source = Source("attribute", owner, "forward", f"{name}.forward")
                self._guard_value(source, source.find())
            for text, container in owner.__tessella_containers__():
                if self.writes.contents(container) is None:
                    self.guards.add(whole_guard(container, f"{name}.{text}"))

    def names(self) -> dict[int, str]:
        """What the tensors of modules and optimisers are called, and others that were read, by their ids."""
        found = {key: sources[0].text for key, sources in self._tensors.items()}
        owners = [x for x in self._known.values() if hasattr(type(x), "__tessella_names__")]
        called = [(self._called.get(id(x), type(x).__name__), x) for x in owners]
        return found | names_within(called, found)

    def sources_of(self, tensor: Any) -> list[Source]:
        """Where a tensor was read from."""
        return self._tensors.get(id(tensor), [])


def _in_context(variable: contextvars.ContextVar[Any]) -> Any:
    return variable.get(MISSING)
