#!/usr/bin/python3
"""Measure Sluice beside its floors and its peers (docs/BENCHMARKS.md tells the method).

Within a row all programs take turns, each time in a fresh folder: what the machine does meanwhile
falls on all of them. A ratio is taken within one turn, so its spread is that of the work and not
that of the machine. Nothing here passes or fails by a time; work that was not done fails."""
import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import disk
import graphs
import growth
import history
import jobs
import sleepers

BEGIN = "<!-- results: script/bench --update -->"
END = "<!-- end of results -->"


ROWS = ("p1", "p2", "p3", "growth", "p4", "p5", "p8", "p7", "p13", "p14", "p9")


class Row:
    def __init__(self, key, title, amount, unit, entries, goal, times=1):
        self.key, self.title, self.amount, self.unit = key, title, amount, unit
        self.entries, self.goal = entries, goal  # entries[0] is the floor
        self.times = times  # as many turns as other rows have: where processes are most of the work, a turn says little


def rows(build, scale):
    n = max(20, round(1000 * scale))
    yield Row("p1", f"P1: chain of {n} programs", n, "steps/s", [
        jobs.floor(build, "floor_chain", n, "always"),
        jobs.sluice(build, "sluice, sync: always", n),
        jobs.sluice(build, "sluice, sync: never", n, sync="never"),
        jobs.ninja(n), jobs.make(n), jobs.nx(build, n)],
        "`sync: always` at most 1.15 of the floor (1.25 is accepted: docs/adr/0021); `sync: never` not slower than ninja", times=3)
    for slots in (2, 8):
        yield Row("p2", f"P2: {n} independent programs, {slots} at a time", n, "steps/s", [
            jobs.floor(build, "floor_parallel", n, slots, "always"),
            jobs.sluice(build, "sluice, sync: always", n, roots=True, slots=slots),
            jobs.sluice(build, "sluice, sync: never", n, roots=True, slots=slots, sync="never"),
            jobs.ninja(n, roots=True, slots=slots), jobs.make(n, roots=True, slots=slots),
            jobs.xargs(n, slots), jobs.parallel(n, slots), jobs.nx(build, n, roots=True, slots=slots)],
            "`sync: always` at most 1.15 of the floor; `sync: never` not slower than ninja", times=3)
    for size in (10_000, 100_000):
        steps = max(1000, round(size * scale))
        yield Row("p3", f"P3: a layered graph of {steps} steps", steps, "steps/s", [
            graphs.floor(steps), graphs.plan(build, steps), graphs.run(build, steps),
            graphs.ninja(steps), graphs.make(steps), graphs.tsort(steps)],
            "`plan` faster than `ninja -n` at 100k; at most 1 KiB of memory a step")
    steps = max(1000, round(100_000 * scale))
    yield Row("p4", f"P4: {steps} steps that are a function of the program, sync: interval:10", steps, "steps/s", [
        jobs.floor(build, "floor_append", 2 * steps, 2, 10),
        jobs.call(build, steps, 1), jobs.call(build, steps, 64), jobs.call(build, steps, 1000)],
        "100k steps/s; at most 10 us a step")
    yield Row("p5", f"P5: chain of {n} durable steps without a process", n, "commits/s", [
        jobs.floor(build, "floor_append", n, 1),
        jobs.sluice(build, "sluice, noop steps", n, kind="noop: true"),
        jobs.sqlite(n, 1), jobs.restate(build, n)],
        "at least 0.85 of the floor's commits a second: a ratio of at most 1.18")
    for batch in (8, 64):
        lines = n * batch
        yield Row("p5", f"P5: {lines} lines, {batch} a commit (reference)", lines, "lines/s", [
            jobs.floor(build, "floor_append", lines, batch), jobs.sqlite(lines, batch)], "")
    yield Row("p8", "P8: a run of one step", 1, "runs/s", [
        jobs.floor(build, "floor_start"),
        jobs.Job("floor without files", lambda folder: [os.path.join(build, "bench", "floor_spawn")]),
        jobs.sluice(build, "sluice run", 1),
        jobs.Job("sluice --version", lambda folder: [os.path.join(build, "sluice"), "--version"]),
        jobs.ninja(1), jobs.make(1)],
        "at most 2 ms above the floor; at most 6 MB resident with the keeper", times=20)


def run_once(build, job, base):
    """Seconds and peak KiB of one run of the job in a fresh folder."""
    folder = tempfile.mkdtemp(dir=base)
    try:
        command = job.prepare(folder)
        os.sync()  # what the preparation left dirty is not this job's
        done = subprocess.run([os.path.join(build, "bench", "measure"), *command], cwd=folder,
                              env={**os.environ, **job.env}, capture_output=True, text=True, check=True)
        status, wall_ns, peak_kib = map(int, done.stdout.split())
        if status != 0:
            raise SystemExit(f"{job.name}: exit {status}: {' '.join(command)}")
        problem = job.check and job.check(folder)
        if problem:
            raise SystemExit(f"{job.name}: {problem}")
        if job.has_clock:
            with open(os.path.join(folder, "clock"), encoding="ascii") as f:
                wall_ns = int(f.read())
        job.parts.extend(parts_of(folder))
        return wall_ns / 1e9, peak_kib
    finally:
        shutil.rmtree(folder)


