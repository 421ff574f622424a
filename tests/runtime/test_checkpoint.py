import math
import os
import random
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from compiler.errors import CheckpointError
from runtime.checkpoint import load_checkpoint, save_checkpoint

DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "c8", ml_dtypes.bfloat16]


def same(a: object, b: object) -> bool:
    """Equal in type, value, bits and order, all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b or (a != a and b != b)


def training_state() -> dict:
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    return {
        "epoch": 10,
        "model_state_dict": {"fc.weight": weight, "fc.bias": np.zeros(3, ml_dtypes.bfloat16)},
        "optimizer_state_dict": {
            "state": {0: {"step": np.float32(7), "exp_avg": weight.T}, 1: {}},
            "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0, 1], "fused": None}],
        },
        "scaler_state_dict": {"scale": 65536.0, "_growth_tracker": 3},
        "loss": math.nan,
        "best": [math.inf, -math.inf, -0.0, True],
    }


def test_training_state_round_trip(tmp_path: Path):
    state = training_state()
    save_checkpoint(state, tmp_path / "checkpoint_epoch_10.pth")
    loaded = load_checkpoint(str(tmp_path / "checkpoint_epoch_10.pth"))
    assert same(loaded, state)
    assert math.copysign(1, loaded["best"][2]) == -1
    loaded["model_state_dict"]["fc.weight"][0] = 1  # what was loaded is the caller's own


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3, 4)], ids=str)
def test_every_dtype_and_shape(tmp_path: Path, dtype: object, shape: tuple[int, ...]):
    array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    save_checkpoint({"a": array, "scalar": array.dtype.type(1)}, tmp_path / "c")
    assert same(load_checkpoint(tmp_path / "c"), {"a": array, "scalar": array.dtype.type(1)})


def test_layout_and_byte_order_do_not_matter(tmp_path: Path):
    array = np.arange(24, dtype=np.int32).reshape(4, 6)
    views = {
        "t": array.T,
        "step": array[::2, ::-1],
        "big": array.astype(">i4"),
        "wide": np.broadcast_to(array, (2, 4, 6)),
    }
    save_checkpoint(views, tmp_path / "c")
    for name, loaded in load_checkpoint(tmp_path / "c").items():
        np.testing.assert_array_equal(loaded, views[name])
        assert loaded.dtype == np.int32


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.floats(width=32).map(np.float32)
trees = st.recursive(
    leaves,
    lambda t: st.lists(t) | st.lists(t).map(tuple) | st.dictionaries(st.text() | st.integers(), t),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), trees))
def test_any_tree(tmp_path_factory: pytest.TempPathFactory, tree: dict):
    path = tmp_path_factory.mktemp("any") / "c"
    save_checkpoint(tree, path)
    assert same(load_checkpoint(path), tree)


def test_paths_that_read_alike_stay_apart(tmp_path: Path):
    tree = {"a": {"b/c": np.zeros(1)}, "a/b": {"c": np.ones(1)}, "__metadata__": np.ones(2), "1": {1: np.ones(3)}}
    save_checkpoint(tree, tmp_path / "c")
    assert same(load_checkpoint(tmp_path / "c"), tree)


def test_any_safetensors_reader_lists_the_arrays(tmp_path: Path):
    save_checkpoint({"model": {"w": np.ones(2, np.float32)}, "epoch": 1}, tmp_path / "c")
    arrays = safetensors.numpy.load_file(tmp_path / "c")
    assert same(arrays, {"model/w": np.ones(2, np.float32)})


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            {"s": {"lr_lambdas": [None, lambda e: 1.0]}},
            r"checkpoint\['s'\]\['lr_lambdas'\]\[1\] is a function.*instead",
        ),
        ({"a": np.array([object()])}, r"checkpoint\['a'\] is an array of object"),
        ({"a": (np.zeros(1, "c16"),)}, r"checkpoint\['a'\]\[0\] is an array of complex128"),
        ({"a": {1, 2}}, r"checkpoint\['a'\] is a set"),
        ({"a": 1j}, r"checkpoint\['a'\] is a complex"),
        ({"a": {"b": {(1, 2): 3}}}, r"checkpoint\['a'\]\['b'\] has the key \(1, 2\)"),
        ([1], "a checkpoint is a dict, not list"),
    ],
)
def test_what_cannot_be_saved_is_named_and_nothing_is_written(tmp_path: Path, tree: object, message: str):
    with pytest.raises(TypeError, match=message):
        save_checkpoint(tree, tmp_path / "c")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_leaves_of_a_caller_kind(tmp_path: Path):
    class Box:
        def __init__(self, array: np.ndarray) -> None:
            self.array = array

    box = Box(np.arange(3))
    save_checkpoint({"x": [box]}, tmp_path / "c", lambda leaf: ("box", leaf.array) if isinstance(leaf, Box) else None)
    (loaded,) = load_checkpoint(tmp_path / "c", lambda tag, array: (tag, array))["x"]
    assert same(loaded, ("box", box.array))
    with pytest.raises(CheckpointError, match="holds a 'box', which this reader does not know"):
        load_checkpoint(tmp_path / "c")


def test_missing_file_and_missing_folder(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        save_checkpoint({}, tmp_path / "no" / "c")


def test_every_truncation_is_an_error(tmp_path: Path):
    path = tmp_path / "c"
    save_checkpoint(training_state(), path)
    data = path.read_bytes()
    for size in [*range(0, len(data), 7), len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(CheckpointError, match=f"cannot load checkpoint '{path}': it is truncated"):
            load_checkpoint(path)


def test_every_altered_byte_is_an_error(tmp_path: Path):
    path = tmp_path / "c"
    save_checkpoint(training_state(), path)
    data = path.read_bytes()
    draw = random.Random(0)
    for position in range(len(data)):
        altered = bytearray(data)
        altered[position] ^= 1 << draw.randrange(8)
        path.write_bytes(altered)
        with pytest.raises(CheckpointError, match=f"cannot load checkpoint '{path}'"):
            load_checkpoint(path)
    path.write_bytes(data + b"\0")
    with pytest.raises(CheckpointError, match="it is damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "data", [b"", b"PK\3\4 a pickle in a zip, perhaps", b"\2\0\0\0\0\0\0\0{}", b"\2\0\0\0\0\0\0\0[]"]
)
def test_other_files_are_refused(tmp_path: Path, data: bytes):
    (tmp_path / "c").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"no checkpoint|save_checkpoint did not write it"):
        load_checkpoint(tmp_path / "c")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str):
    path = tmp_path / "c"
    save_checkpoint({"epoch": 1}, path)

    def fail(*args: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint({"epoch": 2}, path)
    assert load_checkpoint(path) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_the_data_is_on_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, real=real, name=name: (calls.append(name), real(*a)))
    save_checkpoint({"epoch": 1}, tmp_path / "c")
    assert calls[:2] == ["fsync", "replace"]
