"""`grad`, `value_and_grad`, `vjp`: gradients as functions.

A function is called with *variables*: tensors that hold what the arguments hold, and begin a history of their
own on the tape. The gradients by the variables are then read off the tape (`tessella.autodiff`). A variable
remembers where its argument came from, so that a gradient can be differentiated again.

Source: Griewank & Walther, *Evaluating Derivatives* (2008), chapter 3 (reverse mode).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from tessella import autodiff
from tessella.arguments import public, refuse, require_function
from tessella.arguments.gates import A_TENSOR, as_tensor
from tessella.arguments.kinds import an, shown
from tessella.autodiff import Edge, Leaf, Node
from tessella.blocks import restoring, undoing
from tessella.errors import ArgumentError, ArgumentTypeError, GradientError, ShapeError
from tessella.tensors.tensor import Tensor, alike, edge_of, new_handle
from tessella.tracebacks import calls_users, users_frames
from tessella.tracing.lines import user_line
from tessella.tracing.trace import binding
from tessella.transforms import trees

P = ParamSpec("P")
R = TypeVar("R")
_mode = autodiff.mode


@overload
def grad(
    function: Callable[Concatenate[Tensor, P], Any],
    argnums: Literal[0] = ...,
    has_aux: Literal[False] = ...,
    argnames: tuple[()] = ...,
) -> Callable[Concatenate[Tensor, P], Tensor]: ...


@overload
def grad(
    function: Callable[P, Any],
    argnums: int | Sequence[int] = ...,
    has_aux: bool = ...,
    argnames: str | Sequence[str] = ...,
) -> Callable[P, Any]: ...


@public
def grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    argnames: str | Sequence[str] = (),
) -> Callable[..., Any]:
    """The function that gives the gradient of a function of one number.

    Args:
        argnums: by which positional arguments to differentiate; several give a tuple of gradients. With
            `argnames` alone, none.
        has_aux: whether the function returns a pair, of which only the first is differentiated; then the
            result is (gradient, aux).
        argnames: by which keyword arguments to differentiate.

    Arguments may be trees; a gradient is a tree like its argument. A module's is a dict, from the names of
    its parameters to their gradients.

    Raises:
        GradientError: the function's result is not a single floating point number, or an argument holds
            integers.

    >>> import tessella as ts
    >>> ts.grad(lambda x: (x * x).sum())(ts.asarray([1.0, 2.0]))
    tensor([2., 4.])
    >>> ts.grad(ts.grad(lambda x: x**3))(ts.asarray(2.0))
    tensor(12.)
    """
    both = _value_and_grad("grad", function, argnums, argnames, has_aux)

    @users_frames
    @functools.wraps(function, updated=())
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


@overload
def value_and_grad(
    function: Callable[Concatenate[Tensor, P], R],
    argnums: Literal[0] = ...,
    has_aux: Literal[False] = ...,
    argnames: tuple[()] = ...,
) -> Callable[Concatenate[Tensor, P], tuple[R, Tensor]]: ...


@overload
def value_and_grad(
    function: Callable[P, R],
    argnums: int | Sequence[int] = ...,
    has_aux: bool = ...,
    argnames: str | Sequence[str] = ...,
) -> Callable[P, tuple[R, Any]]: ...


@public
def value_and_grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    argnames: str | Sequence[str] = (),
) -> Callable[..., Any]:
    """The function that gives (value, gradient); see `grad`. With `has_aux`, ((value, aux), gradient).

    >>> import tessella as ts
    >>> ts.value_and_grad(lambda x: (x * x).sum())(ts.asarray([1.0, 2.0]))
    (tensor(5.), tensor([2., 4.]))
    """
    return functools.wraps(function, updated=())(
        _value_and_grad("value_and_grad", function, argnums, argnames, has_aux)
    )


@overload
def vjp(
    function: Callable[..., R], *primals: Any, has_aux: Literal[False] = ...
) -> tuple[R, Callable[[Any], tuple[Any, ...]]]: ...


@overload
def vjp(function: Callable[..., Any], *primals: Any, has_aux: bool) -> tuple[Any, ...]: ...


@users_frames
@public
def vjp(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of a function, and the function from a gradient of the value to those of the arguments.

    Args:
        has_aux: whether the function returns a pair, of which only the first is differentiated; then the
            result is (value, pullback, aux).

    The pullback takes a tree like the value, and gives a tuple with a tree for each argument. It can be
    called as often as one likes.

    >>> import tessella as ts
    >>> value, pullback = ts.vjp(lambda x, y: x * y, ts.asarray(3.0), ts.asarray(4.0))
    >>> pullback(ts.asarray(1.0))
    (tensor(4.), tensor(3.))
    """
    require_function(function, "vjp")
    with variables_of("vjp", primals, strict=False) as variables:
        result = function(*variables.arguments)
    value, aux = _split(result, has_aux, "vjp")
    leaves, structure = trees.results_of(value)
    # where they are on the tape now: inside a trace to come they are from outside
    outputs = [edge_of(leaf) for leaf in leaves if isinstance(leaf, Tensor)]
    shown = trees.unflatten(structure, [without_history(leaf) for leaf in leaves])

    @users_frames
    def pullback(*cotangent_: Any, **others: Any) -> Any:
        refuse("vjp: the pullback", others)
        if len(cotangent_) != 1:
            raise ArgumentTypeError(
                f"vjp: {len(cotangent_)} arguments were given to the pullback; expected one, a gradient like the value: "
                f"{trees.outline(structure)}"
            )
        (cotangent,) = cotangent_
        given = trees.leaves_like(structure, cotangent)
        if given is None:
            raise ArgumentError(
                f"vjp: the gradient {trees.outline(trees.flatten(cotangent)[1])} has another structure than the "
                f"value {trees.outline(structure)}"
            )
        cotangents = [
            _fitting(ct, y) for ct, y in zip(given, leaves, strict=True) if isinstance(y, Tensor)
        ]
        return variables.gradients(outputs, cotangents, retain_graph=True)

    return (shown, pullback, _apart(aux)) if has_aux else (shown, pullback)


