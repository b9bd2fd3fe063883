"""Shared by all black-box tests: see support/."""
import signal
import sys

import pytest

from support.fixtures import *  # noqa: F401,F403

# Where there is a place for it, what is made of these files is kept; what they start keeps nothing.
if sys.pycache_prefix:
    sys.dont_write_bytecode = False


def pytest_configure():
    """Tests that are started in the background ignore some signals. What they start shall not: only a handler is not
    inherited."""
    for name in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(name) == signal.SIG_IGN:
            signal.signal(name, lambda *_: None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of a test marked `sweep(n)` each n-th case is for `script/test quick` too, the others are `whole`."""
    cases = {}
    for item in items:
        sweep = item.get_closest_marker("sweep")
        if sweep:
            name = item.nodeid.partition("[")[0]
            if cases.setdefault(name, 0) % sweep.args[0]:
                item.add_marker("whole")
            cases[name] += 1
