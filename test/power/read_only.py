"""A file system that becomes read-only while a step runs, as ext4 does it when it finds an error.

Run in namespaces of its own by test_read_only.py: read_only.py PROGRAM. Prints one line of JSON: what happened, for
the test to judge."""
import errno
import json
import os
import shutil
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import disk  # noqa: E402
from power_shapes import PowerWorld  # noqa: E402
from support.checker import is_kept  # noqa: E402
from support.sluice import until  # noqa: E402

HANG = 60  # seconds
REMOUNT = 32
HELD = "echo held >>effects; while [ ! -e go ]; do sleep 0.02; done"
STEPS = {"held": HELD, "next": {"run": "echo next >>effects", "needs": ["held"]},
         "last": {"run": "echo last >>effects", "needs": ["next"]}}


def refused(folder):
    """The name of the error of a write."""
    try:
        (folder / "new").write_text("any\n")
    except OSError as problem:
        return errno.errorcode[problem.errno]
    return None


def end_keepers(world, run_id):
    """One waits for a disk that it can write to; a reboot ends it."""
    for pid in world.keepers(run_id):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not world.keepers(run_id), HANG, of="the keepers' end")


def become_read_only(world, run_id):
    """While a step is held. Answers what came of it, and the log before."""
    engine = world.start("run", world.file, "--run-id", run_id, "-v")
    until(lambda: (world.root / "effects").exists(), HANG, of="a step")
    until(lambda: world.has_event("step.started", "held", run_id), HANG, of="its event")
    raw = world.raw(run_id)
    disk.mount("none", world.disk, flags=REMOUNT, data="abort")
    found = {"refused": refused(world.disk)}
    (world.root / "go").touch()
    said = engine.communicate(timeout=HANG)[1]
    found |= {"code": engine.returncode, "said": said,
              "told_and_lost": [line for line in said.splitlines() if line.startswith("{") and line.encode() not in raw.splitlines()]}
    found |= {"shown": world("status", run_id).code, "resumed_too_early": world("resume", run_id).code,
              "another": world("run", world.file, "--run-id", f"{run_id}-b").code}
    return found | {"begun": (world.root / "effects").read_text().split(), "kept": world.raw(run_id) == raw}, raw


def work(program, folder):
    image = folder / "disk.img"
    disk.make(image, "ext4", disk.SIZES["ext4"])
    world = PowerWorld(folder / "world", program, "linear")
    world.pipeline(STEPS, defaults={"on_lost": "rerun"})
    run_id = world.ids[0]
    with disk.mounted(image, world.disk):
        facts, raw = become_read_only(world, run_id)
        end_keepers(world, run_id)
    world.new_boot()
    facts["mended"] = disk.mend(image)
    with disk.mounted(image, world.disk):
        facts["at_last"] = world("resume", run_id).code
        log = world.log(run_id, ended="succeeded")
        facts |= {"kept_at_last": is_kept(raw, world.raw(run_id)), "losses": len(log.of("step.lost")),
                  "effects": (world.root / "effects").read_text().split()}
        end_keepers(world, run_id)
    world.close()
    print(json.dumps(facts))


def main():
    folder = disk.work_folder()
    try:
        work(sys.argv[1], folder)
    finally:
        for place in (folder / "world/disk", "/proc/sys/kernel/random/boot_id"):
            disk.drop(place)
        shutil.rmtree(folder)
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
