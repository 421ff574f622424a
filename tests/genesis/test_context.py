"""Clocks, which tell programs that something changed."""

from threading import Thread

from genesis.memory.clock import Clock


def test_every_tick_shows_another_time_whatever_threads_tick() -> None:
    clock = Clock()
    seen: list[list[int]] = [[] for _ in range(4)]

    def tick(times: list[int]) -> None:
        for _ in range(500):
            before = clock.time
            clock.tick()
            times.append(before)

    threads = [Thread(target=tick, args=(times,)) for times in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    before = clock.time
    clock.tick()
    assert clock.time != before
    assert next(clock._times) == 4 * 500 + 2  # no tick was lost
