"""Schedules give PyTorch's numbers, its checkpoints, and no compiled step anything to do."""

import math

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tessella.optim import lr_scheduler as own_schedules

try:
    import torch
    from torch.optim import lr_scheduler as peer_schedules
except ImportError:
    torch = peer_schedules = None

RATES = [0.5, 0.02]  # of two groups
STEPS = 50


class Decay:
    """A function with something to remember."""

    def __init__(self, by):
        self.by = by

    def __call__(self, epoch):
        return self.by**epoch


def chained(s, o):
    return s.ChainedScheduler(
        [s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9), s.StepLR(o, 5, 0.5)]
    )


def sequential(s, o):
    parts = [
        s.LinearLR(o, 0.1, 1.0, 5),
        s.CosineAnnealingLR(o, 20, 1e-3),
        s.CosineAnnealingWarmRestarts(o, 6),
    ]
    return s.SequentialLR(o, parts, [5, 25])


def nested(s, o):
    inner = s.SequentialLR(o, [s.ConstantLR(o, 0.5, 2), s.PolynomialLR(o, 9, 2.0)], [4])
    return s.SequentialLR(o, [inner, s.ExponentialLR(o, 0.9)], [12])


# One row a case: how it is made from the schedules and an optimiser, there as here.
ROWS = {
    "lambda": lambda s, o: s.LambdaLR(o, lambda t: 0.9**t),
    "lambdas": lambda s, o: s.LambdaLR(o, [lambda t: 1 / (1 + t), Decay(0.95)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda t: 0.9 + 0.001 * t),
    "step": lambda s, o: s.StepLR(o, 7),
    "step with gamma": lambda s, o: s.StepLR(o, step_size=1, gamma=0.5),
    "milestones": lambda s, o: s.MultiStepLR(o, [3, 10, 10, 30], gamma=0.3),
    "milestone 0": lambda s, o: s.MultiStepLR(o, [0, 4]),
    "constant": lambda s, o: s.ConstantLR(o),
    "constant with factor": lambda s, o: s.ConstantLR(o, factor=0.7, total_iters=11),
    "linear": lambda s, o: s.LinearLR(o),
    "linear to nothing": lambda s, o: s.LinearLR(o, 1.0, 0.0, 30),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.93),
    "exponential to nothing": lambda s, o: s.ExponentialLR(o, 0.0),
    "polynomial": lambda s, o: s.PolynomialLR(o),
    "polynomial with power": lambda s, o: s.PolynomialLR(o, total_iters=40, power=1.7),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 12, 0.01),
    "cosine of one": lambda s, o: s.CosineAnnealingLR(o, T_max=1),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 7, 2, 1e-3),
    "restarts alike": lambda s, o: s.CosineAnnealingWarmRestarts(o, 5),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.01, 0.3, 5),
    "cyclic, each": lambda s, o: s.CyclicLR(o, [0.01, 0.1], [0.3, 0.2], 5, 9, "triangular2", base_momentum=0.7),
    "cyclic, range": lambda s, o: s.CyclicLR(o, 0.01, 0.3, 4, mode="exp_range", gamma=0.9, max_momentum=0.99),
    "cyclic, function": lambda s, o: s.CyclicLR(
        o, 0.01, 0.3, 4, scale_fn=Decay(0.9), scale_mode="iterations", cycle_momentum=False
    ),
    "cyclic, function of cycles": lambda s, o: s.CyclicLR(o, 0.01, 0.3, 4, scale_fn=lambda c: 1 / c),
    "one cycle": lambda s, o: s.OneCycleLR(o, 0.4, total_steps=60),
    "one cycle, three": lambda s, o: s.OneCycleLR(
        o, [0.4, 0.3], epochs=6, steps_per_epoch=10, pct_start=0.4, three_phase=True, div_factor=10.0
    ),
    "one cycle, linear": lambda s, o: s.OneCycleLR(
        o, 0.4, 55, anneal_strategy="linear", base_momentum=0.6, max_momentum=0.7, final_div_factor=10.0
    ),
    "one cycle, rate alone": lambda s, o: s.OneCycleLR(o, 0.4, 50, cycle_momentum=False),
    "chained": chained,
    "sequential": sequential,
    "nested": nested,
}  # fmt: skip
PLATEAUS = [
    dict(patience=2),
    dict(mode="max", factor=0.5, patience=1, threshold=0.1, threshold_mode="abs", cooldown=3),
    dict(mode="min", factor=0.3, patience=0, threshold=0.2, threshold_mode="abs", min_lr=[0.1, 0.001]),
    dict(mode="max", factor=0.9, patience=3, threshold=0.05, min_lr=0.01, eps=1e-3),
]  # fmt: skip


