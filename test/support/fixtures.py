"""Fixtures of the black-box tests: `from support.fixtures import *` in a conftest."""
import os
import shutil

import pytest

from .sluice import Sluice, install

__all__ = ["sluice", "sluice_program", "need_root", "need_strace"]


@pytest.fixture(scope="session")
def sluice_program(tmp_path_factory):
    """sluice, runner and sluice-keeper beside each other."""
    return install(tmp_path_factory.mktemp("bin"))


@pytest.fixture
def sluice(tmp_path, sluice_program):
    world = Sluice(tmp_path, sluice_program)
    yield world
    world.close()


@pytest.fixture
def need_root():
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a file system")


@pytest.fixture
def need_strace():
    if not shutil.which("strace"):
        pytest.skip("needs strace")
