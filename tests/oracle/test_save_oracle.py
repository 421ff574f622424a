"""Files of ``genesis.save``, read by PyTorch with ``weights_only=True``; state dicts, in both directions."""

import io
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genesis

torch = pytest.importorskip("torch")

DTYPES = "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()


def read(tree: Any, **options: Any) -> Any:
    file = io.BytesIO()
    genesis.save(tree, file)
    file.seek(0)
    return torch.load(file, **{"weights_only": True, **options})


@pytest.mark.parametrize("name", DTYPES)
def test_numbers_of_each_type(name: str) -> None:
    ours = genesis.tensor([[0.0, 1.0, 3.0], [2.0, 5.0, 100.0]]).to(getattr(genesis, name))
    theirs = read(ours)
    assert (theirs.dtype, tuple(theirs.shape), theirs.requires_grad) == (getattr(torch, name), (2, 3), False)
    np.testing.assert_array_equal(ours.float().numpy(), theirs.float().numpy())


def test_containers_and_values_of_other_kinds() -> None:
    tree = {
        "epoch": 3,
        "numbers": [0.5, float("inf"), None, True, False, -1, 2**31, -(2**40), 2**70, -(2**1000)],
        (1, "a"): ("x", b"bytes\xff", {1, 2}, (), (1,), (1, 2, 3, 4), "Ω\udc80"),
        "ordered": OrderedDict(b=1, a=2),
        "milestones": Counter({30: 1}),
    }
    others = {"dtype": genesis.bfloat16, "device": genesis.device("cpu"), "size": genesis.Size([2])}
    found = read({**tree, **others, "numpy": [np.float32(0.5), np.int64(3), np.bool_(True)]})
    assert {key: found[key] for key in tree} == tree
    assert all(type(found[key]) is type(tree[key]) for key in tree)
    assert (found["dtype"], found["device"], found["size"]) == (torch.bfloat16, torch.device("cpu"), torch.Size([2]))
    assert found["numpy"] == [0.5, 3, True] and type(found["numpy"][0]) is float


ARRAYS = [
    np.arange(6.0).reshape(2, 3).T,
    np.zeros((0, 3), np.int16),
    np.array(True),
    np.arange(3, dtype=">u4"),
    *np.random.RandomState(0).get_state()[1:2],
]


def test_arrays_go_both_ways() -> None:
    theirs = io.BytesIO()
    torch.save([a.astype(a.dtype.newbyteorder("=")) for a in ARRAYS], theirs)
    theirs.seek(0)
    ours = io.BytesIO()
    genesis.save(ARRAYS, ours)
    ours.seek(0)
    for found in (read(ARRAYS, weights_only=False), genesis.load(theirs), genesis.load(ours)):
        for array, want in zip(found, ARRAYS, strict=True):
            assert array.dtype.newbyteorder("=") == want.dtype.newbyteorder("=") and array.shape == want.shape
            np.testing.assert_array_equal(array, want)


def test_objects_that_are_one_stay_one() -> None:
    inner: list[Any] = [genesis.ones(2)]
    inner.append(inner)
    found = read([inner, inner, inner[0]])
    assert found[0] is found[1] and found[0][1] is found[0] and found[0][0] is found[2]


VIEWS = {
    "whole": lambda x: x,
    "rows": lambda x: x[1:],
    "column": lambda x: x[:, 1],
    "element": lambda x: x[2, 3],
    "steps": lambda x: x[::2, 1::2],
    "turned": lambda x: x.t(),
    "part of turned": lambda x: x.t()[2:],
    "flat": lambda x: x.view(-1)[5:7],
    "diagonal": lambda x: x.diagonal(1),
    "expanded": lambda x: x[:, :1].expand(3, 5),
    "detached": lambda x: x[1].detach(),
    "empty": lambda x: x[3:],
}


