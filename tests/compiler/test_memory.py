"""Offsets of temporaries: alive together means apart."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from compiler.memory import ALIGNMENT, Lifetime, assign_offsets

LIVES = st.lists(
    st.builds(
        lambda start, length, nbytes: Lifetime(start, start + length, nbytes),
        st.integers(0, 20),
        st.integers(0, 8),
        st.integers(0, 20_000),
    ),
    max_size=30,
)


def together(a: Lifetime, b: Lifetime) -> bool:
    return a.start <= b.end and b.start <= a.end


@given(LIVES)
def test_temporaries_alive_together_do_not_overlap(lives: list[Lifetime]) -> None:
    offsets, total = assign_offsets(lives)
    for (a, at), (b, to) in combinations(zip(lives, offsets, strict=True), 2):
        if together(a, b) and a.nbytes and b.nbytes:
            assert at + a.nbytes <= to or to + b.nbytes <= at
    for life, offset in zip(lives, offsets, strict=True):
        assert offset % ALIGNMENT == 0 and offset >= 0 and offset + life.nbytes <= total


@given(LIVES)
def test_the_arena_is_not_much_larger_than_what_must_be_there_at_once(lives: list[Lifetime]) -> None:
    _, total = assign_offsets(lives)
    peak = max((sum(a.nbytes for a in lives if a.start <= t <= a.end) for t in range(30)), default=0)
    padding = sum(9 * ALIGNMENT for _ in lives)
    assert peak <= total <= 2 * peak + padding


def test_memory_is_used_again() -> None:
    chain = [Lifetime(i, i + 1, 1000) for i in range(50)]
    offsets, total = assign_offsets(chain)
    assert len(set(offsets)) == 2 and total < 2 * 1100


def test_no_temporaries_need_no_memory() -> None:
    assert assign_offsets([]) == ([], 0)


def test_large_buffers_do_not_start_at_the_same_place_of_a_page() -> None:
    offsets, _ = assign_offsets([Lifetime(0, 0, 4096 * 4) for _ in range(6)])
    assert len({offset % 4096 for offset in offsets}) > 3
