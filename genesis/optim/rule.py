"""The base of optimizers whose update is one op that knows how often a parameter was updated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from compiler.ir.graph import Value
from compiler.ir.op import Op
from compiler.ir.types import DType
from genesis.eager.calls import call_all
from genesis.optim.optimizer import Optimizer, ParamGroup, check
from genesis.tensor import Tensor, from_array

Params = Iterable[Tensor] | Iterable[dict[str, Any]]


class RuleOptimizer(Optimizer):
    """An optimizer whose op takes parameter, gradient, moments, step count and hyper-parameters, in this order.

    A subclass names the ``op``, its ``scalars`` and ``moments``. If these depend on a group, or on a parameter, it
    says which ``_moments`` and ``_flags`` there are.
    """

    op: ClassVar[Op]
    scalars: ClassVar[tuple[str, ...]]
    """The hyper-parameters of the op, each a key of a group; ``"betas"`` stands for both of its numbers."""
    moments: ClassVar[tuple[str, ...]] = ()
    """The names of a parameter's moments, in the order of the op."""

    def _moments(self, group: ParamGroup, p: Tensor) -> tuple[str, ...]:
        """The ``moments`` of one parameter."""
        return self.moments

    def _start(self, group: ParamGroup, key: str) -> float:
        """The value that a moment starts from."""
        return 0.0

    def _flags(self, group: ParamGroup, p: Tensor) -> dict[str, bool]:
        """The attributes of the op."""
        decoupled = {"decoupled": group["decoupled_weight_decay"]} if "decoupled" in self.op.attrs else {}
        return {**decoupled, "maximize": group["maximize"]}

    def _scalars(self, group: ParamGroup) -> tuple[str, ...]:
        return self.scalars

    def _counts(self, group: ParamGroup) -> bool:
        return True

    def _advance(self, index: int, group: ParamGroup, dtype: DType, *numbers: Tensor) -> tuple[Value, ...]:
        """The last operands of the op, f64[], from the ``numbers`` of some parameters, which move on."""
        return ()

    def _remember(self, group: ParamGroup, p: Tensor, state: dict[str, Tensor]) -> None:
        for key in self._moments(group, p):
            if key not in state:
                state[key] = from_array(np.full(self.shape_of(p, key), self._start(group, key), p.dtype.numpy))

    def _update(self, index: int, group: ParamGroup, grads: dict[Tensor, Value]) -> None:
        for key in self.numbers:
            if key != "step":
                self._shared(grads, key, self._start(group, key))
        scalars: list[Value] = []
        for name in self._scalars(group):
            items = (0, 1) if name in _PAIRS else (None,)
            scalars += (self._scalar(index, name, item) for item in items)
        advanced: dict[Any, tuple[Value, ...]] = {}
        calls: list[tuple[list[Value], dict[str, bool]]] = []
        places: list[list[Tensor]] = []
        for p, g in grads.items():
            state = self.state[p]
            alike = (p.dtype, *(state.raw(key) for key in self.numbers))
            if alike not in advanced:
                advanced[alike] = self._advance(index, group, *alike)
            written = [p, *(state[key] for key in self._moments(group, p))]
            moments = (moment.value for moment in written[1:])
            operands = [p.value, g, *moments, state["step"].value, *scalars, *advanced[alike]]
            calls.append((operands, self._flags(group, p)))
            places.append(written)
        for written, updated in zip(places, call_all(self.op, calls), strict=True):
            for tensor, value in zip(written, updated):
                tensor.write(value)


_PAIRS = frozenset({"betas", "etas", "step_sizes"})


def check_common(lr: Any, eps: float, weight_decay: float, betas: tuple[float, float] = (0.0, 0.0)) -> None:
    """Raise ValueError for hyper-parameters that no optimizer takes."""
    check(lr >= 0, "learning rate", lr)
    check(eps >= 0, "epsilon value", eps)
    for i, beta in enumerate(betas):
        check(0 <= beta < 1, f"beta parameter at index {i}", beta)
    check(weight_decay >= 0, "weight_decay value", weight_decay)
