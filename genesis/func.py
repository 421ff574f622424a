"""Functions that make functions: gradients, products with Jacobians, and calls on every slice of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakSet

import genesis.derivatives as derivatives
import genesis.functions as fn
from compiler.errors import ArgumentError, ChoiceError
from compiler.ir.graph import Value
from genesis.autograd import grad as _grad
from genesis.context import grad_mode, session
from genesis.history import history
from genesis.misuse import explained
from genesis.nn.batchnorm import _BatchNorm
from genesis.nn.module import Module
from genesis.pytree import leaves, map_leaves
from genesis.tensor import Tensor

__all__ = [
    "functional_call",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]

Places = int | tuple[int, ...]


# Trees of tensors: what a function is given to differentiate by, and what its caller gets back


def _enter(tree: Any, inner: list[Tensor]) -> Any:
    """``tree`` with tensors to differentiate by, added to ``inner``; what they were computed from stays known."""

    def enter(path: str, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        inner.append(fn.mul(leaf, 1.0) if leaf.requires_grad else leaf.detach().requires_grad_())
        return inner[-1]

    return map_leaves(enter, tree)


_left: WeakSet[Value] = WeakSet()
"""What functions that have returned were differentiated by. Nobody outside can ask for a gradient by it."""


def _leave(tree: Any, inner: Sequence[Tensor]) -> Any:
    """``tree`` for the caller: a tensor that leads to nothing else than ``inner`` has no history."""
    _left.update([x.value for x in inner])

    def leave(path: str, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or not leaf.requires_grad:
            return leaf
        outer = session().grad_enabled and any(end not in _left for end in history([leaf.value])[1])
        return leaf if outer else leaf.detach()

    return map_leaves(leave, tree)


def _flat(tree: Any) -> tuple[Tensor, ...]:
    return tuple([leaf for _, leaf in leaves(tree) if isinstance(leaf, Tensor)])


def _filled(tree: Any, tensors: Iterable[Any]) -> Any:
    """``tree`` with ``tensors``, in order, in the places of its own."""
    following = iter(tensors)
    return map_leaves(lambda path, leaf: next(following) if isinstance(leaf, Tensor) else leaf, tree)


def _at(places: Places, args: tuple[Any, ...]) -> list[int]:
    return [place % len(args) for place in ((places,) if isinstance(places, int) else places)]


def _put(args: tuple[Any, ...], places: Sequence[int], given: Sequence[Any]) -> list[Any]:
    """``args`` with ``given`` at ``places``."""
    changed = dict(zip(places, given, strict=True))
    return [changed.get(i, x) for i, x in enumerate(args)]


def _one_or_all(places: Places, found: Sequence[Any]) -> Any:
    return found[0] if isinstance(places, int) else tuple(found)


def _slope(found: Tensor | None, leaf: Tensor) -> Tensor:
    return fn.zeros_like(leaf) if found is None else found


# Gradients


def grad(func: Callable[..., Any], argnums: Places = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of ``func`` by the arguments at ``argnums``, tensors or trees of them.

    ``func`` returns a tensor of one element, or with ``has_aux`` a pair of it and anything, which is returned, too.
    The gradient may be differentiated by all that ``func`` reads.
    """
    both = grad_and_value(func, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def grad_and_value(func: Callable[..., Any], argnums: Places = 0, has_aux: bool = False) -> Callable[..., Any]:
    """As :func:`grad`, and the value behind the gradient."""

    def both(*args: Any, **kwargs: Any) -> Any:
        inner: list[Tensor] = []
        with grad_mode(True):
            places = _at(argnums, args)
            given = [_enter(args[place], inner) for place in places]
            result = func(*_put(args, places, given), **kwargs)
            value = result[0] if has_aux else result
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise ArgumentError("Expected the function given to grad to return a tensor of one element")
            found = _grad(value, inner, create_graph=True, allow_unused=True)
        slopes = _filled(given, map(_slope, found, inner))
        return _leave((_one_or_all(argnums, slopes), result), inner)

    return both


@explained
def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """``func(*primals)`` and a function from weights of its results to the gradients, one for each primal.

    Primals, results and weights are tensors or trees of them.
    """
    inner: list[Tensor] = []
    with grad_mode(True):
        given = _enter(primals, inner)
        result = func(*given)
        outputs, *aux = result if has_aux else (result,)

    def pull(weights: Any) -> Any:
        found = _grad(_flat(outputs), inner, _flat(weights), retain_graph=True, create_graph=True, allow_unused=True)
        return _leave(_filled(given, map(_slope, found, inner)), inner)

    return (_leave(outputs, inner), pull, *_leave(aux, inner))


@explained
def jvp(func: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...], has_aux: bool = False) -> Any:
    """``func(*primals)``, and how it changes along ``tangents``; tensors or trees of them."""
    inner: list[Tensor] = []
    given = _enter(tuple(primals), inner)
    results: list[Any] = []
    found = derivatives.jvp(
        lambda *x: _of_flat(func, given, x, has_aux, results), tuple(inner), _flat(tangents), create_graph=True
    )
    outputs, *aux = results[0] if has_aux else results
    return _leave((*(_filled(outputs, tensors) for tensors in found), *aux), inner)


