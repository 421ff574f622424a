"""``genesis.load`` without PyTorch: safetensors, files of other kinds, and hostile archives."""

import contextlib
import io
import os
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import genesis
from compiler.errors import CheckpointError
from runtime import torch_file

LEAVES = torch_file.Leaves(lambda s: s.array, lambda data, grad: data, tuple, str, str)


def archive(data: bytes, compression: int = zipfile.ZIP_STORED, **others: bytes) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        made.writestr("archive/data.pkl", data)
        for name, content in others.items():
            made.writestr(f"archive/{name}", content)
    file.seek(0)
    return file


def test_safetensors(tmp_path: Path) -> None:
    safetensors.numpy.save_file({"w": np.float32([[1, 2]]), "n": np.int64([3])}, tmp_path / "m.safetensors")
    loaded = genesis.load(tmp_path / "m.safetensors")
    assert (loaded["w"].tolist(), loaded["n"].tolist()) == ([[1.0, 2.0]], [3])
    assert (loaded["w"].dtype, loaded["n"].dtype) == (genesis.float32, genesis.int64)


def test_a_checkpoint_says_how_to_load_it(tmp_path: Path) -> None:
    genesis.save_checkpoint({"w": genesis.ones(2)}, tmp_path / "c")
    with pytest.raises(CheckpointError, match=r"genesis\.load_checkpoint\(path\)"):
        genesis.load(tmp_path / "c")


def test_a_gpu_is_no_place_for_eager_tensors() -> None:
    with pytest.raises(genesis.GenesisError, match="memory of the CPU"):
        genesis.load(archive(pickle.dumps([], 2)), map_location="cuda")
    assert genesis.load(archive(pickle.dumps([1], 2)), map_location=lambda storage, place: storage) == [1]


class Call:
    """An object that pickles as a call of any function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("call", [Call(os.mkdir, "pwned"), Call(eval, "1"), Call(getattr, "a", "upper")])
@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_is_executed(call: Call, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"it holds a \S+, which only code of that class could make"):
        genesis.load(archive(pickle.dumps({"w": call}, protocol)))
    assert not list(tmp_path.iterdir())


def test_bombs_and_damaged_archives() -> None:
    with pytest.raises(CheckpointError, match="compressed"):
        genesis.load(archive(pickle.dumps("0" * 10**6, 2), zipfile.ZIP_DEFLATED))
    with pytest.raises(CheckpointError, match=r"no single data\.pkl"):
        genesis.load(archive(b"", **{"inner/data.pkl": b""}))
    with pytest.raises(CheckpointError, match="damaged"):
        genesis.load(io.BytesIO(archive(b"N.").getvalue()[:-10]))
    # A tuple of the same tuple twice, 60 deep: its hash would take 2**60 steps.
    shared = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    with pytest.raises(CheckpointError, match="a key is a tuple"):
        genesis.load(archive(b"\x80\x02})" + shared + b"Ns."))


@pytest.mark.parametrize(
    "offset, size, stride", [(0, (5,), (1,)), (-1, (2,), (1,)), (2, (2, 2), (2, 1)), (0, (2,), (-1,)), (0, (2,), ())]
)
def test_a_view_stays_in_its_storage(offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
    with pytest.raises(CheckpointError, match="a tensor"):
        torch_file._view(np.arange(4), offset, size, stride)


def test_an_array_has_as_many_bytes_as_its_shape_says_and_is_no_storage() -> None:
    whole = pickle.dumps(np.arange(3, dtype=np.uint8), 2)
    assert genesis.load(archive(whole)).tolist() == [0, 1, 2]
    with pytest.raises(CheckpointError, match="an array of uint8 has the shape"):
        genesis.load(archive(whole.replace(b"K\x03\x85", b"K\x04\x85")))
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + whole[2:-1] + b"X\x01\x00\x00\x00k\x86K\x00K\x03\x85K\x01\x85\x89NtR."
    )
    with pytest.raises(CheckpointError, match=r"_rebuild_tensor_v2 with other arguments"):
        genesis.load(archive(b"\x80\x02" + tensor))


def test_bytes_in_the_other_order_are_turned() -> None:
    file = archive(b"N.", byteorder=b"big")
    with zipfile.ZipFile(file) as opened:
        reader = torch_file._Reader(opened, 10**6, LEAVES)
        assert reader._native(np.frombuffer(b"\x00\x00\x01\x02", np.uint8), np.dtype(np.int32)).tolist() == [258]


def test_random_pickles_are_errors_or_values() -> None:
    draw = random.Random(0)
    for _ in range(500):
        data = bytes(draw.choice(b"N})](tasbuQRq0h\x85\x86\x89K\x01.e") for _ in range(draw.randint(1, 30)))
        with contextlib.suppress(CheckpointError):
            genesis.load(archive(data + b"."))
