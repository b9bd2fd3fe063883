"""D38: bits of a log that rot on the disk below the file system.

Run in namespaces of its own by test_rotten_disk.py: rotten_disk.py PROGRAM. Flips bits of lines of logs in the
image, where the file system has no checksum for them. Prints one line of JSON: what was said, for the test to judge."""
import json
import os
import random
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import disk  # noqa: E402
from power_shapes import PowerWorld  # noqa: E402

RUNS = 8
FLIPS = 24
BLOCK = 4096


def flip(image, raw, at, bit):
    """In the block of the image that holds this place of the log."""
    begin = at // BLOCK * BLOCK
    block = raw[begin:begin + BLOCK]
    with open(image, "r+b") as f:
        content = f.read()
        place, = (n for n in range(0, len(content), BLOCK) if content.startswith(block, n))
        f.seek(place + at - begin)
        f.write(bytes([block[at - begin] ^ 1 << bit]))


def work(program, folder):
    image, chance = folder / "disk.img", random.Random(38)
    disk.make(image, "ext4", 16)
    world = PowerWorld(folder / "world", program, "linear")
    world.count_file.write_text("0\n")
    ids = [f"{world.id}-rot-{n}" for n in range(RUNS)]
    with disk.mounted(image, world.disk):
        for run_id in ids:
            world("run", world.file, "--run-id", run_id, code=0)
        logs = {run_id: world.raw(run_id) for run_id in ids}
        clean = world("verify", "--all").code
    facts = {"clean": clean, "flips": []}
    for _ in range(FLIPS):
        run_id = chance.choice(ids)
        at, bit = chance.randrange(len(logs[run_id]) - 1), chance.randrange(8)
        line = logs[run_id][:at].count(b"\n") + 1
        flip(image, logs[run_id], at, bit)
        with disk.mounted(image, world.disk):
            everything = world("verify", "--all")
            own = world("resume", run_id)
            facts["flips"].append({
                "run": run_id, "line": line, "all": everything.code, "one": own.code, "named": f"line {line}:" in own.stderr,
                "others": [other for other in ids if other != run_id and f"{other} " in everything.stdout and any(
                    other in text and "whole" not in text for text in everything.stdout.splitlines())],
                "found": run_id in everything.stderr, "touched": world.raw(run_id) != bytes(
                    value ^ (1 << bit if n == at else 0) for n, value in enumerate(logs[run_id]))})
        flip_back(image, logs[run_id], at, bit)
    with disk.mounted(image, world.disk):
        facts["mended"] = world("verify", "--all").code
    world.close()
    print(json.dumps(facts))


def flip_back(image, raw, at, bit):
    rotten = bytearray(raw)
    rotten[at] ^= 1 << bit
    flip(image, bytes(rotten), at, bit)


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
