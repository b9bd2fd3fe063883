"""The black-box tests on programs built with sanitizers, in two parts: `memory`, all of them under AddressSanitizer and
UndefinedBehaviorSanitizer; `threads`, what uses threads under ThreadSanitizer.

usage: campaign.py [--minutes M] [--seed S] [--share] [--only memory|threads] [--jobs N]

`--share`: the part of `memory` that script/test has time for (two and a half minutes at most), and one pass of the
threads. Else all black-box tests, those that are marked slow behind the others, files in an order that the seed gives, and
then passes of the threads until the time is over. A black-box test that has not begun when the time of its part is over is
left out: all of them take more than half an hour with two processors. Prints one line of JSON at its end; exit 1 when
something failed; what was said is kept in build/campaign/."""
import os
import random
import re
import subprocess
import sys
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

# What reads foreign bytes, and what is wrong in every way.
SHARE = ["test/cli/test_torn_notes.py", "test/cli/test_bad_input.py", "test/cli/test_wrong_words.py",
         "test/engine/test_s5_gates.py"]
SHARE_SECONDS = 150
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


def black_box(args, marks, files, seconds):
    """(cases, failures) of the tests with these marks."""
    folder = ROOT / BUILDS["memory"][0]
    name = f"sanitizers-memory-{marks.replace(' ', '-')}"
    log, results = KEEP / f"{name}.log", KEEP / f"{name}.xml"
    results.unlink(missing_ok=True)
    env = {**os.environ, **OPTIONS, "SLUICE_BIN": str(folder / "src/cli/sluice"), "SLUICE_BUILD": str(folder),
           "PYTHONDONTWRITEBYTECODE": "1"}
    parallel = ["-n", str(args.jobs)] if args.jobs > 1 else []
    with open(log, "wb") as said:
        done = subprocess.run(
            ["timeout", "--signal=INT", str(int(seconds)), sys.executable, "-m", "pytest", "-q", "-p",
             "no:cacheprovider", *parallel, "-m", marks, f"--junitxml={results}", *files],
            cwd=ROOT, env=env, stdout=said, stderr=subprocess.STDOUT, check=False)
    found = outcomes(results)
    if found is None:
        return 0, [f"no results, exit {done.returncode}: {log.relative_to(ROOT)}"]
    cases, bad = found
    if done.returncode not in (0, 124) and not bad:
        bad = [f"exit {done.returncode}: {log.relative_to(ROOT)}"]
    return cases, bad


def programs(args, seconds):
    """(cases, failures)"""
    if args.share:
        return black_box(args, "not slow", SHARE, SHARE_SECONDS)
    files, until = files_in_turn(args.seed), time.monotonic() + seconds
    cases, bad = 0, []
    for marks in ("not slow", "slow"):
        left = until - time.monotonic()
        if left > 1:
            more, failures = black_box(args, marks, files, left)
            cases, bad = cases + more, bad + failures
    return cases, bad


def threads(args, until):
    """(cases, failures): passes until the time is over, one at least."""
    folder = ROOT / BUILDS["threads"][0]
    cases, bad, number = 0, [], 0
    while number == 0 or (not args.share and not bad and time.monotonic() < until):
        number += 1
        for name in THREADS:
            log = KEEP / f"sanitizers-threads-{name}.log"
            with open(log, "wb") as said:
                done = subprocess.run(
                    [folder / f"test/unit/api/api_{name}_test", folder / "src/keeper/sluice-keeper"], cwd=ROOT,
                    env={**os.environ, **OPTIONS}, stdout=said, stderr=subprocess.STDOUT, check=False)
            text = log.read_text(errors="replace")
            cases += len(re.findall(r"^\[ +OK +\]|^ok \d+", text, re.M))
            if done.returncode != 0 or "WARNING: ThreadSanitizer" in text:
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
            count, bad = programs(args, max(60, min(share, until - time.monotonic())))
        cases += count
        failures += bad
        figures[which] = count
    for failure in failures:
        print(f"failed: {failure}")
    return closing.tell(cases, failures, **figures)


if __name__ == "__main__":
    sys.exit(main())
