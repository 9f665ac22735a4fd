"""Commands: alone, bounded, and gone when they have to be."""

import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowforge.steps import output, supervised
from flowforge.steps.base import StepCancelled
from flowforge.steps.leftovers import descendants
from flowforge.steps.levels import LEVELS, Isolation
from flowforge.steps.process import CommandNotFound, Limits, ProcessResult, SupervisorLost, run_process
from tests.support.isolation import available
from tests.support.steps import Attempt

pytestmark = pytest.mark.processes

DAEMON = "setsid bash -c 'trap \"\" TERM HUP; echo daemon; sleep 600; :' &"


@pytest.fixture(params=LEVELS)
def attempt(tmp_path: Path, request: pytest.FixtureRequest) -> Attempt:
    """At each level of isolation that there is here. Its `home` is the scratch directory."""
    available(request.param)
    scratch = tmp_path / "scratch" / "mine"
    scratch.mkdir(parents=True)
    return Attempt(home=scratch, server_home=tmp_path, isolation=Isolation(level=request.param))


def is_alone(attempt: Attempt) -> bool:
    """Whether it has process ids of its own, and cannot see its supervisor."""
    return attempt.isolation.level != "limits"


def bash(attempt: Attempt, script: str, **more: object) -> ProcessResult:
    return run_process(["bash", "-c", script], context=attempt.context(), scratch=attempt.home, **more)


def left(attempt: Attempt) -> list[int]:
    """What still runs of all that commands of this attempt started: known by the HOME that each of them has."""
    mark = f"\0HOME={attempt.home}\0".encode()
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if mark in b"\0" + environ(path)]


def is_gone(attempt: Attempt) -> bool:
    """Soon: what was sent SIGKILL as the last resort is not waited for."""
    ends_at = time.monotonic() + 5
    while left(attempt) and time.monotonic() < ends_at:
        os.sched_yield()
    return not left(attempt)


