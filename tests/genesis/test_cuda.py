"""A recorded step all the way to the driver's launches."""

import re

import numpy as np
import pytest

from compiler.pipeline import Stages
from genesis import cuda
from tests.compiler.codegen.triton.steps import record
from tests.runtime.devices.conftest import driver, library  # noqa: F401


@pytest.fixture(autouse=True)
def own_gpu():
    """No test sees the driver of another."""
    cuda.gpu.cache_clear()
    yield
    cuda.gpu.cache_clear()


def test_a_step_is_compiled_captured_and_launched(driver) -> None:  # noqa: F811
    graph, arrays = record(
        lambda x, y: (x @ y).softmax(-1), [np.ones((4, 8), np.float32), np.ones((8, 16), np.float32)]
    )
    executor = cuda.cuda_executor(Stages(graph))
    executor.bind([])
    calls = driver.calls()
    kernels = [line.split()[1] for line in calls if line.startswith("cuModuleGetFunction")]
    grids = [re.search(r"grid (\d+ \d+ \d+)", line)[1] for line in calls if line.startswith("cuLaunchKernel")]
    assert (kernels, grids) == (["dot", "row_amax_sub_exp"], ["1 1 1", "1 1 1"])
    (result,) = executor.run(arrays, [])
    assert result.shape == (4, 16)
    assert "cuGraphLaunch" in driver.calls()


def test_a_gpu_that_is_not_there_names_the_way_out(monkeypatch) -> None:
    monkeypatch.setenv("GENESIS_LIBCUDA", "libno-such-driver.so.1")
    graph, _ = record(lambda x: x.softmax(-1), [np.ones((4, 8), np.float32)])
    with pytest.raises(RuntimeError, match='backend="c"'):
        cuda.cuda_executor(Stages(graph))
