"""examples/: ten pipelines of real use. Each does what its page shows; a broken input stops everything below;
a kill -9 in the middle and a resume come to the same end. Each test has a copy of the folder of its own."""
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from support import console
from support.sluice import ROOT, Sluice, until

EXAMPLES = ROOT / "examples"
TEN = ["backup", "certificate-renewal", "data-validation", "database-migration", "etl", "incident-runbook",
       "log-rotation", "ml-training", "release", "report"]
NEEDS = {"etl": ["sqlite3"], "report": ["sqlite3"], "database-migration": ["sqlite3"],
         "certificate-renewal": ["openssl"]}
KEY = "a-secret-of-sixteen-letters"


class Example(Sluice):
    """A copy of an example, and the program that runs it."""

    def __init__(self, name, root, program):
        for tool in NEEDS.get(name, []):
            if not shutil.which(tool):
                pytest.skip(f"needs {tool}")
        root.mkdir(exist_ok=True)
        self.folder = root / "example"
        shutil.copytree(EXAMPLES / name, self.folder, ignore=shutil.ignore_patterns("work"))
        super().__init__(root, program)
        self.work = self.folder / "work"
        self.file = self.folder / "pipeline.yaml"

    def run(self, *args, code=0, run_id=None, **kwargs):
        self("run", self.file, "--run-id", run_id or self.id, *args, code=code, **kwargs)
        return self.log(run_id)

    def tool(self, *args):
        """A script of the example, as its page calls it."""
        subprocess.run([str(arg) for arg in args], cwd=self.folder, check=True, timeout=60)

    def change(self, name, old, new):
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def steps(self, state, run_id=None):
        return sorted(name for name, step in self.log(run_id).steps.items() if step.state == state)

    def approve(self, step, *names, run_id=None):
        for name in names:
            self("approve", run_id or self.id, step, "--as", name, "--reason", "seen", code=0)

    def killed_in(self, step, *args, env=None):
        """A run whose engine was killed while the step ran."""
        engine = self.start("run", self.file, "--run-id", self.id, *args, env=env)
        self.wait_event("step.started", step)
        self.cut(engine)


@pytest.fixture
def example(tmp_path, sluice_program):
    made = []

    def make(name):
        made.append(Example(name, tmp_path / "x", sluice_program))
        return made[-1]

    yield make
    for one in made:
        one.close()


# ------------------------------------------------------------------------------------ all of them


def test_there_are_ten_and_the_page_names_each():
    assert sorted(path.parent.name for path in EXAMPLES.glob("*/README.md")) == TEN
    page = (EXAMPLES / "README.md").read_text()
    assert all(f"]({name}/README.md)" in page for name in TEN)


@pytest.mark.sweep(3)
@pytest.mark.parametrize("name", TEN)
def test_its_page_shows_what_happens(example, name):
    one = example(name)
    programs = one.root / "bin"
    programs.mkdir()
    (programs / "sluice").symlink_to(one.program)
    env = {**one.env, "PATH": f"{programs}:{os.environ['PATH']}", "TERM": "dumb", "USER": "anna", "LOGNAME": "anna"}
    assert console.run(one.folder / "README.md", one.folder, env) >= 3


REQUIRED = {"etl": "day=2026-01-31", "release": "version=1.4.0", "log-rotation": "day=2026-01-31",
            "database-migration": "expect=3", "incident-runbook": "incident=17"}


@pytest.mark.parametrize("name", TEN)
def test_it_is_valid_planned_and_drawn_without_writing_anything(example, name):
    one = example(name)
    given = ("-p", REQUIRED[name]) if name in REQUIRED else ()
    assert "valid" in one("lint", one.file, code=0).stderr
    assert one("plan", one.file, *given, code=0, env={"RELEASE_KEY": KEY}).stdout
    assert one("graph", one.file, code=0).stdout
    assert not one.work.exists() and not (one.home / "runs").exists()


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_what_it_has_to_be_told_is_asked_for(example, name):
    one = example(name)
    result = one("run", one.file, code=2, env={"RELEASE_KEY": KEY})
    assert REQUIRED[name].split("=")[0] in result.stderr
    assert not one.work.exists()


