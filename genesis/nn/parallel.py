"""Wrappers for several devices or processes, with one of either: they call the module that they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import genesis.distributed as distributed
from compiler.errors import ChoiceError, UnsupportedError
from compiler.ir.location import here
from genesis.nn.module import Module

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]


class DataParallel(Module):
    """``module`` on one device, under the name ``module`` as in PyTorch.

    Raises UnsupportedError for ``device_ids`` that name several.
    """

    def __init__(
        self, module: Module, device_ids: Sequence[Any] | None = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        _one_device("DataParallel", device_ids)
        self.dim = dim
        self.module = module
        self.device_ids: list[Any] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The results of ``module``."""
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """``module`` in a group of one process, under the name ``module`` as in PyTorch; its gradients are the mean of one.

    Options about communication change nothing. Raises ValueError before ``distributed.init_process_group()``, and for a
    module without parameters to train.
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool = True,
        **options: Any,
    ) -> None:
        super().__init__()
        distributed.get_world_size()
        _one_device("DistributedDataParallel", device_ids)
        if not any(p.requires_grad for p in module.parameters()):
            raise ChoiceError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter that requires a "
                "gradient."
            )
        self.module = module
        self.require_backward_grad_sync = True

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The results of ``module``."""
        return self.module(*inputs, **kwargs)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """A context in which gradients stay in this process, as they do outside."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """The results of ``module`` for ``inputs``, a tuple of arguments or one."""
    _one_device("data_parallel", device_ids)
    return module(*(inputs if isinstance(inputs, tuple) else (inputs,)), **(module_kwargs or {}))


def _one_device(name: str, device_ids: Sequence[Any] | None) -> None:
    if device_ids is not None and len(device_ids) > 1:
        raise UnsupportedError(
            here(f"{name}(device_ids={list(device_ids)}): Genesis trains on one device", "leave device_ids away")
        )
