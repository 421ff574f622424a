"""Namespaces about other hardware, other processes and settings answer as PyTorch does on a machine with one CPU."""

import importlib
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

import genesis
from tests.coverage import OF_GENESIS

torch = pytest.importorskip("torch")
importlib.import_module("torch.utils.benchmark")

CALLS: dict[str, Callable[[Any], Any]] = {
    "cuda": lambda t: (t.cuda.is_available(), t.cuda.device_count(), t.cuda.memory_allocated()),
    "cuda types": lambda t: isinstance(t.ones(2), t.cuda.FloatTensor),
    "cuda random": lambda t: t.cuda.random.manual_seed_all(3),
    "cuda peak": lambda t: t.cuda.OutOfMemoryError.__name__,
    "cudnn": lambda t: (t.backends.cudnn.version(), t.backends.cudnn.is_available()),
    "cudnn flags": lambda t: _inside(t.backends.cudnn.flags(enabled=False), lambda: t.backends.cudnn.enabled),
    "mps": lambda t: (t.backends.mps.is_available(), t.backends.mps.is_built(), t.mps.device_count()),
    "xpu": lambda t: (t.xpu.is_available(), t.xpu.device_count()),
    "cpu": lambda t: (t.cpu.is_available(), t.cpu.device_count(), t.cpu.current_device()),
    "matmul": lambda t: t.backends.cuda.matmul.allow_tf32,
    "jit": lambda t: (
        t.jit.is_scripting(),
        t.jit.is_tracing(),
        t.jit.annotate(int, 3),
        t.jit.unused(_dtypes),
        t.jit.ignore(_dtypes),
    ),
    "jit.ignore": lambda t: t.jit.ignore(drop=True)(_dtypes),
    "sdp": lambda t: (
        t.nn.attention.SDPBackend.MATH.name,
        _inside(t.nn.attention.sdpa_kernel(t.nn.attention.SDPBackend.MATH), int),
    ),
    "record_function": lambda t: _inside(
        t.profiler.record_function("a"), lambda: t.autograd.profiler.record_function("b").name
    ),
    "checkpoint": lambda t: t.utils.checkpoint.checkpoint(
        lambda x, y: x * y, t.ones(2), y=3, use_reentrant=False
    ).tolist(),
    "sequential": lambda t: t.utils.checkpoint.checkpoint_sequential(
        [t.nn.ReLU(), t.nn.Tanh()], 2, t.zeros(2), use_reentrant=False
    ).tolist(),
    "default dtype": lambda t: (
        str(t.get_default_dtype())[-7:],
        t.set_default_dtype(t.float32),
        str(t.get_default_device()),
    ),
    "default type": lambda t: t.set_default_tensor_type(t.FloatTensor),
    "precision": lambda t: (t.get_float32_matmul_precision(), t.set_float32_matmul_precision("highest")),
    "deterministic": lambda t: (t.use_deterministic_algorithms(False), t.are_deterministic_algorithms_enabled()),
    "finfo": lambda t: [
        (i.bits, i.eps, i.max, i.min, i.tiny, i.smallest_normal, i.resolution, i.dtype)
        for i in map(t.finfo, (t.float32, t.float64, t.float16, t.bfloat16))
    ],
    "iinfo": lambda t: [
        (i.bits, i.max, i.min, i.dtype) for i in map(t.iinfo, (t.int8, t.uint8, t.int16, t.int32, t.int64))
    ],
    "promote": lambda t: (
        [str(t.promote_types(a, b))[6:] for a in _dtypes(t) for b in _dtypes(t)]
        if t is torch
        else [str(t.promote_types(a, b))[8:] for a in _dtypes(t) for b in _dtypes(t)]
    ),
    "can_cast": lambda t: [t.can_cast(a, b) for a in _dtypes(t) for b in _dtypes(t)],
    "result_type": lambda t: [
        str(t.result_type(a, b)).partition(".")[2]
        for a in (t.ones(2), t.ones(2, dtype=t.int64), t.tensor(1), 1, 2.5, True)
        for b in (t.ones(1, dtype=t.float16), t.tensor(1.0), t.ones(3, dtype=t.uint8), 3, 1.5)
    ],
    "kinds": lambda t: [
        (isinstance(x, t.FloatTensor), isinstance(x, t.LongTensor), isinstance(x, t.Tensor))
        for x in (t.ones(2), t.ones(2).long(), 3, t.nn.Parameter(t.ones(1)))
    ],
    "FloatTensor": lambda t: (
        t.FloatTensor([1, 2]).tolist(),
        tuple(t.FloatTensor(2, 3).shape),
        t.FloatTensor().tolist(),
    ),
    "LongTensor": lambda t: (
        t.LongTensor([[1, 2]]).tolist(),
        tuple(t.LongTensor(2, 1).shape),
        t.BoolTensor([True]).tolist(),
    ),
    "type": lambda t: (t.ones(2).type(t.LongTensor).tolist(), t.ones(1).type("torch.DoubleTensor").type()[-12:]),
    "is": lambda t: (
        t.is_tensor(t.ones(1)),
        t.is_floating_point(t.ones(1)),
        t.is_complex(t.ones(1)),
        t.is_nonzero(t.ones(1)),
    ),
    "flags": lambda t: [
        getattr(t.ones(2, 3), name)
        for name in "is_cuda is_mps is_xpu is_meta is_quantized is_sparse nbytes itemsize".split()
    ],
    "pin": lambda t: (t.ones(1).is_pinned(), t.ones(1).is_shared(), t.ones(1).get_device()),
    "formats": lambda t: [
        (
            x.is_contiguous(),
            x.is_contiguous(memory_format=t.channels_last),
            x.contiguous(memory_format=t.contiguous_format).stride(),
        )
        for x in (t.ones(2, 3, 4, 5), t.ones(2, 4, 5, 3).permute(0, 3, 1, 2), t.ones(2, 3))
    ],
    "accepted": lambda t: [
        tuple(x.shape)
        for x in (
            t.empty(2, 3, memory_format=t.contiguous_format),
            t.zeros(2, layout=t.strided, pin_memory=False),
            t.ones_like(t.ones(2), memory_format=t.preserve_format),
            t.nn.Linear(2, 3).to(memory_format=t.preserve_format).weight,
            t.ones(2).clone(memory_format=t.preserve_format),
        )
    ],
    "version": lambda t: (t.version.cuda, t.version.hip, t.version.debug),
    "Variable": lambda t: (
        isinstance(t.ones(1), t.autograd.Variable),
        t.autograd.Variable(t.ones(2), requires_grad=True).requires_grad,
        isinstance(3, t.autograd.Variable),
    ),
    "grad_fn": lambda t: _grad_fn(t, t.ones(2, requires_grad=True)),
    "save_on_cpu": lambda t: _inside(t.autograd.graph.save_on_cpu(), int),
    "once": lambda t: _once(t),
    "device": lambda t: [
        (d.type, d.index, str(d), d == t.device("cuda:0"))
        for d in (t.device("cpu"), t.device("cuda", 0), t.device("mps"), t.device(t.device("meta")))
    ],
    "device is a class": lambda t: (
        isinstance(t.ones(1).device, t.device),
        _inside(t.device("cpu"), lambda: t.ones(2).tolist()),
    ),
    "device copies": lambda t: str(pickle.loads(pickle.dumps(t.device("cuda:1")))),
    "random": lambda t: (_seeded(t, 3), isinstance(t.random.seed(), int)),
    "parallel": lambda t: (
        list(t.nn.DataParallel(t.nn.Linear(2, 1)).state_dict()),
        t.nn.DataParallel(t.nn.ReLU())(t.ones(1)).tolist(),
    ),
    "timer": lambda t: t.utils.benchmark.Timer("x + 1", globals={"x": 1}).timeit(3).number_per_run,
    "multiprocessing": lambda t: t.multiprocessing.get_context("spawn").get_start_method(),
    "typename": lambda t: (t.typename(t.ones(1))[-11:], t.typename(3)),
    "get_arch_list is_bf16_supported": lambda t: (t.cuda.get_arch_list(), t.cuda.is_bf16_supported()),
    "memory": lambda t: [
        getattr(t.cuda, name)() for name in "max_memory_allocated max_memory_reserved memory_reserved seed_all".split()
    ],
    "memory_stats": lambda t: dict(t.cuda.memory_stats()),
    "cuda.stream": lambda t: _inside(t.cuda.stream(None), int),
    "refused": lambda t: [_refuses(call) for call in _of_a_gpu(t)],
    "threads": lambda t: (
        t.get_num_threads() > 0,
        t.set_num_threads(t.get_num_threads()),
        t.get_num_interop_threads() > 0,
    ),
    "set_num_interop_threads": lambda t: t.set_num_interop_threads(1),
    "settings": lambda t: (
        t.set_flush_denormal(False) in (True, False),
        [t.set_default_device(device) for device in ("cpu", None)],  # PyTorch's would stay on its way
        t.is_deterministic_algorithms_warn_only_enabled(),
        isinstance(t.channels_last_3d, t.memory_format),
        str(t.get_autocast_gpu_dtype()).rpartition(".")[2],
    ),
    "default_generator": lambda t: (
        t.default_generator is t.random.default_generator,
        (t.manual_seed(3), t.default_generator.initial_seed())[1],
    ),
    "LinAlgError": lambda t: _raises(t.linalg.LinAlgError, lambda: t.linalg.inv(t.zeros(2, 2))),
    "UninitializedParameter": lambda t: isinstance(t.nn.LazyLinear(2).weight, t.nn.UninitializedParameter),
    "ParametrizationList": lambda t: _parametrized(t),
    "SparseAdam": lambda t: _refuses(lambda: _dense_step(t)),
    "detect_anomaly": lambda t: _inside(t.autograd.detect_anomaly(), int),
    "identity_transform": lambda t: t.distributions.identity_transform(t.ones(2)).tolist(),
    "register_kl": lambda t: _registered(t),
    "WorkerInfo get_worker_info": lambda t: t.utils.data.get_worker_info(),
    "script export Final": lambda t: (t.jit.script(_twice)(2), t.jit.export(_twice)(2), t.jit.Final is not None),
    "get_extra_state set_extra_state": lambda t: [
        _raises(RuntimeError, call) for call in (t.nn.ReLU().get_extra_state, lambda: t.nn.ReLU().set_extra_state(1))
    ],
    "new exceptions": lambda t: [issubclass(e, RuntimeError) for e in (t.OutOfMemoryError, t.AcceleratorError)],
    "newaxis": lambda t: t.ones(2)[t.newaxis].tolist(),
    "get_deterministic_debug_mode": lambda t: [
        (t.set_deterministic_debug_mode(mode), t.get_deterministic_debug_mode())[1] for mode in ("warn", 2, "default")
    ],
    "set_multithreading_enabled": lambda t: _inside(t.autograd.set_multithreading_enabled(False), int),
    "gradgradcheck": lambda t: t.autograd.gradgradcheck(
        lambda x, y: x.sin() * y, [t.ones(2, dtype=t.float64, requires_grad=True) for _ in range(2)]
    ),
    "UninitializedBuffer": lambda t: _buffer(t),
    "RNNBase RNNCellBase": lambda t: (
        isinstance(t.nn.GRU(2, 3), t.nn.RNNBase),
        isinstance(t.nn.GRUCell(2, 3), t.nn.RNNCellBase),
    ),
    "assert_allclose": lambda t: _raises(AssertionError, lambda: t.testing.assert_allclose(t.ones(2), t.zeros(2))),
    "make_tensor": lambda t: [
        (list(x.shape), str(x.dtype).rpartition(".")[2], x.is_contiguous(), (x != 0).all().item(), x.max().item() < 6)
        for x in (
            t.testing.make_tensor((9, 4), dtype=t.float32, device="cpu", low=2, high=5, noncontiguous=True),
            t.testing.make_tensor(9, 9, dtype=t.int64, device="cpu", low=-2, high=3, exclude_zero=True),
        )
    ],
    "noop_context_fn set_checkpoint_early_stop set_checkpoint_debug_enabled": lambda t: (
        len(t.utils.checkpoint.noop_context_fn()),
        _inside(t.utils.checkpoint.set_checkpoint_early_stop(False), int),
        _inside(t.utils.checkpoint.set_checkpoint_debug_enabled(True), int),
    ),
    "old names in nn.init": lambda t: [
        getattr(t.nn.init, name)(t.empty(2, 3), *args).tolist()
        for name, args in (("constant", (3.0,)), ("eye", ()), ("uniform", (1, 1)), ("normal", (2.0, 0)))
    ],
    "dirac kaiming_normal kaiming_uniform sparse xavier_normal xavier_uniform": lambda t: [
        getattr(t.nn.init, name)(t.empty(4, 2, 3), *args).abs().max().item() < 3
        for name, args in (("dirac", ()), ("xavier_normal", ()), ("xavier_uniform", (1.0,)), ("kaiming_normal", (1.0,)))
    ],
    "unsafe_chunk unsafe_split unsafe_split_with_sizes": lambda t: [
        [part.tolist() for part in parts]
        for x in (t.arange(6),)
        for parts in (
            t.unsafe_chunk(x, 4),
            t.unsafe_split(x, 4),
            x.unsafe_split(4),
            t.unsafe_split_with_sizes(x, [1, 5]),
        )
    ],
    "ger": lambda t: (t.ger(t.arange(2), t.arange(3)).tolist(), t.arange(2).ger(t.arange(2)).tolist()),
    "istft": lambda t: list(t.istft(t.stft(t.ones(20), 8, return_complex=True), 8).shape),
    "register_backward_hook": lambda t: _hooked(t),
}


