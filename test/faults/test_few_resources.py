"""D14, D15, D20, D22: little room, few inodes, few descriptors, few processes; and then enough again."""
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest
from fault_world import FINDING, FaultWorld, install_observed, sanitizer_options

from support.checker import is_kept
from support.sluice import Result, until

PIDS = Path("/sys/fs/cgroup/pids")


@pytest.fixture
def world(tmp_path, sluice_program):
    made = FaultWorld(tmp_path / "world", sluice_program)
    yield made
    made.close()


@pytest.fixture
def disk(world, need_root):
    """The state directory on a file system of its own; answers a function that changes its limits."""
    world.home.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", world.home], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"cannot mount a tmpfs: {made.stderr.decode().strip()}")
    yield lambda text: subprocess.run(["mount", "-o", f"remount,{text}", world.home], check=True)
    world.close()
    subprocess.run(["umount", "-l", world.home], check=True)


def ends_and_goes_on(world, result, repair, codes):
    """It ended in order; after the repair the run goes on to its end, and nothing is lost."""
    assert result.code in codes and not FINDING.search(result.stderr), result
    if result.code == 1:
        assert world.log().of("step.failed"), "a command was told the same, and failed"
    assert result.code == 0 or result.stderr.strip(), "not a word"
    known = world.lines() if world.is_born() else b""
    if world.is_born():
        world.log(torn=True, ended="succeeded" if result.code == 0 else None)
    repair()
    until(lambda: not world.keepers(), timeout=20, of="a keeper that ends")
    log = world.finish_up()
    assert is_kept(known, world.raw()), "S1.5: an acknowledged line is gone"
    world.ledger.check(log)
    return result.code


@pytest.mark.slow
@pytest.mark.parametrize("pages", [2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 19, 22, 26])
def test_d14_d15_a_disk_of_so_many_pages(world, disk, pages):
    """Full at one place after the other, from before the run is born to its last line."""
    disk(f"size={pages * 4096}")
    result = world("run", world.file, "--run-id", world.id, timeout=30)
    ends_and_goes_on(world, result, lambda: disk("size=8m"), (0, 1, 10))


@pytest.mark.slow
@pytest.mark.parametrize("inodes", [*range(2, 24)])
def test_d15_a_disk_of_so_many_inodes(world, disk, inodes):
    disk(f"nr_inodes={inodes}")
    result = world("run", world.file, "--run-id", world.id, timeout=30)
    ends_and_goes_on(world, result, lambda: disk("nr_inodes=1000"), (0, 1, 10))


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 100, 500, 700, 900, 1200, 1500, 1700, 2000, 2500, 3000, 4000, 16000, 24000])
def test_d15_a_limit_of_file_sizes_is_an_error_not_a_death(world, size):
    """ulimit -f, in bytes: the write is short or EFBIG, and SIGXFSZ ends nobody."""
    engine = world.start("run", world.file, "--run-id", world.id,
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY)))
    result = finished(engine)
    ends_and_goes_on(world, result, lambda: None, (0, 1, 10))


def finished(engine):
    stdout, stderr = engine.communicate(timeout=30)
    return Result(engine.args, engine.returncode, stdout, stderr)


@pytest.mark.slow
@pytest.mark.parametrize("count", [*range(3, 41)])
def test_d20_so_many_descriptors(world, count):
    """127: the loader finds none for the libraries. Whatever else: an error with words, and a run that goes on."""
    engine = world.start("run", world.file, "--run-id", world.id,
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count)))
    result = finished(engine)
    ends_and_goes_on(world, result, lambda: None, (0, 1, 9, 10, 127))


@pytest.fixture
def few_pids(world, need_root, tmp_path):
    """A control group where only so many processes may be. What looks for leaks would be one of them: it is left out."""
    world.program = install_observed(tmp_path / "bin", finds_leaks=False)
    world.env.update(sanitizer_options(finds_leaks=False))
    if not (PIDS / "cgroup.procs").exists():
        pytest.skip("needs the pids controller (cgroup v1)")
    group = PIDS / f"sluice-test-{world.id}"
    try:
        group.mkdir()
    except OSError as problem:
        pytest.skip(f"cannot make a control group: {problem}")
    yield group
    for pid in (group / "cgroup.procs").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    until(lambda: not (group / "cgroup.procs").read_text(), of="an empty control group")
    group.rmdir()


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 8])
def test_d22_so_many_processes(world, few_pids, count):
    """fork fails in engine, keeper or command: EAGAIN, an error or an event with that number, never a hang."""
    (few_pids / "pids.max").write_text(str(count))
    engine = world.start("run", world.file, "--run-id", world.id,
                         preexec_fn=lambda: (few_pids / "cgroup.procs").write_text(str(os.getpid())))
    result = finished(engine)
    failed = [e for e in world.log(torn=True).of("step.failed") if "errno" in e] if world.is_born() else []
    assert all(e["errno"] == 11 and e["error_class"] == "infrastructure" for e in failed), failed
    (few_pids / "pids.max").write_text("max")
    ends_and_goes_on(world, result, lambda: None, (0, 1, 10))
