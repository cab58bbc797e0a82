"""PyTorch's own sample inputs, with which it tests its optimisers and schedules: steps are the same here."""

import types
import warnings

import numpy as np
import pytest

import tessella as ts
from tessella import nn, optim
from tessella.errors import TessellaError

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # which PyTorch's tests need
pytestmark = pytest.mark.peers

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db

OPTIMISERS = {info.name: info for info in optim_db if not info.only_supports_sparse_grads}
STEPS = 4
# The products of Muon are bfloat16's, whose sums are cut differently; the others are float32's.
ROUGH = {"Muon": dict(rtol=0.02, atol=1e-2)}
CLOSE = dict(rtol=2e-5, atol=2e-6)
WIDER = {  # what PyTorch refuses and we take: by the text of its error
    "lr as a Tensor is not supported for capturable=False and foreach=True",  # steps read it anyway
    "Muon does not support complex parameters", "Adafactor does not support complex parameters",
}  # fmt: skip


def own(value, known=None):
    """A value of PyTorch's as one of ours; one that is given twice stays one."""
    known = {} if known is None else known
    if isinstance(value, torch.Tensor):
        if id(value) not in known:
            made = ts.asarray(value.detach().numpy(), copy=True)
            known[id(value)] = nn.Parameter(made) if value.requires_grad else made
        return known[id(value)]
    if isinstance(value, dict):
        return {name: own(item, known) for name, item in value.items()}
    return type(value)(own(x, known) for x in value) if type(value) in (list, tuple) else value


def samples_of(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return OPTIMISERS[name].optim_inputs_func(device="cpu")


def shapes(name):
    return [(4, 3), (2, 5)] if name == "Muon" else [(4, 3), (2, 3, 2), ()]


class Run:
    """Steps of an optimiser; the loss is that of one linear map on targets, the same here and in PyTorch."""

    def __init__(self, library, name, options, schedules=()):
        random = np.random.default_rng(0)
        start = [random.standard_normal(shape).astype(np.float32) for shape in shapes(name)]
        self.targets = [library.asarray(np.cos(3 * x)) for x in start]
        parameter = nn.Parameter if library is ts else torch.nn.Parameter
        self.weights = [parameter(library.asarray(x.copy())) for x in start]
        groups = [{"params": self.weights[:1]}, {"params": self.weights[1:], "lr": 0.02}]
        params = groups if OPTIMISERS[name].supports_param_groups else self.weights
        self.optimiser = getattr(library.optim, name)(params, **options)
        self.schedules = [schedule(self.optimiser) for schedule in schedules]

    def loss(self):
        self.optimiser.zero_grad()
        pairs = zip(self.weights, self.targets, strict=True)
        loss = sum(((w - t) ** 2).sum() * 0.5 + (w * t).sum() * 0.1 for w, t in pairs)
        loss.backward()
        return loss

    def step(self):
        return self.optimiser.step(self.loss)

    def compiled(self):
        """A step as one program; of an optimiser that looks at losses, what it looks at."""
        if OPTIMISERS[type(self.optimiser).__name__].step_requires_closure:
            closure = ts.jit(self.loss)
            return lambda: self.optimiser.step(closure)
        return ts.jit(self.step)

    def numbers(self):
        return [w.detach().numpy().copy() for w in self.weights]

    def advance(self, loss):
        for schedule in self.schedules:
            by_loss = type(schedule).__name__ == "ReduceLROnPlateau"
            schedule.step(loss) if by_loss else schedule.step()

    def rates(self):
        return [float(group["lr"]) for group in self.optimiser.param_groups]


def agree(ours, theirs, name):
    for x, y in zip(ours.numbers(), theirs.numbers(), strict=True):
        np.testing.assert_allclose(x, y, **ROUGH.get(name, CLOSE))


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_steps(name, compiled):
    for sample in samples_of(name):
        ours, theirs = Run(ts, name, own(sample.kwargs)), Run(torch, name, sample.kwargs)
        step = ours.compiled() if compiled else ours.step
        for _ in range(STEPS):
            np.testing.assert_allclose(float(step()), theirs.step().item(), rtol=1e-3)
            agree(ours, theirs, name)


def as_ours(make):
    """A function of PyTorch's samples that makes a schedule, with the names of ours."""
    return types.FunctionType(make.__code__, vars(optim.lr_scheduler), closure=make.__closure__)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_schedules(name):
    for makers in OPTIMISERS[name].scheduler_inputs:
        options = {"lr": 0.03}
        theirs = Run(torch, name, options, makers)
        ours = Run(ts, name, options, [as_ours(make) for make in makers])
        for _ in range(12):
            ours.advance(float(ours.step()))
            theirs.advance(theirs.step().item())
            np.testing.assert_allclose(ours.rates(), theirs.rates(), rtol=1e-6)
        agree(ours, theirs, name)


def wrong_ones(name):
    """What PyTorch refuses at construction, or at a step."""
    made = OPTIMISERS[name].optim_error_inputs_func(device="cpu", dtype=torch.float32)
    for wrong in made:
        if not any(text in wrong.error_regex for text in WIDER):
            given = wrong.optimizer_error_input
            yield wrong, given.params, given.kwargs


@pytest.mark.parametrize("name", OPTIMISERS)
def test_wrong_arguments(name):
    compared = 0
    for wrong, params, options in wrong_ones(name):
        assert wrong.error_on is OptimizerErrorEnum.CONSTRUCTION_ERROR
        params = [torch.nn.Parameter(torch.ones(1, 1))] if params is None else params
        known = {}
        given, options = own(params, known), own(options, known)
        with pytest.raises(TessellaError):
            print("not refused:", wrong.error_regex, getattr(optim, name)(given, **options))
        compared += 1
    assert compared


def test_every_optimiser_of_pytorch_has_samples():
    kinds = {n for n, kind in vars(torch.optim).items() if isinstance(kind, type)}
    assert kinds - {"Optimizer", "SparseAdam"} == set(OPTIMISERS)
