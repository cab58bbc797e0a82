"""Layers, losses, optimisers and checkpoints give PyTorch's numbers."""

import numpy as np
import pytest

import tessella as ts
from tessella import nn, optim
from tessella.nn import functional as F

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers
T = torch.nn.functional


def pair(array, gradient=True):
    """The same numbers as our tensor and as PyTorch's."""
    array = np.asarray(array)
    own, peer = ts.asarray(array), torch.tensor(array)
    if gradient and array.dtype.kind == "f":
        own, peer = own.requires_grad_(), peer.requires_grad_()
    return own, peer


def agree(own, peer, tolerance=1e-5):
    if peer is None:
        assert own is None or not own.numpy().any()
        return
    peer = peer.detach().numpy()
    assert own.shape == peer.shape
    np.testing.assert_allclose(own.numpy(), peer, rtol=tolerance, atol=tolerance)


def compare(own_function, peer_function, *arrays, tolerance=1e-5):
    """Results and the gradients of all inputs agree."""
    pairs = [pair(array) for array in arrays]
    own = own_function(*(p[0] for p in pairs))
    peer = peer_function(*(p[1] for p in pairs))
    agree(own, peer, tolerance)
    weight = np.cos(np.arange(max(own.size, 1))).reshape(own.shape)
    if not own.requires_grad:
        return
    own.backward(ts.asarray(weight.astype(own.dtype.numpy)))
    peer.backward(torch.tensor(weight, dtype=peer.dtype))
    for x, y in pairs:
        if y.requires_grad:
            agree(x.grad, y.grad, tolerance)


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


ACTIVATIONS = [
    "relu", "sigmoid", "tanh", "softplus", "logsigmoid", "leaky_relu", "elu", "silu", "gelu", "mish",
    "softsign", "hardtanh",
]  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    x = np.concatenate([4 * normal(200), [0.5, -0.5, 30.0, -30.0]]).astype(np.float32)
    compare(getattr(F, name), getattr(T, name), x)


def test_activations_with_options():
    x = 3 * normal(50)
    compare(lambda x: F.leaky_relu(x, 0.3), lambda x: T.leaky_relu(x, 0.3), x)
    compare(lambda x: F.elu(x, 2.0), lambda x: T.elu(x, 2.0), x)
    compare(lambda x: F.gelu(x, "tanh"), lambda x: T.gelu(x, approximate="tanh"), x)
    compare(lambda x: F.hardtanh(x, -2, 0.5), lambda x: T.hardtanh(x, -2, 0.5), x)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax(dim):
    x = 20 * normal(4, 5, 6)
    compare(lambda x: F.softmax(x, dim), lambda x: T.softmax(x, dim), x)
    compare(lambda x: F.log_softmax(x, dim), lambda x: T.log_softmax(x, dim), x)


CONVOLUTIONS = [
    dict(),
    dict(stride=2, padding=1),
    dict(stride=(2, 1), padding=(0, 2), dilation=(1, 2)),
    dict(padding="same"),
    dict(padding="same", dilation=2),
    dict(groups=2),
    dict(groups=4, padding=1),
    dict(groups=2, stride=3, dilation=2, padding=3),
]


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("kernel", [(3, 3), (2, 4), (1, 1)])
def test_conv2d(options, kernel):
    groups = options.get("groups", 1)
    if "same" in options.values() and kernel[0] % 2 == 0 and "dilation" not in options:
        kernel = (3, 5)  # PyTorch warns about even kernels here
    arrays = normal(2, 4, 11, 9), normal(8, 4 // groups, *kernel, seed=1), normal(8, seed=2)
    compare(
        lambda x, w, b: F.conv2d(x, w, b, **options),
        lambda x, w, b: T.conv2d(x, w, b, **options),
        *arrays,
        tolerance=1e-4,
    )


def test_conv1d_conv3d_and_no_batch():
    one = dict(stride=2, padding=2, dilation=2)
    compare(
        lambda x, w: F.conv1d(x, w, **one), lambda x, w: T.conv1d(x, w, **one),
        normal(3, 4, 20), normal(6, 4, 5, seed=1), tolerance=1e-4,
    )  # fmt: skip
    compare(
        lambda x, w: F.conv3d(x, w, padding=1, stride=(1, 2, 1)),
        lambda x, w: T.conv3d(x, w, padding=1, stride=(1, 2, 1)),
        normal(2, 3, 5, 6, 7), normal(4, 3, 3, 3, 3, seed=1), tolerance=1e-4,
    )  # fmt: skip
    compare(F.conv2d, T.conv2d, normal(4, 9, 9), normal(3, 4, 3, 3, seed=1), tolerance=1e-4)


@pytest.mark.parametrize("shape", [(8, 64, 14, 14), (1, 3, 33, 17), (2, 5, 3, 3)])
def test_conv2d_sizes_that_are_tiled(shape):
    w = normal(32, shape[1], 3, 3, seed=1)
    compare(
        lambda x, w: F.conv2d(x, w, padding=1), lambda x, w: T.conv2d(x, w, padding=1),
        normal(*shape), w, tolerance=1e-3,
    )  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        dict(kernel_size=2),
        dict(kernel_size=3, stride=2, padding=1),
        dict(kernel_size=(3, 2), stride=1),
        dict(kernel_size=2, stride=3),
    ],
    ids=str,
)
def test_pooling(options):
    x = normal(2, 3, 10, 12)
    compare(lambda x: F.max_pool2d(x, **options), lambda x: T.max_pool2d(x, **options), x)
    compare(lambda x: F.avg_pool2d(x, **options), lambda x: T.avg_pool2d(x, **options), x)


