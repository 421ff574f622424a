"""Names that no other test here calls, a line each: aliases, the protocol of modules, datasets, modes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import genesis
import genesis.utils.data
from tests.oracle.compare import agree

torch = pytest.importorskip("torch")

UNARY = "arccos arcsin arctan arcsinh arctanh fix"
BINARY = "greater greater_equal less less_equal not_equal subtract"


@pytest.mark.parametrize("name", UNARY.split())
def test_functions_of_one_tensor(name: str) -> None:
    agree(lambda t, x: getattr(t, name)(x), np.random.default_rng(0).uniform(0.1, 0.9, (4, 2)))


@pytest.mark.parametrize("name", BINARY.split())
def test_functions_of_two_tensors(name: str) -> None:
    agree(lambda t, x, y: (getattr(t, name)(x, y), getattr(x, name)(y)), (3, 4), (4,))


def test_functions_with_a_domain_of_their_own() -> None:
    agree(lambda t, x: (t.arccosh(x + 1.5), x.clip(0.2, 0.6)), np.random.default_rng(0).uniform(0.1, 0.9, 5))
    agree(lambda t, x: t.native_channel_shuffle(x, 2), (1, 4, 2), grad=False)


def net(t: Any) -> Any:
    return t.nn.Sequential(t.nn.Linear(3, 2), t.nn.BatchNorm1d(2), t.nn.Sequential(t.nn.ReLU()))


def kinds(modules: Any) -> list[str]:
    return [type(m).__name__ for m in modules]


def registered(t: Any) -> Any:
    m = t.nn.Module()
    m.add_module("a", t.nn.ReLU())
    m.register_module("b", None)
    m.register_parameter("w", t.nn.Parameter(t.ones(2)))
    return [n for n, _ in m.named_children()], [n for n, _ in m.named_parameters()], m.b is None


def hooked(t: Any) -> Any:
    m, seen = t.nn.ReLU(), []
    m.register_forward_pre_hook(lambda module, args: seen.append("before"))
    m.register_forward_hook(lambda module, args, result: seen.append(result.item()))
    m(t.ones(1))
    return seen


def extra_state(t: Any) -> Any:
    class Counting(t.nn.Module):  # type: ignore[misc]
        count = 3

        def get_extra_state(self) -> Any:
            return {"count": self.count}

        def set_extra_state(self, state: Any) -> None:
            self.count = state["count"]

    source, other = Counting(), Counting()
    source.count = 5
    other.load_state_dict(source.state_dict())
    return other.count, list(source.state_dict())


def containers(t: Any) -> Any:
    layers = t.nn.ModuleDict({"a": t.nn.ReLU(), "b": t.nn.Tanh()})
    weights = t.nn.ParameterDict({"w": t.nn.Parameter(t.ones(2))})
    rows = t.nn.ParameterList([t.nn.Parameter(t.zeros(n)) for n in (1, 2)])
    rows.append(t.nn.Parameter(t.ones(1)))
    named = [[n for n, _ in x.named_parameters()] for x in (weights, rows)]
    return list(layers), layers.pop("a") is not None, len(layers), named, "w" in weights, len(rows)


def generator_state(t: Any) -> Any:
    t.manual_seed(3)
    state = t.get_rng_state()
    first = t.rand(4).tolist()
    t.set_rng_state(state)
    again = t.rand(4).tolist()
    t.random.set_rng_state(state)
    return first == again == t.rand(4).tolist(), t.random.get_rng_state() is not None


def anomaly(t: Any) -> Any:
    enabled = (t.autograd if t is genesis else t).is_anomaly_enabled
    found = [enabled()]
    with t.autograd.set_detect_anomaly(True):
        found.append(enabled())
    return [*found, enabled()]


def switches(t: Any) -> Any:
    t.set_warn_always(True)
    on = t.is_warn_always_enabled()
    t.set_warn_always(False)
    with t.no_grad():
        inside = t.is_grad_enabled()
    return on, t.is_warn_always_enabled(), inside, t.is_grad_enabled(), t.amp.is_autocast_available("cpu")


def datasets(t: Any) -> Any:
    data = t.utils.data
    pairs = data.TensorDataset(t.arange(6), t.arange(6) * 2)
    joined = data.ConcatDataset([pairs, data.Subset(pairs, [1, 3])])

    class Stream(data.IterableDataset):  # type: ignore[misc]
        def __init__(self, n: int) -> None:
            self.n = n

        def __iter__(self) -> Any:
            return iter(range(self.n))

    chained = data.ChainDataset([Stream(2), Stream(3)])
    parts = data.random_split(pairs, [4, 2])
    return (
        [tuple(x.item() for x in joined[i]) for i in range(len(joined))],
        list(chained),
        [len(p) for p in parts],
        sorted(i for p in parts for i in p.indices),
        isinstance(pairs, data.Dataset),
    )


def samplers(t: Any) -> Any:
    data = t.utils.data
    batches = data.BatchSampler(data.SequentialSampler(range(5)), 2, drop_last=False)
    drawn = data.SubsetRandomSampler([4, 2, 7])
    return list(batches), len(batches), sorted(drawn), isinstance(drawn, data.Sampler), data.get_worker_info()


def collated(t: Any) -> Any:
    data = t.utils.data
    batch = data.default_collate([{"x": 1, "y": (2.0, "a")}, {"x": 3, "y": (4.0, "b")}])
    return (
        batch["x"].tolist(),
        batch["y"][0].tolist(),
        list(batch["y"][1]),
        data.default_convert([np.ones(2)])[0].tolist(),
    )


def fused(t: Any) -> Any:
    ones = t.ones(2)
    w, b = t.nn.utils.fuse_linear_bn_weights(t.ones(2, 3), None, ones, ones * 3, 0.0, ones * 2, ones)
    cw, cb = t.nn.utils.fuse_conv_bn_weights(t.ones(2, 1, 1, 1), ones, ones, ones * 3, 0.0, ones * 2, ones)
    return [x.detach().reshape(-1).numpy().round(5).tolist() for x in (w, b, cw, cb)]


def normed(t: Any) -> Any:
    layer = t.nn.utils.spectral_norm(t.nn.Linear(2, 2))
    return list(layer.state_dict()), list(t.nn.utils.remove_spectral_norm(layer).state_dict())


def safe(t: Any) -> Any:
    class Plain:
        pass

    s = t.serialization
    s.add_safe_globals([Plain])
    found = Plain in s.get_safe_globals()
    s.clear_safe_globals()
    with s.safe_globals([Plain]):
        inside = Plain in s.get_safe_globals()
    return found, inside, s.get_safe_globals()


def bases(t: Any) -> Any:
    optimizer = t.optim.SGD([t.nn.Parameter(t.ones(1))], lr=0.1)
    schedule = t.optim.lr_scheduler.StepLR(optimizer, 1)
    normal = t.distributions.Normal(t.zeros(1), t.ones(1))
    return (
        isinstance(optimizer, t.optim.Optimizer),
        isinstance(schedule, t.optim.lr_scheduler.LRScheduler),
        isinstance(normal, t.distributions.Distribution),
        isinstance(t.distributions.ExpTransform(), t.distributions.transforms.Transform),
    )


def flags(t: Any) -> Any:
    x = t.ones(2, requires_grad=True)
    return x.is_leaf, (x * 2).is_leaf, x.is_mkldnn, x.is_nested, x.is_vulkan


CALLS: dict[str, Callable[[Any], Any]] = {
    "children": lambda t: kinds(net(t).children()),
    "named_children": lambda t: [n for n, _ in net(t).named_children()],
    "named_modules": lambda t: [n for n, _ in net(t).named_modules()],
    "get_submodule": lambda t: kinds([net(t).get_submodule("2.0")]),
    "get_parameter": lambda t: list(net(t).get_parameter("0.weight").shape),
    "get_buffer": lambda t: net(t).get_buffer("1.running_var").tolist(),
    "extra_repr": lambda t: [m.extra_repr() for m in (t.nn.Linear(3, 2), t.nn.Dropout(0.25), t.nn.Softmax(1))],
    "to_empty": lambda t: list(net(t).to_empty(device="cpu").get_parameter("0.weight").shape),
    "share_memory": lambda t: (m := net(t)).share_memory() is m,
    "invert_permutation": lambda t: t.nn.utils.rnn.invert_permutation(t.tensor([2, 0, 1])).tolist(),
    "registered": registered,
    "hooked": hooked,
    "extra_state": extra_state,
    "containers": containers,
    "generator_state": generator_state,
    "anomaly": anomaly,
    "switches": switches,
    "datasets": datasets,
    "samplers": samplers,
    "collated": collated,
    "fused": fused,
    "normed": normed,
    "safe": safe,
    "bases": bases,
    "flags": flags,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_plain_values(name: str) -> None:
    assert CALLS[name](genesis) == CALLS[name](torch)