# ---------------------------------------------------------------------------------------- backup


def test_backup_a_damaged_archive_stops_before_anything_is_thrown_away(example):
    one = example("backup")
    for n in range(3):
        one.run("-p", "keep=3", run_id=f"good{n}")
    before = sorted(path.name for path in (one.work / "backups").glob("good*"))
    assert len(before) == 3
    bin_ = one.root / "bin"  # a tar that loses the end of what it packs
    bin_.mkdir()
    (bin_ / "tar").write_text(f'#!/bin/sh\n{shutil.which("tar")} "$@" || exit\n'
                              'for a; do case $a in --file=*.part) truncate -s 200 "${a#--file=}";; esac; done\n')
    (bin_ / "tar").chmod(0o755)
    log = one.run("-p", "keep=1", code=1, env={"PATH": f"{bin_}:{os.environ['PATH']}"})
    assert log.of("gate.failed")[0]["step_id"] == "verify"
    assert one.steps("skipped") == ["keep", "rotate"]
    assert sorted(path.name for path in (one.work / "backups").glob("good*")) == before


def test_backup_rotates_and_restores(example):
    one = example("backup")
    for n in range(3):
        one.run("-p", "keep=2", run_id=f"b{n}")
    assert sorted(path.name for path in (one.work / "backups").glob("*.tar.gz")) == ["b1.tar.gz", "b2.tar.gz"]
    to = one.root / "restored"
    to.mkdir()
    one.tool("tar", "-xzf", one.work / "backups/b2.tar.gz", "-C", to)
    one.tool("diff", "-r", one.folder / "data", to)


def test_backup_of_nothing_is_refused(example):
    one = example("backup")
    (one.folder / "empty").mkdir()
    one.run("-p", "source=empty", code=1)
    assert one.steps("failed") == ["preflight"] and not list((one.work / "backups").iterdir())


def test_s6_backup_tries_again_when_a_file_changed_under_it(example):
    one = example("backup")
    bin_ = one.root / "bin"  # the first time tar says: file changed as we read it
    bin_.mkdir()
    (bin_ / "tar").write_text(f'#!/bin/sh\n{shutil.which("tar")} "$@" || exit\n'
                              f'[ -e {bin_}/once ] || {{ touch {bin_}/once; exit 1; }}\n')
    (bin_ / "tar").chmod(0o755)
    one.change("pipeline.yaml", "initial: 2s", "initial: 20ms")
    log = one.run(env={"PATH": f"{bin_}:{os.environ['PATH']}"})
    assert [e["error_class"] for e in log.of("step.retried", "archive")] == ["transient_io"]


@pytest.mark.parametrize("step", ["archive", "verify", "rotate"])
def test_s9_backup_killed_goes_on(example, step):
    one = example("backup")
    one.killed_in(step)
    one.resume_to_end()
    assert len(one.steps("succeeded")) == 5
    assert [path.name for path in (one.work / "backups").glob("*.tar.gz")] == [f"{one.id}.tar.gz"]


# ------------------------------------------------------------------------------------------- etl


def rows(database, day):
    with sqlite3.connect(database) as db:
        return db.execute("SELECT COUNT(*), SUM(cents) FROM orders WHERE day = ?", (day,)).fetchone()


def test_etl_a_bad_day_does_not_touch_the_database(example):
    one = example("etl")
    one.run("-p", "day=2026-01-30", run_id="good")
    before = (one.work / "orders.db").read_bytes()
    log = one.run("-p", "day=2026-02-01", code=1)
    assert log.of("step.failed")[0]["error_class"] == "data_quality"
    assert one.steps("skipped") == ["load", "reconcile", "totals", "whole_day"]
    assert (one.work / "orders.db").read_bytes() == before


