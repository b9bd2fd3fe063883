"""How time and memory grow with the number of steps: the layered graph of P3 from a thousandth of its size on.

The exponent is the slope of the line through the logarithms (least squares) over all sizes but the smallest, where
what does not grow is most of it: 1 is linear."""
import math
import os
import shutil
import statistics
import subprocess
import tempfile

import graphs

DECADES = (1_000, 10_000, 100_000, 1_000_000)
TURNS_OF_LARGEST = 3


def slope(points):
    """Of log y over log x; None with fewer than two points."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    if len(logs) < 2:
        return None
    mean_x = statistics.mean(x for x, _ in logs)
    mean_y = statistics.mean(y for _, y in logs)
    return (sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum((x - mean_x) ** 2 for x, _ in logs))


def commands(build, steps, turn):
    """name -> command; the run of this turn is what the later ones look at."""
    sluice = os.path.join(build, "sluice")
    state = ["--dir", "state"]
    return {
        "plan": [sluice, "plan", *graphs.LIMITS, "pipeline.yaml"],
        "run, sync: never": [sluice, "run", "-q", *graphs.LIMITS, *state, "--run-id", f"r{turn}", "pipeline.yaml"],
        "verify": [sluice, "verify", *state, f"r{turn}"],
        "status": [sluice, "status", *state, f"r{turn}"],
    }


def measured(build, command, folder):
    done = subprocess.run([os.path.join(build, "bench", "measure"), *command], cwd=folder, capture_output=True,
                          text=True, check=True)
    status, wall_ns, peak_kib = map(int, done.stdout.split())
    if status != 0:
        raise SystemExit(f"growth: exit {status}: {' '.join(command)}")
    return wall_ns / 1e6, peak_kib


def of_size(build, steps, turns, base):
    """name -> list of (ms, KiB)."""
    folder = tempfile.mkdtemp(dir=base)
    try:
        graphs.write_pipeline(folder, steps)
        os.makedirs(os.path.join(folder, "state", "runs"), mode=0o700)
        found = {}
        for turn in range(turns):
            for name, command in commands(build, steps, turn).items():
                found.setdefault(name, []).append(measured(build, command, folder))
            shutil.rmtree(os.path.join(folder, "state", "runs", f"r{turn}"))
        return found
    finally:
        shutil.rmtree(folder)


def cell(values, form):
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def measure(build, scale, repetitions, base):
    """Two tables, as Markdown."""
    sizes = sorted({max(100, round(size * scale)) for size in DECADES})
    found = {steps: of_size(build, steps, min(repetitions, TURNS_OF_LARGEST) if steps == sizes[-1] else repetitions,
                            base) for steps in sizes}
    head = ["| | " + " | ".join(f"{steps:,} steps" for steps in sizes) + " | exponent | last decade |",
            "|---|" + "---:|" * (len(sizes) + 2)]
    lines = [f"### Growth: a layered graph of {sizes[0]:,} to {sizes[-1]:,} steps", ""]
    for title, index, unit in (("ms: median (min to max)", 0, 1), ("peak MB", 1, 1024)):
        lines += [title + ":", "", *head]
        for name in found[sizes[0]]:
            values = [[turn[index] / unit for turn in found[steps][name]] for steps in sizes]
            medians = [statistics.median(v) for v in values]
            exponent = slope(list(zip(sizes, medians))[1:])
            lines.append(f"| {name} | " + " | ".join(cell(v, ".1f") if index == 0 else f"{max(v):.1f}" for v in values)
                         + f" | {exponent:.2f} | {medians[-1] / medians[-2]:.1f} |")
        lines.append("")
    lines.append("Goal: linear; the last decade at most 11 times, in time and memory.\n")
    return "\n".join(lines)
