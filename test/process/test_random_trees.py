"""P01 to P20, D27: random trees of processes under accidents; the same as campaign.py makes for as long as it is given."""
import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_p02_p18_random_trees_end_as_they_should_whatever_becomes_of_their_owners():
    done = subprocess.run([sys.executable, Path(__file__).with_name("campaign.py"), "--cases", "25", "--seed", "18"],
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.strip(), done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert not figures["failures"] and figures["cases"] == 25, figures["failures"][:3]
