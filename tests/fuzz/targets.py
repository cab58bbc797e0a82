"""What is called: every public callable, found by looking at the package, as an expression that gives it."""

import collections
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import tessella as ts

# Packages, and the expression for each; a package's public names are its `__all__`, or what it defines itself.
ROOMS = {
    "ts": "ts",
    "io": "ts.io",
    "random": "ts.random",
    "autodiff": "ts.autodiff",
    "dtypes": "ts.dtypes",
    "debug": "ts.debug",
    "scalar": "ts.scalar",
    "scalar.mathematics": "ts.scalar.mathematics",
    "scalar.operators": "ts.scalar.operators",
    "nn": "ts.nn",
    "nn.init": "ts.nn.init",
    "functional": "ts.nn.functional",
    "optim": "ts.optim",
    "optim.lr_scheduler": "ts.optim.lr_scheduler",
    "optim.swa_utils": "ts.optim.swa_utils",
    "train": "ts.train",
    "data": "ts.data",
    "minitorch": "__import__('tessella.minitorch').minitorch",
}

# Arguments with which classes can be made whose parameters have no defaults.
MADE_WITH = {
    "in_features": "3", "out_features": "2", "in_channels": "2", "out_channels": "4", "kernel_size": "2",
    "num_features": "3", "num_embeddings": "5", "embedding_dim": "2", "input_size": "3", "hidden_size": "2",
    "normalized_shape": "3", "data": "ts.ones((2, 3))", "params": "[ts.nn.Parameter(ts.ones((2, 3)))]",
    "defaults": "{'lr': 0.1}", "seed": "0", "embed_dim": "4", "num_heads": "2", "num_groups": "1", "num_channels": "2",
    "d_model": "4", "nhead": "2", "dim": "1", "size": "2", "output_size": "2", "modules": "()",
    "function": "lambda x: x * 2", "name": "'name'", "storage": "[1.0, 2.0]", "shape": "(2,)", "value": "1.0", "x": "1.0",
    "ops": "__import__('tessella.minitorch').minitorch.SimpleOps", "parameters": "[]", "lr": "0.1", "v": "1.0",
    "backend": "__import__('tessella.minitorch').minitorch.SimpleBackend", "upscale_factor": "1", "padding": "1",
    "groups": "1", "downscale_factor": "1", "norm_type": "2",
    "scale_factor": "2", "optimizer": "ts.optim.SGD([ts.nn.Parameter(ts.ones(2))], lr=0.1)", "step_size": "2",
    "mode": "'LSTM'", "bias": "True", "num_chunks": "4", "threshold": "0.5", "num_layers": "1",
    "encoder_layer": "ts.nn.TransformerEncoderLayer(4, 2, 4)", "decoder_layer": "ts.nn.TransformerDecoderLayer(4, 2, 4)",
    "in1_features": "3", "in2_features": "2", "unflattened_size": "(1, 2)", "negative_slope": "0.1", "n_classes": "4", "cutoffs": "[2]", "num_classes": "3",
    "loss": "ts.nn.functional.mse_loss", "gamma": "0.9", "lr_lambda": "lambda epoch: 0.9", "milestones": "[]", "T_max": "3", "T_0": "3", "base_lr": "0.1",
    "max_lr": "0.2", "warmup_steps": "1", "total_steps": "9", "step_size_up": "3", "epochs": "3",
    "swa_lr": "0.1", "model": "ts.nn.Linear(3, 2)",
    "schedulers": "[ts.optim.lr_scheduler.StepLR(ts.optim.SGD([ts.nn.Parameter(ts.ones(2))]), 3)]",
}  # fmt: skip

# What a class needs besides.
ALSO_WITH = {
    f"FractionalMaxPool{rank}d": ("output_size=1",) for rank in (2, 3)
}  # one of two options

