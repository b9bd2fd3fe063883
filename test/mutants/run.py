"""Plant each bug of bugs.py in a copy of the source, and let what must find it find it.

usage: run.py [--fast | --all | --list] [--jobs N] [--seeds N] [--folder FOLDER] [NAME]...

--fast: those that script/test plants each time. Each test first passes on the copy without a bug. The copies stay in
FOLDER (build/mutants), so that the next run builds only what changed. TAP on stdout; exit 1 when a bug was missed.

A test that does not end has found the bug only when it ends in that time without it: on a busy machine everything
hangs.
"""
import argparse
import contextlib
import ctypes
import fcntl
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bugs import BUGS  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
COPIED = ["meson.build", "meson_options.txt", "src", "include", "bench", "test", "man", "script", "docs", "examples"]
PROGRAMS = ["src/cli/sluice", "src/cli/sluice-keeper"]
HELPERS = ["test/faults/keeper-dynamic", "test/power/blockrec", "test/support/killat", "test/support/tell",
           "test/surgery/judge"]  # where they can be built
KNOWN = {"ext4-plain": 0.05}  # share of images that lose lines without a bug: docs/GUARANTEES.md, limits
CLEAN_S = 600  # no build, and no test without a bug, takes longer
LEAST_S = 120  # a test with a bug has at least so long, and ten times as long as without
PR_SET_CHILD_SUBREAPER = 36


# --- a copy of the tree

def files_of(root):
    for name in COPIED:
        path = root / name
        found = [path] if path.is_file() else path.rglob("*")
        yield from (at for at in found if at.is_file() and "__pycache__" not in at.parts)


def sync(tree):
    """Make the copy like the source; what is the same keeps its time, so that it is not built again."""
    wanted = {path.relative_to(ROOT) for path in files_of(ROOT)}
    for path in list(files_of(tree)) if tree.exists() else []:
        if path.relative_to(tree) not in wanted:
            path.unlink()
    for name in wanted:
        source, target = ROOT / name, tree / name
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


@contextlib.contextmanager
def planted(tree, bug):
    """The copy with the bug; None when its text does not stand there once."""
    path = tree / bug.file
    whole = path.read_text()
    if whole.count(bug.old) != 1:
        yield None
        return
    path.write_text(whole.replace(bug.old, bug.new))
    try:
        yield path
    finally:
        path.write_text(whole)


# --- tests

def targets(by, build):
    if by[0] in ("sim", "unit"):
        return ["src/sim/sluice-sim"] if by == ("sim",) else list(by[1:])
    rules = (build / "build.ninja").read_text()
    return PROGRAMS + [helper for helper in HELPERS if f"build {helper}:" in rules]


def command(by, build, seeds, keep):
    if by[0] == "sim":
        return [build / "src/sim/sluice-sim", "--seeds", str(seeds)]
    if by[0] == "unit":
        return [build / by[1]]
    if by[0] == "images":
        return [sys.executable, ROOT / "test/power/campaign.py", "--images", "150", "--resume-every", "1000", "--seed", "1",
                "--kind", by[1], "--shape", by[2], "--program", build / "src/cli/sluice", "--keep", keep]
    return ["/usr/bin/python3", "-m", "pytest", "-q", "-x", "-rfEs", "-p", "no:cacheprovider", "--rootdir", ROOT / "test", ROOT / by[1]]


def shown(by):
    return {"sim": "sluice-sim", "images": "test/power/campaign.py " + " ".join(by[1:])}.get(by[0]) or by[1]


def first(pattern, text):
    found = re.search(pattern, text, re.M)
    return found[1].strip() if found else None


