"""The long log, made once; each test has a copy of it."""
import shutil
from pathlib import Path

import pytest
import shapes

from support.sluice import Sluice


@pytest.fixture(scope="session")
def long_world(tmp_path_factory, sluice_program):
    world = Sluice(tmp_path_factory.mktemp("long"), sluice_program)
    shapes.long_log(world)
    yield world
    world.close()


@pytest.fixture
def long(sluice, long_world):
    """A world with the long log in it."""
    shutil.rmtree(sluice.home, ignore_errors=True)
    shutil.copytree(long_world.home, sluice.home, symlinks=True)
    for path in Path(long_world.root).iterdir():
        if path.is_file():
            shutil.copy2(path, sluice.root / path.name)
    sluice.id = long_world.id
    return sluice
