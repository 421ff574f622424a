"""Groups of nodes and their order, against a search without shortcuts."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.errors import CompilerError
from compiler.fixpoint import turns
from compiler.groups import Group, Groups


def ancestors(group: Group) -> set[Group]:
    """All that ``group`` depends on, and itself."""
    found, pending = {group}, [group]
    while pending:
        new = pending.pop().sources - found
        found |= new
        pending += new
    return found


def assert_sound(groups: Groups) -> None:
    ranks = [g.rank for g in groups]
    assert len(set(ranks)) == len(ranks)
    for group in groups:
        assert all(group in s.readers and s.rank < group.rank for s in group.sources)
        assert all(group in r.sources for r in group.readers)


@given(st.data())
def test_the_order_holds_whatever_is_linked_and_merged(data: st.DataObject) -> None:
    groups = Groups()
    for position in range(8):
        groups.add(Group(position, 1))
    for _ in range(data.draw(st.integers(1, 25))):
        a, b = data.draw(st.permutations(list(groups)))[:2]
        below = ancestors(a)
        assert groups.depends(a, b) == (b in below)
        through = any(b in ancestors(g) for g in a.sources - {b})
        assert groups.depends_through_another(a, b) == through
        if data.draw(st.booleans()):
            if a in ancestors(b):
                with pytest.raises(CompilerError, match="circle of kernels"):
                    groups.link(a, b)
            else:
                groups.link(a, b)
        elif not through and not groups.depends_through_another(b, a) and len(list(groups)) > 2:
            assert groups.merge(a, b) in (a, b)
        assert_sound(groups)


def test_the_search_for_a_group_ends_where_it_is_found() -> None:
    groups = Groups()
    chain = [Group(position, 1) for position in range(100)]
    for group in chain:
        groups.add(group)
    for source, reader in pairwise(chain):
        groups.link(reader, source)
    last = Group(100, 1)
    groups.add(last)
    groups.link(last, chain[0])
    groups.link(last, chain[-1])
    before = groups.steps
    assert groups.depends(last, chain[0])
    assert groups.steps - before == 1


def test_a_loop_that_does_not_settle_is_an_error() -> None:
    with pytest.raises(CompilerError, match="the test does not settle within 4 turns"):
        for _ in turns("the test", 3):
            pass
