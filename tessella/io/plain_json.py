"""JSON in files that anybody may have made: what is no proper one is said of the file."""

from __future__ import annotations

import json
from typing import Any

from tessella.io.sources import Source, quoted


def parsed(text: str | bytes, told: str, source: Source) -> Any:
    """What a text in JSON says.

    Args:
        told: what it is, for the error.

    Raises:
        FileFormatError: it is no JSON, a name is in an object twice, or it is nested deeper than Python goes.
    """
    try:
        plain = text if isinstance(text, str) else text.decode()
        return json.loads(plain, object_pairs_hook=_unique, parse_constant=_no_number)
    except RecursionError:
        raise source.damaged(f"{told} is nested too deep") from None
    except ValueError as error:  # of UTF-8, and of numbers that are too long, too
        raise source.damaged(f"{told} is no JSON: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the name {quoted(twice)} is there twice")
    for name in found:
        name.encode()  # half of a character has no place in UTF-8: a ValueError
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")
