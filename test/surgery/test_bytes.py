"""D07 to D13: every prefix, every bit, every line of a long log, judged by the program's own readers in
one process (judge.c); the built program sees a sample of it in test_lines.py."""
import pytest
from judging import objection, verdicts



def lines_of(raw):
    return raw.splitlines(True)


def judged(world, cases, witness, mode):
    """All cases (name, bytes) as they must be; answers how many there were."""
    lines = lines_of(world.raw())
    if not witness:
        (world.run_dir() / "checkpoint.json").unlink()
    asked = []

    def feed():
        for name, raw in cases:
            asked.append((name, raw))
            yield raw

    count, bad = 0, []
    for verdict in verdicts(world.run_dir(), feed(), mode):
        name, raw = asked[count]
        asked[count] = None
        count += 1
        problem = objection(lines, raw, verdict, len(lines) if witness else 0)
        if problem:
            bad.append(f"{name}: {problem}")
    assert count == len(asked)
    assert not bad, f"{len(bad)} of {count}:\n" + "\n".join(bad[:10])
    return count


WITNESS = pytest.mark.parametrize("witness", [False, True], ids=["alone", "beside a checkpoint"])


def cuts(raw):
    return ((f"{n} bytes", raw[:n]) for n in range(len(raw) + 1))


@pytest.mark.sweep(2)
@WITNESS
def test_d07_every_prefix_of_the_log_is_no_run_repaired_or_refused(long, witness):
    raw = long.raw()
    assert len(lines_of(raw)) >= 50
    assert judged(long, cuts(raw), witness, "lines") == len(raw) + 1


@pytest.mark.slow
def test_d07_every_prefix_of_the_log_folds_to_the_state_of_its_whole_lines(long):
    raw = long.raw()
    assert judged(long, cuts(raw), False, "fold") == len(raw) + 1


def flips(raw, bits):
    for at in range(len(raw)):
        for bit in bits(at):
            yield f"byte {at} bit {bit}", raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1:]


@pytest.mark.slow
def test_d10_every_bit_of_every_byte_that_flips_is_found_and_its_line_named(long):
    raw = long.raw()
    assert judged(long, flips(raw, lambda _at: range(8)), False, "lines") == 8 * len(raw)


@pytest.mark.slow
def test_d10_no_flipped_byte_reaches_the_state(long):
    raw = long.raw()
    assert judged(long, flips(raw, lambda at: [at % 8]), False, "fold") == len(raw)
