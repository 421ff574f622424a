"""Adamax."""

from __future__ import annotations

from compiler.ir.op import o
from genesis.optim.rule import Params, RuleOptimizer, check_common


class Adamax(RuleOptimizer):
    """Steps by the mean of the gradients over the largest of them, which fades.

    Source: Kingma & Ba, "Adam", 2015, section 7.1.
    """

    op = o.adamax_update
    scalars = ("lr", "betas", "eps", "weight_decay")
    moments = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_common(lr, eps, weight_decay, betas)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )
