"""Datasets of text files with a row a line: CSV, JSON lines, lines of text."""

from __future__ import annotations

import csv
import itertools
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from tessella.arguments import public
from tessella.arguments.kinds import shown
from tessella.data.collation import to_tensors
from tessella.data.datasets import Dataset, row_number
from tessella.errors import (
    ArgumentError,
    ArgumentTypeError,
    BadRowError,
    SkippedRowsWarning,
    UnknownKeyError,
)

BadRows: TypeAlias = Literal["raise", "skip"]
MISSING = (
    "",
    "na",
    "n/a",
    "nan",
    "null",
    "none",
    "?",
)  # what stands for no value, in small letters
_SHOWN = 10  # rows that a warning names


class Skipped(NamedTuple):
    """A row that was left out, by its line in the file, and why."""

    line: int
    why: str


class Reader:
    """The good rows of a file; what is done about the bad ones.

    Args:
        bad_rows: "raise", or "skip": then they are counted, and a warning at the end says how many.
    """

    def __init__(self, path: Path, bad_rows: BadRows, function: str) -> None:
        if not isinstance(bad_rows, str) or bad_rows not in ("raise", "skip"):
            raise ArgumentError(
                f"{function}: bad_rows is {shown(bad_rows)}; expected 'raise' or 'skip'"
            )
        self.path, self.bad_rows, self.function = path, bad_rows, function
        self.skipped: list[Skipped] = []

    def bad(self, line: int, why: str) -> None:
        """Note a bad row.

        Raises:
            BadRowError: bad rows are not skipped.
        """
        if self.bad_rows == "raise":
            raise BadRowError(
                f"{self.path}, line {line}: {why}; mend it, or leave such rows out: bad_rows='skip'"
            )
        self.skipped.append(Skipped(line, why))

    def finish(self, good: int) -> tuple[Skipped, ...]:
        """What was skipped, with a warning.

        Raises:
            ArgumentError: nothing is left.
        """
        if not good:
            bad = f"; {len(self.skipped)} bad ones were skipped" if self.skipped else ""
            raise ArgumentError(f"{self.function}: {self.path} has no rows{bad}")
        if self.skipped:
            lines = ", ".join(str(row.line) for row in self.skipped[:_SHOWN])
            more = ", ..." if len(self.skipped) > _SHOWN else ""
            warnings.warn(
                f"{self.path}: {len(self.skipped)} bad rows were skipped, {good} are left (lines {lines}{more}; the "
                f"first: {self.skipped[0].why})",
                SkippedRowsWarning,
                stacklevel=4,
            )
        return tuple(self.skipped)


def place(path: Any, function: str) -> Path:
    """A path that was given.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise ArgumentTypeError(
            f"{function}: the path is {shown(path)}; expected str or pathlib.Path"
        )
    if "\0" in os.fspath(path):
        raise ArgumentError(f"{function}: the path {os.fspath(path)!r} has a zero character")
    return Path(path)


def _lines(path: Path, reader: Reader) -> Iterator[tuple[int, str]]:
    """The lines of a file of UTF-8 with their numbers, without their ends."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            raw = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            try:
                yield number, raw.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                reader.bad(number, f"byte {error.start} is no UTF-8")


# --- lines ----------------------------------------------------------------------------------------------


class TextLines(Dataset):
    """The lines of a text file in UTF-8, without their ends; empty ones are left out.

    Raises:
        BadRowError: a line is no UTF-8.
        ArgumentError: there are no lines.
        OSError: the file cannot be read.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "verse.txt"
    ...     _ = path.write_text("Tiger, tiger\\n\\nburning bright\\n")
    ...     list(TextLines(path))
    ['Tiger, tiger', 'burning bright']
    """

    @public
    def __init__(self, path: Any, bad_rows: Any = "raise") -> None:
        self.path = place(path, "TextLines")
        reader = Reader(self.path, bad_rows, "TextLines")
        self.lines = [line for _, line in _lines(self.path, reader) if line.strip()]
        self.skipped = reader.finish(len(self.lines))

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, row: Any) -> str:
        return self.lines[row_number(row, len(self.lines), "TextLines")]


