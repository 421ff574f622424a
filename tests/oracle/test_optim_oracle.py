"""The optimizers against PyTorch's, step by step, and state dicts that go back and forth."""

from typing import Any

import numpy as np
import pytest

import genesis

torch = pytest.importorskip("torch")

SHAPES = [(3, 4), (5,), (1,), ()]
STEPS = 20

OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.01, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "maximize": True}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.3, "amsgrad": True}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.8, "eps": 1e-4, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.9, "centered": True, "eps": 1e-2}),
    ("RMSprop", {"lr": 0.01, "centered": True, "eps": 1e-2}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {"lr": 0.01}),
    ("Adamax", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1, "maximize": True}),
    ("RAdam", {"lr": 0.01}),
    ("RAdam", {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.1, "maximize": True}),
    ("RAdam", {"lr": 0.01, "weight_decay": 0.3, "decoupled_weight_decay": True}),
    ("Rprop", {"lr": 0.01}),
    ("NAdam", {"lr": 0.01}),
    ("NAdam", {"betas": (0.8, 0.95), "weight_decay": 0.1, "momentum_decay": 0.1, "maximize": True}),
    ("NAdam", {"weight_decay": 0.3, "decoupled_weight_decay": True}),
    ("ASGD", {"lr": 0.1}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "t0": 3, "weight_decay": 0.1, "maximize": True}),
    ("Adafactor", {}),
    ("Adafactor", {"lr": 0.5, "eps": (1e-3, 1e-2), "d": 1.5, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {"lr": 0.01, "etas": (0.6, 1.5), "step_sizes": (1e-3, 0.05), "maximize": True}),
]
each_optimizer = pytest.mark.parametrize(("name", "options"), OPTIMIZERS)


class Pair:
    """The same parameters in both libraries, under the same optimizer, fed the same gradients."""

    def __init__(self, name: str, options: dict[str, Any], groups: bool = False, dtype: Any = np.float32) -> None:
        self.rng, self.dtype = np.random.default_rng(0), dtype
        arrays = [np.asarray(self.rng.standard_normal(shape), dtype) for shape in SHAPES]
        self.ours = [genesis.tensor(a, requires_grad=True) for a in arrays]
        self.theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
        self.our, self.their = (
            getattr(library.optim, name)(
                [{"params": params[:2]}, {"params": params[2:], "lr": 0.05, "weight_decay": 0.2}] if groups else params,
                **options,
            )
            for library, params in ((genesis, self.ours), (torch, self.theirs))
        )

    def step(self, missing: tuple[int, ...] = ()) -> None:
        for i, (a, b) in enumerate(zip(self.ours, self.theirs)):
            grad = np.asarray(self.rng.standard_normal(a.shape), self.dtype)
            a.grad = None if i in missing else genesis.tensor(grad)
            b.grad = None if i in missing else torch.tensor(grad)
        self.our.step()
        self.their.step()

    def compare(self, rtol: float = 2e-5, atol: float = 2e-6) -> None:
        for a, b in zip(self.ours, self.theirs):
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=atol)


@pytest.mark.parametrize("groups", [False, True])
@each_optimizer
def test_parameters_agree_after_every_step(name: str, options: dict[str, Any], groups: bool) -> None:
    pair = Pair(name, options, groups)
    for _ in range(STEPS):
        pair.step()
        pair.compare()


@each_optimizer
def test_fifty_steps_in_f64_follow_the_same_path(name: str, options: dict[str, Any]) -> None:
    pair = Pair(name, options, dtype=np.float64)
    for _ in range(50):
        pair.step()
    pair.compare(rtol=1e-6, atol=1e-12)


@each_optimizer
def test_parameters_agree_when_gradients_come_and_go(name: str, options: dict[str, Any]) -> None:
    pair = Pair(name, options)
    for missing in [(1, 3), (), (0,), (0, 1, 2), (), (3,)]:
        pair.step(missing)
        pair.compare()


@each_optimizer
def test_hyper_parameters_changed_on_the_way(name: str, options: dict[str, Any]) -> None:
    pair = Pair(name, options)
    for i in range(6):
        for optimizer in (pair.our, pair.their):
            optimizer.param_groups[0]["lr"] = 0.1 / (i + 1)
            optimizer.param_groups[0]["weight_decay"] = 0.01 * i
        pair.step()
        pair.compare()


