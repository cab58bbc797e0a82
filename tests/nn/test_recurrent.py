"""Recurrent layers: pairs of states, packed sequences, laws of their gradients, one loop when compiled."""

import warnings

import numpy as np
import optree
import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn.utils import rnn
from tessella.primitives.control import ScanLoop

RANDOM = np.random.default_rng(0)


def floats(*shape):
    return ts.asarray(RANDOM.standard_normal(shape).astype(np.float32))


def close(got, expected, tolerance=1e-5):
    for x, y in zip(optree.tree_leaves(got), optree.tree_leaves(expected), strict=True):
        x, y = (z.detach().numpy() for z in (x, y))
        assert x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


# --- as PyTorch's ------------------------------------------------------------------------------------


def pair(name, **options):
    """PyTorch's layer, and ours with the same parameters."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    peer, own = getattr(torch.nn, name)(4, 6, **options), getattr(nn, name)(4, 6, **options)
    assert [n for n, _ in own.named_parameters()] == [n for n, _ in peer.named_parameters()]
    own.load_state_dict({name: value.numpy() for name, value in peer.state_dict().items()})
    return torch, peer, own


def compare(torch, peer, own, call, *inputs):
    """What a call of the layer gives, and the gradients of its parameters and of the inputs."""
    theirs = [torch.tensor(x.numpy()).requires_grad_() for x in inputs]
    ours = [x.detach().requires_grad_() for x in inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which kernel it takes
        expected = optree.tree_leaves(call(torch, peer, *theirs))
    got = optree.tree_leaves(call(ts, own, *ours))
    close(got, expected)
    for outputs in (got, expected):
        terms = [(y * y).sum() for y in outputs if "float" in str(y.dtype)]
        sum(terms[1:], terms[0]).backward()
    close([x.grad for x in ours], [x.grad for x in theirs], 1e-4)
    for (name, a), (_, b) in zip(own.named_parameters(), peer.named_parameters(), strict=True):
        np.testing.assert_allclose(
            a.grad.numpy(), b.grad.numpy(), rtol=1e-4, atol=1e-4, err_msg=name
        )
        a.grad = b.grad = None


@pytest.mark.peers
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "proj_size": 3}])
def test_states_of_an_lstm(options):
    torch, peer, own = pair("LSTM", **options)
    count, size = (4, 3) if options else (1, 6)
    call = lambda _, layer, x, h, c: layer(x, (h, c))  # noqa: E731
    compare(torch, peer, own, call, floats(5, 3, 4), floats(count, 3, size), floats(count, 3, 6))
    compare(torch, peer, own, call, floats(5, 4), floats(count, size), floats(count, 6))


@pytest.mark.peers
def test_states_of_a_cell():
    torch, peer, own = pair("LSTMCell")
    call = lambda _, cell, x, h, c: cell(x, (h, c))  # noqa: E731
    compare(torch, peer, own, call, floats(3, 4), floats(3, 6), floats(3, 6))


@pytest.mark.peers
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("RNN", {"nonlinearity": "relu"}),
        ("GRU", {"num_layers": 2, "bidirectional": True}),
        ("LSTM", {"num_layers": 2, "bidirectional": True, "proj_size": 2, "batch_first": True}),
    ],
    ids=["RNN", "GRU", "LSTM"],
)
@pytest.mark.parametrize("lengths", [[5, 4, 4, 1], [2, 5, 1, 3]], ids=["sorted", "unsorted"])
def test_packed_sequences(name, options, lengths):
    torch, peer, own = pair(name, **options)
    in_order = lengths == sorted(lengths, reverse=True)
    batch_first = "batch_first" in options

    def call(library, layer, x, *states):
        utils = library.nn.utils.rnn
        packed = utils.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=in_order)
        outputs, last = layer(packed, *states)
        padded, own_lengths = utils.pad_packed_sequence(outputs, batch_first, 0.5, total_length=7)
        return padded, last, own_lengths, tuple(outputs)

    x = floats(4, 5, 4) if batch_first else floats(5, 4, 4)
    compare(torch, peer, own, call, x)
    if name != "LSTM":
        compare(torch, peer, own, call, x, floats(4 if "num_layers" in options else 1, 4, 6))
    compiled = ts.jit(lambda x: call(ts, own, x))
    close(compiled(x), call(ts, own, x))


@pytest.mark.peers
def test_sequences_of_different_lengths():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.utils.rnn
    own = [floats(n, 2) for n in (3, 1, 4)]
    peers = [torch.tensor(x.numpy()) for x in own]
    for options in ({}, {"batch_first": True, "padding_value": 2.0}, {"padding_side": "left"}):
        close(rnn.pad_sequence(own, **options), theirs.pad_sequence(peers, **options))
    packed, peer = (
        library.pack_sequence(xs, enforce_sorted=False)
        for library, xs in ((rnn, own), (theirs, peers))
    )
    close(tuple(packed), tuple(peer))
    close(rnn.unpack_sequence(packed), theirs.unpack_sequence(peer))
    padded = rnn.pad_sequence(own)
    close(rnn.unpad_sequence(padded, ts.asarray([3, 1, 4])), own)
    assert packed.to(ts.float64).data.dtype is ts.float64


@pytest.mark.peers
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("RNN", {}),
        ("RNN", {"num_layers": 2, "nonlinearity": "relu"}),
        ("LSTM", {"proj_size": 2, "bias": False, "batch_first": True, "dropout": 0.5, "num_layers": 2}),
        ("GRU", {"bidirectional": True}),
        ("RNNCell", {"nonlinearity": "relu"}),
        ("GRUCell", {"bias": False}),
    ],
)  # fmt: skip
def test_how_they_are_shown(name, options):
    _, peer, own = pair(name, **options)
    assert repr(own) == repr(peer)


# --- laws --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_gradients_are_those_of_the_steps(name):
    """Of both orders, and forward mode: as for a loop of the cell in Python, with the same parameters."""
    options = {"dtype": ts.float64}
    layer = getattr(nn, name)(3, 4).to(ts.float64)
    cell = getattr(nn, name + "Cell")(3, 4).to(ts.float64)
    cell.load_state_dict({n.removesuffix("_l0"): p for n, p in layer.state_dict().items()})
    x, along = (ts.asarray(RANDOM.standard_normal((4, 2, 3)), **options) for _ in range(2))

    def by_layer(x):
        return layer(x)[0]

    def by_cell(x):
        state, outputs = None, []
        for place in range(x.shape[0]):
            state = cell(x[place], state)
            outputs.append(state[0] if name == "LSTM" else state)
        return ts.stack(outputs)

    def found(f):
        loss = lambda x: (f(x) ** 3).sum()  # noqa: E731
        slope = lambda x: (ts.grad(loss)(x) * along).sum()  # noqa: E731
        return (
            f(x),
            ts.jvp(f, (x,), (along,)),
            ts.grad(loss)(x),
            ts.grad(slope)(x),
            ts.jvp(ts.grad(loss), (x,), (along,)),
        )

    close(found(by_layer), found(by_cell), 1e-10)
    close(ts.jit(lambda: found(by_layer))(), found(by_cell), 1e-10)
    many = ts.stack([x, along])
    close(
        ts.vmap(ts.grad(lambda x: by_layer(x).sum()))(many),
        ts.vmap(ts.grad(lambda x: by_cell(x).sum()))(many),
        1e-10,
    )


def test_each_example_gets_gradients_of_its_own():
    layer = nn.GRU(3, 4)
    weights = {name: p.detach() for name, p in layer.named_parameters()}
    x = floats(5, 6, 3)

    def loss(weights, row):
        return nn.functional_call(layer, weights, (row,))[0].sum()

    each = ts.vmap(ts.grad(loss), in_axes=(None, 1))(weights, x)
    for name, g in each.items():
        expected = ts.stack([ts.grad(loss)(weights, x[:, i])[name] for i in range(6)])
        close(g, expected, 1e-4)


def test_a_compiled_layer_is_one_loop_for_each_direction():
    layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True)
    forward = ts.jit(lambda x: layer(x)[0])
    forward(floats(6, 2, 3))
    loops = [n for n in forward.graph().nodes if isinstance(n.primitive, ScanLoop)]
    assert len(loops) == 4


def test_a_state_in_half_precision():
    layer = nn.GRU(3, 4).to(ts.bfloat16)
    outputs, h = layer(floats(5, 2, 3).astype(ts.bfloat16))
    assert (outputs.dtype, h.dtype) == (ts.bfloat16, ts.bfloat16)


def test_dropout_between_layers_is_for_training():
    layer = nn.LSTM(3, 8, num_layers=2, dropout=0.5)
    x = floats(5, 2, 3)
    assert not np.array_equal(layer(x)[0].detach().numpy(), layer(x)[0].detach().numpy())
    layer.eval()
    close(layer(x), layer(x))


def test_nothing_is_computed_for_what_is_not_there():
    """What pads a sequence may be NaN; nobody sees it."""
    layer = nn.LSTM(3, 4, bidirectional=True)
    x = floats(5, 2, 3).numpy().copy()
    x[3:, 1] = np.nan
    packed = rnn.pack_padded_sequence(ts.asarray(x), [5, 3])
    outputs, _ = layer(packed)
    outputs.data.sum().backward()
    assert all(np.isfinite(p.grad.numpy()).all() for p in layer.parameters())


def test_packed_sequences_as_arguments_of_compiled_functions():
    layer = nn.GRU(3, 4)
    packed = rnn.pack_sequence([floats(n, 3) for n in (2, 4, 3)], enforce_sorted=False)
    got = ts.jit(lambda packed: layer(packed))(packed)
    close(tuple(got[0]), tuple(layer(packed)[0]))
    close(got[1], layer(packed)[1])


X = ts.ones((5, 2, 3))
REFUSED = [
    (lambda: nn.GRU(3, 4, proj_size=2), errors.ArgumentTypeError, "proj_size"),
    (lambda: nn.LSTM(3, 4, proj_size=4), errors.ArgumentError, "proj_size is 4; expected a number below hidden_size, which is 4"),
    (lambda: nn.RNN(3, 4, nonlinearity="sigmoid"), errors.ArgumentError, "nonlinearity is 'sigmoid'"),
    (lambda: nn.RNNBase("MGU", 3, 4), errors.ArgumentError, "mode is 'MGU'; expected one of 'RNN_TANH', "),
    (lambda: nn.GRU(3, 4)(X[..., 0]), errors.ShapeError, "GRU: shape (5, 2); expected (L, N, 3) or (L, 3)"),
    (lambda: nn.GRU(3, 4)(X, ts.ones((1, 4))), errors.ShapeError, "the state h has shape (1, 4); expected (1, 2, 4)"),
    (lambda: nn.GRU(3, 4)(X, (X, X)), errors.ArgumentTypeError, "expected a tensor, or None"),
    (lambda: nn.LSTM(3, 4)(X, X), errors.ArgumentTypeError, "expected a pair of tensors (h, c), or None"),
    (lambda: nn.LSTM(3, 4)([1.0]), errors.ArgumentTypeError, "LSTM: input is [1.0]; expected a tensor or a PackedSequence"),
    (lambda: nn.LSTMCell(3, 4)(X), errors.ShapeError, "LSTMCell: shape (5, 2, 3); expected (N, 3) or (3,)"),
    (lambda: nn.GRUCell(3, 4)(X[0], X[0]), errors.ShapeError, "the state h has shape (2, 3); expected (2, 4)"),
    (lambda: rnn.pack_padded_sequence(X, [3, 5]), errors.ArgumentError, "the lengths [3, 5] do not go down from the longest"),
    (lambda: rnn.pack_padded_sequence(X, [6, 5]), errors.ArgumentError, "a length is 6; the input of shape (5, 2, 3) has 5 places"),
    (lambda: rnn.pack_padded_sequence(X, [3, 0]), errors.ArgumentError, "a length is 0; expected at least 1"),
    (lambda: rnn.pack_padded_sequence(X, [3]), errors.ArgumentError, "lengths has the shape (1,); expected (2,)"),
    (lambda: rnn.pack_padded_sequence(X, [3.0, 2.0]), errors.ArgumentTypeError, "expected integers"),
    (lambda: rnn.pad_packed_sequence(X), errors.ArgumentTypeError, "expected a PackedSequence"),
    (lambda: rnn.pad_packed_sequence(rnn.pack_padded_sequence(X, [5, 4]), total_length=4), errors.ArgumentError, "total_length is 4; the longest sequence has 5 places"),
    (lambda: rnn.pad_sequence([]), errors.ArgumentError, "there are no sequences"),
    (lambda: rnn.pad_sequence([X, X[0]]), errors.ShapeError, "sequence 1 has shape (2, 3)"),
    (lambda: rnn.pad_sequence([X], padding_side="top"), errors.ArgumentError, "padding_side is 'top'"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_refusals(number):
    call, kind, told = REFUSED[number]
    with pytest.raises(kind) as caught:
        call()
    assert told in str(caught.value)


# --- lengths that a compiled step is given --------------------------------------------------------------------


def over_lengths(library, layer, x, lengths, batch_first):
    rnn = library.nn.utils.rnn
    packed = rnn.pack_padded_sequence(x, lengths.cpu(), batch_first, enforce_sorted=False)
    outputs, last = layer(packed)
    return *rnn.pad_packed_sequence(outputs, batch_first, total_length=6), last


def weighed(outputs, last):
    return (outputs * outputs).sum() + sum(
        (x**3).sum() for x in (last if isinstance(last, tuple) else (last,))
    )


@pytest.mark.peers
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(
    "options",
    [{}, {"bidirectional": True, "num_layers": 2}, {"bidirectional": True, "batch_first": True}],
)
def test_a_compiled_step_is_given_the_lengths(kind, options):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    peer, own = getattr(torch.nn, kind)(3, 4, **options), getattr(nn, kind)(3, 4, **options)
    own.load_state_dict({name: ts.asarray(x.numpy()) for name, x in peer.state_dict().items()})
    batch_first = options.get("batch_first", False)
    x = np.random.default_rng(0).standard_normal((3, 6, 3)).astype(np.float32)
    x = x if batch_first else x.swapaxes(0, 1).copy()

    @ts.jit
    def step(x, lengths):
        own.zero_grad()
        outputs, found, last = over_lengths(ts, own, x, lengths, batch_first)
        weighed(outputs, last).backward()
        return outputs, found, last

    for lengths in ([6, 2, 4], [3, 6, 1], [2, 2, 2]):
        outputs, found, last = step(ts.asarray(x), ts.asarray(lengths))
        peer.zero_grad()
        expected = over_lengths(torch, peer, torch.tensor(x), torch.tensor(lengths), batch_first)
        weighed(expected[0], expected[2]).backward()
        np.testing.assert_allclose(outputs.numpy(), expected[0].detach(), atol=1e-6)
        assert found.tolist() == lengths
        pairs = zip(last, expected[2], strict=True) if kind == "LSTM" else [(last, expected[2])]
        for ours, theirs in pairs:
            np.testing.assert_allclose(ours.numpy(), theirs.detach(), atol=1e-6)
        for ours, theirs in zip(own.parameters(), peer.parameters(), strict=True):
            np.testing.assert_allclose(ours.grad.numpy(), theirs.grad, atol=1e-5)
    assert len(step.traces) == 1


def test_lengths_that_do_not_fit_are_refused_when_a_compiled_function_runs():
    rnn = nn.utils.rnn
    f = ts.jit(lambda x, lengths: rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, lengths))[0])
    x = ts.ones((3, 2, 1))
    assert f(x, ts.asarray([3, 1]))[:, 1, 0].tolist() == [1.0, 0.0, 0.0]
    for lengths, said in (
        ([4, 1], "a length: 4 is out of range; expected 1 to 3"), ([3, 0], "a length: 0 is out of range"),
        ([2, 3], "the lengths do not go down from the longest"), ([2, 1], "write total_length=3 for shorter ones"),
    ):  # fmt: skip
        with pytest.raises(errors.IndexingError, match=said):
            f(x, ts.asarray(lengths))
    with pytest.raises(
        errors.ArgumentError, match=r"lengths has the shape \(3,\); expected \(2,\)"
    ):
        f(x, ts.asarray([3, 1, 1]))
    with pytest.raises(errors.ArgumentTypeError, match="expected a tensor of integers"):
        f(x, ts.asarray([3.0, 1.0]))


def test_what_is_packed_by_unknown_lengths_has_no_places_to_look_at():
    rnn = nn.utils.rnn
    x, lengths = ts.ones((3, 2, 1)), ts.asarray([3, 1])
    for use in (lambda packed: packed.data, lambda packed: packed, lambda packed: [*packed]):
        with pytest.raises(errors.TracedValueError, match="PackedSequence: how many places"):
            ts.jit(lambda x, n, use=use: use(rnn.pack_padded_sequence(x, n)))(x, lengths)
    found = ts.jit(lambda x, n: rnn.pack_padded_sequence(x, n, enforce_sorted=False).sorted_indices)
    assert found(x, ts.asarray([1, 3])).tolist() == [1, 0]
    known = ts.jit(lambda x: rnn.pack_padded_sequence(x, [3, 1]).data)
    assert known(x).shape == (4, 1)
