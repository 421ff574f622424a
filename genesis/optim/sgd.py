"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from compiler.errors import ChoiceError
from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import f64
from genesis.eager.calls import call_all
from genesis.optim.optimizer import Optimizer, ParamGroup, check
from genesis.optim.saving import number
from genesis.tensor import Tensor, from_array


class SGD(Optimizer):
    """``p -= lr * d`` with ``d = g + weight_decay * p``; with ``momentum``, ``d`` first goes through a buffer.

    ``buffer = momentum * buffer + (1 - dampening) * d``, and the first time ``buffer = d``. The step is the buffer, or
    ``d + momentum * buffer`` with ``nesterov``. ``foreach`` and ``fused`` are accepted: a compiled step is both.
    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.
    """

    switches = frozenset({"momentum", "dampening"})

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check(lr >= 0, "learning rate", lr)
        check(momentum >= 0, "momentum value", momentum)
        check(weight_decay >= 0, "weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ChoiceError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def _counts(self, group: ParamGroup) -> bool:
        """Without dampening, a buffer of zeros already makes the first step the gradient itself."""
        return group.is_on("momentum") and group.is_on("dampening")

    def _remember(self, group: ParamGroup, p: Tensor, state: dict[str, Tensor]) -> None:
        if not group.is_on("momentum"):
            return
        if self._counts(group) and "step" not in state and "momentum_buffer" in state:
            state["step"] = number(1.0)
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = from_array(np.zeros(p.shape, p.dtype.numpy))

    def _update(self, index: int, group: ParamGroup, grads: dict[Tensor, Value]) -> None:
        lr, weight_decay = self._scalar(index, "lr"), self._scalar(index, "weight_decay")
        if not group.is_on("momentum"):
            flags = {"maximize": group["maximize"]}
            plain = [((p.value, g, lr, weight_decay), flags) for p, g in grads.items()]
            for p, (stepped,) in zip(grads, call_all(o.sgd_update, plain), strict=True):
                p.write(stepped)
            return
        momentum, dampening = self._scalar(index, "momentum"), self._scalar(index, "dampening")
        flags = {"nesterov": group["nesterov"], "maximize": group["maximize"]}
        calls: list[tuple[tuple[Value, ...], dict[str, bool]]] = []
        for p, g in grads.items():
            state = self.state[p]
            damped = dampening
            if self._counts(group):
                damped = o.mul(dampening, o.cast(o.gt(state["step"].value, 1.0), to=f64))
            buffer = state["momentum_buffer"].value
            calls.append(((p.value, g, buffer, lr, weight_decay, momentum, damped), flags))
        for p, (stepped, moved) in zip(grads, call_all(o.sgd_momentum_update, calls), strict=True):
            p.write(stepped)
            self.state[p]["momentum_buffer"].write(moved)
