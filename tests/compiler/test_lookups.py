"""Products with rows of a small table: of the table, not of the rows."""

from __future__ import annotations

import numpy as np
import pytest

import tessella as ts
from tessella.nn import functional as F


def _floats(*shape: int, seed: int = 0, dtype: str = "float32") -> ts.Tensor:
    return ts.asarray(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def _letters(count: int, *shape: int) -> ts.Tensor:
    return ts.asarray(np.random.default_rng(1).integers(0, count, shape))


def loss(table: ts.Tensor, weight: ts.Tensor, letters: ts.Tensor) -> ts.Tensor:
    return ts.tanh(F.linear(F.embedding(letters, table), weight)).mean()


GRADIENTS = ts.grad(loss, argnums=(0, 1))


@pytest.mark.parametrize("shape", [(300,), (20, 30), (3, 4, 50)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_computes_the_same(shape: tuple[int, ...], dtype: str) -> None:
    table, weight = _floats(20, 64, dtype=dtype), _floats(72, 64, seed=2, dtype=dtype)
    letters = _letters(20, *shape)
    found = ts.jit(GRADIENTS)(table, weight, letters)
    for own, eager in zip(found, GRADIENTS(table, weight, letters), strict=True):
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(own.numpy(), eager.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("rows", "is_small"), [(20, True), (1500, False)])
def test_products_are_of_the_table_where_it_is_small(rows: int, is_small: bool) -> None:
    table, weight, letters = _floats(rows, 64), _floats(72, 64, seed=2), _letters(rows, 2000)
    compiled = ts.jit(GRADIENTS)
    compiled(table, weight, letters)
    lines = [line for line in compiled.source("graph").splitlines() if "contraction(" in line]
    assert len(lines) == 3
    of_table = [line for line in lines if f"[{rows}," in line]
    assert (len(of_table) == 2 and not any("[2000," in line for line in lines)) is is_small


def test_short_products_stay_as_they_are() -> None:
    table, weight, letters = _floats(20, 8), _floats(72, 8, seed=2), _letters(20, 2000)
    compiled = ts.jit(loss)
    compiled(table, weight, letters)
    assert "float32[2000,72] = contraction(" in compiled.source("graph")


def test_rows_that_nobody_looked_up_count_for_nothing() -> None:
    """Whatever is in them, and in the weight."""
    table = _floats(20, 64).numpy().copy()
    table[7], table[8] = np.nan, np.inf
    letters = ts.asarray(np.random.default_rng(0).integers(0, 7, 500))
    arguments = ts.asarray(table), _floats(72, 64, seed=2), letters
    of_table, of_weight = ts.jit(GRADIENTS)(*arguments)
    expected = GRADIENTS(*arguments)
    np.testing.assert_allclose(of_weight.numpy(), expected[1].numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(of_table.numpy(), expected[0].numpy(), rtol=1e-4, atol=1e-6)
    assert not of_table.numpy()[7:].any()


def test_letters_out_of_range_are_refused() -> None:
    compiled = ts.jit(GRADIENTS)
    table, weight = _floats(20, 64), _floats(72, 64, seed=2)
    compiled(table, weight, _letters(20, 200))
    with pytest.raises(ts.errors.IndexingError):
        compiled(table, weight, ts.full((200,), 20, dtype=ts.int64))


def test_places_that_count_from_the_end() -> None:
    table, weight = _floats(20, 64), _floats(64, 72, seed=2)
    places = ts.asarray(np.random.default_rng(0).integers(-20, 20, (2, 150)))

    def product(table: ts.Tensor, weight: ts.Tensor, places: ts.Tensor) -> ts.Tensor:
        return (ts.take(table, places, axis=0) @ weight).sum(axis=0)

    both = ts.grad(lambda *x: (product(*x) ** 2).mean(), argnums=(0, 1))
    for own, eager in zip(
        ts.jit(both)(table, weight, places), both(table, weight, places), strict=True
    ):
        np.testing.assert_allclose(own.numpy(), eager.numpy(), rtol=1e-4, atol=1e-5)


def test_what_a_product_is_read_for_besides() -> None:
    """The rows are looked up for something else, too, and the products that are scattered have another reader."""
    table, weight, letters = _floats(20, 64), _floats(64, 64, seed=2), _letters(20, 300)

    def both(table: ts.Tensor, weight: ts.Tensor, letters: ts.Tensor) -> tuple[ts.Tensor, ...]:
        rows = ts.take(table, letters, axis=0)
        product = rows @ weight
        added = ts.index_add(ts.ones((20, 64)), 0, letters, product)
        return rows, product, added

    arguments = table, weight, letters
    for own, eager in zip(ts.jit(both)(*arguments), both(*arguments), strict=True):
        np.testing.assert_allclose(own.numpy(), eager.numpy(), rtol=1e-4, atol=1e-4)


def test_sums_of_products_are_added_to_what_is_there() -> None:
    x, rows, weight = _floats(20, 64), _floats(300, 80, seed=3), _floats(80, 64, seed=2)
    letters = _letters(15, 300)

    def added(*arguments: ts.Tensor) -> ts.Tensor:
        x, letters, rows, weight = arguments
        return ts.index_add(x, 0, letters, rows @ weight)

    compiled, arguments = ts.jit(added), (x, letters, rows, weight)
    np.testing.assert_allclose(
        compiled(*arguments).numpy(), added(*arguments).numpy(), rtol=1e-4, atol=1e-4
    )
    assert "float32[20,64] = contraction(" in compiled.source("graph")
