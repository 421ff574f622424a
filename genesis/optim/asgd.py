"""Averaged stochastic gradient descent."""

from __future__ import annotations

from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import DType, f64
from genesis.optim.optimizer import ParamGroup, check
from genesis.optim.rule import Params, RuleOptimizer
from genesis.tensor import Tensor


class ASGD(RuleOptimizer):
    """Gradient descent at a falling rate, ``lr / (1 + lambd lr t) ** alpha``, and the mean of the parameters.

    The mean, ``state[p]["ax"]``, is over the steps behind ``t0``. ``lambd`` pulls towards zero. Source: Polyak &
    Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
    """

    op = o.asgd_update
    scalars = ("lambd", "weight_decay")
    moments = ("ax",)
    numbers = ("step", "eta", "mu")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check(lr >= 0, "learning rate", lr)
        check(weight_decay >= 0, "weight_decay value", weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _start(self, group: ParamGroup, key: str) -> float:
        return 1.0 if key == "mu" else 0.0

    def _advance(self, index: int, group: ParamGroup, dtype: DType, *numbers: Tensor) -> tuple[Value, ...]:
        """Rate and share of this step, the first at the rate of its time; the next step's are remembered."""
        step, eta, mu = numbers
        first = o.cast(self._scalar(index, "lr"), to=eta.dtype)
        rate = o.where(o.eq(step.value, 1.0), first, eta.value)
        now = (o.cast(rate, to=f64), o.cast(mu.value, to=f64))
        eta.write(o.asgd_rate(step.value, *(self._scalar(index, name) for name in ("lr", "lambd", "alpha"))))
        mu.write(o.asgd_share(step.value, self._scalar(index, "t0")))
        return now
