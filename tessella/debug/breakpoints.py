"""`debug.breakpoint`: a debugger where the program is, with the values of this call."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from tessella import trees
from tessella.debug.printing import with_values
from tessella.primitives.graph import Where
from tessella.tensors.tensor import Tensor, is_traced
from tessella.tracing.lines import user_frame, where_of
from tessella.tracing.trace import is_own_value

_HOOK = "__breakpoint__"
_OWN_FRAMES = ["tessella", "tessella.*"]  # the debugger does not stop in these modules


def breakpoint(**values: Any) -> None:
    """Open the debugger each time this line is reached, in compiled functions too.

    In a function under `jit` the debugger opens when the program comes by: it shows this line, and
    its variables are the `values`, with concrete tensors. Without arguments they are all variables of
    the function that calls this. Outside of compiled functions it stops in the very frame.

    `sys.breakpointhook` and `PYTHONBREAKPOINT` are respected.

    >>> import sys, tessella as ts
    >>> def show_variables():
    ...     print(sys._getframe(1).f_locals["y"])
    >>> sys.breakpointhook, before = show_variables, sys.breakpointhook
    >>> @ts.jit
    ... def f(x):
    ...     y = x + 1.0
    ...     ts.debug.breakpoint(y=y)
    ...     return y * 2
    >>> _ = f(ts.ones(2))
    tensor([2., 2.])
    >>> sys.breakpointhook = before
    """
    frame = user_frame()
    if frame is None:
        raise RuntimeError("debug.breakpoint: there is no Python frame to stop in")
    if not is_traced():
        _stop_in(frame, values)
        return
    where, namespace = where_of(frame), frame.f_globals
    wanted = values or {
        name: value for name, value in frame.f_locals.items() if _can_be_shown(name, value)
    }

    def stop(variables: dict[str, Any]) -> None:
        _stop_at(where, namespace, variables)

    with_values(stop, wanted, "debug.breakpoint")


def _can_be_shown(name: str, value: Any) -> bool:
    """Whether a variable can be taken along: no tensor in it has a history from outside."""
    if name.startswith("__"):
        return False
    tensors = [leaf for leaf in trees.flatten(value)[0] if isinstance(leaf, Tensor)]
    return all(tensor.is_leaf or is_own_value(tensor) for tensor in tensors)


def _debugger() -> Callable[..., Any]:
    """What opens the debugger in its caller's frame: the user's hook, or pdb."""
    import pdb  # most programs never need it

    hook: Any = sys.breakpointhook
    if hook is sys.__breakpointhook__ and not os.environ.get("PYTHONBREAKPOINT"):
        return pdb.Pdb(skip=_OWN_FRAMES).set_trace
    return hook


def _stop_in(frame: FrameType, values: dict[str, Any]) -> None:
    """Stop in a frame that is there, if the debugger can be told and sees the values there."""
    hook = _debugger()
    known = frame.f_locals
    takes_frames = hook is not sys.breakpointhook  # then it is ours
    if takes_frames and all(known.get(name) is value for name, value in values.items()):
        hook(frame)
        return
    _stop_at(where_of(frame), frame.f_globals, {**known, **values}, hook)


def _stop_at(
    where: Where, namespace: dict[str, Any], variables: dict[str, Any], hook: Any = None
) -> None:
    """Stop in a frame made for the purpose: its line is the user's, its variables are given.

    The function whose line it is has long returned, or never ran in this call.
    """
    import ast

    hook = hook or _debugger()
    # Python before 3.13 stops at the line after the one that opens the debugger
    first = where.line if sys.version_info >= (3, 13) else max(1, where.line - 1)
    tree = ast.parse(f"{_HOOK}()\npass")
    for statement, line in zip(tree.body, (first, where.line), strict=True):
        for node in ast.walk(statement):
            if hasattr(node, "lineno"):
                node.lineno = node.end_lineno = line  # type: ignore[attr-defined]
    code = compile(tree, where.file, "exec").replace(co_name=where.function)
    exec(code, namespace, {**variables, _HOOK: hook})
