"""PyTorch's own sample inputs, with which it tests its layers and functions: results and gradients are the same here."""

import contextlib
import functools
import warnings

import numpy as np
import pytest

import tessella as ts
from tessella import nn
from tessella.errors import TessellaError

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # which PyTorch's tests need
pytestmark = pytest.mark.peers

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import module_db

PREFIX = "nn.functional."
FUNCTIONS = {
    op.name.removeprefix(PREFIX): op
    for op in op_db
    if op.name.startswith(PREFIX)
    and hasattr(torch.nn.functional, op.name.removeprefix(PREFIX))
    and torch.float32
    in op.dtypes  # not the variants for complex numbers or other devices, of the same name
}
LAYERS = {info.module_cls.__name__: info for info in module_db}
MOST = 3  # samples of a function or layer: evenly out of all there are

ABSENT = {  # by name, with what is written instead
    "upsample_bilinear": "deprecated: interpolate", "upsample_nearest": "deprecated: interpolate",
}  # fmt: skip
RANDOM = {  # only shapes and dtypes can be the same
    "dropout", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "rrelu", "fractional_max_pool2d",
    "fractional_max_pool3d", "scaled_dot_product_attention", "multi_head_attention_forward", "FractionalMaxPool2d",
    "FractionalMaxPool3d",
}  # fmt: skip
WITHOUT_GRADIENTS = {
    # PyTorch's gradient is that by what log_softmax was given, whoever made the logarithms
    "ctc_loss", "CTCLoss",
}  # fmt: skip
REFUSED = {  # what is not here says so: by the beginning of its text
    "avg_pool1d: int64 has no fractions", "avg_pool2d: int64 has no fractions", "avg_pool3d: int64 has no fractions",
    "local_response_norm: the input is int64", "embedding: sparse is True", "embedding_bag: sparse is True",
    "linear_cross_entropy: options is", "batch_norm: the input has shape (0,)", "LinearCrossEntropyLoss: options is",
}  # fmt: skip
REFUSED_ALTOGETHER = {"linear_cross_entropy"}  # each sample has options
# Where PyTorch gives NaN, the mean of no example, we give zero: what is left out makes no NaN.
ZERO_OF_NOTHING = {"CrossEntropyLoss", "NLLLoss", "cross_entropy", "nll_loss"}


@functools.singledispatch
def own(value):
    """A value of PyTorch's as one of ours."""
    if isinstance(value, torch.dtype):
        return getattr(ts, str(value).removeprefix("torch."))
    if getattr(value, "__module__", "").startswith("torch.nn.functional"):
        return getattr(nn.functional, value.__name__)
    return value


@own.register(torch.Tensor)
def _(value):
    known = getattr(value, "own", None)  # one that is given twice stays one
    if known is None:
        known = value.own = ts.asarray(value.detach().numpy(), copy=True)
        known.requires_grad_(value.requires_grad)
    return known


@own.register(list)
@own.register(tuple)
def _(value):
    return type(value)([own(item) for item in value])


@own.register(dict)
def _(value):
    return {name: own(item) for name, item in value.items()}


@own.register(torch.nn.Module)
def _(value):
    return SIMILAR[type(value)](value)


def _encoder_layer(peer):
    made = nn.TransformerEncoderLayer(
        peer.linear1.in_features, peer.self_attn.num_heads, peer.linear1.out_features, peer.dropout.p,
        peer.activation.__name__, batch_first=peer.self_attn.batch_first, norm_first=peer.norm_first,
        bias=peer.linear1.bias is not None,
    )  # fmt: skip
    made.load_state_dict(own(dict(peer.state_dict())))
    return made


SIMILAR = {
    torch.nn.PairwiseDistance: lambda peer: nn.PairwiseDistance(),
    torch.nn.TransformerEncoderLayer: _encoder_layer,
}


def flat(value, kind):
    """The tensors in a result, or among arguments, in order."""
    if isinstance(value, kind):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif hasattr(value, "batch_sizes"):
        value = [value.data]
    elif not isinstance(value, (tuple, list)):
        return []
    return [tensor for item in value for tensor in flat(item, kind)]