@each_optimizer
def test_state_dicts_have_the_same_layout(name: str, options: dict[str, Any]) -> None:
    pair = Pair(name, options, groups=True)
    for _ in range(2):
        ours, theirs = pair.our.state_dict(), pair.their.state_dict()
        assert ours["param_groups"] == theirs["param_groups"]
        assert ours["state"].keys() == theirs["state"].keys()
        for i, state in theirs["state"].items():
            extra = {"step"} if options.get("dampening") else set()
            assert ours["state"][i].keys() - extra == state.keys()
            for key, value in state.items():
                np.testing.assert_allclose(ours["state"][i][key].numpy(), value.numpy(), rtol=1e-5, atol=1e-7)
        pair.step()


@each_optimizer
def test_a_state_dict_of_pytorch_is_taken_over(name: str, options: dict[str, Any]) -> None:
    pair, fresh = Pair(name, options, groups=True), Pair(name, {"lr": 1.0}, groups=True)
    pair.step()
    pair.step()
    fresh.our.load_state_dict(pair.their.state_dict())
    fresh.their.load_state_dict(pair.their.state_dict())
    for _ in range(3):
        fresh.step()
        fresh.compare()


@each_optimizer
def test_a_state_dict_goes_to_pytorch(name: str, options: dict[str, Any]) -> None:
    pair, fresh = Pair(name, options, groups=True), Pair(name, {"lr": 1.0}, groups=True)
    pair.step()
    pair.step()
    saved = pair.our.state_dict()
    state = {i: {k: torch.tensor(v.numpy()) for k, v in s.items()} for i, s in saved["state"].items()}
    fresh.our.load_state_dict(saved)
    fresh.their.load_state_dict({**saved, "state": state})
    for _ in range(3):
        fresh.step()
        fresh.compare()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": -1.0}),
        ("SGD", {"momentum": -1.0}),
        ("SGD", {"nesterov": True}),
        ("SGD", {"foreach": True, "fused": True}),
        ("Adam", {"lr": -1.0}),
        ("Adam", {"eps": -1.0}),
        ("Adam", {"betas": (1.0, 0.9)}),
        ("Adam", {"betas": (0.9, 1.0)}),
        ("AdamW", {"weight_decay": -0.5}),
        ("RMSprop", {"alpha": -0.5}),
        ("RMSprop", {"momentum": -0.5}),
        ("RMSprop", {"eps": -0.5}),
        ("Adagrad", {"lr_decay": -0.5}),
        ("Adagrad", {"initial_accumulator_value": -0.5}),
        ("Adagrad", {"eps": -0.5}),
        ("Adagrad", {"foreach": True, "fused": True}),
        ("Adadelta", {"rho": 1.5}),
        ("Adadelta", {"weight_decay": -1.0}),
        ("Adamax", {"betas": (0.9, 1.0)}),
        ("RAdam", {"betas": (-0.1, 0.9)}),
        ("Rprop", {"etas": (1.5, 2.0)}),
        ("NAdam", {"momentum_decay": -1.0}),
        ("ASGD", {"weight_decay": -1.0}),
        ("Adafactor", {"beta2_decay": 0.5}),
        ("Adafactor", {"d": 0.5}),
        ("Adafactor", {"eps": (None, -1.0)}),
        ("Muon", {"momentum": -0.5}),
        ("Muon", {"adjust_lr_fn": "other"}),
        ("LBFGS", {"lr": -1.0}),
        ("Rprop", {"lr": -1.0}),
    ],
)
def test_bad_options_raise_the_same_error(name: str, options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, RuntimeError)) as theirs:
        getattr(torch.optim, name)([torch.zeros(1)], **options)
    with pytest.raises(theirs.type) as ours:
        getattr(genesis.optim, name)([genesis.zeros(1)], **options)
    text, _, line = str(ours.value).partition("\n  at ")
    assert text == str(theirs.value) and line.startswith("test_optim_oracle.py:")


def test_state_dicts_that_do_not_fit_raise_the_same_error() -> None:
    for groups in ([3], [1, 1], [1]):
        messages = []
        for library in (genesis, torch):
            optimizer = library.optim.Adam([{"params": [library.zeros(1)]}, {"params": [library.zeros(1)] * 1}])
            other = library.optim.Adam([{"params": [library.zeros(1) for _ in range(n)]} for n in groups])
            try:
                optimizer.load_state_dict(other.state_dict())
            except ValueError as error:
                messages.append(str(error).partition("\n  at ")[0])
            else:
                messages.append("fits")
        assert messages[0] == messages[1]


def test_repr_is_the_same() -> None:
    for name, options in OPTIMIZERS:
        pair = Pair(name, options, groups=True)
        assert repr(pair.our) == repr(pair.their)


