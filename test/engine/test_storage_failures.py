"""S11.3, S12, S13 (10): full disks, read-only places, failing calls. Nothing acknowledged is lost."""
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from support.checker import check_bytes, is_kept, split_lines
from support.sluice import until

ERRORS = ["EIO", "ENOSPC"]


def whole_lines(raw):
    return b"".join(line + b"\n" for line in split_lines(raw)[0])


@pytest.fixture
def small_disk(sluice, need_root):
    """The state directory on a file system of its own; answers a function that changes its size."""
    sluice.home.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", sluice.home], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"cannot mount a tmpfs: {made.stderr.decode().strip()}")

    def size(text):
        subprocess.run(["mount", "-o", f"remount,{text}", sluice.home], check=True)
    yield size
    sluice.close()
    subprocess.run(["umount", "-l", sluice.home], check=True)


def test_d14_a_full_disk_stops_the_run_with_10_and_it_goes_on_later(sluice, small_disk):
    steps = {f"s{i}": {"needs": [f"s{i - 1}"] if i else [], "argv": ["./fill" if i == 5 else "./step", f"s{i}"]} for i in range(10)}
    (sluice.root / "step").write_text('#!/bin/sh\necho $1 >>steps\n')
    (sluice.root / "fill").write_text(f'#!/bin/sh\necho $1 >>steps\n[ -e filled ] || {{ touch filled; cat /dev/zero >{sluice.home}/fill 2>/dev/null; }}; exit 0\n')
    for name in ("step", "fill"):
        (sluice.root / name).chmod(0o755)
    path = sluice.pipeline(steps)
    result = sluice("run", path, "--run-id", sluice.id, code=10)
    assert result.stderr
    raw = sluice.raw()
    log = check_bytes(raw, sluice.id, torn=True)
    assert log.state == "executing" and not log.of("step.failed"), "S12: not started and not failed"
    sluice("status", sluice.id, code=0)
    sluice("resume", sluice.id, code=10)
    (sluice.home / "fill").unlink()
    small_disk("size=8m")
    sluice("resume", sluice.id, code=0)
    sluice.log(ended="succeeded")
    assert is_kept(whole_lines(raw), sluice.raw())
    assert (sluice.root / "steps").read_text().split() == [f"s{i}" for i in range(10)]


def test_d14_a_full_disk_before_the_run_is_born(sluice, small_disk):
    path = sluice.pipeline({"a": "touch ran"})
    (sluice.home / "fill").write_bytes(b"")
    subprocess.run(f"cat /dev/zero >{sluice.home}/fill", shell=True, check=False, stderr=subprocess.DEVNULL)
    sluice("run", path, "--run-id", sluice.id, code=10)
    assert not (sluice.root / "ran").exists()
    (sluice.home / "fill").unlink()
    sluice("run", path, "--run-id", sluice.id, code=0)


def test_d15_no_inodes(sluice, small_disk):
    path = sluice.pipeline({"a": "touch ran-a", "b": "touch ran-b"})
    small_disk("nr_inodes=8")
    result = sluice("run", path, "--run-id", sluice.id, code=10)
    assert not (sluice.root / "ran-b").exists(), result
    small_disk("nr_inodes=1000")
    if sluice.run_dir().exists():
        sluice("resume", sluice.id, code=0)
    else:
        sluice("run", path, "--run-id", sluice.id, code=0)
    sluice.log(ended="succeeded")


def test_d19_a_file_system_that_is_read_only_between_two_commands(sluice, small_disk):
    """Under a live run: power/test_read_only.py."""
    sluice.go({"a": "[ -e ok ]", "b": {"run": "touch ran-b", "needs": ["a"]}}, code=1)
    until(lambda: not sluice.keepers(), 60, of="the keeper's end")
    raw = sluice.raw()
    (sluice.root / "ok").touch()
    small_disk("ro")
    sluice("resume", sluice.id, code=10)
    sluice("run", sluice.root / "pipeline.yaml", "--run-id", sluice.id + "x", code=10)
    sluice("status", sluice.id, code=0)
    assert sluice.raw() == raw and not (sluice.root / "ran-b").exists()
    small_disk("rw")
    assert not sluice.run_dir(sluice.id + "x").exists()
    sluice("resume", sluice.id, code=0)
    sluice.log(ended="succeeded")
    assert is_kept(raw, sluice.raw())


def test_an_unwritable_state_directory(sluice):
    # root without the right to pass over modes
    prefix = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
    sluice.home.mkdir(mode=0o500)
    path = sluice.pipeline({"a": "touch ran"})
    sluice("run", path, "--run-id", sluice.id, prefix=prefix, code=10)
    assert not sluice.run_dir().exists() and not (sluice.root / "ran").exists()
    sluice.home.chmod(0o700)
    sluice("run", path, "--run-id", sluice.id, prefix=prefix, code=0)


