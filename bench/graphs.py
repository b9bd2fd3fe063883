"""P3: a layered graph of steps without a process, in the language of each program: 100 steps a layer, each
needing two of the layer before."""
import os

import jobs

WIDTH = 100
LIMITS = ["--limit", "definition_bytes=1GiB", "--limit", "definition_nodes=100000000", "--limit", "steps=10000000"]


def needs(step):
    """The steps of the layer before that a step needs."""
    layer, place = divmod(step, WIDTH)
    if layer == 0:
        return []
    before = (layer - 1) * WIDTH
    return sorted({before + place, before + (place * 7 + 3) % WIDTH})


def write_pipeline(folder, steps):
    with open(os.path.join(folder, "pipeline.yaml"), "w", encoding="ascii") as f:
        f.write("pipeline: bench\nsync: never\nsteps:\n")
        f.writelines(f"  s{n}: {{noop: true, needs: [{', '.join(f's{i}' for i in needs(n))}]}}\n"
                     for n in range(steps))


def floor(steps):
    def prepare(folder):
        write_pipeline(folder, steps)
        return ["cat", "pipeline.yaml"]

    return jobs.Job("floor", prepare)


def plan(build, steps):
    def prepare(folder):
        write_pipeline(folder, steps)
        return [os.path.join(build, "sluice"), "plan", *LIMITS, "pipeline.yaml"]

    return jobs.Job("sluice plan", prepare)


def run(build, steps):
    def prepare(folder):
        write_pipeline(folder, steps)
        os.makedirs(os.path.join(folder, "state", "runs"), mode=0o700)
        return [os.path.join(build, "sluice"), "run", "-q", *LIMITS, "--dir", os.path.join(folder, "state"),
                "pipeline.yaml"]

    def check(folder):
        lines = jobs.event_lines(folder)
        return None if lines == 2 * steps + 5 else f"{lines} event lines, {2 * steps + 5} expected"

    return jobs.Job("sluice run, sync: never", prepare, check=check)


def ninja(steps):
    def prepare(folder):
        with open(os.path.join(folder, "build.ninja"), "w", encoding="ascii") as f:
            f.write(f"rule t\n  command = {jobs.PROGRAM}\n")
            f.writelines(f"build s{n}: t {' '.join(f's{i}' for i in needs(n))}\n" for n in range(steps))
        return ["ninja", "-n"]

    return jobs.Job("ninja -n", prepare, needs=["ninja"])


def make(steps):
    def prepare(folder):
        names = " ".join(f"s{n}" for n in range(steps))
        with open(os.path.join(folder, "Makefile"), "w", encoding="ascii") as f:
            f.write(f".PHONY: all {names}\nall: {names}\n")
            f.writelines(f"s{n}: {' '.join(f's{i}' for i in needs(n))}\n\t@{jobs.PROGRAM}\n" for n in range(steps))
        return ["make", "-n"]

    return jobs.Job("make -n", prepare, needs=["make"])


def tsort(steps):
    def prepare(folder):
        with open(os.path.join(folder, "edges"), "w", encoding="ascii") as f:
            f.writelines(f"s{i} s{n}\n" for n in range(steps) for i in needs(n))
        return ["tsort", "edges"]

    return jobs.Job("tsort", prepare, needs=["tsort"])
