"""The black-box tests on programs built with sanitizers, in two parts: `memory`, all of them under AddressSanitizer and
UndefinedBehaviorSanitizer; `threads`, what uses threads under ThreadSanitizer.

usage: campaign.py [--minutes M] [--seed S] [--share] [--only memory|threads] [--jobs N]

`--share`: the part of `memory` that script/test has time for, of which each file must end with so many cases at least, and
one pass of the threads. Else all black-box tests, those that are marked slow behind the others, files in an order that the
seed gives, and then passes of the threads until the time is over. All of them take more than half an hour with two
processors: a file that has not begun when the time of its part is over is left out, and one that is under way is ended and
told of as not finished. One that does not end in a time of its own hangs, and that is a failure. Prints one line of JSON at
its end; exit 1 when something failed; what was said is kept in build/campaign/."""
import concurrent.futures
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as xml
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.family import Closing, options  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
KEEP = ROOT / "build/campaign"
OPTIONS = {
    "ASAN_OPTIONS": "abort_on_error=1:handle_abort=0:disable_coredump=0:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:exitcode=66:second_deadlock_stack=1:suppressions="
                    + str(ROOT / "test/sanitizers/threads.supp"),
}
BUILDS = {"memory": ("build/asan", "address,undefined"), "threads": ("build/tsan", "thread")}

# Something of each, long ones first: foreign bytes, gates, keepers, trees of processes, kills, calls that fail. {file: its
# cases at least}, fewer where some need root, none where all need strace or notifications of seccomp.
SHARE = {"test/surgery/test_lines.py": 16, "test/faults/test_failing_calls.py": 0, "test/engine/test_s8_attempts.py": 50,
         "test/security/test_injection.py": 80, "test/engine/test_s5_gates.py": 55, "test/cli/test_bad_input.py": 110,
         "test/crash/test_random_kills.py": 8, "test/crash/test_kill_every_syscall.py": 0, "test/cli/test_torn_notes.py": 9,
         "test/process/test_ends.py": 14, "test/crash/test_fences.py": 1}
FILE_SECONDS = {"not slow": 900, "slow": 2700}  # so long takes none that does not hang, on a busy machine either
QUIET_SECONDS = 300  # no case takes so long
THREADS_SECONDS = 600
DIES_IN_SECONDS = 60
NOTHING_CHOSEN = 5  # exit status of pytest
FOLDERS = ["cli", "engine", "library", "security", "surgery", "conform", "crash", "faults", "process", "power", "golden",
           "docs", "examples"]
MEMORY_SHARE = 0.85  # the rest of the time is that of the threads
# src/exec/call and src/sys/worker carry functions out; src/api/run_host and the handle are shared by threads.
THREADS = ["call", "kind", "host", "executor", "conform", "outside"]