def optimiser_of(package, make, kind):
    groups = [{"params": [make()], "lr": rate} for rate in RATES]
    return getattr(package, kind)(groups, **({"momentum": 0.9} if kind == "SGD" else {}))


def own_optimiser(kind="SGD"):
    return optimiser_of(optim, lambda: nn.Parameter(ts.ones(2)), kind)


def peer_optimiser(kind="SGD"):
    return optimiser_of(torch.optim, lambda: torch.nn.Parameter(torch.ones(2)), kind)


def options_of(optimiser):
    found = []
    for group in optimiser.param_groups:
        found += [group["lr"], group.get("momentum", 0.0), *group.get("betas", ())]
    return found


def both(first, second, optimisers, steps, *results):
    for number in range(steps):
        given = [results[0][number]] if results else []
        first.step(*given)
        second.step(*given)
        ours, theirs = map(options_of, optimisers)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-14, err_msg=f"step {number}")
        np.testing.assert_allclose(first.get_last_lr(), second.get_last_lr(), rtol=1e-9, atol=1e-14)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")  # PyTorch's, of optimisers that make no steps
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", ROWS)
def test_numbers_and_checkpoints_both_ways(name, kind):
    pytest.importorskip("torch")
    make = ROWS[name]
    optimisers = own_optimiser(kind), peer_optimiser(kind)
    ours, theirs = make(own_schedules, optimisers[0]), make(peer_schedules, optimisers[1])
    np.testing.assert_allclose(*map(options_of, optimisers), rtol=1e-9)
    both(ours, theirs, optimisers, 17)
    more = own_optimiser(kind), peer_optimiser(kind)
    later = make(own_schedules, more[0]), make(peer_schedules, more[1])
    more[0].load_state_dict(strip(optimisers[1].state_dict()))
    more[1].load_state_dict(strip(optimisers[0].state_dict()))
    later[0].load_state_dict(theirs.state_dict())
    later[1].load_state_dict(ours.state_dict())
    both(*later, more, STEPS - 17)


def strip(state):
    """Only the options: no step was made."""
    return {"state": {}, "param_groups": state["param_groups"]}


@pytest.mark.peers
@pytest.mark.parametrize("options", PLATEAUS, ids=str)
def test_plateaus(options):
    pytest.importorskip("torch")
    optimisers = own_optimiser(), peer_optimiser()
    ours = own_schedules.ReduceLROnPlateau(optimisers[0], **options)
    theirs = peer_schedules.ReduceLROnPlateau(optimisers[1], **options)
    results = [math.cos(t / 7) + 0.3 * math.sin(3 * t) for t in range(STEPS)]
    both(ours, theirs, optimisers, 20, results)
    again = own_schedules.ReduceLROnPlateau(optimisers[0])
    again.load_state_dict(theirs.state_dict())
    both(again, theirs, optimisers, STEPS - 20, results[20:])


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [n for n in ROWS if n not in ("chained", "sequential", "nested")])
def test_going_on_by_last_epoch(name):
    pytest.importorskip("torch")

    class At:
        """The schedules, made to go on after some epochs."""

        def __init__(self, module):
            self.module = module

        def __getattr__(self, kind):
            return lambda *given, **named: getattr(self.module, kind)(*given, **named, last_epoch=9)

    optimisers = own_optimiser(), peer_optimiser()
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group.update(
                initial_lr=group["lr"], max_lr=0.4, min_lr=1e-5, base_momentum=0.8, max_momentum=0.9
            )
    ours, theirs = (
        ROWS[name](At(own_schedules), optimisers[0]),
        ROWS[name](At(peer_schedules), optimisers[1]),
    )
    both(ours, theirs, optimisers, 15)


