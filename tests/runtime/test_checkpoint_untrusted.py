"""Checkpoints that somebody else wrote, with a right checksum: the tree, or a ``CheckpointError``."""

import contextlib
import json
import pickle
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from compiler.errors import CheckpointError, UnsavableError
from runtime import tensor_file
from runtime.checkpoint import _Digest, load_checkpoint, save_checkpoint

W = np.arange(6, dtype=np.float32).reshape(2, 3)


def signed(path: Path, tree: str, arrays: dict[str, np.ndarray] | None = None) -> Path:
    """A file with this text as its tree, and the checksum that belongs to it."""
    digest = _Digest(tree)

    def metadata() -> dict[str, str]:
        return {"format": "genesis-checkpoint-1", "tree": tree, "sha256": digest.hexdigest()}

    with open(path, "wb") as file:
        tensor_file.write(file, arrays or {}, metadata, digest.add)
    return path


def test_the_helper_writes_what_save_checkpoint_does(tmp_path: Path) -> None:
    save_checkpoint({"w": W}, tmp_path / "a")
    signed(tmp_path / "b", json.dumps({"dict": {"w": {"array": "w"}}}), {"w": W})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


NESTED = '[{"tuple":' * 10_000 + "[]" + "}]" * 10_000


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ("[" * 20_000 + "]" * 20_000, "its tree is nested too deeply|nested more than 100 deep"),
        (NESTED, "its tree is nested too deeply|nested more than 100 deep"),
        ("[" * 102 + "]" * 102, "its tree is nested more than 100 deep"),
        ("[1]", "its tree is a list, not a dict"),
        ("3", "its tree is a int, not a dict"),
        ("null", "its tree is a NoneType, not a dict"),
        ("", "its tree is damaged"),
        ("{", "its tree is damaged"),
        ('{"dict":{"a":NaN}}', "its tree holds NaN, which is not JSON"),
        ('{"dict":{"a":' + "9" * 5000 + "}}", "its tree is damaged"),
        ('{"dict":{"a":1,"a":2}}', "its tree holds the key 'a' twice"),
        ("{}", "an object with 0 keys where one, a tag, is expected"),
        ('{"dict":{},"items":[]}', "an object with 2 keys"),
        ('{"dict":[]}', "its tree has a list under 'dict', where an object belongs"),
        ('{"items":{}}', "its tree has an object under 'items', where a list belongs"),
        ('{"items":[[1,2,3]]}', "'items' that are no pairs"),
        ('{"items":["ab"]}', "'items' that are no pairs"),
        ('{"items":[[[],1]]}', "'items' that are no pairs"),
        ('{"items":[[null,1]]}', "'items' that are no pairs"),
        ('{"items":[[1,2],[1,3]]}', "'items' that are no pairs of a key, each another"),
        ('{"dict":{"a":{"tuple":"xy"}}}', "its tree has a string under 'tuple', where a list belongs"),
        ('{"dict":{"a":{"float":"12"}}}', "the float '12', which is none of"),
        ('{"dict":{"a":{"float":[]}}}', "the float .*, which is none of"),
        ('{"dict":{"a":{"array":3}}}', "its tree has a number under 'array', where a string belongs"),
        ('{"dict":{"a":{"array":"v"}}}', "the array 'v', which is not in the file"),
        ('{"dict":{"a":{"array":"w"},"b":{"array":"w"}}}', "the array 'w', which is not in the file, or is used twice"),
        ('{"dict":{"a":{"scalar":"w"}}}', r"a scalar 'w' of the shape \[2, 3\]"),
        ('{"dict":{"a":{"pickle":"w"}}}', "holds a 'pickle', which this reader does not know"),
        ('{"dict":{"a":{"pickle":null}}}', "its tree has null under 'pickle'"),
    ],
    ids=lambda text: text[:30],
)
def test_a_wrong_tree_with_a_right_checksum(tmp_path: Path, tree: str, message: str) -> None:
    path = signed(tmp_path / "c", tree, {"w": W})
    with pytest.raises(CheckpointError, match=f"cannot load checkpoint '{path}': .*({message})"):
        load_checkpoint(path)