def _apart(aux: Any) -> Any:
    """What was returned beside the value, without its history."""
    leaves, structure = trees.results_of(aux)
    return trees.unflatten(structure, [without_history(leaf) for leaf in leaves])


def _fitting(ct: Any, y: Tensor) -> Tensor | None:
    if ct is None:
        return None
    tensor = as_tensor(ct, [y], "vjp", "the gradient", f"{A_TENSOR}, or None")
    if tensor.shape != y.shape:
        raise ShapeError(
            f"vjp: a gradient of shape {tensor.shape} was given for a value of shape {y.shape}; they must "
            "be equal"
        )
    return tensor.astype(y.dtype)


def _value_and_grad(
    name: str, function: Any, argnums: Any, argnames: Any, has_aux: bool
) -> Callable[..., Any]:
    require_function(function, name)
    names = (argnames,) if isinstance(argnames, str) else tuple(argnames)

    @users_frames
    @calls_users
    def both(*args: Any, **kwargs: Any) -> Any:
        numbers: tuple[int, ...] = ()
        if not (names and argnums == 0 and not args):
            numbers = trees.argument_numbers(argnums, len(args), name)
        for missing in names:
            if missing not in kwargs:
                raise ArgumentError(
                    f"{name}: argnames names {missing!r}, but the function was called with the keyword "
                    f"arguments {sorted(kwargs)}"
                )
        chosen = [*[args[i] for i in numbers], *[kwargs[key] for key in names]]
        with variables_of(name, chosen) as variables:
            given = list(args)
            for i, own in zip(numbers, variables.arguments, strict=False):
                given[i] = own
            keyed = dict(zip(names, variables.arguments[len(numbers) :], strict=True))
            result = function(*given, **{**kwargs, **keyed})
        value, aux = _split(result, has_aux, name)
        _require_number(value, name)
        found = variables.gradients([edge_of(value)], [alike(1, value)], retain_graph=False)
        single = len(chosen) == 1 and (isinstance(argnums, int) or not numbers)
        single = single and (isinstance(argnames, str) or not names)
        shown = without_history(value)
        return ((shown, _apart(aux)) if has_aux else shown), (found[0] if single else found)

    return both


