"""What damages files: blindly, byte by byte, or with an eye for what a format looks at."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

Chance = random.Random
Mutator = Callable[[bytes, Chance], bytes]

NUMBERS = (0, 1, 2, 7, 8, 63, 64, 127, 128, 255, 256, 65535, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)  # fmt: skip
WORDS = (b"__metadata__", b"../../x", b"F32", b"BOOL", b"\xff\xfe", b"\x00", b"NaN", b"1e999", b"}", b"]", b"\"", b"\\ud800", b"__reduce__", b"os.system")  # fmt: skip


def flip_bits(content: bytes, chance: Chance) -> bytes:
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 8))):
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def set_bytes(content: bytes, chance: Chance) -> bytes:
    start, end = _range(content, chance)
    return content[:start] + chance.randbytes(end - start) + content[end:]


def set_number(content: bytes, chance: Chance) -> bytes:
    """A number of 1 to 8 bytes, as binary formats have for lengths and places."""
    width = chance.choice((1, 2, 4, 8))
    number = chance.choice(NUMBERS) % (1 << 8 * width)
    start = _place(content, chance)
    order = chance.choice(("little", "big"))
    return content[:start] + number.to_bytes(width, order) + content[start + width :]  # type: ignore[arg-type]


def set_digits(content: bytes, chance: Chance) -> bytes:
    """A number that is written out."""
    places = [place for place, byte in enumerate(content[:100_000]) if 48 <= byte <= 57]
    if not places:
        return flip_bits(content, chance)
    start = chance.choice(places)
    number = str(chance.choice((*NUMBERS, -1, 10**30, 1.5))).encode()
    return content[:start] + number + content[start + chance.choice((1, len(number))) :]


def set_word(content: bytes, chance: Chance) -> bytes:
    start = _place(content, chance)
    word = chance.choice(WORDS)
    return content[:start] + word + content[start + chance.choice((0, len(word))) :]


def cut_off(content: bytes, chance: Chance) -> bytes:
    return content[: _place(content, chance)]


def cut_out(content: bytes, chance: Chance) -> bytes:
    start, end = _range(content, chance)
    return content[:start] + content[end:]


def repeat(content: bytes, chance: Chance) -> bytes:
    start, end = _range(content, chance)
    return content[:end] + content[start:end] * chance.choice((1, 3)) + content[end:]


def swap(content: bytes, chance: Chance) -> bytes:
    start, end = _range(content, chance)
    place = _place(content, chance)
    rest = content[:start] + content[end:]
    return rest[:place] + content[start:end] + rest[place:]


def append(content: bytes, chance: Chance) -> bytes:
    return content + chance.randbytes(chance.choice((1, 7, 64, 5000)))


def empty_out(content: bytes, chance: Chance) -> bytes:
    start, end = _range(content, chance)
    return content[:start] + bytes(end - start) + content[end:]


BLIND: tuple[Mutator, ...] = (
    flip_bits, flip_bits, set_bytes, set_number, set_number, set_digits, set_word, cut_off, cut_out, repeat, swap,
    append, empty_out,
)  # fmt: skip


def _place(content: bytes, chance: Chance) -> int:
    """Most of what a format looks at stands at its beginning, or at its end."""
    size = len(content)
    near = min(size, chance.choice((8, 64, 512, size)))
    place = chance.randint(0, near)
    return size - place if chance.random() < 0.2 else place


def _range(content: bytes, chance: Chance) -> tuple[int, int]:
    start = _place(content, chance)
    return start, min(len(content), start + chance.choice((1, 2, 8, 40, 400)))


def blind(content: bytes, chance: Chance) -> bytes:
    """One to three of them."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        content = chance.choice(BLIND)(content, chance)
    return content


# --- what is written in JSON ---------------------------------------------------------------------------

STRANGE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 1 << 31, 1 << 40, 1 << 62, 1 << 63, 1 << 64, 10**40, 1.0, 1.5, -0.0, float("nan"),
    float("inf"), "", "a", "F32", "BOOL", "F4", "C64", "U8", "int4", "complex128", "7ff8000000000000", "-0x10",
    "\ud800", "__metadata__", [], {}, [0], [0, 0], [1] * 70, [1 << 40, 1 << 40], [0, 1 << 62], {"": 0}, {"again": 0},
    {"again": 1 << 40}, {"tensor": {"name": "a"}}, {"int": "1" * 5000}, {"dict": [[1, 2], [1, 3]]}, [[], [[]]],
)  # fmt: skip


def json_mutant(value: Any, chance: Chance) -> Any:
    """Another value that JSON can have, with something in it changed, gone, moved or doubled."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places:
        return chance.choice(STRANGE)
    for _ in range(chance.choice((1, 1, 2))):
        holder, key = chance.choice(places)
        if (isinstance(holder, list) and not key < len(holder)) or (
            isinstance(holder, dict) and key not in holder
        ):
            continue
        chance.choice((_set, _set, _set, _nudge, _nudge, _remove, _move, _rename, _nest))(
            holder, key, places, chance
        )
    return value


def _places(value: Any) -> Any:
    if isinstance(value, dict):
        for key, item in value.items():
            yield value, key
            yield from _places(item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield value, number
            yield from _places(item)


def _set(holder: Any, key: Any, places: Any, chance: Chance) -> None:
    holder[key] = copy.deepcopy(chance.choice(STRANGE))


def _nudge(holder: Any, key: Any, places: Any, chance: Chance) -> None:
    if isinstance(holder[key], int):
        holder[key] += chance.choice((-8, -4, -1, 1, 4, 8, 64))
    elif isinstance(holder[key], list):
        holder[key] = holder[key][1:] if chance.random() < 0.5 else [*holder[key], 1]
    else:
        _set(holder, key, places, chance)


def _remove(holder: Any, key: Any, places: Any, chance: Chance) -> None:
    del holder[key]


def _move(holder: Any, key: Any, places: Any, chance: Chance) -> None:
    other, name = chance.choice(places)
    if (isinstance(other, list) and name < len(other)) or (
        isinstance(other, dict) and name in other
    ):
        holder[key] = copy.deepcopy(other[name])


def _rename(holder: Any, key: Any, places: Any, chance: Chance) -> None:
    if isinstance(holder, dict):
        holder[chance.choice(("", "a", "dtype", "tuple", "__metadata__", "x" * 300))] = holder.pop(
            key
        )


def _nest(holder: Any, key: Any, places: Any, chance: Chance) -> None:
    for _ in range(chance.choice((1, 40, 150, 400))):
        holder[key] = [holder[key]]


def json_text(value: Any, chance: Chance) -> str:
    """As text; now and then with an object that has a name twice."""
    text = json.dumps(value)
    if chance.random() < 0.05:
        place = text.find(":")
        text = text[: place + 1] + "0," + text[1:] if text.startswith("{") and place > 0 else text
    return text
