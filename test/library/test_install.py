"""An installation is whole: programs compile against it by pkg-config, run, and find their keeper."""
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent

C99 = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
CXX17 = ["-std=c++17", "-pedantic", "-Wall", "-Wextra", "-Werror"]


def symbols(*args):
    return subprocess.run(["nm", *args], check=True, capture_output=True, text=True).stdout.splitlines()


def declared(prefix):
    """The public functions, by the installed headers."""
    text = "".join(p.read_text() for p in (prefix.path / "include/sluice").glob("*.h"))
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return set(re.findall(r"SLUICE_API\b[^;]*?\b(sluice_\w+)\s*\(", text))


def test_everything_is_there(prefix):
    for path in (prefix.bin / "sluice", prefix.bin / "runner", prefix.libexecdir / "sluice/sluice-keeper",
                 prefix.libdir / "libsluice.so", prefix.libdir / "libsluice.a",
                 prefix.libdir / "pkgconfig/sluice.pc", prefix.path / "include/sluice/sluice.h"):
        assert path.exists(), path
        if path.name in ("sluice", "sluice-keeper", "libsluice.so", "libsluice.a"):
            assert (b"__asan_init" in path.read_bytes()) == ("address" in prefix.sanitizers), path
    assert (prefix.bin / "runner").resolve() == (prefix.bin / "sluice").resolve()
    assert not any(path.name.startswith("libsluice-") for path in prefix.libdir.iterdir())


def test_the_shared_library_exports_its_headers_and_nothing_else(prefix):
    found = {line.split()[-1] for line in symbols("-D", "--defined-only", prefix.libdir / "libsluice.so")}
    versions = {name.split("@@")[1] for name in found if "@@" in name}
    names = {name.split("@@")[0] for name in found if "@@" in name}
    assert found - {name for name in found if "@@" in name} == versions  # the version nodes themselves
    assert versions == {"SLUICE_0.1"}
    assert names == declared(prefix)


def test_the_shared_library_has_a_soname(prefix):
    dynamic = subprocess.run(["readelf", "-d", prefix.libdir / "libsluice.so"], check=True,
                             capture_output=True, text=True).stdout
    assert "Library soname: [libsluice.so.0]" in dynamic
    assert "TEXTREL" not in dynamic
    assert (prefix.libdir / "libsluice.so.0").exists()


def test_the_static_library_has_no_other_global_symbol(prefix):
    lines = symbols("-g", "--defined-only", prefix.libdir / "libsluice.a")
    assert {line.split()[-1] for line in lines if len(line.split()) == 3} == declared(prefix)


def test_the_static_library_lacks_nothing_of_its_own(prefix):
    """What is not defined comes from libc and the libraries that pkg-config names."""
    known = set()
    runtimes = {"address": "libasan.so", "undefined": "libubsan.so", "thread": "libtsan.so"}
    for library in ("libyaml.so", "liblua5.4.so", "libuv.so", "libnettle.so", "libc.so.6", "libm.so.6",
                    "libgcc_s.so.1", *[runtimes[name] for name in prefix.sanitizers]):
        path = subprocess.run(["cc", f"-print-file-name={library}"], check=True, capture_output=True,
                              text=True).stdout.strip()
        known |= {line.split()[-1].split("@")[0] for line in symbols("-D", "--defined-only", path)}
    missing = {line.split()[-1] for line in symbols("-u", prefix.libdir / "libsluice.a")
               if line.strip().startswith("U ")}
    assert missing - known - {"_GLOBAL_OFFSET_TABLE_", "__tls_get_addr"} == set()


@pytest.mark.sweep(3)
@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
@pytest.mark.parametrize("source, compiler, flags", [("host.c", "cc", C99), ("host.c", "clang", C99),
                                                     ("host.cc", "c++", CXX17), ("host.cc", "clang++", CXX17)])
def test_a_program_compiles_by_pkg_config_and_runs(prefix, run, tmp_path, source, compiler, flags, static):
    prefix.need(compiler)
    # Where the keeper is found from the program: only the library knows where it lies otherwise.
    folder = tmp_path / "usr/bin" if static else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    if static:
        shutil.copytree(prefix.libexecdir, tmp_path / "usr/libexec")
    program = prefix.compile(HERE / source, folder / "host", *flags, compiler=compiler, static=static)
    needed = subprocess.run(["readelf", "-d", program], check=True, capture_output=True, text=True).stdout
    assert ("libsluice.so.0" in needed) != static
    assert run(program).startswith("hosted_1 success")
    assert "State: succeeded" in run(prefix.bin / "sluice", "status", "hosted_1")


def test_a_program_whose_keeper_is_not_there_is_told_so(prefix, tmp_path):
    if Path("/", prefix.libexecdir.relative_to(prefix.root), "sluice/sluice-keeper").exists():
        pytest.skip("a keeper is installed on this machine")
    program = prefix.compile(HERE / "host.c", tmp_path / "host", static=True)
    done = subprocess.run([program], cwd=tmp_path, env=prefix.env(tmp_path), capture_output=True, text=True)
    assert done.returncode == 9
    assert done.stderr == ("step 'work' is a command, and no sluice-keeper was found to run it\n"
                           "give `keeper_path` to sluice_open, or install sluice-keeper\n")
    assert not (tmp_path / "state/runs/hosted_1").exists()


def test_the_installed_command_line_runs_commands(prefix, run, tmp_path):
    (tmp_path / "p.yaml").write_text("pipeline: p\nsteps: {a: {run: echo from a step}}\n")
    run(prefix.bin / "sluice", "run", "p.yaml", "--run-id", "one")
    assert "from a step" in run(prefix.bin / "sluice", "logs", "one")
    assert "State: succeeded" in run(prefix.bin / "runner", "status", "state/runs/one")
    libraries = subprocess.run(["readelf", "-d", prefix.bin / "sluice"], check=True, capture_output=True,
                               text=True).stdout
    assert "libsluice" not in libraries


def test_pkg_config_says_version_and_requirements(prefix):
    assert prefix.pkg_config("--modversion") == [symbols_version(prefix)]
    assert "-luv" not in prefix.pkg_config("--libs")
    static = prefix.pkg_config("--static", "--libs")
    assert {"-lsluice", "-lyaml", "-llua5.4", "-luv", "-lnettle", "-lm"} <= set(static)


def symbols_version(prefix):
    done = subprocess.run([prefix.bin / "sluice", "--version"], check=True, capture_output=True, text=True)
    return done.stdout.split()[-1]
