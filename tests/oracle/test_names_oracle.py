"""Names beside the large families against PyTorch: in place at the top level, windows, masks, buffers, hooks, modes."""

import importlib
from typing import Any

import numpy as np
import pytest

import genesis
from genesis.functions.table import OVERWRITING
from tests.oracle.compare import agree, both_raise

torch = pytest.importorskip("torch")

POSITIVE = np.array([[0.3, 0.7, 0.2], [0.9, 0.5, 0.4]], np.float32)
WHOLE = np.array([6, 4, 9])
ARGUMENTS: dict[str, Any] = {
    "clamp_": (0.4, 0.6), "clip_": (0.4, 0.6), "clamp_max_": (0.5,), "clamp_min_": (0.5,), "logit_": (1e-3,),
    "ldexp_": (2,), "xlogy_": (3.0,), "gcd_": (6,), "lcm_": (6,),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(OVERWRITING))
def test_functions_that_overwrite(name: str) -> None:
    def call(t: Any, x: Any) -> Any:
        given = ARGUMENTS.get(name, ())
        if name in ("gcd_", "lcm_", "ldexp_"):
            given = (t.tensor(given[0]),)
        if name == "index_put_":
            given = ((t.tensor([0, 1]), t.tensor([2, 0])), t.tensor([5.0, 6.0]))
        if name == "addmv_":
            y = x[0] * 1
            return y, t.addmv_(y, x[:, :2].repeat(2, 1)[:3], x[0, :2])
        y = x + 1 if "cosh" in name else x * 1
        if name.startswith("a") and name.endswith("h_"):  # PyTorch has no derivative for these
            y = y.detach()
        return y, getattr(t, name)(y, *given)

    agree(call, WHOLE if name in ("gcd_", "lcm_") else POSITIVE)


def test_a_leaf_is_not_overwritten() -> None:
    both_raise(lambda t, x: t.sin_(x), (3,))


@pytest.mark.parametrize("name", ["hann", "hamming", "bartlett", "blackman", "kaiser"])
@pytest.mark.parametrize("length", [0, 1, 2, 7, 8])
@pytest.mark.parametrize("periodic", [True, False])
def test_windows(name: str, length: int, periodic: bool) -> None:
    agree(lambda t: getattr(t, f"{name}_window")(length, periodic, dtype=t.float64))


def test_windows_with_parameters() -> None:
    agree(lambda t: t.hamming_window(9, True, 0.6, 0.4))
    agree(lambda t: t.kaiser_window(9, False, 5.0))
    both_raise(lambda t: t.hann_window(-1))


@pytest.mark.filterwarnings("ignore:Lower right:UserWarning")
@pytest.mark.parametrize("name", ["causal_upper_left", "causal_lower_right"])
@pytest.mark.parametrize("sizes", [(3, 5), (4, 4), (5, 3)])
def test_causal_masks(name: str, sizes: tuple[int, int]) -> None:
    mask = getattr(importlib.import_module("genesis.nn.attention.bias"), name)(*sizes)
    theirs = getattr(importlib.import_module("torch.nn.attention.bias"), name)(*sizes)
    assert mask.tolist() == theirs._materialize().tolist()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("distributions.categorical", "Categorical"),
        ("distributions.log_normal", "LogNormal"),
        ("nn.utils.weight_norm", "WeightNorm"),
        ("nn.utils.spectral_norm", "SpectralNorm"),
        ("amp.grad_scaler", "GradScaler"),
        ("amp.autocast_mode", "autocast"),
    ],
)
def test_paths(module: str, name: str) -> None:
    for library in ("genesis", "torch"):
        assert isinstance(getattr(importlib.import_module(f"{library}.{module}"), name), type)
    assert callable(genesis.nn.utils.weight_norm)


def test_arrays_and_buffers_become_tensors() -> None:
    array = np.arange(3.0)
    agree(lambda t: (t.asarray([1.5, 2]), t.asarray(2), t.asarray(array, dtype=t.float32), t.asarray(array)))
    agree(lambda t: t.frombuffer(bytearray(b"abcdef"), dtype=t.uint8, count=3, offset=2))
    shown, copy = genesis.asarray(array), genesis.asarray(array, copy=True)
    array[0] = 7
    assert (shown[0].item(), copy[0].item()) == (7, 0)
    both_raise(lambda t: t.asarray([1, 2], copy=False))
    memory = bytearray(4)
    genesis.frombuffer(memory, dtype=genesis.int32).fill_(1)
    assert memory == b"\1\0\0\0"


