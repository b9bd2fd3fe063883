"""Failing calls and allocations, one at a time.

usage: campaign.py [--minutes M] [--seed S] [--cases N] [--part calls|memory] [--program SLUICE] [--only CASE]

Two thirds of the time: every call of engine and keeper x every error x every number, once and for ever, in runs,
resumes, approvals and rollbacks. The rest: every place that allocates, in runs, resumes, keepers and commands that
read; then every allocation of runs and resumes. In an order that the seed gives, until the time is over or each was
tried once. Prints one line of JSON at its end; exit 1 when something failed.
Failing calls are kept in build/campaign/faults.txt, one a line, for --only. With SLUICE_BIN and SLUICE_BUILD of a
build with sanitizers, what these find in engine and keeper is a failure, leaks too."""
import collections
import functools
import random
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import fault_table  # noqa: E402
import memory_world  # noqa: E402
from fault_world import COMMANDS, Fault, all_faults, fail_once, install_observed, record_calls, why_not  # noqa: E402
from support.family import Closing, options  # noqa: E402
from support.sluice import ROOT  # noqa: E402

KEPT = ROOT / "build/campaign/faults.txt"


def arguments():
    parser = options(__doc__)
    parser.add_argument("--cases", type=int, help="no more than so many")
    parser.add_argument("--program", help="sluice, with its keeper beside it")
    parser.add_argument("--part", choices=["calls", "memory"], help="without it both")
    parser.add_argument("--only", help="one case, as a line of faults.txt says: 'engine fdatasync EIO 3 for ever'")
    return parser.parse_args()


def fault_of(text):
    """The case of a line of faults.txt."""
    words = text.split()
    command = words.pop(0) if words[0] in COMMANDS else "run"
    error = int(words[2]) if words[2].isdigit() else words[2]
    return Fault(words[0], words[1], error, int(words[3]), words[4:] == ["for", "ever"], command)


def keep(fault, problem):
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with open(KEPT, "a") as f:
        f.write(f"{fault}\n")
    return f"{fault}: {str(problem)[-500:]}"


def sweep_memory(args, folder, program, until):
    """(figures, failures): whole commands in turn, each at every place; then runs and resumes at every allocation."""
    def in_folder(name, sweep, *words):
        own = Path(folder) / re.sub(r"\W", "-", f"memory-{name}")
        return name, lambda step, end: own.mkdir() or sweep(own, program, *words, step, end)

    sweeps = [in_folder(verb, memory_world.sweep_verb, verb) for verb in memory_world.VERBS]
    sweeps += [in_folder("run", memory_world.sweep_run), in_folder("resume", memory_world.sweep_resume),
               in_folder("keeper", memory_world.sweep_keeper)]
    random.Random(args.seed).shuffle(sweeps)
    shuffle = random.Random(args.seed).shuffle
    sweeps += [in_folder("every-run", functools.partial(memory_world.sweep_run, shuffle=shuffle)),
               in_folder("every-resume", functools.partial(memory_world.sweep_resume, shuffle=shuffle))]
    figures, failures = collections.Counter(), []
    for name, sweep in sweeps:
        if time.monotonic() > until:
            break
        # What reads the history makes thousands, in the library of the database.
        codes, wrong = sweep(9 if name.startswith(("list", "stats")) else 1, until)
        figures["allocations"] += sum(codes.values()) + len(wrong)
        figures["commands"] += 1
        failures += wrong
    return figures, failures


def sweep_calls(args, folder, program, until):
    """(figures, failures)"""
    figures, failures = collections.Counter(), []
    if args.only:
        faults = [fault_of(args.only)]
    else:
        faults = [fault for command in COMMANDS
                  for fault in all_faults(record_calls(folder, program, command), command)]
        random.Random(args.seed).shuffle(faults)
    for fault in faults[:args.cases]:
        if time.monotonic() > until and not args.only:
            break
        figures["cases"] += 1
        try:
            outcome = fail_once(folder, program, fault)
            figures["hits"] += outcome.hit > 0
            figures[f"exit_{outcome.code}"] += 1
        except (AssertionError, TimeoutError) as problem:
            failures.append(keep(fault, problem))
    figures["points"] = len(faults)
    return figures, failures


def main():
    args = arguments()
    closing = Closing("faults", args.seed)
    why = why_not()
    if why:
        return closing.tell(0, [], skipped=why)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        program = args.program or install_observed(Path(folder) / "bin")
        figures, failures = collections.Counter(), []
        if args.part != "memory":
            share = 1 if args.part else 2 / 3
            figures, failures = sweep_calls(args, folder, program, closing.until(args.minutes * share))
        if args.part != "calls" and not args.only and memory_world.library():
            found, wrong = sweep_memory(args, folder, program, closing.until(args.minutes))
            figures["cases"] += found["allocations"]
            figures, failures = {**figures, **found}, failures + wrong
    cases = figures.pop("cases", 0)
    return closing.tell(cases, failures, errors=len(fault_table.ERRORS), **figures)


if __name__ == "__main__":
    sys.exit(main())
