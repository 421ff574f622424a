"""Rprop."""

from __future__ import annotations

from compiler.ir.op import o
from genesis.optim.optimizer import check
from genesis.optim.rule import Params, RuleOptimizer


class Rprop(RuleOptimizer):
    """Steps by the sign of the gradient; each element has a step size of its own.

    The size grows by ``etas[1]`` while the sign stays, shrinks by ``etas[0]`` when it turns, and stays between
    ``step_sizes``. Source: Riedmiller & Braun, "A direct adaptive method for faster backpropagation", 1993.
    """

    op = o.rprop_update
    scalars = ("lr", "etas", "step_sizes")
    moments = ("prev", "step_size")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check(lr >= 0, "learning rate", lr)
        check(0 < etas[0] < 1 < etas[1], "eta values", f"{etas[0]}, {etas[1]}")
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": tuple(etas),
                "step_sizes": tuple(step_sizes),
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )
