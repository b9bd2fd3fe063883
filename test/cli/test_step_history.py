"""sluice_step_history: medians of earlier runs, from the database if there is one, else from logs."""
import ctypes
import os
import pathlib

import pytest

from pipelines import FAILING, GOOD
from test_history import DATABASE, go, rows

from support.sluice import has_sanitizers

BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
LIBRARY = BUILD / "src" / "api" / "libsluice.so.0"

pytestmark = pytest.mark.skipif(not LIBRARY.exists() or has_sanitizers(LIBRARY),
                                reason="an interpreter cannot load a library with sanitizers")


class Time(ctypes.Structure):
    _fields_ = [("step", ctypes.c_char_p), ("median_ms", ctypes.c_int64), ("samples", ctypes.c_uint32)]


class Times(ctypes.Structure):
    _fields_ = [("items", ctypes.POINTER(Time)), ("count", ctypes.c_size_t)]


def times(sluice, pipeline):
    library = ctypes.CDLL(str(LIBRARY))
    options = (ctypes.c_char_p * 32)(os.fsencode(sluice.home))
    handle = ctypes.c_void_p()
    error = ctypes.create_string_buffer(4096)
    found = Times()
    assert library.sluice_open(options, ctypes.byref(handle), error) == 0, error.raw[8:200]
    assert library.sluice_step_history(handle, pipeline.encode(), ctypes.byref(found), error) == 0
    answer = [(found.items[n].step and found.items[n].step.decode(), found.items[n].samples)
              for n in range(found.count)]
    assert all(found.items[n].median_ms >= 0 for n in range(found.count))
    library.sluice_step_history_free(ctypes.byref(found))
    library.sluice_close(handle)
    return answer[:1] + sorted(answer[1:])


@pytest.mark.parametrize("is_indexed", [False, True])
def test_successful_runs_tell_how_long_steps_take(sluice, is_indexed):
    for n in range(12):
        go(sluice, GOOD, f"r{n}", 0)
    go(sluice, FAILING, "bad", 1)
    if is_indexed:
        rows(sluice)
    assert times(sluice, "demo") == [(None, 10), ("hello", 10), ("world", 10)]
    assert times(sluice, "failing") == [] == times(sluice, "nobody")
    assert (sluice.home / DATABASE).exists() == is_indexed


def test_a_database_that_knows_nothing_or_is_damaged_does_not_hide_the_logs(sluice):
    go(sluice, FAILING, "bad", 1)
    rows(sluice)
    go(sluice, GOOD, "good", 0)
    assert times(sluice, "demo") == [(None, 1), ("hello", 1), ("world", 1)]
    (sluice.home / DATABASE).write_bytes(b"no database" * 1000)
    assert times(sluice, "demo") == [(None, 1), ("hello", 1), ("world", 1)]


def test_nothing_is_known_where_nothing_ran(sluice):
    assert times(sluice, "demo") == [] and not sluice.home.exists()
