"""What a worker does once a second, timed inside a process of the stack: prints the milliseconds of one round."""

import os
import statistics
import time

import django

ROUNDS = 50

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flowforge.settings")
django.setup()

from flowforge.core import clock  # noqa: E402  Django has to be set up
from flowforge.engine import timers  # noqa: E402
from flowforge.engine.admission import Queues  # noqa: E402
from runs.services.publishing import resume_matching  # noqa: E402


def main() -> None:
    queues = Queues()
    samples = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        timers.run_once(clock.now())
        queues.run_once(clock.now())
        resume_matching(clock.now())
        samples.append((time.perf_counter() - began) * 1000)
    print(statistics.median(samples))


if __name__ == "__main__":
    main()
