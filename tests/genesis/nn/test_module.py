"""The module protocol: registration, walking, state, hooks, printing, and what a step being compiled may not do."""

import copy
import pickle
from functools import partial
from typing import Any

import numpy as np
import pytest

import genesis
from compiler.errors import TraceError
from compiler.ir.ambient import using
from genesis import nn
from genesis.memory.cells import changes
from genesis.recording import Recording
from tests.genesis.recorded import Recorded


class Net(nn.Module):
    """One of everything that registers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.scale = nn.Parameter(genesis.ones(4))
        self.register_parameter("shift", None)
        self.register_buffer("count", genesis.zeros(1))
        self.register_buffer("cache", genesis.zeros(2), persistent=False)
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Dropout(0.5)])
        self.width = 4

    def forward(self, x: Any) -> Any:
        x = self.first(x) * self.scale
        for block in self.blocks:
            x = block(x)
        return x


NAMES = ["scale", "first.weight", "first.bias", "blocks.0.weight", "blocks.0.bias"]


def test_names_are_torchs_and_in_order() -> None:
    net = Net()
    assert [n for n, _ in net.named_parameters()] == NAMES
    assert [n for n, _ in net.named_buffers()] == ["count", "cache"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "blocks", "blocks.0", "blocks.1"]
    assert [n for n, _ in net.named_children()] == ["first", "blocks"]
    assert list(net.state_dict()) == ["scale", "count", *NAMES[1:]]
    assert [n for n, _ in net.named_parameters(prefix="net", recurse=False)] == ["net.scale"]


def test_a_tied_weight_counts_once_but_is_stored_under_both_names() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3, bias=False))
    net[1].weight = net[0].weight
    assert [n for n, _ in net.named_parameters()] == ["0.weight", "0.bias"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 3
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight"]
    net(genesis.ones(1, 3)).sum().backward()
    assert net[0].weight.grad is net[1].weight.grad is not None


def test_a_shared_module_is_walked_once() -> None:
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    assert len(list(net.modules())) == 3
    assert len(list(net.children())) == 2
    assert len(list(net.parameters())) == 2


def test_train_and_eval_reach_all_modules() -> None:
    net = Net().eval()
    assert not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())
    with pytest.raises(ValueError, match="training mode is expected to be boolean"):
        net.train(1)  # type: ignore[arg-type]


def test_requires_grad_and_zero_grad() -> None:
    net = Net()
    net(genesis.ones(2, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all(p.grad is not None and not p.grad.any() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert not any(p.requires_grad for p in net.requires_grad_(False).parameters())


def test_dtypes_change_in_place() -> None:
    net = Net()
    net.register_buffer("steps", genesis.zeros(1, dtype=genesis.int64))
    before = list(net.parameters())
    for convert, dtype in (
        (net.half, "float16"),
        (net.bfloat16, "bfloat16"),
        (net.double, "float64"),
        (net.float, "float32"),
    ):
        assert convert() is net
        assert {p.dtype.name for p in net.parameters()} == {dtype}
    assert all(a is b for a, b in zip(before, net.parameters(), strict=True))
    assert net.count.dtype is genesis.float32 and net.steps.dtype is genesis.int64
    assert net.to(dtype=genesis.float16).scale.dtype is genesis.float16
    assert net.to(genesis.zeros(1)).scale.dtype is genesis.float32
    with pytest.raises(TypeError, match="only accepts floating point dtypes"):
        net.to(genesis.int64)


def test_a_converted_parameter_takes_its_gradient_along() -> None:
    layer = nn.Linear(2, 2)
    layer(genesis.ones(1, 2)).sum().backward()
    layer.half()
    assert layer.weight.grad is not None and layer.weight.grad.dtype is genesis.float16
    assert layer.weight.is_leaf and layer.weight.requires_grad
    layer(genesis.ones(1, 2).half()).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad.numpy(), 2)


def test_apply_goes_bottom_up() -> None:
    seen: list[str] = []
    Net().apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "Linear", "Dropout", "ModuleList", "Net"]


def test_assignments_that_make_no_sense() -> None:
    net = Net()
    with pytest.raises(TypeError, match=r"cannot assign 'int' as parameter 'scale' \(genesis.nn.Parameter or None"):
        net.scale = 3
    with pytest.raises(TypeError, match="cannot assign 'Tensor' as child module 'first'"):
        net.first = genesis.ones(2)
    with pytest.raises(TypeError, match="cannot assign 'float' object to buffer 'count'"):
        net.count = 1.0
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'nothing'"):
        net.nothing  # noqa: B018
    with pytest.raises(KeyError, match="attribute 'width' already exists"):
        net.register_buffer("width", genesis.ones(1))
    with pytest.raises(KeyError, match="t contain"):
        net.add_module("a.b", nn.ReLU())
    with pytest.raises(KeyError, match="t be empty"):
        net.register_parameter("", None)
    with pytest.raises(TypeError, match="is not a Module subclass"):
        net.add_module("relu", genesis.relu)  # type: ignore[arg-type]


def test_nothing_registers_before_init() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"cannot assign module before Module.__init__\(\) call"):
        Early()


def test_another_kind_of_attribute_replaces_the_first() -> None:
    net = Net()
    net.width = nn.Parameter(genesis.ones(1))
    assert "width" in dict(net.named_parameters())
    net.width = nn.ReLU()
    assert "width" not in dict(net.named_parameters()) and isinstance(net.width, nn.ReLU)
    del net.width
    assert not hasattr(net, "width")
    net.first = nn.Linear(3, 4, bias=False)
    assert [n for n, _ in net.named_children()] == ["first", "blocks"]
    net.scale = None
    assert net.scale is None and "scale" not in net.state_dict()


def test_lookup_by_dotted_name() -> None:
    net = Net()
    assert net.get_submodule("blocks.0") is net.blocks[0]
    assert net.get_parameter("first.bias") is net.first.bias
    assert net.get_buffer("count") is net.count
    with pytest.raises(AttributeError, match="Linear has no attribute"):
        net.get_submodule("first.nothing")
    with pytest.raises(AttributeError, match="`width` is not an nn"):
        net.get_parameter("width")


# State


def test_state_dict_shares_storage_and_loading_keeps_it() -> None:
    net, other = Net(), Net()
    state = net.state_dict()
    assert not any(v.requires_grad for v in state.values())
    parameters = list(net.parameters())
    assert repr(net.load_state_dict(other.state_dict())) == "<All keys matched successfully>"
    assert all(a is b for a, b in zip(parameters, net.parameters(), strict=True))
    for key, value in other.state_dict().items():
        np.testing.assert_array_equal(state[key].numpy(), value.numpy())
    other.scale.data.fill_(7.0)
    np.testing.assert_array_equal(state["scale"].numpy(), 1.0)


def test_arrays_load_too_and_are_copied() -> None:
    layer = nn.Linear(2, 2, bias=False)
    array = np.ones((2, 2))
    layer.load_state_dict({"weight": array})
    array[:] = 5
    assert layer.weight.dtype is genesis.float32
    np.testing.assert_array_equal(layer.weight.detach().numpy(), 1)


def test_mismatches_are_all_reported_at_once() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    state = {"0.weight": np.zeros((3, 2)), "0.bias": np.full(2, 4.0), "x": 1, "y": 2}
    with pytest.raises(RuntimeError) as raised:
        net.load_state_dict(state)
    assert str(raised.value) == (
        "Error(s) in loading state_dict for Sequential:\n"
        '\tMissing key(s) in state_dict: "1.weight", "1.bias". \n'
        '\tUnexpected key(s) in state_dict: "x", "y". \n'
        "\tsize mismatch for 0.weight: copying a param with shape genesis.Size([3, 2]) from checkpoint, "
        "the shape in current model is genesis.Size([2, 2])."
    )
    np.testing.assert_array_equal(net[0].bias.detach().numpy(), 4)
    del state["0.weight"]
    result = net.load_state_dict(state, strict=False)
    assert result.missing_keys == ["0.weight", "1.weight", "1.bias"]
    assert result.unexpected_keys == ["x", "y"]
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like"):
        net.load_state_dict([1])  # type: ignore[arg-type]


def test_assign_replaces_the_parameters() -> None:
    layer = nn.Linear(2, 2, bias=False)
    before = layer.weight
    layer.load_state_dict({"weight": genesis.ones(2, 2).half()}, assign=True)
    assert layer.weight is not before and layer.weight.dtype is genesis.float16
    assert isinstance(layer.weight, nn.Parameter) and layer.weight.requires_grad


def test_deepcopy_and_pickle() -> None:
    net = Net()
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    twin = copy.deepcopy(tied)
    assert twin[1].weight is twin[0].weight is not tied[0].weight
    for again in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert list(again.state_dict()) == list(net.state_dict())
        for key, value in net.state_dict().items():
            np.testing.assert_array_equal(again.state_dict()[key].numpy(), value.numpy())
        again.scale.data.zero_()
        assert net.scale.detach().numpy().all()


# Hooks


def test_hooks_see_and_replace() -> None:
    layer = nn.Identity()
    seen: list[str] = []
    pre = layer.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
    post = layer.register_forward_hook(lambda m, args, out: out * 10)
    layer.register_forward_hook(lambda m, args, kwargs, out: seen.append(f"{kwargs}"), with_kwargs=True)
    layer.register_forward_pre_hook(lambda m, args: seen.append("first"), prepend=True)
    assert layer(genesis.tensor(2.0)).item() == 30
    assert seen == ["first", "{}"]
    pre.remove()
    pre.remove()
    with post:
        pass
    assert layer(genesis.tensor(2.0)).item() == 2


def test_a_pre_hook_with_kwargs_returns_both() -> None:
    layer = nn.Identity()
    layer.register_forward_pre_hook(lambda m, args, kwargs: ((), {"input": genesis.tensor(5.0)}), with_kwargs=True)
    assert layer(genesis.tensor(1.0)).item() == 5
    layer.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        layer(genesis.tensor(1.0))


def test_a_module_without_forward() -> None:
    with pytest.raises(NotImplementedError, match=r'Module \[Module\] is missing the required "forward" function'):
        nn.Module()(1)


# Printing


def test_repr() -> None:
    assert repr(nn.Linear(2, 3)) == "Linear(in_features=2, out_features=3, bias=True)"
    assert repr(nn.ReLU()) == "ReLU()"
    assert repr(nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Dropout(0.1)))) == (
        "Sequential(\n"
        "  (0): Linear(in_features=1, out_features=1, bias=True)\n"
        "  (1): Sequential(\n"
        "    (0): Dropout(p=0.1, inplace=False)\n"
        "  )\n"
        ")"
    )


# Compiled programs rely on this


CHANGES: dict[str, Any] = {
    "an attribute": lambda net: setattr(net, "width", 5),
    "eval": lambda net: net.eval(),
    "requires_grad_": lambda net: net.requires_grad_(False),
    "a parameter": lambda net: setattr(net, "scale", nn.Parameter(genesis.ones(4))),
    "a module": lambda net: setattr(net, "first", nn.Linear(3, 4)),
    "a buffer": lambda net: setattr(net, "count", genesis.ones(1)),
    "a dtype": lambda net: net.half(),
    "a hook": lambda net: net.register_forward_hook(lambda *a: None),
    "a deletion": lambda net: delattr(net, "width"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_ticks(name: str) -> None:
    net = Net()
    before = changes.time
    CHANGES[name](net)
    assert changes.time > before


def test_a_forward_pass_does_not_tick() -> None:
    net = Net()
    before = changes.time
    net(genesis.ones(1, 3))
    assert changes.time == before


def test_ops_are_recorded_under_the_modules_names() -> None:
    net = Net().eval()
    recording = Recording("step")
    recording.module_names.update({m: n for n, m in net.named_modules()})
    with using(recording.builder):
        net(genesis.ones(2, 3))
    scopes = [node.loc.scope for node in recording.builder.nodes if node.op.name == "linear"]
    assert scopes == ["first", "blocks.0"]
    assert recording.builder.scopes == []


def test_scopes_are_left_when_forward_fails() -> None:
    layer = nn.Linear(3, 4)
    recording = Recording("step")
    with using(recording.builder):
        with pytest.raises(RuntimeError):
            layer(genesis.ones(2, 5))
        assert recording.builder.scopes == []


class Counting(nn.Module):
    """Changes itself in forward."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self.calls = 0
        self.register_buffer("seen", genesis.zeros(1))
        self.change = change

    def forward(self, x: Any) -> Any:
        self.change(self)
        return x * self.seen


