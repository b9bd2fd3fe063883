"""Sweeps and storms: worlds that are made once for each process that runs tests."""
import os

import pytest

import kill_sweep
from support.kills import keeper_under
from support.sluice import has_sanitizers, install, keeper


@pytest.fixture(autouse=True, scope="session")
def leaks_are_no_finding():
    """A program with sanitizers looks for leaks in a process of its own, at its end, and waits for ever when that is
    killed."""
    before = os.environ.get("ASAN_OPTIONS")
    os.environ["ASAN_OPTIONS"] = f"{before}:detect_leaks=0" if before else "detect_leaks=0"
    yield
    if before is None:
        del os.environ["ASAN_OPTIONS"]
    else:
        os.environ["ASAN_OPTIONS"] = before


@pytest.fixture(scope="session")
def sluice_program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bin")
    return keeper_under(folder, "") if has_sanitizers(keeper()) else install(folder)


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    with kill_sweep.ground(tmp_path_factory.getbasetemp()) as path:
        yield path


@pytest.fixture(scope="session")
def sweep_of(place, sluice_program):
    """The sweep of a name, and its points: made when somebody asks first."""
    made = {}

    def get(name):
        if name not in made:
            sweep = kill_sweep.begin(name, place, sluice_program)
            made[name] = sweep, sweep.points()
        return made[name]
    return get