def with_header(path: Path, header: object, data: bytes = b"\0" * 24) -> Path:
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(**changes: Any) -> dict[str, Any]:
    return {"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24], **changes}}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("[" * 20_000 + "]" * 20_000, "its header is nested too deeply|it is no checkpoint: its header is a list"),
        ("{", "its header is damaged"),
        ("\N{SNOWMAN}", "its header is damaged"),
        ({"__metadata__": "text"}, "the __metadata__ in its header is no object of strings"),
        ({"__metadata__": {"tree": 1}}, "the __metadata__ in its header is no object of strings"),
        ({"w": 3}, "the description of array 'w' in its header is wrong"),
        ({"w": {"dtype": "F32"}}, "the description of array 'w' in its header is wrong"),
        (entry(dtype="F31"), "array 'w' has the dtype 'F31', which is none of BOOL, U8"),
        (entry(dtype=[]), "array 'w' has the dtype"),
        (entry(shape=6), "the shape of array 'w' in its header is wrong"),
        (entry(shape=[-2, -3]), "the shape of array 'w' in its header is wrong"),
        (entry(shape=[2.0, 3]), "the shape of array 'w' in its header is wrong"),
        (entry(shape=[True, 6]), "the shape of array 'w' in its header is wrong"),
        (entry(shape=[10**40]), "the shape of array 'w' in its header is wrong"),
        (entry(shape=[1] * 1000), "the shape of array 'w' in its header is wrong"),
        (entry(shape=[2**62, 2**62]), "takes .* bytes, but 24 are set aside"),
        (entry(shape=[0, 2**62, 2**62], data_offsets=[0, 0]), "damaged|no array has the shape"),
        (entry(shape=[3, 3]), r"array 'w', F32\[3, 3\], takes 36 bytes, but 24 are set aside"),
        (entry(data_offsets=[0]), "the place of array 'w' in its header is wrong"),
        (entry(data_offsets=["0", "24"]), "the place of array 'w' in its header is wrong"),
        (entry(data_offsets=[24, 0]), "takes 24 bytes, but -24 are set aside"),
        (entry(data_offsets=[4, 28]), "array 'w' begins at byte 4 of the data, not at 0"),
        ({**entry(), "v": entry()["w"]}, "array '[vw]' begins at byte 0 of the data, not at 24"),
        (entry(shape=[2**40], data_offsets=[0, 2**42]), "it is truncated"),
    ],
    ids=lambda header: str(header)[:60],
)
def test_a_wrong_header(tmp_path: Path, header: object, message: str) -> None:
    path = with_header(tmp_path / "c", header)
    with pytest.raises(CheckpointError, match=f"cannot load checkpoint '{path}': .*({message})"):
        load_checkpoint(path)


def test_a_shape_that_no_array_has(tmp_path: Path) -> None:
    path = with_header(tmp_path / "c", entry(shape=[0, 2**62, 2**62], data_offsets=[0, 0]), b"")
    with open(path, "rb") as file:
        entries, _ = tensor_file.read_header(file, path.stat().st_size)
        with pytest.raises(CheckpointError, match=r"no array has the shape \[0, 4611686018427387904"):
            tensor_file.read(file, entries["w"])


VALUES: list[Any] = [None, True, -1, 0.5, "w", "v", "nan", [], {}, [[]], {"dict": {}}, {"array": "w"}, [1, 2], {"a": 1}]
TAGS = ["dict", "items", "tuple", "float", "array", "scalar", "tensor", "a"]


def mutated(node: Any, draw: random.Random) -> Any:
    """``node`` with some of its parts exchanged, dropped or put under another tag."""
    if draw.random() < 0.08:
        return draw.choice(VALUES)
    if isinstance(node, list):
        return [mutated(item, draw) for item in node if draw.random() < 0.95]
    if isinstance(node, dict):
        return {
            draw.choice(TAGS) if draw.random() < 0.08 else key: mutated(item, draw)
            for key, item in node.items()
            if draw.random() < 0.98
        }
    return node


