"""D17: a sync that really fails. The kernel drops what it could not write, the next sync answers 0, and a later
write to the same place reaches a block that reads as zeros after the next mount (ext4)."""
import disk
import pytest


def test_d17_after_a_sync_that_failed_nothing_is_lost_by_the_next_mount(sluice_program, need_strace):
    why = disk.missing()
    if why:
        pytest.skip(why)
    facts = disk.facts("failing_sync.py", sluice_program)
    failed = [n for n, (call, answer) in enumerate(facts["calls"]) if call == "fdatasync" and answer < 0]
    assert failed, f"no sync failed: {facts}"
    assert facts["code"] == 10 and facts["differ"], facts
    assert failed == [len(facts["calls"]) - 1], f"S11.3: the log was touched after a sync that failed: {facts}"
    assert facts["resumed"] == 0 and facts["told_and_kept"] == facts["told"], facts
    assert facts["mended"] and facts["at_last"] == 0 and facts["kept_at_last"] == facts["told"], facts
    assert facts["effects"] == 30, facts
