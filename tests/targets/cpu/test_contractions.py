"""Products by panels and by plain loops, from operands of any layout, against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tessella as ts
from tessella.nn import functional as F
from tessella.targets.cpu import machine, packing, threads, tiles

LAYOUTS = {
    "plain": lambda a: a,
    "transposed": lambda a: np.ascontiguousarray(np.swapaxes(a, -1, -2)).swapaxes(-1, -2),
    "rows reversed": lambda a: np.ascontiguousarray(a[..., ::-1, :])[..., ::-1, :],
    "columns reversed": lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1],
    "with gaps": lambda a: np.repeat(np.repeat(a, 2, -1), 3, -2)[..., ::3, ::2],
    "repeated row": lambda a: np.broadcast_to(a[..., :1, :], a.shape),
}


def whole(*shape, dtype=np.float32, seed=0):
    """Small whole numbers: sums of their products are exact in any order."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def own(array):
    return ts.asarray(array, copy=False)


@pytest.mark.parametrize("left", LAYOUTS)
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layouts_of_tiled_products(left, right, dtype):
    x, y = (
        LAYOUTS[left](whole(75, 83, dtype=dtype)),
        LAYOUTS[right](whole(83, 97, dtype=dtype, seed=1)),
    )
    np.testing.assert_array_equal((own(x) @ own(y)).numpy(), x @ y)


SIZES = [1, 2, 3, 5, 6, 7, 8, 13, 14, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 129]


@pytest.mark.parametrize("m", SIZES)
def test_sizes_around_the_tiles(m):
    for k in (1, 4, 15, 16, 17, 130):
        for n in (1, 7, 8, 31, 32, 33, 95):
            x, y = whole(m, k), whole(k, n, seed=1)
            np.testing.assert_array_equal((own(x) @ own(y)).numpy(), x @ y)


@pytest.mark.parametrize(
    ("m", "k", "n"), [(600, 700, 500), (14, 3000, 900), (2000, 64, 64), (4, 5000, 40)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sizes_of_several_blocks_and_threads(m, k, n, dtype):
    x, y = whole(m, k, dtype=dtype), whole(k, n, dtype=dtype, seed=1)
    for count in (1, 3):
        with threads.limited(count):
            np.testing.assert_array_equal((own(x) @ own(y)).numpy(), x @ y)
            np.testing.assert_array_equal((own(y.T) @ own(x.T)).numpy(), (x @ y).T)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint16, np.int64])
def test_integers(dtype):
    x, y = np.abs(whole(40, 50)).astype(dtype), np.abs(whole(50, 60, seed=1)).astype(dtype)
    np.testing.assert_array_equal((own(x) @ own(y)).numpy(), x @ y)


@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 70, 40), (3, 40, 50)),
        ((2, 1, 60, 30), (4, 30, 70)),
        ((50,), (50, 60)),
        ((7, 50), (50,)),
        ((9,), (9,)),
        ((5, 300), (300,)),
        ((64, 1000), (1000,)),
    ],
)
def test_batches_and_vectors(shapes):
    x, y = whole(*shapes[0]), whole(*shapes[1], seed=1)
    np.testing.assert_array_equal((own(x) @ own(y)).numpy(), x @ y)


@pytest.mark.parametrize(
    "spec",
    ["ij,jk->ik", "ij,kj->ik", "ji,jk->ki", "bij,bjk->bik", "bij,bjk->ikb", "bihd,bjhd->bhij", "ijk,jkl->il",
     "ijk,kjl->li", "ij,ij->", "ij,ij->j", "i,j->ij", "bi,bj->bij", "iji,jk->k", "abc,cd->dab", "ab,cd->abcd"],
)  # fmt: skip
def test_einsum(spec):
    sizes = dict(zip("abcdhijkl", (5, 4, 6, 7, 3, 33, 18, 40, 21), strict=True))
    x, y = (
        whole(*(sizes[c] for c in part), seed=i)
        for i, part in enumerate(spec.split("->")[0].split(","))
    )
    expected = np.einsum(spec, x, y, optimize=True)
    np.testing.assert_array_equal(ts.einsum(spec, own(x), own(y)).numpy(), expected)


@given(
    n=st.integers(1, 3), c=st.integers(1, 9), o=st.integers(1, 20), h=st.integers(3, 12), w=st.integers(3, 12),
    kh=st.integers(1, 3), kw=st.integers(1, 3), stride=st.integers(1, 3), padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
)  # fmt: skip
def test_convolutions_by_their_definition(n, c, o, h, w, kh, kw, stride, padding, dilation):
    if (kh - 1) * dilation + 1 > h + 2 * padding or (kw - 1) * dilation + 1 > w + 2 * padding:
        return
    x, weight = whole(n, c, h, w), whole(o, c, kh, kw, seed=1)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, ((kh - 1) * dilation + 1, (kw - 1) * dilation + 1), axis=(2, 3)
    )[:, :, ::stride, ::stride, ::dilation, ::dilation]
    expected = np.einsum("nchwij,ocij->nohw", windows, weight, optimize=True)
    got = F.conv2d(own(x), own(weight), stride=stride, padding=padding, dilation=dilation)
    np.testing.assert_array_equal(got.numpy(), expected)


def test_nan_and_infinity_stay_in_their_rows():
    x, y = whole(64, 64), whole(64, 64, seed=1)
    x[3, 5], y[7, 11] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal((own(x) @ own(y)).numpy(), x @ y)


def test_every_packing_is_chosen():
    """Contiguous columns by runs, contiguous sums by transposed squares, the rest by a gather."""
    width, lanes = 32, 16
    even = np.arange(64, dtype=np.int64)
    assert packing.choose(even, even * 64, width, lanes).kind == "runs"
    assert packing.choose(even * 64, even, width, lanes).kind == "transpose"
    assert packing.choose(even * 64, even * 3, width, lanes).kind == "gather"
    assert packing.choose(even * 64, even[:4], width, lanes).kind == "gather"


@pytest.mark.parametrize("rows", range(1, 60))
def test_tiles_fit_their_rows(rows):
    tile = tiles.tile_for(ts.float32, rows)
    padded = -(-rows // tile.rows) * tile.rows
    assert 4 <= tile.rows <= 14
    assert padded < max(rows, 4) + tile.rows
    if machine.vector_bytes() == 64:  # with 32 registers there is a choice
        assert padded <= max(1.34 * rows, rows + 3)


def test_numbers_are_not_added_one_by_one():
    """Sums keep several partial ones, so their error grows slowly."""
    x = np.full((8, 1 << 20), 0.1, np.float32)
    y = np.ones((1 << 20, 16), np.float32)
    exact = np.float64(np.float32(0.1)) * (1 << 20)
    assert abs((own(x) @ own(y)).numpy() / exact - 1).max() < 1e-4
    assert abs(own(x).sum(axis=1).numpy() / exact - 1).max() < 1e-5
