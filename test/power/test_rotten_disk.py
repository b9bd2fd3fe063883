"""D38: bits that rot below the file system are found by who reads all logs, and nothing is written over them."""
import json
import subprocess
import sys
from pathlib import Path

import disk
import pytest


@pytest.mark.slow
def test_d38_bits_that_rot_on_the_disk_are_found_by_verify_all(sluice_program):
    why = disk.missing()
    if why:
        pytest.skip(why)
    script = Path(__file__).resolve().parent / "rotten_disk.py"
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {str(script.parent)!r}); import disk; "
                           f"sys.exit(disk.run_inside(sys.executable, {str(script)!r}, {str(sluice_program)!r}))"],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["clean"] == 0 and facts["mended"] == 0 and len(facts["flips"]) == 24
    for flip in facts["flips"]:
        assert flip["all"] == 7 and flip["found"] and not flip["others"], flip
        assert flip["one"] == 7 and flip["named"] and not flip["touched"], flip