@pytest.mark.parametrize("dense", ["rows first", "columns first"])
@pytest.mark.parametrize("shared", ["alone", "shared with NumPy"])
def test_views_show_their_storage_as_in_pytorch(dense: str, shared: str) -> None:
    def made(lib: Any) -> Any:
        if shared == "alone":
            base = lib.arange(12.0).reshape(3, 4)
            return base if dense == "rows first" else lib.arange(12.0).reshape(4, 3).t() * 1
        array = np.arange(12, dtype=np.float32)
        return lib.from_numpy(array.reshape(3, 4) if dense == "rows first" else array.reshape(4, 3).T)

    ours = {
        name: show(made_once) for made_once in [made(genesis)] for name, show in VIEWS.items() if _fits(name, dense)
    }
    want = {name: show(made_once) for made_once in [made(torch)] for name, show in VIEWS.items() if _fits(name, dense)}
    found = read(ours)
    assert len({x.untyped_storage()._cdata for x in found.values()}) == 1
    for name, x in found.items():
        assert ours[name].storage_offset() == want[name].storage_offset()
        assert (x.stride(), x.storage_offset()) == (want[name].stride(), want[name].storage_offset()), name
        assert torch.equal(x, want[name]), name


def _fits(name: str, dense: str) -> bool:
    return name != "flat" or dense == "rows first"


def test_parameters_and_tensors_on_one_memory() -> None:
    weight = genesis.nn.Parameter(genesis.ones(4, 2))
    fixed = genesis.nn.Parameter(genesis.zeros(2), requires_grad=False)
    parts = genesis.from_numpy(np.arange(6, dtype=np.float32))
    found = read(
        {"w": weight, "row": weight.detach()[1], "fixed": fixed, "p": genesis.nn.Parameter(parts[2:]), "all": parts}
    )
    assert isinstance(found["w"], torch.nn.Parameter) and found["w"].requires_grad and not found["fixed"].requires_grad
    with torch.no_grad():
        found["w"][1] = 7
        found["all"][3] = 9
    assert found["row"].tolist() == [7, 7] and found["p"].tolist() == [2, 9, 4, 5]


def test_the_bits_of_a_tensor() -> None:
    x = genesis.ones(2)
    assert read(x.view(genesis.int32)).tolist() == [0x3F800000] * 2


def test_a_file_is_mapped(tmp_path: Path) -> None:
    genesis.save({"w": genesis.arange(5), "v": genesis.ones(3, 2)}, tmp_path / "w.pt")
    for name, x in torch.load(tmp_path / "w.pt", weights_only=True, mmap=True).items():
        assert x.sum().item() == {"w": 10, "v": 6}[name]
    torch.save({"w": torch.arange(5), "flags": torch.tensor([True, False]), "e": torch.zeros(0)}, tmp_path / "t.pt")
    before = (tmp_path / "t.pt").read_bytes()
    ours = genesis.load(tmp_path / "t.pt", mmap=True)
    ours["w"].add_(1)
    assert ours["w"].tolist() == [1, 2, 3, 4, 5] and ours["flags"].tolist() == [True, False]
    assert (tmp_path / "t.pt").read_bytes() == before


def test_a_function_as_map_location_sees_each_storage_and_its_place() -> None:
    file = io.BytesIO()
    base = torch.ones(4)
    torch.save([base, base[1:], torch.ones(2, dtype=torch.float64)], file)
    for lib in (torch, genesis):
        seen = []

        def place(storage: Any, where: str, seen: Any = seen) -> Any:
            seen.append((storage.nbytes(), where))
            return storage.cpu() if len(seen) == 1 else None

        file.seek(0)
        lib.load(file, map_location=place)
        assert seen == [(16, "cpu"), (16, "cpu")]


def _model(lib: Any) -> Any:
    nn = lib.nn
    norms = nn.Sequential(nn.Tanh(), nn.BatchNorm1d(8), nn.PReLU(), nn.LayerNorm(8))
    return nn.Sequential(nn.Linear(4, 8), norms, nn.Linear(8, 3))


def _optimizers(lib: Any) -> dict[str, Any]:
    optim = lib.optim
    return {
        "sgd": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
        "adam": lambda p: optim.Adam(p, amsgrad=True),
        "adamw": lambda p: optim.AdamW(p, betas=(0.8, 0.9)),
        "adamax": lambda p: optim.Adamax(p),
        "radam": lambda p: optim.RAdam(p, decoupled_weight_decay=True),
        "rmsprop": lambda p: optim.RMSprop(p, momentum=0.5, centered=True, eps=1e-3),
        "rprop": lambda p: optim.Rprop(p),
        "adagrad": lambda p: optim.Adagrad(p, lr_decay=0.1),
        "adadelta": lambda p: optim.Adadelta(p),
    }