# What is neither a class of ours nor a function, but has methods that people call.
OBJECTS = {
    "Tensor": [
        "ts.ones((2, 3))",
        "ts.asarray([1, 2, 3])",
        "ts.zeros((0, 2))",
        "ts.asarray(2.0)",
        "(ts.ones((2, 3)).requires_grad_() * 2)",
        "ts.asarray([True, False])",
    ],
    "nn": [
        "ts.nn.Linear(3, 2)",
        "ts.nn.Sequential(ts.nn.Conv2d(2, 4, 3), ts.nn.BatchNorm2d(4), ts.nn.Dropout(0.5))",
        "ts.nn.ModuleList([ts.nn.Linear(2, 2)])",
    ],
    "optim": [
        "ts.optim.SGD([ts.nn.Parameter(ts.ones((2, 3)))], lr=0.1)",
        "ts.optim.Adam(ts.nn.Linear(3, 2).parameters())",
    ],
    "transforms": [
        "ts.jit(lambda x: x * 2)",
        "ts.make_graph(lambda x: x * 2)(ts.ones(2))",
        "ts.custom_vjp(lambda x: x * 2)",
        "ts.custom_jvp(lambda x: x * 2)",
        "ts.scalar.ScalarFunction(lambda x: x * 2)",
    ],
}

# What every transformation gives back is called, too.
MADE_FUNCTIONS = [
    "ts.jit(lambda x, y=1: x * y)",
    "ts.jit(lambda x, n: x * n, static_argnames=('n',))",
    "ts.grad(lambda x, y=1.0: (x * y).sum())",
    "ts.value_and_grad(lambda x: (x * x).sum())",
    "ts.vmap(lambda x: x * 2)",
    "ts.vmap(lambda x, y: x * y, in_axes=(0, None))",
    "ts.make_graph(lambda x: x * 2)",
    "ts.checkpoint(lambda x: x * 2)",
    "ts.jacrev(lambda x: x * x)",
    "ts.jacfwd(lambda x: x * x)",
    "ts.hessian(lambda x: (x * x).sum())",
    "ts.map(lambda x: x * 2)",
    "ts.zip_with(lambda x, y: x * y)",
    "ts.reduce(lambda x, y: x + y, 0.0)",
    "ts.vjp(lambda x: x * x, ts.ones(3))[1]",
    "ts.linearize(lambda x: x * x, ts.ones(3))[1]",
    "__import__('operator').getitem",
    "ts.ones((2, 3)).__getitem__",
    "ts.ones((2, 3)).__setitem__",
]

# What is not called, and why.
LEFT_OUT = {
    "breakpoint": "asks a person",
    "index_to_position": "runs in the innermost loops of the course's kernels, which look at nothing",
    "to_index": "likewise",
    "broadcast_index": "likewise",
    **dict.fromkeys(
        ("save", "save_file", "save_npz", "save_pytorch", "save_sharded"),
        "writes files; see tests/io",
    ),
    "Recorded": "is a base without a history",
}

# The course's functions of whatever has the operators, written as a learner reads them: what Python says of an
# operator between two values of the caller's is said to the caller.
OF_ANYTHING = (
    "scalar/functions.py",
    "scalar/higher_order.py",
    "scalar/mathematics/",
    "minitorch/operators.py",
    "minitorch/testing.py",
    "tensors/numbers.py",
)

# With how many receivers a method is called: that of `Module` need not be called with every layer.
_RECEIVERS = 6

_OPERATORS = "add sub mul truediv floordiv mod pow matmul lt le eq ne gt ge and_ or_ xor lshift rshift neg invert"


@dataclass(frozen=True)
class Target:
    """Something to call.

    Args:
        room: the part of the package it belongs to.
        expression: gives it.
        parameters: what it can be given, as far as it says so.
        of_anything: whether it is a loop of Python over whatever it is given.
    """

    room: str
    expression: str
    parameters: tuple[inspect.Parameter, ...]
    of_anything: bool = False


def evaluate(expression: str) -> Any:
    """The value of an expression of this tool."""
    return eval(expression, {"np": np, "ts": ts})


def all_targets() -> list[Target]:
    """Everything that can be called, in an order that depends on names alone."""
    found = {target.expression: target for target in _found(collections.Counter())}
    return [found[expression] for expression in sorted(found)]