@pytest.mark.parametrize("name", ["events.jsonl", "logs", "out", "attempts.log", "pipeline.json"])
def test_files_of_a_run_that_became_read_only(sluice, name):
    prefix = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
    sluice.go({"a": "[ -e ok ]", "b": "true"}, code=1)
    (sluice.root / "ok").touch()
    until(lambda: not sluice.keepers(), of="the keeper's end")
    place = sluice.run_dir() / name
    mode = place.stat().st_mode & 0o777
    place.chmod(mode & 0o500)
    raw = sluice.raw()
    result = sluice("resume", sluice.id, prefix=prefix)
    assert result.code == (0 if name in ("pipeline.json", "out") else 10), result
    place.chmod(mode)
    sluice("resume", sluice.id, code=0)
    sluice.log(ended="succeeded")
    assert is_kept(raw, sluice.raw())


def test_d15_a_file_size_limit_is_an_error_not_a_death(sluice):
    """RLIMIT_FSIZE: SIGXFSZ is ignored, the write is short, the run stops and goes on later.

    The keeper raises its soft limit, so that no end is lost and it does not stay.
    """
    path = sluice.pipeline({f"s{i}": "true" for i in range(6)})
    engine = sluice.start("run", path, "--run-id", sluice.id,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2400, resource.RLIM_INFINITY)))
    assert engine.wait(20) == 10, engine.communicate()
    raw = sluice.raw()
    until(lambda: not sluice.keepers(), of="a keeper that ends")
    sluice("resume", sluice.id, code=0)
    sluice.log(ended="succeeded")
    assert is_kept(whole_lines(raw), sluice.raw())


@pytest.mark.slow
def test_d15_a_keeper_that_can_never_write_its_record_gives_up(sluice):
    """A hard limit that the sixth end meets in attempts.log: the run stops as a storage failure, and no keeper waits for ever."""
    path = sluice.pipeline({f"s{i}": "true" for i in range(8)})
    engine = sluice.start("run", path, "--run-id", sluice.id,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4440, 4440)))
    assert engine.wait(20) == 10, engine.communicate()
    assert (sluice.run_dir() / "attempts.log").stat().st_size == 4440, "what stopped it"
    raw = sluice.raw()
    until(lambda: not sluice.keepers(), timeout=30, of="a keeper that ends")
    sluice("resume", sluice.id, code=0)
    sluice.log(ended="succeeded")
    assert is_kept(whole_lines(raw), sluice.raw())


def inject(call, error, n):
    return ("strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={n}")




@pytest.mark.sweep(5)
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("call", ["write", "pwrite64", "fdatasync", "fsync", "openat", "ftruncate", "renameat2", "mkdirat"])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13])
def test_d16_a_failing_call(sluice, need_strace, call, error, n):
    """Whatever fails: no hang, no lie, and afterwards the run can be brought to its end."""
    path = sluice.pipeline({s: f'echo {s} >>steps; echo n=1 >"$SLUICE_OUTPUT"' for s in "abc"})
    result = sluice("run", path, "--run-id", sluice.id, prefix=inject(call, error, n), timeout=30)
    assert result.code in (0, 2, 9, 10, 127), result  # 127: a library could not be loaded
    born = (sluice.run_dir() / "events.jsonl").exists()
    if result.code == 0:
        assert born
    raw = whole_lines(sluice.raw()) if born else b""
    if born:
        sluice("resume", sluice.id, code=0)
    else:
        sluice("run", path, "--run-id", sluice.id, code=0)
    log = sluice.log(ended="succeeded")
    assert is_kept(raw, sluice.raw())
    assert (sluice.root / "steps").read_text().split() == list("abc"), log.types()


def test_s11_3_a_failed_sync_is_not_tried_again(sluice, need_strace):
    """D16: after EIO from fdatasync of the log there is no second one on that file."""
    path = sluice.pipeline({s: "true" for s in "abcd"})
    trace = sluice.root / "trace"
    result = sluice("run", path, "--run-id", sluice.id,
                    prefix=("strace", "-qq", "-y", "-o", trace, "-e", "trace=fdatasync,write,pwrite64",
                            "-e", "inject=fdatasync:error=EIO:when=3"), code=10)
    lines = trace.read_text().splitlines()
    failed = next(i for i, line in enumerate(lines) if "EIO" in line)
    assert "events.jsonl" in lines[failed], lines[failed]
    after = [line for line in lines[failed + 1:] if "events.jsonl" in line]
    assert not after, (after, result)


@pytest.mark.sweep(3)
@pytest.mark.parametrize("nofile", [3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40])
def test_d20_few_descriptors(sluice, nofile):
    path = sluice.pipeline({s: "true" for s in "abc"})
    engine = sluice.start("run", path, "--run-id", sluice.id,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile)))
    assert engine.wait(30) in (0, 1, 10, 127), engine.communicate()
    if (sluice.run_dir() / "events.jsonl").exists():
        sluice.log()
        assert Path(sluice.run_dir()).is_dir()
        result = sluice.resume_to_end(code=(0,))
        assert result.code == 0
