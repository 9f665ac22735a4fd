"""The workloads of docs/benchmarks.md, written once for every system. Each gives figures by name."""

import time
from collections.abc import Callable, Mapping

from tests.bench.stacks import Driving
from tests.bench.systems import CannotDo, Driver, Sizes, timed_spread

Figures = dict[str, list[float]]  # the samples of one round, by figure
IDLE_SECONDS = 0.02


def footprint(driver: Driver, sizes: Sizes) -> Figures:
    """W6: from the command to the first answer, on data that are there; memory of all its processes, idle."""
    time.sleep(sizes.settle)
    return {"W6 start s": [driver.start_seconds], "W6 memory MB": [driver.processes.memory_mb()]}


def one_step(driver: Driver, sizes: Sizes) -> Figures:
    """W4: idle, a run of one step, from the call to its end."""
    samples = []
    driver.chain(1)
    for _ in range(sizes.singles):
        time.sleep(IDLE_SECONDS)
        samples.append(driver.chain(1) * 1000)
    return {"W4 ms": samples}


def effect_chain(driver: Driver, sizes: Sizes) -> Figures:
    """W1: one run, trivial effect steps in a chain."""
    if sizes.warm_up:
        driver.chain(sizes.chain)
    return {"W1 ms": [driver.chain(sizes.chain) * 1000 * (40 / sizes.chain) for _ in range(sizes.chains)]}


def pure_chain(driver: Driver, sizes: Sizes) -> Figures:
    """W1 pure: the same of steps that only compute. FlowForge alone makes the difference."""
    if not isinstance(driver, Driving):
        raise CannotDo("makes no difference between effects and pure steps")
    driver.pure_chain(sizes.chain)
    return {"W1 pure ms": [driver.pure_chain(sizes.chain) * 1000 * (40 / sizes.chain) for _ in range(sizes.chains)]}


def parallel(driver: Driver, sizes: Sizes) -> Figures:
    """W3: one run, parallel effect steps and a join."""
    if sizes.warm_up:
        driver.fan(sizes.width)
    return {"W3 steps/s": [sizes.width / driver.fan(sizes.width)]}


def many_runs(driver: Driver, sizes: Sizes) -> Figures:
    """W2: runs of a short chain, each started by a call of its own."""
    driver.chain(sizes.steps)
    return {"W2 runs/s": [sizes.runs / driver.many(sizes.runs, sizes.steps)]}


def batch(driver: Driver, sizes: Sizes) -> Figures:
    """W2 batch: the same, started by one call."""
    return {"W2 batch runs/s": [sizes.runs / driver.batch(sizes.runs, sizes.steps)]}


def reading(driver: Driver, sizes: Sizes) -> Figures:
    """W5: one run, and lists of 50, by 8 callers."""
    how = driver.reading()
    return {
        "W5 one /s": [sizes.reads / timed_spread(sizes.reads, how.connect, how.one)[0]],
        "W5 list /s": [sizes.reads / timed_spread(sizes.reads, how.connect, how.fifty)[0]],
    }


WORKLOADS: Mapping[str, Callable[[Driver, Sizes], Figures]] = {
    "W6": footprint,
    "W4": one_step,
    "W1": effect_chain,
    "W1 pure": pure_chain,
    "W3": parallel,
    "W2": many_runs,
    "W2 batch": batch,
    "W5": reading,
}
