"""How products are cut: by the sizes of the caches, never by the number of threads."""

import pytest

from tessella.dtypes import float32
from tessella.targets.cpu import machine
from tessella.targets.cpu.lowering import blocking, tuned
from tessella.targets.cpu.lowering.blocking import IN_PLACE
from tessella.targets.cpu.lowering.tuned import Problem
from tessella.targets.cpu.products import AHEAD, ON_THE_WAY

SIZES = {1: 1 << 15, 2: 1 << 19, 3: 1 << 25}


@pytest.fixture
def caches(monkeypatch):
    """The caches of a known machine; the dict may be changed."""
    found = dict(SIZES)
    monkeypatch.setattr(machine, "cache_bytes", lambda level, default: found[level])
    monkeypatch.setattr(tuned, "lookup", lambda problem: None)
    return found


def problem(rows, depth, columns, batches=1, fixed=(False, False), straight=True):
    return Problem(float32, False, batches, rows, columns, depth, True, straight, True, *fixed)


def test_a_panel_of_each_operand_fills_half_of_the_second_cache(caches):
    caches[2] = 1 << 16
    found = blocking.choose(problem(1000, 4000, 1000))
    panels = (found.tile.rows + found.tile.columns) * found.block * 4
    least = blocking.LEAST_BLOCK * 4 * (found.tile.rows + found.tile.columns)
    assert panels <= max(caches[2] // 2, least)
    caches[2] = 1 << 21
    longer = blocking.choose(problem(1000, 4000, 1000)).block
    assert found.block < longer <= blocking.LONGEST_BLOCK


def test_rows_of_an_item_fill_a_sixteenth_of_the_third_cache(caches):
    found = blocking.choose(problem(4000, 4000, 4000))
    rows = found.tile.rows * found.row_panels * found.block * 4
    assert caches[3] // 32 < rows <= caches[3] // 16
    caches[3] //= 4
    assert blocking.choose(problem(4000, 4000, 4000)).row_panels < found.row_panels


def test_blocks_are_even(caches):
    found = blocking.choose(problem(1000, 513, 1000))
    assert found.block in (257, 513)


def test_small_operands_are_not_packed(caches):
    found = blocking.choose(problem(64, 64, 64))
    assert found.tile.in_place
    assert found.right == IN_PLACE
    caches.update({1: 1 << 10, 2: 1 << 12})
    assert blocking.choose(problem(640, 64, 640)).right != IN_PLACE
    assert not blocking.choose(problem(640, 640, 640)).tile.in_place


def test_a_few_panels_of_rows_read_what_the_second_cache_holds_where_it_stands(caches):
    tall = blocking.choose(problem(100, 400, 256)).tile.rows
    few, more = blocking.SOME_PANELS * tall, 2 * blocking.SOME_PANELS * tall
    assert blocking.choose(problem(few, 400, 256)).right == IN_PLACE
    assert blocking.choose(problem(more, 400, 256)).right != IN_PLACE
    caches[2] //= 2
    assert blocking.choose(problem(few, 400, 256)).right != IN_PLACE


def test_what_is_fixed_is_packed_ahead(caches):
    found = blocking.choose(problem(64, 64, 64, fixed=(True, True)))
    assert not found.tile.in_place
    assert found.right == AHEAD


def test_many_rows_are_packed_ahead_where_the_second_cache_does_not_hold_them(caches):
    assert blocking.choose(problem(500, 500, 500)).right == ON_THE_WAY
    assert blocking.choose(problem(5000, 500, 500)).right == AHEAD
    caches[2] *= 16
    assert blocking.choose(problem(5000, 500, 500)).right == ON_THE_WAY


def test_a_single_thread_takes_one_item(caches):
    found = blocking.choose(problem(64, 64, 64))
    assert found.row_panels * found.tile.rows >= 64
    assert found.column_panels * found.tile.columns >= 64


@pytest.mark.parametrize(
    "sizes", [(128, 784, 512), (784, 128, 512), (1024, 1024, 1024), (8, 1024, 1024)]
)
def test_there_are_items_for_several_threads(caches, sizes):
    rows, depth, columns = sizes
    found = blocking.choose(problem(rows, depth, columns))
    row_panels, column_panels = -(-rows // found.tile.rows), -(-columns // found.tile.columns)
    items = -(-row_panels // found.row_panels) * -(-column_panels // found.column_panels)
    assert items >= 4
