"""Calls made up from a seed: which callable, which arguments, and where."""

import inspect
import random
from dataclasses import dataclass

from tests.fuzz import values
from tests.fuzz.targets import Target

_ODD_NAMES = [
    "axs",
    "out",
    "dim",
    "keepdim",
    "input",
    "self",
    "x",
    "nonsense",
    "dtyp",
    "axis",
    "correction",
]
# In which surroundings a call may stand; the first is given no tensor of its own.
_AROUND = [
    "ts.make_graph(lambda t: {call})(ts.ones((2, 3)))",
    "ts.vmap(lambda t: {call})(ts.ones((2, 3)))",
    "ts.grad(lambda t: {call})(ts.ones((2, 3)))",
    "ts.jit(lambda t: {call})(ts.ones((2, 3)))",
]


@dataclass(frozen=True)
class Call:
    """One call, as text.

    Args:
        target: what is called.
        text: the expression, which is all that is evaluated.
        positional: the expressions of the arguments by position.
        keywords: those by name.
        is_traced: whether it stands in a function that is traced.
    """

    target: Target
    text: str
    positional: tuple[str, ...]
    keywords: dict[str, str]
    is_traced: bool


def make_call(targets: list[Target], seed: int, number: int) -> Call:
    """The call of a number: the same one whenever it is asked for."""
    chance = random.Random(f"{seed}/{number}")
    target = targets[chance.randrange(len(targets))]
    positional, keywords = _arguments(chance, target)
    _leave_to_python(target, positional, keywords)
    traced = chance.random() < 0.08
    if traced and positional:
        positional[chance.randrange(len(positional))] = "t"
    shown = [*positional, *(f"{name}={value}" for name, value in keywords.items())]
    text = f"({target.expression})({', '.join(shown)})"
    if traced:
        kinds = [2, 2, 1, 1] if number % 4 else [1, 1, 1, 3]  # what is compiled takes longest
        text = chance.choices(_AROUND, kinds)[0].format(call=text)
    return Call(target, text, tuple(positional), keywords, traced)


def _arguments(chance: random.Random, target: Target) -> tuple[list[str], dict[str, str]]:
    """Arguments for the parameters: most of them likely ones, some missing, some too many."""
    goodness = chance.choice([0.35, 0.7, 0.95])
    positional: list[str] = []
    keywords: dict[str, str] = {}
    by_position = True
    for parameter in target.parameters:
        value = _value(chance, parameter.name, goodness)
        if target.expression == "ts.while_loop" and parameter.name == "condition":
            value = chance.choice(values.ENDING)  # what never ends would be the caller's own doing
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            positional += [
                _value(chance, parameter.name, goodness) for _ in range(chance.randrange(4))
            ] * by_position
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        elif parameter.default is not parameter.empty and chance.random() < 0.5:
            by_position = False
        elif parameter.kind is inspect.Parameter.KEYWORD_ONLY or not by_position:
            if parameter.kind is not inspect.Parameter.POSITIONAL_ONLY:
                keywords[parameter.name] = value
        elif parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and chance.random() < 0.1:
            by_position = False
            keywords[parameter.name] = value
        else:
            positional.append(value)
    if positional and chance.random() < 0.03:
        positional.pop()
    if by_position and chance.random() < 0.05:
        positional.append(chance.choice(values.EVERYTHING))
    if chance.random() < 0.04:
        keywords.setdefault(chance.choice(_ODD_NAMES), chance.choice(values.EVERYTHING))
    return positional, keywords


def _leave_to_python(target: Target, positional: list[str], keywords: dict[str, str]) -> None:
    """Take out what would be Python's alone: its own powers of huge numbers, its loops over what has no end."""
    if target.room == "operators" and not any("ts." in value for value in positional):
        positional[:1] = ["ts.ones((2, 3))"]
    if target.of_anything:
        positional[:] = ["[1.0, 2.0]" if v == values.ENDLESS else v for v in positional]
        keywords |= {k: "[1.0, 2.0]" for k, v in keywords.items() if v == values.ENDLESS}


def _value(chance: random.Random, name: str, goodness: float) -> str:
    if chance.random() < goodness:
        return chance.choice(_likely(name))
    return chance.choice(chance.choice([values.EVERYTHING, values.OBJECTS, values.EXTREME_NUMBERS]))


def _likely(name: str) -> list[str]:
    for words, pool in values.BY_NAME:
        known = words.split()
        if name in known or any(len(word) > 2 and word in name for word in known):
            return pool
    return [*values.TENSORS, *values.ARRAYS, *values.INTEGERS, *values.FLOATS]
