"""`Jitted.explain`, which is bound here: what times a program stands above what makes it."""

from __future__ import annotations

from typing import Any

from tessella.transforms.jit import Jitted, subject_of


def _explain(self: Jitted[..., Any], *args: Any, html: Any = None, **kwargs: Any) -> Any:
    """What the program does and where its time goes: print the result, or write a page.

    For some arguments, or for those of the last call (filled with zeros). Every kernel is timed
    by itself; no tensor is changed.

    Args:
        html: a path; the explanation is written there as a page, too.
    """
    from tessella.debug.explain import explain

    explained = explain(subject_of(self, args, kwargs))
    if html is not None:
        explained.to_html(html)
    return explained


_explain.__name__, _explain.__qualname__ = "explain", "Jitted.explain"
Jitted.explain = _explain  # type: ignore[method-assign]
