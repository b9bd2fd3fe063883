"""The same job for each program: a job fills a fresh folder and gives the command that does it there."""
import os
import shutil

PROGRAM = "/bin/true"


class Job:
    """One line of a table: a name, a command, and a check that the work was really done."""

    def __init__(self, name, prepare, needs=None, check=None):
        self.name = name
        self.prepare = prepare  # folder -> argument list, run in that folder
        self.needs = needs  # a program of this machine; without it the line is left out with a note
        self.check = check  # folder -> None, or what is wrong

    def missing(self):
        return self.needs and not shutil.which(self.needs)


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
        f.write(text)


def floor(build, program, *arguments):
    command = [os.path.join(build, "bench", program), *map(str, arguments)]
    return Job("floor", lambda folder: command)


def event_lines(folder):
    runs = os.path.join(folder, "state", "runs")
    (run,) = os.listdir(runs)
    with open(os.path.join(runs, run, "events.jsonl"), "rb") as f:
        return sum(1 for _ in f)


def sluice(build, name, steps, kind='argv: ["/bin/true"]', roots=False, slots=1, sync="always"):
    """A run of plain steps; 2n + 5 event lines prove that every step was started and succeeded."""

    def prepare(folder):
        needs = "needs: [], " if roots else ""
        lines = [f"pipeline: bench\nconcurrency: {slots}\nsync: {sync}\nsteps:\n"]
        lines += [f"  s{n}: {{{needs}{kind}}}\n" for n in range(steps)]
        write(folder, "pipeline.yaml", "".join(lines))
        # A state directory is made once; what is measured is a run in it.
        os.makedirs(os.path.join(folder, "state", "runs"), mode=0o700)
        return [os.path.join(build, "sluice"), "run", "-q", "--dir", os.path.join(folder, "state"), "pipeline.yaml"]

    def check(folder):
        lines = event_lines(folder)
        return None if lines == 2 * steps + 5 else f"{lines} event lines, {2 * steps + 5} expected"

    return Job(name, prepare, check=check)


def ninja(steps, roots=False, slots=1):
    def prepare(folder):
        lines = [f"rule t\n  command = {PROGRAM}\n"]
        for n in range(steps):
            lines.append(f"build s{n}: t{'' if roots or n == 0 else f' s{n - 1}'}\n")
        write(folder, "build.ninja", "".join(lines))
        return ["ninja", "--quiet", f"-j{slots}"]

    return Job(f"ninja -j{slots}", prepare, needs="ninja")


def make(steps, roots=False, slots=1):
    def prepare(folder):
        names = [f"s{n}" for n in range(steps)]
        lines = [f".PHONY: all {' '.join(names)}\nall: {' '.join(names)}\n"]
        for n, name in enumerate(names):
            lines.append(f"{name}:{'' if roots or n == 0 else ' ' + names[n - 1]}\n\t@{PROGRAM}\n")
        write(folder, "Makefile", "".join(lines))
        return ["make", "-s", f"-j{slots}"]

    return Job(f"make -j{slots}", prepare, needs="make")


def numbers(folder, steps):
    write(folder, "numbers", "".join(f"{n}\n" for n in range(steps)))


def xargs(steps, slots):
    def prepare(folder):
        numbers(folder, steps)
        return ["xargs", "-a", "numbers", "-n1", f"-P{slots}", PROGRAM]

    return Job(f"xargs -P{slots}", prepare, needs="xargs")


def parallel(steps, slots):
    def prepare(folder):
        numbers(folder, steps)
        return ["parallel", "--will-cite", f"-j{slots}", PROGRAM, "{}", "::::", "numbers"]

    return Job(f"GNU parallel -j{slots}", prepare, needs="parallel")


SQLITE = """
import sqlite3, sys
db = sqlite3.connect("events.db", isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("PRAGMA synchronous = FULL")
db.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY, line BLOB)")
line, total, batch = b"x" * 231, int(sys.argv[1]), int(sys.argv[2])
for start in range(0, total, batch):
    db.execute("BEGIN")
    for n in range(start, min(start + batch, total)):
        db.execute("INSERT INTO event (line) VALUES (?)", (line,))
    db.execute("COMMIT")
"""


def sqlite(lines, batch):
    command = ["/usr/bin/python3", "-c", SQLITE, str(lines), str(batch)]
    return Job("SQLite, WAL, FULL", lambda folder: command, needs="/usr/bin/python3")
