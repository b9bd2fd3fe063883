"""Make golden runs: one finished, or open, run directory of each shape, as this version writes them, and what it says of
them.

usage: write.py FOLDER        a new folder, test/golden/format-<number of the log's format>

Once a format is released its folder is never written again: every later version must read it (test_golden.py). A
new number of the format gets a folder of its own, and the old ones stay. Needs root: runs are made under a boot id that no
machine has, so that what the keeper left is always of another boot."""
import json
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "surgery"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from golden_reading import answers  # noqa: E402
from shapes import ANNA, SHAPES, long_log  # noqa: E402
from support.sluice import Sluice, install  # noqa: E402

PLACE = Path("/tmp/sluice-golden")
BOOT = "00000000-0000-4000-8000-000000000001\n"


def failed(world):
    """To be resumed: its last step succeeds when it is run again."""
    world.go({"a": {"run": "echo n=1 >\"$SLUICE_OUTPUT\"", "cwd": "/", "outputs": {"n": {"type": "int"}}},
              "b": {"run": '[ "$SLUICE_ATTEMPT" -gt 0 ]', "cwd": "/"}, "c": {"run": "true", "cwd": "/"}}, code=1)


def blocked(world):
    world.go({"a": {"run": "true", "cwd": "/"}, "m": {"gate": "manual", "noop": True}, "z": {"run": "true", "cwd": "/"}}, code=4)


def interrupted(world):
    """Cut in the middle of a step, with half a line behind."""
    world.go({name: {"run": "true", "cwd": "/", "on_lost": "rerun"} for name in "abc"})
    lines = world.raw().splitlines(True)
    last = next(n for n, line in enumerate(lines) if b'"step.started"' in line and b'"step_id":"b"' in line)
    world.rewrite(b"".join(lines[:last + 1]) + lines[last + 1][:40])
    (world.run_dir() / "attempts.log").unlink()


def stopped(world):
    world.go({"a": {"run": "true", "cwd": "/"}, "m": {"gate": "manual", "noop": True}}, code=4)
    world("stop", world.id, *ANNA, code=(0, 5, 6))


OPEN = {"open failed": failed, "open blocked": blocked, "open interrupted": interrupted, "open stopped": stopped}


def make(name, program, folder):
    slug = name.replace(" ", "-")
    root = PLACE / slug
    root.mkdir()
    world = Sluice(root, program)
    world.id = f"golden-{slug}"
    shapes = {shape.name: shape.make for shape in SHAPES} | {"long": long_log} | OPEN
    try:
        shapes[name](world)
        shutil.copytree(world.run_dir(), folder / slug / "run", ignore=shutil.ignore_patterns("*.lock", ".*"))
    finally:
        world.close()


def ask(folder):
    """What this version says, in another boot, as whoever reads it later."""
    program = install(PLACE / "bin")
    for path in sorted(folder.iterdir()):
        answer = answers(program, path / "run", f"golden-{path.name}")
        (path / "expected.json").write_text(json.dumps(answer, indent=1, sort_keys=True) + "\n")
    shutil.rmtree(PLACE)


def main():
    if len(sys.argv) not in (2, 3):
        print(__doc__)
        return 2
    if len(sys.argv) == 2:
        shutil.rmtree(PLACE, ignore_errors=True)
        PLACE.mkdir()
        (PLACE / "boot_id").write_text(BOOT)
        done = subprocess.run(["unshare", "-m", "sh", "-c", f"mount --bind {PLACE}/boot_id /proc/sys/kernel/random/boot_id && exec \"$@\"", "sh",
                               sys.executable, *sys.argv, "inside"], check=False).returncode
        if done == 0:
            shutil.rmtree(PLACE)
            ask(Path(sys.argv[1]))
        return done
    folder = Path(sys.argv[1])
    folder.mkdir()
    program = install(PLACE / "bin")
    for name in [shape.name for shape in SHAPES if shape.name != "stopped"] + ["long", *OPEN]:
        make(name, program, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
