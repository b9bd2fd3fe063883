"""D19: the file system of a run has an error and becomes read-only, while the run has it open."""
import disk
import pytest


def test_d19_a_file_system_that_becomes_read_only_under_a_run_stops_it_with_10(sluice_program):
    why = disk.missing()
    if why:
        pytest.skip(why)
    facts = disk.facts("read_only.py", sluice_program)
    assert facts["refused"] == "EROFS", "the file system is read-only"
    assert facts["code"] == 10 and "Read-only file system" in facts["said"], facts
    assert not facts["told_and_lost"], facts
    assert facts["shown"] == 0 and facts["resumed_too_early"] == facts["another"] == 10, facts
    assert facts["begun"] == ["held"] and facts["kept"], facts
    assert facts["mended"] and facts["at_last"] == 0 and facts["kept_at_last"], facts
    # What nobody could record is lost, and runs again as it said that it may.
    assert facts["losses"] == 1 and facts["effects"] == ["held", "held", "next", "last"], facts
