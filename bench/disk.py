"""A file system of its own for each row: on one that is in use the cost of making a file was seen to vary by a factor of
a hundred within an hour, and peers that make no file for a command do not pay it."""
import contextlib
import os
import shutil
import subprocess

SIZE = "32G"  # sparse: of the disk below it takes what is written
# Everything is laid out before the first turn, nothing in the background of the turns.
MAKE = ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]


def why_not():
    """Why no image can be mounted here; None when it can."""
    if os.geteuid() != 0:
        return "an image is mounted by root alone"
    if not shutil.which(MAKE[0]):
        return f"no {MAKE[0]} here"
    if not os.path.exists("/dev/loop-control"):
        return "no loop devices here"
    return None


@contextlib.contextmanager
def fresh(base):
    """A folder on a new ext4 image below `base`; `base` itself where none can be mounted."""
    if why_not():
        yield base
        return
    image, place = os.path.join(base, "image"), os.path.join(base, "disk")
    os.makedirs(place, exist_ok=True)
    if os.path.ismount(place):  # of a measurement that was killed
        subprocess.run(["umount", place], check=True)
    subprocess.run(["truncate", "-s", "0", image], check=True)
    subprocess.run(["truncate", "-s", SIZE, image], check=True)
    subprocess.run([*MAKE, image], check=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)
        os.unlink(image)