def _split(result: Any, has_aux: bool, name: str) -> tuple[Any, Any]:
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise ArgumentTypeError(
            f"{name}: has_aux is set, but the function returned {an(type(result).__name__)}; expected a "
            "pair (value, aux)"
        )
    return result


def _require_number(value: Any, name: str) -> None:
    if not isinstance(value, Tensor):
        raise GradientError(
            f"{user_line()}: {name}: the function returned {an(type(value).__name__)}; expected a tensor of "
            "one number. If it returns more than that, set has_aux=True and return (value, aux)"
        )
    if value.shape != ():
        raise GradientError(
            f"{user_line()}: {name}: the function's value has shape {value.shape}; a gradient is that of "
            "one number: reduce it (for example .mean()), or use ts.jacrev for all derivatives"
        )
    if not value.dtype.is_float:
        raise GradientError(
            f"{user_line()}: {name}: the function's value is {value.dtype.name}, and only floating point "
            "numbers have gradients; convert it with astype"
        )


class Variable(Node):
    """The beginning of a function's own history; its parent is what the argument came from.

    It is `open` while the function runs: only then may somebody ask for a gradient by it later.
    """

    __slots__ = ("open",)

    def __init__(self, source: Tensor) -> None:
        self.open = True
        super().__init__("variable", (edge_of(source),), lambda cotangents: cotangents[:1])

    def release(self) -> None:
        """It keeps nothing."""


@restoring
def variables_of(
    name: str, arguments: Sequence[Any], strict: bool = True
) -> Generator[Variables, None, None]:
    """Inside the block arguments are variables, and what is done with them is recorded.

    Args:
        strict: whether integers are an error, and not just without gradient.
    """
    variables = Variables(name, arguments, strict)
    with autodiff.set_enabled(True), undoing(variables.end):
        variables.begin()
        yield variables