def test_etl_a_day_that_was_cut_off_stops_at_the_gate(example):
    one = example("etl")
    path = one.folder / "data/orders-2026-01-30.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:50]))
    log = one.run("-p", "day=2026-01-30", code=1)
    assert log.of("gate.failed")[0]["step_id"] == "whole_day" and not (one.work / "orders.db").exists()


def test_etl_a_database_that_loses_rows_is_seen(example):
    one = example("etl")
    one.change("pipeline.yaml", "quantity, cents FROM staged;", "quantity, cents FROM staged WHERE quantity < 9;")
    log = one.run("-p", "day=2026-01-30", code=1)
    assert log.of("gate.failed")[0]["step_id"] == "reconcile" and one.steps("skipped") == ["totals"]


def test_etl_loaded_again_is_loaded_once_and_read_from_the_cache(example):
    one = example("etl")
    one.run("-p", "day=2026-01-31", run_id="first")
    before = rows(one.work / "orders.db", "2026-01-31")
    one("run", one.file, "-p", "day=2026-01-31", code=3)
    log = one.run("-p", "day=2026-01-31", "--again")
    assert log.of("step.succeeded", "extract")[0]["cached_from"].startswith("first")
    assert rows(one.work / "orders.db", "2026-01-31") == before and before[0] > 190


@pytest.mark.parametrize("day", ["2026-1-31", "x'; DROP TABLE orders; --"])
def test_etl_a_day_that_is_none_is_refused(example, day):
    one = example("etl")
    one("run", one.file, "-p", f"day={day}", code=2)
    assert not one.work.exists()


def test_s9_etl_killed_in_the_load_has_each_row_once(example):
    one = example("etl")
    one.killed_in("load", "-p", "day=2026-01-31")
    one.resume_to_end()
    count, _ = rows(one.work / "orders.db", "2026-01-31")
    assert count == one.log().of("step.succeeded", "reconcile")[0]["outputs"]["rows"]


# --------------------------------------------------------------------------------------- release


def published(one):
    env = {"RELEASE_KEY": KEY}
    one.run("-p", "version=1.4.0", code=4, env=env)
    one.approve("publish", "anna", "chris")
    return env


def test_release_the_key_is_nowhere(example):
    one = example("release")
    one("resume", one.id, code=0, env=published(one))
    assert one.steps("succeeded") == sorted(one.log().steps)
    for path in [*one.home.rglob("*"), *one.work.rglob("*")]:
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_release_without_its_key_is_not_started(example):
    one = example("release")
    assert "RELEASE_KEY" in one("run", one.file, "-p", "version=1.4.0", code=3).stderr
    assert not one.work.exists()


@pytest.mark.parametrize("version", ["1.5.0", "1.3.0"])
def test_release_of_another_version_stops_at_the_first_gate(example, version):
    one = example("release")
    log = one.run("-p", f"version={version}", code=1, env={"RELEASE_KEY": KEY})
    assert log.of("gate.failed")[0]["step_id"] == "check_version" and len(one.steps("skipped")) == 6
    assert not one.work.exists()


def test_release_one_person_is_not_two(example):
    one = example("release")
    env = {"RELEASE_KEY": KEY}
    one.run("-p", "version=1.4.0", code=4, env=env)
    one("approve", one.id, "publish", "--as", "mallory", "--reason", "x", code=3)
    one.approve("publish", "anna")
    one("approve", one.id, "publish", "--as", "anna", "--reason", "x", code=(0, 3))
    one("resume", one.id, code=4, env=env)
    assert not (one.work / "shelf").exists()


def test_release_rejected_publishes_nothing(example):
    one = example("release")
    one.run("-p", "version=1.4.0", code=4, env={"RELEASE_KEY": KEY})
    one("reject", one.id, "publish", "--as", "boris", "--reason", "not today", code=0)
    one("resume", one.id, code=(1, 3), env={"RELEASE_KEY": KEY})
    assert one.log().state == "failed" and not (one.work / "shelf").exists()