def test_a_buffer_is_registered_by_its_class() -> None:
    def made(t: Any) -> Any:
        class Counter(t.nn.Module):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.seen = t.nn.Buffer(t.zeros(2))
                self.scratch = t.nn.Buffer(t.ones(1), persistent=False)

        module = Counter()
        return [n for n, _ in module.named_buffers()], list(module.state_dict()), isinstance(module.seen, t.Tensor)

    assert made(genesis) == made(torch)


def test_hooks_run_when_a_gradient_has_been_added_up() -> None:
    def run(t: Any) -> list[float]:
        w, seen = t.tensor([2.0], requires_grad=True), []
        handle = w.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.item()))
        for _ in range(2):
            (w * w + 3 * w).sum().backward()
        handle.remove()
        (w * w).sum().backward()
        return [*seen, w.grad.item()]

    assert run(genesis) == run(torch) == [7.0, 14.0, 18.0]
    both_raise(lambda t, x: x.detach().register_post_accumulate_grad_hook(print), (2,))
    both_raise(lambda t, x: (x * 2).register_post_accumulate_grad_hook(print), (2,))


@pytest.mark.parametrize("compiled", [False, True])
def test_an_optimizer_in_the_backward_pass(compiled: bool) -> None:
    def run(t: Any, wrap: Any) -> list[float]:
        w = t.nn.Parameter(t.tensor([2.0, -1.0]))
        optimizer = t.optim.SGD([w], lr=0.1, momentum=0.9)

        def update(p: Any) -> None:
            optimizer.step()
            optimizer.zero_grad()

        def step(x: Any) -> Any:
            loss = (w * x).square().sum()
            loss.backward()
            return loss

        w.register_post_accumulate_grad_hook(update)
        step = wrap(step)
        return [step(t.tensor([1.0, 2.0])).item() for _ in range(4)]

    ours = run(genesis, lambda f: genesis.compile(f, backend="interpret") if compiled else f)
    np.testing.assert_allclose(ours, run(torch, lambda f: f), rtol=1e-5)


def test_a_hook_added_later_is_seen_by_a_compiled_step() -> None:
    w = genesis.nn.Parameter(genesis.ones(1))

    @genesis.compile(backend="interpret", keep_grads=True)
    def step() -> genesis.Tensor:
        w.grad = None
        loss = (w * 3).sum()
        loss.backward()
        return loss

    def double(p: genesis.Tensor) -> None:
        with genesis.no_grad():
            p.grad *= 2

    step()
    assert w.grad is not None and w.grad.item() == 3
    w.register_post_accumulate_grad_hook(double)
    step()
    assert w.grad.item() == 6


@pytest.mark.parametrize("inside", [False, True])
def test_the_mode_of_a_custom_function(inside: bool) -> None:
    def run(t: Any) -> Any:
        class Product(t.autograd.Function):  # type: ignore[misc]
            @staticmethod
            @t.amp.custom_fwd(device_type="cpu", cast_inputs=t.float32)
            def forward(ctx: Any, a: Any, b: Any) -> Any:
                ctx.save_for_backward(a, b)
                return a @ b

            @staticmethod
            @t.amp.custom_bwd(device_type="cpu")
            def backward(ctx: Any, g: Any) -> Any:
                a, b = ctx.saved_tensors
                seen.append(t.is_autocast_enabled("cpu"))
                return g @ b.T, a.T @ g

        seen: list[bool] = []
        x = t.ones(2, 2, requires_grad=True)
        with t.autocast("cpu", enabled=inside):
            seen.append(t.is_autocast_enabled("cpu"))
            y = Product.apply(x.to(t.bfloat16) if inside else x, t.ones(2, 2))
            y.sum().backward()
        return str(y.dtype).rpartition(".")[2], seen, str(t.get_autocast_dtype("cpu")).rpartition(".")[2]

    assert run(genesis) == run(torch)


def test_print_options() -> None:
    x = genesis.tensor([1 / 3, 2.0])
    try:
        genesis.set_printoptions(precision=2)
        assert "0.33," in repr(x)
        genesis.set_printoptions(threshold=4, edgeitems=1)
        assert "..." in repr(genesis.zeros(9))
    finally:
        genesis.set_printoptions(profile="default")
    assert "0.3333" in repr(x)
    with pytest.raises(ValueError, match="'default', 'short', 'full'"):
        genesis.set_printoptions(profile="long")


def test_addresses() -> None:
    x = genesis.arange(6.0).reshape(2, 3)
    assert x[1].data_ptr() == x.data_ptr() + 12 and x.is_cpu and x.share_memory_() is x
    before = x.data_ptr()
    x.add_(1)
    assert x.data_ptr() == before
