"""Disks that can be cut off: loop devices, mounts, a recorder of block writes, and the images that a
power cut may have left.

All of it belongs to one process in namespaces of its own (`inside`), so that nothing stays when it
ends, however it ends: mounts go with the mount namespace, loop devices with their last mount,
processes with their first one."""
import contextlib
import ctypes
import errno
import fcntl
import functools
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECTOR = 512
WRITE, FLUSH, DISCARD = 1, 2, 3
RECORD = struct.Struct("QQQ")
CUT_OFF = 8  # fuse_main(3): its loop ended with an error, which an unmount may be too
LOOP_CONFIGURE, LOOP_CTL_GET_FREE, LOOP_AUTOCLEAR = 0x4C0A, 0x4C82, 4
SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32): ext4, xfs
WITH_FLUSH, OF_LOG_ONLY, OF_NOTHING = 0, 1, 2
MAKE = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4"),
    "ext4-1k": ("mkfs.ext4", "-q", "-F", "-b", "1024", "-J", "size=1"),
    # Without a journal nothing is durable but what was synced itself: a directory, too.
    "ext4-plain": ("mkfs.ext4", "-q", "-F", "-b", "1024", "-O", "^has_journal,^metadata_csum"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
}
SIZES = {"ext4": 16, "ext4-1k": 16, "ext4-plain": 16, "xfs": 300}  # MiB; no xfs is smaller
ROOM = 1 << 29  # bytes: for images, recordings, and copies of both
EXTENDED = ("-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0")
libc = ctypes.CDLL(None, use_errno=True)


def recorder():
    return Path(os.environ.get("SLUICE_BUILD", ROOT / "build")) / "test/power/blockrec"


def has_room(folder):
    found = os.statvfs(folder)
    return os.access(folder, os.W_OK) and found.f_bavail * found.f_frsize > ROOM


def ground():
    """In memory where there is room, as thousands of images are written; None when there is room nowhere."""
    return next((folder for folder in ("/dev/shm", tempfile.gettempdir()) if os.path.isdir(folder) and has_room(folder)), None)


def work_folder():
    return Path(tempfile.mkdtemp(prefix="power-", dir=ground()))