def _of_a_gpu(t: Any) -> list[Callable[[], Any]]:
    """Calls that need a GPU."""
    names = "Event Stream get_device_capability get_device_name get_device_properties synchronize".split()
    return [getattr(t.cuda, name) for name in names] + [lambda: t.cuda.set_device(0)]


ON_A_GPU_ONLY = "ipc_collect memory_summary reset_max_memory_allocated reset_max_memory_cached reset_peak_memory_stats"
"""Functions that do nothing in Genesis, and of which PyTorch without CUDA has only the names."""


def test_functions_of_memory_do_nothing() -> None:
    for name in ON_A_GPU_ONLY.split():
        assert _refuses(getattr(torch.cuda, name)) and not _refuses(getattr(genesis.cuda, name))


def test_names_of_genesis_alone_are_not_in_pytorch() -> None:
    spaces = torch, torch.nn.init, torch.optim.lr_scheduler, torch.utils.data, torch.random
    assert not [name for name in OF_GENESIS for space in spaces if callable(getattr(space, name, None))]


def _refuses(call: Callable[[], Any]) -> bool:
    return _raises(Exception, call)


def _raises(kind: type[Exception], call: Callable[[], Any]) -> bool:
    try:
        call()
    except kind:
        return True
    return False


def _buffer(t: Any) -> Any:
    buffer = t.nn.UninitializedBuffer()
    made = isinstance(buffer, t.Tensor)
    buffer.materialize((2, 3))
    return made, list(buffer.shape), isinstance(buffer, t.nn.UninitializedBuffer)


