"""The LLVM instructions of the core scalar operators: one short function for each.

A rule is given the emitter, the node, the texts of its operands (all with `lanes` lanes) and the
number of lanes, and gives the text of the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from tessella import dtypes
from tessella.loops.llvm_types import is_bits, literal, mangled, register_type
from tessella.scalar.expression import Expression

if TYPE_CHECKING:
    from tessella.loops.llvm import Emitter

Instruction: TypeAlias = "Callable[[Emitter, Expression, list[str], int], str]"


def _operand_dtype(node: Expression) -> dtypes.DType:
    return node.arguments[-1].dtype


def _type(node: Expression, lanes: int) -> str:
    return register_type(_operand_dtype(node), lanes)


def _constant(value: bool | int | float, dtype: dtypes.DType, lanes: int) -> str:
    text = literal(value, dtype)
    return text if lanes == 1 else f"splat ({register_type(dtype)} {text})"


def _two(float_name: str, integer_name: str, bool_name: str = "") -> Instruction:
    """An instruction of two operands with a name for each kind of dtype."""

    def rule(emitter: Emitter, node: Expression, texts: list[str], lanes: int) -> str:
        dtype = _operand_dtype(node)
        name = float_name if dtype.is_float else integer_name
        if dtype.is_bool and bool_name:
            name = bool_name
        return emitter.assign(f"{name} {_type(node, lanes)} {texts[0]}, {texts[1]}")

    return rule


def _intrinsic(name: str) -> Instruction:
    def rule(emitter: Emitter, node: Expression, texts: list[str], lanes: int) -> str:
        return emitter.intrinsic(name, node.dtype, texts, lanes)

    return rule


def _compare(float_order: str, signed: str, unsigned: str) -> Instruction:
    def rule(emitter: Emitter, node: Expression, texts: list[str], lanes: int) -> str:
        dtype = _operand_dtype(node)
        if dtype.is_float:
            order = f"fcmp {float_order}"
        else:
            order = f"icmp {signed if dtype.kind == 'int' else unsigned}"
        return emitter.assign(f"{order} {_type(node, lanes)} {texts[0]}, {texts[1]}")

    return rule


def _negative(emitter: Emitter, node: Expression, texts: list[str], lanes: int) -> str:
    kind = _type(node, lanes)
    if node.dtype.is_float:
        return emitter.assign(f"fneg {kind} {texts[0]}")
    return emitter.assign(f"sub {kind} {_constant(0, node.dtype, lanes)}, {texts[0]}")


def _absolute(emitter: Emitter, node: Expression, texts: list[str], lanes: int) -> str:
    if node.dtype.is_float:
        return emitter.intrinsic("fabs", node.dtype, texts, lanes)
    negated = _negative(emitter, node, texts, lanes)
    kind = _type(node, lanes)
    below = emitter.assign(f"icmp slt {kind} {texts[0]}, {_constant(0, node.dtype, lanes)}")
    return _choose(emitter, node.dtype, below, negated, texts[0], lanes)


def _choose(emitter: Emitter, dtype: dtypes.DType, test: str, yes: str, no: str, lanes: int) -> str:
    kind = register_type(dtype, lanes)
    flags = register_type(dtypes.bool_, lanes)
    return emitter.assign(f"select {flags} {test}, {kind} {yes}, {kind} {no}")


def _extreme(float_order: str, signed: str, unsigned: str) -> Instruction:
    """maximum and minimum; NaN wins on either side, as in NumPy."""

    def rule(emitter: Emitter, node: Expression, texts: list[str], lanes: int) -> str:
        kind = _type(node, lanes)
        x, y = texts
        if not node.dtype.is_float:
            order = signed if node.dtype.kind == "int" else unsigned
            test = emitter.assign(f"icmp {order} {kind} {x}, {y}")
            return _choose(emitter, node.dtype, test, x, y, lanes)
        # y wins unless x is beyond it, so a NaN in y gets through; for one in x, NaN is put (not x:
        # the two choices would be merged into one with two tests, and cost more)
        test = emitter.assign(f"fcmp {float_order} {kind} {x}, {y}")
        best = _choose(emitter, node.dtype, test, x, y, lanes)
        nan = emitter.assign(f"fcmp uno {kind} {x}, {x}")
        return _choose(
            emitter, node.dtype, nan, _constant(math.nan, node.dtype, lanes), best, lanes
        )

    return rule


def _select(emitter: Emitter, node: Expression, texts: list[str], lanes: int) -> str:
    condition, yes, no = texts
    return _choose(emitter, node.dtype, condition, yes, no, lanes)


def _invert(emitter: Emitter, node: Expression, texts: list[str], lanes: int) -> str:
    ones = True if node.dtype.is_bool else -1
    return emitter.assign(
        f"xor {_type(node, lanes)} {texts[0]}, {_constant(ones, node.dtype, lanes)}"
    )


def _shift(left: bool) -> Instruction:
    """Shifts by the width or more give 0 (or the sign), where LLVM would give anything."""

    def rule(emitter: Emitter, node: Expression, texts: list[str], lanes: int) -> str:
        dtype, kind = node.dtype, _type(node, lanes)
        x, count = texts
        last = _constant(dtype.bits - 1, dtype, lanes)
        amount = node.arguments[1]
        name = "shl" if left else ("ashr" if dtype.kind == "int" else "lshr")
        if amount.is_constant and 0 <= amount.static < dtype.bits:
            return emitter.assign(f"{name} {kind} {x}, {count}")
        inside = emitter.assign(f"icmp ule {kind} {count}, {last}")
        safe = _choose(emitter, dtype, inside, count, last, lanes)
        shifted = emitter.assign(f"{name} {kind} {x}, {safe}")
        if name == "ashr":
            return shifted
        zero = _constant(0, dtype, lanes)
        return _choose(emitter, dtype, inside, shifted, zero, lanes)

    return rule


def _divide_integers(remainder: bool) -> Instruction:
    """Division that rounds down and gives 0 for a zero divisor (the machine would trap)."""

    def rule(emitter: Emitter, node: Expression, texts: list[str], lanes: int) -> str:
        dtype, kind = node.dtype, _type(node, lanes)
        x, y = texts
        zero, one = _constant(0, dtype, lanes), _constant(1, dtype, lanes)
        by_zero = emitter.assign(f"icmp eq {kind} {y}, {zero}")
        if dtype.kind == "uint":
            safe = _choose(emitter, dtype, by_zero, one, y, lanes)
            name = "urem" if remainder else "udiv"
            result = emitter.assign(f"{name} {kind} {x}, {safe}")
        else:
            result = _divide_signed(emitter, dtype, (x, y, by_zero), lanes, remainder)
        return _choose(emitter, dtype, by_zero, zero, result, lanes)

    return rule


def _divide_signed(
    emitter: Emitter, dtype: dtypes.DType, operands: tuple[str, str, str], lanes: int, rest: bool
) -> str:
    kind = register_type(dtype, lanes)
    x, y, by_zero = operands
    zero, one = _constant(0, dtype, lanes), _constant(1, dtype, lanes)
    minus_one = emitter.assign(f"icmp eq {kind} {y}, {_constant(-1, dtype, lanes)}")
    flags = register_type(dtypes.bool_, lanes)
    special = emitter.assign(f"or {flags} {by_zero}, {minus_one}")  # the lowest / -1 overflows
    safe = _choose(emitter, dtype, special, one, y, lanes)
    quotient = emitter.assign(f"sdiv {kind} {x}, {safe}")
    product = emitter.assign(f"mul {kind} {quotient}, {safe}")
    remainder = emitter.assign(f"sub {kind} {x}, {product}")
    inexact = emitter.assign(f"icmp ne {kind} {remainder}, {zero}")
    signs = emitter.assign(f"xor {kind} {remainder}, {safe}")
    differ = emitter.assign(f"icmp slt {kind} {signs}, {zero}")
    fix = emitter.assign(f"and {flags} {inexact}, {differ}")
    if rest:
        moved = emitter.assign(f"add {kind} {remainder}, {safe}")
        return _choose(emitter, dtype, fix, moved, remainder, lanes)
    lower = emitter.assign(f"sub {kind} {quotient}, {one}")
    floored = _choose(emitter, dtype, fix, lower, quotient, lanes)
    negated = emitter.assign(f"sub {kind} {zero}, {x}")
    return _choose(emitter, dtype, minus_one, negated, floored, lanes)


# --- conversions -----------------------------------------------------------------------------------


def _cast(emitter: Emitter, node: Expression, texts: list[str], lanes: int) -> str:
    source, target = node.arguments[0].dtype, node.dtype
    return convert_text(emitter, texts[0], source, target, lanes)


def convert_text(
    emitter: Emitter, text: str, source: dtypes.DType, target: dtypes.DType, lanes: int
) -> str:
    """Convert a value in registers from one dtype to another."""
    if source is target:
        return text
    assert not source.is_storage, "expressions write it out: scalar/storage.py"
    assert not target.is_storage, (source, target)
    if target.is_bool:
        return _to_bool(emitter, text, source, lanes)
    if is_bits(source):
        wide = _from_upper_bits(emitter, text, source, lanes)
        return convert_text(emitter, wide, dtypes.float32, target, lanes)
    if target.is_narrow and source is not dtypes.float32:
        return _to_half_once(emitter, text, source, target, lanes)
    if is_bits(target):
        return _to_upper_bits(emitter, text, target, lanes)
    if source.is_float and target.is_float:
        name = "fpext" if target.bits > source.bits else "fptrunc"
        return _simple(emitter, name, text, source, target, lanes)
    if source.is_float:
        return _float_to_integer(emitter, text, source, target, lanes)
    if target.is_float:
        name = "sitofp" if source.kind == "int" else "uitofp"
        return _simple(emitter, name, text, source, target, lanes)
    if target.bits == source.bits:
        return text
    if target.bits < source.bits:
        return _simple(emitter, "trunc", text, source, target, lanes)
    name = "sext" if source.kind == "int" else "zext"
    return _simple(emitter, name, text, source, target, lanes)


def _simple(
    emitter: Emitter, name: str, text: str, source: dtypes.DType, target: dtypes.DType, lanes: int
) -> str:
    from_type, to_type = register_type(source, lanes), register_type(target, lanes)
    return emitter.assign(f"{name} {from_type} {text} to {to_type}")


def _to_bool(emitter: Emitter, text: str, source: dtypes.DType, lanes: int) -> str:
    if is_bits(source):
        text, source = _from_upper_bits(emitter, text, source, lanes), dtypes.float32
    kind = register_type(source, lanes)
    order = "fcmp une" if source.is_float else "icmp ne"
    return emitter.assign(f"{order} {kind} {text}, {_constant(0, source, lanes)}")


def _float_to_integer(
    emitter: Emitter, text: str, source: dtypes.DType, target: dtypes.DType, lanes: int
) -> str:
    """Towards zero; beyond the range the nearest integer there is, and 0 for NaN."""
    if source.is_narrow:
        text = convert_text(emitter, text, source, source.compute, lanes)
        source = source.compute
    # through a wider signed integer, so that a negative number wraps as NumPy's does
    through = target
    if target.kind == "uint" or target.bits < 32:
        through = dtypes.int64 if target.bits >= 32 else dtypes.int32
    if target is dtypes.uint64:
        through = target
    if through.kind == "int" and lanes > 1:
        wide = _saturating(emitter, text, source, through, lanes)
        return convert_text(emitter, wide, through, target, lanes)
    sign = "si" if through.kind == "int" else "ui"
    name = f"llvm.fpto{sign}.sat.{mangled(through, lanes)}.{mangled(source, lanes)}"
    from_type, to_type = register_type(source, lanes), register_type(through, lanes)
    emitter.declare(f"{to_type} @{name}({from_type})")
    wide = emitter.assign(f"call {to_type} @{name}({from_type} {text})")
    return convert_text(emitter, wide, through, target, lanes)


def _saturating(
    emitter: Emitter, text: str, source: dtypes.DType, target: dtypes.DType, lanes: int
) -> str:
    """Floats to signed integers in vectors; LLVM's own saturating conversion goes lane by lane."""
    kind = register_type(source, lanes)
    reach = 2.0 ** (target.bits - 1)
    high, low = _constant(reach, source, lanes), _constant(-reach, source, lanes)
    too_high = emitter.assign(f"fcmp oge {kind} {text}, {high}")
    too_low = emitter.assign(f"fcmp olt {kind} {text}, {low}")
    outside = emitter.assign(f"or <{lanes} x i1> {too_high}, {too_low}")
    nan = emitter.assign(f"fcmp uno {kind} {text}, {text}")
    odd = emitter.assign(f"or <{lanes} x i1> {outside}, {nan}")
    safe = _choose(emitter, source, odd, _constant(0, source, lanes), text, lanes)
    whole = _simple(emitter, "fptosi", safe, source, target, lanes)
    most = _constant(int(reach) - 1, target, lanes)
    least = _constant(-int(reach), target, lanes)
    whole = _choose(emitter, target, too_high, most, whole, lanes)
    return _choose(emitter, target, too_low, least, whole, lanes)


