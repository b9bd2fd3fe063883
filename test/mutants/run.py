"""Plant each bug of bugs.py in a copy of the source and let the simulator find it.

usage: run.py [--seeds N] [NAME]...     TAP on stdout; exit 1 when a bug was missed
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bugs import BUGS

ROOT = Path(__file__).resolve().parents[2]
COPIED = ["meson.build", "meson_options.txt", "src", "include", "bench", "test", "man", "script", "docs"]


def copy_tree(to):
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)


def build(tree):
    return subprocess.run(["ninja", "-C", tree / "build", "src/sim/sluice-sim"], capture_output=True, text=True)


def hunt(tree, seeds):
    """None when the simulator found nothing, else what it says."""
    try:
        done = subprocess.run([tree / "build/src/sim/sluice-sim", "--seeds", str(seeds)], capture_output=True,
                              text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return "it hangs"
    if done.returncode == 0:
        return None
    words = [line for line in (done.stdout + done.stderr).splitlines() if "all rules hold" not in line and line]
    return words[0].strip() if words else f"it ended with {done.returncode}"


def plant(tree, bug, seeds):
    """Was it found, and how or why not."""
    path = tree / bug.file
    whole = path.read_text()
    if whole.count(bug.old) != 1:
        return False, f"does not fit {bug.file}: its text stands there {whole.count(bug.old)} times"
    path.write_text(whole.replace(bug.old, bug.new))
    try:
        built = build(tree)
        if built.returncode != 0:
            return False, "does not build: " + "".join(built.stdout.splitlines(True)[-5:])
        found = hunt(tree, seeds)
        return found is not None, found or f"MISSED in {seeds} scenarios"
    finally:
        path.write_text(whole)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4000)
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    bugs = [bug for bug in BUGS if not args.names or bug.name in args.names]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        tree.mkdir()
        copy_tree(tree)
        subprocess.run(["meson", "setup", tree / "build", tree, "--buildtype=debugoptimized"], check=True,
                       capture_output=True)
        built = build(tree)
        if built.returncode != 0:
            sys.exit("the tree without a bug does not build:\n" + built.stdout[-2000:])
        print(f"1..{len(bugs) + 1}")
        clean = hunt(tree, 500)
        print("not ok" if clean else "ok", "- without a bug all rules hold", clean or "", flush=True)
        for bug in bugs:
            is_found, words = plant(tree, bug, args.seeds)
            missed += not is_found
            print("ok" if is_found else "not ok", f"- {bug.name} ({bug.rule}): {words}", flush=True)
    return 1 if missed or clean else 0


if __name__ == "__main__":
    sys.exit(main())
