"""Adafactor."""

from __future__ import annotations

import numpy as np

from compiler.errors import ChoiceError
from compiler.ir.graph import Value
from compiler.ir.op import o
from compiler.ir.types import DType, bf16
from genesis.live import as_f64
from genesis.optim.optimizer import ParamGroup
from genesis.optim.rule import Params, RuleOptimizer
from genesis.tensor import Tensor

_BF16_EPS = 2.0**-7


class Adafactor(RuleOptimizer):
    """Adam's second moments of a matrix, kept as one number for each row and each column.

    The rate is ``min(lr, 1 / sqrt(t))`` times the root mean square of the parameter (at least ``eps[1]``); an update of
    a greater root mean square than ``d`` is scaled down. ``eps[0]``, the resolution of the dtype if None, keeps the
    moments from zero. Source: Shazeer & Stern, "Adafactor: adaptive learning rates with sublinear memory cost", 2018.
    """

    op = o.adafactor_update
    scalars = ("lr", "beta2_decay", "d", "weight_decay")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        for fits, what, value in (
            (lr >= 0, "Learning rate should be >= 0", lr),
            (beta2_decay <= 0, "beta2_decay should be <= 0", beta2_decay),
            (eps[0] is None or eps[0] >= 0, "epsilon1 should be >= 0", eps[0]),
            (eps[1] >= 0, "epsilon2 should be >= 0", eps[1]),
            (d >= 1, "Clipping threshold d should be >= 1", d),
            (weight_decay >= 0, "weight_decay should be >= 0", weight_decay),
        ):
            if not fits:
                raise ChoiceError(f"{what} but is: {value}")
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": tuple(eps),
                "d": d,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
            },
        )

    def _moments(self, group: ParamGroup, p: Tensor) -> tuple[str, ...]:
        return ("row_var", "col_var") if p.ndim > 1 else ("variance",)

    def shape_of(self, p: Tensor, key: str) -> tuple[int, ...]:
        shape = tuple(p.shape)
        return {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, *shape[-1:])}.get(
            key, super().shape_of(p, key)
        )

    def _flags(self, group: ParamGroup, p: Tensor) -> dict[str, bool]:
        return {"factored": p.ndim > 1, "maximize": group["maximize"]}

    def _advance(self, index: int, group: ParamGroup, dtype: DType, *numbers: Tensor) -> tuple[Value, ...]:
        """Both numbers that keep something from zero."""
        resolution = _BF16_EPS if dtype is bf16 else float(np.finfo(dtype.numpy).eps)
        first = as_f64(resolution) if group.raw("eps")[0] is None else self._scalar(index, "eps", 0)
        return first, self._scalar(index, "eps", 1)
