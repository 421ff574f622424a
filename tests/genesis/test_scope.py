"""Names that are out of scope, contexts that change nothing, settings with one value."""

import importlib
import re
import subprocess
import sys
from typing import Any

import pytest

import genesis
from compiler.errors import GenesisWarning
from genesis import once
from genesis.absent import OUT_OF_SCOPE


def test_a_name_out_of_scope_says_so() -> None:
    for name in OUT_OF_SCOPE:
        *spaces, last = name.split(".")
        owner: Any = genesis
        for space in spaces[1:]:
            owner = genesis.ones(1) if space == "Tensor" else getattr(owner, space)
        assert not hasattr(owner, last)
        with pytest.raises(genesis.GenesisError, match=re.escape(OUT_OF_SCOPE[name])):
            getattr(owner, last)


def test_an_import_of_a_missing_name_says_what_to_use() -> None:
    with pytest.raises(ImportError, match="sparse tensors are out of the scope"):
        from genesis import spmm  # type: ignore[attr-defined]  # noqa: F401
    with pytest.raises(ImportError, match="did you mean Adam"):
        from genesis.optim import Adma  # type: ignore[attr-defined]  # noqa: F401
    with pytest.raises(ImportError, match=r"no module 'genesis\.fx'; graphs of torch\.fx .* are out of the scope"):
        importlib.import_module("genesis.fx.experimental")
    with pytest.raises(ImportError, match="LSTM"):
        from genesis.nn.modules.rnn import Lstm  # type: ignore[import-not-found]  # noqa: F401


@pytest.mark.parametrize(
    "call",
    [
        lambda: genesis.jit.script(len),
        lambda: genesis.jit.trace(len, ()),
        lambda: genesis.profiler.profile(),
        lambda: genesis.compiler.disable(len),
        lambda: genesis.utils.checkpoint.checkpoint(int, "3"),
    ],
)
def test_a_call_that_changes_nothing_says_so_once(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "_SAID", set())
    with pytest.warns(GenesisWarning, match="changes nothing in Genesis: ") as warned:
        call()
    assert warned[0].filename == __file__
    call()


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: genesis.set_default_dtype(genesis.int64), TypeError, "only floating-point types"),
        (lambda: genesis.set_default_tensor_type("torch.LongTensor"), TypeError, "only floating-point types"),
        (lambda: genesis.set_default_device("cuda"), NotImplementedError, "memory of the CPU"),
        (lambda: genesis.set_float32_matmul_precision("low"), ValueError, "'highest', 'high', 'medium'"),
        (lambda: genesis.cuda.FloatTensor(2), NotImplementedError, "genesis.FloatTensor makes one"),
        (lambda: genesis.hub.load("a/b", "c"), NotImplementedError, "downloads nothing"),
        (lambda: genesis.jit.load("a"), NotImplementedError, "no TorchScript"),
        (lambda: genesis.mps.synchronize(), RuntimeError, "no device for mps"),
        (lambda: genesis.cuda.Event(), RuntimeError, "no device for cuda"),
        (lambda: genesis.distributed.init_process_group(world_size=2), NotImplementedError, "trains in one"),
        (lambda: genesis.nn.DataParallel(genesis.nn.ReLU(), [0, 1]), NotImplementedError, "one device"),
        (lambda: genesis.nn.attention.sdpa_kernel(3).__enter__(), TypeError, "SDPBackend"),
        (lambda: setattr(genesis.device("cpu"), "index", 3), AttributeError, "does not change"),
        (lambda: genesis.device("cuda").__enter__(), NotImplementedError, "memory of the CPU"),
        (lambda: genesis.finfo(genesis.int64), TypeError, "iinfo"),
        (lambda: genesis.testing.assert_close(1, 1, rtol=1.0), RuntimeError, "both"),
    ],
)
def test_what_there_is_not_is_refused(call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says) as raised:
        call()
    assert isinstance(raised.value, genesis.GenesisError) or error is AttributeError


def test_the_environment_of_several_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(NotImplementedError, match="4 processes"):
        genesis.distributed.init_process_group("nccl")
    assert not genesis.distributed.is_initialized()


def test_wrapped_modules_are_compiled() -> None:
    model = genesis.nn.DataParallel(genesis.nn.Linear(3, 2))
    optimizer = genesis.optim.SGD(model.parameters(), 0.1)

    def step(x: genesis.Tensor) -> genesis.Tensor:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    compiled, x = genesis.compile(step, backend="interpret"), genesis.ones(4, 3)
    losses = [compiled(x).item() for _ in range(3)]
    assert losses[0] > losses[1] > losses[2]
    assert compiled.compiles == 1


def test_processes_are_started(tmp_path: Any) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        "import sys\nfrom genesis import multiprocessing as mp\n"
        "def work(i, folder):\n    open(f'{folder}/{i}', 'w').write('done')\n    sys.exit(i // 2)\n"
        "if __name__ == '__main__':\n    mp.spawn(work, (sys.argv[1],), nprocs=int(sys.argv[2]))\n"
    )
    run = [sys.executable, str(script), str(tmp_path)]
    done = subprocess.run([*run, "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and (tmp_path / "0").read_text() == "done", done.stderr
    done = subprocess.run([*run, "3"], capture_output=True, text=True, check=False)
    assert "process 2 terminated with exit code 1" in done.stderr


def test_old_paths_list_their_names() -> None:
    module = importlib.import_module("genesis.nn.modules.conv")
    assert "Conv2d" in dir(module) and "Linear" in dir(module)


def test_a_measurement() -> None:
    measured = genesis.utils.benchmark.Timer(lambda: None).blocked_autorange(min_run_time=0.001)
    assert len(measured.times) >= 1 and measured.median > 0 and measured.mean > 0 and measured.iqr >= 0
    assert "Measurement" in repr(measured)
