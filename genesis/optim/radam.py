"""RAdam."""

from __future__ import annotations

from compiler.ir.op import o
from genesis.optim.rule import Params, RuleOptimizer, check_common


class RAdam(RuleOptimizer):
    """Adam whose first steps, with too few squares to trust their mean, use momentum alone.

    ``weight_decay`` is added to the gradient, or with ``decoupled_weight_decay`` taken from the parameter. Source: Liu
    et al., "On the variance of the adaptive learning rate and beyond", 2020.
    """

    op = o.radam_update
    scalars = ("lr", "betas", "eps", "weight_decay")
    moments = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_common(lr, eps, weight_decay, betas)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )
