"""Old names of ``genesis.amp`` for CUDA: ``cuda.amp.autocast()`` means ``amp.autocast("cuda")``."""

from __future__ import annotations

from functools import partial

from compiler.ir.types import DType
from genesis.amp import GradScaler as _GradScaler
from genesis.amp import autocast as _autocast
from genesis.amp import custom_bwd as _custom_bwd
from genesis.amp import custom_fwd as _custom_fwd

__eager_only__ = ""


class autocast(_autocast):
    """``genesis.amp.autocast`` with the lists and the default dtype, float16, of CUDA."""

    def __init__(self, enabled: bool = True, dtype: DType | None = None, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(_GradScaler):
    """``genesis.amp.GradScaler`` without its first parameter, the device."""

    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


custom_fwd = partial(_custom_fwd, device_type="cuda")
custom_bwd = partial(_custom_bwd, device_type="cuda")
