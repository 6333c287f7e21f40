"""The packages that cpack makes: a tarball unpacked into a bare folder runs, and its demo too."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["MFU_BUILD_DIR"])
TIMEOUT_S = 240


class Tarball(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for part in ("interpose/libmfutrace.so", "tests/simgpu/lib", "tests/jobs/job_gpt_train"):
            if not (BUILD / part).exists():
                raise unittest.SkipTest(f"not built: {part}")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="package-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        done = subprocess.run(["cpack", "-G", "TGZ;DEB", "--config", BUILD / "CPackConfig.cmake", "-B",
                               cls.folder / "packages"], cwd=BUILD, capture_output=True, text=True,
                              timeout=TIMEOUT_S)
        assert done.returncode == 0, done.stdout + done.stderr
        tarball, = (cls.folder / "packages").glob("*.tar.gz")
        bare = cls.folder / "bare"
        bare.mkdir()
        subprocess.run(["tar", "xzf", tarball, "-C", bare], check=True)
        cls.root, = bare.iterdir()
        cls.tarball = tarball

    def command(self, *args, env=None):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **(env or {})}
        return subprocess.run([str(word) for word in args], capture_output=True, text=True,
                              cwd=self.folder, env=environment, timeout=TIMEOUT_S)

    def test_the_name_says_what_it_runs_on(self):
        self.assertRegex(self.tarball.name, r"^mfutrace-\d+\.\d+\.\d+-linux-(x86_64|aarch64)\.tar\.gz$")

    def test_the_program_and_its_pages_are_there(self):
        done = self.command(self.root / "bin/mfutrace", "--version")
        self.assertRegex(done.stdout, r"^mfutrace \d+\.\d+\.\d+")
        for path in ("share/man/man1/mfutrace.1", "share/man/man1/mfutrace-gate.1",
                     "share/bash-completion/completions/mfutrace", "share/zsh/site-functions/_mfutrace",
                     "lib/mfutrace/libmfutrace.so"):
            self.assertTrue((self.root / path).is_file(), path)

    def test_nothing_asks_for_a_newer_glibc_than_2_17(self):
        library = self.root / "lib/mfutrace/libmfutrace.so"
        symbols = self.command("objdump", "-T", library).stdout
        versions = {tuple(map(int, match.split(".")))
                    for match in re.findall(r"GLIBC_([0-9.]+)", symbols)}
        self.assertTrue(versions)
        self.assertLessEqual(max(versions), (2, 17))
        kind = self.command("file", "-L", self.root / "bin/mfutrace").stdout
        if os.environ.get("MFU_STATIC_TOOLS") == "1":
            self.assertIn("statically linked", kind)

    def test_the_demo_runs_from_it(self):
        done = self.command(self.root / "bin/mfutrace-demo", self.folder / "demo", 8)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^  MFU +\d+\.\d %")
        self.assertIn("world 4", done.stdout)
        self.assertEqual(len(list((self.folder / "demo/traces").glob("*.mfut"))), 4)

    def test_the_debian_package_holds_the_same(self):
        if shutil.which("dpkg-deb") is None:
            self.skipTest("no dpkg-deb here")
        package, = (self.folder / "packages").glob("*.deb")
        listed = self.command("dpkg-deb", "-c", package).stdout
        self.assertIn("/bin/mfutrace\n", listed)
        self.assertIn("/lib/mfutrace/libmfutrace.so\n", listed)
        self.assertIn("libc6 (>= 2.17)", self.command("dpkg-deb", "-f", package, "Depends").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
