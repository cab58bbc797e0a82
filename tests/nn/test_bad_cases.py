"""Every layer of the table, given what does not fit: what PyTorch refuses is refused, in our words, with the layer's way."""

import re
import warnings

import numpy as np
import pytest

import tessella as ts
from tessella import nn
from tessella.errors import TessellaError

from .test_cases import CASES, is_float, torch

pytestmark = pytest.mark.peers


def more_axes(x):
    return x[None, None, None, None]


def fewer_axes(x):
    return x.reshape(-1)  # a single number crashes PyTorch here and there


def more_channels(x):
    return np.concatenate([x, x], axis=min(1, x.ndim - 1)) if x.ndim else x


def longer(x):
    return np.concatenate([x, x], axis=-1) if x.ndim else x


def without_fractions(x):
    return x.astype(np.int64)


def nothing(x):
    return x[:0] if x.ndim else x


WRONG = [more_axes, fewer_axes, more_channels, longer, without_fractions, nothing]
LAYERS = [
    case
    for case in CASES
    if case.values[0].name[0].isupper()
    and case.values[0].name
    != "GELU"  # with more axes than it counts on, PyTorch's aborts the process
    and all(x.size for x in case.values[0].inputs if is_float(x))
]

# Of nothing there is nothing; and activations and losses of whole numbers are those of the same numbers with fractions,
# but for these:
FRACTIONS = ("Linear", "Bilinear", "Conv", "Norm", "LSTM", "GRU", "RNN", "Attention", "Transformer")


def peer_of(case, convert):
    options = {name: convert(value) for name, value in case.options.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = getattr(torch.nn, case.name)(**options)
    if case.prepare is not None:
        case.prepare(peer)
    return peer


def is_refused_by_pytorch(case, inputs):
    to = lambda x: torch.tensor(x) if isinstance(x, np.ndarray) else x  # noqa: E731
    peer = peer_of(case, to)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            peer(*map(to, inputs), **{name: to(value) for name, value in case.call.items()})
        except (
            RuntimeError,
            ValueError,
            TypeError,
            IndexError,
            AssertionError,
            NotImplementedError,
        ):
            return True
    return False


def outcome(case, inputs, training):
    """The error of a network with the layer in it, or None."""
    to = lambda x: ts.asarray(x) if isinstance(x, np.ndarray) else x  # noqa: E731
    layer = getattr(nn, case.name)(**{name: to(value) for name, value in case.options.items()})
    layer.train(training)
    network = nn.ModuleDict({"inner": layer})
    network.forward = lambda *given, **options: network["inner"](*given, **options)
    try:
        network(*map(to, inputs), **{name: to(value) for name, value in case.call.items()})
    except TessellaError as error:
        return error
    return None


@pytest.mark.parametrize("case", LAYERS)
def test_what_pytorch_refuses_is_refused(case):
    places = [i for i, x in enumerate(case.inputs) if is_float(x)]
    training = peer_of(case, lambda x: torch.tensor(x) if isinstance(x, np.ndarray) else x).training
    of_fractions = any(part in case.name for part in FRACTIONS)
    for spoil in WRONG:
        for place in places[:1]:
            inputs = list(case.inputs)
            inputs[place] = spoil(inputs[place])
            error = outcome(case, inputs, training)
            if error is not None:
                assert re.match(
                    rf"inner( \({case.name}\)|(\.\w+)+ \(\w+\)): \w+: .+", str(error)
                ), error
                may = spoil is not nothing or case.call  # masks are of the lengths
                assert may or is_refused_by_pytorch(case, inputs), error
            elif not (spoil is nothing or (spoil is without_fractions and not of_fractions)):
                assert not is_refused_by_pytorch(case, inputs), f"{spoil.__name__} is taken"
