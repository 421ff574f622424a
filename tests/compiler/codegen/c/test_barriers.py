from compiler.codegen.c.barriers import Access, Hazards

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