def verdict(by, code, text):
    """("passed" | "failed" | "skipped", words)"""
    if by[0] == "images":
        figures = json.loads(text.splitlines()[-1]) if text.rstrip().endswith("}") else {}
        if figures.get("skipped"):
            return "skipped", str(figures["skipped"])
        if figures.get("failures") and len(figures["failures"]) <= figures["images"] * KNOWN.get(by[1], 0):
            return "passed", ""
        if figures.get("failures"):
            return "failed", f"{len(figures['failures'])} of {figures['images']} images: {figures['failures'][0]['what'][:120]!r}"
        return ("passed", "") if figures and code == 0 else ("failed", f"exit {code}: {text[-300:]!r}")
    if code == 0:
        if by[0] == "pytest" and not re.search(r"\b\d+ passed", text):
            return "skipped", first(r"^SKIPPED (.*)", text) or "nothing was run"
        return "passed", ""
    said = {"sim": r"^(?!.*all rules hold)(.*\S.*)$", "unit": r"^not ok \d+ - (\w+)", "pytest": r"^(?:FAILED|ERROR) \S*?(test_\S+.*)"}
    return "failed", first(said[by[0]], text) or f"it ended with {code}: {text[-200:].strip()!r}"


# --- a worker: a copy of its own, and what it starts ends with it

def descendants(pid):
    try:
        children = [int(word) for task in os.listdir(f"/proc/{pid}/task")
                    for word in Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
    except OSError:
        return []
    return [at for child in children for at in [*descendants(child), child]]


def has_room(folder):
    """What unit tests write needs much less."""
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 1 << 28


def sweep():
    """End what a command left behind: a product with a bug does not always end its own."""
    for _ in range(100):
        left = descendants(os.getpid())
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


class Worker:
    def __init__(self, folder, threads, seeds):
        self.tree, self.threads, self.seeds = folder / "tree", threads, seeds
        self.build = self.tree / "build"
        self.keep = folder / "kept"
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        sync(self.tree)
        if not (self.build / "build.ninja").exists():
            self.run(["meson", "setup", self.build, self.tree, "--buildtype=release"], check=True)
        self.run(["ninja", "-C", self.build, "build.ninja"], check=True)

    def run(self, words, check=False, in_memory=False, limit=CLEAN_S):
        env = {**os.environ, "SLUICE_BIN": str(self.build / "src/cli/sluice"), "SLUICE_BUILD": str(self.build),
               "SLUICE_SIM": str(self.build / "src/sim/sluice-sim"),
               "CMOCKA_MESSAGE_OUTPUT": "TAP", "PYTHONDONTWRITEBYTECODE": "1"}
        env.pop("PYTEST_CURRENT_TEST", None)
        if in_memory and has_room("/dev/shm"):
            env["TMPDIR"] = "/dev/shm"
        with subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env,
                              start_new_session=True) as process:
            try:
                text = process.communicate(timeout=limit)[0].decode(errors="replace")
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                sweep()
                return None, f"it does not end in {limit:.0f} s"
        sweep()
        if check and process.returncode:
            raise RuntimeError(f"{words[0]}: {text[-2000:]}")
        return process.returncode, text

    def test(self, by, limit):
        """(verdict, words, seconds that the test took); the verdict "hung" when it did not end in `limit` seconds."""
        code, text = self.run(["ninja", "-C", self.build, "-j", str(self.threads), *targets(by, self.build)])
        if code != 0:
            return "unbuilt", "does not build: " + "\n".join(re.findall(r"^.*error.*$", text, re.M)[:3] or [text[-500:]]), 0
        begun = time.monotonic()
        code, text = self.run(command(by, self.build, self.seeds, self.keep), in_memory=by[0] == "unit", limit=limit)
        return *(("hung", text) if code is None else verdict(by, code, text)), time.monotonic() - begun

    def look(self, by):
        """(by, verdict, words, seconds) of a test without a bug."""
        return by, *self.test(by, CLEAN_S)

    def hunt(self, job):
        """(bug, verdict, words, seconds) of a test with a bug, whose test took `clean` seconds without."""
        bug, clean = job
        begun = time.monotonic()
        limit = max(LEAST_S, 10 * clean)
        with planted(self.tree, bug) as there:
            state, words, _ = self.test(bug.by, limit) if there else ("unbuilt", f"its text does not stand in {bug.file} once", 0)
        if state == "hung":
            again, why, took = self.test(bug.by, limit)
            if again == "passed":
                state, words = "failed", f"{words}, and in {took:.0f} s without the bug"
            else:
                words += f", and nor does it pass now without the bug: {why}"
        return bug, state, words, time.monotonic() - begun


