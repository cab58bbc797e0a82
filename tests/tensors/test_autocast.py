"""Which functions compute in which precision inside `ts.autocast`, and that nothing else changes."""

import glob
import pathlib
import re

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn
from tessella.arguments.precision import AS_GIVEN, FLOAT32, LOWER, TABLE, WIDEST
from tessella.nn import functional as F

HALVES = [ts.bfloat16, ts.float16]
random = np.random.default_rng(0)


def floats(*shape, dtype=ts.float32):
    return ts.asarray(random.random(shape, np.float32) * 0.5 + 0.25).astype(dtype)


def labels(*shape):
    return ts.asarray(random.integers(0, 3, shape))


def pair(*shape):
    return floats(*shape), floats(*shape, dtype=ts.bfloat16)


# How each function is called: one that takes several dtypes with several.
CALLS = {
    "matmul": lambda: floats(2, 3) @ floats(3, 2), "mm": lambda: ts.mm(floats(2, 3), floats(3, 2)),
    "mv": lambda: ts.mv(floats(2, 3), floats(3)), "bmm": lambda: ts.bmm(floats(2, 2, 3), floats(2, 3, 2)),
    "addmm": lambda: ts.addmm(floats(2, 2), floats(2, 3), floats(3, 2)),
    "addmv": lambda: ts.addmv(floats(2), floats(2, 3), floats(3)),
    "addr": lambda: ts.addr(floats(2, 3), floats(2), floats(3)),
    "baddbmm": lambda: ts.baddbmm(floats(2, 2, 2), floats(2, 2, 3), floats(2, 3, 2)),
    "einsum": lambda: ts.einsum("ij,jk->ik", floats(2, 3), floats(3, 2)),
    "vecdot": lambda: ts.vecdot(floats(2, 3), floats(2, 3)),
    "linear": lambda: F.linear(floats(2, 3), floats(4, 3), floats(4)),
    "prelu": lambda: F.prelu(floats(2, 3), floats(3)),
    "scaled_dot_product_attention": lambda: F.scaled_dot_product_attention(*[floats(2, 3, 4)] * 3),
    "convolution": lambda: nn.Conv2d(2, 3, 1)(floats(1, 2, 3, 3)),
    "transposed_convolution": lambda: nn.ConvTranspose1d(2, 3, 1)(floats(1, 2, 3)),
    "recurrence": lambda: nn.LSTM(3, 2)(floats(4, 1, 3))[0], "step": lambda: nn.GRUCell(3, 2)(floats(1, 3)),
    "pow": lambda: floats(3, dtype=ts.bfloat16) ** 2, "power": lambda: 2.0 ** floats(3, dtype=ts.bfloat16),
    "norm": lambda: ts.norm(floats(3, dtype=ts.bfloat16)),
    "softmax": lambda: nn.Softmax(-1)(floats(2, 3, dtype=ts.bfloat16)),
    "interpolate": lambda: F.interpolate(floats(1, 1, 4, dtype=ts.bfloat16), scale_factor=2),
    "local_response_norm": lambda: F.local_response_norm(floats(1, 3, 2, dtype=ts.bfloat16), 2),
    "layer_norm": lambda: F.layer_norm(floats(2, 3, dtype=ts.bfloat16), (3,)),
    "rms_norm": lambda: F.rms_norm(floats(2, 3, dtype=ts.bfloat16), (3,)),
    "group_norm": lambda: F.group_norm(floats(2, 4, dtype=ts.bfloat16), 2),
    "cumulative_sum": lambda: ts.cumsum(floats(3, dtype=ts.bfloat16), 0),
    "cumulative_prod": lambda: ts.cumprod(floats(3, dtype=ts.bfloat16), 0),
    "logsumexp": lambda: ts.logsumexp(floats(3, dtype=ts.bfloat16), 0),
    "log_softmax": lambda: F.log_softmax(floats(3, dtype=ts.bfloat16), 0),
    "dist": lambda: ts.dist(*pair(3)), "cdist": lambda: ts.cdist(*pair(2, 3)),
    "pdist": lambda: F.pdist(floats(3, 2, dtype=ts.bfloat16)),
    "kl_div": lambda: F.kl_div(*pair(2, 3), reduction="batchmean"),
    "cross_entropy": lambda: F.cross_entropy(floats(2, 3, dtype=ts.bfloat16), labels(2)),
    "nll_loss": lambda: F.nll_loss(floats(2, 3, dtype=ts.bfloat16), labels(2)),
    "multi_margin_loss": lambda: F.multi_margin_loss(floats(2, 3, dtype=ts.bfloat16), labels(2)),
    "multilabel_margin_loss": lambda: F.multilabel_margin_loss(floats(2, 3, dtype=ts.bfloat16), labels(2, 3)),
    "ctc_loss": lambda: F.ctc_loss(
        F.log_softmax(floats(4, 1, 3, dtype=ts.bfloat16), -1).astype(ts.bfloat16), ts.asarray([[1, 2]]),
        ts.asarray([4]), ts.asarray([2]),
    ),
    "gaussian_nll_loss": lambda: F.gaussian_nll_loss(*pair(3), floats(3, dtype=ts.bfloat16)),
    "linear_cross_entropy": lambda: F.linear_cross_entropy(
        floats(2, 3, dtype=ts.bfloat16), floats(3, 3, dtype=ts.bfloat16), labels(2)
    ),
    "cosine_embedding_loss": lambda: F.cosine_embedding_loss(*pair(2, 3), ts.ones(2)),
    "hinge_embedding_loss": lambda: F.hinge_embedding_loss(floats(2, dtype=ts.bfloat16), ts.ones(2, dtype=ts.bfloat16)),
    "soft_margin_loss": lambda: F.soft_margin_loss(floats(2, dtype=ts.bfloat16), ts.ones(2, dtype=ts.bfloat16)),
    "margin_ranking_loss": lambda: F.margin_ranking_loss(*pair(3), ts.ones(3)),
    "triplet_margin_loss": lambda: F.triplet_margin_loss(*pair(2, 3), floats(2, 3)),
    "addcdiv": lambda: ts.addcdiv(*pair(3), floats(3)), "addcmul": lambda: ts.addcmul(*pair(3), floats(3)),
    "where": lambda: ts.where(ts.asarray([True, False]), *pair(2)), "concat": lambda: ts.concat(pair(2)),
    "stack": lambda: ts.stack(pair(2)), "tensordot": lambda: ts.tensordot(*pair(3), axes=1),
    "bilinear": lambda: F.bilinear(*pair(2, 3), floats(4, 3, 3)), "cross": lambda: ts.cross(*pair(2, 3)),
    "grid_sample": lambda: F.grid_sample(floats(1, 1, 3, 3), floats(1, 2, 2, 2, dtype=ts.bfloat16)),
    "scatter_add": lambda: ts.scatter_add(floats(3), 0, ts.asarray([0, 1]), floats(2, dtype=ts.bfloat16)),
    "batch_norm": lambda: nn.BatchNorm1d(3)(floats(4, 3, dtype=ts.bfloat16)),
    "instance_norm": lambda: nn.InstanceNorm1d(3, affine=True)(floats(2, 3, 4, dtype=ts.bfloat16)),
}  # fmt: skip
for rank in (1, 2, 3):
    CALLS[f"conv{rank}d"] = lambda rank=rank: getattr(F, f"conv{rank}d")(
        floats(1, 2, *(3,) * rank), floats(2, 2, *(1,) * rank), floats(2)
    )
    CALLS[f"conv_transpose{rank}d"] = lambda rank=rank: getattr(F, f"conv_transpose{rank}d")(
        floats(1, 2, *(3,) * rank), floats(2, 2, *(1,) * rank)
    )