class JSONLines(Dataset):
    """A file with a JSON object, list or value in each line; empty lines are left out.

    Args:
        columns: names that each object is to have; a row is a dict with these alone.

    Raises:
        BadRowError: a line is no JSON, or lacks a column.
        ArgumentError: there are no lines.
        OSError: the file cannot be read.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "data.jsonl"
    ...     _ = path.write_text('{"text": "good", "label": 1}\\n{"text": "bad", "label": 0}\\n')
    ...     JSONLines(path)[1]
    {'text': 'bad', 'label': 0}
    """

    @public
    def __init__(
        self, path: Any, columns: Sequence[str] | None = None, bad_rows: Any = "raise"
    ) -> None:
        self.path = place(path, "JSONLines")
        self.columns = columns
        reader = Reader(self.path, bad_rows, "JSONLines")
        self.rows = list(self._read(reader))
        self.skipped = reader.finish(len(self.rows))

    def _read(self, reader: Reader) -> Iterator[Any]:
        for number, line in _lines(self.path, reader):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                reader.bad(number, f"no JSON: {error}")
                continue
            missing = [] if self.columns is None else _lacking(row, self.columns)
            if missing:
                reader.bad(number, f"there is no {', '.join(map(repr, missing))}")
                continue
            yield row if self.columns is None else {name: row[name] for name in self.columns}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: Any) -> Any:
        return self.rows[row_number(row, len(self.rows), "JSONLines")]


def _lacking(row: Any, columns: Sequence[str]) -> list[str]:
    return [name for name in columns if not isinstance(row, dict) or name not in row]


# --- CSV ------------------------------------------------------------------------------------------------


class Column(NamedTuple):
    """A column of a table.

    Args:
        values: its values, as an array of int64, float32, bool or texts.
        missing: which rows have none, True for these; NaN or "" stands in their place.
    """

    name: str
    values: np.ndarray[Any, Any]
    missing: np.ndarray[Any, Any]

    @property
    def kind(self) -> str:
        """What it holds: "integer", "number", "flag" or "text"."""
        return {"i": "integer", "f": "number", "b": "flag"}.get(self.values.dtype.kind, "text")