def test_s10_release_that_nobody_can_use_goes_from_the_shelf_again(example):
    one = example("release")
    (one.work / "shelf/1.3.0").mkdir(parents=True)
    (one.work / "shelf/latest").symlink_to("1.3.0")
    # The shelf keeps less than it was given.
    one.change("bin/publish", 'chmod 755 "$new"', ': >"$new/slug.tar.gz"')
    one("resume", one.id, code=1, env=published(one))
    assert one.log().state == "rolled_back"
    assert one.steps("compensated") == ["publish"] and one.steps("failed") == ["smoke"]
    assert os.readlink(one.work / "shelf/latest") == "1.3.0"
    assert sorted(path.name for path in (one.work / "shelf").iterdir()) == ["1.3.0", "latest"]


def test_release_a_second_start_with_the_key_answers_the_first(example):
    one = example("release")
    env = {"RELEASE_KEY": KEY}
    for _ in range(2):
        one("run", one.file, "-p", "version=1.4.0", "--idempotency-key", "1.4.0", code=4, env=env)
    assert len(list((one.home / "runs").iterdir())) == 1


# ------------------------------------------------------------------------------- data-validation


@pytest.mark.parametrize("file, old, new, wrong", [
    ("customers.csv", "GB,2024-03-01", "gb,2024-03-01", "1 fields, 0 keys and 0"),
    ("customers.csv", "2,Grace", "1,Grace", "0 fields, 1 keys and 2"),
    ("invoices.csv", "105,6", "105,77", "0 fields, 0 keys and 1"),
    ("invoices.csv", "250.00", "2500000.00", "1 fields, 0 keys and 0")])
def test_data_validation_takes_over_nothing_that_is_wrong(example, file, old, new, wrong):
    one = example("data-validation")
    one.change(f"data/{file}", old, new)
    log = one.run(code=1)
    assert log.of("gate.failed")[0]["reason"].startswith(wrong)
    assert one.steps("skipped") == ["perfect", "take_over"] and not (one.work / "accepted").exists()
    assert (one.work / "checks/violations.txt").read_text()


def test_data_validation_tolerance_is_a_warning(example):
    one = example("data-validation")
    one.change("data/invoices.csv", "105,6", "105,77")
    log = one.run("-p", "tolerance=1")
    assert [e["step_id"] for e in log.of("gate.failed") if e.get("soft")] == ["perfect"]
    assert (one.work / "accepted" / one.id / "invoices.csv").exists()


def test_data_validation_other_columns_cannot_be_counted(example):
    one = example("data-validation")
    one.change("data/customers.csv", "country", "land")
    log = one.run(code=1)
    assert {e["error_class"] for e in log.of("step.failed")} == {"validation_failed"}


# ----------------------------------------------------------------------------------- ml-training


@pytest.mark.slow
def test_ml_training_a_bad_model_does_not_replace_a_good_one(example):
    one = example("ml-training")
    one.run("-p", "rows=120", run_id="good")
    before = (one.work / "production/model.json").read_bytes()
    log = one.run("-p", "rows=120", "-p", "noise=6", code=1)
    assert log.of("gate.failed")[0]["step_id"] == "measure" and one.steps("skipped") == ["promote"]
    assert (one.work / "production/model.json").read_bytes() == before


def test_s5_7_ml_training_one_that_fails_takes_nothing_with_it(example):
    one = example("ml-training")
    one.change("pipeline.yaml", 'usual, "0.2"', 'usual, "nan"')
    one.run("-p", "rows=120", code=5)
    assert one.steps("failed") == ["train_usual"] and (one.work / "production/model.json").exists()


@pytest.mark.slow
def test_ml_training_trains_nothing_twice(example):
    one = example("ml-training")
    one.run("-p", "rows=120", run_id="first")
    log = one.run("-p", "rows=120")
    cached = sorted(e["step_id"] for e in log.of("step.succeeded") if "cached_from" in e)
    assert cached == ["data", "train_bold", "train_careful", "train_usual"]