def test_pooling_along_one_axis_and_dilated():
    x = normal(2, 3, 20)
    compare(lambda x: F.max_pool1d(x, 3, 2, 1), lambda x: T.max_pool1d(x, 3, 2, 1), x)
    compare(lambda x: F.avg_pool1d(x, 4), lambda x: T.avg_pool1d(x, 4), x)
    y = normal(2, 3, 12, 12)
    compare(
        lambda x: F.max_pool2d(x, 3, 1, 1, 2), lambda x: T.max_pool2d(x, 3, 1, 1, dilation=2), y
    )


@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 5), (3, 4, 5, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(shape, training):
    own_mean, own_var = ts.asarray(normal(4, seed=5)), ts.asarray(np.abs(normal(4, seed=6)) + 0.5)
    mean, var = torch.tensor(own_mean.numpy().copy()), torch.tensor(own_var.numpy().copy())
    compare(
        lambda x, w, b: F.batch_norm(x, own_mean, own_var, w, b, training, 0.3, 1e-3),
        lambda x, w, b: T.batch_norm(x, mean, var, w, b, training, 0.3, 1e-3),
        3 * normal(*shape) + 1, normal(4, seed=1), normal(4, seed=2), tolerance=1e-4,
    )  # fmt: skip
    agree(own_mean, mean)
    agree(own_var, var)


def test_layer_norm_linear_embedding():
    compare(
        lambda x, w, b: F.layer_norm(x, (5, 6), w, b), lambda x, w, b: T.layer_norm(x, (5, 6), w, b),
        normal(3, 5, 6), normal(5, 6, seed=1), normal(5, 6, seed=2), tolerance=1e-4,
    )  # fmt: skip
    compare(F.linear, T.linear, normal(2, 7, 5), normal(3, 5, seed=1), normal(3, seed=2))
    compare(F.linear, T.linear, normal(5), normal(3, 5, seed=1))
    compare(F.embedding, T.embedding, np.array([[1, 1, 0], [4, 1, 2]]), normal(5, 3))


REDUCTIONS = ["mean", "sum", "none"]


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_losses_of_numbers(reduction):
    x, y = 2 * normal(4, 5), 2 * normal(4, 5, seed=1)
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        own, peer = getattr(F, name), getattr(T, name)
        compare(
            lambda x, y, own=own: own(x, y, reduction=reduction),
            lambda x, y, peer=peer: peer(x, y, reduction=reduction), x, y,
        )  # fmt: skip
    p = np.concatenate([np.random.default_rng(0).random(18), [0.0, 1.0]]).astype(np.float32)
    t = np.concatenate([np.random.default_rng(1).random(18), [1.0, 1.0]]).astype(np.float32)
    compare(
        lambda x: F.binary_cross_entropy(x, ts.asarray(t), reduction=reduction),
        lambda x: T.binary_cross_entropy(x, torch.tensor(t), reduction=reduction), p,
    )  # fmt: skip
    compare(
        lambda x: F.binary_cross_entropy_with_logits(x, ts.asarray(t), reduction=reduction),
        lambda x: T.binary_cross_entropy_with_logits(x, torch.tensor(t), reduction=reduction), 50 * p - 25,
    )  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(6, 4), (4,), (3, 4, 5), (2, 4, 3, 2)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore", [-100, 1])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy(reduction, shape, weighted, ignore, smoothing):
    target_shape = () if len(shape) == 1 else (shape[0], *shape[2:])
    target = np.random.default_rng(3).integers(0, 4, target_shape)
    if ignore == 1 and len(shape) == 1:
        target = np.asarray(2)
    weight = np.array([0.5, 1.0, 2.0, 3.0], np.float32) if weighted else None
    options = dict(ignore_index=ignore, reduction=reduction)
    own_weight = None if weight is None else ts.asarray(weight)
    peer_weight = None if weight is None else torch.tensor(weight)
    compare(
        lambda x, t: F.cross_entropy(x, t, own_weight, label_smoothing=smoothing, **options),
        lambda x, t: T.cross_entropy(x, t, peer_weight, label_smoothing=smoothing, **options),
        3 * normal(*shape), target,
    )  # fmt: skip
    if smoothing == 0:
        compare(
            lambda x, t: F.nll_loss(x, t, own_weight, **options),
            lambda x, t: T.nll_loss(x, t, peer_weight, **options),
            3 * normal(*shape), target,
        )  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 5), (4,)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_with_probabilities(reduction, shape, smoothing):
    p = np.random.default_rng(3).random(shape).astype(np.float32)
    options = dict(reduction=reduction, label_smoothing=smoothing)
    compare(
        lambda x, t: F.cross_entropy(x, t, **options),
        lambda x, t: T.cross_entropy(x, t, **options),
        normal(*shape), p / p.sum(axis=1 if len(shape) > 1 else 0, keepdims=True),
    )  # fmt: skip


