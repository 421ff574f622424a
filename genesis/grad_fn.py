"""``Tensor.grad_fn``: the ops that a backward pass goes through, to look at."""

from __future__ import annotations

from typing import Any

from genesis.memory.values import TensorValue, held


class GradFn:
    """The op that made a tensor which requires a gradient; ``next_functions`` are those behind it.

    A leaf that collects a gradient stands there as ``AccumulateGrad``.
    """

    def __init__(self, value: TensorValue) -> None:
        self._value = value

    def name(self) -> str:
        """PyTorch's manner of naming, with the op of Genesis: ``"MulBackward0"``."""
        if self._value.leaf is not None or self._value.producer is None:
            return "AccumulateGrad"
        op = self._value.producer.op.name
        return "".join(part.capitalize() for part in op.split("_")) + "Backward0"

    @property
    def next_functions(self) -> tuple[tuple[GradFn | None, int], ...]:
        """For each operand the op behind it, None where no gradient goes, and which of its results it is."""
        node = self._value.producer
        if self._value.leaf is not None or node is None:
            return ()
        return tuple((GradFn(v), _place(v)) if v.requires_grad else (None, 0) for v in map(held, node.inputs))

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, GradFn) and other._value is self._value

    def __hash__(self) -> int:
        return id(self._value)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


def _place(value: TensorValue) -> int:
    return value.producer.outputs.index(value) if value.leaf is None and value.producer is not None else 0