ROWS = [(row, name) for row, names in TABLE.items() for name in names.split()]


def function(name):
    return getattr(ts, name) if hasattr(ts, name) else getattr(F, name)


def called(row, name):
    """A call of a function of the table: of floats for products, of halves for what needs more."""
    if name in CALLS:
        return CALLS[name]()
    kind = ts.bfloat16 if row == FLOAT32 else ts.float32
    two = name.endswith(("_loss", "_logits", "entropy")) or name in (
        "add", "subtract", "multiply", "divide", "atan2", "dot", "vdot", "inner", "outer", "cosine_similarity",
        "pairwise_distance",
    )  # fmt: skip
    shape = (2, 3) if row == FLOAT32 else (3,)
    if not two:
        return function(name)(floats(*shape, dtype=kind))
    return function(name)(*(pair(3) if row == WIDEST else [floats(*shape, dtype=kind)] * 2))


EXPECTED = {LOWER: ts.float16, FLOAT32: ts.float32, WIDEST: ts.float32, AS_GIVEN: ts.bfloat16}


@pytest.mark.parametrize(("row", "name"), ROWS)
def test_every_function_of_the_table_computes_in_its_row_s_precision(row, name):
    with ts.autocast(ts.float16):
        assert called(row, name).dtype is EXPECTED[row]


