"""Tests of the installed library: what a program that embeds it gets.

$SLUICE_BUILD is the build folder; it is installed once into a folder of the tests' own. The programs of a build with
sanitizers are instrumented as it is."""
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")


class Prefix:
    """An installation under a folder that it was not configured for."""

    def __init__(self, build, root):
        subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet"], check=True,
                       capture_output=True, env={**os.environ, "DESTDIR": str(root)})
        options = json.loads(subprocess.run(["meson", "introspect", "--buildoptions", build], check=True,
                                            capture_output=True).stdout)
        option = {o["name"]: o["value"] for o in options}
        self.root = root
        self.path = root / option["prefix"].lstrip("/")
        self.libdir = self.path / option["libdir"]
        self.libexecdir = self.path / option["libexecdir"]
        self.bin = self.path / option["bindir"]
        given = option["b_sanitize"]
        self.sanitizers = [] if given in ("none", []) else given.split(",") if isinstance(given, str) else given

    def sanitizer_flags(self):
        """What a host is compiled with so that it has the runtime of the library, and so that a finding ends it."""
        if not self.sanitizers:
            return []
        return ["-g", "-fno-omit-frame-pointer", f"-fsanitize={','.join(self.sanitizers)}", "-fno-sanitize-recover=all"]

    def need(self, compiler):
        """Skip where there is no such compiler, or where its sanitizers are not those of the library."""
        found = shutil.which(compiler)
        if not found:
            pytest.skip(f"needs {compiler}")
        if self.sanitizers and "clang" in Path(found).resolve().name:
            pytest.skip(f"the library has the sanitizers of gcc, and {compiler} has others")

    def pkg_config(self, *args):
        done = subprocess.run(["pkg-config", f"--define-variable=prefix={self.path}", *args, "sluice"],
                              check=True, capture_output=True, text=True,
                              env={**os.environ, "PKG_CONFIG_PATH": str(self.libdir / "pkgconfig")})
        return done.stdout.split()

    def compile(self, source, program, *flags, compiler="cc", static=False):
        """Compile a program as its author would, with what pkg-config says."""
        if static:
            archives = program.parent / "static"  # the archive without the library beside it
            archives.mkdir(exist_ok=True)
            shutil.copy(self.libdir / "libsluice.a", archives)
            libs = [f"-L{archives}", *[f for f in self.pkg_config("--static", "--libs")
                                       if f != f"-L{self.libdir}"]]
        else:
            libs = self.pkg_config("--libs")
        self.need(compiler)
        done = subprocess.run([compiler, *flags, *self.sanitizer_flags(), *self.pkg_config("--cflags"), str(source),
                               "-o", str(program), *libs], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr == "", done.stderr
        assert (b"__asan_init" in program.read_bytes()) == ("address" in self.sanitizers)
        return program

    def env(self, home):
        return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8",
                "SLUICE_HOME": str(home / "state"), "XDG_RUNTIME_DIR": str(home),
                "LD_LIBRARY_PATH": str(self.libdir),
                **{name: os.environ[name] for name in SANITIZERS if name in os.environ}}


@pytest.fixture(scope="session")
def build():
    return Path(os.environ.get("SLUICE_BUILD", ROOT / "build")).absolute()


@pytest.fixture(scope="session")
def prefix(build, tmp_path_factory):
    made = Prefix(build, tmp_path_factory.mktemp("root"))
    if not (made.libdir / "libsluice.so").exists():
        pytest.skip("with the sanitizers of clang there is no libsluice")
    return made


@pytest.fixture
def run(prefix, tmp_path):
    """Run an installed or compiled program in a folder of the test's own."""

    def run_program(*command, check=0, timeout=60, **options):
        done = subprocess.run([str(word) for word in command], cwd=tmp_path, env=prefix.env(tmp_path),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                              **options)
        assert done.returncode == check, (command, done.returncode, done.stdout, done.stderr)
        return done.stdout

    return run_program
