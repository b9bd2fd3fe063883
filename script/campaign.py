#!/usr/bin/python3
"""Runs the campaigns of families of tests, keeps their figures, and puts them into the document.

A family is a folder of test/ with a campaign.py: `campaign.py --minutes M --seed S` runs its cases until the
time is over and prints one line of JSON at its end, with at least `family`, `cases`, `failures` (a list),
`seed` and `seconds`; `skipped` says why there was nothing to do. Without that line, or with an exit status
that does not fit to it, the family failed."""
import argparse
import concurrent.futures
import datetime
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs/GUARANTEES.md"
KEPT = ROOT / "build/campaign"
RESULTS = KEPT / "results.jsonl"
BEGIN, END = "<!-- campaign -->", "<!-- /campaign -->"
SHOWN = 5       # failures of a family that are printed; all are in results.jsonl
PATIENCE = 600  # seconds beyond its time, and as much again, that a family may take for its last case


def families():
    return {path.parent.name: path for path in sorted(ROOT.glob("test/*/campaign.py"))}


def commit():
    """The short hash, with a + when the tree beside docs/ is not what was committed; ? without git."""
    def git(*args):
        done = subprocess.run(["git", "-C", ROOT, *args], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None
    try:
        head = git("rev-parse", "--short=9", "HEAD")
        return head + ("+" if git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs") else "") if head else "?"
    except FileNotFoundError:
        return "?"


# ----------------------------------------------------------------------------------- one family

def closing_line(text):
    """The last line, if it is what a family must say; else None."""
    lines = text.strip().splitlines()
    try:
        said = json.loads(lines[-1])
        is_right = isinstance(said["failures"], list) and type(said["cases"]) is int and said["cases"] >= 0 \
            and isinstance(said["seconds"], (int, float))
    except (IndexError, ValueError, KeyError, TypeError):
        return None
    return said if is_right else None


running = []  # processes of families, each with a group of its own


def end_group(process):
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def play(name, path, minutes, seed, log):
    """Runs one family; answers its line of figures."""
    begun = time.monotonic()
    limit = minutes * 120 + PATIENCE
    ended = "in time"
    with open(log, "wb") as errors:
        process = subprocess.Popen(["nice", "-n", "10", sys.executable, "-B", path, "--minutes", f"{minutes:.3f}",
                                    "--seed", str(seed)], cwd=ROOT, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
        running.append(process)
        try:
            text, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            ended = f"it did not end within {limit:.0f} seconds"
            end_group(process)
            text, _ = process.communicate()
    with open(log, "a", encoding="utf-8") as errors:
        errors.write(text)
    said = closing_line(text) if ended == "in time" else None
    line = said or {"cases": 0, "failures": []}
    if said is None:
        why = ended if ended != "in time" else f"exit {process.returncode} without a line of figures"
        line["failures"] = [f"{why}: {log}"]
    elif bool(process.returncode) != bool(said["failures"]):
        line["failures"] = [*said["failures"], f"exit {process.returncode} with {len(said['failures'])} failures: {log}"]
    line.update(family=name, seed=seed)
    line.setdefault("seconds", round(time.monotonic() - begun, 1))
    return line


def keep(line, head):
    """One write of one line at the end: campaigns side by side do not mix."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    raw = json.dumps({"time": now, "commit": head, **line}) + "\n"
    with open(RESULTS, "ab", buffering=0) as results:
        results.write(raw.encode())


# ---------------------------------------------------------------------------------- the document

def read_results():
    found = []
    if RESULTS.exists():
        for number, text in enumerate(RESULTS.read_text(encoding="utf-8").splitlines(), 1):
            try:
                line = json.loads(text)
                found.append((line["family"], line["commit"], line["seed"], line["cases"], len(line["failures"]),
                              line["seconds"], line.get("skipped")))
            except (ValueError, KeyError, TypeError):
                sys.exit(f"{RESULTS}:{number}: no line of figures: move it away, or mend it")
    return found


def seeds(numbers):
    numbers = sorted(set(numbers))
    return ", ".join(map(str, numbers)) if len(numbers) <= 4 else f"{numbers[0]} and {len(numbers) - 1} more"


class Row:
    """Of the table: what a family did at one commit."""

    FORM = re.compile(r"^\| (\S+) \| `(\S+)` \| (.*) \| ([\d,]+) \| ([\d,]+) \| ([\d.]+) \|$", re.M)

    def __init__(self, seeds_text="", cases=0, failures=0, minutes=0.0):
        self.numbers, self.seeds_text = [], seeds_text
        self.cases, self.failures, self.minutes = cases, failures, minutes

    def add(self, seed, cases, failures, seconds):
        self.numbers.append(seed)
        self.seeds_text = seeds(self.numbers)
        self.cases, self.failures, self.minutes = self.cases + cases, self.failures + failures, self.minutes + seconds / 60

    def cells(self):
        return f"{self.cases:,} | {self.failures:,} | {self.minutes:.1f} |"


def rows_of_document(block):
    """{(family, commit): row}, in the order of the table."""
    return {(family, head): Row(seeds_text, int(cases.replace(",", "")), int(failures.replace(",", "")), float(minutes))
            for family, head, seeds_text, cases, failures, minutes in Row.FORM.findall(block)}


def rows_of_results(lines):
    """The same. What was skipped is no row."""
    rows = {}
    for family, head, seed, cases, failures, seconds, skipped in lines:
        if cases or not skipped:
            rows.setdefault((family, head), Row()).add(seed, cases, failures, seconds)
    return rows


def table(rows):
    """A row for each family and commit, the newest last, and their sum."""
    text = ["| Family | Commit | Seeds | Cases | Failures | Minutes |", "|---|---|---|---|---|---|"]
    for (family, head), row in sorted(rows.items(), key=lambda item: item[0][0]):
        text.append(f"| {family} | `{head}` | {row.seeds_text} | {row.cells()}")
    total = Row("", *(sum(getattr(row, name) for row in rows.values()) for name in ("cases", "failures", "minutes")))
    text.append(f"| all | | | {total.cells()}")
    return "\n".join(text) + "\n"


def update():
    """Rows of this tree's campaigns replace those of the same family and commit; the others are of other trees, and stay."""
    whole = DOCUMENT.read_text(encoding="utf-8")
    if whole.count(BEGIN) != 1 or whole.count(END) != 1 or whole.index(BEGIN) > whole.index(END):
        sys.exit(f"{DOCUMENT}: needs {BEGIN} and, below it, {END}, once each")
    before, rest = whole.split(BEGIN)
    block, after = rest.split(END)
    mine = rows_of_results(read_results())
    if not mine:
        sys.exit(f"{RESULTS}: no figures yet: run a campaign first")
    rows = {**rows_of_document(block), **mine}
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table(rows)}{END}{after}", encoding="utf-8")
    print(f"{DOCUMENT.relative_to(ROOT)}: {len(rows)} rows")


# ------------------------------------------------------------------------------------ all of them

def show(lines):
    form = "{:<12} {:>12} {:>9} {:>9} {:>12}  {}"
    print(form.format("family", "cases", "failures", "minutes", "seed", "").rstrip())
    for line in lines:
        print(form.format(line["family"], f"{line['cases']:,}", len(line["failures"]),
                          f"{line['seconds'] / 60:.1f}", line["seed"],
                          f"skipped: {line['skipped']}" if line.get("skipped") else "").rstrip())
    for line in lines:
        for failure in line["failures"][:SHOWN]:
            text = failure if isinstance(failure, str) else json.dumps(failure)
            print(f"{line['family']}: {text[:2000]}")
        if len(line["failures"]) > SHOWN:
            print(f"{line['family']}: {len(line['failures']) - SHOWN} more in {RESULTS}")


def positive(text):
    value = float(text)
    if not 0 < value <= 100_000:
        raise argparse.ArgumentTypeError("minutes are more than 0")
    return value


def jobs(text):
    if not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError("1 to 64")
    return int(text)


def arguments(known):
    parser = argparse.ArgumentParser(prog="script/campaign")
    parser.add_argument("minutes", nargs="?", type=positive, help="for all families together")
    parser.add_argument("family", nargs="*", help=f"of {', '.join(known)}; without one all")
    parser.add_argument("--jobs", type=jobs, default=1, metavar="N", help="families side by side (1)")
    parser.add_argument("--seed", type=int, help="of each family; without it a new one")
    parser.add_argument("--update", action="store_true", help="put all figures so far into docs/GUARANTEES.md")
    parser.add_argument("--list", action="store_true", help="print the families")
    args = parser.parse_intermixed_args()
    for name in args.family:
        if name not in known:
            parser.error(f"no family '{name}': {', '.join(known) or 'none'}")
    if args.minutes is None and not args.update and not args.list:
        parser.error("for how many minutes?")
    return args


def campaign(args, known):
    chosen = list(dict.fromkeys(args.family)) or list(known)
    if not chosen:
        sys.exit("no family has a campaign.py")
    side_by_side = min(args.jobs, len(chosen))
    minutes = args.minutes * side_by_side / len(chosen)
    seed = args.seed if args.seed is not None else int(time.time())
    head = commit()
    KEPT.mkdir(parents=True, exist_ok=True)
    print(f"{head}, seed {seed}: {', '.join(chosen)}, {minutes:.1f} minutes each", flush=True)

    def one(name):
        line = play(name, known[name], minutes, seed, KEPT / f"{name}.log")
        keep(line, head)
        print(f"{name}: {line['cases']:,} cases, {len(line['failures'])} failures", flush=True)
        return line

    with concurrent.futures.ThreadPoolExecutor(side_by_side) as pool:
        try:
            lines = list(pool.map(one, chosen))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in running:
                end_group(process)
            raise
    print()
    show(lines)
    return 1 if any(line["failures"] for line in lines) else 0


def stopped(number, _frame):
    sys.exit(128 + number)


def main():
    signal.signal(signal.SIGTERM, stopped)
    known = families()
    args = arguments(known)
    if args.list:
        print("\n".join(known))
        return 0
    status = campaign(args, known) if args.minutes is not None else 0
    if args.update:
        update()
    return status


if __name__ == "__main__":
    sys.exit(main())