# What PyTorch has under another name, or in parts of its own, and what is not here.
ELSEWHERE = {
    "_convolution": "convolution", "_thnn_fused_lstm_cell": "recurrence", "_thnn_fused_gru_cell": "recurrence",
    "lstm_cell": "step", "gru_cell": "step", "rnn_tanh_cell": "step", "rnn_relu_cell": "step",
    "_scaled_dot_product_flash_attention": "scaled_dot_product_attention", "linalg_vecdot": "vecdot",
    "native_layer_norm": "layer_norm", "frobenius_norm": "norm", "linalg_vector_norm": "norm", "nll_loss2d": "nll_loss",
    "cumprod": "cumulative_prod", "cumsum": "cumulative_sum", "grid_sampler": "grid_sample",
    "conv_tbc": None, "addbmm": None, "chain_matmul": None, "linalg_multi_dot": None, "nuclear_norm": None,
    "linalg_matrix_norm": None, "renorm": None, "index_put": None,
}  # fmt: skip


@pytest.mark.peers
@pytest.mark.parametrize(
    ("heading", "row"),
    [("LOWER_PRECISION_FP", LOWER), ("FP32", FLOAT32), ("FP32_SET_OPT_DTYPE", FLOAT32), ("PROMOTE", WIDEST)],
)  # fmt: skip
def test_the_table_is_pytorch_s(heading, row):
    torch = pytest.importorskip("torch")
    header = glob.glob(f"{torch.__path__[0]}/include/ATen/autocast_mode.h")
    if not header:
        pytest.skip("this PyTorch comes without its headers")
    with open(header[0]) as file:
        listed = file.read().split(f"#define AT_FORALL_{heading}(_)")[1].split("\n\n")[0]
    for name in re.findall(r"_\((\w+)", listed):
        ours = "interpolate" if "upsample" in name else ELSEWHERE.get(name, name)
        if ours is None:
            assert not hasattr(ts, name), name
            assert not hasattr(F, name), name
        else:
            assert ours in TABLE[row].split(), name