def test_mutated_trees_give_a_dict_or_a_checkpoint_error(tmp_path: Path) -> None:
    state = {"model": {"w": W, "b": np.float32(1)}, "t": (1, [float("inf"), "x"]), "n": {0: None, "a": 2}}
    save_checkpoint(state, tmp_path / "c")
    with open(tmp_path / "c", "rb") as file:
        entries, metadata = tensor_file.read_header(file, (tmp_path / "c").stat().st_size)
        arrays = {name: tensor_file.read(file, found) for name, found in entries.items()}
    outcomes = {dict: 0, CheckpointError: 0}
    for seed in range(500):
        tree = json.dumps(mutated(json.loads(metadata["tree"]), random.Random(seed)))
        try:
            loaded = load_checkpoint(signed(tmp_path / "c", tree, arrays), lambda tag, array: (tag, array))
            assert isinstance(loaded, dict)
            outcomes[dict] += 1
        except CheckpointError:
            outcomes[CheckpointError] += 1
    assert min(outcomes.values()) > 20


def test_mutated_headers_give_a_dict_or_a_checkpoint_error(tmp_path: Path) -> None:
    path = tmp_path / "c"
    save_checkpoint({"w": W, "v": np.arange(4), "e": np.zeros((0, 3))}, path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for seed in range(300):
        with_header(path, mutated(header, random.Random(seed)), data[8 + length :])
        with contextlib.suppress(CheckpointError):
            assert isinstance(load_checkpoint(path), dict)


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"w": [1.0]}, protocol=2))


def torch_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"...")
        archive.writestr("model/data/0", b"...")


def other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thesis.tex", b"...")


def npz(path: Path) -> None:
    with open(path, "wb") as file:
        np.savez(file, w=W)


def npy(path: Path) -> None:
    with open(path, "wb") as file:
        np.save(file, W)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (torch_zip, r"it is a PyTorch file, no checkpoint; genesis\.load\(path\) reads it"),
        (pickled, r"it is a pickle, no checkpoint; .*torch\.load"),
        (lambda path: safetensors.numpy.save_file({"w": W}, path), r"genesis\.load\(path\)"),
        (npz, r"an archive of NumPy arrays, no checkpoint; numpy\.load\(path\)"),
        (npy, r"a NumPy array, no checkpoint; numpy\.load\(path\)"),
        (other_zip, "it is a zip archive, no checkpoint"),
        (lambda path: path.write_bytes(b"PK\3\4\x14\0\0\0 cut"), "a damaged zip archive, no checkpoint"),
    ],
    ids=["torch", "old torch", "safetensors", "npz", "npy", "zip", "cut zip"],
)
def test_a_file_of_another_kind_says_what_it_is_and_how_to_load_it(
    tmp_path: Path, write: Callable[[Path], None], message: str
) -> None:
    write(tmp_path / "c")
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "c")


def test_a_tree_that_holds_itself_and_a_deep_one(tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    deep: Any = {}
    for _ in range(99):
        deep = [deep]
    save_checkpoint({"deep": deep}, tmp_path / "c")
    assert load_checkpoint(tmp_path / "c") == {"deep": deep}
    for tree in (endless, [deep]):
        with pytest.raises(UnsavableError, match=r"checkpoint\['a'\].* is nested more than 100 deep, or holds itself"):
            save_checkpoint({"a": tree}, tmp_path / "c")
    assert load_checkpoint(tmp_path / "c") == {"deep": deep}


def test_names_that_are_no_unicode(tmp_path: Path) -> None:
    tree = {"caf\udce9": W, "caf?": W + 1, "text": "\udce9"}
    save_checkpoint(tree, tmp_path / "c")
    loaded = load_checkpoint(tmp_path / "c")
    assert list(loaded) == list(tree) and loaded["text"] == "\udce9"
    np.testing.assert_array_equal(loaded["caf?"], W + 1)


SIZE = 1 << 20


def peak(run: Callable[[], object]) -> int:
    """Bytes that ``run`` holds at most beside what was there before."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("transposed", [False, True])
def test_one_array_at_a_time_is_held_as_a_copy(tmp_path: Path, transposed: bool) -> None:
    arrays = {f"layer{i}": np.zeros((2, SIZE // 8), np.float32) for i in range(16)}
    if transposed:
        arrays = {name: array.T for name, array in arrays.items()}
    path = tmp_path / "c"
    assert peak(lambda: save_checkpoint(arrays, path)) < 2 * SIZE
    assert peak(lambda: load_checkpoint(path)) < 18 * SIZE