def some(samples):
    samples = list(samples)
    return samples[:: max(1, -(-len(samples) // MOST))]


def agree(ours, theirs, what, tolerance):
    assert ours.shape == theirs.shape, what
    assert ours.dtype == theirs.dtype, what
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance, err_msg=what)


def weights(x):
    return np.cos(np.arange(x.numel(), dtype=str(x.dtype).removeprefix("torch."))).reshape(x.shape)


def compare(name, theirs, ours, given, taken, parameters=((), ())):
    """Results, and gradients by what requires them.

    Args:
        theirs, ours: results.
        given, taken: arguments.
        parameters: PyTorch's, and ours.
    """
    theirs, ours = flat(theirs, torch.Tensor), flat(ours, ts.Tensor)
    assert len(theirs) == len(ours)
    for x, y in zip(ours, theirs, strict=True):
        if name in RANDOM:
            assert x.shape == tuple(y.shape)
        elif not (name in ZERO_OF_NOTHING and y.isnan().all()):
            agree(x.detach().numpy(), y.detach().numpy(), "results", 1e-4)
    pairs = [(x, y) for x, y in zip(theirs, ours, strict=True) if x.requires_grad]
    leaves = [*flat(given, torch.Tensor), *parameters[0]], [*flat(taken, ts.Tensor), *parameters[1]]
    wanted = [(x, y) for x, y in zip(*leaves, strict=True) if x.requires_grad]
    if not pairs or not wanted or name in RANDOM | WITHOUT_GRADIENTS:
        return
    loss = sum((x * torch.tensor(weights(x))).sum() for x, _ in pairs)
    expected = torch.autograd.grad(loss, [x for x, _ in wanted], allow_unused=True)
    for _, y in wanted:
        y.grad = None
    terms = [(y * ts.asarray(weights(x))).sum() for x, y in pairs if y.requires_grad]
    sum(terms, ts.zeros((), requires_grad=True)).backward()
    for (x, y), gradient in zip(wanted, expected, strict=True):
        found = np.zeros(y.shape, y.dtype.numpy) if y.grad is None else y.grad.numpy()
        gradient = torch.zeros_like(x) if gradient is None else gradient
        if not (name in ZERO_OF_NOTHING and gradient.isnan().any()):
            agree(found, gradient.numpy(), "gradients", 1e-3)


def quietly(function, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


@contextlib.contextmanager
def unless_refused():
    """What is not here is left out, if it is refused as it should be."""
    try:
        yield
    except TessellaError as error:
        if not any(text in str(error) for text in REFUSED):
            raise


def samples_of(op):
    for dtype in (torch.float32, torch.int64, torch.bool):
        if dtype in op.dtypes:
            torch.manual_seed(0)
            differentiable = dtype is torch.float32 and op.supports_autograd
            yield from some(op.sample_inputs("cpu", dtype, requires_grad=differentiable))
            if op.reference_inputs_func is not None and dtype is torch.float32:
                yield from some(op.reference_inputs("cpu", dtype, requires_grad=False))


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ABSENT])
def test_functions(name):
    function = getattr(nn.functional, name)
    if name in ("embedding", "embedding_bag"):  # whose samples begin with the table
        function = lambda table, x, *more, **options: getattr(nn.functional, name)(  # noqa: E731
            x, table, *more, **options
        )
    compared = 0
    for sample in quietly(lambda: list(samples_of(FUNCTIONS[name]))):
        if isinstance(sample.input, torch.Tensor) and sample.input.numel() > 50_000:
            continue  # whose rounding is another
        given = (sample.input, *sample.args), sample.kwargs
        theirs = quietly(FUNCTIONS[name].op, *given[0], **given[1])
        with unless_refused():
            taken = own(given)
            compare(name, theirs, function(*taken[0], **taken[1]), given, taken)
            compared += 1
    assert compared or name in REFUSED_ALTOGETHER, "no sample was compared"


def inputs_of(info):
    for training in (True, False):
        torch.manual_seed(0)
        made = info.module_inputs_func(
            info, device="cpu", dtype=torch.float32, requires_grad=True, training=training
        )
        for sample in some([one for one in made if one.forward_input is not None]):
            yield training, sample.constructor_input, sample.forward_input


def as_float32(value):
    """PyTorch's samples of the random pooling are in float64, whatever the input is."""
    is_wide = isinstance(value, torch.Tensor) and value.dtype is torch.float64
    return value.float() if is_wide else value


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    for training, made, called in quietly(lambda: list(inputs_of(LAYERS[name]))):
        options = {key: as_float32(value) for key, value in made.kwargs.items()}
        peer = quietly(LAYERS[name].module_cls, *made.args, **options)
        peer.train(training)
        options.pop("device", None)
        layer = None
        with unless_refused():
            layer = getattr(nn, name)(*own(made.args), **own(options))
        if layer is None:
            continue
        layer.train(training)
        given, taken = (called.args, called.kwargs), own((called.args, called.kwargs))
        quietly(peer, *given[0], **given[1])  # lazy layers are made, statistics begin
        layer(*taken[0], **taken[1])
        layer.load_state_dict(own(dict(peer.state_dict())))
        theirs = quietly(peer, *given[0], **given[1])
        ours = layer(*taken[0], **taken[1])
        compare(name, theirs, ours, given, taken, (peer.parameters(), layer.parameters()))


WIDER = {  # what PyTorch refuses and we take: by the text of its error
    "conv1d": "bias type", "conv2d": "bias type", "conv3d": "bias type",  # mixed dtypes promote
    "max_pool1d": "optional 0 dim batch size", "max_pool3d": "non-batch dimensions to have positive length",
    "BatchNorm1d": "eps must be positive", "BatchNorm2d": "eps must be positive", "BatchNorm3d": "eps must be positive",
    "RNN": "does not match weight dtype", "GRU": "does not match weight dtype", "LSTM": "does not match weight dtype",
    "NLLLoss": "expected scalar type Float",
}  # fmt: skip


def refused_by_both(name, theirs, ours):
    """What PyTorch refuses, we refuse in our words."""
    with pytest.raises(Exception) as expected:
        quietly(theirs)
    if WIDER.get(name, "?") in str(expected.value):
        return
    with pytest.raises(TessellaError):
        ours()


def test_wrong_arguments_of_functions():
    for name, op in FUNCTIONS.items():
        if op.error_inputs_func is None or name in ABSENT:
            continue
        for wrong in quietly(lambda op=op: list(op.error_inputs("cpu"))):
            sample, function = wrong.sample_input, getattr(nn.functional, name)
            given = [sample.input, *sample.args]
            places = (
                [1, 0, *range(2, len(given))] if name.startswith("embedding") else range(len(given))
            )
            taken = [own(given[place]) for place in places]
            refused_by_both(
                name, lambda: op.op(*given, **sample.kwargs),  # noqa: B023
                lambda: function(*taken, **own(sample.kwargs)),  # noqa: B023
            )  # fmt: skip


def test_wrong_arguments_of_layers():
    for name, info in LAYERS.items():
        if info.module_error_inputs_func is None:
            continue
        options = {
            "device": "cpu",
            "dtype": torch.float32,
            "requires_grad": False,
            "training": True,
        }
        for wrong in quietly(lambda: list(info.module_error_inputs_func(info, **options))):  # noqa: B023
            made, called = (
                wrong.module_error_input.constructor_input,
                wrong.module_error_input.forward_input,
            )

            def call(kind, translate, made=made, called=called):
                layer = kind(*translate(made.args), **translate(made.kwargs))
                if called is not None:
                    layer(*translate(called.args), **translate(called.kwargs))

            refused_by_both(
                name, lambda: call(info.module_cls, lambda x: x),  # noqa: B023
                lambda: call(getattr(nn, name), own),  # noqa: B023
            )  # fmt: skip