def _from_upper_bits(emitter: Emitter, text: str, source: dtypes.DType, lanes: int) -> str:
    """The float32 of which a number, a bfloat16, has the upper bits."""
    word = register_type(dtypes.uint32, lanes)
    wide = emitter.assign(f"zext {register_type(source, lanes)} {text} to {word}")
    bits = emitter.assign(f"shl {word} {wide}, {_constant(16, dtypes.uint32, lanes)}")
    return emitter.assign(f"bitcast {word} {bits} to {register_type(dtypes.float32, lanes)}")


def _to_upper_bits(emitter: Emitter, text: str, target: dtypes.DType, lanes: int) -> str:
    """Round a float32 to nearest even on its upper half, a bfloat16; NaN stays NaN."""
    word, kind = register_type(dtypes.uint32, lanes), register_type(dtypes.float32, lanes)
    bits = emitter.assign(f"bitcast {kind} {text} to {word}")
    upper = emitter.assign(f"lshr {word} {bits}, {_constant(16, dtypes.uint32, lanes)}")
    odd = emitter.assign(f"and {word} {upper}, {_constant(1, dtypes.uint32, lanes)}")
    bias = emitter.assign(f"add {word} {odd}, {_constant(0x7FFF, dtypes.uint32, lanes)}")
    rounded = emitter.assign(f"add {word} {bits}, {bias}")
    quiet = emitter.assign(f"or {word} {bits}, {_constant(0x400000, dtypes.uint32, lanes)}")
    nan = emitter.assign(f"fcmp uno {kind} {text}, {text}")
    chosen = _choose(emitter, dtypes.uint32, nan, quiet, rounded, lanes)
    high = emitter.assign(f"lshr {word} {chosen}, {_constant(16, dtypes.uint32, lanes)}")
    return emitter.assign(f"trunc {word} {high} to {register_type(target, lanes)}")


