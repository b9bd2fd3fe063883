"""A sync that really fails: a file system in a loop device whose file finds no more memory.

Run in namespaces of its own by test_failing_sync.py: failing_sync.py PROGRAM. All blocks of the image exist
but those of data that is not written yet, so its journal lives on and the next block of the log cannot be
written. Prints one line of JSON: what happened, for the test to judge."""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import disk  # noqa: E402
from power_shapes import STEP, PowerLedger, PowerWorld  # noqa: E402
from support.checker import check_bytes, split_lines  # noqa: E402

STEPS = 30


def steps(small):
    """The fourth fills what is left of the memory below the disk."""
    filler = f"; [ -e {small}/filled ] || {{ touch {small}/filled; cat /dev/zero >{small}/filler 2>/dev/null || true; }}"
    return {f"s{n}": {"run": STEP + (filler if n == 3 else "")} for n in range(STEPS)}


def from_device(image, path, folder):
    """The file as the device has it: through another mount of a copy, with nothing in memory."""
    copy, place = folder / "copy.img", folder / "copy"
    place.mkdir(exist_ok=True)
    subprocess.run(["cp", image, copy], check=True)
    disk.mend(copy)
    with disk.mounted(copy, place):
        return (place / path).read_bytes()


def syncs(trace):
    """[(call, answer)] on the log, in order."""
    found = []
    for line in trace.read_text(errors="replace").splitlines():
        call = re.match(r"(?:\d+ +)?(\w+)\(\d+<[^>]*events\.jsonl>.*= (-?\d+)", line)
        if call:
            found.append((call[1], int(call[2])))
    return found


def work(program, folder):
    small, image = folder / "small", folder / "small/disk.img"
    small.mkdir()
    disk.mount("none", small, "tmpfs", data="size=14m")
    disk.make(image, "ext4", 12)
    with open(image, "r+b") as f:  # no holes
        content = f.read()
        f.seek(0)
        f.write(content)
    world = PowerWorld(folder / "world", program, "linear")
    world.count_file.write_text("0\n")
    world.pipeline(steps(small), env={name: {"from": "env"} for name in ("COUNT", "WITNESS")},
                   defaults={"on_lost": "rerun"})
    run_id, facts, trace = world.ids[0], {}, folder / "trace"
    log = world.run_dir(run_id) / "events.jsonl"
    with disk.mounted(image, world.disk):
        subprocess.run(["/sbin/fstrim", world.disk], check=True)
        result = world("run", world.file, "--run-id", run_id, "-v",
                       prefix=("strace", "-qq", "-y", "-o", trace, "-e", "trace=write,pwrite64,fdatasync,fsync"))
        told = [line.encode() for line in result.stderr.splitlines() if line.startswith('{"event_id"')]
        facts |= {"code": result.code, "calls": syncs(trace), "told": len(told)}
        in_memory = log.read_bytes()
        on_disk = from_device(image, log.relative_to(world.disk), folder)
        facts |= {"in_memory": len(in_memory), "on_disk": len(on_disk), "differ": in_memory != on_disk}
        (small / "filler").unlink()
        after = world("resume", run_id)
        facts |= {"resumed": after.code}
        kept = [line in split_lines(log.read_bytes())[0] for line in told]
        facts |= {"told_and_kept": sum(kept)}
        check_bytes(log.read_bytes(), run_id, torn=True)
    world.new_boot()
    facts["mended"] = disk.mend(image)
    with disk.mounted(image, world.disk):
        facts["at_last"] = world("resume", run_id).code
        whole = world.log(run_id, ended="succeeded")
        PowerLedger(world.witness).check(whole)
        facts |= {"kept_at_last": sum(line in split_lines(world.raw(run_id))[0] for line in told),
                  "repairs": len(whole.of("log.repaired")), "effects": len(world.witness.read_text().splitlines())}
    world.close()
    print(json.dumps(facts))


def main():
    folder = disk.work_folder()
    try:
        work(sys.argv[1], folder)
    finally:
        for place in (folder / "world/disk", folder / "copy", folder / "small", "/proc/sys/kernel/random/boot_id"):
            disk.drop(place)
        shutil.rmtree(folder)
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
