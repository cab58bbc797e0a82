"""Tables as arrays of numbers that networks take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tessella.arguments import public
from tessella.arguments.kinds import Count, shown
from tessella.data.samplers import row_numbers
from tessella.data.tables import CSV, Column
from tessella.errors import ArgumentTypeError, UnknownKeyError

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Numbers:
    """A column of numbers, brought to mean 0 and deviation 1; 0 stands for what is missing or infinite.

    Args:
        has_flag: whether a second column says where that is.
    """

    mean: float
    deviation: float
    has_flag: bool

    def encode(self, column: Column) -> list[Array]:
        """The columns that become of it."""
        if column.values.dtype.kind == "O":
            raise ArgumentTypeError(
                f"TableEncoder: the column {column.name!r} has texts; it had numbers when the encoder was made"
            )
        values = column.values.astype(np.float64)
        known = np.isfinite(values)
        found = np.zeros(len(values))
        found[known] = (values[known] - self.mean) / self.deviation
        return [found, ~known] if self.has_flag else [found]

    def __str__(self) -> str:
        flag = ", and a flag for what is missing" if self.has_flag else ""
        return f"mean {self.mean:.4g}, deviation {self.deviation:.4g}{flag}"


@dataclass(frozen=True)
class Categories:
    """A column of texts, by their numbers from 1; 0 is for what is missing, and for texts that are not among them."""

    texts: tuple[str, ...]

    def encode(self, column: Column) -> list[Array]:
        """The columns that become of it."""
        number = {text: place for place, text in enumerate(self.texts, 1)}
        return [np.array([number.get(str(text), 0) for text in column.values], np.int64)]

    def __str__(self) -> str:
        return f"{len(self.texts)} categories"


@dataclass(frozen=True)
class LeftOut:
    """A column that tells nothing."""

    why: str

    def encode(self, column: Column) -> list[Array]:
        """Nothing."""
        return []

    def __str__(self) -> str:
        return f"left out: {self.why}"


class TableEncoder:
    """Makes arrays of tables: of numbers, normalised, and of the numbers of categories.

    What it needs to know (means, deviations, categories) it takes from some rows of one table; then it encodes that one
    and others with such columns. A column in which nothing differs, or no text comes often enough, is left out.

    Args:
        table: a `CSV`; its target is no column here.
        rows: the numbers of those to learn from, which are those to train with; all, by default.
        least: how often a text must come there to be a category.

    Shapes: (rows, width) and (rows, len(sizes)), of what it gives.

    Dtypes: float32, and int64 for categories.

    Raises:
        UnknownKeyError: a table lacks a column.
        ArgumentTypeError: a column has texts where there were numbers.

    >>> import pathlib, tempfile
    >>> from tessella.data import CSV
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "flats.csv"
    ...     _ = path.write_text("city,rooms\\nOslo,1\\nBonn,3\\nOslo,?\\n")
    ...     table = CSV(path)
    >>> encoder = TableEncoder(table)
    >>> encoder
    city  text    1 categories
    rooms number  mean 2, deviation 1, and a flag for what is missing; 1 missing
    >>> found = encoder(table)
    >>> found["numbers"].tolist(), found["categories"].tolist()
    ([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [[1], [0], [1]])
    """

    @public
    def __init__(self, table: Any, rows: Any = None, least: Count = 2) -> None:
        source = _table(table)
        chosen = slice(None) if rows is None else row_numbers("TableEncoder", rows)
        columns = [column for column in source.columns if column.name != source.target]
        self.columns = {column.name: _encoding(column, chosen, least) for column in columns}
        self._told = [
            (column.name, column.kind, int(column.missing.sum())) for column in columns
        ]  # fmt: skip

    @property
    def width(self) -> int:
        """How many numbers a row gives."""
        several = [x for x in self.columns.values() if isinstance(x, Numbers)]
        return sum(1 + column.has_flag for column in several)

    @property
    def sizes(self) -> list[int]:
        """How many categories each column of them has, with that of what is none: the sizes of embeddings."""
        return [len(x.texts) + 1 for x in self.columns.values() if isinstance(x, Categories)]

    @public
    def __call__(self, table: Any) -> dict[str, Array]:
        """The arrays "numbers" and "categories", with a row for each of the table's."""
        source = _table(table)
        given = {column.name: column for column in source.columns}
        missing = [name for name in self.columns if name not in given]
        if missing:
            raise UnknownKeyError(
                f"TableEncoder: {source.path} has no column {missing[0]!r}; it has {', '.join(map(repr, given))}"
            )
        return {
            "numbers": self._of(given, Numbers, len(source)).astype(np.float32),
            "categories": self._of(given, Categories, len(source)).astype(np.int64),
        }

    def _of(self, given: dict[str, Column], kind: type, rows: int) -> Array:
        found = [
            array
            for name, encoding in self.columns.items()
            if isinstance(encoding, kind)
            for array in encoding.encode(given[name])
        ]
        return np.stack(found, axis=1) if found else np.zeros((rows, 0))

    def __repr__(self) -> str:
        wide, kinds = (max([len(str(told[i])) for told in self._told], default=0) for i in (0, 1))
        return "\n".join(
            f"{name:{wide}} {kind:{kinds}}  {self.columns[name]}{f'; {missing:,} missing' if missing else ''}"
            for name, kind, missing in self._told
        )


def _table(given: Any) -> CSV:
    if not isinstance(given, CSV):
        raise ArgumentTypeError(f"TableEncoder: table is {shown(given)}; expected a ts.data.CSV")
    return given


def _encoding(column: Column, rows: Any, least: int) -> Numbers | Categories | LeftOut:
    values = column.values[rows]
    if column.kind == "text":
        texts, counts = np.unique(values.astype(str), return_counts=True)
        names = texts[(counts >= least) & (texts != "")].tolist()
        return Categories(tuple(names)) if names else LeftOut(f"no text comes {least} times")
    numbers = values.astype(np.float64)
    known = np.isfinite(numbers)
    if len(np.unique(numbers[known])) < 2:
        return LeftOut("nothing differs")
    seen = numbers[known]
    return Numbers(float(seen.mean()), float(seen.std()), not known.all())
