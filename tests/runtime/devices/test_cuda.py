"""The launch path against a driver that records its calls and works on host memory."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from compiler.errors import DeviceError
from runtime.devices.cuda import Address, CudaDevice, CudaProgram, KernelImage, KernelLaunch, Span

SCALE = KernelImage("scale", b"scale 8 8 4 4 8 8", ("*fp32", "*fp32", "fp32", "i32"), num_warps=4, shared=64 * 1024)
ACCUMULATE = KernelImage("accumulate", b"accumulate 8 8 8 8", ("*fp32", "*fp32"), num_warps=1)


CURRENT = "cuCtxSetCurrent 0xc0de"


def scale_program(device, states=()):
    """y = 2 x for four floats: x at 0, y at 256; then the first of y is added to a state."""
    scale = KernelLaunch(0, (2, 1, 1), (Address(0, 0), Address(0, 256), 2.0, 4))
    accumulate = KernelLaunch(1, (1, 1, 1), (Address(0, 256), Address(1, 0)))
    launches = [scale, accumulate] if states else [scale]
    spans = {"arena_bytes": 512, "inputs": Span(0, 16), "outputs": Span(256, 16)}
    return CudaProgram(device, [SCALE, ACCUMULATE], launches, **spans, states=states)


def test_the_exact_calls(driver):
    device = CudaDevice()
    assert driver.calls() == ["cuInit 0", "cuDeviceGet 0", "cuDevicePrimaryCtxRetain 0"]
    state = device.allocate(4)
    state.write(np.zeros(1, np.float32))
    assert driver.calls() == [CURRENT, "cuMemAlloc_v2 4", CURRENT, "cuMemcpyHtoD_v2 block 0 + 0, 4 bytes"]

    program = scale_program(device, [state])
    assert driver.calls() == [
        CURRENT,
        "cuModuleLoadData scale",
        "cuModuleGetFunction scale",
        "cuFuncSetAttribute scale 8 65536",
        "cuModuleLoadData accumulate",
        "cuModuleGetFunction accumulate",
        CURRENT,
        "cuMemAlloc_v2 512",
        "cuMemHostAlloc 16 0",
        "cuMemHostAlloc 16 0",
        "cuStreamCreate 1",
        "cuStreamBeginCapture_v2 1",
        "cuLaunchKernel scale grid 2 1 1 block 128 1 1 shared 65536"
        ", block 1 + 0, block 1 + 256, 0x40000000, 0x4, null, null",
        "cuLaunchKernel accumulate grid 1 1 1 block 32 1 1 shared 0, block 1 + 256, block 0 + 0, null, null",
        "cuStreamEndCapture",
        "cuGraphInstantiateWithFlags 0",
    ]

    for _ in range(2):
        program.run()
        assert driver.calls() == [
            CURRENT,
            "cuMemcpyHtoDAsync_v2 block 1 + 0, 16 bytes",
            "cuGraphLaunch",
            "cuMemcpyDtoHAsync_v2 block 1 + 256, 16 bytes",
            "cuStreamSynchronize",
        ]

    program.close()
    assert driver.calls() == [
        CURRENT,
        "cuGraphExecDestroy",
        "cuGraphDestroy",
        "cuStreamDestroy_v2",
        "cuMemFreeHost block 3 + 0",
        "cuMemFreeHost block 2 + 0",
        "cuMemFree_v2 block 1 + 0",
        "cuModuleUnload",
        "cuModuleUnload",
    ]


def test_inputs_reach_the_kernel_and_states_stay(driver):
    device = CudaDevice()
    state = device.allocate(4)
    state.write(np.array([100], np.float32))
    with scale_program(device, [state]) as program:
        for start in (1, 5):
            x = np.arange(start, start + 4, dtype=np.float32)
            program.inputs.view(np.float32)[:] = x
            program.run()
            np.testing.assert_array_equal(program.outputs.view(np.float32), 2 * x)
    total = np.empty(1, np.float32)
    state.read(total)
    assert total[0] == 100 + 2 * 1 + 2 * 5


def test_scratch_is_the_largest_demand_and_passed_first(driver):
    image = KernelImage("scale", SCALE.cubin, SCALE.parameters, num_warps=4, global_scratch=384)
    launches = [KernelLaunch(0, (grid, 1, 1), (Address(0, 0), Address(0, 16), 2.0, 4)) for grid in (3, 2)]
    CudaProgram(CudaDevice(), [image], launches, arena_bytes=32)
    calls = driver.calls()
    assert calls.count(f"cuMemAlloc_v2 {3 * 384}") == 1
    assert sum("0x4, block 1 + 0, null" in call for call in calls) == 2


@pytest.mark.parametrize("capability, target", [(80, "sm_80"), (89, "sm_80"), (90, "sm_90"), (100, "sm_100")])
def test_target(driver, capability, target):
    driver.set_capability(capability)
    assert CudaDevice().target() == target


@pytest.mark.parametrize("capability, shown", [(75, "7.5"), (103, "10.3"), (120, "12.0")])
def test_unknown_gpu_names_the_known_ones_and_the_way_out(driver, capability, shown):
    driver.set_capability(capability)
    with pytest.raises(DeviceError, match=rf'capability {shown}; .* 8\.x, 9\.0 and 10\.0\. .*backend="c"'):
        CudaDevice().target()


def test_no_driver_says_what_was_looked_for_and_the_way_out(monkeypatch):
    monkeypatch.setenv("GENESIS_LIBCUDA", "libno-such-driver.so.1")
    with pytest.raises(DeviceError, match=r'libno-such-driver\.so\.1 .* GENESIS_LIBCUDA, .* backend="c"'):
        CudaDevice()


def test_no_device_names_the_error_and_the_way_out(driver):
    driver.fail(b"cuInit", 100)
    with pytest.raises(DeviceError, match=r'CUDA_ERROR_NO_DEVICE .* backend="c"'):
        CudaDevice()


def test_failed_program_gives_everything_back(driver):
    device = CudaDevice()
    driver.fail(b"cuGraphInstantiateWithFlags", 1)
    with pytest.raises(DeviceError, match="cuGraphInstantiateWithFlags failed: CUDA_ERROR_INVALID_VALUE"):
        scale_program(device)
    calls = driver.calls()
    assert calls[-1] == "cuModuleUnload"
    for made, freed in [
        ("cuMemAlloc", "cuMemFree_v2"),
        ("cuMemHostAlloc", "cuMemFreeHost"),
        ("cuStreamCreate", "cuStreamDestroy"),
    ]:
        assert sum(call.startswith(made) for call in calls) == sum(call.startswith(freed) for call in calls) > 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((Address(0, 0),), "scale takes 4 arguments, not 1"),
        ((Address(0, 0), 0, 2.0, 4), r"an argument of type \*fp32, not 0"),
        ((Address(0, 0), Address(0, 16), 2.0, Address(0, 0)), "an argument of type i32, not Address"),
    ],
)
def test_wrong_arguments(driver, arguments, message):
    with pytest.raises(ValueError, match=message):
        CudaProgram(CudaDevice(), [SCALE], [KernelLaunch(0, (1, 1, 1), arguments)], arena_bytes=32)


def test_copies_stay_within_their_memory(driver):
    memory = CudaDevice().allocate(16)
    with pytest.raises(ValueError, match="16 bytes at offset 4 do not fit into 16 bytes"):
        memory.write(np.zeros(4, np.float32), offset=4)
    with pytest.raises(ValueError, match="C-contiguous"):
        memory.read(np.zeros((2, 4), np.float32)[:, ::2])


def balanced(calls: list[str]) -> bool:
    """Whether everything that was made is given back, and the device in between works."""
    pairs = [
        ("cuMemAlloc", "cuMemFree_v2"),
        ("cuMemHostAlloc", "cuMemFreeHost"),
        ("cuStreamCreate", "cuStreamDestroy"),
        ("cuStreamBeginCapture", "cuStreamEndCapture"),
        ("cuModuleLoadData", "cuModuleUnload"),
    ]
    count = {word: sum(call.startswith(word) for call in calls) for pair in pairs for word in pair}
    return all(count[made] == count[freed] > 0 for made, freed in pairs)


@pytest.mark.parametrize(
    "call", ["cuLaunchKernel", "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuStreamCreate"]
)
def test_a_failure_while_a_program_is_made_ends_the_capture_and_gives_all_back(driver, call):
    device = CudaDevice()
    driver.fail(call.encode(), 1)
    with pytest.raises(DeviceError, match=f"{call} failed"):
        scale_program(device)
    calls = driver.calls()
    assert call == "cuStreamCreate" or balanced(calls)
    with scale_program(device) as program:  # the next try works
        program.inputs.view(np.float32)[:] = 1
        program.run()
        assert program.outputs.view(np.float32).tolist() == [2, 2, 2, 2]


def test_a_wrong_launch_ends_the_capture(driver):
    with pytest.raises(ValueError, match="scale takes 4 arguments"):
        CudaProgram(CudaDevice(), [SCALE], [KernelLaunch(0, (1, 1, 1), ())], arena_bytes=32)
    calls = driver.calls()
    assert "cuStreamEndCapture" in calls and "cuGraphDestroy" in calls


def test_every_thread_gets_the_context(driver):
    device = CudaDevice()
    with ThreadPoolExecutor(1) as thread:
        state = thread.submit(device.allocate, 4).result()
        thread.submit(state.write, np.zeros(1, np.float32)).result()
        program = thread.submit(scale_program, device, [state]).result()
    program.inputs.view(np.float32)[:] = 3
    with ThreadPoolExecutor(1) as thread:
        thread.submit(program.run).result()
        total = np.empty(1, np.float32)
        thread.submit(state.read, total).result()
        assert total[0] == 6
    with ThreadPoolExecutor(1) as thread:
        thread.submit(program.close).result()
        thread.submit(state.free).result()
    assert sum(call.startswith("cuMemFree_v2") for call in driver.calls()) == 2


def test_nothing_is_freed_while_a_graph_is_captured(driver):
    device = CudaDevice()
    memory = device.allocate(4)
    with device.capturing():
        driver.calls()
        device.give_back(memory.free)
        assert driver.calls() == []
    assert driver.calls() == [CURRENT, "cuMemFree_v2 block 0 + 0"]


def test_a_program_that_nobody_has_is_closed_once(driver):
    device = CudaDevice()
    program = scale_program(device)
    driver.calls()
    program.close()
    program.close()
    del program
    gc.collect()
    assert driver.calls().count("cuGraphExecDestroy") == 1
    program = scale_program(device)
    driver.calls()
    del program
    gc.collect()
    assert driver.calls().count("cuGraphExecDestroy") == 1


def test_a_closed_device_says_so_and_frees_nothing_more(driver):
    device = CudaDevice()
    memory = device.allocate(4)
    driver.calls()
    device.close()
    device.close()
    device.give_back(memory.free)
    assert driver.calls() == ["cuDevicePrimaryCtxRelease_v2 0"]
    with pytest.raises(DeviceError, match="this GPU was closed"):
        device.allocate(4)


def test_uploads_are_in_the_order_of_the_stream_that_reads_them(driver):
    device = CudaDevice()
    state = device.allocate(4)
    program = scale_program(device, [state])
    program.inputs.view(np.float32)[:] = 1
    driver.calls()
    program.run([(state, np.array([5], np.float32))])
    calls = driver.calls()
    assert calls[1] == "cuMemcpyHtoDAsync_v2 block 0 + 0, 4 bytes"
    assert calls.index("cuGraphLaunch") > 1 and calls[-1] == "cuStreamSynchronize"
    total = np.empty(1, np.float32)
    state.read(total)
    assert total[0] == 7


@pytest.mark.parametrize(("version", "toolkit"), [(12090, "12.9"), (12020, "12.9"), (13000, "12.9")])
def test_a_driver_runs_what_its_major_version_made(driver, version, toolkit):
    driver.set_version(version)
    CudaDevice().check_version(toolkit)


def test_an_old_driver_is_named_in_words(driver):
    driver.set_version(12040)
    with pytest.raises(DeviceError, match=r'knows CUDA up to 12\.4, but .*ptxas wrote .* CUDA 13\.1\. .*backend="c"'):
        CudaDevice().check_version("13.1")
