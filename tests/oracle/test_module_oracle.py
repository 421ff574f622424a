"""The module protocol against PyTorch's: hooks on gradients, state dicts and registrations."""

from typing import Any

import numpy as np
import pytest

import genesis
from genesis import nn
from tests.oracle.compare import same

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")
LIBRARIES = (genesis, torch)


def array(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def layer(lib: Any) -> Any:
    made = lib.nn.Bilinear(3, 2, 4)
    made.load_state_dict({"weight": lib.tensor(array(4, 3, 2)), "bias": lib.tensor(array(4))})
    return made


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("leaf", [True, False])
def test_hooks_on_gradients(replace: bool, leaf: bool) -> None:
    results = []
    for lib in LIBRARIES:
        seen: list[Any] = []
        made = layer(lib)

        def before(m: Any, grads: Any, seen: Any = seen) -> Any:
            seen.extend(grads)
            return (grads[0] * 2,) if replace else None

        def after(m: Any, inputs: Any, outputs: Any, seen: Any = seen) -> Any:
            seen.extend([*inputs, *outputs])
            return (inputs[0] * 3, inputs[1]) if replace and leaf else None

        made.register_full_backward_pre_hook(before)
        made.register_full_backward_hook(after)
        x, y = lib.tensor(array(5, 3), requires_grad=leaf), lib.tensor(array(5, 2))
        (made(x, y) ** 2).sum().backward()
        results.append([*seen, x.grad, made.weight.grad])
    for got, want in zip(*results, strict=True):
        if want is None:
            assert got is None
        else:
            same(got, want, 1e-4, 1e-5)


class Renamed:
    """A tree whose parts have hooks and state of their own."""

    def __init__(self, lib: Any, calls: list[str]) -> None:
        class Inner(lib.nn.Linear):
            def get_extra_state(self) -> Any:
                return {"seen": 3}

            def set_extra_state(self, state: Any) -> None:
                calls.append(f"extra {state}")

            def _load_from_state_dict(self, state: Any, prefix: str, *rest: Any) -> None:
                if f"{prefix}old" in state:
                    state[f"{prefix}bias"] = state.pop(f"{prefix}old")
                super()._load_from_state_dict(state, prefix, *rest)

        self.model = lib.nn.Sequential(Inner(2, 2), lib.nn.BatchNorm1d(2))
        self.model.register_state_dict_pre_hook(lambda m, prefix, keep: calls.append(f"saving {prefix}{keep}"))
        self.model[0].register_state_dict_post_hook(lambda m, state, prefix, local: calls.append(f"saved {prefix}"))
        self.model[1].register_load_state_dict_pre_hook(
            lambda m, state, prefix, local, strict, missing, unexpected, errors: calls.append(f"loading {prefix}")
        )
        self.model.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.sort())


CHANGES: dict[str, Any] = {
    "nothing": lambda state: None,
    "a name of before": lambda state: state.update({"0.old": state.pop("0.bias")}),
    "names that lack": lambda state: [state.pop(key) for key in ("1.weight", "0.weight", "0._extra_state")],
    "names too many": lambda state: state.update({"2.more": 1, "0.weight.more": 2, "other": 3, "1._extra_state": 4}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_state_dicts_go_through_hooks(change: str) -> None:
    results = []
    for lib in LIBRARIES:
        calls: list[str] = []
        model = Renamed(lib, calls).model
        state = model.state_dict()
        names = list(state)
        CHANGES[change](state)
        keys = model.load_state_dict(state, strict=False)
        try:
            model.load_state_dict(state)
            text = "fits"
        except RuntimeError as error:
            text = str(error)
        results.append((names, list(keys.missing_keys), list(keys.unexpected_keys), calls, text))
    assert results[0] == results[1]


def test_hooks_on_registration() -> None:
    results = []
    for lib, module in zip(LIBRARIES, (nn.hooks, torch.nn.modules.module), strict=True):
        seen: list[Any] = []
        handles = [
            module.register_module_parameter_registration_hook(lambda m, name, x, s=seen: s.append(f"p {name}")),
            module.register_module_buffer_registration_hook(lambda m, name, x, s=seen: s.append(f"b {name}")),
            module.register_module_module_registration_hook(lambda m, name, x, s=seen: s.append(f"m {name}")),
        ]
        made = lib.nn.Sequential(lib.nn.Linear(2, 2))
        made.register_buffer("extra", lib.zeros(1))
        for handle in handles:
            handle.remove()
        lib.nn.Linear(2, 2)
        results.append(seen)
    assert results[0] == results[1]


def test_submodules_are_put_in_their_place() -> None:
    for lib in LIBRARIES:
        model = lib.nn.Sequential(lib.nn.Sequential(lib.nn.ReLU()))
        model.set_submodule("0.0", lib.nn.Tanh())
        assert type(model[0][0]).__name__ == "Tanh"
        with pytest.raises(AttributeError):
            model.set_submodule("0.other.0", lib.nn.Tanh())
        with pytest.raises(ValueError):
            model.set_submodule("", lib.nn.Tanh())