SCHEDULERS = {
    "step": lambda s, o: s.StepLR(o, 2),
    "multistep": lambda s, o: s.MultiStepLR(o, [1, 3]),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 10),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3),
    "onecycle": lambda s, o: s.OneCycleLR(o, 0.1, total_steps=20),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.01, 0.1, cycle_momentum=False),
    "plateau": lambda s, o: s.ReduceLROnPlateau(o),
    "lambda": lambda s, o: s.LambdaLR(o, lambda epoch: 0.9**epoch),
    "sequence": lambda s, o: s.SequentialLR(o, [s.ConstantLR(o), s.ExponentialLR(o, 0.9)], [2]),
    "polynomial": lambda s, o: s.PolynomialLR(o, 5),
    "linear": lambda s, o: s.LinearLR(o),
}

DATA = np.random.default_rng(0).normal(size=(6, 4))


def _train(lib: Any, model: Any, optimizer: Any, scheduler: Any, steps: int = 2) -> list[float]:
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(lib.tensor(DATA)).square().mean()
        loss.backward()
        optimizer.step()
        scheduler.step(*([loss.item()] if type(scheduler).__name__ == "ReduceLROnPlateau" else []))
        losses.append(loss.item())
    return losses


def _same(a: Any, b: Any, path: str = "") -> None:
    """Equal keys, shapes, kinds, and values to rounding."""
    if isinstance(b, dict):
        assert isinstance(a, dict) and set(a) == set(b), (path, set(a) ^ set(b))
        for key in b:
            _same(a[key], b[key], f"{path}[{key!r}]")
        assert {k: dict(v) for k, v in getattr(a, "_metadata", {}).items()} == getattr(b, "_metadata", {})
    elif isinstance(b, list | tuple):
        assert type(a) is type(b) and len(a) == len(b), path
        for i, pair in enumerate(zip(a, b)):
            _same(*pair, f"{path}[{i}]")
    elif isinstance(b, torch.Tensor):
        assert isinstance(a, torch.Tensor) and a.dtype == b.dtype and a.shape == b.shape, (path, a, b)
        torch.testing.assert_close(a.detach(), b.detach(), rtol=1e-4, atol=1e-5, msg=path)
    elif isinstance(b, float):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-6), path
    else:
        assert a == b and type(a) is type(b), (path, a, b)


def _training(lib: Any, optimizer: str, scheduler: str) -> tuple[Any, Any, Any]:
    """In float64: the first steps of RMSprop and Rprop can make any difference of rounding large."""
    model = _model(lib).double()
    made = _optimizers(lib)[optimizer](model.parameters())
    return model, made, SCHEDULERS[scheduler](lib.optim.lr_scheduler, made)


@pytest.mark.parametrize(
    ("optimizer", "scheduler"), [*((name, "step") for name in _optimizers(genesis)), *(("adam", s) for s in SCHEDULERS)]
)
def test_a_training_goes_on_in_the_other_library(optimizer: str, scheduler: str, tmp_path: Path) -> None:
    theirs, ours = _training(torch, optimizer, scheduler), _training(genesis, optimizer, scheduler)
    ours[0].load_state_dict(theirs[0].state_dict())
    _train(torch, *theirs)
    _train(genesis, *ours)
    genesis.save([part.state_dict() for part in ours], tmp_path / "g.pt")
    torch.save([part.state_dict() for part in theirs], tmp_path / "t.pt")
    from_genesis, from_torch = (torch.load(tmp_path / f, weights_only=True) for f in ("g.pt", "t.pt"))
    _same(from_genesis, from_torch)
    theirs, ours = _training(torch, optimizer, scheduler), _training(genesis, optimizer, scheduler)
    for part, state in zip(theirs, from_genesis):
        part.load_state_dict(state)
    for part, state in zip(ours, genesis.load(tmp_path / "t.pt")):
        part.load_state_dict(state)
    np.testing.assert_allclose(_train(genesis, *ours), _train(torch, *theirs), rtol=1e-3, atol=1e-5)


def test_the_state_of_a_scaler() -> None:
    theirs, ours = torch.amp.GradScaler("cpu", init_scale=8.0), genesis.amp.GradScaler(init_scale=8.0)
    _same(read(ours.state_dict()), theirs.state_dict())
    theirs.load_state_dict(read(ours.state_dict()))
    assert theirs.get_scale() == 8.0