def matrices(library: Any, dtype: Any = np.float32) -> list[Any]:
    rng = np.random.default_rng(1)
    return [library.tensor(rng.standard_normal(s).astype(dtype), requires_grad=True) for s in ((4, 6), (7, 3))]


MUON = [{"lr": 0.1}, {"lr": 0.1, "nesterov": False, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 3}]


@pytest.mark.parametrize("options", MUON)
def test_muon(options: dict[str, Any]) -> None:
    """To the resolution of bf16, in which both libraries iterate."""
    results = []
    for library in (genesis, torch):
        rng, params = np.random.default_rng(2), matrices(library)
        optimizer = library.optim.Muon(params, **options)
        for _ in range(5):
            for p in params:
                p.grad = library.tensor(rng.standard_normal(tuple(p.shape)).astype(np.float32))
            optimizer.step()
        results.append((params, optimizer.state_dict()))
    (ours, mine), (theirs, other) = results
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(
            a.detach().numpy(), b.detach().numpy(), rtol=2e-2, atol=2e-2 * options.get("lr", 1e-3)
        )
    assert mine["param_groups"] == other["param_groups"]
    for i, state in other["state"].items():
        np.testing.assert_allclose(mine["state"][i]["momentum_buffer"].numpy(), state["momentum_buffer"].numpy(), 1e-4)


LBFGS = [{"lr": 0.1}, {"line_search_fn": "strong_wolfe"}, {"history_size": 2, "max_iter": 5, "lr": 0.05}]


@pytest.mark.parametrize("options", LBFGS)
def test_lbfgs_takes_the_same_path(options: dict[str, Any]) -> None:
    """On a function with a curved valley; the state goes to a new optimizer, and to PyTorch's."""
    results = []
    for library in (genesis, torch):
        params = matrices(library, np.float64)
        optimizer = library.optim.LBFGS(params, **options)

        def closure(params: Any = params, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            x, y = params[0][:3, :3], params[1][:3]
            loss = ((1 - x) ** 2).sum() + 3 * ((y - x * x) ** 2).sum()
            loss.backward()
            return loss

        losses = [float(optimizer.step(closure).detach()) for _ in range(3)]
        other = library.optim.LBFGS(params, **options)
        other.load_state_dict(optimizer.state_dict())
        losses.append(float(other.step(closure).detach()))
        results.append((losses, params, other.state_dict()))
    (mine, ours, state), (want, theirs, other) = results
    np.testing.assert_allclose(mine, want, rtol=1e-6)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-6)
    assert state["state"][0]["func_evals"] == other["state"][0]["func_evals"]
    assert other["state"][0].keys() - state["state"][0].keys() <= {"al"}


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_gradients_that_are_no_numbers(name: str, options: dict[str, Any]) -> None:
    found = []
    for lib in (genesis, torch):
        p = lib.nn.Parameter(lib.tensor([1.0, 2.0, 3.0, 4.0, -5.0]))
        optimizer = getattr(lib.optim, name)([p], **options)
        for gradient in ([1.0, 1.0, 1.0, 0.0, -1.0], [np.inf, np.nan, -np.inf, np.nan, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0]):
            p.grad = lib.tensor(gradient)
            optimizer.step()
        found.append(p.detach().numpy())
    np.testing.assert_allclose(*found, rtol=1e-5)


UNDECAYED = [(n, o) for n, o in OPTIMIZERS if not o.get("weight_decay") and n != "Adafactor"]  # its rate would be inf


@pytest.mark.parametrize(("name", "options"), UNDECAYED)
@pytest.mark.parametrize("compiled", [False, True])
def test_no_decay_of_infinite_parameters(name: str, options: dict[str, Any], compiled: bool) -> None:
    """Without weight decay nothing of the parameter goes into the direction, not even 0 times infinity."""
    found = []
    for lib in (genesis, torch):
        p = lib.nn.Parameter(lib.tensor([np.inf, 1.0, -np.inf, 3e38]))
        more = {"weight_decay": 0.0} if name == "AdamW" else {}
        optimizer = getattr(lib.optim, name)([p], **options, **more)

        def step(p: Any = p, optimizer: Any = optimizer) -> None:
            optimizer.zero_grad()
            (p * 0.5).sum().backward()
            optimizer.step()

        run = genesis.compile(step) if compiled and lib is genesis else step
        for _ in range(2):
            run()
        found.append(p.detach().numpy())
    np.testing.assert_allclose(*found, rtol=1e-5)