@functools.cache
def missing(kinds=("ext4",)):
    """Why no disk can be made here, or None."""
    if os.geteuid() != 0:
        return "needs root: mounts file systems"
    for kind in kinds:
        if not shutil.which(MAKE[kind][0], path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            return f"needs {MAKE[kind][0]}"
    if not Path("/dev/loop-control").exists():
        return "needs loop devices"
    if not ground():
        return f"needs {ROOM >> 20} MiB in a temporary folder"
    done = subprocess.run(["unshare", "-mpf", "--mount-proc", "true"], capture_output=True, text=True)
    if done.returncode:
        return f"needs namespaces: {done.stderr.strip()}"
    done = subprocess.run(inside(sys.executable, __file__, *kinds), stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip() or None


def try_mounts(kinds):
    """Prints why one of them cannot be."""
    folder = work_folder()
    try:
        (folder / "disk").mkdir()
        for kind in kinds:
            make(folder / kind, kind, SIZES[kind])
            with mounted(folder / kind, folder / "disk", kind):
                (folder / "disk/file").write_text("any\n")
    except (OSError, subprocess.CalledProcessError) as problem:
        print(f"needs file systems of kind {kind}: {problem}")
    finally:
        shutil.rmtree(folder)


def missing_recorder():
    if not Path("/dev/fuse").exists():
        return "needs /dev/fuse"
    return None if recorder().exists() else "needs blockrec: build with libfuse3-dev"


def inside(*command):
    """The words that run a command in namespaces of its own. The shell takes in processes that were left."""
    return ("unshare", "-mpf", "--propagation", "private", "--mount-proc", "--kill-child",
            "sh", "-c", '"$@"; exit $?', "sh", *map(str, command))


def run_inside(*command):
    """Run it so, and in a control group of its own: process ids are not unique across namespaces, and keepers name
    their groups by them. Answers the exit status."""
    base = next((line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()
                 if " - cgroup2 " in line), None)
    own = Path("/proc/self/cgroup").read_text().split("0::", 1)[-1].split("\n", 1)[0]
    group = base and Path(f"{base}{own}") / f"power-{os.getpid()}"

    def enter():
        if group:
            (group / "cgroup.procs").write_text("0")
    if group:
        try:
            group.mkdir()
        except OSError:
            group = None  # then there are none for commands either
    try:
        return subprocess.run(inside(*command), check=False, preexec_fn=enter).returncode
    finally:
        if group:
            remove_groups(group)


def facts(script, program):
    """What a script of this folder says in its last line, run in namespaces of its own."""
    begin = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import disk; sys.exit(disk.run_inside(*sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", begin, sys.executable, Path(__file__).parent / script, program],
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def remove_groups(group, timeout=5.0):
    """Processes that were killed are gone a moment later."""
    end = time.monotonic() + timeout
    for folder in [*(path for path in group.iterdir() if path.is_dir()), group]:
        while True:
            try:
                folder.rmdir()
                break
            except OSError as problem:
                if problem.errno != errno.EBUSY or time.monotonic() > end:
                    raise
            time.sleep(0.01)


def checked(answer, what):
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def mount(source, target, kind=None, flags=0, data=""):
    checked(libc.mount(str(source).encode(), str(target).encode(), kind and kind.encode(), flags,
                       data.encode()), f"mount {source} on {target}")


def bind(source, target):
    mount(source, target, flags=0x1000)


def unmount(target, timeout=10.0):
    """Whoever still holds it has some time to let go."""
    end = time.monotonic() + timeout
    while libc.umount2(str(target).encode(), 0) < 0:
        code = ctypes.get_errno()
        if code != errno.EBUSY or time.monotonic() > end:
            raise OSError(code, f"unmount {target}: {os.strerror(code)}: {holders(target)} {processes()}")
        time.sleep(0.002)


def drop(target):
    """Unmount whatever holds it; for what is thrown away."""
    while libc.umount2(str(target).encode(), 2) == 0:
        pass


def holders(target):
    """[(pid, what it holds)] of processes with something below a folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            names = [f"/proc/{pid}/cwd", f"/proc/{pid}/exe", *(f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd"))]
            held = [path for path in map(os.readlink, names) if path.startswith(str(target))]
            if held:
                found.append((int(pid), held))
    return found


def processes():
    """All there are, for a report: those of this namespace."""
    return subprocess.run(["ps", "axo", "pid,ppid,stat,wchan:20,args"], capture_output=True, text=True, check=False).stdout


class Loop:
    """A loop device on a file; gone when it is closed and nothing is mounted from it."""

    def __init__(self, path):
        for _ in range(200):
            with open("/dev/loop-control", "rb") as control:
                number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
            self.device = f"/dev/loop{number}"
            if not os.path.exists(self.device):
                os.mknod(self.device, 0o60600, os.makedev(7, number))
            self.fd = os.open(self.device, os.O_RDWR | os.O_CLOEXEC)
            image = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                config = bytearray(304)
                struct.pack_into("II", config, 0, image, 0)
                struct.pack_into("I", config, 8 + 52, LOOP_AUTOCLEAR)
                fcntl.ioctl(self.fd, LOOP_CONFIGURE, config)
                return
            except OSError as problem:
                self.close()
                if problem.errno != errno.EBUSY:
                    raise
            finally:
                os.close(image)
        raise OSError(errno.EBUSY, "no loop device stays free")

    def close(self):
        os.close(self.fd)


@contextlib.contextmanager
def mounted(path, target, kind="ext4"):
    loop = Loop(path)
    try:
        mount(loop.device, target, kind.split("-")[0])
    finally:
        loop.close()
    try:
        yield
        unmount(target)
    finally:
        drop(target)


def make(path, kind, mebibytes):
    with open(path, "wb") as image:
        image.truncate(mebibytes << 20)
    words = [*MAKE[kind], *(EXTENDED if kind.startswith("ext4") else ()), path]
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    subprocess.run(words, check=True, capture_output=True, env=env)


def mend(path):
    """e2fsck -fy; False when the file system is lost."""
    done = subprocess.run(["/sbin/e2fsck", "-fy", path], capture_output=True, check=False)
    return done.returncode in (0, 1, 2)


def shut_down(folder, flags):
    """FS_IOC_SHUTDOWN: from now on nothing reaches the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", flags))
    finally:
        os.close(fd)


class Recorder:
    """A mounted file system whose block writes are recorded."""

    def __init__(self, folder, target, kind="ext4"):
        self.folder, self.target, self.kind = Path(folder), Path(target), kind
        self.base, self.live, self.record = (self.folder / name for name in ("base.img", "live.img", "record"))
        self.fuse = self.folder / "fuse"
        for place in (self.folder, self.fuse, self.target):
            place.mkdir(parents=True, exist_ok=True)
        make(self.base, kind, SIZES[kind])
        shutil.copy(self.base, self.live)
        self.process = subprocess.Popen([recorder(), self.live, self.record, self.fuse])
        end = time.monotonic() + 20
        while not (self.fuse / "count").exists():
            if self.process.poll() is not None or time.monotonic() > end:
                raise OSError(errno.EIO, "the recorder does not start")
            time.sleep(0.005)
        self.counter = os.open(self.fuse / "count", os.O_RDONLY | os.O_CLOEXEC)
        loop = Loop(self.fuse / "disk")
        try:
            mount(loop.device, target, kind.split("-")[0])
        finally:
            loop.close()
        os.sync()
        self.first = self.count()

    def count(self):
        """How many records there are: what had reached the disk by now."""
        return int(os.pread(self.counter, 32, 0))

    def stop(self):
        """Answers the recording. The last records are those of the unmount."""
        last = self.count()
        unmount(self.target)
        whole = self.count()
        os.close(self.counter)
        self.counter = -1
        unmount(self.fuse)
        recording = Recording(self.base.read_bytes(), self.record.read_bytes(), self.first, last)
        if self.process.wait(20) not in (0, CUT_OFF) or len(recording.records) < whole:
            raise OSError(errno.EIO, "the recorder failed")
        return recording

    def close(self):
        """Whatever state it is in."""
        drop(self.target)
        drop(self.fuse)
        with contextlib.suppress(OSError):
            os.close(self.counter)
        self.process.kill()
        self.process.wait()


class Cut:
    """One state in which a power cut may leave the disk."""

    def __init__(self, floor, limit, parts):
        self.floor = floor  # records before it are durable
        self.limit = limit  # whoever counted at most so many records was told before the cut
        self.parts = parts  # [(record, sectors of it that arrived or None for all)], later than floor

    def name(self):
        return {"durable": self.floor, "limit": self.limit, "parts": [[n, s if s is None else sorted(s)] for n, s in self.parts]}


class Recording:
    def __init__(self, base, raw, first, last):
        self.base, self.first = base, first
        self.records = []
        at = 0
        while at < len(raw):
            kind, offset, length = RECORD.unpack_from(raw, at)
            at += RECORD.size
            data = None
            if kind == WRITE:
                data = raw[at:at + length]
                at += length
            elif kind == DISCARD:
                data = bytes(length)
            self.records.append((kind, offset, data))
        self.last = min(last, len(self.records))

    def intervals(self):
        """[(floor, limit)]: between two flushes any part of what was written may have arrived."""
        floor, found = 0, []
        for n, (kind, _, _) in enumerate(self.records[:self.last]):
            if kind == FLUSH:
                if n > floor and n >= self.first:
                    found.append((floor, n))
                floor = n + 1
        if self.last > floor:
            found.append((floor, self.last))
        return found

    def sectors(self, n):
        return len(self.records[n][2]) // SECTOR

    def torn(self, n, chance):
        """Some of the sectors of a write: the first ones, or any."""
        count = self.sectors(n)
        if count < 2:
            return None
        if chance.random() < 0.5:
            return frozenset(range(chance.randrange(1, count)))
        share = chance.random()
        return frozenset(s for s in range(count) if chance.random() < share)

    def some_parts(self, floor, limit, chance):
        """Writes of one interval that arrived; they may be torn."""
        writes = range(floor, limit)
        kind = chance.random()
        if kind < 0.3:  # a prefix whose last write is torn
            end = chance.randrange(floor, limit)
            torn = self.torn(end, chance)
            return [(n, None) for n in range(floor, end)] + ([(end, torn)] if torn else [])
        if kind < 0.45:
            gone = chance.choice(writes)
            return [(n, None) for n in writes if n != gone]
        if kind < 0.55:
            return [(chance.choice(writes), None)]
        share = chance.random()
        parts = [(n, None) for n in writes if chance.random() < share]
        return [(n, self.torn(n, chance)) if chance.random() < 0.3 else (n, None) for n, _ in parts]

    def cuts(self, most, chance):
        """So many different images, as far as there are; in the order of the recording."""
        intervals = self.intervals()
        ordered = [Cut(floor, limit, [(n, None) for n in range(floor, end)])
                   for floor, limit in intervals for end in range(floor, limit)]
        ordered.append(Cut(*intervals[-1], [(n, None) for n in range(*intervals[-1])]))
        if len(ordered) > most * 2 // 3:
            ordered = chance.sample(ordered, most * 2 // 3)
        found, images = {}, Images(self)
        drawn = [Cut(floor, limit, self.some_parts(floor, limit, chance))
                 for floor, limit in chance.choices(intervals, k=4 * most)]
        for group in (ordered, drawn):
            # A later cut with the same image has more to keep, so it takes the place of an earlier one.
            for cut in sorted(group, key=lambda c: (c.floor, len(c.parts))):
                key = images.hash(cut)
                if key in found or len(found) < most:
                    if key not in found or found[key].limit < cut.limit:
                        found[key] = cut
            images = Images(self) if group is ordered else images
        return sorted(found.values(), key=lambda c: c.floor)


class Images:
    """Makes images of a recording, with `floor` never going back."""

    def __init__(self, recording):
        self.recording = recording
        self.durable = bytearray(recording.base)
        self.floor = 0
        self.sum = 0

    def apply(self, image, n, sectors):
        """Answers the change of the sum over all sectors, which tells images apart."""
        kind, offset, data = self.recording.records[n]
        change = 0
        if kind == FLUSH:
            return 0
        for sector in range(len(data) // SECTOR) if sectors is None else sectors:
            at = offset + sector * SECTOR
            new = data[sector * SECTOR:(sector + 1) * SECTOR]
            old = bytes(image[at:at + SECTOR])
            if old != new:
                change ^= hash((at, old)) ^ hash((at, new))
                image[at:at + SECTOR] = new
        return change

    def go_to(self, floor):
        if floor < self.floor:
            raise ValueError("images are made in the order of the recording")
        for n in range(self.floor, floor):
            self.sum ^= self.apply(self.durable, n, None)
        self.floor = floor

    def hash(self, cut):
        self.go_to(cut.floor)
        undo, total = [], self.sum
        for n, sectors in cut.parts:
            kind, offset, data = self.recording.records[n]
            if kind != FLUSH:
                undo.append((offset, bytes(self.durable[offset:offset + len(data)])))
                total ^= self.apply(self.durable, n, sectors)
        for offset, data in reversed(undo):
            self.durable[offset:offset + len(data)] = data
        return total

    def write(self, cut, path):
        self.go_to(cut.floor)
        image = bytearray(self.durable)
        for n, sectors in cut.parts:
            self.apply(image, n, sectors)
        with open(path, "r+b" if os.path.exists(path) else "wb") as f:
            f.write(image)


if __name__ == "__main__":
    try_mounts(sys.argv[1:])
