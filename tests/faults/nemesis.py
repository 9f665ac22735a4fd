"""What befalls the system. A strike does one fault to a world, counts it there and leaves everything running."""

import os
import signal
import sqlite3
import time
from collections.abc import Callable

import psycopg
import redis

from tests.faults import world as worlds
from tests.faults.world import World
from tests.support.service import until

Strike = Callable[[World], None]
REACH_SECONDS = 12.0  # a failpoint that nobody passes in so long was not reached
OF_THE_WEB = ("accept.", "event.")  # failpoints that requests pass
TERMINATED = 3  # database sessions at a time


# --- FlowForge's own processes ----------------------------------------------------------------------------------------


def kill_worker(world: World) -> None:
    """SIGKILL to a worker, whatever it does; somebody starts it again soon after."""
    world.kill(world.chance.choice(world.workers))
    come_back(world)


def kill_web(world: World) -> None:
    world.kill(world.web)
    come_back(world)


def kill_all(world: World) -> None:
    for role in world.roles:
        world.kill(role)
    world.tally["kills"] += len(world.roles) - 1
    come_back(world)


def come_back(world: World) -> None:
    """Whoever was killed is started again soon."""
    world.tally["kills"] += 1
    time.sleep(world.chance.uniform(0, 1.5))
    world.heal()


def hold_up_worker(seconds: float) -> Strike:
    """SIGSTOP for longer than its leases last, then SIGCONT: a zombie that thinks it is alive."""

    def strike(world: World) -> None:
        child = world.processes[world.chance.choice(world.workers)]
        world.deaths.append((child.pid, time.time()))
        os.killpg(child.pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.killpg(child.pid, signal.SIGCONT)
        world.tally["processes held up"] += 1

    return strike


def kill_step_process(world: World) -> None:
    """SIGKILL to what a step has started, while its worker lives."""
    found = until(world.site.step_processes, 30, "a step runs a process")
    os.kill(world.chance.choice(found), signal.SIGKILL)
    world.tally["processes of steps killed"] += 1


def restart_gently(world: World) -> None:
    """SIGTERM to each in turn, as a deployment does it: each drains and ends with 0."""
    for role in world.roles:
        child = world.processes[role]
        code = child.end(seconds=40)
        assert code == 0, f"{role} ended with {code}: {child.printed[-3000:]}"
        world.tally["gentle restarts"] += 1
        world.heal()


# --- the database -----------------------------------------------------------------------------------------------------


def restart_postgres(world: World) -> None:
    """As a crash: nothing is said to anybody."""
    assert world.postgres is not None
    world.postgres.end(signal.SIGQUIT)
    time.sleep(world.chance.uniform(0, 2))
    world.postgres.start()
    world.tally["database restarts"] += 1


def terminate_sessions(world: World) -> None:
    """A few of FlowForge's sessions, in the middle of whatever they do."""
    with psycopg.connect(world.database, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'flowforge' "
            "ORDER BY state = 'active' DESC, random() LIMIT %s",
            [TERMINATED],
        ).fetchall()
    world.tally["database sessions ended"] += len(rows)


def hold_sqlite(seconds: float) -> Strike:
    """Somebody else has the write lock, for less than the time that callers are ready to wait."""

    def strike(world: World) -> None:
        connection = sqlite3.connect(world.site.home / "flowforge.sqlite3", isolation_level=None, timeout=20)
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")
        connection.close()
        world.tally["database locked"] += 1

    return strike


# --- the broker -------------------------------------------------------------------------------------------------------


def kill_valkey(world: World) -> None:
    """It comes back empty."""
    assert world.valkey is not None
    world.valkey.end(signal.SIGKILL)
    time.sleep(world.chance.uniform(0, 2))
    world.valkey.start()
    world.tally["broker restarts"] += 1


def flush_valkey(world: World) -> None:
    _valkey(world).flushall()
    world.tally["broker flushes"] += 1


def cut_valkey(world: World) -> None:
    _valkey(world).execute_command("CLIENT", "KILL", "TYPE", "normal")
    world.tally["broker connections cut"] += 1


def pause_valkey(world: World) -> None:
    _valkey(world).execute_command("CLIENT", "PAUSE", "3000", "ALL")
    world.tally["broker pauses"] += 1


def freeze_valkey(world: World) -> None:
    """SIGSTOP: the sockets stay open, nobody answers."""
    assert world.valkey is not None
    os.kill(world.valkey.pid, signal.SIGSTOP)
    try:
        time.sleep(8)
    finally:
        os.kill(world.valkey.pid, signal.SIGCONT)
    world.tally["broker pauses"] += 1


def _valkey(world: World) -> "redis.Redis":
    assert world.valkey is not None
    return redis.Redis.from_url(world.valkey.url)


def cut_rabbitmq(world: World) -> None:
    code = worlds.rabbitmqctl("close_all_connections", "--vhost", world.vhost, "fault")
    assert code == 0, f"rabbitmqctl close_all_connections ended with {code}"
    world.tally["broker connections cut"] += 1


def delete_queues(world: World) -> None:
    for queue in ("control", "default"):
        worlds.rabbitmqctl("delete_queue", "--vhost", world.vhost, queue)
    world.tally["broker flushes"] += 1


# --- failpoints -------------------------------------------------------------------------------------------------------


def kill_at(name: str) -> Strike:
    """One process kills itself as soon as it gets there. The others live: it is they who have to take over."""

    def strike(world: World) -> None:
        world.doomed = True
        world.count_strikes()
        role = world.web if name.startswith(OF_THE_WEB) else world.chance.choice(world.workers)
        world.arm(f"{name}:1:kill9:1", role)
        _await_strike(world, name)
        time.sleep(0.1)
        world.arm("")
        time.sleep(world.chance.uniform(0, 0.5))
        world.heal()
        world.doomed = False

    return strike


def fail_at(name: str, action: str, times: int = 2) -> Strike:
    """`raise` or `sleep=…`, a few times in each process."""

    def strike(world: World) -> None:
        world.count_strikes()
        world.arm(f"{name}:0.5:{action}:{times}")
        _await_strike(world, name)
        time.sleep(0.5)
        world.arm("")
        world.heal()

    return strike


def _await_strike(world: World, name: str) -> None:
    deadline = time.monotonic() + REACH_SECONDS
    while not world.count_strikes():
        if time.monotonic() > deadline:
            world.tally["failpoints not reached"] += 1
            print(f"    {name} was not reached", flush=True)
            return
        time.sleep(0.05)
