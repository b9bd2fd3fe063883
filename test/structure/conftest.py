import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def build():
    """The build folder with the static libraries."""
    return Path(os.environ.get("SLUICE_BUILD", Path(__file__).resolve().parents[2] / "build"))