def _dense_step(t: Any) -> None:
    w = t.nn.Parameter(t.ones(1))
    optimizer = t.optim.SparseAdam([w])
    (w * 2).sum().backward()
    optimizer.step()


def _twice(x: int) -> int:
    return 2 * x


def _parametrized(t: Any) -> Any:
    parametrize = t.nn.utils.parametrize
    double = type("Doubled", (t.nn.Module,), {"forward": lambda self, x: x * 2})
    source, other = t.nn.Linear(2, 1), t.nn.Linear(2, 1)
    parametrize.register_parametrization(source, "weight", double())
    parametrize.transfer_parametrizations_and_params(source, other)
    found = other.parametrizations.weight
    return isinstance(found, parametrize.ParametrizationList), (other.weight == source.weight).all().item()


def _registered(t: Any) -> Any:
    class Own(t.distributions.Normal):  # type: ignore[misc]
        pass

    t.distributions.register_kl(Own, Own)(lambda p, q: p.loc - q.loc)
    one, three = (Own(t.tensor(x), t.tensor(1.0)) for x in (1.0, 3.0))
    return t.distributions.kl_divergence(three, one).item()


def _hooked(t: Any) -> Any:
    layer, seen = t.nn.ReLU(), []
    layer.register_backward_hook(lambda module, into, out: seen.append((len(into), out[0].tolist())))
    layer(t.ones(2, requires_grad=True)).sum().backward()
    return seen