def test_ml_training_until_measure_promotes_nothing(example):
    one = example("ml-training")
    one.run("-p", "rows=120", "--until", "measure")
    assert not (one.work / "production").exists()


@pytest.mark.slow
def test_s8_ml_training_after_a_loss_of_power_comes_to_the_same_model(example):
    one = example("ml-training")
    one.run("-p", "rows=120", "--until", "choose", run_id="calm")
    calm = (one.work / "model/chosen.json").read_bytes()
    shutil.rmtree(one.work)
    engine = one.start("run", one.file, "--run-id", one.id, "-p", "rows=120")
    one.wait_event("step.started", "train_careful")
    one.kill_machine(engine)
    one.resume_to_end()
    assert (one.work / "model/chosen.json").read_bytes() == calm


# --------------------------------------------------------------------------- certificate-renewal


def test_certificate_is_renewed_only_when_it_ends_soon(example):
    one = example("certificate-renewal")
    one.run(run_id="first")
    first = os.readlink(one.work / "live/current")
    one.run(run_id="calm")
    assert os.readlink(one.work / "live/current") == first
    assert one.steps("skipped", "calm") == ["authority", "install", "probe", "prove", "renew"]
    one.run("-p", "renew_before=91", run_id="due")
    assert os.readlink(one.work / "live/current") != first and one.steps("skipped", "due") == ["authority"]
    for path in [*one.work.rglob("key.pem")]:
        assert path.stat().st_mode & 0o077 == 0


def test_certificate_of_another_host_is_not_installed(example):
    one = example("certificate-renewal")
    one.run(run_id="first")
    first = os.readlink(one.work / "live/current")
    one.change("bin/renew", "DNS:$name", "DNS:other.example.org")
    log = one.run("-p", "renew_before=91", code=1)
    assert log.of("gate.failed")[0]["step_id"] == "prove" and one.steps("skipped") == ["authority", "install", "probe"]
    assert os.readlink(one.work / "live/current") == first


def test_s10_certificate_goes_back_when_the_service_does_not_come_up(example):
    one = example("certificate-renewal")
    one.run(run_id="first")
    first = os.readlink(one.work / "live/current")
    one.change("pipeline.yaml", "initial: 500ms", "initial: 10ms")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        log = one.run("-p", "renew_before=91", "-p", f"port={port}", code=1)
    assert [e["error_class"] for e in log.of("step.failed", "probe")] == ["dependency"] * 3
    assert log.state == "rolled_back" and os.readlink(one.work / "live/current") == first


# ---------------------------------------------------------------------------------- log-rotation


def test_log_rotation_beside_a_program_loses_no_line(example):
    one = example("log-rotation")
    one.tool("bin/make-logs", "work/logs")
    logs = one.work / "logs"
    app = subprocess.Popen([one.folder / "bin/app", logs])
    try:
        until((logs / "app.pid").exists)
        one.run("-p", "day=2026-01-31")
    finally:
        app.kill()
        app.wait()
    old = subprocess.run(["gzip", "-dc", logs / "web.log-2026-01-31.gz"], capture_output=True, check=True).stdout
    assert old.count(b"web line") == 4000 and b"log opened anew" in (logs / "web.log").read_bytes()
    assert sorted(path.name for path in logs.glob("*.log-*")) == ["web.log-2026-01-31.gz", "worker.log-2026-01-31.gz"]


def test_log_rotation_a_program_that_does_not_listen_keeps_its_file(example):
    one = example("log-rotation")
    one.tool("bin/make-logs", "work/logs")
    one.change("pipeline.yaml", "max_attempts: 5", "max_attempts: 2")
    logs = one.work / "logs"
    deaf = subprocess.Popen(["bash", "-c", "trap '' HUP; exec 3>>web.log; echo $$ >app.pid; exec sleep 60"], cwd=logs)
    try:
        until(lambda: (logs / "app.pid").exists() and (logs / "app.pid").read_text())
        log = one.run("-p", "day=2026-01-31", code=1)
    finally:
        deaf.kill()
        deaf.wait()
    assert [e["error_class"] for e in log.of("step.failed", "reopen")] == ["transient_io"] * 2
    assert (logs / "web.log-2026-01-31").exists() and not list(logs.glob("*.gz"))