def _to_half_once(
    emitter: Emitter, text: str, source: dtypes.DType, target: dtypes.DType, lanes: int
) -> str:
    """To half precision from float64 or integers, rounding once: to odd in float32 first.

    Source: Boldo & Melquiond, *Emulation of FMA and correctly rounded sums* (2008), theorem 1.
    """
    if source.is_narrow:
        wide = convert_text(emitter, text, source, source.compute, lanes)
        return convert_text(emitter, wide, source.compute, target, lanes)
    if source is not dtypes.float64:
        text = convert_text(emitter, text, source, dtypes.float64, lanes)
    near = _simple(emitter, "fptrunc", text, dtypes.float64, dtypes.float32, lanes)
    back = _simple(emitter, "fpext", near, dtypes.float32, dtypes.float64, lanes)
    doubles = register_type(dtypes.float64, lanes)
    word = register_type(dtypes.int32, lanes)
    kind = register_type(dtypes.float32, lanes)
    inexact = emitter.assign(f"fcmp one {doubles} {back}, {text}")
    # one ulp towards zero where rounding went away from zero, then force the last bit
    size, exact = (
        emitter.intrinsic("fabs", dtypes.float64, [value], lanes) for value in (back, text)
    )
    away = emitter.assign(f"fcmp ogt {doubles} {size}, {exact}")
    bits = emitter.assign(f"bitcast {kind} {near} to {word}")
    lower = emitter.assign(f"sub {word} {bits}, {_constant(1, dtypes.int32, lanes)}")
    truncated = _choose(emitter, dtypes.int32, away, lower, bits, lanes)
    odd = emitter.assign(f"or {word} {truncated}, {_constant(1, dtypes.int32, lanes)}")
    final = _choose(emitter, dtypes.int32, inexact, odd, bits, lanes)
    single = emitter.assign(f"bitcast {word} {final} to {kind}")
    return convert_text(emitter, single, dtypes.float32, target, lanes)