def environ(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # it ended meanwhile


def test_it_works(attempt: Attempt) -> None:
    result = bash(attempt, "cat; echo out; echo err >&2; exit 3", stdin=b"in\n")
    assert (result.exit_code, result.signal) == (3, None)
    assert (result.stdout, result.stderr) == ("in\nout\n", "err\n")
    assert sorted(attempt.lines) == [("info", "in"), ("info", "out"), ("warning", "err")]


def test_it_rejects_a_command_that_is_not_there(attempt: Attempt) -> None:
    with pytest.raises(CommandNotFound, match="no-such-program: command not found"):
        run_process(["no-such-program"], context=attempt.context(), scratch=attempt.home)


def test_it_rejects_a_command_that_is_no_program(attempt: Attempt) -> None:
    (attempt.home / "notes.txt").write_text("not to be executed")
    with pytest.raises(CommandNotFound, match=r"notes\.txt: Permission denied"):
        run_process(["./notes.txt"], context=attempt.context(), scratch=attempt.home)


def test_it_rejects_what_no_argument_may_hold(attempt: Attempt) -> None:
    with pytest.raises(ValueError, match="null byte"):
        run_process(["echo", "a\0b"], context=attempt.context(), scratch=attempt.home)
    assert left(attempt) == []


# --- what it is given ---------------------------------------------------------------------------------------------


def test_its_environment_is_clean(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWFORGE_SECRET_KEYS", "canary")
    attempt.traceparent = "00-1-2-01"
    attempt.file_roots = (Path("/data"), Path("/more"))
    result = bash(attempt, "env -0 | sort -z | tr '\\0' '\\n'", environment={"MINE": "a b=c", "FLOWFORGE_STEP": "x"})
    found = dict(line.split("=", 1) for line in result.stdout.splitlines())
    for added_by_bash in ("_", "SHLVL", "PWD"):
        found.pop(added_by_bash)
    assert found == {
        "PATH": os.environ["PATH"],
        "HOME": str(attempt.home),
        "TMPDIR": str(attempt.home),
        "LANG": "C.UTF-8",
        "FLOWFORGE_RUN_ID": "run-1",
        "FLOWFORGE_STEP": "node-1",
        "FLOWFORGE_IDEMPOTENCY_KEY": "key-1",
        "FLOWFORGE_FILES": "/data:/more",
        "TRACEPARENT": "00-1-2-01",
        "MINE": "a b=c",
    }


def test_its_parent_has_nothing_to_tell(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same user may read the supervisor's environment: nothing of the server's is in it."""
    monkeypatch.setenv("FLOWFORGE_SECRET_KEYS", "canary")
    assert "canary" not in bash(attempt, "cat /proc/$PPID/environ /proc/$PPID/cmdline").stdout


def test_it_inherits_no_file(attempt: Attempt) -> None:
    with (attempt.home / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        result = bash(attempt, "for fd in /proc/self/fd/*; do readlink $fd; done")
    assert str(attempt.home / "open") not in result.stdout
    assert "socket:" not in result.stdout


def test_its_standard_input_is_empty_by_default(attempt: Attempt) -> None:
    assert bash(attempt, "readlink /proc/self/fd/0").stdout == "/dev/null\n"


def test_it_need_not_read_its_standard_input(attempt: Attempt) -> None:
    assert bash(attempt, "exec <&-; echo done", stdin=b"x" * 1_000_000).stdout == "done\n"


def test_a_large_standard_input_arrives_while_output_is_written(attempt: Attempt) -> None:
    assert bash(attempt, "tee /dev/stderr | wc -c", stdin=b"0123456\n" * 40_000).stdout.strip() == "320000"


def test_it_leads_a_session_of_its_own_and_keeps_its_files_to_itself(attempt: Attempt) -> None:
    result = bash(attempt, "ps -o sid= -p $$ | tr -d ' '; echo $$; umask; grep NoNewPrivs /proc/self/status")
    session, pid, umask, no_new_privileges = result.stdout.splitlines()
    assert session in ((pid, "1") if is_alone(attempt) else (pid,))
    assert umask == "0077"
    assert no_new_privileges.split() == ["NoNewPrivs:", "1"]


def test_signals_have_their_usual_meaning(attempt: Attempt) -> None:
    assert bash(attempt, "yes | head -1").stdout == "y\n"
    # Python ignores SIGPIPE, and a mask of ignored signals survives exec
    ignored = int(bash(attempt, "grep SigIgn /proc/self/status").stdout.split()[1], 16)
    threading_library = 1 << 31 | 1 << 32  # signals 32 and 33: no program can set them, whoever started us may have
    assert ignored & ~threading_library == 0


def test_limits_hold_for_all_it_starts(attempt: Attempt) -> None:
    limits = Limits(file_bytes=1024 * 512, open_files=64, cpu_seconds=7, memory_bytes=1024 * 1024 * 256)
    result = bash(attempt, "bash -c 'ulimit -c; ulimit -n; ulimit -t; ulimit -d; ulimit -Hf'", limits=limits)
    assert result.stdout.split() == ["0", "64", "7", str(256 * 1024), "512"]


def test_a_file_over_the_limit_ends_it(attempt: Attempt) -> None:
    result = bash(attempt, "head -c 100000 /dev/zero > big", limits=Limits(file_bytes=4096))
    assert result.exit_code != 0
    assert (attempt.home / "big").stat().st_size == 4096


def test_memory_over_the_limit_is_not_given(attempt: Attempt) -> None:
    code = "x = bytearray(600 * 1024 * 1024)"
    argv = [sys.executable, "-I", "-S", "-c", code]
    limits = Limits(memory_bytes=200 * 1024 * 1024)
    result = run_process(argv, context=attempt.context(), scratch=attempt.home, limits=limits)
    assert "MemoryError" in result.stderr


def test_without_a_limit_of_its_own_cpu_time_follows_the_timeout(attempt: Attempt) -> None:
    attempt.timeout_seconds = 10
    assert bash(attempt, "ulimit -t").stdout.strip() == str(10 * (os.cpu_count() or 1) + 1)


# --- what it writes -----------------------------------------------------------------------------------------------


def test_lines_come_as_they_are_written(attempt: Attempt) -> None:
    attempt.cancel_after("first")  # it would never end if the line came at its end
    with pytest.raises(StepCancelled):
        bash(attempt, "echo first; sleep 600")
    assert attempt.lines == [("info", "first")]


def test_what_it_wrote_last_is_read_after_its_end(attempt: Attempt) -> None:
    first_seen = attempt.home / "seen"

    def log(level: str, line: str) -> None:
        first_seen.touch()
        while line == "first" and left(attempt):
            os.sched_yield()

    attempt.log = log  # type: ignore[method-assign]  # a slow one: everything is over when it comes back
    script = "echo first; until [ -e seen ]; do :; done; echo out; echo err >&2"
    result = bash(attempt, script)
    assert (result.stdout, result.stderr) == ("first\nout\n", "err\n")


def test_its_result_has_a_channel_of_its_own(attempt: Attempt) -> None:
    script = f"echo out; head -c 300000 /dev/zero | tr '\\0' x >&${supervised.RESULT_FD}"
    result = bash(attempt, script, max_result_bytes=300_000)
    assert result.result == b"x" * 300_000
    assert result.stdout == "out\n"


def test_a_result_over_the_limit_is_not_kept(attempt: Attempt) -> None:
    assert bash(attempt, f"echo 12345 >&${supervised.RESULT_FD}", max_result_bytes=5).result is None


def test_output_is_bounded(attempt: Attempt) -> None:
    result = bash(attempt, "yes 0123456789 | head -c 5000000; echo; echo the end")
    assert len(attempt.lines) == output.MAX_LOG_LINES
    assert attempt.lines[-1] == ("warning", "output over the log's limit: the rest is not logged")
    assert len(result.stdout) == output.TAIL_BYTES
    assert result.stdout.endswith("\nthe end\n")


# --- how it ends --------------------------------------------------------------------------------------------------


def test_a_signal_has_its_name(attempt: Attempt) -> None:
    result = bash(attempt, "kill -SEGV $$")
    assert (result.exit_code, result.signal, result.reason) == (139, "SIGSEGV", "signal SIGSEGV")


def test_cancelling_ends_it_with_all_it_started(attempt: Attempt) -> None:
    attempt.cancel_after("daemon", "drain")
    started = time.monotonic()
    with pytest.raises(StepCancelled, match="drain"):
        bash(attempt, f"trap '' TERM; {DAEMON} (sleep 600 &) ; while :; do sleep 600; done")
    assert time.monotonic() - started < 10  # 2 s are promised; this machine may be busy
    assert left(attempt) == []


def test_cancelling_lets_it_clean_up(attempt: Attempt) -> None:
    attempt.cancel_after("ready")
    with pytest.raises(StepCancelled):
        bash(attempt, "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done")
    assert "bye" in attempt.text.splitlines()  # bash may say, too, that what it started was terminated


def test_cancelled_before_it_began_it_ends_at_once(attempt: Attempt) -> None:
    attempt.cancel.cancel("cancelled")
    with pytest.raises(StepCancelled):
        bash(attempt, "sleep 600")
    assert left(attempt) == []


def test_cancelling_what_has_ended_does_nothing(attempt: Attempt) -> None:
    assert bash(attempt, "echo done").stdout == "done\n"
    attempt.cancel.cancel("cancelled")
    assert left(attempt) == []


def test_what_it_left_running_ends_with_it(attempt: Attempt) -> None:
    result = bash(attempt, f"{DAEMON} while ! ps -eo args | grep -q '[s]leep 600'; do :; done; echo done")
    assert result.exit_code == 0  # and the daemon, which holds its output open, did not hold us up
    assert left(attempt) == []


def test_an_error_while_reading_ends_it(attempt: Attempt) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the log is full")

    attempt.log = fail  # type: ignore[method-assign]  # what the engine's own might do
    with pytest.raises(RuntimeError, match="the log is full"):
        bash(attempt, f"{DAEMON} echo line; sleep 600")
    assert left(attempt) == []


def test_a_supervisor_that_was_killed_is_said(attempt: Attempt) -> None:
    if is_alone(attempt):
        assert bash(attempt, "kill -9 $PPID 2>&1; kill -9 1 2>&1; echo alive").stdout.endswith("alive\n")
        return
    with pytest.raises(SupervisorLost):
        bash(attempt, "kill -9 $PPID; exec sleep 600")


def test_a_supervisor_that_was_stopped_is_ended_all_the_same(attempt: Attempt) -> None:
    attempt.cancel_after("stopped")
    with pytest.raises(StepCancelled):
        bash(attempt, "setsid sleep 600 & kill -STOP $PPID; echo stopped; sleep 600; :")
    assert is_gone(attempt)


WORKER = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from flowforge.steps.process import run_process
from flowforge.steps.scratch import scratch_directory
from tests.support.isolation import available
from tests.support.steps import Attempt
attempt = Attempt(home=Path(sys.argv[1]))
attempt.log = lambda level, line: print(line, flush=True)
with scratch_directory(attempt.home) as scratch:
    script = "setsid sleep 600 & touch file; sleep 600 & echo first; echo ready; wait"
    run_process(["bash", "-c", script], context=attempt.context(), scratch=scratch)
"""


def test_nothing_is_left_of_a_worker_that_is_killed(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", WORKER, str(tmp_path), str(Path(__file__).parents[3])]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert [worker.stdout.readline() for _ in range(2)][1] == "ready\n"
        handles = [os.pidfd_open(pid) for pid in descendants(worker.pid)]
        worker.kill()
    assert len(handles) == 4  # the supervisor, bash, and two that sleep
    for handle in handles:
        with os.fdopen(handle) as file:
            assert select.select([file], [], [], 10)[0], "still there"
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_worker_that_died_before_the_command_began_leaves_nothing_either(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        argv = supervised.command_line([str(theirs.fileno()), "", str(scratch), "limits", "touch", "file"])
        subprocess.run(argv, cwd=scratch, pass_fds=[theirs.fileno()], check=True, timeout=30)
    assert not scratch.exists()


PROTECTED = """
import ctypes, sys
sys.path.insert(0, sys.argv[1])
from flowforge.steps.process import protect_this_process
PR_GET_DUMPABLE = 3
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE))
protect_this_process()
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE))
"""


def test_a_worker_can_hide_its_memory_and_environment_from_commands() -> None:
    """Where dumping is off, /proc/<pid>/environ and mem are root's alone (proc(5)); root itself reads everything."""
    argv = [sys.executable, "-c", PROTECTED, str(Path(__file__).parents[3])]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "1\n0\n"
