"""A torn tail is mentioned on stderr by readers whose answer has no place for it (S11.4)."""
import pytest

from pipelines import FAILING, GOOD


@pytest.fixture
def torn(sluice):
    sluice.run("run", "-q", sluice.write("p.yaml", FAILING), "--run-id", "r", check=1)
    sluice.run("run", "-q", sluice.write("g.yaml", GOOD), "--run-id", "s", check=0)
    with open(sluice.log("r"), "ab") as log:
        log.write(b'{"event_id":"evt_')
    return sluice


@pytest.mark.sweep(3)
@pytest.mark.parametrize("words", [
    ["events", "r", "--json"], ["events", "r", "--json", "-f"], ["events", "r", "-f"], ["graph", "r"],
    ["graph", "r", "--json"], ["compare", "r", "s"], ["compare", "s", "r", "--json"], ["resume", "r", "--check"]])
def test_a_torn_tail_is_mentioned_on_stderr_S11_4(torn, words):
    before = torn.log("r").read_bytes()
    done = torn.run(*words, check=0)
    assert "sluice: note: r: torn tail: 17 bytes after event " in done.stderr
    assert "torn tail" not in done.stdout and torn.log("r").read_bytes() == before
    other = ["s" if word == "r" else word for word in words]
    assert "torn tail" not in torn.run(*other, check=None if words[0] == "resume" else 0).stderr or words[0] == "compare"


def test_a_live_log_is_not_called_torn_S11_4(sluice):
    sluice.run("run", "--detach", sluice.write("p.yaml", "pipeline: p\nsteps: {a: {run: sleep 20}}\n"), "--run-id", "r",
               check=0)
    assert sluice.run("graph", "r", check=0).stderr == ""
    assert sluice.run("events", "r", "--json", check=0).stderr == ""
    sluice.run("stop", "r", "--now", check=0)
