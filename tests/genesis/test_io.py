from pathlib import Path

import numpy as np
import pytest

from compiler.errors import CheckpointError
from compiler.ir.types import bf16, f32
from genesis.io import load_checkpoint, save_checkpoint
from genesis.members import Parameter
from genesis.tensor import Tensor, tensor
from runtime import checkpoint


def test_tensors_come_back_as_tensors_and_arrays_as_arrays(tmp_path: Path):
    weight = Parameter(tensor([[1.5, -2.0]]))
    save_checkpoint(
        {
            "model": {"w": weight, "b": tensor([1.0, 3.0], dtype=bf16)},
            "seen": np.arange(3),
            "loss": tensor(0.5),
            "e": 3,
        },
        tmp_path / "checkpoint_epoch_10.pth",
    )
    loaded = load_checkpoint(str(tmp_path / "checkpoint_epoch_10.pth"))
    w, b = loaded["model"]["w"], loaded["model"]["b"]
    assert (type(w), w.dtype, w.shape, w.requires_grad) == (Tensor, f32, (1, 2), False)
    assert (type(b), b.dtype) == (Tensor, bf16)
    np.testing.assert_array_equal(np.asarray(w), [[1.5, -2.0]])
    np.testing.assert_array_equal(np.asarray(b).astype(np.float32), [1.0, 3.0])
    assert type(loaded["seen"]) is np.ndarray
    assert (float(loaded["loss"]), loaded["loss"].shape, loaded["e"]) == (0.5, (), 3)


def test_what_cannot_be_saved_is_named(tmp_path: Path):
    with pytest.raises(TypeError, match=r"checkpoint\['hooks'\]\[0\] is a function"):
        save_checkpoint({"w": tensor([1.0]), "hooks": [lambda: None]}, tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_an_unknown_leaf_and_a_truncated_file(tmp_path: Path):
    checkpoint.save_checkpoint({"x": 1j}, tmp_path / "c", lambda leaf: ("odd", np.ones(1)) if leaf == 1j else None)
    with pytest.raises(CheckpointError, match="holds a 'odd'"):
        load_checkpoint(tmp_path / "c")
    (tmp_path / "c").write_bytes((tmp_path / "c").read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="it is truncated"):
        load_checkpoint(tmp_path / "c")
