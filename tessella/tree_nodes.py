"""Which classes are trees: how `optree` is told to take their instances apart and put them together.

A dataclass becomes known when the first of its instances comes by. Its instances are put together without
`__init__`: leaves may be what no `__init__` would take.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import dataclasses
import enum
import functools
import itertools
import threading
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tessella.errors import ArgumentError, ArgumentTypeError
from tessella.uninterrupted import import_extension

NAMESPACE = "tessella"  # of what `optree` is told
_STATIC = "static"  # in the metadata of a field


@functools.cache
def loaded() -> Any:
    """`optree`, once it is needed, told to keep dicts in their order."""
    optree = import_extension("optree")
    order = contextlib.ExitStack()
    order.enter_context(optree.dict_insertion_ordered(True, namespace=NAMESPACE))
    atexit.register(order.close)  # and keeps it open until then
    return optree


def register_tree(
    kind: type,
    flatten: Callable[[Any], tuple[Iterable[Any], Any]] | None = None,
    unflatten: Callable[[Any, Any], Any] | None = None,
) -> type:
    """Make a class a tree: transformations look into its instances from now on.

    Args:
        flatten: from an instance to its parts, which are trees, and whatever else it is made of, which must be
            hashable and is a part of the structure.
        unflatten: from that and other parts to an instance. Parts may be anything, not only what was put in.

    Without them the class has methods `tree_flatten(self)` and `tree_unflatten(cls, rest, parts)`; then it may be
    used as a decorator. A dataclass needs neither: its fields are its parts, but for those with
    `field(metadata={"static": True})`, which belong to the structure.

    Raises:
        ArgumentTypeError: no class was given, or there is no way to take it apart.
        ArgumentError: the class is a tree already, or a module, which is a leaf by itself.

    >>> import tessella as ts
    >>> @ts.register_tree
    ... class Scaled:
    ...     def __init__(self, x, unit):
    ...         self.x, self.unit = x, unit
    ...     def tree_flatten(self):
    ...         return (self.x,), self.unit
    ...     @classmethod
    ...     def tree_unflatten(cls, unit, parts):
    ...         return cls(*parts, unit)
    >>> doubled = ts.jit(lambda s: ts.tree_map(lambda x: x * 2.0, s))(Scaled(ts.asarray([1.0, 2.0]), "metres"))
    >>> doubled.x, doubled.unit
    (tensor([2., 4.]), 'metres')
    """
    if not isinstance(kind, type):
        raise ArgumentTypeError(
            f"register_tree: a {type(kind).__name__} was given; expected a class"
        )
    if _is_a_leaf_of_ours(kind):
        raise ArgumentError(
            f"register_tree: {kind.__qualname__} is a leaf by itself, a tensor or a module; it cannot be a tree"
        )
    with _lock:
        if flatten is None and unflatten is None and "tree_flatten" not in dir(kind):
            _register_dataclass(kind)
        else:
            _register(kind, *_ways(kind, flatten, unflatten))
    return kind


def _register_dataclass(kind: type) -> None:
    if not hasattr(kind, "__dataclass_fields__"):
        raise ArgumentTypeError(
            f"register_tree: {kind.__qualname__} is no dataclass and has no methods tree_flatten and "
            "tree_unflatten; give register_tree two functions: from an instance to (parts, rest), and from "
            "(rest, parts) to an instance"
        )
    if kind not in _nodes and not _admit(kind):
        raise ArgumentTypeError(
            f"register_tree: {kind.__qualname__} is built on a class that is no Python class; give functions that "
            "take it apart and put it together"
        )


def _ways(kind: type, flatten: Any, unflatten: Any) -> tuple[Any, Any]:
    """How instances are taken apart and put together."""
    if flatten is None and unflatten is None:
        flatten, unflatten = (
            getattr(kind, f"tree_{name}", None) for name in ("flatten", "unflatten")
        )
    for way, name in ((flatten, "flatten"), (unflatten, "unflatten")):
        if not callable(way):
            raise ArgumentTypeError(
                f"register_tree: {name} of {kind.__qualname__} is {way!r}; expected a function, beside the other one"
            )

    def apart(instance: Any) -> tuple[Any, Any]:
        found = flatten(instance)
        if not (isinstance(found, tuple) and len(found) == 2):
            raise ArgumentTypeError(
                f"register_tree: flatten of {kind.__qualname__} gave a {type(found).__name__}; expected a pair: a "
                "tuple of parts, and what else there is"
            )
        _require_hashable(found[1], f"what flatten of {kind.__qualname__} gives beside the parts")
        return tuple(found[0]), found[1]

    return apart, unflatten


def _require_hashable(value: Any, what: str) -> None:
    """What belongs to a structure is compared as a whole, which elements of tensors cannot be."""
    try:
        hash(value)
        fits = isinstance(value, np.generic) or not hasattr(value, "__array__")
    except TypeError:
        fits = False
    if not fits:
        raise ArgumentTypeError(
            f"{what} is a {type(value).__name__}, which cannot be compared as a whole; it belongs to the structure of "
            "a tree, by which programs are looked up: make it a part of the tree, or something hashable like a tuple"
        )


def _register(kind: type, apart: Any, together: Any) -> None:
    """Tell `optree`; a dataclass that is known by its fields only may be given other ways."""
    optree = loaded()
    if isinstance(_nodes.get(kind), _Dataclass):
        optree.unregister_pytree_node(kind, namespace=NAMESPACE)
    try:
        optree.register_pytree_node(kind, apart, together, namespace=NAMESPACE)
    except ValueError:
        raise ArgumentError(
            f"register_tree: {kind.__qualname__} is a tree already, and can be taken apart in one way only"
        ) from None
    _nodes[kind] = apart


_PLAIN = frozenset([int, bool, str, types.NoneType])


def key_of(value: Any, above: tuple[int, ...] = ()) -> tuple[Any, ...]:
    """What stands for a value where equal is too little: 1, 1.0 and True differ, and so do 0.0 and -0.0.

    Containers, arrays and dataclasses are compared by what they hold now; other objects by themselves, if they have no
    hash.

    Args:
        above: the ids of the containers that the value is in.

    >>> key_of((1, 0.0)) == key_of((1.0, 0.0)), key_of([float("nan")]) == key_of([float("nan")])
    (False, True)
    """
    kind = type(value)
    if kind in _PLAIN:
        return kind, value
    if isinstance(value, (float, complex, np.generic)):
        return kind, repr(value)
    if id(value) in above:
        return kind, above.index(id(value))
    held = _held_by(value, (*above, id(value)))
    if held is not None:
        return kind, held
    try:
        hash(value)
    except TypeError:
        return kind, id(value)
    return kind, id(value) if hasattr(value, "__array__") else value


def _held_by(value: Any, above: tuple[int, ...]) -> Any:
    """The keys of what a container or a dataclass holds; None for what is neither."""
    if isinstance(value, (tuple, list)):
        return tuple([key_of(item, above) for item in value])
    if isinstance(value, (set, frozenset)):
        return frozenset([key_of(item, above) for item in value])
    if isinstance(value, dict):
        return tuple([(key_of(name), key_of(item, above)) for name, item in value.items()])
    if isinstance(value, (bytearray, memoryview, array.array)):
        with memoryview(value) as memory:
            return memory.format, memory.shape, memory.tobytes()
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if hasattr(type(value), "__dataclass_fields__") and not _is_a_leaf_of_ours(type(value)):
        parts = _Dataclass(type(value)).held(value)
        return tuple([(name, key_of(item, above)) for name, item in parts])
    return None


# --- dataclasses --------------------------------------------------------------------------------------

_lock = threading.RLock()
_nodes: dict[
    type, Any
] = {}  # what has been registered here, and how; optree keeps the classes, too
_leaves: weakref.WeakSet[type] = weakref.WeakSet()  # dataclasses that stay leaves


def become_nodes(kinds: Iterable[type]) -> bool:
    """Make nodes of the dataclasses among the types of leaves; gives whether there are any."""
    found = [kind for kind in kinds if hasattr(kind, "__dataclass_fields__")]
    if not found:
        return False
    with _lock:  # another thread may have come first: then the leaf was taken before it had
        return any(kind in _nodes or _admit(kind) for kind in found)


def _admit(kind: type) -> bool:
    """Make a node of a dataclass; gives whether it can be one."""
    if kind in _leaves:
        return False
    if _is_a_leaf_of_ours(kind) or not _can_be_made(kind):
        _leaves.add(kind)
        return False
    ways = _Dataclass(kind)
    loaded().register_pytree_node(kind, ways.apart, ways.together, namespace=NAMESPACE)
    _nodes[kind] = ways
    return True


def _is_a_leaf_of_ours(kind: type) -> bool:
    """Tensors, what stands for one, and modules."""
    return (
        hasattr(kind, "__tessella_operand__")
        or hasattr(kind, "named_parameters")
        or hasattr(kind, "requires_grad_")
    )


def _can_be_made(kind: type) -> bool:
    """Whether instances can be made without `__init__`; those of built-in types with data of their own cannot."""
    try:
        object.__new__(kind)
    except TypeError:
        return False
    return True


class _Facts:
    """What belongs to the structure in an instance of a dataclass.

    Args:
        names: of the attributes that are its parts.
        static: the other attributes, with their values.
    """

    __slots__ = ("_key", "names", "static")

    def __init__(self, names: tuple[str, ...], static: tuple[tuple[str, Any], ...]) -> None:
        self.names, self.static = names, static
        self._key = names, tuple([(name, key_of(value)) for name, value in static])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Facts) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return ", ".join([*self.names, *[f"{name}={value!r}" for name, value in self.static]])


class _Dataclass:
    """How the instances of a dataclass are taken apart and put together."""

    def __init__(self, kind: type) -> None:
        fields = dataclasses.fields(kind)
        self.kind = kind
        self.names = [field.name for field in fields]
        self.static = {field.name for field in fields if field.metadata.get(_STATIC, False)}
        self.slots = [name for name in _slots(kind) if name not in self.names]

    def apart(self, instance: Any) -> tuple[list[Any], _Facts, tuple[str, ...]]:
        """The parts, the facts, and the names of the parts."""
        names, parts, static = [], [], []
        for name, value in self.held(instance):
            if name in self.static or (name not in self.names and _is_setting(name, value)):
                _require_hashable(value, f"the static field {name!r} of {self.kind.__qualname__}")
                static.append((name, value))
            else:
                names.append(name)
                parts.append(value)
        facts = _Facts(tuple(names), tuple(static))
        return parts, facts, facts.names

    def held(self, instance: Any) -> Iterator[tuple[str, Any]]:
        """The attributes of an instance: its fields in their order, and what else was set."""
        own: dict[str, Any] = getattr(instance, "__dict__", {})
        for name in itertools.chain(self.names, self.slots):
            if name in own:
                yield name, own[name]
            elif isinstance(getattr(self.kind, name, None), types.MemberDescriptorType):
                value = getattr(instance, name, _UNSET)
                if value is not _UNSET:
                    yield name, value
        for name in [name for name in own if name not in self.names]:
            if not hasattr(type(own[name]), "__tessella_aside__"):
                yield name, own[name]

    def together(self, facts: _Facts, parts: Sequence[Any]) -> Any:
        """An instance, made without `__init__`."""
        made: Any = object.__new__(self.kind)
        for name, value in zip(facts.names, parts, strict=True):
            object.__setattr__(made, name, value)
        for name, value in facts.static:
            object.__setattr__(made, name, value)
        return made


_UNSET = object()


def _slots(kind: type) -> Iterator[str]:
    """The names of the slots of a class and its bases."""
    for base in kind.__mro__:
        for name, value in vars(base).items():
            if isinstance(value, types.MemberDescriptorType):
                yield name


def _is_setting(name: str, value: Any) -> bool:
    """Whether an attribute that is no field is a setting, and not data."""
    kinds = (str, bytes, int, enum.Enum, type, types.FunctionType, types.NoneType)
    return name.startswith("__") or isinstance(value, kinds)
