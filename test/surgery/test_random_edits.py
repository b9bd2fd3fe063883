"""D07 to D13: random edits of the logs of random runs; the same as campaign.py makes for as long as it is given."""
import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_d10_d11_random_edits_of_random_logs_are_found_with_their_line():
    done = subprocess.run([sys.executable, Path(__file__).with_name("campaign.py"), "--cases", "6000", "--seed", "11"],
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.strip(), done.stderr[-3000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert not figures["failures"], figures["failures"][:3]
    assert figures["cases"] == 6000 and figures["damaged"] > 4000 and figures["torn"] > 100, figures