def _of_flat(
    func: Callable[..., Any], given: Any, tensors: Sequence[Tensor], has_aux: bool, results: list[Any]
) -> tuple[Tensor, ...]:
    """The tensors that ``func`` returns, called with ``tensors`` in place of those of ``given``."""
    results.append(func(*_filled(given, tensors)))
    return _flat(results[-1][0] if has_aux else results[-1])


def jacrev(func: Callable[..., Any], argnums: Places = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the Jacobian of ``func`` by the arguments at ``argnums``, ``[*output, *input]``.

    Of trees of results, a tree of trees.
    """

    def jacobian(*args: Any) -> Any:
        inner: list[Tensor] = []
        places = _at(argnums, args)
        given = [_enter(args[place], inner) for place in places]
        results: list[Any] = []
        table = derivatives.jacobian(
            lambda *x: _of_flat(lambda *y: func(*_put(args, places, y)), given, x, has_aux, results),
            tuple(inner),
            create_graph=True,
        )
        outputs, *aux = results[0] if has_aux else results
        found = _filled(outputs, [_one_or_all(argnums, _filled(given, row)) for row in table])
        return _leave((found, *aux) if has_aux else found, inner)

    return jacobian


jacfwd = jacrev


def hessian(func: Callable[..., Any], argnums: Places = 0) -> Callable[..., Any]:
    """A function that returns the second derivatives of ``func`` by the arguments at ``argnums``."""
    return jacrev(jacrev(func, argnums), argnums)


# Calls on slices, and with other parameters


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """A function that calls ``func`` on every slice of its tensors along ``in_dims`` and stacks the results.

    ``in_dims``: a dimension for all arguments, or one for each, or for each part of one; None for what every call gets
    as a whole. The calls are made one after the other, and are as many copies in a compiled step. Each draws its own
    random numbers; ``chunk_size`` changes nothing.
    """
    if randomness not in ("error", "different"):
        raise ChoiceError(
            f"vmap: randomness={randomness!r} is not built; draw before the call, and let func read what was drawn"
        )

    def mapped(*args: Any, **kwargs: Any) -> Any:
        dims = tuple(in_dims) if isinstance(in_dims, list | tuple) else (in_dims,) * len(args)
        if len(dims) != len(args):
            raise ChoiceError(f"vmap: in_dims has {len(dims)} dimensions, and there are {len(args)} arguments")
        sizes = {x.shape[dim] for x, dim in _sliced(args, dims)}
        if len(sizes) != 1:
            raise ChoiceError(
                f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sorted(sizes)}"
            )
        results = [func(*_slice(args, dims, i), **kwargs) for i in range(sizes.pop())]
        if isinstance(out_dims, list | tuple):
            return tuple([_stacked(part, dim) for part, dim in zip(zip(*results), out_dims, strict=True)])
        return _stacked(results, out_dims)

    return mapped


def _sliced(tree: Any, dims: Any) -> list[tuple[Tensor, int]]:
    """The tensors of ``tree`` that are cut, with the dimension."""
    found: list[tuple[Tensor, int]] = []

    def note(tensor: Tensor, dim: int) -> Tensor:
        found.append((tensor, dim))
        return tensor

    _each(note, tree, dims)
    return found


def _slice(tree: Any, dims: Any, i: int) -> Any:
    return _each(lambda tensor, dim: fn.select(tensor, dim, i), tree, dims)


def _each(function: Callable[[Tensor, int], Tensor], tree: Any, dims: Any) -> Any:
    """``tree`` with ``function`` of its tensors and their dimensions, which one of ``dims`` says for all below it."""
    if dims is None:
        return tree
    if isinstance(dims, dict):
        return {key: _each(function, tree[key], dim) for key, dim in dims.items()}
    if isinstance(dims, list | tuple):
        return type(tree)([_each(function, x, dim) for x, dim in zip(tree, dims, strict=True)])
    return map_leaves(lambda path, leaf: function(leaf, dims) if isinstance(leaf, Tensor) else leaf, tree)


def _stacked(parts: Sequence[Any], dim: int | None) -> Any:
    """One tree of the trees ``parts``: tensors stacked along ``dim``; the first where ``dim`` is None."""
    if dim is None:
        return parts[0]
    columns = zip(*[[leaf for _, leaf in leaves(part)] for part in parts], strict=True)

    def stack(path: str, leaf: Any) -> Tensor:
        if not isinstance(leaf, Tensor):
            raise ArgumentError(f"vmap: func must only return tensors, got {type(leaf).__name__}")
        return fn.stack(list(next(columns)), dim)

    return map_leaves(stack, parts[0])


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters and the buffers of models of one class, each stacked along a first dimension, by name."""
    if not models:
        raise ArgumentError("stack_module_state: Expected at least one model, got 0.")

    def stacked(tables: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        made = {name: fn.stack([table[name].detach() for table in tables]) for name in tables[0]}
        return {name: x.requires_grad_(tables[0][name].requires_grad) for name, x in made.items()}

    return stacked([dict(m.named_parameters()) for m in models]), stacked([dict(m.named_buffers()) for m in models])


@explained
def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: Any = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """``module(*args, **kwargs)`` with other tensors in the place of some parameters and buffers, by their names.

    ``tie_weights``: a tensor that the module holds under several names is replaced under all of them. ``strict``: all
    names must be given.
    """
    dicts = parameter_and_buffer_dicts
    given = dict(dicts) if isinstance(dicts, Mapping) else {name: x for part in dicts for name, x in part.items()}
    tables = {
        f"{prefix}.{name}" if prefix else name: (table, name)
        for prefix, owner in module.named_modules(remove_duplicate=False)
        for table in (owner._parameters, owner._buffers)
        for name in table
    }
    for path in given:
        if path not in tables:
            raise ChoiceError(f"functional_call: the module has no parameter or buffer {path!r}")
    held = {path: table[name] for path, (table, name) in tables.items()}
    new = dict(given)
    if tie_weights:
        instead = {id(held[path]): tensor for path, tensor in given.items()}
        new |= {path: instead[id(x)] for path, x in held.items() if id(x) in instead and path not in given}
    missing = [path for path, x in held.items() if x is not None and path not in new]
    if strict and missing:
        raise ChoiceError(f"functional_call: strict=True, and nothing is given for {', '.join(map(repr, missing))}")
    changed: Any = [(*tables[path], tensor) for path, tensor in new.items()]
    try:
        for table, name, tensor in changed:
            table[name] = tensor
        return module(*(args if isinstance(args, tuple) else () if args is None else (args,)), **(kwargs or {}))
    finally:
        for path in new:
            table, name = tables[path]
            table[name] = held[path]  # type: ignore[assignment]


@explained
def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """``func(*primals)``, and a function from tangents to the products with the Jacobian there."""

    def product(*tangents: Any) -> Any:
        return jvp(func, primals, tangents)[1]

    return func(*primals), product


@explained
def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """``func`` as it is: a compiled step holds no mutations. Raises ValueError for a ``remove`` that PyTorch lacks."""
    if remove not in ("mutations", "mutations_and_views"):
        raise ChoiceError(f"functionalize: remove={remove!r}; choose 'mutations' or 'mutations_and_views'")
    return func


@explained
def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Take the running statistics from every batch norm in ``root``, which is returned: they use those of the batch."""
    for module in root.modules():
        if isinstance(module, _BatchNorm) and module.track_running_stats:
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
