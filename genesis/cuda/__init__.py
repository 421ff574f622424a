"""``genesis.cuda``: no eager tensor lives on a GPU, and these functions say so, as PyTorch does without a GPU.

A step that is compiled with ``backend="cuda"`` runs on a GPU all the same. Its arguments and results are on the CPU.
So ``"cuda" if genesis.cuda.is_available() else "cpu"`` is ``"cpu"``, and the rest of such a program works.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn

from compiler.errors import OutOfMemoryError as OutOfMemoryError
from genesis.cuda import amp as amp
from genesis.device import no_device
from genesis.no_gpu import device_count as device_count
from genesis.no_gpu import empty_cache as empty_cache
from genesis.no_gpu import is_available as is_available
from genesis.no_gpu import manual_seed as manual_seed
from genesis.no_gpu import manual_seed_all as manual_seed_all
from genesis.scope import AROUND

__eager_only__ = AROUND


def is_initialized() -> bool:
    """False: there is no state of CUDA to set up."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False: there is no device that could support it."""
    return False


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
    no_device("cuda", "synchronize")


def set_device(device: Any) -> NoReturn:
    """Raise DeviceError: there is no GPU to choose."""
    no_device("cuda", "set_device")


def current_device() -> NoReturn:
    """Raise DeviceError: there is no current GPU."""
    no_device("cuda", "current_device")


def get_device_name(device: Any = None) -> NoReturn:
    """Raise DeviceError: there is no GPU with a name."""
    no_device("cuda", "get_device_name")


def get_device_properties(device: Any = None) -> NoReturn:
    """Raise DeviceError: there is no GPU with properties."""
    no_device("cuda", "get_device_properties")


def get_device_capability(device: Any = None) -> NoReturn:
    """Raise DeviceError: there is no GPU with capabilities."""
    no_device("cuda", "get_device_capability")


def reset_peak_memory_stats(device: Any = None) -> None:
    """Do nothing: no memory of a GPU is counted for eager tensors."""


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """A text that says that eager tensors take no memory of a GPU."""
    return "no memory of a GPU is allocated: eager tensors are on the CPU"


def memory_stats(device: Any = None) -> dict[str, Any]:
    """Nothing: eager tensors take no memory of a GPU."""
    return {}


def ipc_collect() -> None:
    """Do nothing: no memory of a GPU is shared between processes."""


def init() -> NoReturn:
    """Raise DeviceError: there is no state of CUDA to set up."""
    no_device("cuda", "init")


def seed() -> None:
    """Do nothing: there is no generator on a GPU. ``genesis.seed`` seeds every backend."""


seed_all = seed


def get_arch_list() -> list[str]:
    """Nothing: no kernels are compiled ahead of time for eager tensors."""
    return []


class Event:
    """A mark in the queue of a GPU. Raises DeviceError: there is none."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        no_device("cuda", "Event")


class Stream:
    """A queue of a GPU. Raises DeviceError: there is none."""

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        no_device("cuda", "Stream")


def stream(stream: Any) -> AbstractContextManager[None]:
    """A context in which nothing changes: there is no GPU with queues."""
    return nullcontext()
