"""NAdam."""

from __future__ import annotations

from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import DType, f64
from genesis.optim.optimizer import ParamGroup, check
from genesis.optim.rule import Params, RuleOptimizer, check_common
from genesis.tensor import Tensor


class NAdam(RuleOptimizer):
    """Adam with Nesterov's look-ahead; the momentum grows towards ``betas[0]``, the sooner the greater
    ``momentum_decay``.

    ``weight_decay`` is added to the gradient, or with ``decoupled_weight_decay`` taken from the parameter. Source:
    Dozat, "Incorporating Nesterov momentum into Adam", 2016.
    """

    op = o.nadam_update
    scalars = ("lr", "betas", "eps", "weight_decay", "momentum_decay")
    moments = ("exp_avg", "exp_avg_sq")
    numbers = ("step", "mu_product")

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_common(lr, eps, weight_decay, betas)
        check(momentum_decay >= 0, "momentum_decay value", momentum_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def _start(self, group: ParamGroup, key: str) -> float:
        return 1.0 if key == "mu_product" else 0.0

    def _advance(self, index: int, group: ParamGroup, dtype: DType, *numbers: Tensor) -> tuple[Value, ...]:
        """The product of the momenta, this step's included."""
        step, product = numbers
        beta1, decay = self._scalar(index, "betas", 0), self._scalar(index, "momentum_decay")
        product.write(o.nadam_product(product.value, step.value, beta1, decay))
        return (o.cast(product.value, to=f64),)
