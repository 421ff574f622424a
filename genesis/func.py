"""Functions that make functions: gradients, products with Jacobians, and calls on every slice of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import genesis.derivatives as derivatives
import genesis.functions as fn
from compiler.errors import ArgumentError, ChoiceError
from genesis.autograd import grad as _grad
from genesis.context import grad_mode
from genesis.misuse import explained
from genesis.nn.module import Module
from genesis.pytree import map_leaves
from genesis.tensor import Tensor

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "vjp",
    "vmap",
]

Places = int | tuple[int, ...]


def grad(func: Callable[..., Any], argnums: Places = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of ``func`` by the arguments at ``argnums``, tensors or trees of them.

    ``func`` returns a tensor of one element, or with ``has_aux`` a pair of it and anything, which is returned, too.
    """
    both = grad_and_value(func, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def grad_and_value(func: Callable[..., Any], argnums: Places = 0, has_aux: bool = False) -> Callable[..., Any]:
    """As :func:`grad`, and the value behind the gradient."""
    places = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def both(*args: Any, **kwargs: Any) -> Any:
        leaves: list[Tensor] = []

        def enter(path: str, leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            leaves.append(fn.mul(leaf, 1.0) if leaf.requires_grad else leaf.detach().requires_grad_())
            return leaves[-1]

        with grad_mode(True):
            wanted = {place % len(args) for place in places}
            given = [map_leaves(enter, x) if i in wanted else x for i, x in enumerate(args)]
            result = func(*given, **kwargs)
            value = result[0] if has_aux else result
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise ArgumentError("Expected the function given to grad to return a tensor of one element")
            create = any(isinstance(x, Tensor) and x.requires_grad for x in args)
            found = iter(_grad(value, leaves, create_graph=create, allow_unused=True))
        slopes = [map_leaves(lambda path, leaf: _slope(next(found), leaf), given[p % len(args)]) for p in places]
        return (slopes[0] if isinstance(argnums, int) else tuple(slopes)), result

    return both


def _slope(found: Tensor | None, leaf: Any) -> Any:
    return fn.zeros_like(leaf) if found is None else found


@explained
def vjp(func: Callable[..., Any], *primals: Tensor, has_aux: bool = False) -> tuple[Any, ...]:
    """``func(*primals)`` and a function from weights of its results to the gradients, one for each primal."""
    with grad_mode(True):
        given = [fn.mul(x, 1.0) if x.requires_grad else x.detach().requires_grad_() for x in primals]
        result = func(*given)
        outputs, *aux = result if has_aux else (result,)

    def pull(weights: Any) -> tuple[Tensor, ...]:
        found = _grad(outputs, given, weights, retain_graph=True, create_graph=True, allow_unused=True)
        return tuple([_slope(g, x) for g, x in zip(found, given, strict=True)])

    return (outputs, pull, *aux)


@explained
def jvp(func: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    """``func(*primals)``, and how it changes along ``tangents``."""
    return derivatives.jvp(func, tuple(primals), tuple(tangents), create_graph=True)


def jacrev(func: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function that returns the Jacobian of ``func`` by the argument at ``argnums``, ``[*output, *input]``."""

    def jacobian(*args: Any) -> Any:
        return derivatives.jacobian(lambda x: func(*args[:argnums], x, *args[argnums + 1 :]), args[argnums], True)

    return jacobian


jacfwd = jacrev


def hessian(func: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function that returns the second derivatives of ``func`` by the argument at ``argnums``."""
    return jacrev(jacrev(func, argnums), argnums)


def vmap(func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0) -> Callable[..., Any]:
    """A function that calls ``func`` on every slice of its tensors along ``in_dims`` and stacks the results.

    ``in_dims``: a dimension for all arguments, or one for each; None for what every call gets as a whole. The calls are
    made one after the other, and are as many copies in a compiled step.
    """

    def mapped(*args: Any, **kwargs: Any) -> Any:
        dims = tuple(in_dims) if isinstance(in_dims, list | tuple) else (in_dims,) * len(args)
        if len(dims) != len(args):
            raise ChoiceError(f"vmap: in_dims has {len(dims)} dimensions, and there are {len(args)} arguments")
        sizes: set[int] = set()

        def note(dim: int) -> Callable[[str, Any], Any]:
            def size(path: str, leaf: Any) -> Any:
                if isinstance(leaf, Tensor):
                    sizes.add(leaf.shape[dim])
                return leaf

            return size

        for x, dim in zip(args, dims, strict=True):
            if dim is not None:
                map_leaves(note(dim), x)
        if len(sizes) != 1:
            raise ChoiceError(
                f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sorted(sizes)}"
            )

        def piece(x: Any, dim: int | None, i: int) -> Any:
            if dim is None:
                return x
            return map_leaves(lambda path, leaf: fn.select(leaf, dim, i) if isinstance(leaf, Tensor) else leaf, x)

        results = [
            func(*(piece(x, dim, i) for x, dim in zip(args, dims, strict=True)), **kwargs) for i in range(sizes.pop())
        ]
        if isinstance(results[0], Tensor):
            return fn.stack(results, out_dims)
        outs = out_dims if isinstance(out_dims, list | tuple) else [out_dims] * len(results[0])
        return tuple([fn.stack(list(column), dim) for column, dim in zip(zip(*results), outs, strict=True)])

    return mapped


@explained
def functional_call(
    module: Module, parameter_and_buffer_dicts: Mapping[str, Tensor], args: Any = (), kwargs: Any = None
) -> Any:
    """``module(*args, **kwargs)`` with other tensors in the place of some parameters and buffers, by their names."""
    changed = []
    try:
        for path, tensor in parameter_and_buffer_dicts.items():
            prefix, _, name = path.rpartition(".")
            owner = module.get_submodule(prefix)
            table: Any = owner._parameters if name in owner._parameters else owner._buffers
            if name not in table:
                raise ChoiceError(f"functional_call: the module has no parameter or buffer {path!r}")
            changed.append((table, name, table[name]))
            table[name] = tensor
        return module(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))
    finally:
        for table, name, old in reversed(changed):
            table[name] = old
