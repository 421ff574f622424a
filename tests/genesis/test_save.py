"""``genesis.save`` without PyTorch: the values that come back from ``genesis.load``, and the refused ones."""

import io
import os
from argparse import Namespace
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn, optim


def returned(tree: Any) -> Any:
    file = io.BytesIO()
    genesis.save(tree, file)
    file.seek(0)
    return genesis.load(file)


def test_a_tree_comes_back() -> None:
    base = genesis.arange(6.0).reshape(2, 3)
    w = nn.Parameter(genesis.ones(2).bfloat16())
    found = returned({"base": base, "row": base[1], "w": w, "epoch": 3, "name": "é", "raw": b"\x00\xff"})
    assert (found["epoch"], found["name"], found["raw"]) == (3, "é", b"\x00\xff")
    assert isinstance(found["w"], nn.Parameter) and found["w"].dtype is genesis.bfloat16
    found["row"].zero_()
    assert found["base"].tolist() == [[0, 1, 2], [0, 0, 0]]


class _Config(dict):
    pass


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (nn.Linear(2, 2), r"genesis\.nn\.linear\.Linear.*save its state_dict\(\)"),
        (optim.SGD([genesis.ones(1)], 0.1), r"save its state_dict\(\)"),
        (np.array(["text"]), r"an array of integers, floats or booleans"),
        (Namespace(lr=1), r"vars\(x\)"),
        (defaultdict(list), r"save dict\(\.\.\.\)"),
        (_Config(), r"save dict\(\.\.\.\)"),
        (lambda: 0, "function"),
        (2**5000, "save str"),
    ],
)
def test_what_only_code_could_read_is_refused_before_the_file_is_touched(
    value: Any, advice: str, tmp_path: Path
) -> None:
    genesis.save({"old": 1}, tmp_path / "f.pt")
    with pytest.raises(TypeError, match=advice) as raised:
        genesis.save({"a": [1, value]}, tmp_path / "f.pt")
    assert "obj['a'][1]" in str(raised.value) or "int of" in str(raised.value)
    assert genesis.load(tmp_path / "f.pt") == {"old": 1} and os.listdir(tmp_path) == ["f.pt"]


def test_containers_without_end() -> None:
    tree: list[Any] = []
    for _ in range(300):
        tree = [tree]
    with pytest.raises(genesis.GenesisError, match="nested more than"):
        returned(tree)


def test_one_memory_as_two_types_is_refused() -> None:
    x = genesis.ones(4)
    array = np.ones(4, np.float32)
    assert returned([x, x.view(genesis.int32)])[1].tolist() == [0x3F800000] * 4
    assert returned([genesis.from_numpy(array), genesis.from_numpy(array.view(np.int32))])[0].tolist() == [1.0] * 4


def test_the_old_form_is_refused() -> None:
    with pytest.raises(NotImplementedError, match=r"before PyTorch 1\.6"):
        genesis.save({}, io.BytesIO(), _use_new_zipfile_serialization=False)


def test_a_file_is_saved_in_a_step_only_outside_of_recording(tmp_path: Path) -> None:
    @genesis.compile
    def step(x: genesis.Tensor) -> genesis.Tensor:
        genesis.save({"x": x}, tmp_path / "x.pt")
        return x

    with pytest.raises(genesis.GenesisError, match="writes the file"):
        step(genesis.ones(2))


def test_what_the_user_trusts_is_made() -> None:
    import pickle
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("archive/data.pkl", pickle.dumps({"args": Namespace(lr=0.1)}, 2))

    def loaded() -> Any:
        file.seek(0)
        return genesis.load(file)

    with pytest.raises(genesis.GenesisError, match=r"argparse\.Namespace.*add_safe_globals"):
        loaded()
    with genesis.serialization.safe_globals([Namespace]):
        assert genesis.serialization.get_safe_globals() == [Namespace]
        assert loaded()["args"] == Namespace(lr=0.1)
    with pytest.raises(genesis.GenesisError, match="Namespace"):
        loaded()
    with pytest.raises(TypeError, match="a class or a function"):
        genesis.serialization.add_safe_globals(["argparse.Namespace"])


def test_mmap_takes_a_path() -> None:
    with pytest.raises(ValueError, match="path-like"):
        genesis.load(io.BytesIO(), mmap=True)


def test_a_place_that_is_no_storage() -> None:
    file = io.BytesIO()
    genesis.save(genesis.ones(2), file)
    for place, error in ((lambda s, where: 3, TypeError), (lambda s, where: s.cuda(), NotImplementedError)):
        file.seek(0)
        with pytest.raises(error, match="storage"):
            genesis.load(file, map_location=place)


def test_step_counters_are_saved_one_a_parameter() -> None:
    layer = nn.Linear(2, 1)
    optimizer = optim.Adam(layer.parameters())
    layer(genesis.ones(1, 2)).sum().backward()
    optimizer.step()
    counts = [state["step"] for state in optimizer.state_dict()["state"].values()]
    assert counts[0] is not counts[1] and [count.item() for count in counts] == [1, 1]