def arguments():
    parser = options(__doc__, minutes=10)
    parser.add_argument("--share", action="store_true")
    parser.add_argument("--only", choices=sorted(BUILDS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    return parser.parse_args()


def build(which):
    """None, or what went wrong."""
    folder, sanitizer = BUILDS[which]
    if not (ROOT / folder / "build.ninja").exists():
        done = subprocess.run(["meson", "setup", folder, "--buildtype=debugoptimized", f"-Db_sanitize={sanitizer}"],
                              cwd=ROOT, env={**os.environ, "CC": "gcc"}, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return done.stdout[-2000:]
    targets = ["all"] if which != "threads" else \
        ["src/keeper/sluice-keeper", *(f"test/unit/api/api_{name}_test" for name in THREADS)]
    done = subprocess.run(["ninja", "-C", folder, "--quiet", *targets], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    return None if done.returncode == 0 else done.stdout[-4000:]


def outcomes(path):
    """(tests that ran, names of those that failed) of a JUnit file; None when there is none."""
    if not path.exists():
        return None
    cases = [case for case in xml.parse(path).getroot().iter("testcase") if case.find("skipped") is None]
    bad = [f"{case.get('classname')}::{case.get('name')}" for case in cases
           if case.find("failure") is not None or case.find("error") is not None]
    return len(cases), bad


def files_in_turn(seed):
    files = sorted(str(path.relative_to(ROOT)) for folder in FOLDERS
                   for path in (ROOT / "test" / folder).glob("test_*.py"))
    random.Random(seed).shuffle(files)
    return files


class Files:
    """Files of tests, some at a time, each by a pytest of its own."""

    def __init__(self, jobs, until=None):
        """`until`: when the campaign's time is over; None: each file must end."""
        self.jobs, self.until = jobs, until
        self.cases, self.failures, self.not_finished, self.left_out = 0, [], [], []
        self.lock = threading.Lock()

    def left(self):
        return float("inf") if self.until is None else self.until - time.monotonic()

    def wait(self, process, log, own):
        """None when it has ended by itself, else why it was ended: it `hangs`, or the time of all `is over`."""
        left = self.left()
        try:
            process.wait(min(own, left))
            return None
        except subprocess.TimeoutExpired:
            quiet = time.time() - log.stat().st_mtime
        process.send_signal(signal.SIGINT)
        try:
            process.wait(DIES_IN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return "hangs" if own <= left or quiet > QUIET_SECONDS else "is over"

    def pytest(self, file, marks):
        """(why it was ended, exit status, what was counted or None, the log)"""
        folder, name = ROOT / BUILDS["memory"][0], re.sub(r"\W+", "-", f"{Path(file).with_suffix('')} {marks}")
        log, results = KEEP / f"sanitizers-{name}.log", KEEP / f"sanitizers-{name}.xml"
        results.unlink(missing_ok=True)
        env = {**os.environ, **OPTIONS, "SLUICE_BIN": str(folder / "src/cli/sluice"), "SLUICE_BUILD": str(folder),
               "PYTHONDONTWRITEBYTECODE": "1"}
        with open(log, "wb") as said:
            process = subprocess.Popen(
                ["env", "--default-signal=INT", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", marks,
                 f"--junitxml={results}", file], cwd=ROOT, env=env, stdout=said, stderr=subprocess.STDOUT)
            why = self.wait(process, log, FILE_SECONDS[marks])
        return why, process.returncode, outcomes(results), log

    def run_file(self, file, marks, least=0):
        if self.left() < 1:
            self.left_out.append(file)
            return
        why, status, found, log = self.pytest(file, marks)
        cases, bad = found or (0, [])
        if why == "hangs":
            bad = [*bad, f"{file} hangs: {log}"]
        elif why is None and found is None:
            bad = [f"no results of {file}, exit {status}: {log}"]
        elif why is None and status not in (0, NOTHING_CHOSEN) and not bad:
            bad = [f"{file}, exit {status}: {log}"]
        elif why is None and cases < least:
            bad = [*bad, f"{file}: {cases} cases, not {least}: {log}"]
        with self.lock:
            self.cases, self.failures = self.cases + cases, self.failures + bad
            self.not_finished += [file] if why == "is over" else []

    def run(self, files, marks):
        """`files`: {name: how many cases it must have}"""
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            for done in [pool.submit(self.run_file, file, marks, least) for file, least in files.items()]:
                done.result()


def programs(args, seconds):
    """What came of the tests of programs."""
    files = Files(args.jobs, None if args.share else time.monotonic() + seconds)
    if args.share:
        files.run(SHARE, "not slow")
    else:
        for marks in FILE_SECONDS:
            files.run(dict.fromkeys(files_in_turn(args.seed), 0), marks)
    if not files.cases:
        files.failures.append("no case of a program ended")
    return files


def threads(args, until):
    """(cases, failures): passes until the time is over, one at least."""
    folder = ROOT / BUILDS["threads"][0]
    cases, bad, number = 0, [], 0
    while number == 0 or (not args.share and not bad and time.monotonic() < until):
        number += 1
        for name in THREADS:
            log = KEEP / f"sanitizers-threads-{name}.log"
            command = ["timeout", f"--kill-after={DIES_IN_SECONDS}", str(THREADS_SECONDS),
                       folder / f"test/unit/api/api_{name}_test", folder / "src/keeper/sluice-keeper"]
            with open(log, "wb") as said:
                done = subprocess.run(command, cwd=ROOT, env={**os.environ, **OPTIONS}, stdout=said,
                                      stderr=subprocess.STDOUT, check=False)
            text = log.read_text(errors="replace")
            ended = len(re.findall(r"^\[ +OK +\]|^ok \d+", text, re.M))
            cases += ended
            if done.returncode != 0 or not ended or "WARNING: ThreadSanitizer" in text:
                bad.append(f"{name}, exit {done.returncode}: {log.relative_to(ROOT)}")
    return cases, bad


def main():
    args = arguments()
    closing = Closing("sanitizers", args.seed)
    KEEP.mkdir(parents=True, exist_ok=True)
    until = closing.until(args.minutes)
    cases, failures, figures = 0, [], {}
    for which in BUILDS:
        if args.only not in (None, which):
            continue
        why = build(which)
        if why:
            print(why)
            failures.append(f"{which} was not built")
            continue
        if which == "threads":
            count, bad = threads(args, until)
        else:
            share = args.minutes * 60 * (1 if args.only else MEMORY_SHARE)
            files = programs(args, max(60, min(share, until - time.monotonic())))
            count, bad = files.cases, files.failures
            figures |= {"not_finished": files.not_finished, "left_out": len(files.left_out)}
        cases += count
        failures += bad
        figures[which] = count
    for failure in failures:
        print(f"failed: {failure}")
    return closing.tell(cases, failures, **figures)


if __name__ == "__main__":
    sys.exit(main())
