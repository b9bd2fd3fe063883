"""P13 and P14: thousands of steps that sleep at once, and what an engine needs to find them again after the
one that started them was killed."""
import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

SLEEP_S = 60
RESUMES = 5  # they all fit into the sleep
TICK = os.sysconf("SC_CLK_TCK")


def write_pipeline(folder, steps):
    with open(os.path.join(folder, "pipeline.yaml"), "w", encoding="ascii") as f:
        f.write(f"pipeline: bench\nconcurrency: {steps}\nsteps:\n")
        f.writelines(f"  s{n}: {{argv: [sleep, '{SLEEP_S}'], needs: []}}\n" for n in range(steps))


def process(pid):
    """Peak KiB, open descriptors and CPU seconds of a process."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return peak, len(os.listdir(f"/proc/{pid}/fd")), (int(fields[11]) + int(fields[12])) / TICK


def keeper_pid(run_dir):
    with open(os.path.join(run_dir, "keeper.lock"), encoding="utf-8") as f:
        return int(f.read().split()[0])


def wait_until(what, done, seconds):
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def spawned(run_dir, steps):
    """Are an armed and a spawned record of every step in attempts.log?"""
    try:
        return os.stat(os.path.join(run_dir, "attempts.log")).st_size >= 2 * 256 * steps
    except FileNotFoundError:
        return False


def event_types(run_dir):
    types = {}
    with open(os.path.join(run_dir, "events.jsonl"), encoding="utf-8") as f:
        for line in f:
            kind = json.loads(line)["event_type"]
            types[kind] = types.get(kind, 0) + 1
    return types


def follow(command, folder):
    """Start a command whose observer prints each event; answers it and the time of its start."""
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def reattached(command, folder, run_dir, resume_at):
    """Seconds from the start of a resume until its engine rests: attached, and nothing left to ask."""
    began = time.monotonic()
    engine = follow(command, folder)
    wait_until("run.resumed", lambda: os.stat(os.path.join(run_dir, "events.jsonl")).st_size > resume_at, 60)

    def is_resting():
        """The engine of a resume sleeps in its loop as soon as every step is attached."""
        with open(f"/proc/{engine.pid}/syscall", encoding="ascii") as f:
            return f.read().split()[0] in ("232", "281", "441")  # epoll_wait, epoll_pwait, epoll_pwait2 of x86-64

    wait_until("re-attached", is_resting, 60)
    return time.monotonic() - began, engine


def measure(build, steps, base):
    folder = tempfile.mkdtemp(dir=base)
    sluice = [os.path.join(build, "sluice")]
    state = ["--dir", os.path.join(folder, "state")]
    try:
        write_pipeline(folder, steps)
        run_dir = os.path.join(folder, "state", "runs", "r")
        began = time.monotonic()
        engine = follow([*sluice, "run", "-q", *state, "--limit", "definition_bytes=64MiB", "--run-id", "r",
                         "pipeline.yaml"], folder)
        wait_until("all steps started", lambda: spawned(run_dir, steps), SLEEP_S)
        start_s = time.monotonic() - began
        keeper = keeper_pid(run_dir)
        before = process(engine.pid), process(keeper)
        time.sleep(10)
        after = process(engine.pid), process(keeper)
        resumes = []
        for _ in range(RESUMES):
            engine.send_signal(signal.SIGKILL)
            engine.wait()
            size = os.stat(os.path.join(run_dir, "events.jsonl")).st_size
            seconds, engine = reattached([*sluice, "resume", "-q", *state, "r"], folder, run_dir, size)
            resumes.append(1000 * seconds)
        status = engine.wait(timeout=SLEEP_S + 60)
        types = event_types(run_dir)
        if status != 0 or types["step.started"] != steps or types["step.succeeded"] != steps:
            raise SystemExit(f"p14: exit {status}, {types}")
        (engine_kib, engine_fds, engine_s), (keeper_kib, keeper_fds, keeper_s) = after
        return "\n".join([
            f"### P13: {steps} steps asleep at once", "",
            "| | engine | keeper |", "|---|---:|---:|",
            f"| peak KiB a step | {engine_kib / steps:.1f} | {keeper_kib / steps:.1f} |",
            f"| descriptors | {engine_fds} | {keeper_fds} |",
            f"| CPU while waiting | {10 * (engine_s - before[0][2]):.2f} % | {10 * (keeper_s - before[1][2]):.2f} % |",
            "", f"All of them ran {start_s:.1f} s after the start; each ended once.",
            "", "Goal: at most 64 KiB and one descriptor a step; no CPU of the engine while it waits.", "",
            f"### P14: {steps} running steps found again after SIGKILL of the engine", "",
            f"{statistics.median(resumes):.0f} ms ({min(resumes):.0f} to {max(resumes):.0f}; {RESUMES} times) from the "
            "start of `sluice resume` until every step was attached; none was run again.", "", "Goal: less than a second.\n"])
    finally:
        shutil.rmtree(folder)
