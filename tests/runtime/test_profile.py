"""Measured times as tables; the measurements are made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compiler.ir.location import Loc
from compiler.plan import Launch, Plan
from runtime.profile import Profile, summary

FILE = "/nowhere/model.py"
LAUNCHES = (
    Launch("k0_row_add", "row", ("take", "add", "sum", "mul", "rsqrt"), Loc(FILE, 9, "net.norm"), 4000, 80_000),
    Launch("k1_dot", "contract", ("dot", "add"), Loc(FILE, 12, "net.blocks.0.fc"), 8_000_000, 40_000),
    Launch("k1_dot", "contract", ("dot", "add"), Loc(FILE, 12, "net.blocks.1.fc"), 8_000_000, 40_000),
    Launch("k2_dot", "contract", ("dot",), Loc(FILE, 12, "net.blocks.0.fc"), 16_000_000, 60_000, "backward"),
    Launch("k3_pointwise_copy", "pointwise", (), Loc(FILE, 13, "net"), 0, 2000),
    Launch("k4_pointwise_sub", "pointwise", ("mul", "sub"), Loc("/nowhere/train.py", 30), 90_000, 600_000),
    Launch("memcpy", "copy", (), Loc(), 0, 0),
)
MICROSECONDS = [(10, 0), (40, 8), (60, 12), (100, 0), (2, 0), (50, 5), (0, 0)]


def plan(launches: tuple[Launch, ...] = LAUNCHES) -> Plan:
    return Plan("step", "c/avx2", "source", (), 0, (), 0, launches)


def measured(runs: int = 1, threads: int = 2) -> np.ndarray:
    """f64[runs, threads, launches, 2] seconds, every run and thread alike."""
    each = np.array([(whole - wait, wait) for whole, wait in MICROSECONDS]) * 1e-6
    return np.broadcast_to(each, (runs, threads, *each.shape)).copy()


def profile() -> Profile:
    return summary(plan(), np.array([300e-6]), measured())


def test_the_table(golden: Callable[[str, str], None]) -> None:
    golden("runtime/profile.txt", f"{profile()}\n")


def test_a_short_table_ends_in_the_rest(golden: Callable[[str, str], None]) -> None:
    golden("runtime/profile_short.txt", f"{profile().table(rows=2)}\n")


@pytest.mark.parametrize("view", ["launches", "kernels", "by_module", "by_line"])
def test_every_view_has_every_launch_and_sums_to_the_total(view: str) -> None:
    found = profile()
    rows = getattr(found, view)
    assert sorted((x for row in rows for x in row.launches), key=LAUNCHES.index) == list(LAUNCHES)
    assert sum(row.seconds for row in rows) == pytest.approx(found.total, rel=1e-12)
    assert found.total == pytest.approx(262e-6) and found.outside == pytest.approx(38e-6)
    if view != "launches":
        assert [row.seconds for row in rows] == sorted((row.seconds for row in rows), reverse=True)


def test_a_row_adds_its_launches_up() -> None:
    row = next(row for row in profile().kernels if row.name == "k1_dot")
    assert (row.flops, row.nbytes, row.scope, row.lines) == (16_000_000, 80_000, "net.blocks.*.fc", ("model.py:12",))
    assert (row.seconds, row.waiting, row.backward) == pytest.approx((100e-6, 20e-6, 0.0))
    assert (row.gflops, row.gbytes) == pytest.approx((160.0, 0.8))


def test_the_backward_pass_is_what_was_noted_so() -> None:
    row = next(row for row in profile().by_module if row.name == "net.blocks.0.fc")
    assert (row.seconds, row.backward) == pytest.approx((140e-6, 100e-6))


def test_rows_of_no_time_have_no_rate() -> None:
    row = next(row for row in profile().kernels if row.name == "memcpy")
    assert (row.gflops, row.gbytes, row.lines) == (0.0, 0.0, ("(unknown)",))


def test_modules_of_different_depth_share_their_beginning() -> None:
    launches = tuple(Launch("k", "row", (), Loc("", 0, scope), 0, 0) for scope in ("net.a.norm", "net.norm", "net.b"))
    (row,) = summary(plan(launches), np.ones(1), np.ones((1, 1, 3, 2))).kernels
    assert row.scope == "net.*.*"


def test_lines_of_files_of_one_name_stay_apart() -> None:
    launches = tuple(Launch("k", "row", (), Loc(f"/{folder}/model.py", 3), 0, 0) for folder in ("a", "b", "a"))
    rows = summary(plan(launches), np.ones(1), np.ones((1, 1, 3, 2))).by_line
    assert [(row.name, len(row.launches)) for row in rows] == [("model.py:3", 2), ("model.py:3", 1)]


def test_the_faster_half_of_the_runs_counts() -> None:
    spent = measured(runs=5)
    spent[1] *= 100
    spent[3] *= 50
    spent[2] *= 3
    found = summary(plan(), np.array([4.0, 90.0, 5.0, 80.0, 3.0]) * 1e-3, spent)
    assert found.runs == 5 and found.seconds == pytest.approx(4e-3)
    assert found.total == pytest.approx(262e-6 * (1 + 3 + 1) / 3)


def test_times_are_means_over_threads() -> None:
    spent = measured()
    spent[0, 1, 1] = 20e-6, 28e-6
    row = summary(plan(), np.ones(1), spent).launches[1]
    assert (row.seconds, row.waiting) == pytest.approx((44e-6, 18e-6))


def test_one_thread_waits_for_nobody() -> None:
    assert not any(row.waiting for row in summary(plan(), np.ones(1), measured(threads=1)).launches)


def test_the_text_of_a_line_is_shown_where_there_is_one(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("first\n    y = self.fc(x)\n")
    launches = (Launch("k0_dot", "contract", ("dot",), Loc(str(file), 2, "net.fc"), 8, 8),)
    text = str(summary(plan(launches), np.ones(1), np.ones((1, 1, 1, 2))))
    assert text.endswith("  net.py:2  y = self.fc(x)")
