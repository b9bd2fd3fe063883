"""D06: bugs that only a power cut shows are planted in a copy of the source; the images must show them.

usage: planted.py [--seed S] [NAME]...     TAP on stdout; exit 1 when a bug was missed"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE.parent / "mutants")]

import run as mutants  # noqa: E402
from bugs import BUGS, Bug  # noqa: E402

import disk  # noqa: E402

# What each is looked for with: file systems and shapes. Without a journal no sync brings along what others forgot.
WAYS = {
    "no-sync-of-the-log": ("--kind", "ext4", "--shape", "linear"),
    "the-new-name-is-not-synced": ("--kind", "ext4-plain", "--shape", "linear"),
    "the-log-is-synced-later": ("--kind", "ext4", "--shape", "fan"),
}
OWN = [
    Bug("the-log-is-synced-later", "S1.2: nothing before its event is durable", "src/sys/vfs.c",
        "	int answer = vfs->ops->sync_data(vfs->self, fd);",
        "	static int often;\n	int answer = often++ % 2 ? 0 : vfs->ops->sync_data(vfs->self, fd);"),
]


def build(tree):
    return subprocess.run(["ninja", "-C", tree / "build", "src/cli/sluice", "src/keeper/sluice-keeper"],
                          capture_output=True, text=True, check=False)


def hunt(tree, folder, name, seed):
    """How many images show it."""
    programs = folder / name
    programs.mkdir()
    for program in ("src/cli/sluice", "src/keeper/sluice-keeper"):
        subprocess.run(["cp", tree / "build" / program, programs], check=True)
    done = subprocess.run([sys.executable, HERE / "campaign.py", "--images", "150", "--resume-every", "1000", "--seed", str(seed),
                           "--program", programs / "sluice", "--keep", folder / "kept", *WAYS[name]],
                          capture_output=True, text=True, check=False)
    figures = json.loads(done.stdout.splitlines()[-1])
    return len(figures["failures"]), figures["images"], figures["failures"][0]["what"] if figures["failures"] else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    why = disk.missing() or disk.missing_recorder()
    bugs = [bug for bug in [*BUGS, *OWN] if bug.name in (args.names or WAYS)]
    if why:
        print(f"1..0 # SKIP {len(bugs)} planted bugs: {why}")
        return 0
    missed = 0
    with tempfile.TemporaryDirectory(prefix="power-") as name:
        folder = Path(name)
        tree = folder / "tree"
        tree.mkdir()
        mutants.copy_tree(tree)
        subprocess.run(["meson", "setup", tree / "build", tree, "--buildtype=release"], check=True, capture_output=True)
        print(f"1..{len(bugs)}", flush=True)
        for bug in bugs:
            path = tree / bug.file
            whole = path.read_text()
            if whole.count(bug.old) != 1:
                missed += 1
                print(f"not ok - {bug.name}: does not fit {bug.file}", flush=True)
                continue
            path.write_text(whole.replace(bug.old, bug.new))
            built = build(tree)
            found, images, what = hunt(tree, folder, bug.name, args.seed) if built.returncode == 0 else (0, 0, built.stdout[-800:])
            path.write_text(whole)
            missed += not found
            print("ok" if found else "not ok", f"- {bug.name} ({bug.rule}): {found} of {images} images {what[:150]!r}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
