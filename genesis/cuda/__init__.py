"""``genesis.cuda``: no eager tensor lives on a GPU, and these functions say so, as PyTorch does without a GPU.

A step that is compiled with ``backend="cuda"`` runs on a GPU all the same. Its arguments and results are on the CPU.
So ``"cuda" if genesis.cuda.is_available() else "cpu"`` is ``"cpu"``, and the rest of such a program works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from compiler.errors import DeviceError
from compiler.ir.location import here
from genesis.cuda import amp as amp
from genesis.names import module_getattr


def is_available() -> bool:
    """False: eager tensors are on the CPU."""
    return False


def is_initialized() -> bool:
    """False: there is no state of CUDA to set up."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False: there is no device that could support it."""
    return False


def device_count() -> int:
    """0: the number of GPUs that can hold eager tensors."""
    return 0


def manual_seed(seed: int) -> None:
    """Do nothing: there is no generator on a GPU. ``genesis.manual_seed`` seeds every backend."""


def manual_seed_all(seed: int) -> None:
    """Do nothing: there is no generator on a GPU. ``genesis.manual_seed`` seeds every backend."""


def empty_cache() -> None:
    """Do nothing: no memory of a GPU is kept for eager tensors."""


def memory_allocated(device: Any = None) -> int:
    """0: the bytes of eager tensors on GPUs."""
    return 0


def max_memory_allocated(device: Any = None) -> int:
    """0: the most bytes of eager tensors on GPUs so far."""
    return 0


def memory_reserved(device: Any = None) -> int:
    """0: the bytes that are kept for eager tensors on GPUs."""
    return 0


def max_memory_reserved(device: Any = None) -> int:
    """0: the most bytes that were kept for eager tensors on GPUs so far."""
    return 0


def synchronize(device: Any = None) -> NoReturn:
    """Raise DeviceError: there is no GPU to wait for."""
    _no_device("synchronize")


def set_device(device: Any) -> NoReturn:
    """Raise DeviceError: there is no GPU to choose."""
    _no_device("set_device")


def current_device() -> NoReturn:
    """Raise DeviceError: there is no current GPU."""
    _no_device("current_device")


def get_device_name(device: Any = None) -> NoReturn:
    """Raise DeviceError: there is no GPU with a name."""
    _no_device("get_device_name")


def get_device_properties(device: Any = None) -> NoReturn:
    """Raise DeviceError: there is no GPU with properties."""
    _no_device("get_device_properties")


def get_device_capability(device: Any = None) -> NoReturn:
    """Raise DeviceError: there is no GPU with capabilities."""
    _no_device("get_device_capability")


def _no_device(name: str) -> NoReturn:
    raise DeviceError(
        here(
            f"cuda.{name}(): eager tensors are on the CPU, genesis.cuda.is_available() is False",
            "ask is_available() first; compile the step with backend='cuda' to run it on a GPU",
        )
    )


if not TYPE_CHECKING:
    __getattr__ = module_getattr("genesis.cuda", globals())
