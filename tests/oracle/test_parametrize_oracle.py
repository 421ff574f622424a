"""Parametrizations, weight and spectral norm against PyTorch's: keys, values, gradients, removal, errors."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import same

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.nn.utils.weight_norm.*is deprecated")
LIBRARIES = (genesis, torch)


def pair(make: Any, wrap: Any) -> list[Any]:
    """The same module in both libraries under ``wrap``, with the state of PyTorch's."""
    torch.manual_seed(0)
    theirs = make(torch.nn)
    mine = make(nn)
    mine.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    mine, theirs = wrap(nn.utils, mine), wrap(torch.nn.utils, theirs)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    mine.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    return [mine, theirs]


def compare(mine: Any, theirs: Any, shape: tuple[int, ...], steps: int = 3) -> None:
    """Outputs, gradients and buffers over some calls in training, one in evaluation."""
    rng = np.random.default_rng(1)
    for i in range(steps):
        x = rng.standard_normal(shape).astype(np.float32)
        results = []
        for model, lib in zip((mine, theirs), LIBRARIES, strict=True):
            model.train(i < steps - 1)
            model.zero_grad()
            out = model(lib.tensor(x))
            (out * out).sum().backward()
            results.append([out, *(p.grad for p in model.parameters()), *model.buffers()])
        for got, want in zip(*results, strict=True):
            same(got, want, 1e-4, 1e-5)


