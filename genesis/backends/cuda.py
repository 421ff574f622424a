"""``genesis.backends.cuda``: switches of PyTorch's kernels for GPUs. They can be set, and change nothing."""

from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace

matmul = SimpleNamespace(
    allow_tf32=False,
    allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True,
    fp32_precision="none",
)
_kernels = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}


def is_built() -> bool:
    """False: no eager function has code for a GPU."""
    return False


def flash_sdp_enabled() -> bool:
    """What :func:`enable_flash_sdp` set."""
    return _kernels["flash"]


def mem_efficient_sdp_enabled() -> bool:
    """What :func:`enable_mem_efficient_sdp` set."""
    return _kernels["mem_efficient"]


def math_sdp_enabled() -> bool:
    """What :func:`enable_math_sdp` set."""
    return _kernels["math"]


def cudnn_sdp_enabled() -> bool:
    """What :func:`enable_cudnn_sdp` set."""
    return _kernels["cudnn"]


def enable_flash_sdp(enabled: bool) -> None:
    """Set a switch that changes nothing: the compiler chooses the kernel of attention."""
    _kernels["flash"] = enabled


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Set a switch that changes nothing: the compiler chooses the kernel of attention."""
    _kernels["mem_efficient"] = enabled


def enable_math_sdp(enabled: bool) -> None:
    """Set a switch that changes nothing: the compiler chooses the kernel of attention."""
    _kernels["math"] = enabled


def enable_cudnn_sdp(enabled: bool) -> None:
    """Set a switch that changes nothing: the compiler chooses the kernel of attention."""
    _kernels["cudnn"] = enabled


def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True, enable_cudnn: bool = True
) -> AbstractContextManager[None]:
    """A context that changes nothing: the compiler chooses the kernel of attention."""
    return nullcontext()
