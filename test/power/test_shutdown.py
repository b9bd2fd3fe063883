"""D05 on live file systems: ext4 and xfs are shut down in the middle of a run, as a power cut does it."""
import disk
import pytest
from test_power_cuts import campaign


@pytest.mark.slow
def test_d05_a_file_system_that_is_gone_in_the_middle_of_a_run(sluice_program):
    why = disk.missing(("ext4", "xfs"))
    if why:
        pytest.skip(f"30 shutdowns: {why}")
    figures = campaign("--shutdowns", 30, "--seed", 3, program=sluice_program)
    assert not figures["failures"], figures["failures"][:3]
    assert figures["shutdowns"] == 30 and figures["shutdown_resumed"] == 30, figures
    assert figures["before_the_end"] >= 5, figures