OPTIMISERS = [
    ("SGD", dict(lr=0.1)),
    ("SGD", dict(lr=0.1, momentum=0.9)),
    ("SGD", dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1)),
    ("SGD", dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)),
    ("SGD", dict(lr=0.1, momentum=0.5, maximize=True)),
    ("Adam", dict(lr=0.1)),
    ("Adam", dict(lr=0.1, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1)),
    ("Adam", dict(lr=0.1, amsgrad=True)),
    ("Adam", dict(lr=0.1, maximize=True)),
    ("AdamW", dict(lr=0.1)),
    ("AdamW", dict(lr=0.1, weight_decay=0.5, amsgrad=True)),
]


def models():
    def build(n):
        return n.Sequential(n.Linear(5, 7), n.Tanh(), n.Linear(7, 3))

    own, peer = build(nn), build(torch.nn)
    own.load_state_dict(peer.state_dict())
    return own, peer


@pytest.mark.parametrize(("name", "options"), OPTIMISERS, ids=str)
def test_optimisers(name, options):
    own, peer = models()
    o, p = (getattr(optim, name), getattr(torch.optim, name))
    o, p = o(own.parameters(), **options), p(peer.parameters(), **options)
    x, y = normal(8, 5), normal(8, 3, seed=1)

    def step():
        o.zero_grad()
        p.zero_grad()
        F.mse_loss(own(ts.asarray(x)), ts.asarray(y)).backward()
        T.mse_loss(peer(torch.tensor(x)), torch.tensor(y)).backward()
        o.step()
        p.step()

    for _ in range(10):
        step()
    for ours, theirs in zip(own.parameters(), peer.parameters(), strict=True):
        agree(ours, theirs, 1e-4)
    o.load_state_dict(p.state_dict())  # a checkpoint of PyTorch's goes on as it would there
    own.load_state_dict(peer.state_dict())
    for _ in range(3):
        step()
    for ours, theirs in zip(own.parameters(), peer.parameters(), strict=True):
        agree(ours, theirs, 1e-4)


def build_convolutional(n):
    return n.Sequential(
        n.Conv2d(1, 8, 3, padding=1), n.BatchNorm2d(8), n.ReLU(), n.MaxPool2d(2),
        n.Conv2d(8, 6, 3, stride=2, bias=False), n.GELU(), n.AvgPool2d(2, 1), n.Flatten(),
        n.Linear(6 * 2 * 2, 10), n.LayerNorm(10),
    )  # fmt: skip


