"""D38: bits that rot below the file system are found by who reads all logs, and nothing is written over them."""
import disk
import pytest


@pytest.mark.slow
def test_d38_bits_that_rot_on_the_disk_are_found_by_verify_all(sluice_program):
    why = disk.missing()
    if why:
        pytest.skip(why)
    facts = disk.facts("rotten_disk.py", sluice_program)
    assert facts["clean"] == 0 and facts["mended"] == 0 and len(facts["flips"]) == 24
    for flip in facts["flips"]:
        assert flip["all"] == 7 and flip["found"] and not flip["others"], flip
        assert flip["one"] == 7 and flip["named"] and not flip["touched"], flip
