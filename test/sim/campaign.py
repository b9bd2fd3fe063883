"""The simulator on all cores: seeds that failed once, then new ones.

usage: campaign.py [--minutes M] [--seed S] [--seeds N] [--jobs J] [--program SLUICE-SIM] [--keep FOLDER]

Without --seeds as many as there is time for, beginning at S thousand millions. A seed that breaks a rule is
added to test/sim/seeds.txt, and its trace is kept in build/campaign/. Prints one line of JSON at its end;
exit 1 when a rule was broken."""
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from sim_hunt import PROGRAM, ROOT, Hunt  # noqa: E402
from support.family import Closing, options  # noqa: E402

SPAN = 1_000_000_000  # seeds of one --seed


def arguments():
    parser = options(__doc__, seed=0)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--program", default=PROGRAM)
    parser.add_argument("--keep", default=ROOT / "build/campaign")
    return parser.parse_args()


def main():
    args = arguments()
    closing = Closing("sim", args.seed)
    hunt = Hunt(args.program, args.keep, jobs=args.jobs)
    if args.seeds:
        hunt.run(args.seed * SPAN, args.seeds)
    else:
        hunt.run(args.seed * SPAN, until=lambda: time.monotonic() > closing.until(args.minutes))
    return closing.tell(hunt.figures.get("scenarios", 0), hunt.failures, **hunt.figures)


if __name__ == "__main__":
    sys.exit(main())
