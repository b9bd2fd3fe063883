"""Fixtures of the black-box tests: `from support.fixtures import *` in a conftest."""
import os
import shutil

import pytest

from .observed import install_observed, let_keepers_end, take_all_said
from .sluice import Sluice

__all__ = ["keepers_have_ended", "keepers_said_nothing", "sluice", "sluice_program", "need_root", "need_strace"]


@pytest.fixture(autouse=True, scope="session")
def keepers_have_ended():
    """Those that outlived their tests are heard, too."""
    yield
    let_keepers_end()
    said = take_all_said()
    assert not said, f"a keeper, of any of the tests: {said[:4000]}"


@pytest.fixture(autouse=True)
def keepers_said_nothing(keepers_have_ended):
    """What a sanitizer has found in a keeper fails the test, whatever the test makes of its end."""
    yield
    said = take_all_said()
    assert not said, f"a keeper, of this test or the one before: {said[:4000]}"


@pytest.fixture(scope="session")
def sluice_program(tmp_path_factory):
    """sluice, runner and sluice-keeper beside each other."""
    return install_observed(tmp_path_factory.mktemp("bin"))


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
