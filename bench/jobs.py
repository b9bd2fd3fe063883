"""The same job for each program: a job fills a fresh folder and gives the command that does it there."""
import json
import os
import shutil

PROGRAM = "/bin/true"
SLOW_TURNS = 3


class Job:
    """One line of a table: a name, a command, and a check that the work was really done."""

    def __init__(self, name, prepare, needs=None, check=None, has_clock=False, env=None, turns_max=None):
        self.name = name
        self.prepare = prepare  # folder -> argument list, run in that folder
        self.needs = needs or []  # programs of this machine; without one the line says so
        self.check = check  # folder -> None, or what is wrong
        self.has_clock = has_clock  # it writes its nanoseconds to the file `clock`; its start is no part of it
        self.env = env or {}
        self.parts = []  # a turn each, from the file `parts` if it wrote one: what it took -> ns
        self.turns_max = turns_max  # of a program so slow that the other turns go on without it

    def missing(self):
        """Why it cannot be run here; None if it can."""
        for program in self.needs:
            if not shutil.which(program):
                return "not installed: `script/bench --peers`" if "node_modules" in program else f"no {program} here"
        return None


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

    return Job(f"ninja -j{slots}", prepare, needs=["ninja"])


def make(steps, roots=False, slots=1):
    def prepare(folder):
        names = [f"s{n}" for n in range(steps)]
        lines = [f".PHONY: all {' '.join(names)}\nall: {' '.join(names)}\n"]
        for n, name in enumerate(names):
            lines.append(f"{name}:{'' if roots or n == 0 else ' ' + names[n - 1]}\n\t@{PROGRAM}\n")
        write(folder, "Makefile", "".join(lines))
        return ["make", "-s", f"-j{slots}"]

    return Job(f"make -j{slots}", prepare, needs=["make"])


def peer(build, *path):
    """A file of what `script/bench --peers` installs."""
    return os.path.join(build, "peers", "node_modules", *path)


def nx(build, steps, roots=False, slots=1):
    """Its own cache and daemon are off: each step is to be carried out, each time."""
    program = peer(build, ".bin", "nx")

    def prepare(folder):
        write(folder, "nx.json", json.dumps({"targetDefaults": {"t": {"cache": False, "dependsOn": ["^t"]}},
                                             "analytics": False, "neverConnectToCloud": True}))
        write(folder, "package.json", json.dumps({"name": "bench", "private": True}))
        for n in range(steps):
            os.mkdir(os.path.join(folder, f"s{n}"))
            write(folder, f"s{n}/project.json", json.dumps({
                "name": f"s{n}", "targets": {"t": {"command": PROGRAM}},
                "implicitDependencies": [] if roots or n == 0 else [f"s{n - 1}"]}))
        os.mkdir(os.path.join(folder, ".git"))  # what is ignored around the folder is not ignored in it
        os.symlink(peer(build), os.path.join(folder, "node_modules"))
        return [program, "run-many", "-t", "t", f"--parallel={slots}", "--outputStyle=static"]

    return Job(f"nx --parallel={slots}", prepare, needs=["node", program], env={"NX_DAEMON": "false", "CI": "true"},
               turns_max=SLOW_TURNS)


def restate(build, steps):
    script = os.path.join(build, "peers", "restate.mjs")
    return Job("Restate, ctx.run", lambda folder: ["node", script, str(steps)],
               needs=["node", peer(build, ".bin", "restate-server")], has_clock=True)


def call(build, steps, slots):
    """Steps that are a function of the program, `sync: interval:10`; building the pipeline is no part of it."""
    command = [os.path.join(build, "bench", "call_bench"), str(steps), str(slots)]

    def check(folder):
        lines = event_lines(folder)
        return None if lines == 2 * steps + 5 else f"{lines} event lines, {2 * steps + 5} expected"

    return Job(f"sluice, call, {slots} at a time", lambda folder: command, check=check, has_clock=True)


def numbers(folder, steps):
    write(folder, "numbers", "".join(f"{n}\n" for n in range(steps)))


def xargs(steps, slots):
    def prepare(folder):
        numbers(folder, steps)
        return ["xargs", "-a", "numbers", "-n1", f"-P{slots}", PROGRAM]

    return Job(f"xargs -P{slots}", prepare, needs=["xargs"])


def parallel(steps, slots):
    def prepare(folder):
        numbers(folder, steps)
        return ["parallel", "--will-cite", f"-j{slots}", PROGRAM, "{}", "::::", "numbers"]

    return Job(f"GNU parallel -j{slots}", prepare, needs=["parallel"], turns_max=SLOW_TURNS)


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
    return Job("SQLite, WAL, FULL", lambda folder: command, needs=["/usr/bin/python3"])