@pytest.mark.parametrize("name", ROWS)
def test_compiled_steps_follow_without_another_program(name):
    def losses(wrap):
        p, q = nn.Parameter(ts.asarray([1.0, -2.0])), nn.Parameter(ts.asarray([[3.0]]))
        optimiser = optim.SGD([{"params": [p]}, {"params": [q], "lr": 0.05}], lr=0.1, momentum=0.9)
        schedule = ROWS[name](own_schedules, optimiser)

        @wrap
        def step():
            optimiser.zero_grad()
            loss = (p * p).sum() + (q * q).sum()
            loss.backward()
            optimiser.step()
            return loss

        found = []
        for _ in range(12):
            found.append(step().item())
            schedule.step()
        return found, step

    expected, _ = losses(lambda f: f)
    found, step = losses(ts.jit)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert len(step.traces) == 1


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "NAdam", "Lion", "RMSprop"])
def test_momentum_that_moves_makes_no_other_program(kind):
    p = nn.Parameter(ts.asarray([1.0, -2.0]))
    optimiser = getattr(optim, kind)(
        [p], lr=0.1, **({"momentum": 0.5} if kind == "RMSprop" else {})
    )
    schedule = own_schedules.OneCycleLR(optimiser, 0.1, total_steps=20)

    @ts.jit
    def step():
        optimiser.zero_grad()
        (p * p).sum().backward()
        optimiser.step()

    for _ in range(10):
        step()
        schedule.step()
    assert len(step.traces) == 1


def test_warm_up_and_cosine():
    optimiser = own_optimiser()
    schedule = own_schedules.WarmupCosineLR(optimiser, 4, 20, eta_min=1e-3)
    found = []
    for _ in range(25):
        found.append(optimiser.param_groups[0]["lr"])
        schedule.step()
    expected = [0.5 * (t + 1) / 5 for t in range(4)]
    expected += [1e-3 + 0.499 * (1 + math.cos(math.pi * t / 16)) / 2 for t in range(17)]
    np.testing.assert_allclose(found, [*expected, *[1e-3] * 4])
    again = own_schedules.WarmupCosineLR(own_optimiser(), 1, 2)
    again.load_state_dict(schedule.state_dict())
    again.step()
    assert again.get_last_lr() == pytest.approx([1e-3, 1e-3])


def test_a_rate_that_is_a_tensor_is_written_to():
    rate = ts.asarray(0.5)
    optimiser = optim.SGD([nn.Parameter(ts.ones(2))], lr=rate)
    schedule = own_schedules.ExponentialLR(optimiser, 0.5)
    schedule.step()
    assert optimiser.param_groups[0]["lr"] is rate
    assert rate.item() == 0.25


def test_restarts_at_fractions_of_an_epoch():
    ours = own_schedules.CosineAnnealingWarmRestarts(own_optimiser(), 2, 2)
    found = []
    for part in range(24):
        ours.step(part / 4)
        found.append(ours.get_last_lr()[0])
    expected = [
        0.25 * (1 + math.cos(math.pi * (t / 2 if t < 2 else (t - 2) / 4)))
        for t in np.arange(24) / 4
    ]
    np.testing.assert_allclose(found, expected, atol=1e-15)


class Mine(own_schedules.LRScheduler):
    """A schedule of a user's."""

    def __init__(self, optimizer, by):
        self.by = by
        super().__init__(optimizer)

    def get_lr(self):
        return [base - self.by * self.last_epoch for base in self.base_lrs]


def test_a_schedule_of_one_s_own():
    optimiser = own_optimiser()
    schedule = Mine(optimiser, 0.001)
    schedule.step()
    assert schedule.get_last_lr() == pytest.approx([0.499, 0.019])
    assert repr(schedule).startswith("Mine(last_epoch=1, lr=[0.499")