class Variables:
    """The arguments that a function is differentiated by, as variables."""

    def __init__(self, name: str, arguments: Sequence[Any], strict: bool) -> None:
        self.name, self.strict = name, strict
        self.leaves, self.structure = trees.flatten(tuple(arguments))
        self.nodes: list[Any] = []  # a Variable for each leaf; None, or a dict of them for a module
        self.before: list[tuple[Tensor, Node | None, int]] = []  # modules' parameters
        self.own: set[Variable] = set()
        inner = [self._variable(i, leaf) for i, leaf in enumerate(self.leaves)]
        self.arguments = trees.unflatten(self.structure, inner)

    def begin(self) -> None:
        """Parameters of modules become variables."""
        for leaf, nodes in zip(self.leaves, self.nodes, strict=True):
            if isinstance(nodes, dict):
                self._enter_module(leaf, nodes)

    def end(self) -> None:
        """Parameters are as they were; may be done twice."""
        for tensor, node, output in self.before:
            tensor._node, tensor._output = node, output
        self.before.clear()
        for own in self.own:
            own.open = False

    def _variable(self, number: int, leaf: Any) -> Any:
        if trees.is_module(leaf):
            wanted = {k: p for k, p in leaf.named_parameters() if p.requires_grad}
            self.nodes.append({key: Variable(p) for key, p in wanted.items()})
            self.own.update(self.nodes[-1].values())
            return leaf
        if leaf is None:
            self.nodes.append(None)
            return leaf
        if not (trees.is_array(leaf) or isinstance(leaf, float)):
            if self.strict:
                raise GradientError(
                    f"{user_line()}: {self.name}: the argument holds {an(type(leaf).__name__)} ({shown(leaf)}), and "
                    "only floating point numbers have gradients; leave it out of argnums, or let it be a static "
                    'field of its dataclass: dataclasses.field(metadata={"static": True})'
                )
            self.nodes.append(None)
            return leaf
        tensor = trees.as_tensor(leaf)
        if not tensor.dtype.is_float:
            if self.strict:
                raise GradientError(
                    f"{user_line()}: {self.name}: the argument holds {tensor.dtype.name} of shape "
                    f"{tensor.shape}, and only floating point numbers have gradients; convert it with "
                    "astype(ts.float32), or leave it out of argnums"
                )
            self.nodes.append(None)
            return tensor
        node = Variable(tensor)
        self.nodes.append(node)
        self.own.add(node)
        self.leaves[number] = tensor
        return new_handle(binding(tensor)._value, node, 0)

    def _enter_module(self, module: Any, nodes: dict[str, Node]) -> None:
        parameters = dict(module.named_parameters())
        for key, node in nodes.items():
            parameter = binding(parameters[key])
            self.before.append((parameter, parameter._node, parameter._output))
            parameter._node, parameter._output = node, 0

    def gradients(
        self,
        outputs: Sequence[Edge | None],
        cotangents: Sequence[Tensor | None],
        retain_graph: bool,
    ) -> tuple[Any, ...]:
        """The gradients by the arguments: a tuple of trees like them, zeros where nothing depends.

        Args:
            outputs: their places on the tape.
        """
        roots: list[tuple[Edge, Any]] = [
            (edge, ct)
            for edge, ct in zip(outputs, cotangents, strict=True)
            if ct is not None and edge is not None
        ]
        targets = [node for node in self._all_nodes() if node is not None]
        again = autodiff.is_enabled() and (
            goes_outside(roots) or any(ct.requires_grad for _, ct in roots)
        )
        with autodiff.set_enabled(again):
            edges: list[Edge] = [(node, 0) for node in targets]
            found = autodiff.gradients(roots, edges, retain_graph or again) if roots else []
        by_node = dict(zip(targets, found or [None] * len(targets), strict=True))
        shown = [
            self._shown(leaf, nodes, by_node)
            for leaf, nodes in zip(self.leaves, self.nodes, strict=True)
        ]
        result: tuple[Any, ...] = trees.unflatten(self.structure, shown)
        return result

    def _all_nodes(self) -> Iterator[Any]:
        for nodes in self.nodes:
            if isinstance(nodes, dict):
                yield from nodes.values()
            else:
                yield nodes

    def _shown(self, leaf: Any, nodes: Any, found: dict[Node, Any]) -> Any:
        if nodes is None:
            return None
        if not isinstance(nodes, dict):
            return _or_zeros(found[nodes], leaf)
        parameters = dict(leaf.named_parameters())
        return {key: _or_zeros(found[node], parameters[key]) for key, node in nodes.items()}


def without_history(leaf: Any) -> Any:
    """A result without its history, if nobody can ask for gradients by anything in it."""
    edge = edge_of(leaf) if isinstance(leaf, Tensor) else None
    if edge is None or (autodiff.is_enabled() and goes_outside([(edge, None)])):
        return leaf
    return new_handle(binding(leaf)._value, None, 0)


def goes_outside(roots: Sequence[tuple[Edge, Any]]) -> bool:
    """Whether a history reaches what somebody else may want gradients by: a leaf, an open variable."""
    order = autodiff.topological_order([node for (node, _), _ in roots])
    return any(isinstance(node, Leaf) or (type(node) is Variable and node.open) for node in order)


def _or_zeros(gradient: Tensor | None, like: Tensor) -> Tensor:
    return alike(0, like) if gradient is None else gradient
