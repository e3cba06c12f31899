"""Runs one command and accounts for it: CPU, peak memory, CPU clock at given moments.

A program of its own, started with an interpreter that has loaded nothing: the kernel counts the
memory of whoever starts a process into the peak of that process.

    launch.py LOG STOP_AFTER_S MARKS COMMAND [ARGUMENT ...]

STOP_AFTER_S 0 waits for the command to end by itself, otherwise it gets SIGINT then. MARKS are
seconds, comma-separated. Prints one line: exit status, CPU seconds, peak KiB, a CPU clock per mark.
"""

import os
import sys
import time

KILL_AFTER_S = 20.0


def main(log: str, stop_after_s: float, marks_s: list[float], argv: list[str]) -> None:
    """Start, watch, stop, account."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    quiet = os.open(os.devnull, os.O_RDONLY)
    streams = ((quiet, 0), (output, 1), (output, 2))
    actions = [(os.POSIX_SPAWN_DUP2, source, target) for source, target in streams]
    began = time.monotonic()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions)
    clocks = []
    for mark in marks_s:
        time.sleep(max(0.0, began + mark - time.monotonic()))
        clocks.append(_cpu_clock(pid))
    if stop_after_s:
        time.sleep(max(0.0, began + stop_after_s - time.monotonic()))
        os.kill(pid, 2)
        _kill_if_deaf(pid)
    _, status, usage = os.wait4(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    print(code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, *clocks)


def _cpu_clock(pid: int) -> float:
    """Read the CPU time of all threads of a process, exact to the nanosecond."""
    return time.clock_gettime(~pid << 3 | 2)  # how Linux makes a clock id out of a process id


def _kill_if_deaf(pid: int) -> None:
    deadline = time.monotonic() + KILL_AFTER_S
    while time.monotonic() < deadline:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
            return
        time.sleep(0.02)
    os.kill(pid, 9)


if __name__ == "__main__":
    main(
        sys.argv[1],
        float(sys.argv[2]),
        [float(m) for m in sys.argv[3].split(",") if m],
        sys.argv[4:],
    )