S = own_schedules


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (lambda o: S.StepLR(o, 0), errors.ArgumentError, "StepLR: step_size is 0; expected a whole number of at least 1"),
        (lambda o: S.StepLR("sgd", 3), errors.ArgumentTypeError, "StepLR: optimizer is 'sgd'; expected an optimiser"),
        (lambda o: S.ConstantLR(o, 1.5), errors.ArgumentError, "factor is 1.5; expected a probability from 0 to 1"),
        (lambda o: S.LinearLR(o, 0.0), errors.ArgumentError, "start_factor: it is 0, and no factor leads away"),
        (lambda o: S.LambdaLR(o, 3), errors.ArgumentTypeError, "lr_lambda is 3; expected a function, or a list of one for each group"),
        (lambda o: S.LambdaLR(o, [abs]), errors.ArgumentError, "lr_lambda: 1 values for 2 groups of parameters"),
        (lambda o: S.CyclicLR(o, 0.1, [1.0]), errors.ArgumentError, "max_lr: 1 values for 2 groups"),
        (lambda o: S.CyclicLR(o, 0.1, 1.0, mode="square"), errors.ArgumentError, "mode is 'square'; expected 'triangular' or"),
        (lambda o: S.CyclicLR(optim.Adagrad([nn.Parameter(ts.ones(1))]), 0.1, 1.0), errors.ArgumentError, "Adagrad has neither momentum nor betas; give cycle_momentum=False"),
        (lambda o: S.OneCycleLR(o, 0.1, epochs=3), errors.ArgumentError, "total_steps: give it, or both epochs and steps_per_epoch"),
        (lambda o: [s := S.OneCycleLR(o, 0.1, 2), *[s.step() for _ in range(3)]], errors.ArgumentError, "step 3 of 2; give a larger total_steps"),
        (lambda o: S.StepLR(o, 3, last_epoch=4), errors.ArgumentError, "group 0 of the optimiser has no 'initial_lr'"),
        (lambda o: S.SequentialLR(o, [], []), errors.ArgumentError, "schedulers: none was given"),
        (lambda o: S.SequentialLR(o, [S.StepLR(o, 3)], [1]), errors.ArgumentError, "milestones: 1 for 1 schedules; expected one fewer"),
        (lambda o: S.SequentialLR(o, [S.StepLR(own_optimiser(), 3)], []), errors.ArgumentError, "a StepLR is of another optimiser"),
        (lambda o: S.ChainedScheduler([S.ReduceLROnPlateau(o)]), errors.ArgumentError, "whose steps need a result; step it by itself"),
        (lambda o: S.ChainedScheduler([3]), errors.ArgumentTypeError, "schedulers: [3] was given; expected a list of schedules"),
        (lambda o: S.ReduceLROnPlateau(o, factor=1.0), errors.ArgumentError, "which reduces nothing; expected a number below 1"),
        (lambda o: S.WarmupCosineLR(o, 5, 5), errors.ArgumentError, "warmup_steps: it is 5 of 5 steps in all; expected fewer"),
        (lambda o: S.StepLR(o, 3).load_state_dict({"last_epoch": 3}), errors.StateDictError, "step_size is missing; is it a checkpoint of StepLR?"),
        (lambda o: S.LRScheduler(o), errors.MissingRuleError, "LRScheduler has no get_lr; define get_lr(self)"),
    ],
)  # fmt: skip
def test_what_is_said(make, kind, said):
    with pytest.raises(kind) as caught:
        make(own_optimiser())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "make", [*ROWS.values(), lambda s, o: s.ReduceLROnPlateau(o)], ids=[*ROWS, "plateau"]
)
def test_a_schedule_does_not_stand_still_in_a_program(make):
    schedule = make(own_schedules, own_optimiser())
    given = [1.0] if isinstance(schedule, own_schedules.ReduceLROnPlateau) else []
    before = schedule.state_dict()

    @ts.jit
    def step(x):
        schedule.step(*given)
        return x + 1

    with pytest.raises(errors.SideEffectError, match="call it after the compiled step"):
        step(ts.ones(2))
    assert str(schedule.state_dict()) == str(before)


@pytest.mark.peers
def test_every_schedule_of_pytorch_is_here_with_its_arguments():
    import inspect

    pytest.importorskip("torch")
    for name in peer_schedules.__all__:
        ours = inspect.signature(getattr(own_schedules, name).__init__).parameters
        theirs = inspect.signature(getattr(peer_schedules, name).__init__).parameters
        assert list(ours) == list(theirs), name
        assert [p.default for p in ours.values()] == [p.default for p in theirs.values()], name
