"""What does not fit is refused: the text begins with the layer's way in the network, and says what was given and expected."""

import pickle

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn
from tessella.nn import functional as F


@pytest.fixture(params=["eager", "compiled"])
def jit(request):
    return (lambda function: function) if request.param == "eager" else ts.jit


def refused(function, *arguments, error=errors.TessellaError):
    with pytest.raises(error) as caught:
        function(*arguments)
    return str(caught.value)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3)

    def forward(self, words):
        return self.encoder(self.embed(words))


def test_the_way_to_the_layer_and_both_shapes(jit):
    network = Network()
    network.encoder.layers[2].linear1 = nn.Linear(8, 64)
    message = refused(jit(network), ts.zeros((4, 5), dtype=ts.int64), error=errors.ShapeError)
    assert message == (
        "encoder.layers.2.linear1 (Linear): linear: the input has shape (4, 5, 16); expected (..., 8), as the weight "
        "is (64, 8)"
    )


def test_the_outermost_call_names_no_layer(jit):
    message = refused(jit(nn.Linear(3, 4)), ts.ones((2, 5)))
    assert (
        message == "linear: the input has shape (2, 5); expected (..., 3), as the weight is (4, 3)"
    )


def test_a_row_that_is_not_there_is_refused_by_the_layer_that_was_asked(jit):
    network = jit(Network().eval())
    network(ts.asarray([[1, 9]]))
    for wrong in (10, -1):
        message = refused(network, ts.asarray([[1, wrong]]), error=errors.IndexingError)
        assert message.startswith("embed (Embedding): ")
        assert message.endswith(
            f"embedding: row {wrong} is out of range for 10 rows; it stands at (0, 1)"
        )


def test_classes_out_of_range_are_refused_and_not_read(jit):
    for loss, x in (
        (nn.CrossEntropyLoss(), ts.ones((2, 3))), (nn.NLLLoss(), ts.ones((2, 3))),
        (nn.MultiMarginLoss(), ts.ones((2, 3))),
    ):  # fmt: skip
        for wrong in (3, -1):
            message = refused(jit(loss), x, ts.asarray([0, wrong]), error=errors.IndexingError)
            assert f"class {wrong} is out of range for 3 classes" in message


