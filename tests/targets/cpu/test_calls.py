"""Kernels as functions of Python."""

import ctypes
import struct
import sys

import numpy as np
import pytest

from tessella.targets.cpu import calls, engine

TEXT = """
define void @test_calls_add(ptr %arguments, i64 %begin, i64 %end) {
  %x.place = load ptr, ptr %arguments
  %sum.place = getelementptr i64, ptr %arguments, i64 1
  %sum = load ptr, ptr %sum.place
  %number.place = getelementptr i64, ptr %arguments, i64 2
  %number = load i64, ptr %number.place
  %x = load i64, ptr %x.place
  %more = add i64 %x, %number
  %all = add i64 %more, %end
  store i64 %all, ptr %sum
  ret void
}
"""


def bound(number=5, total=100):
    module = engine.LLVMModule(TEXT, ("test_calls_add",))
    address = engine.compile(module)["test_calls_add"]
    return calls.kernel(address, 2, struct.pack("<q", number), total)


def test_a_kernel_is_called_with_addresses_numbers_and_its_items():
    x, total = np.array([7]), np.array([0])
    add = bound()
    assert add(x.ctypes.data, total.ctypes.data) is None
    assert total[0] == 7 + 5 + 100


def test_two_functions_of_one_kernel_have_numbers_of_their_own():
    x, total = np.array([7]), np.array([0])
    first, second = bound(1), bound(2)
    first(x.ctypes.data, total.ctypes.data)
    assert total[0] == 108
    second(x.ctypes.data, total.ctypes.data)
    assert total[0] == 109


@pytest.mark.parametrize("given", [(), (1,), (1, 2, 3)])
def test_another_number_of_addresses_is_refused(given):
    with pytest.raises(TypeError):
        bound()(*given)


@pytest.mark.parametrize("given", ["text", 1.5, None])
def test_what_is_no_address_is_refused(given):
    with pytest.raises(TypeError):
        bound()(given, 1)


def test_an_address_of_more_than_64_bits_is_refused():
    with pytest.raises(OverflowError):
        bound()(1 << 64, 1)


def test_calls_leave_no_reference_behind():
    x, total = np.array([7]), np.array([0])
    add = bound()
    places = x.ctypes.data, total.ctypes.data
    before = sys.getrefcount(None), sys.getrefcount(places[0])
    for _ in range(1000):
        add(*places)
    after = sys.getrefcount(None), sys.getrefcount(places[0])
    assert abs(after[0] - before[0]) < 100 and after[1] == before[1]


QUESTION = """
define i64 @test_calls_sum(ptr %arguments) {
  %first = load i64, ptr %arguments
  %second.place = getelementptr i64, ptr %arguments, i64 1
  %second = load i64, ptr %second.place
  %sum = add i64 %first, %second
  ret i64 %sum
}

define i64 @test_calls_raise(ptr %arguments) {
  %raise = load ptr, ptr %arguments
  call i32 %raise()
  ret i64 3
}
"""


def question(name, places, *others):
    module = engine.LLVMModule(QUESTION, ("test_calls_sum", "test_calls_raise"))
    return calls.question(engine.compile(module)[name], places, *others)


def test_a_question_is_answered_by_a_number():
    assert question("test_calls_sum", 1, 5)(-9) == -4
    assert question("test_calls_sum", 0, 5, 6)() == 11
    assert question("test_calls_sum", 2)(1 << 62, 1) == (1 << 62) + 1
    assert question("test_calls_sum", 1, 0)(-1) == -1


def test_what_native_code_raises_is_raised():
    refuse = ctypes.cast(ctypes.pythonapi.PyErr_BadArgument, ctypes.c_void_p).value
    with pytest.raises(TypeError):
        question("test_calls_raise", 1)(refuse)