def _dtypes(t: Any) -> list[Any]:
    names = "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64"
    return [getattr(t, name) for name in names.split()]


def _inside(context: Any, call: Callable[[], Any]) -> Any:
    with context:
        return call()


def _grad_fn(t: Any, x: Any) -> Any:
    y = (x * 2).exp()
    behind = y.grad_fn.next_functions[0][0]
    return (
        x.grad_fn,
        y.detach().grad_fn,
        y.grad_fn.name(),
        behind.name(),
        len(behind.next_functions),
        bool(y.grad_fn),
    )


def _once(t: Any) -> Any:
    class Double(t.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        @t.autograd.function.once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    x = t.ones(2, requires_grad=True)
    Double.apply(x).sum().backward()
    return x.grad.tolist()


def _seeded(t: Any, seed: int) -> Any:
    t.manual_seed(seed)
    first = t.rand(2).tolist()
    with t.random.fork_rng(devices=[]):
        t.manual_seed(seed)
        again = t.rand(2).tolist()
    t.rand(2)
    return t.initial_seed(), first == again


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_the_answers_are_those_of_pytorch(name: str) -> None:
    assert CALLS[name](genesis) == CALLS[name](torch)


@pytest.mark.parametrize("mine", ["0.1.0", "2.13.0+cpu", "2.1.0a0", "2.1.0rc1", "1.8.0.dev3"])
@pytest.mark.parametrize("other", ["1.8", "2.13", "0.1", "2.1.0", "10.0", (2, 0), (2, 13, 0), "2.1"])
def test_versions_are_compared_as_in_pytorch(mine: str, other: Any) -> None:
    ours, theirs = genesis.torch_version.TorchVersion(mine), torch.torch_version.TorchVersion(mine)
    for compare in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__"):
        assert getattr(ours, compare)(other) == getattr(theirs, compare)(other), compare


def _calls(lib: Any) -> list[Any]:
    dist, x = lib.distributed, lib.arange(3.0)
    outcome: list[Any] = [dist.get_rank(), dist.get_world_size(), dist.is_initialized(), dist.get_backend()]
    for op in (dist.ReduceOp.SUM, dist.ReduceOp.MAX, dist.ReduceOp.PRODUCT):
        dist.all_reduce(x, op=op)
        outcome.append(x.tolist())
    into = [lib.zeros(3)]
    dist.all_gather(into, x)
    dist.broadcast(x, src=0)
    dist.barrier()
    out = lib.zeros(3)
    dist.all_gather_single(out, x)
    dist.all_gather_into_tensor(out, x)
    lists = [["a"], [None]]
    dist.broadcast_object_list(lists[0], src=0)
    dist.gather_object("b", lists[1], dst=0)
    group = dist.new_group([0])
    outcome += [
        lists,
        dist.get_global_rank(group, 0),
        dist.get_group_rank(group, 0),
        isinstance(group, dist.ProcessGroup),
    ]
    for scatter in (dist.reduce_scatter_single, dist.reduce_scatter_tensor):
        into_one = lib.zeros(3)
        scatter(into_one, x)
        outcome.append(into_one.tolist())
    dist.reduce_scatter(into[0], [x])
    dist.reduce(x, dst=0)
    answers = "is_gloo_available is_mpi_available is_nccl_available is_ucc_available is_torchelastic_launched"
    outcome += [getattr(dist, name)() in (True, False) for name in answers.split()]
    outcome.append(dist.get_node_local_rank(fallback_rank=0))
    objects: list[Any] = [None]
    dist.all_gather_object(objects, {"a": 1})
    work = dist.all_reduce(x, async_op=True)
    outcome += [into[0].tolist(), x.tolist(), out.tolist(), objects, work.wait(), isinstance(work, dist.Work)]
    lib.manual_seed(0)
    model = lib.nn.parallel.DistributedDataParallel(lib.nn.Linear(3, 1))
    with model.no_sync():
        model(x).sum().backward()
    model(x).sum().backward()
    return [*outcome, list(model.state_dict()), model.module.weight.grad.tolist()]


@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")
def test_a_group_of_one_process(tmp_path: Any) -> None:
    found = []
    for lib in (genesis, torch):
        with pytest.raises(ValueError, match="has not been initialized"):
            lib.distributed.get_rank()
        lib.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
        try:
            found.append(_calls(lib))
            with pytest.raises(ValueError, match="twice"):
                lib.distributed.init_process_group("gloo", rank=0, world_size=1)
        finally:
            lib.distributed.destroy_process_group()
        assert not lib.distributed.is_initialized()
    assert found[0] == found[1]


PAIRS = [
    ([1.0, 2.0], [1.0, 2.1]),
    ([1.0], [1.0 + 1e-7]),
    ({"a": [1.0, 2]}, {"a": [1.0, 3]}),
    ([1, 2], [1, 2, 3]),
    ({"a": 1}, {"b": 1}),
    (float("nan"), float("nan")),
    (True, True),
]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
@pytest.mark.parametrize("equal_nan", [False, True])
def test_assert_close(pair: Any, equal_nan: bool) -> None:
    said = []
    for lib in (genesis, torch):
        tensors = [lib.tensor(x) if isinstance(x, list) else x for x in pair]
        try:
            lib.testing.assert_close(*tensors, equal_nan=equal_nan)
            said.append("")
        except AssertionError as error:
            said.append(str(error))
    assert bool(said[0]) == bool(said[1]), said
    for part in ("Mismatched elements: [^\n]*", "Greatest absolute difference: [^(]*at index [^ ]*"):
        assert [m[0] for m in re.finditer(part, said[0])] == [m[0] for m in re.finditer(part, said[1])]


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64", "int64"])
def test_the_tolerances_of_assert_close(name: str) -> None:
    for gap in (1e-8, 3e-7, 5e-6, 1e-4, 3e-3, 1.1e-2, 0.1):
        outcomes = []
        for lib in (genesis, torch):
            kind = getattr(lib, name)
            a, b = lib.tensor([1.0, 100.0]).to(kind), (lib.tensor([1.0, 100.0], dtype=lib.float64) * (1 + gap)).to(kind)
            try:
                lib.testing.assert_close(a, b)
                outcomes.append(True)
            except AssertionError:
                outcomes.append(False)
        assert outcomes[0] == outcomes[1], gap


PATHS = """
nn.modules.conv.Conv2d nn.modules.batchnorm._BatchNorm nn.modules.activation.MultiheadAttention nn.modules.linear.Linear
nn.modules.loss.MSELoss nn.modules.module.Module nn.modules.container.Sequential nn.modules.Linear nn.modules.rnn.LSTM
nn.modules.normalization.LayerNorm nn.modules.pooling.MaxPool2d nn.modules.dropout.Dropout nn.modules.sparse.Embedding
nn.parameter.Parameter nn.parallel.DistributedDataParallel nn.utils.clip_grad.clip_grad_norm_ autograd.variable.Variable
autograd.function.Function autograd.function.FunctionCtx autograd.grad_mode.no_grad autograd.profiler.record_function
utils.data.dataloader.DataLoader utils.data.dataloader.default_collate utils.data.dataset.TensorDataset
utils.data.sampler.RandomSampler utils.data._utils.collate.default_collate cuda.amp.grad_scaler.GradScaler
cuda.amp.autocast_mode.autocast functional.einsum functional.meshgrid serialization.load
torch_version.TorchVersion nn.attention.sdpa_kernel random.manual_seed
nn.modules.adaptive.AdaptiveLogSoftmaxWithLoss nn.modules.channelshuffle.ChannelShuffle nn.modules.loss._Loss
nn.modules.loss._WeightedLoss nn.modules.utils._pair nn.init._calculate_fan_in_and_fan_out
""".split()


@pytest.mark.parametrize("path", PATHS)
def test_old_paths_can_be_imported(path: str) -> None:
    module, _, name = path.rpartition(".")
    for lib in ("torch", "genesis"):
        assert hasattr(importlib.import_module(f"{lib}.{module}"), name)
        found: Any = importlib.import_module(lib)
        for part in path.split("."):
            found = getattr(found, part)


PRIVATE: dict[str, Callable[[Any], Any]] = {
    "tuples": lambda u: [u._single(3), u._pair(3), u._triple([1, 2, 3]), u._quadruple("ab"), u._ntuple(5)(0)],
    "paddings": lambda u: u._reverse_repeat_tuple((1, 2), 2),
}


@pytest.mark.parametrize("name", PRIVATE)
def test_private_names_mean_what_they_do_in_torch(name: str) -> None:
    got, want = (PRIVATE[name](importlib.import_module(f"{lib}.nn.modules.utils")) for lib in ("genesis", "torch"))
    assert got == want


def test_private_names_of_optimizers() -> None:
    for lib in ("genesis", "torch"):
        optimizer = importlib.import_module(f"{lib}.optim.optimizer")
        assert optimizer.ParamsT and optimizer.StateDict == dict[str, Any]
        assert repr(optimizer.required) == "<required parameter>"
        assert importlib.import_module(f"{lib}.optim.adamw").AdamW is importlib.import_module(lib).optim.AdamW


def test_the_fans_of_a_weight() -> None:
    for shape in ((4, 3), (8, 2, 3, 3)):
        got, want = (
            [lib.nn.init._calculate_fan_in_and_fan_out(lib.empty(shape))]
            + [lib.nn.init._calculate_correct_fan(lib.empty(shape), mode) for mode in ("fan_in", "FAN_OUT")]
            for lib in (genesis, torch)
        )
        assert got == want


def test_a_loss_of_a_user_takes_what_it_says() -> None:
    for lib in (genesis, torch):
        base: Any = importlib.import_module(f"{lib.__name__}.nn.modules.loss")._WeightedLoss

        class Focal(base):  # type: ignore[misc]
            def __init__(self, weight: Any = None, gamma: float = 2.0, reduce: bool = True) -> None:
                super().__init__(weight, reduction="sum")
                self.gamma, self.reduce = gamma, reduce

            def forward(self, x: Any) -> Any:
                loss = (self.weight * x**self.gamma).abs()
                return loss.sum() if self.reduce else loss

        loss = Focal(lib.ones(2), reduce=False)
        assert isinstance(lib.nn.MSELoss(), importlib.import_module(f"{lib.__name__}.nn.modules.loss")._Loss)
        assert loss.reduction == "sum" and loss(lib.ones(2)).tolist() == [1.0, 1.0] and "weight" in loss.state_dict()
