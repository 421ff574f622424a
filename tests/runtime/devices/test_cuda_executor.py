"""A step's memory on a GPU: what goes where, and what comes back."""

import gc
from dataclasses import replace

import numpy as np
import pytest

from compiler.errors import DeviceError
from compiler.halves import HALVES, split
from compiler.ir.location import Loc
from compiler.ir.types import dtype
from compiler.places import Anywhere, Place, sliced
from compiler.plan import Buffer, Check, Launch, Plan, Repeat, Slot
from runtime.devices.cuda import CudaDevice, KernelImage
from runtime.devices.cuda_executor import CudaExecutor, Part, StateStore


def launch(kernel: str, *arguments: Anywhere) -> Launch:
    return Launch(kernel, "pointwise", (), Loc(), 0, 0, arguments=arguments)


IMAGES = [
    KernelImage("check", b"check 8 8 8 8", ("*fp32", "*i64"), num_warps=1),
    KernelImage("add_by_table", b"add_by_table 8 8 8", ("*i64",), num_warps=4),
    KernelImage("accumulate", b"accumulate 8 8 8 8", ("*fp32", "*fp32"), num_warps=1),
]

STEP = Plan(
    name="step",
    target="sm_80",
    source="",
    scratch=(),
    threads=0,
    slots=(
        Slot("state", "w", "f32", (3,)),
        Slot("input", "", "f32", (3,)),
        Slot("scalar", "lr", "f64", ()),
        Slot("output", "", "f32", (2,)),
    ),
    buffers=(
        Buffer("state", 0, "f32", (3,)),
        Buffer("input", 1, "f32", (3,)),
        Buffer("scalar", 2, "f64", ()),
        Buffer("output", 3, "f32", (2,)),
        Buffer("temporary", 64, "f32", (4,)),
        Buffer("status", 0, "i64", ()),
        Buffer("table", 0, "i64", (3,)),
    ),
    arena_bytes=128,
    tables=((Place(1), Place(0), 3),),
    steps=(
        launch("check", Place(1), Place(5)),
        launch("add_by_table", Place(6)),
        launch("accumulate", Place(0, 4), Place(3, 4)),
    ),
    checks=(Check("class index", 10, "train.py:3"),),
    written=(0,),
)
"""The state grows by the input; the state's second element is added to the output's second."""


@pytest.fixture
def device(driver) -> CudaDevice:
    return CudaDevice()


def executor(device: CudaDevice, store: StateStore | None = None) -> CudaExecutor:
    return CudaExecutor(STEP, IMAGES, store or StateStore(device), device)


