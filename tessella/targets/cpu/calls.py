"""Kernels as functions of Python that are called with addresses, without `ctypes` in between.

A small operation spends more time in the conversions of `ctypes` than in its kernel. A function that Python takes for
one written in C is given its arguments as an array of objects (Python/C API, METH_FASTCALL); ours is in LLVM IR and serves
every kernel: which one, and what else it is called with, is in the bytes that it is bound to.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from typing import Any

from tessella.targets.cpu import engine, processors

_FASTCALL = 0x0080  # METH_FASTCALL
_ITEMS = bytes.__basicsize__ - 1  # where the bytes of an object of that class begin
_PYTHONS = ("PyLong_AsLongLong", "PyErr_Occurred", "PyErr_BadArgument", "Py_IncRef")

# What it is bound to, in words: the kernel, how many addresses it is called with, its items, how many numbers follow,
# the functions of Python's above, None, and the numbers.
_NUMBERS = 5 + len(_PYTHONS)

_CALL = """
define ptr @call_kernel(ptr %bound, ptr %objects, i64 %count) {
entry:
  %table = getelementptr i8, ptr %bound, i64 {ITEMS}
  %kernel = load ptr, ptr %table
  %places.place = getelementptr i64, ptr %table, i64 1
  %places = load i64, ptr %places.place
  %total.place = getelementptr i64, ptr %table, i64 2
  %total = load i64, ptr %total.place
  %numbers.place = getelementptr i64, ptr %table, i64 3
  %numbers = load i64, ptr %numbers.place
  %integer.place = getelementptr i64, ptr %table, i64 4
  %integer = load ptr, ptr %integer.place
  %fits = icmp eq i64 %count, %places
  br i1 %fits, label %begin, label %refuse
refuse:
  %refusal.place = getelementptr i64, ptr %table, i64 6
  %refusal = load ptr, ptr %refusal.place
  call i32 %refusal()
  ret ptr null
begin:
  %words = add i64 %places, %numbers
  %arguments = alloca i64, i64 %words
  br label %head
head:
  %i = phi i64 [ 0, %begin ], [ %next, %converted ]
  %more = icmp ult i64 %i, %places
  br i1 %more, label %convert, label %copy
convert:
  %object.place = getelementptr ptr, ptr %objects, i64 %i
  %object = load ptr, ptr %object.place
  %word = call i64 %integer(ptr %object)
  %odd = icmp eq i64 %word, -1
  br i1 %odd, label %look, label %converted
look:
  %occurred.place = getelementptr i64, ptr %table, i64 5
  %occurred = load ptr, ptr %occurred.place
  %error = call ptr %occurred()
  %failed = icmp ne ptr %error, null
  br i1 %failed, label %give_up, label %converted
give_up:
  ret ptr null
converted:
  %argument = getelementptr i64, ptr %arguments, i64 %i
  store i64 %word, ptr %argument
  %next = add i64 %i, 1
  br label %head
copy:
  %j = phi i64 [ 0, %head ], [ %j.next, %copy.one ]
  %left = icmp ult i64 %j, %numbers
  br i1 %left, label %copy.one, label %run
copy.one:
  %from = add i64 %j, {NUMBERS}
  %from.place = getelementptr i64, ptr %table, i64 %from
  %number = load i64, ptr %from.place
  %to = add i64 %j, %places
  %to.place = getelementptr i64, ptr %arguments, i64 %to
  store i64 %number, ptr %to.place
  %j.next = add i64 %j, 1
  br label %copy
run:
  call void %kernel(ptr %arguments, i64 0, i64 %total)
  %increase.place = getelementptr i64, ptr %table, i64 7
  %increase = load ptr, ptr %increase.place
  %none.place = getelementptr i64, ptr %table, i64 8
  %none = load ptr, ptr %none.place
  call void %increase(ptr %none)
  ret ptr %none
}
"""


class _Definition(ctypes.Structure):
    """`PyMethodDef`."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("text", ctypes.c_char_p),
    )  # fmt: skip


_new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(
    ("PyCFunction_NewEx", ctypes.pythonapi)
)


def bound(address: int, places: int, numbers: bytes, total: int) -> Any:
    """A kernel as a function of the addresses of its operands; it keeps the interpreter lock.

    Letting that go and taking it back costs more than a small kernel. Long work goes through `threads.parallel`.

    Args:
        places: how many operands there are.
        numbers: what its arguments end with, 8 bytes each.
    """
    if not processors.is_executable(processors.target()):
        return lambda *_: processors.require_executable()
    head = struct.pack("<4q", address, places, total, len(numbers) // 8)
    return _new(ctypes.addressof(_definition()), head + _pythons() + numbers, None)


@functools.cache
def _definition() -> _Definition:
    """Of the one function; Python reads it as long as the process lives."""
    return _Definition(b"kernel", engine.compile(module())["call_kernel"], _FASTCALL, None)


@functools.cache
def _pythons() -> bytes:
    functions = [
        ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value for name in _PYTHONS
    ]
    return struct.pack(f"<{len(_PYTHONS) + 1}q", *functions, id(None))


@functools.cache
def module() -> engine.Module:
    """The function as LLVM IR, so that it can be compiled beside the first kernel."""
    text = _CALL.replace("{ITEMS}", str(_ITEMS)).replace("{NUMBERS}", str(_NUMBERS))
    return engine.Module(text, ("call_kernel",))
