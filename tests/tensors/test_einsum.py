"""einsum against NumPy's, and einops on tensors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tessella as ts
from tessella import errors

SIZES = dict(zip("abcdefg", (2, 3, 4, 5, 3, 2, 1), strict=True))


def check(equation, *shapes, seed=0, **options):
    random = np.random.default_rng(seed)
    arrays = [random.standard_normal(shape) for shape in shapes]
    expected = np.einsum(equation, *arrays)
    got = ts.einsum(equation, *[ts.asarray(x) for x in arrays], **options)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("ba", [(2, 3)]), ("ii", [(4, 4)]),
        ("ii->i", [(4, 4)]), ("iji->j", [(4, 3, 4)]), ("iii->i", [(3, 3, 3)]), ("i,i", [(5,), (5,)]),
        ("i,j->ij", [(5,), (3,)]), ("ij->", [(2, 3)]), ("ij->j", [(2, 3)]), ("...ij,...jk->...ik", [(5, 2, 3), (3, 4)]),
        ("...ij,...jk", [(5, 2, 3), (5, 3, 4)]), ("...i->...", [(2, 3, 4)]), ("i...->...", [(2, 3, 4)]),
        ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]), ("a,ab,abc->abc", [(2,), (2, 3), (2, 3, 4)]),
        ("ij,kj,lk,ml->im", [(2, 3), (4, 3), (5, 4), (6, 5)]), ("ab,b,c->", [(2, 3), (3,), (4,)]),
        (",i->i", [(), (3,)]), ("ab,ab->ab", [(2, 3), (1, 3)]), ("i...,i...->...", [(3, 2, 4), (3, 4)]),
        ("ij,jk,ki->", [(2, 3), (3, 4), (4, 2)]), ("...,...->...", [(2, 3), (3,)]), ("ij, jk -> ik", [(0, 3), (3, 2)]),
        ("ij,jk->ik", [(2, 0), (0, 3)]),
    ],
)  # fmt: skip
def test_as_numpy(equation, shapes):
    check(equation, *shapes)
    check(equation, *shapes, optimize=False)


@given(st.data())
def test_random_equations(data):
    terms = data.draw(st.lists(st.text("abcdefg", min_size=0, max_size=4), min_size=1, max_size=4))
    labels = sorted(set("".join(terms)))
    result = data.draw(st.permutations(labels))[: data.draw(st.integers(0, len(labels)))]
    equation = f"{','.join(terms)}->{''.join(result)}"
    check(equation, *[tuple(SIZES[c] for c in term) for term in terms], seed=len(equation))


def test_transformed():
    random = np.random.default_rng(1)
    a, b, c = (ts.asarray(random.standard_normal(s)) for s in ((3, 4), (4, 5), (5, 3)))

    def f(a, b, c):
        return ts.einsum("ij,jk,ki->", a, b, c)

    grads = ts.grad(f, (0, 1, 2))(a, b, c)
    np.testing.assert_allclose(grads[0].numpy(), (b.numpy() @ c.numpy()).T)
    np.testing.assert_allclose(ts.jit(ts.grad(f))(a, b, c).numpy(), grads[0].numpy())
    batch = ts.stack([a, a * 2.0])
    got = ts.vmap(f, in_axes=(0, None, None))(batch, b, c)
    np.testing.assert_allclose(got.numpy(), [f(a, b, c).item(), 2 * f(a, b, c).item()])


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (("ij,jk->ik", ts.ones((2, 3))), errors.ArgumentError, "is for 2 operands, and 1 were given"),
        (("ij->ik", ts.ones((2, 3))), errors.ArgumentError, "the label 'k', and no operand"),
        (("ij,jk->ik", ts.ones((2, 3)), ts.ones((4, 5))), errors.ShapeError, "'j' stands for 3 and for 4"),
        (("ijk->i", ts.ones((2, 3))), errors.ShapeError, "'ijk' is for 3 axes, and its operand has 2"),
        (("...ijk->i", ts.ones((2, 3))), errors.ShapeError, "3 axes or more"),
        (("ij->ii", ts.ones((2, 3))), errors.ArgumentError, "names an axis twice"),
        (("i1->i", ts.ones((2, 3))), errors.ArgumentError, "labels are letters"),
        ((3, ts.ones(2)), errors.ArgumentTypeError, "einsum: equation is 3; expected text"),
    ],
)  # fmt: skip
def test_messages(arguments, kind, text):
    with pytest.raises(kind, match=text):
        ts.einsum(*arguments)


def test_an_unknown_way_to_optimise():
    with pytest.raises(errors.ArgumentError, match="'auto', 'optimal'"):
        ts.einsum("i,i,i", *[ts.ones(2)] * 3, optimize="best")


def test_einops():
    einops = pytest.importorskip("einops")
    x = np.random.default_rng(2).standard_normal((2, 6, 4, 3))
    t = ts.asarray(x)
    for call in (
        lambda m, x: m.rearrange(x, "b (h w) c d -> b c h (w d)", h=2),
        lambda m, x: m.reduce(x, "b (h p) c d -> b h c", "mean", p=3),
        lambda m, x: m.reduce(x, "b h c d -> b () c 1", "max"),
        lambda m, x: m.repeat(x, "b h c d -> b h (r c) d n", r=2, n=3),
        lambda m, x: m.einsum(x, x, "b h c d, b h e d -> b c e"),
        lambda m, x: m.pack([x, x], "* c d")[0],
    ):
        expected = call(einops, x)
        np.testing.assert_allclose(call(einops, t).numpy(), expected)
        np.testing.assert_allclose(
            ts.jit(lambda t, call=call: call(einops, t))(t).numpy(), expected
        )
        batch = ts.vmap(lambda t, call=call: call(einops, t))(ts.stack([t, t]))
        np.testing.assert_allclose(batch[1].numpy(), expected)
    slope = ts.grad(lambda t: einops.reduce(t, "b h c d -> ", "mean"))(t)
    np.testing.assert_allclose(slope.numpy(), np.full(x.shape, 1 / x.size))


def test_einops_is_not_imported_by_us():
    import subprocess
    import sys

    code = (
        "import sys, tessella as ts; assert 'einops' not in sys.modules\n"
        "import einops; print(einops.rearrange(ts.ones((2, 3)), 'a b -> (b a)').shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(6,)", done.stderr