def array(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_states_stay_on_the_device_until_they_are_fetched(device) -> None:
    state, step = array(1, 2, 3), executor(device)
    step.bind([state])
    for _ in range(2):
        step.run([array(10, 20, 30)], [0.1])
    assert state.tolist() == [1, 2, 3]
    step.fetch()
    assert state.tolist() == [21, 42, 63]


def test_outputs_are_fresh_and_arguments_lie_where_the_step_says(device, driver) -> None:
    step = executor(device)
    step.bind([array(1, 2, 3)])
    launches = [line for line in driver.calls() if line.startswith("cuLaunchKernel")]
    # Block 0 is the state, block 1 the arena: input, scalar, status, output, then temporaries and the table.
    assert [line.split("shared 0, ")[1] for line in launches] == [
        "block 1 + 0, block 1 + 512, null, null",
        "block 1 + 1280, null, null",
        "block 0 + 4, block 1 + 772, null, null",
    ]
    (first,), (second,) = (step.run([array(0, 2e30, 0)], [0.1]) for _ in range(2))
    assert second[1] - first[1] == pytest.approx(4e30)


def test_a_loop_launches_at_the_places_of_every_iteration(device, driver) -> None:
    loop = Repeat(0, 2, (launch("accumulate", sliced(Place(0), 0, 2, 4, False), Place(3)),))
    step = CudaExecutor(replace(STEP, steps=(loop,)), IMAGES, StateStore(device), device)
    step.bind([array(1, 2, 3)])
    launches = [line for line in driver.calls() if line.startswith("cuLaunchKernel")]
    assert [line.split("shared 0, ")[1] for line in launches] == [
        "block 0 + 0, block 1 + 768, null, null",
        "block 0 + 4, block 1 + 768, null, null",
    ]


def test_programs_share_states(device) -> None:
    state, store = array(1, 2, 3), StateStore(device)
    first, second = executor(device, store), executor(device, store)
    first.bind([state])
    second.bind([state])
    first.run([array(1, 1, 1)], [0.0])
    second.run([array(1, 1, 1)], [0.0])
    second.fetch()
    assert state.tolist() == [3, 4, 5]


def test_memory_of_a_state_goes_with_its_array(device, driver) -> None:
    store = StateStore(device)
    state = array(1, 2, 3)
    store.part(store.resident(state), "f32", 12)
    driver.calls()
    del state
    gc.collect()
    assert driver.calls() == ["cuCtxSetCurrent 0xc0de", "cuMemFree_v2 block 0 + 0"]


def test_a_failed_check_names_the_element_and_the_index_and_is_forgotten(device) -> None:
    step = executor(device)
    step.bind([array(1, 2, 3)])
    with pytest.raises(IndexError, match=r"class index -2 is out of range \[0, 10\) \(element 3\)\n  at train.py:3"):
        step.run([array(-1, 0, 0)], [0.0])
    step.run([array(1, 0, 0)], [0.0])


def test_binding_again_moves_the_program(device) -> None:
    step, one, two = executor(device), array(1, 1, 1), array(5, 5, 5)
    step.bind([one])
    step.bind([two])
    step.run([array(1, 2, 3)], [0.0])
    step.fetch()
    assert two.tolist() == [6, 7, 8] and one.tolist() == [1, 1, 1]
    step.close()


def test_the_device_owns_the_states_until_they_are_fetched(device, driver) -> None:
    state, step = array(1, 2, 3), executor(device)
    step.bind([state])
    step.run([array(1, 1, 1)], [0.0])
    with pytest.raises(ValueError, match="read-only"):  # it would be lost
        state[0] = 100
    step.fetch()
    state[0] = 100
    driver.calls()
    step.run([array(1, 1, 1)], [0.0])
    assert sum("HtoDAsync_v2 block 0 + 0" in call for call in driver.calls()) == 1
    step.run([array(1, 1, 1)], [0.0])
    assert not any("HtoDAsync_v2 block 0 + 0" in call for call in driver.calls())
    step.fetch()
    step.fetch()
    assert state.tolist() == [102, 5, 6]
    assert sum("DtoH_v2 block 0" in call for call in driver.calls()) == 1


def test_an_array_that_was_read_only_stays_so(device) -> None:
    state, step = array(1, 2, 3), executor(device)
    state.flags.writeable = False
    step.bind([state])
    step.run([array(1, 1, 1)], [0.0])
    step.fetch()
    assert state.tolist() == [2, 3, 4] and not state.flags.writeable


def test_a_program_sees_what_another_left_on_the_device_and_what_the_host_wrote(device) -> None:
    state, store = array(1, 2, 3), StateStore(device)
    first, second = executor(device, store), executor(device, store)
    first.bind([state])
    second.bind([state])
    first.run([array(1, 1, 1)], [0.0])
    store.fetch(state)
    state += 10
    second.run([array(1, 1, 1)], [0.0])
    first.run([array(1, 1, 1)], [0.0])
    store.fetch(state)
    assert state.tolist() == [14, 15, 16]


@pytest.mark.parametrize("call", ["cuMemAlloc_v2", "cuGraphInstantiateWithFlags", "cuLaunchKernel"])
def test_a_failed_bind_leaves_the_program_as_it_was(device, driver, call) -> None:
    step, one, two = executor(device), array(1, 1, 1), array(5, 5, 5)
    step.bind([one])
    driver.calls()
    driver.fail(call.encode(), 1)
    with pytest.raises(DeviceError, match=f"{call} failed"):
        step.bind([two])
    driver.calls()
    step.run([array(1, 2, 3)], [0.0])
    step.fetch()
    assert one.tolist() == [2, 3, 4] and two.tolist() == [5, 5, 5]


def test_a_failed_launch_leaves_the_states_with_their_owner(device, driver) -> None:
    step, state = executor(device), array(1, 1, 1)
    step.bind([state])
    driver.calls()
    driver.fail(b"cuGraphLaunch", 1)
    with pytest.raises(DeviceError, match="cuGraphLaunch failed"):
        step.run([array(1, 2, 3)], [0.0])
    assert driver.calls()[-1] == "cuStreamSynchronize"
    state[0] = 7  # still the host's
    step.run([array(1, 2, 3)], [0.0])
    step.fetch()
    assert state.tolist() == [8, 3, 4]


def test_a_closed_step_says_so(device) -> None:
    step, state = executor(device), array(1, 1, 1)
    step.bind([state])
    step.run([array(1, 1, 1)], [0.0])
    step.close()
    step.close()
    with pytest.raises(DeviceError, match="this step on the GPU was closed"):
        step.run([array(1, 1, 1)], [0.0])
    step.fetch()
    assert state.tolist() == [2, 2, 2]  # what was on the device is not lost


SHADOWED = replace(
    STEP,
    slots=(*STEP.slots, Slot("shadow", "w in bf16", "bf16", (3,))),
    buffers=(*STEP.buffers, Buffer("shadow", 4, "bf16", (3,))),
    refresh=(launch("accumulate", Place(0), Place(7)),),
    parts=((4, 0),),
    written=(0, 4),
)


def launched(driver, step: CudaExecutor) -> int:
    """Graphs that a run of a step launches: its own, and one that makes its shadows again if need be."""
    driver.calls()
    step.run([array(1, 1, 1)], [0.0])
    return sum(call.startswith("cuGraphLaunch") for call in driver.calls())


def test_shadows_are_made_anew_where_others_have_changed_the_state(device, driver) -> None:
    state, store = array(1, 2, 3), StateStore(device)
    step, other, reader = (
        CudaExecutor(plan, IMAGES, store, device) for plan in (SHADOWED, STEP, replace(STEP, written=()))
    )
    for program in (step, other, reader):
        program.bind([state])
    assert [launched(driver, step) for _ in range(2)] == [2, 1], "the step itself keeps up the shadow"
    step.fetch()
    assert [launched(driver, step) for _ in range(2)] == [2, 1], "the host may have written the state"
    launched(driver, other)
    assert [launched(driver, step) for _ in range(2)] == [2, 1], "another program writes the state alone"
    launched(driver, reader)
    assert launched(driver, step) == 1, "it writes no state"


def test_programs_share_shadows(device, driver) -> None:
    state, store = array(1, 2, 3), StateStore(device)
    first, second = (CudaExecutor(SHADOWED, IMAGES, store, device) for _ in range(2))
    first.bind([state])
    second.bind([state])
    assert [launched(driver, step) for step in (first, second, first)] == [2, 1, 1]
    launch_of_refresh = "block 0 + 0, block 1 + 0, null, null"
    driver.calls()
    second.bind([state])
    assert sum(launch_of_refresh in call for call in driver.calls()) == 1


def test_a_failed_run_leaves_shadows_to_be_made_anew(device, driver) -> None:
    state = array(1, 2, 3)
    step = CudaExecutor(SHADOWED, IMAGES, StateStore(device), device)
    step.bind([state])
    with pytest.raises(IndexError):
        step.run([array(-1, 0, 0)], [0.0])
    assert [launched(driver, step) for _ in range(2)] == [2, 1]


def test_memory_of_shadows_goes_with_the_array_of_the_state(device, driver) -> None:
    store, state = StateStore(device), array(1, 2, 3)
    for name, nbytes in ("f32", 12), ("bf16", 6):
        store.part(store.resident(state), name, nbytes)
    driver.calls()
    del state
    gc.collect()
    assert sum(call.startswith("cuMemFree") for call in driver.calls()) == 2


HALVED = replace(
    STEP,
    slots=(*STEP.slots, Slot("half", "w in bf16", "bf16", (3,)), Slot("half", "w in i16", "i16", (3,))),
    buffers=(*STEP.buffers, Buffer("half", 4, "bf16", (3,)), Buffer("half", 5, "i16", (3,))),
    steps=(launch("check", Place(1), Place(5)), launch("accumulate", Place(1), Place(4))),
    tables=((0,) * 3,),
    parts=((4, 0), (5, 0)),
    written=(4, 5),
)
"""A step that has the state in halves; its kernels know nothing of them."""

READING = replace(HALVED, slots=HALVED.slots[:5], buffers=HALVED.buffers[:8], parts=((4, 0),), written=())
"""A step that reads the first half."""


def uploaded(driver, step: CudaExecutor) -> list[int]:
    """The sizes of what a run sends to the device, but for its arguments."""
    driver.calls()
    step.run([array(1, 1, 1)], [0.0])
    calls = [call for call in driver.calls() if call.startswith("cuMemcpyHtoDAsync_v2")]
    return [int(call.split()[-2]) for call in calls[:-1]]


def bound(plan: Plan, store: StateStore, device: CudaDevice, state: np.ndarray) -> CudaExecutor:
    step = CudaExecutor(plan, IMAGES, store, device)
    step.bind([state])
    return step


def test_a_state_in_halves_takes_no_other_memory(device, driver) -> None:
    state, store = array(1, 2, 3), StateStore(device)
    step = bound(HALVED, store, device, state)
    assert [call for call in driver.calls() if call.startswith("cuMemAlloc")][:2] == ["cuMemAlloc_v2 6"] * 2
    assert [uploaded(driver, step) for _ in range(2)] == [[6, 6], []]
    del step, state
    gc.collect()
    assert sum(call == "cuMemFree_v2 block 0 + 0" or call == "cuMemFree_v2 block 1 + 0" for call in driver.calls()) == 2


def test_halves_are_joined_for_the_host(device, driver) -> None:
    """The device's numbers, not those that the array had; all bits of them."""
    state, store = array(np.pi, -0.0, 1e-42), StateStore(device)
    before = state.copy()
    step = bound(HALVED, store, device, state)
    step.run([array(1, 1, 1)], [0.0])
    parts = store.resident(state).parts
    assert [half.tobytes() for half in split(before).values()] == [read(parts[name]).tobytes() for name in HALVES]
    parts["i16"].memory.write(split(before)["i16"] + np.int16(1))
    with pytest.raises(ValueError, match="read-only"):
        state[0] = 1
    step.fetch()
    np.testing.assert_array_equal(state.view(np.int32), before.view(np.int32) + 1)
    state[0] = 1
    assert uploaded(driver, step) == [6, 6], "the host may have written the state"


def read(part: Part) -> np.ndarray:
    found = np.empty(3, dtype(part.dtype).numpy)
    part.memory.read(found)
    return found


def test_programs_hand_a_state_over_in_the_form_that_each_has(device, driver) -> None:
    state, store = array(np.pi, 2, 3), StateStore(device)
    halves, whole, reading = (bound(plan, store, device, state) for plan in (HALVED, STEP, READING))
    assert uploaded(driver, reading) == [6], "it needs one half"
    assert uploaded(driver, halves) == [6], "and this one the other"
    assert uploaded(driver, reading) == []
    assert uploaded(driver, whole) == [12], "joined by way of the array"
    assert uploaded(driver, whole) == []
    assert uploaded(driver, reading) == [6], "the whole has changed"
    assert uploaded(driver, halves) == [6]
    halves.fetch()
    np.testing.assert_array_equal(state, np.float32([np.pi, 2, 3]) + np.float32(2))


def test_a_step_that_only_reads_leaves_the_array_up_to_date(device, driver) -> None:
    state, store = array(np.pi, 2, 3), StateStore(device)
    step = bound(READING, store, device, state)
    step.run([array(1, 1, 1)], [0.0])
    driver.calls()
    store.fetch(state)
    state[0] = 4
    assert driver.calls() == [], "nothing came back"
    assert uploaded(driver, step) == [6]


def test_a_failed_check_leaves_halves_to_be_sent_again(device, driver) -> None:
    state = array(np.pi, 2, 3)
    step = bound(HALVED, StateStore(device), device, state)
    with pytest.raises(IndexError):
        step.run([array(-1, 0, 0)], [0.0])
    state[0] = 4  # still the host's
    assert uploaded(driver, step) == [6, 6]
    step.fetch()
    assert state.tolist() == [4, 2, 3]
