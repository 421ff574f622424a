from compiler.hazards import Access, Hazards, agreed

SPANS = {"x0": (0, 64), "x1": (64, 128), "x2": (32, 96)}


def test_reading_what_all_threads_wrote_needs_a_barrier() -> None:
    hazards = Hazards(SPANS)
    hazards.add(Access(set(), {"x0"}), alone=False)
    assert hazards.meets(Access({"x0"}, set()), alone=False)
    assert hazards.meets(Access({"x0"}, set()), alone=True)
    assert not hazards.meets(Access({"x1"}, {"s3"}), alone=False)


def test_overwriting_what_another_thread_may_still_read_needs_a_barrier() -> None:
    hazards = Hazards(SPANS)
    hazards.add(Access({"x0"}, set()), alone=False)
    assert hazards.meets(Access(set(), {"x0"}), alone=False)
    assert not hazards.meets(Access({"x0"}, set()), alone=False)


def test_names_that_share_memory_meet() -> None:
    hazards = Hazards(SPANS)
    hazards.add(Access({"x0"}, set()), alone=False)
    assert hazards.meets(Access(set(), {"x2"}), alone=False)
    assert not hazards.meets(Access(set(), {"x1"}), alone=False)


def test_thread_0_never_waits_for_itself() -> None:
    hazards = Hazards(SPANS)
    hazards.add(Access(set(), {"x0"}), alone=True)
    assert not hazards.meets(Access({"x0"}, {"x1"}), alone=True)
    assert hazards.meets(Access({"x0"}, set()), alone=False)


def test_nothing_is_left_after_a_barrier() -> None:
    hazards = Hazards(SPANS)
    hazards.add(Access({"x0"}, {"x1"}), alone=False)
    hazards.add(Access({"x0"}, {"x2"}), alone=True)
    hazards.clear()
    assert not hazards.meets(Access({"x1", "x2"}, {"x0"}), alone=False)


def test_even_shares_of_the_same_blocks_do_not_meet() -> None:
    """x3 begins a whole block behind x1, x2 half a one."""
    halves = {"x1": 32, "x2": 32, "x3": 32, "s0": 16}
    for evenly in (True, False):
        hazards = Hazards({"x1": (64, 192), "x2": (80, 112), "x3": (96, 224)}, evenly)
        hazards.add(Access(set(), {"x1", "s0"}, halves), alone=False)
        for name, apart in (("x1", True), ("x2", False), ("x3", True), ("s0", True)):
            assert hazards.meets(Access({name}, set(), halves), alone=False) != (apart and evenly)
        assert hazards.meets(Access({"x1"}, set(), {"x1": 64}), alone=False), "halves of larger blocks"
        assert hazards.meets(Access({"x1"}, set()), alone=False), "all of it"


def test_names_with_blocks_of_several_sizes_have_none() -> None:
    assert agreed([("a", 8), ("b", 8), ("a", 8), ("b", 4), ("c", 0)]) == {"a": 8}