def test_log_rotation_a_damaged_copy_deletes_nothing(example):
    one = example("log-rotation")
    one.tool("bin/make-logs", "work/logs")
    bin_ = one.root / "bin"
    bin_.mkdir()
    (bin_ / "gzip").write_text(f'#!/bin/sh\n{shutil.which("gzip")} "$@" || exit\n'
                               'case $1 in --force) for a; do [ ! -e "$a.gz" ] || truncate -s -9 "$a.gz"; done;; esac\n')
    (bin_ / "gzip").chmod(0o755)
    one.run("-p", "day=2026-01-31", code=1, env={"PATH": f"{bin_}:{os.environ['PATH']}"})
    assert one.steps("failed") == ["complete"] and one.steps("skipped") == ["prune", "remove"]
    assert (one.work / "logs/web.log-2026-01-31").read_bytes().count(b"\n") == 4000


def test_s9_log_rotation_killed_goes_on(example):
    one = example("log-rotation")
    one.tool("bin/make-logs", "work/logs")
    one.killed_in("compress", "-p", "day=2026-01-31")
    one.resume_to_end()
    assert not (one.work / "logs/web.log-2026-01-31").exists()


# ---------------------------------------------------------------------------------------- report


def test_report_is_the_same_bytes_for_the_same_date_and_escapes_data(example):
    one = example("report")
    pages = []
    for run_id in ("a", "b"):
        one.run(run_id=run_id, env={"SOURCE_DATE_EPOCH": "86400"})
        pages.append((one.work / "report/report.html").read_text())
    assert pages[0] == pages[1] and "1970-01-02" in pages[0]
    assert "&lt;Ltd&gt;" in pages[0] and "<Ltd>" not in pages[0]


def test_report_sums_that_do_not_add_up_make_no_page(example):
    one = example("report")
    one.change("bin/query", "WHERE day LIKE '$year-%'", "WHERE day LIKE '$year-%' AND region <> 'west'")
    log = one.run(code=1)
    assert log.of("gate.failed")[0]["step_id"] == "adds_up" and not (one.work / "report/report.html").exists()


def test_s5_7_report_without_its_customers_is_partial(example):
    one = example("report")
    one.change("pipeline.yaml", "by_customer, customer,", "by_customer, no_such_column,")
    one.run(code=5)
    assert "could not be made" in (one.work / "report/report.html").read_text()


def test_s9_report_killed_goes_on(example):
    one = example("report")
    one.killed_in("page")
    one.resume_to_end()
    assert (one.work / "report/report.html").exists()


# ---------------------------------------------------------------------------- database-migration


def version(one):
    with sqlite3.connect(one.work / "app.db") as db:
        return db.execute("PRAGMA user_version").fetchone()[0]


def migration(example):
    one = example("database-migration")
    one.tool("bin/make-database", "work/app.db")
    return one


def test_database_migration_that_breaks_does_so_in_the_rehearsal(example):
    one = migration(example)
    one.change("migrations/003-split-names.sql", "UPDATE people", "UPDATE persons")
    before = (one.work / "app.db").read_bytes()
    one.run("-p", "expect=3", code=1)
    assert one.steps("failed") == ["rehearse"] and one.steps("skipped") == ["check", "migrate"]
    assert (one.work / "app.db").read_bytes() == before


@pytest.mark.parametrize("expect", ["1", "4"])
def test_database_migration_without_anything_to_do_or_a_file_to_do_it(example, expect):
    one = migration(example)
    log = one.run("-p", f"expect={expect}", code=1)
    assert log.of("gate.failed")[0]["step_id"] == "inspect" and version(one) == 1


