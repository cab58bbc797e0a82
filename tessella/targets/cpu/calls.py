"""Native code as functions of Python, called with addresses without `ctypes` in between.

A small operation spends more time in the conversions of `ctypes` than in its kernel. A function that Python takes for
one written in C is given its arguments as an array of objects (Python/C API, METH_FASTCALL). There are two of ours, in
LLVM IR: one for kernels and one for what gives a number. Which native code it calls, and with what besides, is in the
bytes that a function is bound to.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Callable
from typing import Any

from tessella.targets.cpu import engine, processors
from tessella.targets.cpu.by_hand import spelled_out

_FASTCALL = 0x0080  # METH_FASTCALL
_ITEMS = bytes.__basicsize__ - 1  # where the bytes of an object of that class begin
# What a function is bound to, in words: the native code, how many addresses it is called with, the items of a kernel, how
# many numbers follow, these functions of Python's, None, and the numbers.
_PYTHONS = (
    "PyLong_AsLongLong", "PyErr_Occurred", "PyErr_BadArgument", "Py_IncRef", "PyLong_FromLongLong",
)  # fmt: skip
_NUMBERS = 5 + len(_PYTHONS)

_CALL = """
define ptr @{NAME}(ptr %bound, ptr %objects, i64 %count) {
entry:
  %table = getelementptr i8, ptr %bound, i64 {ITEMS}
  %code = load ptr, ptr %table
  %places = word 1 of %table as i64
  %total = word 2 of %table as i64
  %numbers = word 3 of %table as i64
  %to_integer = word 4 of %table as ptr
  %occurred = word 5 of %table as ptr
  %fits = icmp eq i64 %count, %places
  br i1 %fits, label %begin, label %refuse
refuse:
  %refusal = word 6 of %table as ptr
  call i32 %refusal()
  br label %failed
failed:
  ret ptr null
begin:
  %words = add i64 %places, %numbers
  %arguments = alloca i64, i64 %words
  br label %convert
convert:
  %i = phi i64 [ 0, %begin ], [ %i.next, %converted ]
  %more = icmp ult i64 %i, %places
  br i1 %more, label %convert.one, label %copy
convert.one:
  %object.place = getelementptr ptr, ptr %objects, i64 %i
  %object = load ptr, ptr %object.place
  %word = call i64 %to_integer(ptr %object)
  %argument = getelementptr i64, ptr %arguments, i64 %i
  store i64 %word, ptr %argument
  %i.next = add i64 %i, 1
  %odd = icmp eq i64 %word, -1
  br i1 %odd, label %look, label %converted
look:
  %error = call ptr %occurred()
  %is.error = icmp ne ptr %error, null
  br i1 %is.error, label %failed, label %converted
converted:
  br label %convert
copy:
  %j = phi i64 [ 0, %convert ], [ %j.next, %copy.one ]
  %left = icmp ult i64 %j, %numbers
  br i1 %left, label %copy.one, label %run
copy.one:
  %from = add i64 %j, {NUMBERS}
  %number = word %from of %table as i64
  %to = add i64 %j, %places
  %to.place = getelementptr i64, ptr %arguments, i64 %to
  store i64 %number, ptr %to.place
  %j.next = add i64 %j, 1
  br label %copy
run:
{RUN}
}
"""
_KERNEL = """
  call void %code(ptr %arguments, i64 0, i64 %total)
  %increase = word 7 of %table as ptr
  %none = word 9 of %table as ptr
  call void %increase(ptr %none)
  ret ptr %none
"""
_QUESTION = """
  %answer = call i64 %code(ptr %arguments)
  %raised = call ptr %occurred()
  %has.raised = icmp ne ptr %raised, null
  br i1 %has.raised, label %failed, label %give
give:
  %from_integer = word 8 of %table as ptr
  %result = call ptr %from_integer(i64 %answer)
  ret ptr %result
"""
_FUNCTIONS = {"call_kernel": _KERNEL, "call_question": _QUESTION}


class _Definition(ctypes.Structure):
    """`PyMethodDef`."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("text", ctypes.c_char_p),
    )  # fmt: skip


_new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(
    ("PyCFunction_NewEx", ctypes.pythonapi)
)


def kernel(address: int, places: int, numbers: bytes, total: int) -> Any:
    """A kernel as a function of the addresses of its operands; it keeps the interpreter lock.

    Letting that go and taking it back costs more than a small kernel. Long work goes through `threads.parallel`.

    Args:
        places: how many operands there are.
        numbers: what its arguments end with, 8 bytes each.
        total: its items, all of which are done.
    """
    return _bound("call_kernel", address, places, numbers, total)


def question(address: int, places: int, *others: int) -> Callable[..., int]:
    """Native code that gives a number, `i64 (ptr arguments)`, as a function of some words.

    It may run functions of Python's: an exception that is set then is raised.

    Args:
        places: how many words the function is called with.
        others: what its arguments end with.
    """
    function: Callable[..., int] = _bound(
        "call_question", address, places, struct.pack(f"<{len(others)}q", *others), 0
    )
    return function


def _bound(name: str, address: int, places: int, numbers: bytes, total: int) -> Any:
    if not processors.is_executable(processors.target()):
        return lambda *_: processors.require_executable()
    head = struct.pack("<4q", address, places, total, len(numbers) // 8)
    return _new(ctypes.addressof(_definition(name)), head + _pythons() + numbers, None)


@functools.cache
def _definition(name: str) -> _Definition:
    """Of one of the two; Python reads it as long as the process lives."""
    return _Definition(name.encode(), engine.compile(_module())[name], _FASTCALL, None)


@functools.cache
def _pythons() -> bytes:
    functions = [
        ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value for name in _PYTHONS
    ]
    return struct.pack(f"<{len(_PYTHONS) + 1}q", *functions, id(None))


@functools.cache
def _module() -> engine.LLVMModule:
    parts = [
        spelled_out(_CALL, NAME=name, RUN=run, ITEMS=_ITEMS, NUMBERS=_NUMBERS)
        for name, run in _FUNCTIONS.items()
    ]
    return engine.LLVMModule("".join(parts), tuple(_FUNCTIONS))