WHOLE = {
    "Linear": (nn.Linear(3, 2), (4, 3)),
    "Bilinear": (nn.Bilinear(3, 3, 2), (4, 3), (4, 3)),
    "Conv1d": (nn.Conv1d(3, 2, 2), (1, 3, 4)),
    "Conv2d": (nn.Conv2d(3, 2, 2), (1, 3, 4, 4)),
    "Conv3d": (nn.Conv3d(3, 2, 2), (1, 3, 4, 4, 4)),
    "ConvTranspose2d": (nn.ConvTranspose2d(3, 2, 2), (1, 3, 4, 4)),
    "BatchNorm1d": (nn.BatchNorm1d(3), (2, 3)),
    "InstanceNorm1d": (nn.InstanceNorm1d(3), (2, 3, 4)),
    "GroupNorm": (nn.GroupNorm(1, 3), (2, 3)),
    "LayerNorm": (nn.LayerNorm(3), (2, 3)),
    "RMSNorm": (nn.RMSNorm(3), (2, 3)),
    "LSTM": (nn.LSTM(3, 2), (4, 1, 3)),
    "GRUCell": (nn.GRUCell(3, 2), (4, 3)),
    "MultiheadAttention": (nn.MultiheadAttention(4, 2), (5, 1, 4), (5, 1, 4), (5, 1, 4)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_are_refused_where_weights_have_fractions(name):
    layer, *shapes = WHOLE[name]
    network = nn.ModuleDict({"inner": layer})
    network.forward = lambda *inputs: network["inner"](*inputs)
    whole = [ts.ones(shape, dtype=ts.int64) for shape in shapes]
    message = refused(network, *whole, error=errors.DTypeError)
    assert message.startswith(f"inner ({name}): ")
    assert "is int64, of shape" in message and "x.astype(ts.float32)" in message


def test_fractions_are_refused_where_rows_are_counted():
    for layer in (nn.Embedding(3, 2), nn.EmbeddingBag(3, 2)):
        message = refused(layer, ts.ones((2, 2)), error=errors.DTypeError)
        assert message.endswith("convert it with x.astype(ts.int64)")


class Careless(nn.Module):
    def forward(self, x):
        raise ValueError("mine")


class Catching(nn.Module):
    """Calls one layer after the other until one takes the input."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(3, 3)])

    def forward(self, x):
        try:
            return self.layers[0](x)
        except errors.ShapeError:
            return self.layers[1](x)


def test_errors_of_others_have_it_in_a_note():
    network = nn.Sequential(nn.ReLU(), nn.Sequential(Careless()))
    with pytest.raises(ValueError, match=r"^mine") as caught:
        network(ts.ones(2))
    assert "in the layer 1.0 (Careless)" in caught.value.__notes__
    assert str(caught.value) == "mine"
    with pytest.raises(ValueError, match=r"^mine") as caught:
        Careless()(ts.ones(2))
    assert not [note for note in caught.value.__notes__ if "layer" in note]


def test_an_error_that_is_caught_leaves_no_trace(jit):
    assert jit(Catching())(ts.ones((1, 3))).shape == (1, 3)
    message = refused(jit(nn.Sequential(Catching())), ts.ones((1, 4)))
    assert message.startswith("0.layers.1 (Linear): linear: the input has shape (1, 4)")


def test_of_a_layer_that_is_no_part_of_the_network_the_one_around_it_is_told():
    class Hiding(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = (nn.Linear(2, 2),)

        def forward(self, x):
            return self.hidden[0](x)

    message = refused(nn.Sequential(nn.Identity(), Hiding()), ts.ones((1, 4)))
    assert message.startswith("1 (Hiding): linear: the input")


def test_an_error_goes_to_another_process_without_the_network():
    with pytest.raises(errors.ShapeError) as caught:
        nn.Sequential(nn.Linear(100, 100))(ts.ones((1, 4)))
    kept = pickle.dumps(caught.value)
    assert len(kept) < 1000
    assert str(pickle.loads(kept)) == str(caught.value)


class Diverging(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return ts.log(self.linear(x) * 0.0 - 1.0)


def test_check_nan_names_the_layer(jit):
    network = nn.Sequential(
        nn.Linear(4, 4), nn.Sequential(nn.Identity(), Diverging()), nn.Linear(4, 1)
    )
    with ts.debug.check_nan():
        message = refused(jit(network), ts.ones((2, 4)), error=errors.NotFiniteError)
    assert message.startswith(f"1.1 (Diverging): {__file__}:")
    assert "in forward: log made 8 NaN" in message


def test_check_nan_names_the_layer_of_a_backward_pass(jit):
    class Root(nn.Module):
        def forward(self, x):
            return ts.sqrt(x * 0.0)

    network = nn.Sequential(nn.Linear(3, 3), Root())

    def step(x):
        network(x).sum().backward()

    with ts.debug.check_nan():
        message = refused(jit(step), ts.ones((2, 3)), error=errors.NotFiniteError)
    assert message.startswith("1 (Root): ")
    assert "in forward (backward)" in message


def test_check_nan_names_the_layer_of_a_transformed_function(jit):
    network = nn.Sequential(nn.Linear(4, 4), Diverging())
    with ts.debug.check_nan():
        message = refused(jit(ts.vmap(network)), ts.ones((2, 4)), error=errors.NotFiniteError)
    assert message.startswith("1 (Diverging): ")


def test_nothing_to_do_is_no_error(jit):
    for layer, shape, expected in (
        (nn.Linear(3, 2), (0, 3), (0, 2)), (nn.Conv2d(3, 2, 2), (0, 3, 4, 4), (0, 2, 3, 3)),
        (nn.LayerNorm(3), (0, 3), (0, 3)), (nn.Embedding(3, 2), (0, 4), (0, 4, 2)),
    ):  # fmt: skip
        dtype = ts.int64 if isinstance(layer, nn.Embedding) else ts.float32
        assert jit(layer)(ts.zeros(shape, dtype=dtype)).shape == expected


def test_float64_beside_float32_is_computed_in_float64():
    found = F.linear(np.ones((2, 3)), ts.ones((4, 3)))
    assert found.dtype is ts.float64
