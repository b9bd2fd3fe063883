"""P9: `sluice list` and `stats` over a long history, beside a program that only prints the same bytes."""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def timed(build, command, repetitions):
    """Milliseconds of each run of the command, the first not counted."""
    found = []
    for turn in range(repetitions + 1):
        done = subprocess.run([os.path.join(build, "bench", "measure"), *command], capture_output=True, text=True,
                              check=True)
        status, wall_ns, _ = map(int, done.stdout.splitlines()[-1].split())
        if status != 0:
            raise SystemExit(f"exit {status}: {' '.join(command)}")
        if turn:
            found.append(wall_ns / 1e6)
    return found


def row(name, values):
    return f"| {name} | {statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f}) |"


def measure(build, runs, repetitions, base):
    """A table, as Markdown."""
    folder = tempfile.mkdtemp(dir=base)
    state = os.path.join(folder, "state")
    sluice = [os.path.join(build, "src", "cli", "sluice")]
    make = os.path.join(os.path.dirname(os.path.abspath(__file__)), "make_history.py")
    try:
        subprocess.run([sys.executable, make, "--sluice", sluice[0], "--runs", str(runs), state], check=True,
                       stderr=subprocess.DEVNULL)
        start = time.monotonic()
        subprocess.run([*sluice, "list", "--dir", state], check=True, stdout=subprocess.DEVNULL)
        first = time.monotonic() - start
        time.sleep(2.5)  # what has just changed is not trusted yet
        listed = subprocess.run([*sluice, "list", "--dir", state], check=True, capture_output=True).stdout
        if listed.count(b"\n") != min(runs, 100) + 1:
            raise SystemExit("list does not show the runs")
        with open(os.path.join(folder, "bytes"), "wb") as f:
            f.write(listed)
        lines = [f"### P9: a history of {runs} runs", "", "| | ms: median (min to max) |", "|---|---:|",
                 row("cat of the same bytes", timed(build, ["cat", os.path.join(folder, "bytes")], repetitions)),
                 row("sluice list", timed(build, [*sluice, "list", "--dir", state], repetitions)),
                 row("sluice list --result failed",
                     timed(build, [*sluice, "list", "--result", "failed", "--dir", state], repetitions)),
                 row("sluice stats", timed(build, [*sluice, "stats", "--dir", state], repetitions)),
                 "", f"The first list, which reads every log: {first:.1f} s. Goal: list below 50 ms once that is done.", ""]
        return "\n".join(lines)
    finally:
        shutil.rmtree(folder)
