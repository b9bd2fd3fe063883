"""Power cuts: the state directory on a disk that is cut off, and what is left of it.

usage: campaign.py [--minutes M] [--seed S] [--shape NAME]... [--kind ext4|ext4-1k|ext4-plain]...
                   [--images N] [--program SLUICE] [--keep FOLDER]

Takes shapes and file systems in turn until the time is over, or once when `--images N` is given.
Prints one line of JSON at its end; exit 1 when something failed. Images that show a failure are kept in
build/campaign/."""
import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import disk  # noqa: E402
from cuts import Campaign, all_shapes  # noqa: E402
from shutdown import Shutdowns  # noqa: E402
from power_shapes import cpu_seconds  # noqa: E402
from support.family import Closing, options  # noqa: E402
from support.sluice import install  # noqa: E402


def arguments():
    parser = options(__doc__)
    parser.add_argument("--shape", action="append", choices=all_shapes())
    parser.add_argument("--kind", action="append", choices=["ext4", "ext4-1k", "ext4-plain"])
    parser.add_argument("--images", type=int, help="of each shape; without it 800, again and again")
    parser.add_argument("--shutdowns", type=int, default=0, help="so many shutdowns of ext4 and xfs, and no images")
    parser.add_argument("--resume-every", type=int, default=4)
    parser.add_argument("--program", help="sluice, with its keeper beside it")
    parser.add_argument("--keep", default=disk.ROOT / "build/campaign")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def shutdowns(campaign, most):
    """Half of them on ext4, half on xfs."""
    family = Shutdowns(campaign, ["ext4", "xfs"])
    try:
        for number in range(most):
            family.case(number)
    finally:
        family.close()


def work(args, closing, folder):
    until = closing.until(args.minutes)
    program = args.program or install(Path(folder) / "bin")
    campaign = Campaign(program, args.seed, args.keep, args.resume_every)
    if args.shutdowns:
        shutdowns(campaign, args.shutdowns)
    rounds = 1 if args.shutdowns and not args.images else 0
    while not rounds or not (args.images or args.shutdowns) and time.monotonic() < until:
        if not args.images and not disk.missing(("xfs",)):
            shutdowns(campaign, 10)
        campaign.shapes(args.shape or all_shapes(), args.kind or ["ext4", "ext4-1k"], args.images or 800,
                        None if args.images else until)
        rounds += 1
    return closing.tell(campaign.figures["images"] + campaign.figures.get("shutdowns", 0), campaign.failures,
                        cpu_seconds=round(cpu_seconds(), 1), **campaign.figures)


def main():
    args = arguments()
    closing = Closing("power", args.seed)
    why = not args.inside and (disk.missing() or disk.missing_recorder())
    if why:
        return closing.tell(0, [], skipped=why)
    if not args.inside:
        return disk.run_inside(sys.executable, *sys.argv, "--inside")
    with tempfile.TemporaryDirectory(prefix="power-") as folder:
        return work(args, closing, folder)


if __name__ == "__main__":
    sys.exit(main())