def parts_of(folder):
    """[name -> ns] of a program that says what its time was made of, [] of the others."""
    path = os.path.join(folder, "parts")
    if not os.path.exists(path):
        return []
    with open(path, encoding="ascii") as f:
        return [{name: int(ns) for name, ns in (line.rsplit(" ", 1) for line in f)}]


def measure(build, row, repetitions, base):
    """job name -> list of (seconds, KiB); turn by turn, the first program changes each turn."""
    present = [job for job in row.entries if not job.missing()]
    results = {job.name: [] for job in present}
    for job in present:
        run_once(build, job, base)  # warms the page cache; not counted
        job.parts.clear()
    for turn in range(repetitions):
        first = turn % len(present)
        for job in present[first:] + present[:first]:
            if not job.turns_max or turn < job.turns_max:
                results[job.name].append(run_once(build, job, base))
    return results


def spread(values, form):
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def parts_table(row):
    """What the time of the jobs that say so is made of."""
    told = [job for job in row.entries if job.parts]
    if not told:
        return []
    names = list(told[0].parts[0])
    lines = ["", f"| us each: median (min to max) | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for job in told:
        cells = [spread([part[name] / 1e3 / row.amount for part in job.parts], ".2f") for name in names]
        lines.append(f"| {job.name} | {' | '.join(cells)} |")
    return lines


def table(row, results):
    floor = results["floor"]
    lines = [f"### {row.title}", "", *([f"{len(floor)} turns.", ""] if row.times > 1 else []),
             f"| | ms: median (min to max) | {row.unit} | ratio to the floor: median (min to max) | peak MB |",
             "|---|---:|---:|---:|---:|"]
    for job in row.entries:
        if job.name not in results:
            lines.append(f"| {job.name} | {job.missing()} | | | |")
            continue
        seconds = [s for s, _ in results[job.name]]
        ratios = [s / f for s, (f, _) in zip(seconds, floor)]
        peak = max(kib for _, kib in results[job.name]) / 1024
        lines.append(f"| {job.name} | {spread([1000 * s for s in seconds], '.1f')} "
                     f"| {row.amount / statistics.median(seconds):,.0f} "
                     f"| {'1' if job.name == 'floor' else spread(ratios, '.2f')} | {peak:.1f} |")
    lines += parts_table(row)
    if row.goal:
        lines += ["", f"Goal: {row.goal}."]
    return "\n".join(lines) + "\n"


def memory_with_keeper(build, base):
    """Peak resident MB of the engine and its keeper while a step sleeps; None if it was not seen."""
    folder = tempfile.mkdtemp(dir=base)
    try:
        jobs.write(folder, "pipeline.yaml", "pipeline: bench\nsteps:\n  s: {argv: [sleep, '1']}\n")
        engine = subprocess.Popen([os.path.join(build, "sluice"), "run", "-q", "--dir", "state", "pipeline.yaml"],
                                  cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peak = {}
        while engine.poll() is None:
            for pid in filter(str.isdigit, os.listdir("/proc")):
                peak.update(peak_of_keeper(pid, folder))
            with open(f"/proc/{engine.pid}/status", encoding="ascii") as f:
                peak["engine"] = max(peak.get("engine", 0), high_water(f.read()))
            time.sleep(0.05)
        return sum(peak.values()) / 1024 if len(peak) == 2 else None
    finally:
        shutil.rmtree(folder)


def peak_of_keeper(pid, folder):
    """{"keeper": KiB} if the process is the keeper of a run below the folder."""
    try:
        if os.path.basename(os.readlink(f"/proc/{pid}/exe")) != "sluice-keeper":
            return {}
        if not any(os.readlink(f"/proc/{pid}/fd/{fd}").startswith(folder) for fd in os.listdir(f"/proc/{pid}/fd")):
            return {}
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return {"keeper": high_water(f.read())}
    except OSError:
        return {}  # it ended meanwhile


def high_water(status):
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


def figures(text):
    """name -> the numbers of the line that begins with it: what the benches of the log print."""
    return {line.split()[0]: [float(word) for word in line.split() if word.replace(".", "", 1).isdigit()]
            for line in text.splitlines() if line.strip()}


def replay(build, steps, repetitions, base):
    """P7: the log of a run of `steps` steps without a process, verified and folded, beside chained SHA-256."""
    folder = tempfile.mkdtemp(dir=base)
    found = {}
    try:
        command = graphs.run(build, steps).prepare(folder)
        subprocess.run([*command, "--run-id", "r"], cwd=folder, check=True, capture_output=True)
        benches = {"verified": ("verify", [os.path.join(build, "bench", "log_bench"), str(2 * steps)]),
                   "verified, decoded and folded": (
                       "fold", [os.path.join(build, "bench", "replay_bench"),
                                os.path.join(folder, "state", "runs", "r")])}
        for _ in range(repetitions):
            for name, (word, command) in benches.items():
                text = subprocess.run(command, capture_output=True, text=True, check=True,
                                      env={**os.environ, "TMPDIR": folder}).stdout
                numbers = figures(text)
                peak = next(line for line in text.splitlines() if "peak memory" in line)
                found.setdefault(name, []).append((numbers[word][0], numbers["sha"][0], numbers["ratio"][0],
                                                   int(peak.split("peak memory")[1].split()[0]) / 1024))
    finally:
        shutil.rmtree(folder)
    lines = [f"### P7: replay of a log of {2 * steps} events", "",
             "| | MB/s: median (min to max) | SHA-256 of the same lines, MB/s | share of it | peak MB |",
             "|---|---:|---:|---:|---:|"]
    for name, turns in found.items():
        rate, sha, ratio, peak = zip(*turns)
        lines.append(f"| {name} | {spread(rate, '.0f')} | {spread(sha, '.0f')} | {spread(ratio, '.2f')} "
                     f"| {max(peak):.0f} |")
    return "\n".join([*lines, "", "The reading of the definition is left out; the peak has the whole log in it. "
                      "Goal: at least 0.35 of chained SHA-256.\n"])


def machine(base):
    """Processors, kernel, file system."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        cpu = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), platform.machine())
    kind = subprocess.run(["stat", "-f", "-c", "%T", base], capture_output=True, text=True, check=True).stdout.strip()
    images = disk.why_not()
    below = f"{kind}, as it is ({images})" if images else f"a fresh ext4 image for each row, on {kind}"
    return f"{os.cpu_count()} x {cpu}; Linux {platform.release()}; file system: {below}"


def commit(source):
    git = ["git", "-C", source]
    name = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip()
    dirty = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True).stdout.strip()
    return f"{name or 'unknown'}{', changed' if dirty else ''}"


def update(path, text):
    """Put the text between the two marks of the file."""
    with open(path, encoding="utf-8") as f:
        before, rest = f.read().split(BEGIN)
    after = rest.split(END)[1]
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def start_row(build, row, results, folder):
    """What the row of a single step tells besides its table."""
    above = [1000 * (run - floor) for (run, _), (floor, _) in zip(results["sluice run"], results["floor"])]
    resident = memory_with_keeper(build, folder)
    return (f"\n`sluice run` above the floor, ms: {spread(above, '.1f')}.\n"
            "\nResident, engine and keeper, while a step runs: "
            + (f"{resident:.1f} MB.\n" if resident else "the keeper was not seen.\n"))


def measured(build, args, base):
    """The tables that were asked for, as Markdown; each row on a file system of its own."""
    for row in rows(build, args.scale):
        if args.rows and row.key not in args.rows:
            continue
        with disk.fresh(base) as folder:
            results = measure(build, row, args.repetitions * row.times, folder)
            yield table(row, results) + (start_row(build, row, results, folder) if row.key == "p8" else "")
    others = {
        "growth": lambda folder: growth.measure(build, args.scale, args.repetitions, folder),
        "p7": lambda folder: replay(build, max(1000, round(500_000 * args.scale)), args.repetitions, folder),
        "p13": lambda folder: sleepers.measure(build, max(100, round(10_000 * args.scale)), folder),
        "p9": lambda folder: history.measure(build, max(1000, round(100_000 * args.scale)), args.repetitions, folder),
    }
    for key, work in others.items():
        if not args.rows or key in args.rows or (key == "p13" and "p14" in args.rows):
            with disk.fresh(base) as folder:
                yield work(folder)


def main():
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    args = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    args.add_argument("rows", nargs="*", help=" ".join(ROWS) + " (p13 and p14 are one run); default all")
    args.add_argument("--build", default=os.path.join(source, "build"), help="build folder")
    args.add_argument("--work", help="folder on the disk to measure; default: below the build folder")
    args.add_argument("--repetitions", type=int, default=5)
    args.add_argument("--scale", type=float, default=1, help="share of the full number of steps")
    args.add_argument("--update", metavar="FILE", help="put the tables into this document too")
    args = args.parse_args()
    for row in args.rows:
        if row not in ROWS:
            raise SystemExit(f"no row '{row}': there are {' '.join(ROWS)}")
    build = os.path.abspath(args.build)
    base = os.path.abspath(args.work or os.path.join(build, "bench-work"))
    os.makedirs(base, exist_ok=True)

    command = " ".join(["script/bench", *args.rows, "--repetitions", str(args.repetitions), "--scale", f"{args.scale:g}"])
    parts = [f"Commit {commit(source)}. Machine: {machine(base)}. "
             f"Command: `{command}`; {args.repetitions} turns.\n"]
    print(parts[0], flush=True)
    for text in measured(build, args, base):
        parts.append(text)
        print(text, flush=True)
    if args.update:
        update(args.update, "\n".join(parts))


main()
