"""The functions that every module of the course is tested on: of numbers, and of variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tessella.minitorch import operators

Tests = list[tuple[str, Callable[..., Any]]]
Pairs = list[tuple[str, Callable[..., Any], Callable[..., Any]]]


class MathTest:
    """Functions of numbers. Names that end in 2 take two of them, those that end in red a list."""

    neg = staticmethod(lambda a: -a)
    addConstant = staticmethod(lambda a: 5 + a)
    subConstant = staticmethod(lambda a: a - 5)
    multConstant = staticmethod(lambda a: 5 * a)
    div = staticmethod(lambda a: a / 5)
    square = staticmethod(lambda a: a * a)
    cube = staticmethod(lambda a: a * a * a)
    inv = staticmethod(lambda a: operators.inv(a + 3.5))
    sig = staticmethod(lambda a: operators.sigmoid(a))
    log = staticmethod(lambda a: operators.log(a + 100_000))
    relu = staticmethod(lambda a: operators.relu(a + 5.5))
    exp = staticmethod(lambda a: operators.exp(a - 200))
    explog = staticmethod(lambda a: operators.log(a + 100_000) + operators.exp(a - 200))
    add2 = staticmethod(lambda a, b: a + b)
    mul2 = staticmethod(lambda a, b: a * b)
    div2 = staticmethod(lambda a, b: a / (b + 5.5))
    gt2 = staticmethod(lambda a, b: operators.lt(b, a + 1.2))
    lt2 = staticmethod(lambda a, b: operators.lt(a + 1.2, b))
    eq2 = staticmethod(lambda a, b: operators.eq(a, b + 5.5))
    sum_red = staticmethod(lambda a: operators.sum(a))
    mean_red = staticmethod(lambda a: operators.sum(a) / float(len(a)))
    mean_full_red = staticmethod(lambda a: operators.sum(a) / float(len(a)))

    @staticmethod
    def complex(a: Any) -> Any:
        hidden = operators.relu(operators.relu(a * 10 + 7) * 6 + 5)
        return operators.log(operators.sigmoid(hidden * 10)) / 50

    @classmethod
    def _tests(cls) -> tuple[Tests, Tests, Tests]:
        """All functions of one argument, of two, and of lists, with their names.

        >>> one, two, lists = MathTest._tests()
        >>> [name for name, _ in lists]
        ['mean_full_red', 'mean_red', 'sum_red']
        """
        tests = [(name, getattr(cls, name)) for name in dir(MathTest) if name[0] != "_"]
        two = [test for test in tests if test[0].endswith("2")]
        red = [test for test in tests if test[0].endswith("red")]
        return [test for test in tests if test not in two + red], two, red

    @classmethod
    def _comp_testing(cls) -> tuple[Pairs, Pairs, Pairs]:
        """The same, each with the function of numbers before that of this class."""
        one, two, red = (
            [(*meaning, own) for meaning, (_, own) in zip(*groups, strict=True)]
            for groups in zip(MathTest._tests(), cls._tests(), strict=True)
        )
        return one, two, red


class MathTestVariable(MathTest):
    """The same functions of scalars and tensors; of lists, they are reductions of tensors."""

    inv = staticmethod(lambda a: 1.0 / (a + 3.5))
    sig = staticmethod(lambda a: a.sigmoid())
    log = staticmethod(lambda a: (a + 100_000).log())
    relu = staticmethod(lambda a: (a + 5.5).relu())
    exp = staticmethod(lambda a: (a - 200).exp())
    explog = staticmethod(lambda a: (a + 100_000).log() + (a - 200).exp())
    gt2 = staticmethod(lambda a, b: a + 1.2 > b)
    lt2 = staticmethod(lambda a, b: a + 1.2 < b)
    eq2 = staticmethod(lambda a, b: a == (b + 5.5))
    sum_red = staticmethod(lambda a: a.sum(0))
    mean_red = staticmethod(lambda a: a.mean(0))
    mean_full_red = staticmethod(lambda a: a.mean())

    @staticmethod
    def complex(a: Any) -> Any:
        hidden = ((a * 10 + 7).relu() * 6 + 5).relu()
        return (hidden * 10).sigmoid().log() / 50


__all__ = ["MathTest", "MathTestVariable"]