def test_a_network_with_pytorch_s_checkpoint():
    own, peer = build_convolutional(nn), build_convolutional(torch.nn)
    assert list(own.state_dict()) == list(peer.state_dict())
    own.load_state_dict(peer.state_dict())
    x, y = normal(5, 1, 14, 14), np.array([1, 0, 9, 3, 3])
    for _ in range(2):
        ours, theirs = own(ts.asarray(x)), peer(torch.tensor(x))
        agree(ours, theirs, 1e-4)
        F.cross_entropy(ours, ts.asarray(y)).backward()
        T.cross_entropy(theirs, torch.tensor(y)).backward()
    for (name, p), q in zip(own.named_parameters(), peer.parameters(), strict=True):
        np.testing.assert_allclose(
            p.grad.numpy(), q.grad.numpy(), rtol=1e-3, atol=1e-4, err_msg=name
        )
    own.eval(), peer.eval()
    agree(own(ts.asarray(x)), peer(torch.tensor(x)), 1e-4)
    back = {name: torch.from_dlpack(t) for name, t in own.state_dict().items()}
    peer.load_state_dict(back)
    assert repr(own).splitlines()[1] == repr(peer).splitlines()[1]


@pytest.mark.parametrize(
    "build",
    [
        lambda n: n.Linear(400, 300),
        lambda n: n.Conv2d(30, 40, (3, 5)),
        lambda n: n.Conv1d(64, 64, 7, groups=4),
        lambda n: n.Embedding(300, 200),
    ],
)
def test_initial_weights_are_spread_as_pytorch_s(build):
    own, peer = build(nn), build(torch.nn)
    for p, q in zip(own.parameters(), peer.parameters(), strict=True):
        q = q.detach().numpy()
        assert p.shape == q.shape
        tolerance = 6 / np.sqrt(q.size)
        assert float(p.std()) == pytest.approx(q.std(), rel=tolerance)
        assert abs(float(p.mean())) < 6 * q.std() / np.sqrt(q.size)
        if q.size > 1000 and not isinstance(own, nn.Embedding):
            assert float(abs(p).max()) == pytest.approx(np.abs(q).max(), rel=0.05)


def test_dlpack_and_numpy_both_ways():
    x = normal(3, 4)
    own = ts.asarray(x)
    shared = torch.from_dlpack(own.T)
    assert shared.shape == (4, 3)
    assert shared.data_ptr() == own._value.address
    peer = torch.tensor(x)[:, ::2]
    np.testing.assert_array_equal(ts.from_dlpack(peer).numpy(), x[:, ::2])
    np.testing.assert_array_equal(ts.asarray(peer).numpy(), x[:, ::2])
    half = torch.tensor(x, dtype=torch.bfloat16)
    brought = ts.from_dlpack(half[1:])
    assert brought.dtype == ts.bfloat16
    np.testing.assert_array_equal(brought.astype(ts.float32).numpy(), half[1:].float().numpy())
    taken = torch.from_dlpack(ts.asarray(x).astype(ts.bfloat16))
    assert torch.equal(taken, half)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2, "bidirectional": True},
        {"num_layers": 3, "batch_first": True, "bias": False},
    ],
    ids=["plain", "both directions", "three layers"],
)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_lstm(options, compiled):
    peer, own = torch.nn.LSTM(3, 5, **options), nn.LSTM(3, 5, **options)
    own.load_state_dict({name: value.numpy() for name, value in peer.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((4, 6, 3)).astype(np.float32)
    forward = ts.jit(lambda x: own(x)) if compiled else own
    got, (h, c) = forward(ts.asarray(x))
    expected, (peer_h, peer_c) = peer(torch.tensor(x))
    for a, b in ((got, expected), (h, peer_h), (c, peer_c)):
        agree(a.detach(), b)
    (got * got).sum().backward()
    (expected * expected).sum().backward()
    for (name, a), (_, b) in zip(own.named_parameters(), peer.named_parameters(), strict=True):
        np.testing.assert_allclose(
            a.grad.numpy(), b.grad.numpy(), rtol=1e-4, atol=1e-5, err_msg=name
        )
    if not options:
        single, _ = own(ts.asarray(x[:, 0]))
        agree(single.detach(), peer(torch.tensor(x[:, 0]))[0])


@pytest.mark.parametrize("causal", [False, True])
def test_scaled_dot_product_attention(causal):
    random = np.random.default_rng(1)
    q, k, v = (random.standard_normal((2, 3, n, 8)).astype(np.float32) for n in (5, 6, 6))
    compare(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal),
        lambda q, k, v: T.scaled_dot_product_attention(q, k, v, is_causal=causal), q, k, v,
    )  # fmt: skip
    if not causal:
        mask = random.random((5, 6)) > 0.3
        mask[:, 0] = True
        compare(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, ts.asarray(mask), scale=0.2),
            lambda q, k, v: T.scaled_dot_product_attention(
                q, k, v, torch.tensor(mask), scale=0.2
            ), q, k, v,
        )  # fmt: skip