@pytest.mark.peers
def test_results_have_the_dtypes_of_pytorch():
    """Of the functions that are in its lists for processors, too."""
    torch = pytest.importorskip("torch")
    T = torch.nn.functional
    x, w, image = floats(4, 3), floats(5, 3), floats(2, 3, 4, 4)
    rows = [
        (lambda t, f, x, w, i: x @ w.T), (lambda t, f, x, w, i: f.linear(x, w)),
        (lambda t, f, x, w, i: t.einsum("ij,kj->ik", x, w)), (lambda t, f, x, w, i: f.conv2d(i, i[:1])),
        (lambda t, f, x, w, i: f.mse_loss(x @ w.T, x @ w.T)), (lambda t, f, x, w, i: (x @ w.T) + x[:, :1]),
        (lambda t, f, x, w, i: f.gelu(x @ w.T)), (lambda t, f, x, w, i: f.relu(x @ w.T) * 2.0),
        (lambda t, f, x, w, i: f.max_pool2d(f.conv2d(i, i[:1, :, :1, :1]), 2)),
        (lambda t, f, x, w, i: f.batch_norm(f.conv2d(i, i[:1, :, :1, :1]), None, None, training=True)),
        (lambda t, f, x, w, i: t.mean(x @ w.T)), (lambda t, f, x, w, i: f.dropout(x @ w.T, 0.5)),
        (lambda t, f, x, w, i: f.scaled_dot_product_attention(i, i, i)),
        (lambda t, f, x, w, i: t.tanh(x @ w.T)), (lambda t, f, x, w, i: (x @ w.T).astype(ts.float32) if t is ts else (x @ w.T).float()),
    ]  # fmt: skip
    for number, row in enumerate(rows):
        with ts.autocast("cpu", dtype=ts.bfloat16):
            ours = row(ts, F, x, w, image)
        with torch.autocast("cpu", torch.bfloat16):
            theirs = row(torch, T, *(torch.tensor(y.numpy()) for y in (x, w, image)))
        assert str(theirs.dtype).removeprefix("torch.") == ours.dtype.name, number


@pytest.mark.parametrize("dtype", HALVES)
def test_gradients_of_parameters_are_float32_and_near(dtype):
    model = nn.Sequential(nn.Linear(3, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 2))
    x, y = floats(16, 3), floats(16, 2)

    def loss(dtype=None):
        with ts.autocast(dtype, enabled=dtype is not None):
            return F.mse_loss(model(x), y)

    parameters = [*model.parameters()]
    plain = ts.gradients([loss()], parameters)
    for whole in (loss(dtype), ts.jit(loss)(dtype)):
        for exact, found in zip(plain, ts.gradients([whole], parameters), strict=True):
            assert found.dtype is ts.float32
            assert np.abs(exact.numpy() - found.numpy()).max() < 0.02


def _network(x, w):
    y = F.layer_norm(ts.tanh(x @ w), (5,))
    return (ts.softmax(y @ w.T, axis=-1) ** 2).sum()


