"""The disk goes away in the middle of a run, at once and with all that was only in memory."""
import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time

from support.checker import Damage
from support.sluice import processes

import disk
from power_shapes import SHAPES, PowerWorld

FLAGS = [disk.OF_NOTHING, disk.OF_NOTHING, disk.OF_LOG_ONLY]


class Shutdowns:
    """One file system of each kind, made once; a fresh copy for each case."""

    def __init__(self, campaign, kinds):
        self.campaign, self.kinds = campaign, kinds
        self.folder = disk.work_folder()
        campaign.figures |= {"shutdowns": 0, "before_the_end": 0, "shutdown_resumed": 0}
        for kind in kinds:
            disk.make(self.folder / kind, kind, disk.SIZES[kind])

    def close(self):
        shutil.rmtree(self.folder)

    def case(self, number):
        chance = self.campaign.chance
        kind, shape = self.kinds[number % len(self.kinds)], chance.choice(list(SHAPES))
        folder = disk.work_folder()
        image = folder / "disk.img"
        subprocess.run(["cp", "--sparse=always", self.folder / kind, image], check=True)
        world = PowerWorld(folder / "world", self.campaign.program, shape)
        world.count_file.write_text("0\n")
        self.campaign.figures["shutdowns"] += 1
        try:
            self.cut(world, image, kind, chance)
            self.go_on(world, image, kind)
        except (Damage, OSError, AssertionError, TimeoutError, subprocess.SubprocessError) as problem:
            self.campaign.fail(f"{type(problem).__name__}: {problem}", shape, kind)
        finally:
            disk.drop(world.disk)
            world.remove()
            shutil.rmtree(folder)

    def cut(self, world, image, kind, chance):
        """Run, and shut the file system down after some time; nothing of that boot lives on."""
        at, flags = chance.random() * 0.1, chance.choice(FLAGS)
        problems = []

        def runner():
            # What is told after the shutdown counts as well: nothing may be told that is not on the disk.
            with contextlib.suppress(Damage):
                world.drive()
        with disk.mounted(image, world.disk, kind):
            thread = threading.Thread(target=runner)
            thread.start()
            time.sleep(at)
            self.campaign.figures["before_the_end"] += thread.is_alive()
            disk.shut_down(world.disk, flags)
            world.halted = True
            thread.join(60)
            if thread.is_alive():
                problems.append("S11.3: it goes on though nothing can be written")
            self.end_all(world)
        if problems:
            raise Damage(problems[0])

    @staticmethod
    def end_all(world, timeout=10.0):
        """Keepers too, which wait for a disk that will not come back: a power cut ends whatever runs."""
        end = time.monotonic() + timeout
        while True:
            left = {pid for mark in (world.marker, str(world.sockets), str(world.root)) for pid in processes(mark)}
            if not left:
                return
            if time.monotonic() > end:
                raise TimeoutError(f"something cannot be killed: {disk.processes()}")
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)

    def go_on(self, world, image, kind):
        told, witness = list(world.told), world.witness.read_text().splitlines()
        world.told.clear()
        world.halted = False
        world.new_boot()
        if kind != "xfs" and not disk.mend(image):
            raise Damage("the file system is lost")
        with disk.mounted(image, world.disk, kind):
            kept = world.check_told(told, witness)
            world.drive()
            for run_id, lines in kept.items():
                if world.lines(run_id)[:len(lines)] != lines:
                    raise Damage(f"S1.5: resume took lines of {run_id} away")
                world("verify", run_id, "--receipt", world.log(run_id).receipt, code=0)
            world.figures()
            self.campaign.figures["shutdown_resumed"] += 1
