"""Adagrad."""

from __future__ import annotations

from compiler.ir.op import o
from genesis.live import on_host
from genesis.optim.optimizer import ParamGroup, check
from genesis.optim.rule import Params, RuleOptimizer
from genesis.optim.saving import number


class Adagrad(RuleOptimizer):
    """Steps by the gradient over the root of the sum of all its squares.

    The state is there from the start, as in PyTorch; ``lr_decay`` lowers the rate step by step. Source: Duchi et al.,
    "Adaptive subgradient methods for online learning and stochastic optimization", 2011.
    """

    op = o.adagrad_update
    scalars = ("lr", "lr_decay", "eps", "weight_decay")
    moments = ("sum",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check(lr >= 0, "learning rate", lr)
        check(lr_decay >= 0, "lr_decay value", lr_decay)
        check(weight_decay >= 0, "weight_decay value", weight_decay)
        check(initial_accumulator_value >= 0, "initial_accumulator_value value", initial_accumulator_value)
        check(eps >= 0, "epsilon value", eps)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
        with on_host():
            count = number(0.0)
            for group in self.param_groups:
                for p in group["params"]:
                    self.state[p]["step"] = count
                    self._remember(group, p, self.state[p])

    def _start(self, group: ParamGroup, key: str) -> float:
        return float(self.defaults["initial_accumulator_value"])
