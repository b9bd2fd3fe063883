"""X02: a target that compares fences lets nothing old in, however late it comes."""
import sqlite3

import pytest

from support.sluice import until

# The target: one row, taken only by a fence at least as high as the highest that it has seen.
TARGET = "CREATE TABLE target (fence INTEGER NOT NULL, value TEXT NOT NULL)"
WRITE = ('put() { sqlite3 -cmd ".timeout 20000" target.db "UPDATE target SET fence = $SLUICE_FENCE, value = \'$1\' '
         'WHERE fence <= $SLUICE_FENCE; SELECT changes();"; }\n')
# The first attempt leaves a process that goes on after the second has written, and then writes too.
OLD = WRITE + ('if [ "$SLUICE_ATTEMPT" = 0 ]; then\n'
               '    (setsid sh -c "$LATE" >/dev/null 2>&1 </dev/null &)\n'
               '    until [ -e waiting ]; do sleep 0.01; done\n'
               '    put first >first; exit 75\n'
               'fi\n'
               'put second >second')
LATE = WRITE + "echo $$ >waiting; until [ -e go ]; do sleep 0.01; done; put late >late"


@pytest.fixture
def target(sluice):
    with sqlite3.connect(sluice.root / "target.db") as db:
        db.execute(TARGET)
        db.execute("INSERT INTO target VALUES (0, 'nothing')")
    db.close()

    def value():
        db = sqlite3.connect(sluice.root / "target.db")
        try:
            return db.execute("SELECT fence, value FROM target").fetchone()
        finally:
            db.close()
    return value


def read(sluice, name):
    path = sluice.root / name
    return path.read_text() if path.exists() else ""


def test_x02_an_attempt_that_goes_on_behind_the_next_one_is_refused_by_its_fence(sluice, target):
    sluice.go({"a": {"run": OLD, "orphans": "allow", "retry": {"max_attempts": 2, "initial": "10ms", "on": ["transient_io"]}, "env": {"LATE": LATE}}})
    assert [read(sluice, name).strip() for name in ("first", "second")] == ["1", "1"]
    fence, value = target()
    assert value == "second"
    (sluice.root / "go").touch()
    until(lambda: read(sluice, "late").strip(), of="the first attempt")
    assert read(sluice, "late").strip() == "0" and target() == (fence, value)
