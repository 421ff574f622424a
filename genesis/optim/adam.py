"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from compiler.ir.graph import Value
from compiler.ir.op import o
from genesis.optim.optimizer import Optimizer, ParamGroup, check
from genesis.tensor import Tensor, from_array


class Adam(Optimizer):
    """Steps by the mean of the gradients over the root of the mean of their squares, each corrected for its start.

    ``weight_decay`` is added to the gradient, or with ``decoupled_weight_decay`` taken from the parameter. ``amsgrad``
    divides by the largest mean square so far. ``foreach``, ``fused`` and ``capturable`` are accepted: a compiled step
    is all three. Source: Kingma & Ba, 2015; Loshchilov & Hutter, 2019; Reddi et al., 2018.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check(lr >= 0, "learning rate", lr)
        check(eps >= 0, "epsilon value", eps)
        for i, beta in enumerate(betas):
            check(0 <= beta < 1, f"beta parameter at index {i}", beta)
        check(weight_decay >= 0, "weight_decay value", weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def _counts(self, group: ParamGroup) -> bool:
        return True

    def _remember(self, group: ParamGroup, p: Tensor, state: dict[str, Tensor]) -> None:
        for key in _moments(group):
            if key not in state:
                state[key] = from_array(np.zeros(p.shape, p.dtype.numpy))

    def _update(self, index: int, group: ParamGroup, grads: dict[Tensor, Value]) -> None:
        lr = self._scalar(index, "lr")
        beta1 = self._scalar(index, "betas", 0)
        beta2 = self._scalar(index, "betas", 1)
        eps, weight_decay = self._scalar(index, "eps"), self._scalar(index, "weight_decay")
        for p, g in grads.items():
            state = self.state[p]
            written = [p, *(state[key] for key in _moments(group))]
            updated = o.adam_update(
                p.value,
                g,
                *(moment.value for moment in written[1:]),
                state["step"].value,
                lr,
                beta1,
                beta2,
                eps,
                weight_decay,
                decoupled=group["decoupled_weight_decay"],
                amsgrad=group["amsgrad"],
                maximize=group["maximize"],
            )
            for tensor, value in zip(written, updated):
                tensor.write(value)


class AdamW(Adam):
    """Adam with decoupled weight decay, 0.01 by default."""

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )


def _moments(group: ParamGroup) -> tuple[str, ...]:
    return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")
