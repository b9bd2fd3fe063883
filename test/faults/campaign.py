"""Failing calls, one at a time: every call of engine and keeper x every error x every number, once and for ever.

usage: campaign.py [--minutes M] [--seed S] [--cases N] [--program SLUICE]

In an order that the seed gives, until the time is over or each was tried once. Prints one line of JSON at its
end; exit 1 when something failed. Failures are kept in build/campaign/faults.txt, one a line, for --only."""
import argparse
import collections
import json
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import fault_table  # noqa: E402
from fault_world import Fault, all_faults, fail_once, record_run, why_not  # noqa: E402
from support.sluice import ROOT, install  # noqa: E402

KEPT = ROOT / "build/campaign/faults.txt"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, help="no more than so many")
    parser.add_argument("--program", help="sluice, with its keeper beside it")
    parser.add_argument("--only", help="one case, as a line of faults.txt says: 'engine fdatasync EIO 3 for ever'")
    return parser.parse_args()


def fault_of(text):
    """The case of a line of faults.txt."""
    words = text.split()
    error = int(words[2]) if words[2].isdigit() else words[2]
    return Fault(words[0], words[1], error, int(words[3]), words[4:] == ["for", "ever"])


def keep(fault, problem):
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with open(KEPT, "a") as f:
        f.write(f"{fault}\n")
    return f"{fault}: {str(problem)[-500:]}"


def sweep(args, folder, until):
    """(figures, failures)"""
    program = args.program or install(Path(folder) / "bin")
    figures, failures = collections.Counter(), []
    if args.only:
        faults = [fault_of(args.only)]
    else:
        faults = all_faults(record_run(folder, program))
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
    return {"points": len(faults), **figures}, failures


def main():
    args = arguments()
    begun = time.monotonic()
    why = why_not()
    line = {"family": "faults", "cases": 0, "failures": [], "seed": args.seed, "seconds": 0}
    if why:
        print(json.dumps({**line, "skipped": why}))
        return 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        figures, failures = sweep(args, folder, begun + args.minutes * 60)
    print(json.dumps({**line, "seconds": round(time.monotonic() - begun, 1), "failures": failures,
                      "errors": len(fault_table.ERRORS), **figures}))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
