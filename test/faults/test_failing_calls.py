"""D14 to D20, D22: each call of engine and keeper fails, with each error that it can give, once and for ever."""
import re

import fault_table
import pytest
from fault_world import Fault, FaultWorld, Seen, fail_once, judge, record_run, some_faults, synced_again, why_not

from support.checker import Damage

PARTS = 8


@pytest.fixture(scope="module")
def calls(tmp_path_factory, sluice_program):
    """{(program, call): how often} of a run in which nothing fails."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    return record_run(tmp_path_factory.mktemp("calls"), sluice_program)


def all_of(faults, folder, program):
    """Each of them, and then all that went wrong."""
    failures, hits = [], 0
    for fault in faults:
        try:
            hits += fail_once(folder, program, fault).hit > 0
        except (AssertionError, TimeoutError) as problem:
            failures.append(f"{fault}: {str(problem)[-1500:]}")
    assert not failures, f"{len(failures)} of {len(faults)}:\n" + "\n".join(failures[:5])
    return hits


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_d16_d18_d20_a_failing_call_of_each_kind_ends_as_the_table_says(calls, tmp_path, sluice_program, part):
    chosen = some_faults(calls)[part::PARTS]
    hits = all_of(chosen, tmp_path, sluice_program)
    assert hits > len(chosen) / 2, "the calls of the recorded run are made again"


def test_the_recorded_run_makes_the_calls_that_matter(calls):
    """The sweep is of what is there: none of these may go unseen."""
    wanted = {"engine": "write pwrite64 fdatasync fsync renameat2 openat openat2 unlink ftruncate mkdirat clone3 execve "
                        "socket connect epoll_ctl epoll_wait timerfd_create eventfd2",
              "keeper": "pwrite64 openat unlink mkdirat clone3 execve accept4 epoll_ctl epoll_wait"}
    missing = [f"{role} {call}" for role, names in wanted.items() for call in names.split() if not calls[role, call]]
    assert not missing


def test_no_call_of_a_loader_or_of_a_runtime_of_sanitizers_is_counted(tmp_path, sluice_program):
    """They would hide those of the program behind thousands: they read /proc/self/maps, and map memory page by page."""
    if why_not():
        pytest.skip(why_not())
    world = FaultWorld(tmp_path / "w", sluice_program)
    _, seen = world.run_with()
    world.close()
    for role in ("engine", "keeper"):
        mine = [one for one in seen if one.role == role]
        assert len([one for one in mine if one.call == "mmap"]) < 20
        assert not [one for one in mine if one.path.endswith(("/maps", "/ld.so.cache")) or ".so." in one.path]


# Named ones: what S11.3, S12 and S13 say of the most important places.
@pytest.mark.sweep(3)
@pytest.mark.parametrize("fault, code, words", [
    (Fault("engine", "fdatasync", "EIO", 3, False), 10, "Input/output error"),
    (Fault("engine", "fdatasync", "ENOSPC", 2, True), 10, "No space left"),
    (Fault("engine", "fdatasync", "EDQUOT", 4, False), 10, "quota"),
    (Fault("engine", "renameat2", "EROFS", 1, False), 10, "Read-only file system"),
    (Fault("engine", "mkdirat", "ENOSPC", 1, True), 10, "No space left"),
    (Fault("engine", "socket", "EMFILE", 1, True), 10, "Too many open files"),
    (Fault("engine", "clone3", "EAGAIN", 1, True), 10, "Resource temporarily unavailable"),
    (Fault("engine", "clone3", "EAGAIN", 1, False), 0, ""),
    (Fault("engine", "execve", "ENOMEM", 1, True), 10, "Cannot allocate memory"),
    (Fault("engine", "execve", "ENOMEM", 1, False), 0, ""),
    (Fault("engine", "ftruncate", "EIO", 1, True), 0, ""),
    (Fault("keeper", "mkdirat", "EROFS", 1, False), 10, "Read-only file system"),
    (Fault("keeper", "epoll_create1", "EMFILE", 1, True), 10, "without a report"),
    (Fault("keeper", "accept4", "ENFILE", 1, True), 10, "without a report"),
    (Fault("keeper", "clone3", "EAGAIN", 1, True), 1, "cannot execute"),
    (Fault("keeper", "execve", "ENOMEM", 1, True), 1, "cannot execute"),
    (Fault("keeper", "clone3", "EAGAIN", 1, False), 0, ""),
], ids=str)
def test_d14_d22_what_a_failure_leads_to_and_says(calls, tmp_path, sluice_program, fault, code, words):
    outcome = fail_once(tmp_path, sluice_program, fault)
    assert outcome.hit and outcome.code == code and words in outcome.stderr, outcome


def test_d18_a_look_at_a_new_file_that_is_interrupted_is_made_again_without_the_file(calls, tmp_path, sluice_program):
    """Whoever made the file again would find that it exists."""
    world = FaultWorld(tmp_path / "seen", sluice_program)
    _, seen = world.run_with()
    world.close()
    looks = [one for one in seen if (one.role, one.call) == ("engine", "newfstatat") and re.search(r"/\.new-[^/]+/\w", one.path)]
    assert len({one.path for one in looks}) >= 2
    for look in looks:
        outcome = fail_once(tmp_path, sluice_program, Fault("engine", "newfstatat", "EINTR", look.n, False))
        assert outcome.hit and outcome.code in (0, 10), (look, outcome)


def test_s11_3_after_a_failed_sync_of_the_log_no_call_touches_it_again(calls, tmp_path, sluice_program):
    """D16: in the record of all calls, after the sync that failed."""
    hits = 0
    for nth in range(2, calls["engine", "fdatasync"] + 1):
        outcome = fail_once(tmp_path, sluice_program, Fault("engine", "fdatasync", "EIO", nth, False))
        if not outcome.hit:  # what comes together is synced together: there were fewer this time
            assert outcome.code == 0, outcome
            continue
        hits += 1
        assert outcome.code == 10 and outcome.path.endswith("/events.jsonl"), outcome
    assert hits > 2


@pytest.mark.slow
@pytest.mark.parametrize("count", fault_table.SHORT)
@pytest.mark.parametrize("role", ["engine", "keeper"])
def test_d18_short_reads_and_writes_everywhere_are_unseen(calls, tmp_path, sluice_program, role, count):
    for call in fault_table.SHORTENED:
        if calls[role, call]:
            assert fail_once(tmp_path, sluice_program, Fault(role, call, count, 1, True)).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("role", ["engine", "keeper"])
def test_d18_every_call_that_is_interrupted_once_or_not_ready_is_made_again(calls, tmp_path, sluice_program, role):
    for call in sorted({name for (who, name) in calls if who == role and re.fullmatch(fault_table.AGAIN, name)}):
        for nth in {1, (calls[role, call] + 1) // 2}:
            assert fail_once(tmp_path, sluice_program, Fault(role, call, "EINTR", nth, False)).code == 0


def test_the_judge_can_fail(calls, tmp_path, sluice_program):
    """A hang, a crash, silence, a second sync and a lost line are found."""
    path = "/x/runs/r/events.jsonl"
    failed = [Seen("engine", "fdatasync", 1, "failed", path), Seen("engine", "fdatasync", 2, "seen", path)]
    assert synced_again(failed) and not synced_again(failed[:1])
    world = FaultWorld(tmp_path / "w", sluice_program)
    fault = Fault("engine", "socket", "EIO", 1, False)
    try:
        result, seen = world.run_with()
        judge(world, fault, result, seen)
        for code, stderr in ((124, "x"), (125, "x"), (139, "x"), (10, "")):
            result.returncode, result.stderr = code, stderr
            with pytest.raises(Damage):
                judge(world, fault, result, seen)
        result.returncode, result.stderr = 10, '{"event_id":"evt_99"}'
        with pytest.raises(Damage):
            judge(world, fault, result, seen)
    finally:
        world.close()