def test_s8_4_database_migration_lost_in_the_middle_asks(example):
    one = migration(example)
    one.change("bin/migrate", 'case $how in', 'touch "$other.begun"; [ $how = copy ] || sleep 60\ncase $how in')
    one.run("-p", "expect=3", code=4)
    one.approve("migrate", "anna", "boris")
    engine = one.start("resume", one.id)
    until((one.work / "migration/before.db.begun").exists, of="the migration")
    one.kill_machine(engine)
    one("resume", one.id, code=4)
    log = one.log()
    assert log.of("step.lost", "migrate") and log.state == "blocked" and version(one) == 1


def test_s9_database_migration_killed_in_the_middle_is_found_again(example):
    one = migration(example)
    one.change("bin/migrate", 'case $how in', '[ $how = copy ] || sleep 1\ncase $how in')
    one.run("-p", "expect=3", code=4)
    one.approve("migrate", "anna", "boris")
    engine = one.start("resume", one.id)
    one.wait_event("step.started", "migrate")
    one.cut(engine)
    one.resume_to_end()
    assert version(one) == 3 and len(one.log().of("step.started", "migrate")) == 1


# ------------------------------------------------------------------------------ incident-runbook


def incident(example):
    one = example("incident-runbook")
    one.tool("bin/make-service", "work/service")
    return one


def active(one):
    return (one.work / "service/active").read_text().strip()


def test_incident_nobody_is_asked_when_the_replica_is_too_far_behind(example):
    one = incident(example)
    (one.work / "service/replica/journal").write_text("1\n")
    log = one.run("-p", "incident=17", code=1)
    assert log.of("gate.failed")[0]["step_id"] == "worth_it" and not log.of("step.waiting")
    assert active(one) == "primary"


def test_s5_7_incident_evidence_that_is_not_there_holds_nobody_up(example):
    one = incident(example)
    (one.work / "service/primary/log").unlink()
    one.run("-p", "incident=17", "-p", "public=false", code=4)
    assert one.steps("failed") == ["graphs", "logs"] and one.steps("skipped") == ["page", "tell_customers"]
    assert one.steps("waiting") == ["fail_over"]


def test_s10_incident_a_replica_that_is_ill_too_is_rolled_back_by_a_person(example):
    one = incident(example)
    one.change("pipeline.yaml", "initial: 200ms, max: 2s", "initial: 10ms, max: 20ms")
    (one.work / "service/replica/health").write_text("ill\n")
    one.run("-p", "incident=17", code=4)
    one.approve("fail_over", "deputy")
    one("resume", one.id, code=1)
    assert len(one.log().of("step.failed", "watch")) == 5 and active(one) == "replica"
    one("rollback", one.id, "--as", "lead", "--reason", "as bad as before", code=0)
    assert one.log().state == "rolled_back" and active(one) == "primary"


def test_s5_6_incident_no_answer_in_time_is_a_no(example):
    one = incident(example)
    one.change("pipeline.yaml", "timeout: 30m, on_timeout", "timeout: 100ms, on_timeout")
    one.run("-p", "incident=17", code=4)
    time.sleep(0.15)
    one("resume", one.id, code=1)
    assert one.log().state == "failed" and active(one) == "primary"


def test_s9_incident_killed_while_it_collects_goes_on(example):
    one = incident(example)
    one.killed_in("health", "-p", "incident=17")
    one("resume", one.id, code=4)
    one.approve("fail_over", "lead")
    one("resume", one.id, code=4)
    one.approve("all_clear", "support")
    one("resume", one.id, code=0)
    assert json.loads(one("status", one.id, "--json", code=0).stdout)["run_id"] == one.id and active(one) == "replica"


def test_unknown_words_are_refused_before_anything_is_done(example):
    one = incident(example)
    shutil.rmtree(one.work)
    one("run", one.file, "-p", "incident=../17", code=2)
    one("run", one.file, "-p", "incident=17", "-p", "severity=1", code=2)
    assert not one.work.exists()
