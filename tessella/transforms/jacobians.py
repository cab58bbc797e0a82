"""Whole matrices of derivatives: `vmap` of `jvp` or `vjp` over the unit vectors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tessella.arguments import public, require_function
from tessella.arguments.kinds import an, shown
from tessella.errors import ArgumentTypeError, GradientError
from tessella.primitives.movement import move_axis
from tessella.tensors.creation import eye
from tessella.tensors.tensor import Tensor
from tessella.tracebacks import users_frames
from tessella.transforms import trees
from tessella.transforms.batching import vmap
from tessella.transforms.forward_mode import jvp
from tessella.transforms.reverse_mode import grad, vjp, without_history


@public
def jacfwd(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """All derivatives of a function, column by column; best where results are more than arguments.

    Shapes: for a result of shape (m...) and an argument of shape (n...): (m..., n...). Trees give the
        result's tree, with the argument's in the place of each leaf.

    >>> import tessella as ts
    >>> ts.jacfwd(lambda x: x * x.sum())(ts.asarray([1.0, 2.0]))
    tensor([[4., 1.],
            [2., 5.]])
    """
    require_function(function, "jacfwd")

    @users_frames
    @functools.wraps(function, updated=())
    def jacobian(*args: Any) -> Any:
        numbers = trees.argument_numbers(argnums, len(args), "jacfwd")
        leaves, structure = _variables(args, numbers, "jacfwd")
        aux: list[Any] = []

        def of(*variables: Any) -> Any:
            given = list(args)
            for i, own in zip(numbers, trees.unflatten(structure, variables), strict=True):
                given[i] = own
            result = function(*given)
            if not has_aux:
                _require_derivatives("jacfwd", result)
            return result if has_aux else (result, None)

        columns = []  # for each leaf of the arguments a tree like the result, derivatives last
        for number, x in enumerate(leaves):

            def along(direction: Tensor, number: int = number) -> Any:
                tangents: list[Any] = [None] * len(leaves)
                tangents[number] = direction
                _, derivative, beside = jvp(of, leaves, tangents, has_aux=True)
                return derivative, beside

            derivatives, beside = vmap(along, out_axes=(0, None if not has_aux else 0))(_basis(x))
            aux.append(beside)
            columns.append(trees.tree_map(lambda y, x=x: _behind(y, x), derivatives))
        found = _by_result(columns, structure, argnums)
        if not has_aux:
            return found
        return found, trees.map_leaves(lambda y: y[0] if isinstance(y, Tensor) else y, aux[0])

    return jacobian


@public
def jacrev(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """All derivatives of a function, row by row; best where arguments are more than results.

    Shapes: as `jacfwd`.

    >>> import tessella as ts
    >>> ts.jacrev(lambda x: x * x.sum())(ts.asarray([1.0, 2.0]))
    tensor([[4., 1.],
            [2., 5.]])
    """
    require_function(function, "jacrev")

    @users_frames
    @functools.wraps(function, updated=())
    def jacobian(*args: Any) -> Any:
        numbers = trees.argument_numbers(argnums, len(args), "jacrev")
        variables, structure = _variables(args, numbers, "jacrev")

        def of(*leaves: Any) -> Any:
            given = list(args)
            for i, own in zip(numbers, trees.unflatten(structure, leaves), strict=True):
                given[i] = own
            return function(*given)

        value, pullback, *aux = vjp(of, *variables, has_aux=has_aux)
        outputs, shape = trees.tree_flatten(value)
        rows = []  # for each leaf of the result the derivatives by each leaf of the arguments
        for number, y in enumerate(outputs):
            _require_derivatives("jacrev", y)

            def along(direction: Tensor, number: int = number) -> Any:
                cotangents: list[Any] = [None] * len(outputs)
                cotangents[number] = direction
                return pullback(trees.unflatten(shape, cotangents))

            found = vmap(along)(_basis(y))
            rows.append(
                [
                    without_history(g.reshape((*y.shape, *x.shape)))
                    for g, x in zip(found, variables, strict=True)
                ]
            )
        leaves = [_of_arguments(row, structure, argnums) for row in rows]
        found = trees.unflatten(shape, leaves)
        return (found, aux[0]) if has_aux else found

    return jacobian


def _require_derivatives(name: str, value: Any) -> None:
    for y in trees.tree_flatten(value)[0]:
        if not isinstance(y, Tensor) or not y.dtype.is_float:
            raise GradientError(
                f"{name}: the function returned what has no derivatives, "
                f"{y.dtype.name if isinstance(y, Tensor) else type(y).__name__}; set has_aux=True and "
                "return (value, aux)"
            )


@public
def hessian(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """All second derivatives of a function of one number: forward mode over reverse mode.

    Shapes: (n..., n...) for an argument of shape (n...).

    >>> import tessella as ts
    >>> ts.hessian(lambda x: x[0] ** 2 * x[1])(ts.asarray([1.0, 3.0]))
    tensor([[6., 2.],
            [2., 0.]])
    """
    return jacfwd(jacrev(function, argnums, has_aux), argnums, has_aux)


@users_frames
@public
def hvp(function: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The product of the Hessian with a direction, at the cost of a few gradients.

    >>> import tessella as ts
    >>> x = ts.asarray([1.0, 3.0])
    >>> ts.hvp(lambda x: x[0] ** 2 * x[1], (x,), (ts.asarray([1.0, 0.0]),))
    tensor([6., 2.])
    """
    if not isinstance(primals, (tuple, list)) or not primals:
        raise ArgumentTypeError(
            f"hvp: primals is {shown(primals)}; expected a tuple, one entry for each argument"
        )
    argnums = tuple(range(len(primals)))
    _, found = jvp(grad(function, argnums[0] if len(argnums) == 1 else argnums), primals, tangents)
    return found


