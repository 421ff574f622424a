"""Layers that learn the size of their input, and bags of embeddings, against PyTorch."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn, optim
from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

LAZY: dict[str, tuple[Any, tuple[int, ...]]] = {
    "LazyLinear": (lambda n: n.LazyLinear(3), (2, 4, 5)),
    "LazyLinear without bias": (lambda n: n.LazyLinear(3, bias=False), (2, 5)),
    "LazyConv1d": (lambda n: n.LazyConv1d(4, 3), (2, 3, 7)),
    "LazyConv2d": (lambda n: n.LazyConv2d(4, (2, 3), padding=1, groups=2), (2, 6, 5, 7)),
    "LazyConv3d": (lambda n: n.LazyConv3d(2, 2), (3, 4, 4, 4)),
    "LazyConvTranspose1d": (lambda n: n.LazyConvTranspose1d(4, 3, 2), (2, 3, 7)),
    "LazyConvTranspose2d": (lambda n: n.LazyConvTranspose2d(4, 3, groups=2), (2, 6, 5, 7)),
    "LazyConvTranspose3d": (lambda n: n.LazyConvTranspose3d(2, 2, bias=False), (1, 3, 4, 4, 4)),
    "LazyBatchNorm1d": (lambda n: n.LazyBatchNorm1d(), (6, 4)),
    "LazyBatchNorm2d": (lambda n: n.LazyBatchNorm2d(momentum=0.3), (3, 4, 5, 5)),
    "LazyBatchNorm3d": (lambda n: n.LazyBatchNorm3d(affine=False), (3, 4, 2, 3, 2)),
    "LazyInstanceNorm1d": (lambda n: n.LazyInstanceNorm1d(), (3, 4, 6)),
    "LazyInstanceNorm2d": (lambda n: n.LazyInstanceNorm2d(track_running_stats=False), (3, 4, 5, 6)),
    "LazyInstanceNorm3d": (lambda n: n.LazyInstanceNorm3d(), (3, 4, 2, 3, 2)),
}


@pytest.mark.filterwarnings("ignore:.*Lazy modules are a new feature")
@pytest.mark.parametrize("name", LAZY)
def test_a_lazy_layer(name: str) -> None:
    make, shape = LAZY[name]
    mine, other = make(nn), make(torch.nn)
    assert repr(mine) == repr(other)
    assert list(mine.state_dict()) == list(other.state_dict())
    kept = list(mine.parameters())
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    mine(genesis.tensor(x)), other(torch.tensor(x))
    assert repr(mine) == repr(other)
    assert type(mine).__name__ == name.split()[0].removeprefix("Lazy")
    assert all(a is b for a, b in zip(kept, mine.parameters(), strict=True))
    mine.load_state_dict({k: v.numpy() for k, v in other.state_dict().items()})
    agree(lambda t, x: (mine if t is genesis else other)(x), x, rtol=2e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*Lazy modules are a new feature")
@pytest.mark.parametrize("name", LAZY)
def test_a_state_dict_says_the_size_too(name: str) -> None:
    make, shape = LAZY[name]
    known, fresh = make(nn), make(nn)
    x = genesis.randn(*shape)
    known(x)
    if "weight" not in known.state_dict():
        pytest.skip("nothing says the size")
    fresh.load_state_dict(known.state_dict())
    assert type(fresh) is type(known) and repr(fresh) == repr(known)
    np.testing.assert_array_equal(fresh.eval()(x).detach().numpy(), known.eval()(x).detach().numpy())


def test_a_lazy_model_trains_in_a_compiled_step() -> None:
    genesis.manual_seed(0)
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    x = genesis.randn(4, 3, 6, 6)
    with pytest.raises(NotImplementedError, match="call the module once"):
        genesis.compile(model)(x)
    model(x)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @genesis.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    losses = [step(x).item() for _ in range(5)]
    assert losses[-1] < losses[0]


IDS = np.array([[1, 2, 0], [4, 4, 3]])
LINE, STARTS = np.array([1, 2, 0, 4, 4, 3, 2]), np.array([0, 3, 3, 5])
WEIGHTS = np.random.default_rng(4).random((2, 3)).astype(np.float32)

BAGS: dict[str, tuple[Any, ...]] = {
    f"{kind} {mode}": (
        lambda t, w, i, s, m=mode, k=kind: t.nn.functional.embedding_bag(i, w, s if k != "rows" else None, mode=m),
        (5, 3),
        IDS if kind == "rows" else LINE,
        STARTS,
    )
    for kind in ("rows", "offsets")
    for mode in ("sum", "mean", "max")
} | {
    "padding": (lambda t, w, i: t.nn.functional.embedding_bag(i, w, padding_idx=4), (5, 3), IDS),
    "padding max": (lambda t, w, i: t.nn.functional.embedding_bag(i, w, mode="max", padding_idx=-1), (5, 3), IDS),
    "last offset": (
        lambda t, w, i, s: t.nn.functional.embedding_bag(i, w, s, include_last_offset=True, mode="sum"),
        (5, 3),
        LINE,
        np.array([0, 2, 2, 7]),
    ),
    "weights": (
        lambda t, w, i, p: t.nn.functional.embedding_bag(i, w, mode="sum", per_sample_weights=p), (5, 3), IDS, WEIGHTS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAGS)
def test_a_bag(name: str) -> None:
    call, *shapes = BAGS[name]
    agree(call, *shapes)


def test_the_module_of_bags() -> None:
    mine, other = nn.EmbeddingBag(5, 3, padding_idx=1), torch.nn.EmbeddingBag(5, 3, padding_idx=1)
    assert repr(mine) == repr(other) and list(mine.state_dict()) == list(other.state_dict())
    mine.load_state_dict({k: v.numpy() for k, v in other.state_dict().items()})
    np.testing.assert_allclose(
        mine(genesis.tensor(IDS)).detach().numpy(), other(torch.tensor(IDS)).detach().numpy(), 1e-6
    )
    frozen = nn.EmbeddingBag.from_pretrained(genesis.ones(4, 2), mode="sum")
    assert frozen(genesis.tensor([[1, 2, 3]])).tolist() == [[3.0, 3.0]] and not frozen.weight.requires_grad


ERRORS: dict[str, tuple[Any, ...]] = {
    "mode": (lambda t, w, i: t.nn.functional.embedding_bag(i, w, mode="some"), (5, 3), IDS),
    "rows with offsets": (lambda t, w, i, s: t.nn.functional.embedding_bag(i, w, s), (5, 3), IDS, STARTS),
    "line without offsets": (lambda t, w, i: t.nn.functional.embedding_bag(i, w), (5, 3), LINE),
    "weights of means": (
        lambda t, w, i, p: t.nn.functional.embedding_bag(i, w, per_sample_weights=p), (5, 3), IDS, WEIGHTS,
    ),
    "shape of weights": (
        lambda t, w, i, p: t.nn.functional.embedding_bag(i, w, mode="sum", per_sample_weights=p[0]),
        (5, 3),
        IDS,
        WEIGHTS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_it_raises_as_torch_does(name: str) -> None:
    call, *shapes = ERRORS[name]
    both_raise(call, *shapes)
