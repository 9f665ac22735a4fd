"""Idle threads: a call starts at once, in the thread that was idle last, or is refused."""

import threading

from flowforge.cli.idle import IdleThreads

SECONDS = 10


def run(threads: IdleThreads) -> str:
    """The name of the thread that took a call, once it is idle again."""
    names: list[str] = []
    assert threads.offer(lambda: names.append(threading.current_thread().name))
    tick = threading.Event()
    while not (names and threads._idle):
        tick.wait(0.001)
    return names[0]


def test_it_works() -> None:
    threads = IdleThreads(3, "idle")
    assert {run(threads) for _ in range(5)} == {"idle-0"}
    assert len(threads._threads) == 1, "more are started when they are needed"
    threads.stop()
    assert not any(thread.is_alive() for thread in threads._threads)


def test_it_rejects_a_call_for_which_no_thread_is_idle() -> None:
    threads, go_on = IdleThreads(1, "idle"), threading.Event()
    assert threads.offer(lambda: go_on.wait(SECONDS) and None)
    assert not threads.offer(lambda: None)
    go_on.set()
    threads.stop()
