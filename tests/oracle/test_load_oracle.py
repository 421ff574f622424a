"""Files that PyTorch wrote, read by ``genesis.load``: numbers, containers, sharing, and files that were altered."""

import io
import random
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn

torch = pytest.importorskip("torch")

DTYPES = "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()


def written(tree: Any) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(tree, file)
    file.seek(0)
    return file


@pytest.mark.parametrize("name", DTYPES)
def test_numbers_of_each_type(name: str) -> None:
    theirs = torch.tensor([[0.0, 1.0, 3.0], [2.0, 5.0, 100.0]]).to(getattr(torch, name))
    ours = genesis.load(written(theirs))
    assert (ours.dtype, ours.shape, ours.requires_grad) == (getattr(genesis, name), (2, 3), False)
    np.testing.assert_array_equal(ours.float().numpy(), theirs.float().numpy())


def test_containers_and_values_of_other_kinds() -> None:
    tree = {
        "epoch": 3,
        "losses": [0.5, float("inf"), None, True],
        "big": 2**70,
        (1, "a"): ("x", b"bytes", {1, 2}),
        "ordered": OrderedDict(b=1, a=2),
        "milestones": Counter({30: 1}),
        "numpy": np.float64(1.25),
        "w": torch.nn.Parameter(torch.ones(2)),
        "g": torch.ones(2, requires_grad=True),
        "empty": torch.zeros(0, 3),
        "zero": torch.tensor(7),
    }
    others = {"dtype": torch.bfloat16, "device": torch.device("cpu"), "size": torch.Size([2])}
    ours = genesis.load(written({**tree, **others}))
    for key in list(tree)[:7]:
        assert ours[key] == tree[key] and type(ours[key]) is type(tree[key])
    assert isinstance(ours["w"], nn.Parameter) and ours["g"].requires_grad
    assert (ours["empty"].shape, ours["zero"].item()) == ((0, 3), 7)
    assert (ours["dtype"], ours["device"], ours["size"]) == (genesis.bfloat16, genesis.device("cpu"), genesis.Size([2]))


def test_views_of_a_storage_share_it() -> None:
    base = torch.arange(12.0).reshape(3, 4)
    ours = genesis.load(written({"base": base, "column": base[:, 1], "turned": base.t(), "again": base}))
    assert ours["again"] is ours["base"]
    assert (ours["column"].stride(), ours["turned"].stride()) == ((4,), (1, 4))
    np.testing.assert_array_equal(ours["turned"].numpy(), base.t().numpy())
    ours["column"].zero_()
    assert ours["base"][:, 1].tolist() == ours["turned"][1].tolist() == [0.0, 0.0, 0.0]


def test_a_model_and_its_optimizer_go_on_as_in_pytorch(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)

    def made(lib: Any) -> tuple[Any, Any, Any]:
        model = lib.nn.Sequential(lib.nn.Linear(4, 8), lib.nn.LayerNorm(8), lib.nn.Tanh(), lib.nn.Linear(8, 1))
        optimizer = lib.optim.AdamW(model.parameters(), lr=0.01)
        return model, optimizer, lib.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)

    def steps(lib: Any, model: Any, optimizer: Any, scheduler: Any) -> list[float]:
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(lib.tensor(data)).square().mean()
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
        return losses

    theirs, ours = made(torch), made(genesis)
    steps(torch, *theirs)
    torch.save([part.state_dict() for part in theirs], tmp_path / "training.pth")
    for part, state in zip(ours, genesis.load(tmp_path / "training.pth", map_location="cpu")):
        part.load_state_dict(state)
    np.testing.assert_allclose(steps(genesis, *ours), steps(torch, *theirs), rtol=1e-5)


def test_an_object_of_another_class_is_named_and_not_made() -> None:
    for weights_only in (True, False):
        with pytest.raises(genesis.GenesisError, match=r"it holds a torch\.nn\.modules\.linear\.Linear.*state_dict"):
            genesis.load(written(torch.nn.Linear(2, 2)), weights_only=weights_only)


def test_the_old_form_says_how_to_make_a_new_one() -> None:
    file = io.BytesIO()
    torch.save({"w": torch.ones(2)}, file, _use_new_zipfile_serialization=False)
    file.seek(0)
    with pytest.raises(genesis.GenesisError, match=r"before version 1\.6"):
        genesis.load(file)


@pytest.mark.parametrize("seed", range(4))
def test_an_altered_file_is_an_error_of_genesis_or_a_tree(seed: int) -> None:
    base = torch.arange(6.0).reshape(2, 3)
    whole = written({"w": base, "v": base.t(), "epoch": 3, "names": ["a", {"b": (1, 2)}]}).getvalue()
    draw, refused = random.Random(seed), 0
    for _ in range(150):
        altered = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            altered[draw.randrange(len(altered))] = draw.randrange(256)
        try:
            genesis.load(io.BytesIO(altered[: draw.choice([None, None, draw.randrange(len(altered))])]))
        except genesis.GenesisError:
            refused += 1
    assert refused > 20