def test_a_changed_attribute_inside_a_step_is_refused() -> None:
    net = Counting(lambda self: setattr(self, "calls", self.calls + 1))
    with pytest.raises(TraceError) as raised:
        Recorded(lambda: net(genesis.ones(1)))
    message = str(raised.value)
    assert "Counting.calls is changed inside a step" in message
    assert "test_module.py:" in message and "register_buffer" in message
    assert net.calls == 0
    net(genesis.ones(1))
    assert net.calls == 1


def test_a_loss_left_on_a_module_may_be_taken_back_within_the_step() -> None:
    class Routed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.aux = nn.Parameter(genesis.ones(2)), None

        def forward(self, x: Any) -> Any:
            self.aux = self.weight.square().sum()
            return x * self.weight

    net = Routed()

    def step(x: Any) -> Any:
        loss = net(x).sum() + net.aux
        net.aux = None
        loss.backward()
        return loss

    compiled = genesis.compile(step)
    assert compiled(genesis.ones(2)).item() == step(genesis.ones(2)).item() == 4
    assert net.aux is None


REFUSED: dict[str, Any] = {
    "a parameter": lambda self: setattr(self, "weight", nn.Parameter(genesis.ones(1))),
    "a deletion": lambda self: delattr(self, "calls"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_changes_inside_a_step_are_refused(name: str) -> None:
    with pytest.raises(TraceError):
        Recorded(lambda: Counting(REFUSED[name])(genesis.ones(1)))


def test_the_mode_may_change_inside_steps() -> None:
    """As in eager mode it holds in the step and after it, also when another program left the other mode."""
    model = nn.Dropout(0.5)
    x = genesis.ones(64)

    @genesis.compile(backend="interpret")
    def train(x: genesis.Tensor) -> genesis.Tensor:
        model.train()
        return model(x)

    @genesis.compile(backend="interpret")
    def evaluate(x: genesis.Tensor) -> genesis.Tensor:
        model.eval()
        return model(x)

    for _ in range(3):
        assert (train(x).numpy() == 0).any() and model.training
        assert (evaluate(x).numpy() == 1).all() and not model.training
    assert (train.compiles, evaluate.compiles) == (2, 1)


def test_writing_the_same_value_inside_a_step_is_fine() -> None:
    Recorded(lambda: Counting(lambda self: setattr(self, "calls", 0))(genesis.ones(1)))


def test_a_buffer_assigned_inside_a_step_keeps_counting() -> None:
    net = Counting(lambda self: setattr(self, "seen", self.seen + 1))
    storage = net.seen
    step = Recorded(lambda: net(genesis.ones(1)))
    assert net.seen is storage and storage.item() == 0
    step()
    step()
    assert storage.item() == 2


def test_modules_take_numpy_arrays() -> None:
    x = np.ones((2, 3), np.float32)
    model = nn.Linear(3, 1)
    assert genesis.equal(model(x), model(genesis.tensor(x)))


def test_hooks_on_gradients_are_part_of_a_compiled_step() -> None:
    layer = nn.Linear(2, 2)
    x = genesis.ones(3, 2)

    @genesis.compile(keep_grads=True)
    def step(x: genesis.Tensor) -> genesis.Tensor:
        layer.zero_grad()
        loss = layer(x * layer.bias).sum()
        loss.backward()
        return loss

    step(x)
    before = layer.bias.grad.tolist()
    handle = layer.register_full_backward_hook(lambda m, inputs, outputs: (inputs[0] * 0.0,))
    step(x)
    assert layer.bias.grad.tolist() == [3.0, 3.0] != before
    handle.remove()
    step(x)
    assert layer.bias.grad.tolist() == before
    handle = nn.hooks.register_module_full_backward_pre_hook(lambda m, grads: (grads[0] * 2.0,))
    step(x)
    handle.remove()
    assert layer.bias.grad.tolist() == [2 * g for g in before]


def test_a_hook_that_is_always_called_sees_failures() -> None:
    layer, seen = nn.Linear(2, 2), []
    layer.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    layer.register_forward_hook(lambda m, args, out: seen.append("never"))
    with pytest.raises(RuntimeError):
        layer(genesis.ones(3))
    assert seen == [None]


def test_a_compiled_step_sees_a_table_of_hooks_changed_by_hand() -> None:
    model = nn.Linear(2, 1, bias=False)
    step = genesis.compile(lambda x: model(x), backend="interpret")
    x = genesis.ones(1, 2)
    with genesis.no_grad():
        plain = step(x).item()
        model.register_forward_hook(lambda module, args, output: output * 2)
        assert [step(x).item() for _ in range(3)] == [2 * plain] * 3
        model._forward_hooks.clear()
        assert step(x).item() == plain
        model._forward_hooks = {0: (lambda module, args, output: output * 3, False, False)}
        assert step(x).item() == pytest.approx(3 * plain)


REGISTER = {
    "forward pre-hook": lambda layer, hook: layer.register_forward_pre_hook(hook),
    "forward hook": lambda layer, hook: layer.register_forward_hook(hook),
    "backward pre-hook": lambda layer, hook: layer.register_full_backward_pre_hook(hook),
    "backward hook": lambda layer, hook: layer.register_full_backward_hook(hook),
    "state dict pre-hook": lambda layer, hook: layer.register_state_dict_pre_hook(hook),
    "state dict hook": lambda layer, hook: layer.register_state_dict_post_hook(hook),
    "load pre-hook": lambda layer, hook: layer.register_load_state_dict_pre_hook(hook),
    "load post-hook": lambda layer, hook: layer.register_load_state_dict_post_hook(hook),
    "registration hook": lambda layer, hook: nn.hooks.register_module_parameter_registration_hook(hook),
}


@pytest.mark.parametrize("kind", REGISTER)
def test_a_hook_may_take_itself_away(kind: str) -> None:
    layer, seen, handles = nn.Linear(2, 2), [], []

    def hook(place: int, *_: object) -> None:
        seen.append(place)
        handles[place].remove()

    handles += [REGISTER[kind](layer, partial(hook, place)) for place in range(2)]
    for _ in range(2):
        layer(genesis.ones(1, 2, requires_grad=True)).sum().backward()
        layer.load_state_dict(layer.state_dict())
        layer.weight = nn.Parameter(genesis.ones(2, 2))
    assert sorted(seen) == [0, 1]