def _found(seen: collections.Counter[Any]) -> Iterator[Target]:
    for room, objects in OBJECTS.items():
        for expression in objects:
            yield from _methods(room, expression, evaluate(expression), seen)
    for room, package in ROOMS.items():
        for name, member in public(evaluate(package)):
            yield from _of_member(room, f"{package}.{name}", member, seen)
    for expression in MADE_FUNCTIONS:
        yield from _target("made", expression, evaluate(expression))
    for name in _OPERATORS.split():
        yield from _target("operators", f"__import__('operator').{name}", None)


def public(package: Any) -> Iterator[tuple[str, Any]]:
    """The public names of a package or module, with what they stand for."""
    names = getattr(package, "__all__", None) or [
        name for name, member in vars(package).items() if _is_its_own(package, member)
    ]
    for name in sorted(names):
        if not name.startswith("_"):
            yield name, getattr(package, name)


# What is in `ts`, by the module that it comes from.
_ROOM_OF = {
    "tessella.transforms": "transforms",
    "tessella.tensors.comprehensions": "comprehensions",
    "tessella.random": "random",
    "tessella.tree": "trees",
}


def _room_of(room: str, member: Any) -> str:
    module = getattr(member, "__module__", None) or ""
    finer = (name for start, name in _ROOM_OF.items() if module.startswith(start))
    return next(finer, room) if room == "ts" else room


def _is_its_own(package: Any, member: Any) -> bool:
    own = getattr(member, "__module__", None) or ""
    return callable(member) and own.startswith(package.__name__)


def _of_member(
    room: str, expression: str, member: Any, seen: collections.Counter[Any]
) -> Iterator[Target]:
    if inspect.ismodule(member) or not callable(member):
        return
    if inspect.isclass(member) and issubclass(member, BaseException):
        return
    if expression.rpartition(".")[2] in LEFT_OUT or getattr(member, "_is_protocol", False):
        return
    room = _room_of(room, member)
    yield from _target(room, expression, member)
    if inspect.isclass(member):
        made = instance_of(expression, member)
        if made is not None:
            yield from _methods(room, made, evaluate(made), seen)


def instance_of(expression: str, kind: type) -> str | None:
    """An expression that makes an instance of a class, or None if this tool knows none."""
    given = []
    for parameter in parameters_of(kind):
        if parameter.default is parameter.empty and parameter.kind in (0, 1):
            if parameter.name not in MADE_WITH:
                return None
            given.append(MADE_WITH[parameter.name])
    given += ALSO_WITH.get(kind.__name__, ())
    made = f"{expression}({', '.join(given)})"
    try:
        evaluate(made)
    except Exception:  # an abstract class; what cannot be made has no methods to call
        return None
    return made


def _methods(
    room: str, expression: str, instance: Any, seen: collections.Counter[Any]
) -> Iterator[Target]:
    kind = type(instance)
    if callable(instance):
        yield from _target(room, expression, getattr(instance, "forward", instance))
    for name in sorted(dir(kind)):
        if name.startswith("_") or name == "forward" or not callable(getattr(kind, name)):
            continue
        if hasattr(kind, "apply") and name in ("backward", "compute"):  # rules of a `Function`
            continue
        method = inspect.getattr_static(kind, name)
        seen[method] += 1
        if seen[method] <= _RECEIVERS:
            yield from _target(room, f"{expression}.{name}", getattr(instance, name))


def _target(room: str, expression: str, member: Any) -> Iterator[Target]:
    yield Target(room, expression, parameters_of(member), _is_of_anything(member))


def _is_of_anything(member: Any) -> bool:
    code = getattr(inspect.unwrap(member), "__code__", None) if callable(member) else None
    return code is not None and code.co_filename.endswith(OF_ANYTHING)


def parameters_of(member: Any) -> tuple[inspect.Parameter, ...]:
    """The parameters of something callable; two without names if it does not say."""
    try:
        return tuple(inspect.signature(member).parameters.values())
    except (ValueError, TypeError):
        only = inspect.Parameter.POSITIONAL_ONLY
        return tuple(inspect.Parameter(name, only) for name in "ab")


def import_all() -> None:
    """Import what targets name through `__import__`, so that no call pays for it."""
    for name in ("minitorch", "nn", "optim"):
        importlib.import_module(f"tessella.{name}")