def _bitcast(emitter: Emitter, node: Expression, texts: list[str], lanes: int) -> str:
    source, target = _type(node, lanes), register_type(node.dtype, lanes)
    if source == target:
        return texts[0]
    return emitter.assign(f"bitcast {source} {texts[0]} to {target}")


def _multiply_high(emitter: Emitter, node: Expression, texts: list[str], lanes: int) -> str:
    word, double = register_type(node.dtype, lanes), register_type(dtypes.uint64, lanes)
    x, y = (emitter.assign(f"zext {word} {text} to {double}") for text in texts)
    product = emitter.assign(f"mul {double} {x}, {y}")
    high = emitter.assign(f"lshr {double} {product}, {_constant(32, dtypes.uint64, lanes)}")
    return emitter.assign(f"trunc {double} {high} to {word}")


def _c_library(emitter: Emitter, node: Expression, texts: list[str], lanes: int) -> str:
    """Call the C function in double precision on each lane."""
    emitter.declare(f"double @{node.static}(double)")
    kind, result = register_type(node.dtype, lanes), "poison"
    for lane in range(lanes):
        text = texts[0]
        if lanes > 1:
            text = emitter.assign(f"extractelement {kind} {text}, i64 {lane}")
        wide = convert_text(emitter, text, node.dtype, dtypes.float64, 1)
        value = emitter.assign(f"call double @{node.static}(double {wide})")
        text = convert_text(emitter, value, dtypes.float64, node.dtype, 1)
        if lanes == 1:
            return text
        scalar = register_type(node.dtype)
        result = emitter.assign(f"insertelement {kind} {result}, {scalar} {text}, i64 {lane}")
    return result


