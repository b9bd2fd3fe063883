"""D06: bugs that only a power cut shows are planted in a copy of the source; the images must show them.

usage: planted.py [NAME]...     TAP on stdout; exit 1 when a bug was missed"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "mutants"))

import run  # noqa: E402
from bugs import BUGS  # noqa: E402

if __name__ == "__main__":
    sys.argv[1:] = sys.argv[1:] or [bug.name for bug in BUGS if bug.by[0] == "images"]
    sys.exit(run.main())
