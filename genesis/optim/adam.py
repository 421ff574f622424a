"""Adam and AdamW."""

from __future__ import annotations

from compiler.ir.op import o
from genesis.optim.optimizer import ParamGroup
from genesis.optim.rule import Params, RuleOptimizer, check_common
from genesis.tensor import Tensor


class Adam(RuleOptimizer):
    """Steps by the mean of the gradients over the root of the mean of their squares, each corrected for its start.

    ``weight_decay`` is added to the gradient, or with ``decoupled_weight_decay`` taken from the parameter. ``amsgrad``
    divides by the largest mean square so far. ``foreach``, ``fused`` and ``capturable`` are accepted: a compiled step
    is all three. Source: Kingma & Ba, 2015; Loshchilov & Hutter, 2019; Reddi et al., 2018.
    """

    op = o.adam_update
    scalars = ("lr", "betas", "eps", "weight_decay")

    def __init__(
        self,
        params: Params,
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
        check_common(lr, eps, weight_decay, betas)
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

    def _moments(self, group: ParamGroup, p: Tensor) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")

    def _flags(self, group: ParamGroup, p: Tensor) -> dict[str, bool]:
        return {**super()._flags(group, p), "amsgrad": group["amsgrad"]}


class AdamW(Adam):
    """Adam with decoupled weight decay, 0.01 by default."""

    def __init__(
        self,
        params: Params,
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
