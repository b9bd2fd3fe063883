"""D05, D06, X03: the disk is cut off between any two of its writes, or within one. What anybody was told of is kept,
what was done had been written before, and a resume brings the run to the same end.

A run writes to a file system whose block writes are recorded. Images of what a power cut may have left (all
writes up to some place, any part of those since the last flush, torn sectors) are checked, mounted, judged,
and some resumed as on another boot."""
import json
import os
import subprocess
import sys
from pathlib import Path

import disk
import pytest
from cuts import all_shapes

from support.sluice import ROOT

IMAGES = int(os.environ.get("SLUICE_POWER_IMAGES", "400"))  # of each shape
CAMPAIGN = Path(__file__).resolve().parent / "campaign.py"


def campaign(*args, program, keep=ROOT / "build/campaign"):
    """The closing line of a campaign."""
    why = disk.missing() or disk.missing_recorder()
    if why:
        pytest.skip(f"{IMAGES * len(all_shapes())} images: {why}")
    done = subprocess.run([sys.executable, CAMPAIGN, *map(str, args), "--program", program,
                           "--keep", keep], capture_output=True, text=True, timeout=900, check=False)
    assert done.stdout.strip(), done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def judged(figures, least):
    told = {key: value for key, value in figures.items() if key != "failures"}
    assert not figures["failures"], f"{len(figures['failures'])} in {told}:\n" + "\n".join(
        json.dumps(failure)[:1500] for failure in figures["failures"][:3])
    assert figures["images"] >= least and figures["resumed"] > 0, told
    assert figures["told"] > 0 and figures["effects"] > 0, told
    assert figures["lost_file_systems"] <= figures["images"] // 20, told


@pytest.mark.slow
@pytest.mark.parametrize("shape", all_shapes())
def test_d05_x03_a_power_cut_takes_nothing_that_anybody_was_told_of(sluice_program, shape):
    figures = campaign("--images", IMAGES, "--shape", shape, "--seed", 5, program=sluice_program)
    judged(figures, IMAGES * 9 // 10)


def test_d05_x03_some_power_cuts_of_a_plain_run(sluice_program):
    judged(campaign("--images", 30, "--shape", "linear", "--seed", 9, program=sluice_program), 20)


@pytest.mark.parametrize("calls, kind", [("fdatasync,fsync", "ext4"), ("fsync", "ext4-plain")], ids=["all", "of names"])
def test_d06_the_power_cuts_find_syncs_that_are_left_out(sluice_program, tmp_path, need_strace, calls, kind):
    """They answer 0 and do nothing. Without a journal one sync does not bring along what others left out."""
    program = tmp_path / "sluice"
    program.write_text("#!/bin/sh\nASAN_OPTIONS=detect_leaks=0 exec strace -f -qq -o /dev/null "
                       f"-e trace={calls} -e inject={calls}:retval=0 {sluice_program} \"$@\"\n")
    program.chmod(0o755)
    figures = campaign("--images", 20, "--shape", "linear", "--kind", kind, "--seed", 6, "--resume-every", 1000,
                       program=program, keep=tmp_path / "kept")
    assert figures["told"] > 0, figures
    assert any("and it is gone" in failure["what"] for failure in figures["failures"]), figures


@pytest.mark.slow
def test_d05_nothing_is_missing_on_a_disk_without_a_journal(sluice_program):
    """Where one sync does not bring along what others forgot: each directory must have had its own. Nor is there an order
    of data and size of a file: a batch that nobody was told of may be there with a block of zeros in it. Nobody can
    tell that from damage, so it is refused (S11.4), and all that was told of stands before it."""
    figures = campaign("--images", 200, "--shape", "linear", "--shape", "cache", "--kind", "ext4-plain",
                       program=sluice_program)
    judged(figures, 300)
    assert figures["refused_tails"] <= figures["images"] // 20, figures
