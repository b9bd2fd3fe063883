"""The parts of this family are plain modules, so that campaign.py uses them without pytest."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fault_world import install_observed  # noqa: E402


@pytest.fixture(scope="session")
def sluice_program(tmp_path_factory):
    return install_observed(tmp_path_factory.mktemp("bin"))
