"""RMSprop."""

from __future__ import annotations

from compiler.ir.op import o
from genesis.optim.optimizer import ParamGroup, check
from genesis.optim.rule import Params, RuleOptimizer, check_common
from genesis.tensor import Tensor


class RMSprop(RuleOptimizer):
    """Steps by the gradient over the root of the mean of its squares.

    ``centered`` takes the square of the mean gradient from that mean; with ``momentum`` the steps go through a buffer.
    Source: Tieleman & Hinton, "Lecture 6.5: rmsprop", 2012; Graves, "Generating sequences", 2013.
    """

    op = o.rmsprop_update
    switches = frozenset({"momentum"})
    scalars = ("lr", "alpha", "eps", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_common(lr, eps, 0)
        check(momentum >= 0, "momentum value", momentum)
        check(weight_decay >= 0, "weight_decay value", weight_decay)
        check(alpha >= 0, "alpha value", alpha)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def _moments(self, group: ParamGroup, p: Tensor) -> tuple[str, ...]:
        buffer = ("momentum_buffer",) if group.is_on("momentum") else ()
        return ("square_avg", *buffer, *(("grad_avg",) if group["centered"] else ()))

    def _scalars(self, group: ParamGroup) -> tuple[str, ...]:
        return (*self.scalars, "momentum") if group.is_on("momentum") else self.scalars

    def _flags(self, group: ParamGroup, p: Tensor) -> dict[str, bool]:
        return {
            "momentum": group.is_on("momentum"),
            "centered": group["centered"],
            "maximize": group["maximize"],
        }
