"""Adadelta."""

from __future__ import annotations

from compiler.ir.op import o
from genesis.optim.optimizer import check
from genesis.optim.rule import Params, RuleOptimizer, check_common


class Adadelta(RuleOptimizer):
    """Steps by the gradient, scaled to the size of the last moves over the size of the last gradients.

    Source: Zeiler, "ADADELTA: an adaptive learning rate method", 2012.
    """

    op = o.adadelta_update
    scalars = ("lr", "rho", "eps", "weight_decay")
    moments = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check(lr >= 0, "learning rate", lr)
        check(0 <= rho <= 1, "rho value", rho)
        check_common(lr, eps, weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
            },
        )
