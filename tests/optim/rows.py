"""The table of optimisers: each with its options, every option at least once. One row is one case."""

from __future__ import annotations

# name | options; those that PyTorch does not have are compared with their papers in `test_papers.py`
ROWS = [
    ("SGD", dict(lr=0.1)),
    ("SGD", dict(lr=0.1, momentum=0.9)),
    ("SGD", dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.1)),
    ("SGD", dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)),
    ("SGD", dict(lr=0.1, momentum=0.5, maximize=True, foreach=True)),
    ("Adam", dict(lr=0.1)),
    ("Adam", dict(lr=0.1, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1)),
    ("Adam", dict(lr=0.1, betas=(0.0, 0.9), capturable=False, foreach=False)),
    ("Adam", dict(lr=0.1, amsgrad=True)),
    ("Adam", dict(lr=0.1, maximize=True, fused=True)),
    ("Adam", dict(lr=0.1, weight_decay=0.2, decoupled_weight_decay=True)),
    ("AdamW", dict(lr=0.1)),
    ("AdamW", dict(lr=0.1, weight_decay=0.5, amsgrad=True)),
    ("AdamW", dict(lr=0.1, weight_decay=0.0, maximize=True)),
    ("Adamax", dict(lr=0.1)),
    ("Adamax", dict(lr=0.1, betas=(0.5, 0.9), eps=1e-2, weight_decay=0.1, maximize=True)),
    ("NAdam", dict(lr=0.1)),
    ("NAdam", dict(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1, momentum_decay=0.1)),
    ("NAdam", dict(lr=0.1, weight_decay=0.1, decoupled_weight_decay=True, maximize=True)),
    ("RAdam", dict(lr=0.1)),
    ("RAdam", dict(lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1)),
    ("RAdam", dict(lr=0.1, betas=(0.9, 0.99), weight_decay=0.1, decoupled_weight_decay=True, maximize=True)),
    ("Adagrad", dict(lr=0.1)),
    ("Adagrad", dict(lr=0.1, lr_decay=0.2, weight_decay=0.1, initial_accumulator_value=0.3, eps=1e-3)),
    ("Adagrad", dict(lr=0.1, maximize=True, foreach=None)),
    ("Adadelta", dict(lr=1.0)),
    ("Adadelta", dict(lr=0.5, rho=0.5, eps=1e-3, weight_decay=0.1, maximize=True)),
    ("RMSprop", dict(lr=0.1)),
    ("RMSprop", dict(lr=0.1, alpha=0.5, eps=1e-3, weight_decay=0.1, momentum=0.9)),
    ("RMSprop", dict(lr=0.1, eps=1e-2, centered=True)),
    ("RMSprop", dict(lr=0.1, eps=1e-2, centered=True, momentum=0.5, maximize=True)),
    ("Rprop", dict(lr=0.1)),
    ("Rprop", dict(lr=0.1, etas=(0.3, 1.5), step_sizes=(0.05, 0.12), maximize=True)),
    ("ASGD", dict(lr=0.1)),
    ("ASGD", dict(lr=0.1, lambd=0.1, alpha=0.5, t0=2.0, weight_decay=0.1, maximize=True)),
    ("Adafactor", dict(lr=0.1)),
    ("Adafactor", dict(lr=0.5, beta2_decay=-0.5, eps=(1e-4, 1e-2), d=2.0, weight_decay=0.1, maximize=True)),
    ("Muon", dict(lr=0.02)),
    ("Muon", dict(lr=0.02, weight_decay=0.0, momentum=0.5, nesterov=False, adjust_lr_fn="match_rms_adamw")),
    ("Muon", dict(lr=0.02, ns_coefficients=(3.0, -3.2, 1.2), ns_steps=3, eps=1e-3, adjust_lr_fn="original")),
]  # fmt: skip

# Of the options that PyTorch does not have.
OWN = [
    ("Lion", dict(lr=0.1)),
    ("Lion", dict(lr=0.1, betas=(0.8, 0.6), weight_decay=0.2, maximize=True)),
    ("LAMB", dict(lr=0.1)),
    ("LAMB", dict(lr=0.1, betas=(0.8, 0.6), eps=1e-3, weight_decay=0.2, maximize=True)),
]

SHAPES = {"Muon": [(4, 3), (2, 5)]}
ANY_SHAPES = [(4, 3), (2, 3, 2), ()]


def shapes(name):
    """The shapes of the parameters that an optimiser is tried with."""
    return SHAPES.get(name, ANY_SHAPES)