INSTRUCTIONS: dict[str, Instruction] = {
    "add": _two("fadd", "add", "or"),
    "subtract": _two("fsub", "sub"),
    "multiply": _two("fmul", "mul", "and"),
    "divide": _two("fdiv", "sdiv"),
    "library_fmod": _two("frem", ""),
    "negative": _negative,
    "absolute": _absolute,
    "fma": _intrinsic("fma"),
    "maximum": _extreme("ogt", "sge", "uge"),
    "minimum": _extreme("olt", "sle", "ule"),
    "sqrt": _intrinsic("sqrt"),
    "floor": _intrinsic("floor"),
    "ceil": _intrinsic("ceil"),
    "trunc": _intrinsic("trunc"),
    "round": _intrinsic("roundeven"),
    "copysign": _intrinsic("copysign"),
    "floor_divide_integers": _divide_integers(remainder=False),
    "remainder_integers": _divide_integers(remainder=True),
    "quotient": _two("", "udiv"),
    "modulo": _two("", "urem"),
    "less": _compare("olt", "slt", "ult"),
    "less_equal": _compare("ole", "sle", "ule"),
    "greater": _compare("ogt", "sgt", "ugt"),
    "greater_equal": _compare("oge", "sge", "uge"),
    "equal": _compare("oeq", "eq", "eq"),
    "not_equal": _compare("une", "ne", "ne"),
    "bitwise_and": _two("", "and"),
    "bitwise_or": _two("", "or"),
    "bitwise_xor": _two("", "xor"),
    "bitwise_invert": _invert,
    "left_shift": _shift(left=True),
    "right_shift": _shift(left=False),
    "multiply_high": _multiply_high,
    "select": _select,
    "cast": _cast,
    "bitcast": _bitcast,
    "c_library": _c_library,
}
