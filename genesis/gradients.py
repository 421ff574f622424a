"""``.grad``: the gradients that leaves collect, eager and while a step is recorded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from compiler.errors import AutogradError
from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import TensorType, f32
from genesis.context import current_recording, grad_mode
from genesis.history import gradients, need_history, seed_for
from genesis.memory.cells import Cell
from genesis.memory.strides import kept
from genesis.memory.values import held
from genesis.saved import check_saved, reached_from
from genesis.tensor import Tensor, wrap


class GradientStaysInside:
    """Stands for a ``.grad`` that a compiled step consumed; reading it is an error that names the way out.

    What is added to it is lost with it: one network's step may go back through another network, whose gradients its own
    step clears.
    """

    def __str__(self) -> str:
        return (
            "this gradient was used up inside a compiled step and never left it; "
            "decorate the step with @genesis.compile(keep_grads=True) to read .grad after a call, "
            "or call zero_grad() before backward()"
        )


_NO_ELEMENTS = TensorType(f32, (0,))


def grad_type(cell: Cell) -> TensorType | None:
    """The type of ``cell.grad``: None where there is none, empty for one that a compiled step consumed."""
    grad = cell.grad
    return None if grad is None else grad._type if isinstance(grad, Tensor) else _NO_ELEMENTS


def grad_of(cell: Cell) -> Any:
    recording = current_recording()
    if recording is None or cell.home is not None:
        return cell.grad
    step = recording.training()
    known = cell in step.grads
    found = step.grad_of(cell)
    if not known and isinstance(found, Tensor) and found._cell not in step.shared:
        found = step.grads[cell] = wrap(step.given_grad(cell, found._type))
        step.traced_grads[cell] = found
    return found


def set_grad(cell: Cell, grad: Tensor | None) -> None:
    recording = current_recording()
    if recording is None or cell.home is not None:
        cell.grad = grad
    else:
        recording.training().set_grad(cell, grad)


def check_backward(roots: Sequence[Tensor], step: str, states: Collection[Cell]) -> None:
    """Raise AutogradError where a backward pass of ``step`` cannot go on behind ``roots``, which are its arguments.

    Their history must be there, and apart from ``states``, which the step updates, or whose gradient it drops, before
    the pass goes on.
    """
    for root in roots:
        nodes, ends = need_history([root.value])
        check_saved(nodes, reached_from(ends, nodes))
        for value in {v for node in nodes for v in node.inputs}.union(ends):
            place = held(value).place
            cell = held(value).leaf or (place() if place is not None else None)
            if cell is not None and cell in states:
                raise AutogradError(
                    f"the backward pass in {step} goes on behind an argument {root._type}, which was computed outside "
                    f"from {cell.label or 'a state'}, and {step} updates that, too: it would use a part of the gradient"
                    "\n  compute the argument inside the step, or detach() it"
                )


def accumulate(
    roots: Sequence[Tensor],
    weights: Sequence[Tensor | None],
    retain_graph: bool | None,
    create_graph: bool,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradients of ``roots``, weighed, to the ``.grad`` of every leaf, or of the leaves ``inputs``."""
    values = [root.value for root in roots]
    _, leaves = need_history(values)
    if inputs is not None:
        wanted = _leaves_of((inputs,) if isinstance(inputs, Tensor) else inputs)
        leaves = [leaf for leaf in leaves if held(leaf).leaf in wanted]
    seeds = [
        seed_for(v, None if w is None else w.value, i) for i, (v, w) in enumerate(zip(values, weights, strict=True))
    ]
    retain = create_graph if retain_graph is None else retain_graph
    for leaf, g in zip(leaves, gradients(values, seeds, leaves, create_graph, retain), strict=True):
        if g is not None:
            accumulate_grad(held(leaf).leaf, g)


def _leaves_of(inputs: Sequence[Tensor]) -> list[Cell]:
    if not inputs:
        raise AutogradError("'inputs' argument to 'backward' cannot be empty.")
    for i, x in enumerate(inputs):
        if not x.requires_grad:
            raise AutogradError("One of the differentiated Tensors does not require grad")
        if not x.is_leaf:
            raise AutogradError(
                f"backward(): input {i} is not a leaf; genesis.autograd.grad returns gradients of any tensor"
            )
    return [x._grad_cell for x in inputs]


def accumulate_grad(cell: Cell, g: Value) -> None:
    """``cell.grad += g``, as ``backward`` does it."""
    present = grad_of(cell)
    if present is None:
        made = wrap(g)
        made._cell.strides = kept(g.shape, cell.strides)
        set_grad(cell, made)
    elif not isinstance(present, GradientStaysInside):
        with grad_mode(False):
            present.write(o.add(present.value, g))
    for hook in list((cell.filled or {}).values()):
        hook()
