"""The planted bugs fit the source as it is; that the simulator finds them is shown by run.py."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bugs import BUGS  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_bug_fits_the_source(bug):
    assert (ROOT / bug.file).read_text().count(bug.old) == 1
    assert bug.old != bug.new


def test_there_are_ten_at_least():
    assert len(BUGS) >= 10
