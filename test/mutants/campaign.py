"""All planted bugs in turn, as many as there is time for, in an order of the seed.

usage: campaign.py [--minutes M] [--seed S] [--jobs N] [--folder FOLDER]

What was missed is kept as a patch in build/campaign/. Prints one line of JSON at its end; exit 1 when a bug was
missed."""
import difflib
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from bugs import BUGS  # noqa: E402
from run import ROOT, Hunt  # noqa: E402
from support.family import Closing, options  # noqa: E402


def arguments():
    parser = options(__doc__, minutes=10, seed=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--seeds", type=int, default=4000, help="of the simulator")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/mutants")
    return parser.parse_args()


def keep(bug):
    """The missed bug as a patch."""
    folder = ROOT / "build/campaign"
    folder.mkdir(parents=True, exist_ok=True)
    whole = (ROOT / bug.file).read_text()
    lines = difflib.unified_diff(whole.splitlines(True), whole.replace(bug.old, bug.new).splitlines(True),
                                 f"a/{bug.file}", f"b/{bug.file}")
    (folder / f"mutant-{bug.name}.patch").write_text("".join(lines))


def main():
    args = arguments()
    closing = Closing("mutants", args.seed)
    bugs = random.Random(args.seed).sample(BUGS, len(BUGS))
    count = {"caught": 0, "missed": 0, "skipped": 0}
    failures = []
    with Hunt(args.folder, args.jobs, args.seeds) as hunt:
        while bugs and time.monotonic() < closing.until(args.minutes):
            some, bugs = bugs[:2 * args.jobs], bugs[2 * args.jobs:]
            for bug, state, words, _ in hunt.hunt(some):
                count[state] += 1
                if state == "missed":
                    keep(bug)
                    failures.append(f"{bug.name}: {words}")
    return closing.tell(count["caught"] + count["missed"], failures, caught=count["caught"],
                        untried=count["skipped"] + len(bugs))


if __name__ == "__main__":
    sys.exit(main())
