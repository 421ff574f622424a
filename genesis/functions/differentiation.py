"""Gradients of a tensor: ``backward``, ``.grad`` and hooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import ref

from compiler.errors import AutogradError
from compiler.ir.graph import Value
from compiler.ir.location import here
from compiler.ir.op import o
from genesis.functions.table import method_only
from genesis.gradients import GradientStaysInside, accumulate, grad_of, set_grad
from genesis.history import Handle, add_hook, seed_for
from genesis.hooks import RemovableHandle, add
from genesis.tensor import Tensor, wrap


@method_only
def backward(
    input: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradient of this tensor with respect to every leaf it depends on to the leaf's ``.grad``.

    With ``inputs``, with respect to those leaves only.
    ``gradient`` weighs the elements of a tensor that is not a scalar. Raises RuntimeError when nothing requires a
    gradient, when the output is not a scalar and ``gradient`` is missing, or on a second pass without
    ``retain_graph``.
    """
    accumulate([input], [gradient], retain_graph, create_graph, inputs)


@method_only
def register_hook(input: Tensor, hook: Callable[[Tensor], Tensor | None]) -> Handle:
    """Call ``hook(gradient)`` whenever a gradient of this tensor is ready; its result, unless None, replaces it."""
    value = input.value
    if not value.requires_grad:
        raise AutogradError("cannot register a hook on a tensor that doesn't require gradient")

    def on_value(g: Value) -> Value | None:
        changed = hook(wrap(g))
        return None if changed is None else seed_for(value, changed.value)

    return add_hook(value, on_value)


@method_only
def register_post_accumulate_grad_hook(input: Tensor, hook: Callable[[Tensor], None]) -> RemovableHandle:
    """Call ``hook(tensor)`` whenever a backward pass has added to ``.grad`` of this leaf, once for each pass."""
    if not input.requires_grad:
        raise AutogradError("cannot register a hook on a tensor that doesn't require gradient")
    if not input.is_leaf:
        raise AutogradError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    cell, me = input._grad_cell, ref(input)
    cell.filled = {} if cell.filled is None else cell.filled

    def on_cell() -> None:
        tensor = me()
        if tensor is not None:
            hook(tensor)

    return add(cell.filled, on_cell)


@method_only
def retain_grad(input: Tensor) -> None:
    """Keep ``.grad`` of a tensor that is not a leaf, too."""
    if input.is_leaf or input._retains:
        return
    me = ref(input)

    def keep(g: Value) -> None:
        tensor = me()
        if tensor is not None:
            fresh = wrap(g)
            tensor._kept = fresh if tensor._kept is None else wrap(o.add(tensor._kept.value, g))

    add_hook(input.value, keep, last=True)
    input._retains, input._kept = True, None


def gradient(input: Tensor) -> Tensor | None:
    """The gradient that ``backward`` has added up; None where there is none."""
    if input._retains:
        return input._kept
    found = grad_of(input._grad_cell)
    if isinstance(found, GradientStaysInside):
        raise AutogradError(str(found))
    return found


def set_gradient(input: Tensor, grad: Tensor | None) -> None:
    """``t.grad = grad``. Raises RuntimeError unless it has the tensor's shape and dtype."""
    if isinstance(grad, Tensor) and grad._type != input._type:
        raise AutogradError(here(f"attempting to assign a gradient {grad._type} to a tensor {input._type}"))
    if input._retains:
        input._kept = grad
    else:
        set_grad(input._grad_cell, grad)
