"""What may come of a call: an answer, the project's own error, or a finding."""

import math
import traceback
from dataclasses import dataclass
from typing import Any

import numpy as np

import tessella as ts
from tests.fuzz.calls import Call
from tests.fuzz.targets import OF_ANYTHING, evaluate

ANSWERED = "answered"
REFUSED = "refused"  # an error of the project
OWN = "own"  # what the user's own function raised, or an operator between two of its values
ARITY = "arity"  # Python itself refused the number or the names of the arguments
FOREIGN = "foreign"
NOT_IMPLEMENTED = "NotImplemented"
DIFFERS = "differs"
CRASH, HANG = "crash", "hang"
FINDINGS = (CRASH, HANG, FOREIGN, NOT_IMPLEMENTED, DIFFERS)

_CODE = "<call>"


@dataclass(frozen=True)
class Verdict:
    """What came of a call, and in which words."""

    kind: str
    detail: str = ""


def judge(call: Call) -> Verdict:
    """Make a call and say what came of it."""
    code = compile(call.text, _CODE, "eval")
    try:
        result = eval(code, {"np": np, "ts": ts})
        _drain(result)
    except ts.TessellaError:
        return Verdict(REFUSED)
    except OSError as error:  # of a file that cannot be written, say: the system's own words
        return Verdict(OWN, str(error))
    except Exception as error:  # this tool exists to see whatever comes
        return _of_error(error)
    if result is NotImplemented and "NotImplemented" not in call.text:
        return Verdict(NOT_IMPLEMENTED, "the value NotImplemented")
    return _compared(call, result)


def _drain(result: Any) -> None:
    """Generators raise when they are asked, so ask; a finite number of times."""
    if hasattr(result, "__next__"):
        for _, _ in zip(range(5), result, strict=False):
            pass
    if isinstance(result, ts.Tensor):
        repr(result)


def _of_error(error: Exception) -> Verdict:
    frames = traceback.extract_tb(error.__traceback__)
    while isinstance(error, AttributeError) and frames[-1].name == "__getattr__":
        frames.pop()  # it says what whoever asked for the attribute did
    ours = [frame for frame in frames if "/tessella/" in frame.filename]
    detail = f"{type(error).__name__}: {_text(error)}"
    innermost = frames[-1]
    if innermost.filename == _CODE:
        is_arity = isinstance(error, TypeError) and not ours and innermost.name == "<module>"
        return Verdict(ARITY if is_arity else OWN, detail)
    if not ours:
        return Verdict(OWN, detail)
    last = ours[-1]
    if last.filename.partition("/tessella/")[2].startswith(OF_ANYTHING):
        return Verdict(OWN, detail)
    if _is_a_users_call(innermost.filename) or "<lambda>()" in _text(error).partition(" ")[0]:
        return Verdict(OWN, detail)
    return Verdict(
        FOREIGN, f"{detail}  [{last.filename.partition('/tessella/')[2]}:{last.lineno} {last.name}]"
    )


def _text(error: Exception) -> str:
    try:
        return str(error)[:160]
    except ts.TessellaError as unshown:  # a KeyError of a traced tensor, say
        return f"(an error without words: {type(unshown).__name__})"


def _is_a_users_call(filename: str) -> bool:
    """Whether the innermost frame is of the library of an argument, such as `Fraction`."""
    return filename.endswith(("fractions.py", "_pydecimal.py"))


# --- against NumPy --------------------------------------------------------------------------------------

# NumPy's functions of these names mean something else, or have other parameters in these places.
OTHER_MEANING = {"asarray", "empty", "empty_like", "from_dlpack", "pad", "split", "take", "repeat", "tile", "unstack", "where", "arange", "linspace", "eye", "full", "astype", "unique_all", "unique_counts", "unique_inverse", "unique_values", "isdtype", "finfo", "iinfo", "can_cast", "result_type", "nonzero", "searchsorted", "round", "clip", "std", "var", "sort", "argsort", "diff", "einsum", "tensordot", "squeeze", "roll"}  # fmt: skip
_PLAIN_KEYWORDS = {"axis", "keepdims"}
_WIDE = {"float16": 2e-2, "bfloat16": 5e-2, "float32": 1e-4, "complex64": 1e-4}


def _compared(call: Call, result: Any) -> Verdict:
    """What is accepted must be what NumPy gives, where it has the function and the arguments are plain."""
    name = call.target.expression.removeprefix("ts.")
    function = getattr(np, name, None)
    if (
        call.target.room != "ts"
        or call.is_traced
        or name in OTHER_MEANING
        or not callable(function)
    ):
        return Verdict(ANSWERED)
    if not isinstance(result, ts.Tensor) or not call.keywords.keys() <= _PLAIN_KEYWORDS:
        return Verdict(ANSWERED)
    given = [evaluate(text) for text in call.positional]
    if not all(_is_plain(value) for value in given):
        return Verdict(ANSWERED)
    with np.errstate(all="ignore"):
        try:
            keywords = {name: evaluate(text) for name, text in call.keywords.items()}
            expected = np.asarray(function(*[_as_numpy(value) for value in given], **keywords))
        except Exception:  # NumPy refuses what the Array API allows
            return Verdict(ANSWERED)
    return _close(result, expected)


def _is_plain(value: Any) -> bool:
    if isinstance(value, ts.Tensor):
        return value.dtype.name != "bfloat16"
    return isinstance(value, np.ndarray) and value.dtype.kind in "biufc"


def _as_numpy(value: Any) -> np.ndarray:
    return value.detach().numpy() if isinstance(value, ts.Tensor) else value


def _close(result: Any, expected: np.ndarray) -> Verdict:
    found = result.detach().numpy()
    if found.shape != expected.shape:
        return Verdict(DIFFERS, f"shape {found.shape}, NumPy's {expected.shape}")
    tolerance = _WIDE.get(str(found.dtype), 1e-6)
    kind = np.complex128 if "c" in (found.dtype.kind, expected.dtype.kind) else np.float64
    mine, theirs = found.astype(kind), expected.astype(kind)
    if str(found.dtype) != str(expected.dtype):
        return Verdict(ANSWERED)  # another dtype overflows elsewhere; the laws compare those
    if not np.allclose(mine, theirs, rtol=tolerance, atol=tolerance, equal_nan=True):
        return Verdict(DIFFERS, f"{_first(mine)}, NumPy's {_first(theirs)}")
    return Verdict(ANSWERED)


def _first(values: np.ndarray) -> str:
    return str(values.ravel()[: math.prod((4,))])