TRANSFORMED = {
    "itself": lambda x, w: _network(x, w),
    "grad": lambda x, w: ts.grad(_network, argnums=1)(x, w),
    "vmap": lambda x, w: ts.vmap(lambda row: _network(row[None], w))(x),
    "gradients of examples": lambda x, w: ts.vmap(ts.grad(lambda row: _network(row[None], w)))(x),
    "jvp": lambda x, w: ts.jvp(_network, (x, w), (x, w))[1],
    "second derivative": lambda x, w: ts.grad(lambda x: (ts.grad(_network)(x, w) ** 2).sum())(x),
    "checkpoint": lambda x, w: ts.grad(ts.checkpoint(_network))(x, w),
    "scan": lambda x, w: ts.scan(lambda c, row: (c + _network(row[None], w), c), ts.zeros(()), x)[
        0
    ],
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_transformations_of_cast_functions_compile(name):
    x, w = floats(4, 3), floats(3, 5)
    with ts.autocast(ts.bfloat16):
        plain, compiled = TRANSFORMED[name](x, w), ts.jit(TRANSFORMED[name])(x, w)
    assert plain.dtype is compiled.dtype is ts.float32
    np.testing.assert_allclose(compiled.numpy(), plain.numpy(), rtol=0.02, atol=0.02)
    assert np.abs(plain.numpy() - TRANSFORMED[name](x, w).numpy()).max() < 0.2


def test_a_compiled_function_follows_the_block_it_is_called_in():
    x, w = floats(2, 3), floats(3, 2)
    product = ts.jit(lambda: x @ w)
    assert product().dtype is ts.float32
    for dtype in HALVES * 2:
        with ts.autocast(dtype):
            assert product().dtype is dtype
            with ts.autocast(enabled=False):
                assert product().dtype is ts.float32
    assert product().dtype is ts.float32
    assert product.traces[1:] == [
        "autocast casts to bfloat16 now",
        "autocast casts to float16 now",
    ]
    inside = ts.jit(ts.autocast(ts.bfloat16)(lambda x: x @ w))
    assert inside(x).dtype is ts.bfloat16


def test_backward_inside_a_block_is_as_outside():
    w = floats(3, 3).requires_grad_()
    gradients = []
    for inside in (True, False):
        w.grad = None
        with ts.autocast(ts.float16):
            y = (floats(4, 3) * 0 + 0.5) @ w
            loss = (ts.exp(y) * y).sum()
            if inside:
                loss.backward()
        if not inside:
            loss.backward()
        gradients.append(w.grad.numpy())
    np.testing.assert_array_equal(*gradients)


def test_parameters_are_cast_once_while_they_stay_as_they_are():
    layer, x = nn.Linear(3, 3, bias=False), floats(2, 3)
    casts = []
    with ts.autocast(ts.bfloat16), ts.profile() as profile:
        for _ in range(4):
            layer(x)
    cast = [event for event in profile.events if event.name == "cast_bfloat16"]
    assert len(cast) == 1 + 4  # the weight's, and those of x
    with ts.autocast(ts.bfloat16):
        for _ in range(2):  # the history of the cast goes with the first backward pass
            layer.weight.grad = None
            layer(layer(x)).sum().backward()
            casts.append(layer.weight.grad.numpy())
        with ts.no_grad():
            before = layer(x).numpy()
            layer.weight.assign(layer.weight * 2.0)
            np.testing.assert_array_equal(layer(x).numpy(), before * 2)
        layer(x).sum().backward()
        assert layer.weight.grad.dtype is ts.float32
    np.testing.assert_array_equal(*casts)
    assert not ts.is_autocast_enabled()


@pytest.mark.parametrize("name", ["Muon", "LAMB", "Adafactor"])
def test_a_step_of_an_optimiser_inside_a_block_is_as_outside(name):
    moved = []
    for enabled in (True, False):
        weight = nn.Parameter(
            ts.asarray(np.linspace(-1.0, 1.0, 12, dtype=np.float32).reshape(3, 4))
        )
        optimiser = getattr(ts.optim, name)([weight], lr=0.1)
        with ts.autocast(ts.float16, enabled=enabled):
            for _ in range(2):
                weight.grad = ts.asarray(np.cos(weight.numpy()))
                optimiser.step()
        moved.append(weight.numpy())
    np.testing.assert_array_equal(*moved)


def test_what_is_no_float_stays_and_so_does_float64():
    with ts.autocast(ts.float16):
        assert (
            ts.ones((2, 2), dtype=ts.float64) @ ts.ones((2, 2), dtype=ts.float64)
        ).dtype is ts.float64
        assert (ts.ones((2, 2), dtype=ts.int32) @ ts.ones((2, 2), dtype=ts.int32)).dtype is ts.int32
        assert (ts.ones((2, 2), dtype=ts.bfloat16) @ ts.ones((2, 2))).dtype is ts.float16


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (lambda: ts.autocast(ts.float32), errors.DTypeError, "autocast: float32 was given; expected ts.bfloat16 or ts.float16"),
        (lambda: ts.autocast("gpu"), errors.DeviceError, "there is no device 'gpu'"),
        (lambda: ts.autocast(ts.float16, ts.bfloat16), errors.ArgumentError, "dtype was given twice"),
        (lambda: ts.autocast(3), errors.DTypeError, "int is not a data type"),
    ],
)  # fmt: skip
def test_what_is_said_about_arguments(make, kind, said):
    with pytest.raises(kind, match=re.escape(said)):
        make()


def test_a_block_shows_itself():
    assert repr(ts.autocast(ts.bfloat16)) == "autocast(tessella.bfloat16)"
    assert repr(ts.autocast("cpu", enabled=False)) == "autocast(enabled=False)"


def test_the_page_shows_the_table():
    page = (pathlib.Path(__file__).parents[2] / "docs" / "precision.md").read_text(encoding="utf8")
    table = page.split("<!-- the table of precisions -->")[1].split("\n\n")[1]
    shown = [re.findall(r"`(\w+)`", line) for line in table.splitlines()[2:]]
    assert shown == [names.split() for names in TABLE.values()]
