"""Fixtures of the tests of the command line."""
import pytest

from command import Sluice


@pytest.fixture
def sluice(tmp_path):
    return Sluice(tmp_path)


@pytest.fixture(scope="session")
def make_sluice():
    """For fixtures that outlive a test: the class itself, to be given a folder."""
    return Sluice
