"""Sweeps and storms: worlds that are made once for each process that runs tests."""
import pytest

import kill_sweep


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
