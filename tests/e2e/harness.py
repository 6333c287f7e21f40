"""Runs a job on the simulated node with and without libmfutrace.so, and collects what it left.

Every run has a fresh folder for traces, for the simulator's log and to work in. Paths come from the
environment that ctest sets: MFU_BUILD_DIR, MFU_SOURCE_DIR, MFU_SHARED_DIR. Nothing here asserts how
long something takes; timeouts only end what hangs.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import mfut
import truth

BUILD = Path(os.environ.get("MFU_BUILD_DIR", "build/release")).resolve()
SOURCE = Path(os.environ.get("MFU_SOURCE_DIR", Path(__file__).parents[2])).resolve()
SHARED = Path(os.environ.get("MFU_SHARED_DIR", SOURCE.parent / "shared"))
SIMGPU = BUILD / "tests/simgpu/lib"
PRELOAD = BUILD / "interpose/libmfutrace.so"
JOBS = BUILD / "tests/jobs"
TOOL = BUILD / "cli/mfutrace"
LAUNCH = SOURCE / "tests/jobs/launch.py"
TIMEOUT_S = 120


class Outcome:
    """What a run left behind."""

    def __init__(self, status, stdout, stderr, folder):
        self.status, self.stdout, self.stderr = status, stdout, stderr
        self.out = folder / "out"
        self.log_folder = folder / "log"
        self.folder = folder
        self._traces = None

    def trace_paths(self):
        return sorted(self.out.glob("*.mfut")) if self.out.is_dir() else []

    @property
    def traces(self):
        if self._traces is None:
            self._traces = [mfut.Trace(path, check_crc=path.stat().st_size < 2 << 20)
                            for path in self.trace_paths()]
        return self._traces

    @property
    def trace(self):
        assert len(self.traces) == 1, f"expected one trace, found {self.trace_paths()}"
        return self.traces[0]

    @property
    def log(self):
        return truth.read(self.log_folder)

    def describe(self):
        return (f"status {self.status}\nstdout: {self.stdout[-2000:]!r}\n"
                f"stderr: {self.stderr[-2000:]!r}")


class JobTest(unittest.TestCase):
    """Base of all end-to-end tests."""

    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        for path in (SIMGPU, PRELOAD, JOBS):
            if not path.exists():
                raise unittest.SkipTest(f"not built: {path}")

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="mfutrace-e2e-"))
        self._runs = 0

    def tearDown(self):
        failed = any(error for _, error in self._outcome.errors) if hasattr(
            self._outcome, "errors") else False
        if failed and os.environ.get("MFU_KEEP"):
            sys.stderr.write(f"kept {self.folder}\n")
            return
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self, folder, preload, extra):
        env = {key: value for key, value in os.environ.items()
               if not key.startswith(("MFUTRACE_", "SIMGPU_", "LD_PRELOAD", "RANK", "WORLD_SIZE"))}
        env["LD_LIBRARY_PATH"] = str(SIMGPU)
        env["SIMGPU_LOG"] = str(folder / "log")
        env["SIMGPU_DEVICES"] = "8"
        env["TMPDIR"] = str(folder)
        env["MFUTRACE_OUT"] = str(folder / "out")
        if preload:
            env["LD_PRELOAD"] = str(PRELOAD)
        env.update({key: str(value) for key, value in extra.items()})
        return env

    def run_command(self, command, preload=True, env=None, cwd=None, timeout=TIMEOUT_S, **options):
        self._runs += 1
        folder = self.folder / f"run{self._runs}"
        folder.mkdir()
        with subprocess.Popen([str(word) for word in command],
                              env=self.environment(folder, preload, env or {}),
                              cwd=cwd or folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, start_new_session=True, **options) as job:
            try:
                stdout, stderr = job.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                os.killpg(job.pid, signal.SIGKILL)
                stdout, stderr = job.communicate()
                self.fail(f"{command}: still running after {timeout} s\n{stderr[-2000:]!r}")
        return Outcome(job.returncode, stdout, stderr, folder)

    def run_job(self, name, *args, ranks=1, **options):
        command = [JOBS / f"job_{name}", *args]
        if ranks > 1:
            command = [sys.executable, LAUNCH, ranks, "--timeout", TIMEOUT_S - 10, "--", *command]
        return self.run_command(command, **options)

    def run_good_job(self, name, *args, **options):
        outcome = self.run_job(name, *args, **options)
        self.assertEqual(outcome.status, 0, outcome.describe())
        return outcome

    def run_tool(self, *args, env=None, cwd=None, timeout=TIMEOUT_S):
        if not TOOL.exists():
            self.skipTest(f"not built: {TOOL}")
        self._runs += 1
        folder = self.folder / f"run{self._runs}"
        folder.mkdir()
        done = subprocess.run([str(TOOL), *(str(arg) for arg in args)], check=False,
                              env=self.environment(folder, False, env or {}), cwd=cwd or folder,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
        return Outcome(done.returncode, done.stdout, done.stderr, folder)

    def report(self, outcome, *args):
        """The JSON report of a run's traces, with the simulated device's peaks."""
        peaks = outcome.log_folder / "peaks.toml"
        options = ["--peaks", peaks] if peaks.exists() else []
        done = self.run_tool("report", outcome.out, "--json", "-", *options, *args)
        self.assertEqual(done.status, 0, done.describe())
        return json.loads(done.stdout)


def compute_ops(log):
    return [op for op in log if op.kind in ("gemm", "collective")]


def union(intervals):
    """Sorted disjoint intervals that cover the same points."""
    merged = []
    for begin, end in sorted(i for i in intervals if i[0] < i[1]):
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    return merged


def length(intervals):
    return sum(end - begin for begin, end in union(intervals))


def overlap(first, second):
    """Length of the intersection of two unions."""
    return length(first) + length(second) - length(list(first) + list(second))


def main():
    unittest.main(verbosity=2)