class CSV(Dataset):
    """A table in a text file, with columns of types that are found in it.

    A column whose values are all whole numbers is of int64; of numbers, float32; of `true` and `false`, bool; else of
    texts. What is missing (nothing, `NA`, `NaN`, `null`, `None`, `?`) is an empty text, or NaN in a column of numbers,
    which others become thereby; `missing` says where that is. A row is a dict.

    Args:
        columns: names of those to read, in this order; all, by default.
        target: the name of a column that comes apart, or its place (-1: the last one): rows are pairs of a dict with the
            others, and its value.
        delimiter: what stands between values; found in the first line, by default, among `,`, `;`, tab and `|`.
        header: whether the first line has names; else they are "0", "1", ...
        classes: how many there are, if the target is a class: its values must be 0 to classes - 1.

    Raises:
        BadRowError: a line has more or fewer values than there are names, it is no UTF-8, or the target is missing or
            no class.
        UnknownKeyError: there is no column of a name.
        ArgumentError: there are no rows.
        OSError: the file cannot be read.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "people.csv"
    ...     _ = path.write_text("name,age,height\\nAda,36,1.65\\nAlan,41,NA\\n")
    ...     table = CSV(path)
    >>> table[0], table.kinds, table.missing
    ({'name': 'Ada', 'age': 36, 'height': 1.65}, {'name': 'text', 'age': 'integer', 'height': 'number'}, {'height': 1})
    >>> table.tensor("age", "height")
    tensor([[36.  ,  1.65],
            [41.  ,   nan]])
    """

    @public
    def __init__(
        self,
        path: Any,
        columns: Sequence[str] | None = None,
        target: Any = None,
        delimiter: str | None = None,
        header: bool = True,
        classes: Any = None,
        bad_rows: Any = "raise",
    ) -> None:
        self.path = place(path, "CSV")
        reader = Reader(self.path, bad_rows, "CSV")
        names, rows = _table(reader, delimiter, header)
        self.target = target = None if target is None else _name_of(target, names, self.path)
        wanted = list(names if columns is None else columns)
        wanted += [target] if target is not None and target not in wanted else []
        places = [_place_of(name, names, self.path) for name in wanted]
        rows = [(line, [values[place] for place in places]) for line, values in rows]
        if target is not None:
            rows = list(_with_value(rows, wanted.index(target), target, reader))
        self.columns = [_typed(name, [v[i] for _, v in rows]) for i, name in enumerate(wanted)]
        if target is not None and classes is not None:
            self.columns = self._with_labels_in(int(classes), rows, reader)
        self._by_name = {column.name: column for column in self.columns}
        self._rows = len(self.columns[0].values) if self.columns else 0
        self.skipped = reader.finish(self._rows)

    def _with_labels_in(self, classes: int, rows: Any, reader: Reader) -> list[Column]:
        """The columns without the rows whose label is none of the classes."""
        target = next(column for column in self.columns if column.name == self.target)
        if target.kind != "integer":
            raise ArgumentError(
                f"CSV: {self.path}: the target {self.target!r} is of kind {target.kind}; expected whole numbers from 0 "
                f"to {classes - 1}, the number of a class"
            )
        bad = (target.values < 0) | (target.values >= classes)
        for row in np.flatnonzero(bad):
            reader.bad(
                rows[row][0],
                f"the label {self.target!r} is {target.values[row]}; expected 0 to {classes - 1}",
            )
        return [Column(name, values[~bad], missing[~bad]) for name, values, missing in self.columns]

    def __len__(self) -> int:
        return self._rows

    @property
    def kinds(self) -> dict[str, str]:
        """What each column holds: "integer", "number", "flag" or "text"."""
        return {column.name: column.kind for column in self.columns}

    @property
    def missing(self) -> dict[str, int]:
        """How many values are missing, for the columns in which some are."""
        counts = {column.name: int(column.missing.sum()) for column in self.columns}
        return {name: count for name, count in counts.items() if count}

    def column(self, name: str) -> np.ndarray[Any, Any]:
        """The values of a column."""
        _place_of(name, [*self._by_name], self.path)
        return self._by_name[name].values

    def tensor(self, *names: str) -> Any:
        """Columns of numbers as a tensor of float32; all but the target and those of texts, if none are named.

        Shapes: (rows, columns).

        Raises:
            ArgumentTypeError: a column has texts.
        """
        chosen = names or [
            column.name
            for column in self.columns
            if column.kind != "text" and column.name != self.target
        ]
        for name in chosen:
            if self.column(name).dtype.kind == "O":
                raise ArgumentTypeError(
                    f"CSV.tensor: the column {name!r} has texts, such as {self.column(name)[0]!r}; expected numbers"
                )
        found = np.stack([self.column(name).astype(np.float32) for name in chosen], axis=1)
        return to_tensors(found)

    def __getitem__(self, row: Any) -> Any:
        number = row_number(row, self._rows, "CSV")
        found = {column.name: _plain(column.values[number]) for column in self.columns}
        return found if self.target is None else (found, found.pop(self.target))

    def __getbatch__(self, rows: Any, generator: Any = None) -> Any:
        """Several rows at once."""
        chosen = np.asarray(rows)
        found = {column.name: _several(column.values[chosen]) for column in self.columns}
        return found if self.target is None else (found, found.pop(self.target))


def _plain(value: Any) -> Any:
    if isinstance(value, np.float32):
        return float(str(value))  # the shortest one that means the same
    return value.item() if isinstance(value, np.generic) else value


def _several(values: np.ndarray[Any, Any]) -> Any:
    return values.tolist() if values.dtype.kind == "O" else values


def _place_of(name: str, names: Sequence[str], path: Path) -> int:
    if name not in names:
        raise UnknownKeyError(
            f"CSV: {path} has no column {name!r}; it has {', '.join(map(repr, names))}"
        )
    return list(names).index(name)


def _name_of(target: Any, names: Sequence[str], path: Path) -> str:
    """The name of a column that is given by its name or its place."""
    if isinstance(target, str):
        return target
    if isinstance(target, bool) or not isinstance(target, int):
        raise ArgumentTypeError(
            f"CSV: target is {shown(target)}; expected the name of a column, or its place"
        )
    if not -len(names) <= target < len(names):
        raise UnknownKeyError(f"CSV: {path} has no column {target}; it has {len(names)}")
    return names[target]


