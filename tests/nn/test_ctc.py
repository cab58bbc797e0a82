"""CTC: PyTorch's numbers, alignments that are not there, targets side by side, and what is refused."""

import itertools

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn import functional as F

RANDOM = np.random.default_rng(0)


def logits(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


# steps, classes, targets, input lengths, target lengths, options
ROWS = {
    "plain": (12, 5, RANDOM.integers(1, 5, (3, 4)), (12, 10, 7), (4, 2, 3), {}),
    "sum": (12, 5, RANDOM.integers(0, 4, (3, 4)), (12, 10, 7), (4, 2, 0), {"blank": 4, "reduction": "sum"}),
    "side by side": (9, 4, RANDOM.integers(1, 4, 6), (9, 8, 7), (1, 3, 2), {"reduction": "none"}),
    "too short": (3, 5, np.array([[1, 2, 3, 4], [1, 2, 0, 0]]), (3, 3), (4, 2), {"zero_infinity": True}),
    "repeated": (6, 3, np.array([[1, 1, 1], [1, 2, 2]]), (6, 5), (3, 3), {"reduction": "none"}),
    "repeated, too short": (4, 3, np.array([[1, 1, 1], [1, 2, 2]]), (4, 4), (3, 3), {"reduction": "none", "zero_infinity": True}),
    "one step": (1, 2, np.array([[1]]), (1,), (1,), {}), "no label": (5, 3, np.zeros((2, 1), np.int64), (5, 4), (0, 0), {}),
    "alone": (7, 4, np.array([1, 3, 3]), (7,), (3,), {"single": True}), "no step": (5, 3, np.array([[1], [1]]), (0, 5), (0, 1), {}),
}  # fmt: skip


@pytest.mark.peers
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("row", ROWS)
def test_ctc_against_pytorch(row, compiled):
    torch = pytest.importorskip("torch")
    steps, classes, targets, inputs, lengths, options = ROWS[row]
    options = dict(options)
    shape = (steps, classes) if options.pop("single", False) else (steps, len(inputs), classes)
    x = logits(*shape)
    peer = torch.tensor(x, requires_grad=True)
    told = torch.nn.CTCLoss(**options)(
        peer.log_softmax(-1), torch.tensor(targets), torch.tensor(inputs), torch.tensor(lengths)
    )
    told.sum().backward()
    loss = nn.CTCLoss(**options)

    def both(x, targets, inputs, lengths):
        found = loss(F.log_softmax(x, -1), targets, inputs, lengths)
        return found.sum(), found

    call = ts.value_and_grad(both, has_aux=True)
    given = [ts.asarray(np.array(value)) for value in (x, targets, inputs, lengths)]
    (_, found), gradient = (ts.jit(call) if compiled else call)(*given)
    np.testing.assert_allclose(found.numpy(), told.detach().numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(gradient.numpy(), peer.grad.numpy(), rtol=1e-3, atol=1e-5)


def test_it_is_the_sum_over_all_alignments():
    x = np.log(RANDOM.dirichlet(np.ones(3), 4)).astype(np.float32)

    def told(path):
        runs = [label for label, _ in itertools.groupby(path)]
        return [label for label in runs if label != 0]

    paths = [path for path in itertools.product(range(3), repeat=4) if told(path) == [1, 2]]
    total = sum(np.exp(sum(x[step, label] for step, label in enumerate(path))) for path in paths)
    found = F.ctc_loss(x, [1, 2], [4], [2], reduction="sum")
    np.testing.assert_allclose(found.item(), -np.log(total), rtol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_labels_without_an_alignment_have_no_gradient(compiled):
    x = F.log_softmax(ts.asarray(logits(3, 2, 4)), -1)
    targets = ts.asarray([[1, 1, 2], [3, 1, 0]])

    def loss(x):
        return F.ctc_loss(x, targets, [3, 3], [3, 2], reduction="none")

    gradient = ts.grad(lambda x: loss(x)[0])
    found = (ts.jit(loss) if compiled else loss)(x)
    assert found[0].item() == ts.inf and np.isfinite(found[1].item())
    assert not (ts.jit(gradient) if compiled else gradient)(x).numpy().any()
    assert np.isfinite(ts.grad(lambda x: loss(x).sum())(x).numpy()).all()


def test_the_gradient_is_the_derivative():
    x = ts.asarray(logits(5, 1, 3).astype(np.float64))
    loss = lambda x: F.ctc_loss(x, [[1, 2]], [5], [2], reduction="sum")  # noqa: E731
    gradient, step = ts.grad(loss)(x).numpy(), 1e-6
    for place in np.ndindex(x.shape):
        moved = np.zeros(x.shape)
        moved[place] = step
        slope = (loss(x + moved) - loss(x - moved)).item() / (2 * step)
        np.testing.assert_allclose(gradient[place], slope, atol=1e-7)


def test_lengths_that_come_with_each_call_of_a_program():
    x, targets = ts.asarray(logits(8, 3, 4)), ts.asarray([1, 2, 1, 3])
    call = ts.jit(lambda x, inputs, lengths: F.ctc_loss(x, targets, inputs, lengths))
    for inputs, lengths in (([8, 8, 8], [2, 1, 1]), ([8, 7, 3], [0, 4, 0])):
        found = call(x, ts.asarray(inputs), ts.asarray(lengths))
        expected = F.ctc_loss(x, targets, inputs, lengths)
        np.testing.assert_allclose(found.item(), expected.item(), rtol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("targets", "inputs", "lengths", "said"),
    [
        ([[1, 4]], [5], [2], "ctc_loss: class 4 is out of range for 4 classes"),
        ([[1, -1]], [5], [2], "ctc_loss: class -1 is out of range for 4 classes"),
        ([[1, 2]], [6], [2], "ctc_loss: input_lengths: 6 is out of range; expected 0 to 5"),
        ([[1, 2]], [5], [3], "ctc_loss: target_lengths: 3 is out of range; expected 0 to 2"),
        ([[1, 2]], [5], [-1], "ctc_loss: target_lengths: -1 is out of range; expected 0 to 2"),
    ],
)
def test_classes_and_lengths_out_of_range(targets, inputs, lengths, said, compiled):
    call = ts.jit(F.ctc_loss) if compiled else F.ctc_loss
    with pytest.raises(errors.IndexingError) as caught:
        call(ts.zeros((5, 1, 4)), *map(ts.asarray, (targets, inputs, lengths))).item()
    assert said in str(caught.value)


X = ts.zeros((5, 2, 4))


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ((X[0, 0], [1], [1], [1]), errors.ShapeError, "log_probs has shape (4,); expected (T, N, C) or (T, C)"),
        ((X, [[1]], [1, 1], [1, 1]), errors.ShapeError, "targets have shape (1, 1); expected (2, S), or one axis"),
        ((X, [[1], [1]], [1], [1, 1]), errors.ShapeError, "input_lengths has shape (1,); expected (2,)"),
        ((X, [1, 2, 3], [1, 1], [1, 1]), errors.IndexingError, "the sum of target_lengths: 2 is out of range; expected 3"),
        ((X, [[1.0], [1.0]], [1, 1], [1, 1]), errors.DTypeError, "targets are float32; class numbers are integers"),
        ((X, [[1], [1]], [1.0, 1.0], [1, 1]), errors.DTypeError, "input_lengths are float32; expected integers"),
        ((X, [[1], [1]], [1, 1], [1, 1], 4), errors.ArgumentError, "blank is 4; expected 0 to 3"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(arguments, error, said):
    with pytest.raises(error) as caught:
        F.ctc_loss(*arguments)
    assert said in str(caught.value)
