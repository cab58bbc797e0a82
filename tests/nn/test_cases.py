"""Every layer and function of the table gives PyTorch's numbers: results and gradients, eagerly, compiled, on views."""

import importlib
import pkgutil
import warnings

import numpy as np
import pytest

import tessella as ts
from tessella import nn
from tessella.nn import functional as F

from . import cases

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

FAMILIES = sorted(m.name for m in pkgutil.iter_modules(cases.__path__) if m.name != "case")
CASES = [
    pytest.param(case, id=f"{family}-{case}")
    for family in FAMILIES
    for case in importlib.import_module(f".{family}", cases.__name__).CASES
]


def flat(results):
    """Tensors of a result, in order."""
    if isinstance(results, (tuple, list)):
        return [x for result in results for x in flat(result)]
    return [] if results is None else [results]


def is_float(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def weights(shape):
    """What results are multiplied by to have one number to differentiate."""
    return np.cos(np.arange(np.prod(shape, dtype=int)) + 0.5).reshape(shape).astype(np.float32)


def of_pytorch(case):
    """Results, gradients of inputs, gradients of parameters, and the layer, if it is one."""
    to = lambda x: torch.tensor(x) if isinstance(x, np.ndarray) else x  # noqa: E731
    inputs = [to(x).requires_grad_() if is_float(x) else to(x) for x in case.inputs]
    options = {name: to(value) for name, value in case.options.items()}
    layer = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own deprecations
        if case.name[0].isupper():
            torch.manual_seed(0)
            layer = getattr(torch.nn, case.name)(**options)
            if case.prepare is not None:
                case.prepare(layer)
            state = {
                name: value.detach().clone().numpy() for name, value in layer.state_dict().items()
            }
            results = layer(*inputs, **{name: to(value) for name, value in case.call.items()})
        else:
            state = {}
            results = getattr(torch.nn.functional, case.name)(*inputs, **options)
    found = [x for x in flat(results) if isinstance(x, torch.Tensor)]
    parameters = {} if layer is None else dict(layer.named_parameters())
    loss = sum(
        ((x * torch.tensor(weights(x.shape))).sum() for x in found if x.requires_grad),
        torch.zeros(()),
    )
    if loss.requires_grad:
        loss.backward()
    gradients = [x.grad for x in inputs if isinstance(x, torch.Tensor) and x.is_floating_point()]
    return found, gradients, {name: p.grad for name, p in parameters.items()}, state, layer


class Own:
    """A case as a function of its parameters and its floating inputs."""

    def __init__(self, case, state, training):
        self.case, self.layer = case, None
        to = lambda x: ts.asarray(x) if isinstance(x, np.ndarray) else x  # noqa: E731
        options = {name: to(value) for name, value in case.options.items()}
        self.call = {name: to(value) for name, value in case.call.items()}
        if case.name[0].isupper():
            self.layer = getattr(nn, case.name)(**options)
            assert list(self.layer.state_dict()) == list(state)
            self.layer.load_state_dict({name: ts.asarray(value) for name, value in state.items()})
            self.layer.train(training)
        else:
            self.function = lambda *inputs: getattr(F, case.name)(*inputs, **options)

    def results(self, parameters, floats):
        floats = iter(floats)
        inputs = [
            next(floats) if is_float(x) else ts.asarray(x) if isinstance(x, np.ndarray) else x
            for x in self.case.inputs
        ]
        if self.layer is None:
            return flat(self.function(*inputs))
        return flat(nn.functional_call(self.layer, parameters, tuple(inputs), self.call))

    def loss(self, parameters, floats):
        found = self.results(parameters, floats)
        terms = [(x * ts.asarray(weights(x.shape))).sum() for x in found if x.dtype.is_float]
        return sum(terms, ts.zeros(())), [x.detach() for x in found]


def agree(own, peer, tolerance, what):
    peer = peer.detach().numpy()
    assert own.shape == peer.shape, what
    np.testing.assert_allclose(own.numpy(), peer, rtol=tolerance, atol=tolerance, err_msg=what)


@pytest.mark.parametrize("case", CASES)
def test_case(case):
    results, of_inputs, of_parameters, state, peer = of_pytorch(case)
    own = Own(case, state, peer is None or peer.training)
    floats = [ts.asarray(x) for x in case.inputs if is_float(x)]
    views = [ts.asarray(np.stack([x, x - 1], axis=-1))[..., 0] for x in case.inputs if is_float(x)]
    gradient = ts.grad(own.loss, argnums=(0, 1), has_aux=True)
    for how, compute, given in (
        ("eager", gradient, floats), ("compiled", ts.jit(gradient), floats), ("views", gradient, views),
    ):  # fmt: skip
        parameters = {} if own.layer is None else {n: ts.asarray(state[n]) for n in of_parameters}
        if own.layer is not None:  # running statistics, too, begin anew
            own.layer.load_state_dict({name: ts.asarray(value) for name, value in state.items()})
        (ours, theirs), found = compute(parameters, given)
        assert len(found) == len(results), how
        for x, y in zip(found, results, strict=True):
            agree(x, y, case.tolerance, f"{how}: results")
        for x, y in zip(theirs, of_inputs, strict=True):
            agree(
                x, torch.zeros(x.shape) if y is None else y, 10 * case.tolerance, f"{how}: inputs"
            )
        for name, y in of_parameters.items():
            y = torch.zeros(ours[name].shape) if y is None else y
            agree(ours[name], y, 10 * case.tolerance, f"{how}: {name}")
        if peer is not None:
            for name, value in own.layer.state_dict().items():
                if name not in of_parameters:
                    agree(value, peer.state_dict()[name], case.tolerance, f"{how}: {name}")
