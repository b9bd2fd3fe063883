"""D14 to D20, D22: each call of engine and keeper fails, with each error that it can give, once and for ever."""
import fcntl
import functools
import os
import re
import select

import fault_table
import pytest
from fault_world import (ROOT_NAME, Fault, FaultWorld, Seen, fail_once, file_faults, how_often, judge, record_calls,
                         rests, some_faults, synced_again, unready_faults, why_not)

from support.checker import Damage
from support.kills import spread
from support.sluice import until

PARTS = 8
ENOUGH = 5  # failures: one may take as long as a hang
NUMBERS = 8  # of an interrupted call

# Of what each command must make last, or say to others: none of it may go untried.
PLACES = {
    "run": {"fsync": ("/home", "/runs", r"/\.new-[^/]*", "/pipeline.yaml", "/pipeline.json", "/blobs",
                      r"/blobs/\w+\.new", r"/out\.[^/]*"),
            "fdatasync": ("/events.jsonl",), "write": ("/events.jsonl", r"/blobs/\w+\.new"),
            "pwrite64": ("/run.lock", r"/out/.*\.context\.json"), "renameat2": (r"/\.new-[^/]*",),
            "renameat": (r"/blobs/\w+\.new", r"/checkpoint\.json\.new"),
            "close": ("/events.jsonl", r"/blobs/\w+\.new", r"/out/.*\.context\.json")},
    "resume": {"write": ("/events.jsonl", r"/events\.torn-\d+"), "ftruncate": ("/events.jsonl",),
               "fdatasync": ("/events.jsonl",),
               "renameat": ("/events.jsonl.new",),
               "fsync": ("/events.jsonl", "/events.jsonl.new", r"/events\.torn-\d+", r"/runs/[^/]*", r"/blobs/\w+\.new")},
    "approve": {"write": ("/events.jsonl",), "fdatasync": ("/events.jsonl",), "close": ("/events.jsonl",)},
    "rollback": {"write": ("/events.jsonl",), "fdatasync": ("/events.jsonl",), "close": ("/events.jsonl",)},
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, sluice_program):
    """What is seen of a command in which nothing fails."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    return functools.cache(lambda command: record_calls(tmp_path_factory.mktemp("calls"), sluice_program, command))


@pytest.fixture(scope="module")
def calls(recorded):
    """{(program, call): how often} of a run."""
    return how_often(recorded("run"))


def all_of(faults, folder, program, share=1 / 2):
    """Each of them, and then what went wrong; answers the outcomes. What comes together is synced and received
    together, so a command does not always make all calls that were recorded: but that share of them."""
    failures, outcomes = [], []
    for fault in faults:
        try:
            outcomes.append(fail_once(folder, program, fault))
        except (AssertionError, TimeoutError) as problem:
            failures.append(f"{fault}: {str(problem)[-1500:]}")
            if len(failures) == ENOUGH:
                break
    assert not failures, f"{len(failures)} of {len(faults)}:\n" + "\n".join(failures)
    hits = sum(outcome.hit > 0 for outcome in outcomes)
    assert hits > share * len(faults), f"{hits} of {len(faults)} calls of the recorded command were made again"
    return outcomes


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_d16_d18_d20_a_failing_call_of_each_kind_ends_as_the_table_says(recorded, tmp_path, sluice_program, part):
    all_of(some_faults(recorded("run"))[part::PARTS], tmp_path, sluice_program)


@pytest.mark.slow
@pytest.mark.parametrize("command, error, part", [
    *((command, "EIO", part) for command in ("run", "resume") for part in ("1/2", "2/2")),
    ("run", "ENOSPC", "1/2"), ("run", "ENOSPC", "2/2"), ("approve", "EIO", "1/1"), ("rollback", "EIO", "1/1")])
def test_d14_d16_a_failed_change_of_a_file_stops_the_engine(recorded, tmp_path, sluice_program, command, error, part):
    """At every write, sync, rename and cut; but those of projections (S12), and a close of what was synced before."""
    turn, parts = map(int, part.split("/"))
    faults = [one for one in file_faults(recorded(command), command) if (one.role, one.error) == ("engine", error)]
    outcomes = all_of(faults[turn - 1::parts], tmp_path, sluice_program)
    assert sum(outcome.code == 10 for outcome in outcomes) > len(outcomes) / 4


@pytest.mark.slow
def test_s12_a_command_that_cannot_be_armed_is_not_started(recorded, tmp_path, sluice_program):
    """D16 of the keeper: what else it writes is told by its answer as well, and written again."""
    faults = [fault for fault in file_faults(recorded("run"), "run") if (fault.role, fault.error) == ("keeper", "EIO")]
    outcomes = all_of(faults, tmp_path, sluice_program)
    armed = [outcome for outcome in outcomes if outcome.code == 10 and outcome.path.endswith("/attempts.log")]
    assert len(armed) >= 4, "one for each attempt, but for those whose call was another one this time"


@pytest.mark.parametrize("command", PLACES)
def test_the_recorded_commands_make_the_calls_that_matter(recorded, command):
    """The sweep is of what is there: none of these may go unseen, and of none may two ends be right."""
    paths = {(one.role, one.call, one.n): one.path for one in recorded(command)}
    tried = [(one, paths[one.role, one.call, one.nth])
             for one in file_faults(recorded(command), command) if (one.role, one.error) == ("engine", "EIO")]
    missing = [(call, place) for call, places in PLACES[command].items() for place in places
               if not any(one.call == call and re.search(place + "$", path) for one, path in tried)]
    assert not missing
    assert not [(str(one), path) for one, path in tried if len(fault_table.expected(one, path)) > 1]


def test_the_recorded_run_makes_all_kinds_of_calls(calls):
    wanted = {"engine": "write pwrite64 fdatasync fsync renameat2 openat openat2 unlink ftruncate mkdirat clone3 execve "
                        "socket connect epoll_ctl epoll_wait timerfd_create eventfd2 close recvfrom sendto",
              "keeper": "pwrite64 openat unlink mkdirat clone3 execve accept4 epoll_ctl epoll_wait close recvfrom "
                        "sendto"}
    missing = [f"{role} {call}" for role, names in wanted.items() for call in names.split() if not calls[role, call]]
    assert not missing


def test_no_call_of_a_loader_or_of_a_runtime_of_sanitizers_is_counted(tmp_path, sluice_program):
    """They would hide those of the program behind thousands: they read /proc/self/maps, and map memory page by page."""
    if why_not():
        pytest.skip(why_not())
    world = FaultWorld(tmp_path / "w", sluice_program)
    _, seen = world.try_below("run")
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
    (Fault("engine", "ftruncate", "EIO", 1, True), 10, "Input/output error"),
    (Fault("engine", "ftruncate", "EIO", 2, True), 0, ""),
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
    _, seen = world.try_below("run")
    world.close()
    looks = [one for one in seen if (one.role, one.call) == ("engine", "newfstatat") and re.search(r"/\.new-[^/]+/\w", one.path)]
    assert len({one.path for one in looks}) >= 2
    for look in looks:
        outcome = fail_once(tmp_path, sluice_program, Fault("engine", "newfstatat", "EINTR", look.n, False))
        assert outcome.hit and outcome.code in (0, 10), (look, outcome)


def test_s12_a_frozen_definition_that_cannot_be_read_is_no_damage(recorded, tmp_path, sluice_program):
    faults = [Fault("engine", one.call, error, one.n, False, "resume")
              for one in recorded("resume") for error in ("EIO", "EDQUOT")
              if one.call in ("openat2", "pread64") and one.path.endswith("/pipeline.json")]
    assert 10 in {outcome.code for outcome in all_of(faults, tmp_path, sluice_program) if outcome.hit}


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
def test_d18_short_reads_and_writes_everywhere_are_unseen(recorded, tmp_path, sluice_program, role, count):
    files = [one.call for one in recorded("run") if one.role == role and one.path.startswith(ROOT_NAME)]
    for call in fault_table.SHORTENED:
        if call in files:
            outcome = fail_once(tmp_path, sluice_program, Fault(role, call, count, 1, True))
            assert outcome.hit and outcome.code == 0, (call, outcome)


@pytest.mark.slow
@pytest.mark.parametrize("role", ["engine", "keeper"])
def test_d18_every_call_that_is_interrupted_once_is_made_again(calls, tmp_path, sluice_program, role):
    """At its first number and at others, evenly."""
    names = [name for (who, name) in sorted(calls) if who == role and re.fullmatch(fault_table.AGAIN, name)]
    faults = [Fault(role, name, "EINTR", nth, False)
              for name in names for nth in spread(range(1, calls[role, name] + 1), NUMBERS)]
    outcomes = all_of(faults, tmp_path, sluice_program)
    assert {outcome.code for outcome in outcomes} == {0}
    never = {fault.call for fault in faults} - {fault.call for fault, outcome in zip(faults, outcomes) if outcome.hit}
    assert not [name for name in never if calls[role, name] > 1]


@pytest.mark.slow
@pytest.mark.parametrize("role", ["engine", "keeper"])
def test_d18_every_socket_and_counter_that_is_not_ready_once_is_asked_again(recorded, tmp_path, sluice_program, role):
    faults = [fault for fault in unready_faults(recorded("run")) if fault.role == role]
    outcomes = all_of(faults, tmp_path, sluice_program)
    hit = {fault.call for fault, outcome in zip(faults, outcomes) if outcome.hit}
    assert hit >= {"recvfrom", "sendto", "accept4" if role == "keeper" else "write"}


def test_d18_an_answer_goes_whole_into_a_pipe_that_does_not_wait(tmp_path, sluice_program):
    """Whoever has the other end, or the same one, can make it such a pipe for all."""
    world = FaultWorld(tmp_path / "w", sluice_program)
    reader, writer = os.pipe()
    try:
        world.run(code=0)
        whole = world("events", world.id, "-o", "jsonl", code=0).stdout
        room = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        assert len(whole) > room
        os.set_blocking(writer, False)
        process = world.start("events", world.id, "-o", "jsonl", stdout=writer)
        os.close(writer)
        until(lambda: select.select([reader], [], [], 0)[0] and rests(process), 30, of="a full pipe")
        with os.fdopen(reader) as pipe:
            assert pipe.read() == whole
        assert process.wait(30) == 0
    finally:
        world.close()


def test_the_judge_can_fail(calls, tmp_path, sluice_program):
    """A hang, a crash, silence, a second sync and a lost line are found."""
    path = "/x/runs/r/events.jsonl"
    failed = [Seen("engine", "fdatasync", 1, "failed", path), Seen("engine", "fdatasync", 2, "seen", path)]
    assert synced_again(failed) and not synced_again(failed[:1])
    assert synced_again([one._replace(call="fsync", path="/x/runs") for one in failed])
    world = FaultWorld(tmp_path / "w", sluice_program)
    fault = Fault("engine", "socket", "EIO", 1, False)
    try:
        result, seen = world.try_below("run")
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
