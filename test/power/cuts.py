"""One recording of one shape, and what is left of it after power cuts."""
import gzip
import json
import random
import shutil
import subprocess
import time
from pathlib import Path

from support.checker import Damage

import disk
from power_shapes import SHAPES, PowerWorld


class Campaign:
    """Cuts of one shape after the other; `failures` is what was found."""

    def __init__(self, program, seed, keep, resume_every=4):
        self.program, self.seed, self.keep = Path(program), seed, Path(keep)
        self.chance = random.Random(seed)
        self.resume_every = resume_every
        self.figures = {"images": 0, "resumed": 0, "lost_file_systems": 0, "records": 0, "flushes": 0,
                        "told": 0, "effects": 0, "torn_tails": 0, "refused_tails": 0, "unborn": 0}
        self.failures = []
        self.recorder = None

    def fail(self, what, shape, kind, cut=None, image=None):
        name = f"power-{self.seed}-{len(self.failures)}"
        failure = {"shape": shape, "file_system": kind, "what": str(what)[:3000], "cut": cut and cut.name()}
        if len(self.failures) < 20:
            self.keep.mkdir(parents=True, exist_ok=True)
            if image:
                with gzip.open(self.keep / f"{name}.img.gz", "wb", 1) as f:
                    f.write(image)
                failure["kept"] = f"{name}.img.gz"
            (self.keep / f"{name}.json").write_text(json.dumps(failure, indent=1))
        self.failures.append(failure)

    def record(self, world, folder, kind):
        """Run the shape on a disk whose writes are recorded."""
        recorder = self.recorder = disk.Recorder(folder / "record", world.disk, kind)
        world.count_file.symlink_to(recorder.fuse / "count")
        world.count = recorder.count
        world.drive()
        figures, final = world.figures(), {run_id: world.raw(run_id) for run_id in world.ids}
        world.count = None
        recording = recorder.stop()
        self.recorder = None
        world.count_file.unlink()
        world.count_file.write_text("0\n")
        self.figures["records"] += recording.last - recording.first
        self.figures["flushes"] += sum(kind == disk.FLUSH for kind, _, _ in recording.records)
        self.figures["told"] += len(world.told)
        self.figures["effects"] += len(world.witness.read_text().splitlines())
        return recording, figures, final

    def shape(self, shape, kind, most, until=None):
        """At most so many images of one recording."""
        folder = disk.work_folder()
        world = PowerWorld(folder / "world", self.program, shape)
        world.unordered = kind == "ext4-plain"
        try:
            recording, figures, final = self.record(world, folder, kind)
            told, witness = list(world.told), world.witness.read_text()
            images, path = disk.Images(recording), folder / "cut.img"
            for n, cut in enumerate(recording.cuts(most, self.chance)):
                if until and time.monotonic() > until:
                    break
                images.write(cut, path)
                self.figures["images"] += 1
                world.witness.write_text(witness)
                seen = world.seen(cut.limit)
                world.witness.write_text("".join(line + "\n" for line in seen))
                try:
                    if not disk.mend(path):
                        self.figures["lost_file_systems"] += 1
                        continue
                    with disk.mounted(path, world.disk, kind):
                        self.judge(world, cut, told, seen, final, figures if n % self.resume_every == 0 else None)
                except (Damage, OSError, AssertionError, TimeoutError, subprocess.SubprocessError) as problem:
                    images.write(cut, path)
                    self.fail(f"{type(problem).__name__}: {problem}", shape, kind, cut, path.read_bytes())
        except (Damage, AssertionError) as problem:  # before any cut
            self.fail(f"{type(problem).__name__}: {problem}", shape, kind)
        finally:
            if self.recorder:
                self.recorder.close()
                self.recorder = None
            world.remove()
            shutil.rmtree(folder)

    def shapes(self, shapes, kinds, images, until=None):
        """`images` of each shape, from as many recordings as it takes, on one kind of file system after the other."""
        for shape in shapes:
            wanted = self.figures["images"] + images
            for n in range(20):
                left = wanted - self.figures["images"]
                if left <= 0 or self.failures and n > 1 or until and time.monotonic() > until:
                    break
                self.shape(shape, kinds[n % len(kinds)], min(left, -(-images // len(kinds))), until)

    def judge(self, world, cut, told, seen, final, figures):
        by_run = world.check_cut(cut.limit, told, seen, final)
        for run_id, lines in by_run.items():
            if not lines:
                self.figures["unborn"] += 1
            path = world.run_dir(run_id) / "events.jsonl"
            torn = path.exists() and not path.read_bytes().endswith(b"\n")
            self.figures["torn_tails"] += torn
        self.figures["refused_tails"] += len(world.refused)
        world.new_boot()
        if not figures or world.refused:
            return
        for run_id, lines in by_run.items():
            if lines:
                world("verify", run_id, code=0)
        self.figures["resumed"] += 1
        world.told.clear()
        world.drive()
        for run_id, raw in ((run_id, world.raw(run_id)) for run_id in world.ids):
            if not raw.startswith(b"".join(line + b"\n" for line in by_run[run_id])):
                raise Damage(f"S1.5: resume took lines of {run_id} away")
            world("verify", run_id, "--receipt", world.log(run_id).receipt, code=0)
        for fact in world.told:
            fact.check(world.lines(fact.run_id))
        again = world.figures()
        if again != figures:
            raise Damage(f"another end: {again}, not {figures}")


def all_shapes():
    return list(SHAPES)
