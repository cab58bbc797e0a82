"""A compiled step follows every option, whatever it is changed to and whenever; numbers make no new program."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors, nn, optim
from tests.optim.rows import SHAPES

KINDS = [name for name in optim.__all__ if isinstance(getattr(optim, name), type)]
KINDS = [name for name in KINDS if name not in ("Optimizer", "LBFGS")]
# What an option is changed to, and whether the same program follows it; None for what only speaks of speed.
CHANGES = {
    "lr": (0.05, True), "betas": ((0.5, 0.7), True), "momentum": (0.3, True), "dampening": (0.4, True),
    "weight_decay": (0.3, True), "eps": (2.0, False), "momentum_decay": (0.2, True), "rho": (0.2, True),
    "alpha": (0.3, True), "lambd": (0.2, True), "lr_decay": (0.5, True), "beta2_decay": (-0.3, True),
    "nesterov": (False, False), "amsgrad": (True, False), "maximize": (True, False), "centered": (True, False),
    "decoupled_weight_decay": (True, False), "t0": (1.0, False), "etas": ((0.1, 3.0), False),
    "step_sizes": ((0.01, 0.02), False), "d": (1.5, False), "ns_coefficients": ((2.0, -1.5, 0.5), False),
    "ns_steps": (2, False), "adjust_lr_fn": ("match_rms_adamw", False),
}  # fmt: skip
PAIRS = {"Muon": {"eps": (50.0, False)}, "Adafactor": {"eps": ((1e-2, 3.0), False)}}
START = {"momentum": 0.9, "weight_decay": 0.1, "lr_decay": 0.1, "dampening": 0.2, "lr": 0.1}
# Here: it is read at the first step only, nothing is cut, or the squares grow all the time.
WITHOUT_EFFECT = {
    ("Rprop", "lr"),
    ("ASGD", "t0"),
    ("Adafactor", "d"),
    ("Adam", "amsgrad"),
    ("AdamW", "amsgrad"),
}
QUIET = {"foreach", "fused", "capturable", "differentiable", "initial_accumulator_value"}


def run(name, change=None, wrap=lambda f: f):
    """Six steps, after the third of which an option is changed; gives the parameters, and the step."""
    parameters = [nn.Parameter(ts.asarray([[-1.0, 0.5, 2.0], [1.5, 1.0, -0.7]]))]
    if name not in SHAPES:
        parameters.append(nn.Parameter(ts.asarray([0.5, -3.0])))
    optimiser = getattr(optim, name)(parameters)
    group = optimiser.param_groups[0]
    group.update({key: value for key, value in START.items() if key in group})
    if name == "Muon":  # whose bfloat16 is rough
        group["lr"] = 0.02

    @wrap
    def step():
        optimiser.zero_grad()
        sum(((p - 0.3) ** 2).sum() for p in parameters).backward()
        optimiser.step()

    for number in range(6):
        if number == 3 and change is not None:
            group.update(change)
        step()
    return [p.numpy() for p in parameters], step


CASES = [
    (name, option)
    for name in KINDS
    for option in getattr(optim, name)([nn.Parameter(ts.ones((2, 2)))]).defaults
    if option not in QUIET
]


@pytest.mark.parametrize(("name", "option"), CASES)
def test_a_compiled_step_follows_what_it_was_not_made_for(name, option):
    value, same_program = PAIRS.get(name, {}).get(option, CHANGES[option])
    change = {option: value}
    expected, _ = run(name, change)
    found, step = run(name, change, ts.jit)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 if name != "Muon" else 8e-3)
    default = getattr(optim, name)([nn.Parameter(ts.ones((2, 2)))]).defaults[option]
    is_changed = START.get(option, default) != value
    if (name, option) not in WITHOUT_EFFECT:
        untouched, _ = run(name)
        pairs = zip(expected, untouched, strict=True)
        assert is_changed == any(not np.allclose(a, b, atol=1e-6) for a, b in pairs)
    assert len(step.traces) == 1 + (is_changed and not same_program)


class Raw(optim.Optimizer):
    """An author who reads options as they are."""

    def __init__(self, params, lr, power=1.0, flag=False):
        super().__init__(params, {"lr": lr, "power": power, "flag": flag})

    def _update(self, parameter, gradient, state, options):
        lr = options["lr"] if options["flag"] else 2 * options["lr"]
        parameter.assign(parameter - lr * gradient ** options["power"])


class Derived(optim.SGD):
    """One who adds to a rule of ours."""

    def _update(self, parameter, gradient, state, options):
        super()._update(parameter, gradient * options["lr"], state, options)


@pytest.mark.filterwarnings(
    "ignore::tessella.errors.RetraceWarning"
)  # given to our rule, all options count
@pytest.mark.parametrize("kind", [Raw, Derived])
def test_an_author_cannot_keep_a_number_in_a_program(kind):
    def values(wrap):
        p = nn.Parameter(ts.asarray([1.0, 2.0]))
        optimiser = kind([p], lr=0.1)

        @wrap
        def step():
            optimiser.zero_grad()
            (p * p).sum().backward()
            optimiser.step()

        found = []
        for number in range(8):
            optimiser.param_groups[0]["lr"] = 0.1 / (1 + number)
            if kind is Raw:
                optimiser.param_groups[0].update(power=1.0 + number % 2, flag=number > 4)
            step()
            found.append(p.numpy())
        return found

    np.testing.assert_allclose(values(ts.jit), values(lambda f: f), rtol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in KINDS
        if "differentiable" in getattr(optim, n)([nn.Parameter(ts.ones((2, 2)))]).defaults
    ],
)
def test_steps_are_not_differentiable(name):
    kind, p = getattr(optim, name), nn.Parameter(ts.ones((2, 2)))
    with pytest.raises(
        errors.ArgumentError,
        match=f"{name}: differentiable is True; expected False, as steps are not recorded",
    ):
        kind([p], differentiable=True)
    optimiser = kind([p])
    saved = optimiser.state_dict()
    saved["param_groups"][0]["differentiable"] = True
    with pytest.raises(errors.ArgumentError, match="differentiable is True"):
        optimiser.load_state_dict(saved)


P = nn.Parameter(ts.ones(2))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: optim.Rprop([P], etas=(1.2, 0.5)), "Rprop: etas is (1.2, 0.5); expected two numbers, one between 0 and 1 and one above 1"),
        (lambda: optim.Rprop([P], step_sizes=(-1, 5)), "Rprop: step_sizes is (-1, 5); expected two numbers of at least 0"),
        (lambda: optim.Adadelta([P], rho=1.5), "Adadelta: rho is 1.5; expected a probability from 0 to 1"),
        (lambda: optim.Adafactor([P], d=0.5), "Adafactor: d is 0.5; expected a number of at least 1"),
        (lambda: optim.Adafactor([P], beta2_decay=0.5), "Adafactor: beta2_decay is 0.5; expected a number of at most 0"),
        (lambda: optim.Adafactor([P], eps=1e-3), "Adafactor: eps is 0.001; expected two numbers of at least 0, the first of which may be None"),
        (lambda: optim.Muon([P]), "Muon: a parameter of shape (2,); expected matrices; give the others to another optimiser"),
        (lambda: optim.Muon([nn.Parameter(ts.ones((2, 2)))], adjust_lr_fn="x"), "adjust_lr_fn is 'x'; expected 'original' or 'match_rms_adamw', or None"),
        (lambda: optim.Muon([nn.Parameter(ts.ones((2, 2)))], ns_coefficients=(1, 2)), "ns_coefficients is (1, 2); expected three numbers"),
    ],
)  # fmt: skip
def test_what_is_said_about_options(make, said):
    with pytest.raises(errors.TessellaError) as caught:
        make()
    assert said in str(caught.value)


@pytest.mark.parametrize("dtype", [ts.bfloat16, ts.float64])
@pytest.mark.parametrize("name", KINDS)
def test_parameters_keep_their_dtype_and_halves_are_remembered_in_float32(name, dtype):
    """Numbers come in float32 beside halves: a rate of 0.001 is no bfloat16."""

    def steps(wrap):
        p = nn.Parameter(ts.asarray([[1.0, -2.0], [0.5, 3.0]]).astype(dtype))
        optimiser = getattr(optim, name)([p], lr=0.1)

        @wrap
        def step():
            optimiser.zero_grad()
            (p * p).sum().backward()
            optimiser.step()

        for _ in range(3):
            step()
        kept = {n: v for n, v in optimiser.state[p].items() if n not in optimiser.counts}
        assert p.dtype is dtype
        assert all(x.dtype is dtype.compute for x in kept.values())
        return p.astype(ts.float64).numpy()

    tolerance = 0.02 if name == "Muon" or dtype is ts.bfloat16 else 1e-12
    np.testing.assert_allclose(steps(ts.jit), steps(lambda f: f), rtol=tolerance, atol=tolerance)


def test_names_of_parameters_stay_beside_them():
    model = nn.Linear(2, 1)
    optimiser = optim.Adam(model.named_parameters(), lr=0.1)
    assert optimiser.param_groups[0]["param_names"] == ["weight", "bias"]
    assert repr(optimiser).endswith("2 tensors of 3 numbers)")
    saved = optimiser.state_dict()
    assert saved["param_groups"][0]["param_names"] == ["weight", "bias"]
    optim.Adam(model.parameters()).load_state_dict(saved)
    with pytest.raises(
        errors.ArgumentTypeError, match="tuple among the parameters; expected tensors"
    ):
        optim.SGD([("weight", model.weight), model.bias])
    with pytest.raises(errors.ArgumentError, match="a group of parameters with no names, where"):
        optimiser.add_param_group({"params": [nn.Parameter(ts.ones(2))]})
    with pytest.raises(errors.ArgumentError, match="with names, where the group before has none"):
        optim.SGD([{"params": [model.weight]}, {"params": [("bias", model.bias)]}])


def test_the_first_damped_gradient_counts_in_full_before_and_after_a_checkpoint():
    p = nn.Parameter(ts.zeros(1))
    optimiser = optim.SGD([p], lr=1.0, momentum=0.5, dampening=0.5)
    p.grad = ts.ones(1)
    optimiser.step()
    assert p.tolist() == [-1.0]
    saved = optimiser.state_dict()
    assert list(saved["state"][0]) == ["momentum_buffer"]
    optimiser.load_state_dict(saved)
    optimiser.step()
    assert p.tolist() == [-2.0]  # the velocity is 0.5 * 1 + 0.5 * 1