worker = None


def begin(folder, numbers, threads, seeds):
    global worker  # noqa: PLW0603 - one a process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = Worker(Path(folder) / str(numbers.get()), threads, seeds)


def look(by):
    return worker.look(by)


def hunt(job):
    return worker.hunt(job)


class Hunt:
    """Workers that test copies, clean and with bugs."""

    def __init__(self, folder, jobs, seeds):
        folder.mkdir(parents=True, exist_ok=True)
        self.lock = (folder / "lock").open("w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        numbers = multiprocessing.Queue()
        for number in range(jobs):
            numbers.put(number)
        self.pool = multiprocessing.Pool(jobs, begin, (folder, numbers, max(1, os.cpu_count() // jobs), seeds))
        self.clean = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pool.close()
        self.pool.join()
        self.lock.close()

    def hunt(self, bugs):
        """Yield (bug, "caught" | "missed" | "skipped", words, seconds)."""
        tests = list(dict.fromkeys(bug.by for bug in bugs if bug.by not in self.clean))
        for by, state, words, seconds in self.pool.imap_unordered(look, tests):
            self.clean[by] = (state, words, seconds)
        for bug in bugs:
            if self.clean[bug.by][0] == "skipped":
                yield bug, "skipped", self.clean[bug.by][1], 0
            elif self.clean[bug.by][0] != "passed":
                yield bug, "missed", f"{shown(bug.by)} fails without a bug: {self.clean[bug.by][1]}", 0
        able = [(bug, self.clean[bug.by][2]) for bug in bugs if self.clean[bug.by][0] == "passed"]
        for bug, state, words, seconds in self.pool.imap_unordered(hunt, able):
            yield bug, "caught" if state == "failed" else "missed", words or f"nothing found by {shown(bug.by)}", seconds


# --- the program

def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--fast", action="store_true")
    which.add_argument("--all", action="store_true")
    which.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seeds", type=int, help="of the simulator (4000; 1000 with --fast)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/mutants")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    args.seeds = args.seeds or (1000 if args.fast else 4000)
    unknown = set(args.names) - {bug.name for bug in BUGS}
    if unknown:
        parser.error(f"no such bug: {' '.join(sorted(unknown))}")
    return args


def chosen(args):
    if args.names:
        return [bug for bug in BUGS if bug.name in args.names]
    return [bug for bug in BUGS if bug.fast or not args.fast]


def main():
    args = arguments()
    bugs = chosen(args)
    if args.list:
        for bug in bugs:
            print(f"{'fast' if bug.fast else '    '}  {bug.name:48} {shown(bug.by)}")
        return 0
    begun = time.monotonic()
    count = {"caught": 0, "missed": 0, "skipped": 0}
    print(f"1..{len(bugs)}", flush=True)
    with Hunt(args.folder, min(args.jobs, len(bugs)), args.seeds) as hunt:
        for bug, state, words, seconds in hunt.hunt(bugs):
            count[state] += 1
            mark = {"caught": "ok", "missed": "not ok", "skipped": "ok"}[state]
            how = f"{shown(bug.by)}, {seconds:.0f} s: {words}" if state == "caught" else words
            print(mark, f"- {bug.name} ({bug.rule}){' # SKIP' if state == 'skipped' else ''}: {how}", flush=True)
    print(f"# {count['caught']} caught, {count['missed']} missed, {count['skipped']} skipped in {time.monotonic() - begun:.0f} s")
    return 1 if count["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
