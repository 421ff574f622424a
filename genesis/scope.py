"""Parts of PyTorch that Genesis leaves out for good, and marks on names that have no place in a compiled step.

Each name that is left out raises one error, which says so. A mark is the attribute ``__eager_only__`` of a function, a
class or a module: the reason. ``genesis check`` and docs/coverage.md read it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, TypeVar

_PARTS: dict[str, tuple[str, str]] = {
    "sparse tensors are": (
        "use dense tensors; index_add_, scatter_add and embedding gather and add rows",
        "sparse spmm hspmm sparse_coo_tensor sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor sparse_bsc_tensor "
        "sparse_compressed_tensor sparse_coo sparse_csr sparse_csc to_sparse to_sparse_csr to_sparse_coo to_dense "
        "coalesce is_coalesced sparse_mask sparse_resize_ crow_indices col_indices",
    ),
    "quantization is": (
        "compile the step with precision='bf16-mixed' for numbers of 16 bits",
        "ao quantization quantize_per_tensor quantize_per_channel dequantize qint8 quint8 qint32 quantized_lstm "
        "fake_quantize_per_tensor_affine int_repr q_scale q_zero_point NonDynamicallyQuantizableLinear",
    ),
    "graphs of torch.fx and torch.export are": (
        "a compiled step shows its graph: step.graph(), step.dump('ir')",
        "fx export _export",
    ),
    "ONNX is": ("genesis.save writes the weights, and step.source('c') is the program", "onnx"),
    "nested tensors are": (
        "pad the sequences, and mask what was padded",
        "nested nested_tensor as_nested_tensor to_padded_tensor",
    ),
    "complex numbers are": (
        "keep real and imaginary parts in a last dimension of size 2; what genesis.fft gives has .real and .imag",
        "complex complex32 complex64 complex128 cfloat cdouble chalf polar view_as_complex view_as_real real imag conj "
        "conj_physical resolve_conj resolve_neg ComplexFloatTensor ComplexDoubleTensor",
    ),
    "several processes on one training are": (
        "one process with genesis.set_num_threads, or accumulate= for larger batches",
        "rpc fsdp FullyShardedDataParallel ZeroRedundancyOptimizer DeviceMesh init_device_mesh tensor_parallel "
        "pipelining elastic",
    ),
    "custom C++ and CUDA operators are": (
        "write a function of Genesis ops, which is compiled, or autograd.Function",
        "cpp_extension library ops",
    ),
}
OUT_OF_SCOPE: Mapping[str, str] = {
    name: f"{part} out of the scope of Genesis: {advice}"
    for part, (advice, names) in _PARTS.items()
    for name in names.split()
}
"""Names of PyTorch that will not be there, and the way out."""

DATA_SHAPE = "the shape depends on data"
DECOMPOSED = "NumPy decomposes matrices on the CPU"
BY_NUMPY = "NumPy computes it on the CPU"
ANSWERED = "Python gets the answer"
OF_MEMORY = "it is about memory"
AROUND = "it stands around a step"

T = TypeVar("T")


def eager_only(reason: str) -> Callable[[T], T]:
    """Mark a function or class that has no place in a compiled step."""

    def mark(thing: T) -> T:
        setattr(thing, _MARK, reason)
        return thing

    return mark


_MARK = "__eager_only__"


def reason_of(thing: Any) -> str:
    """Why ``thing`` has no place in a compiled step: its mark, or else its module's mark; "" without one."""
    found = getattr(thing, _MARK, None)
    name = getattr(thing, "__name__" if isinstance(thing, ModuleType) else "__module__", None) or ""
    while found is None and name:
        found = vars(sys.modules[name]).get(_MARK) if name in sys.modules else None
        name = name.rpartition(".")[0]
    return found or ""