MAKERS: dict[str, Any] = {
    "linear": (lambda n: n.Linear(3, 4), (5, 3)),
    "convolution": (lambda n: n.Conv2d(2, 3, 2), (1, 2, 3, 3)),
    "transposed": (lambda n: n.ConvTranspose2d(2, 3, 2), (1, 2, 3, 3)),
}
NORMS: dict[str, Any] = {
    "weight norm": lambda u, m: u.parametrizations.weight_norm(m),
    "weight norm of all": lambda u, m: u.parametrizations.weight_norm(m, dim=None),
    "spectral norm": lambda u, m: u.parametrizations.spectral_norm(m, n_power_iterations=2),
    "old weight norm": lambda u, m: u.weight_norm(m, dim=1),
    "old spectral norm": lambda u, m: u.spectral_norm(m),
    "both": lambda u, m: u.parametrizations.weight_norm(u.parametrizations.spectral_norm(m), "bias"),
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", MAKERS)
def test_norms(kind: str, norm: str) -> None:
    make, shape = MAKERS[kind]
    mine, theirs = pair(make, NORMS[norm])
    assert repr(mine) == repr(theirs)
    compare(mine, theirs, shape)
    compare(deepcopy(mine), theirs, shape, 1)
    for utils, model in ((nn.utils, mine), (torch.nn.utils, theirs)):
        if norm.startswith("old"):
            getattr(utils, "remove_" + norm[4:].replace(" ", "_"))(model)
        else:
            utils.parametrize.remove_parametrizations(model, "weight")
    assert repr(mine) == repr(theirs) and list(mine.state_dict()) == list(theirs.state_dict())
    compare(mine, theirs, shape)


def scaled(lib: Any, factor: float) -> Any:
    class Scaled(lib.nn.Module):
        def forward(self, x: Any) -> Any:
            return x * factor

        def right_inverse(self, x: Any) -> Any:
            return x / factor

    return Scaled()


def split(lib: Any) -> Any:
    class Sum(lib.nn.Module):
        def forward(self, a: Any, b: Any) -> Any:
            return a + b

        def right_inverse(self, x: Any) -> Any:
            return x * 0.25, x * 0.75

    return Sum()


@pytest.mark.parametrize("leave", [True, False])
def test_own_parametrizations(leave: bool) -> None:
    models = []
    for lib in LIBRARIES:
        model = lib.nn.Linear(2, 2)
        model.load_state_dict({"weight": lib.tensor([[1.0, 2.0], [3.0, 4.0]]), "bias": lib.zeros(2)})
        p = lib.nn.utils.parametrize
        before = model.weight
        p.register_parametrization(model, "weight", scaled(lib, 2.0))
        assert model.parametrizations.weight.original is before
        p.register_parametrization(model, "weight", scaled(lib, 5.0))
        p.register_parametrization(model, "bias", split(lib))
        with p.cached():
            assert model.weight is model.weight
        assert p.is_parametrized(model) and p.is_parametrized(model, "weight") and not p.is_parametrized(model, "x")
        assert p.type_before_parametrizations(model) is lib.nn.Linear and isinstance(model, lib.nn.Linear)
        models.append(model)
    compare(*models, (3, 2))
    for lib, model in zip(LIBRARIES, models, strict=True):
        with lib.no_grad():
            model.weight = lib.tensor([[10.0, 20.0], [30.0, 40.0]])
        lib.nn.utils.parametrize.remove_parametrizations(model, "weight", leave_parametrized=leave)
        with pytest.raises(ValueError):
            lib.nn.utils.parametrize.remove_parametrizations(model, "bias", leave_parametrized=False)
        lib.nn.utils.parametrize.remove_parametrizations(model, "bias")
    compare(*models, (3, 2))
    assert type(models[0]) is nn.Linear


@pytest.mark.parametrize("trivial", [True, False])
@pytest.mark.parametrize("kind", ["matrix_exp", "householder", "cayley"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
def test_orthogonal(shape: tuple[int, int], kind: str, trivial: bool) -> None:
    def wrap(utils: Any, layer: Any) -> Any:
        return utils.parametrizations.orthogonal(layer, orthogonal_map=kind, use_trivialization=trivial)

    mine, theirs = pair(lambda n: n.Linear(*shape), wrap)
    shift = np.random.default_rng(3).standard_normal(shape[::-1]).astype(np.float32) * 0.3
    if kind == "householder":
        shift = np.tril(shift, -1) if shape[1] >= shape[0] else np.triu(shift, 1)
    with genesis.no_grad(), torch.no_grad():
        mine.parametrizations.weight.original += genesis.tensor(shift)
        theirs.parametrizations.weight.original += torch.tensor(shift)
    compare(mine, theirs, (2, shape[0]))
    weight = mine.weight.detach().numpy()
    product = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-5)


ERRORS: dict[str, Any] = {
    "no such name": lambda u, m: u.parametrize.register_parametrization(m, "none", m),
    "another shape": lambda u, m: u.parametrize.register_parametrization(m, "weight", m),
    "not parametrized": lambda u, m: u.parametrize.remove_parametrizations(m, "weight"),
    "no iterations": lambda u, m: u.parametrizations.spectral_norm(m, n_power_iterations=0),
    "a dimension": lambda u, m: u.parametrizations.spectral_norm(m, dim=2),
    "old, twice": lambda u, m: u.spectral_norm(u.spectral_norm(m)),
    "old, none": lambda u, m: u.remove_weight_norm(m),
    "a vector": lambda u, m: u.parametrizations.orthogonal(m, "bias"),
    "a map": lambda u, m: u.parametrizations.orthogonal(m, orthogonal_map="other"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    with pytest.raises((ValueError, RuntimeError, IndexError, KeyError)) as want:
        ERRORS[name](torch.nn.utils, torch.nn.Linear(3, 4))
    with pytest.raises(want.type):
        ERRORS[name](nn.utils, nn.Linear(3, 4))


def test_fused_layers() -> None:
    for make, shape, fuse in (
        (lambda n: (n.Conv2d(2, 3, 2), n.BatchNorm2d(3)), (2, 2, 4, 4), "fuse_conv_bn_eval"),
        (lambda n: (n.Linear(4, 3, bias=False), n.BatchNorm1d(3)), (2, 4), "fuse_linear_bn_eval"),
    ):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        layer, norm = make(nn)
        norm(layer(genesis.tensor(x)))
        layer.eval(), norm.eval()
        fused = getattr(nn.utils, fuse)(layer, norm)
        np.testing.assert_allclose(
            fused(genesis.tensor(x)).detach().numpy(), norm(layer(genesis.tensor(x))).detach().numpy(), 1e-4, 1e-5
        )
        with pytest.raises(AssertionError):
            getattr(nn.utils, fuse)(layer, norm.train())
