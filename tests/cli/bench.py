"""Runs the program as a user's shell would, with an environment that holds no surprises."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
from collections import namedtuple

BUILD = pathlib.Path(os.environ["MFU_BUILD_DIR"])
TOOL = BUILD / "cli" / "mfutrace"
LIBRARY = BUILD / "interpose" / "libmfutrace.so"

Done = namedtuple("Done", "status out err")


def harmless_library():
    """Something that can be preloaded where libmfutrace.so is not built: these tests are about the
    launcher, and tests/e2e is about the library."""
    if LIBRARY.exists():
        return LIBRARY
    for folder in ("/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64"):
        if pathlib.Path(folder, "libm.so.6").exists():
            return pathlib.Path(folder, "libm.so.6").resolve()
    raise unittest.SkipTest("no libmfutrace.so and no libm.so.6 to preload")


class CliTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cli-")).resolve()
        self.addCleanup(shutil.rmtree, self.folder)

    def environment(self, env):
        kept = {name: value for name, value in os.environ.items()
                if name in ("PATH", "LANG", "TMPDIR", "ASAN_OPTIONS")}
        # A program built with AddressSanitizer minds the preloads that one test gives it.
        kept["ASAN_OPTIONS"] = kept.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        kept["HOME"] = str(self.folder / "home")
        kept["MFUTRACE_LIBRARY"] = str(harmless_library())
        kept.update(env or {})
        return {name: value for name, value in kept.items() if value is not None}

    def tool(self, *args, env=None, stdin=b"", cwd=None):
        done = subprocess.run([str(TOOL), *map(str, args)], input=stdin, capture_output=True,
                              cwd=cwd or self.folder, env=self.environment(env), timeout=60)
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def refused(self, done, status, *words):
        """One message, at most two lines of help, nothing on stdout."""
        self.assertEqual(done.status, status, done)
        self.assertEqual(done.out, "")
        lines = done.err.splitlines()
        self.assertTrue(lines[0].startswith("mfutrace: "), done.err)
        self.assertLessEqual(len(lines), 3, done.err)
        for line in lines[1:]:
            self.assertTrue(line.startswith("  "), done.err)
        for word in words:
            self.assertIn(str(word), done.err)
