"""The model of log, keeper and recovery, with more accidents than script/test has time for.

usage: campaign.py [--minutes M] [--seed S] [--keep FOLDER]

Four accidents; states are kept as hashes, so a few may be taken for others (Spin's hash compaction, with
another hash function for each seed). Prints one line of JSON at its end; exit 1 when an error was found."""
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import spin_model  # noqa: E402
from support.family import Closing, options  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def arguments():
    parser = options(__doc__, minutes=5, seed=0)
    parser.add_argument("--accidents", type=int, default=4, choices=[1, 2, 3, 4])
    parser.add_argument("--keep", type=Path, default=ROOT / "build/campaign")
    return parser.parse_args()


def main():
    args = arguments()
    closing = Closing("model", args.seed)
    failures = []
    if spin_model.missing():
        return closing.tell(0, failures, skipped=spin_model.missing())
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        found = spin_model.search(Path(folder), {"ACCIDENTS": args.accidents},
                                  ("-O2", "-DSAFETY", "-DHC4", "-DMEMLIM=8000"), (f"-h{args.seed % 100}", "-w27"),
                                  seconds=60 * args.minutes)
        if found["errors"]:
            args.keep.mkdir(parents=True, exist_ok=True)
            path = args.keep / "model.txt"
            path.write_text(f"{found['what']}\n{spin_model.trail(Path(folder))}")
            failures = [{"what": found["what"], "trace": str(path)}]
    return closing.tell(found["states"], failures, accidents=args.accidents, is_whole=found["is_whole"])


if __name__ == "__main__":
    sys.exit(main())
