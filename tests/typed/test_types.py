"""What an editor knows: mypy checks these functions (it reads this file, see pyproject.toml), pytest runs them.

`assert_type` is an error of mypy's where it finds another type; a `type: ignore` that is not needed is one, too.
"""

from __future__ import annotations

from typing import Any, assert_type

import pytest

import tessella as ts
from tessella import Tensor, nn, optim
from tessella.errors import GradientError, TessellaError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return ts.tanh(self.layer(x)) * scale


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, int]:
        return x, 1


def loss(x: Tensor, power: int = 2) -> Tensor:
    return (x**power).sum()


def test_a_compiled_function_has_the_types_of_the_function() -> None:
    compiled = ts.jit(loss)
    assert_type(compiled(ts.ones(3)), Tensor)
    assert_type(compiled(ts.ones(3), power=3), Tensor)
    assert_type(ts.jit(loss, static_argnames="power")(ts.ones(3), power=3), Tensor)
    with pytest.raises(TypeError):
        compiled()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        compiled(ts.ones(3), exponent=3)  # type: ignore[call-arg]


def test_decorators() -> None:
    @ts.jit
    def plain(x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x

    @ts.jit(static_argnums=1)
    def static(x: Tensor, n: int) -> Tensor:
        return x * n

    assert_type(plain(ts.ones(2)), tuple[Tensor, Tensor])
    assert_type(static(ts.ones(2), 3), Tensor)


def test_compiled_methods() -> None:
    class Trainer:
        @ts.jit
        def step(self, x: Tensor) -> Tensor:
            return x * 2.0

    assert_type(Trainer().step(ts.ones(2)), Tensor)
    with pytest.raises(TypeError):
        Trainer().step()  # type: ignore[call-arg]


def test_gradients() -> None:
    x = ts.ones(3)
    assert_type(ts.grad(loss)(x), Tensor)
    assert_type(ts.grad(loss)(x, power=3), Tensor)
    assert_type(ts.value_and_grad(loss)(x), tuple[Tensor, Tensor])
    assert_type(ts.jit(ts.grad(loss))(x), Tensor)
    assert_type(ts.grad(loss, argnums=(0,))(x), Any)  # a tuple, as many as there are numbers
    with pytest.raises(TessellaError):
        ts.grad(loss)(x="text")  # type: ignore[call-arg]


def test_gradients_by_something_else_than_a_tensor() -> None:
    def of_module(net: Net, x: Tensor) -> Tensor:
        return net(x).sum()

    assert_type(ts.grad(of_module)(Net(), ts.ones((1, 3))), Any)  # a dict, by names
    assert_type(ts.value_and_grad(of_module)(Net(), ts.ones((1, 3))), tuple[Tensor, Any])
    with pytest.raises(GradientError):
        ts.grad(of_module)(1, ts.ones((1, 3)))  # type: ignore[arg-type]


def test_batches_and_checkpoints() -> None:
    x = ts.ones((4, 3))
    assert_type(ts.vmap(loss)(x), Tensor)
    assert_type(ts.vmap(ts.grad(loss))(x), Tensor)
    assert_type(ts.checkpoint(loss)(x, 3), Tensor)
    value, pullback = ts.vjp(loss, x)
    assert_type(value, Tensor)
    assert_type(pullback(value), tuple[Any, ...])


def test_modules_are_called_as_their_forward_is() -> None:
    net, x = Net(), ts.ones((2, 3))
    assert_type(net(x), Tensor)
    assert_type(net(x, scale=2.0), Tensor)
    assert_type(net.layer(x), Tensor)
    assert_type(net.layer, nn.Linear)
    assert_type(Pair()(x), tuple[Tensor, int])
    assert_type(ts.nn.ReLU()(x), Tensor)
    assert_type(nn.Sequential(net, nn.ReLU()).eval()(x), Any)  # whatever the last one gives
    with pytest.raises(TypeError):
        net(x, factor=2.0)  # type: ignore[call-arg]


def test_names_that_come_late_have_types() -> None:
    assert_type(ts.optim.SGD([ts.ones(1).requires_grad_()], lr=0.1), optim.SGD)
    assert_type(ts.nn.Linear(2, 3), nn.Linear)
    assert_type(ts.ones(2) + 1, Tensor)
