"""Every line of tests/names.txt against PyTorch: shapes, dtypes and, unless it draws, contents."""

import importlib
import warnings
from typing import Any

import numpy as np
import pytest

import genesis
from genesis.fft import ComplexTensor
from tests.coverage import LINES, Called
from tests.oracle.compare import name_of, same

torch = pytest.importorskip("torch")
importlib.import_module("torch.nn.attention.bias")

OTHER_SIGNS = {"linalg.eigh", "linalg.svd", "svd"}
"""Vectors that are right with either sign."""


OTHER_IN_TORCH = {
    "scan": "no function of torch",
    **dict.fromkeys(["masked.argmax", "masked.argmin"], "torch gives indices as floats"),
    "linalg.lstsq": "torch gives residuals and singular values for some drivers only",
    "Tensor.cuda": "needs a GPU",
    "Tensor.pin_memory": "needs a GPU",
    "nn.utils.rnn.unpad_sequence": "torch transposes its operand in place, which a leaf is not for",
}
COUNTS = {"binomial"}
"""Draws that are often the same for another seed."""

UNFILLED = {"nn.utils.skip_init", "Tensor.new"}
"""As ``empty``, these give whatever the memory held: only shape and dtype are compared."""

LINES = [line for line in LINES if Called(line, genesis).name not in OTHER_IN_TORCH]


def _parts(result: Any) -> list[Any]:
    if hasattr(result, "batch_sizes"):
        return _parts(result.data)
    if isinstance(result, torch.Tensor | ComplexTensor) and result.is_complex():
        return [result.real, result.imag * 1]
    if isinstance(result, tuple | list):
        return [part for item in result for part in _parts(item)]
    return [result]


def _result(line: str, library: Any, seed: int) -> tuple[Called, list[Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library.manual_seed(seed)
        call = Called(line, library)
        return call, _parts(call(*call.tensors()))


@pytest.mark.parametrize("line", LINES)
def test_a_line_gives_what_torch_gives(line: str) -> None:
    call, got = _result(line, genesis, 0)
    _, want = _result(line, torch, 0)
    if call.name.startswith("nn.attention.bias"):
        want = [want[0]._materialize()]
    assert len(got) == len(want)
    again = _result(line, genesis, 1)[1]
    draws = call.name in COUNTS or any(
        isinstance(a, genesis.Tensor) and a.tolist() != b.tolist() for a, b in zip(got, again, strict=True)
    )
    for mine, other in zip(got, want, strict=True):
        if not isinstance(other, torch.Tensor):
            continue
        assert tuple(mine.shape) == tuple(other.shape) and name_of(repr(mine.dtype)) == name_of(other.dtype)
        if call.name in OTHER_SIGNS:
            np.testing.assert_allclose(np.abs(mine.tolist()), np.abs(other.tolist()), 1e-4, 1e-5)
        elif not draws and "empty" not in call.name and call.name not in UNFILLED:
            same(mine, other, 1e-4, 1e-5)
