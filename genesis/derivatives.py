"""Jacobians, Hessians and their products with vectors: ``genesis.autograd.functional``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import genesis.functions as fn
from compiler.errors import ArgumentError, AutogradError
from genesis.autograd import grad
from genesis.context import grad_mode
from genesis.misuse import explained
from genesis.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors = Tensor | tuple[Tensor, ...]


def _several(what: str, given: Any) -> tuple[Tensor, ...]:
    found = (given,) if isinstance(given, Tensor) else tuple(given) if isinstance(given, list | tuple) else ()
    if not found or not all(isinstance(x, Tensor) for x in found):
        raise ArgumentError(f"The {what} must be a Tensor or a tuple of Tensors, not {type(given).__name__}")
    return found


def _one_or(like: Any, found: Sequence[Any]) -> Any:
    return found[0] if isinstance(like, Tensor) else tuple(found)


def _fresh(inputs: tuple[Tensor, ...], create_graph: bool) -> tuple[Tensor, ...]:
    """The inputs as tensors to differentiate by; with ``create_graph`` what they were computed from stays known."""
    return tuple([fn.mul(x, 1.0) if create_graph and x.requires_grad else x.detach().requires_grad_() for x in inputs])


def _called(func: Callable[..., Any], given: tuple[Tensor, ...]) -> tuple[Any, tuple[Tensor, ...]]:
    result = func(*given)
    return result, _several("outputs of the function", result)


def _directions(what: str, v: Any, like: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    if v is None:
        if len(like) == 1 and like[0].numel() == 1:
            return (fn.ones_like(like[0]),)
        raise AutogradError(f"The vector v can only be None if {what} is a Tensor with one element.")
    found = _several("vector v", v)
    if [x.shape for x in found] != [x.shape for x in like]:
        raise AutogradError(
            f"v has shapes {[list(x.shape) for x in found]}, and {what} {[list(x.shape) for x in like]}"
        )
    return found


def _slopes(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], weights: Sequence[Tensor], create: bool, strict: bool = False
) -> list[Tensor]:
    """The gradients of the ``outputs`` by the ``inputs``, zeros where nothing leads there, or an error (``strict``)."""
    roots = [(y, w) for y, w in zip(outputs, weights, strict=True) if y.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(inputs)
    if roots:
        ys, ws = zip(*roots, strict=True)
        found = grad(ys, inputs, ws, retain_graph=True, create_graph=create, allow_unused=True)
    for i, g in enumerate(found):
        if g is None and strict:
            raise AutogradError(f"The output of the user-provided function is independent of input {i}.")
    return [fn.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]


def _ended(create_graph: bool, found: Sequence[Tensor]) -> list[Tensor]:
    return list(found) if create_graph else [x.detach() for x in found]


@explained
def vjp(
    func: Callable[..., Any], inputs: Tensors, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The results of ``func(*inputs)``, and ``vᵀ J``: the gradients of the results weighed by ``v``."""
    with grad_mode(True):
        given = _fresh(_several("inputs", inputs), create_graph)
        result, outputs = _called(func, given)
        found = _slopes(outputs, given, _directions("the output", v, outputs), create_graph, strict)
    return _one_or(result, _ended(create_graph, outputs)), _one_or(inputs, _ended(create_graph, found))


@explained
def jvp(
    func: Callable[..., Any], inputs: Tensors, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The results of ``func(*inputs)``, and ``J v``: how they change along ``v``.

    ``vᵀ J`` is linear in its weights, and its own gradient by them is ``J v``.
    """
    with grad_mode(True):
        given = _fresh(_several("inputs", inputs), create_graph)
        along = _directions("the input", v, given)
        result, outputs = _called(func, given)
        weights = tuple([fn.zeros_like(y).requires_grad_() for y in outputs])
        back = _slopes(outputs, given, weights, True, strict)
        found = _slopes(back, weights, along, create_graph)
    return _one_or(result, _ended(create_graph, outputs)), _one_or(result, _ended(create_graph, found))


@explained
def jacobian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """``d func / d inputs``, of shape ``[*output, *input]``; tuples of it for several inputs and results.

    One backward pass for each element of the results; ``vectorize`` and ``strategy`` are accepted and change nothing.
    """
    with grad_mode(True):
        given = _fresh(_several("inputs", inputs), create_graph)
        result, outputs = _called(func, given)
        table = []
        for y in outputs:
            unit = fn.eye(y.numel(), dtype=y.dtype)
            rows = [
                _slopes([y], given, [fn.reshape(unit[i], *y.shape)], create_graph, strict) for i in range(y.numel())
            ]
            columns = zip(*rows, strict=True)
            found = [fn.reshape(fn.stack(list(c)), *y.shape, *x.shape) for c, x in zip(columns, given, strict=True)]
            table.append(_one_or(inputs, _ended(create_graph, found)))
    return _one_or(result, table)


def _scalar(outputs: tuple[Tensor, ...]) -> Tensor:
    if len(outputs) != 1 or outputs[0].numel() != 1:
        raise AutogradError("The function given to hessian, hvp or vhp should return a single Tensor with one element")
    return fn.reshape(outputs[0], ())


def _gradient(func: Callable[..., Any], strict: bool) -> Callable[..., tuple[Tensor, ...]]:
    def gradient(*given: Tensor) -> tuple[Tensor, ...]:
        value = _scalar(_called(func, given)[1])
        return tuple(_slopes([value], given, [fn.ones_like(value)], True, strict))

    return gradient


@explained
def hessian(
    func: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function with one number as its result, ``[*input, *input]``, or tuples of it."""
    found = jacobian(_gradient(func, strict), _several("inputs", inputs), create_graph)
    return found[0][0] if isinstance(inputs, Tensor) else found


@explained
def vhp(
    func: Callable[..., Any], inputs: Tensors, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The result of ``func(*inputs)``, and ``vᵀ H``."""
    with grad_mode(True):
        given = _fresh(_several("inputs", inputs), create_graph)
        along = _directions("the input", v, given)
        value = _scalar(_called(func, given)[1])
        slopes = _slopes([value], given, [fn.ones_like(value)], True, strict)
        found = _slopes(slopes, given, along, create_graph)
    return _ended(create_graph, [value])[0], _one_or(inputs, _ended(create_graph, found))


hvp = vhp
"""The same: a Hessian is symmetric."""