def _table(reader: Reader, delimiter: str | None, header: bool) -> tuple[list[str], Any]:
    """The names of the columns, and the rows with their lines."""
    with reader.path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as file:
        before = list(itertools.takewhile(lambda line: not line.strip(), file))
        file.seek(0)
        first = next(itertools.islice(file, len(before), None), "")
        if not first:
            raise ArgumentError(f"CSV: {reader.path} is empty")
        file.seek(0)
        lines = csv.reader(file, delimiter=_delimiter(first, delimiter))
        read = _records(lines, reader)
        top = next(read, (1, []))
        names = top[1] if header else [str(place) for place in range(len(top[1]))]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ArgumentError(f"CSV: {reader.path} has several columns {sorted(twice)[0]!r}")
        rows = read if header else itertools.chain([top], read)
        return names, list(_whole(rows, len(names), reader))


def _delimiter(first: str, given: str | None) -> str:
    if given is not None:
        if len(given) != 1:
            raise ArgumentError(f"CSV: delimiter is {given!r}; expected a single character")
        return given
    return max(",;\t|", key=first.count)


def _records(lines: Any, reader: Reader) -> Iterator[tuple[int, list[str]]]:
    while True:
        try:
            values = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            reader.bad(lines.line_num, str(error))
            continue
        if values:
            yield lines.line_num, [value.strip() for value in values]


def _whole(
    rows: Iterable[tuple[int, list[str]]], width: int, reader: Reader
) -> Iterator[tuple[int, list[str]]]:
    """The rows with as many values as there are names, in UTF-8."""
    for line, values in rows:
        if len(values) != width:
            reader.bad(line, f"there are {len(values)} values for {width} columns")
        elif any(not value.isascii() and _is_broken(value) for value in values):
            reader.bad(line, "it is no UTF-8")
        else:
            yield line, values


def _is_broken(value: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in value)


def _with_value(
    rows: Any, place: int, name: str, reader: Reader
) -> Iterator[tuple[int, list[str]]]:
    for line, values in rows:
        if values[place].lower() in MISSING:
            reader.bad(line, f"the target {name!r} is missing")
        else:
            yield line, values


def _typed(name: str, texts: list[str]) -> Column:
    """A column with the type that fits all its values."""
    missing = np.array([text.lower() in MISSING for text in texts], bool)
    values = _values([text for text, gone in zip(texts, missing, strict=True) if not gone])
    return Column(name, _spread(values, missing), missing)


def _values(texts: list[str]) -> np.ndarray[Any, Any]:
    kinds: tuple[Callable[[list[str]], np.ndarray[Any, Any]], ...] = (_integers, _numbers, _flags)
    for kind in kinds if texts else (_numbers,):
        try:
            return kind(texts)
        except (ValueError, OverflowError):
            continue
    return np.array(texts, object)


def _integers(texts: list[str]) -> np.ndarray[Any, Any]:
    return np.array([_integer(text) for text in texts], np.int64)


def _integer(text: str) -> int:
    if "_" in text:  # which is Python's alone
        raise ValueError(text)
    return int(text)


def _numbers(texts: list[str]) -> np.ndarray[Any, Any]:
    if any("_" in text for text in texts):
        raise ValueError("_")
    return np.array([float(text) for text in texts], np.float32)


def _flags(texts: list[str]) -> np.ndarray[Any, Any]:
    words = {"true": True, "false": False}
    lower = [text.lower() for text in texts]
    if not {*lower} <= {*words}:
        raise ValueError("no flags")
    return np.array([words[text] for text in lower], bool)


def _spread(values: np.ndarray[Any, Any], missing: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The values with what stands for missing ones between them."""
    if not missing.any():
        return values
    kind = values.dtype if values.dtype.kind in "fO" else np.dtype(np.float32)
    found = np.full(len(missing), np.nan if kind.kind == "f" else "", kind)
    found[~missing] = values
    return found