def _variables(args: Any, numbers: Sequence[int], name: str) -> tuple[list[Tensor], Any]:
    """The leaves of the chosen arguments as tensors, and their structure."""
    leaves, structure = trees.tree_flatten(tuple(args[i] for i in numbers))
    found = []
    for leaf in leaves:
        if not (trees.is_array(leaf) or isinstance(leaf, float)):
            raise GradientError(
                f"{name}: the argument holds {an(type(leaf).__name__)}; only floating point numbers have "
                "derivatives"
            )
        tensor = trees.as_tensor(leaf)
        if not tensor.dtype.is_float:
            raise GradientError(
                f"{name}: the argument holds {tensor.dtype.name} of shape {tensor.shape}, and only floating "
                "point numbers have derivatives; convert it with astype(ts.float32)"
            )
        found.append(tensor)
    return found, structure


def _basis(x: Tensor) -> Tensor:
    """The unit vectors of a tensor's shape, stacked in front."""
    return eye(x.size, dtype=x.dtype, device=x.device).reshape((x.size, *x.shape))


def _behind(y: Tensor, x: Tensor) -> Tensor:
    """Derivatives stacked along the first axis, as the last axes."""
    moved: Tensor = move_axis(y, 0, y.ndim - 1)
    return moved.reshape((*y.shape[1:], *x.shape))


def _by_result(columns: list[Any], structure: Any, argnums: Any) -> Any:
    """Trees like the result, one for each leaf of the arguments, as one tree of trees."""
    if not columns:
        raise GradientError("jacfwd: the arguments hold no tensors; there is nothing to derive by")
    flat = [trees.tree_flatten(column) for column in columns]
    shape = flat[0][1]
    leaves = [
        _of_arguments(list(row), structure, argnums)
        for row in zip(*[found for found, _ in flat], strict=True)
    ]
    return trees.unflatten(shape, leaves)


def _of_arguments(leaves: list[Any], structure: Any, argnums: Any) -> Any:
    found = trees.unflatten(structure, leaves)
    return found[0] if isinstance(argnums, int) else found
