"""The structure of the source is what ARCHITECTURE.md says, and the check can fail."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from layers import violations

ROOT = Path(__file__).resolve().parents[2]


def test_every_include_goes_down():
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    "file, include",
    [
        ("core/apply.c", "sys/clock.h"),  # same floor
        ("base/buf.c", "core/event.h"),  # upwards
        ("log/log.c", "engine/engine.h"),  # upwards
        ("cli/main.c", "rundir/rundir.h"),  # a client that goes round the public header
        ("engine/engine.c", "sluice/sluice.h"),  # the inside includes its own facade
    ],
)
def test_the_check_finds_a_planted_violation(tmp_path, file, include):
    shutil.copytree(ROOT / "src", tmp_path / "src")
    path = tmp_path / "src" / file
    path.write_text(f'#include "{include}"\n' + path.read_text())
    found = violations(tmp_path)
    assert len(found) == 1 and file in found[0] and include in found[0]


def test_the_check_finds_a_folder_without_a_floor(tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src")
    (tmp_path / "src/attic").mkdir()
    (tmp_path / "src/attic/old.c").write_text("int old;\n")
    assert any("attic" in line for line in violations(tmp_path))


IMPURE = {
    "open", "openat", "read", "write", "fsync", "fdatasync", "socket", "fork", "execve", "clone",
    "clock_gettime", "time", "gettimeofday", "rand", "random", "getrandom", "getenv", "printf", "puts",
    "poll", "epoll_wait", "sleep", "nanosleep", "malloc", "free",
}


def foreign_symbols(archive):
    listing = subprocess.run(["nm", "-u", archive], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in listing.splitlines() if line.strip().startswith("U ")}


def test_core_is_pure(build):
    """S1: decide and apply know no clock, no file and no randomness; memory comes from base."""
    archive = build / "src/core/libcore.a"
    assert foreign_symbols(archive) & IMPURE == set()


def test_the_purity_check_can_fail(build):
    assert "fdatasync" in foreign_symbols(build / "src/sys/libsys.a") & IMPURE


def needed_libraries(program):
    dynamic = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
    return {line.split("[")[1].split(".so")[0] for line in dynamic.splitlines() if "(NEEDED)" in line}


def test_the_keeper_links_nothing_but_libc(build):
    """S8.1: its own static executable."""
    assert needed_libraries(build / "src/keeper/sluice-keeper") == set()


def option(build, name):
    listing = subprocess.run(["meson", "introspect", "--buildoptions", build], capture_output=True, text=True, check=True)
    return next(o["value"] for o in json.loads(listing.stdout) if o["name"] == name)


def test_the_program_waits_for_no_library_but_that_of_c(build):
    """Each shared library is looked up and mapped at each start."""
    if option(build, "b_sanitize") != "none" or not option(build, "own_parts"):
        pytest.skip("a build that loads others as well")
    needed = needed_libraries(build / "src/cli/sluice")
    assert {name for name in needed if not name.startswith("ld-")} <= {"libc", "libm"}
