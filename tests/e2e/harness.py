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

SOURCE = Path(os.environ.get("MFU_SOURCE_DIR", Path(__file__).parents[2])).resolve()
BUILD = Path(os.environ.get("MFU_BUILD_DIR", SOURCE / "build/release")).resolve()
SHARED = Path(os.environ.get("MFU_SHARED_DIR", SOURCE.parent / "shared"))
SIMGPU = BUILD / "tests/simgpu/lib"
PRELOAD = BUILD / "interpose/libmfutrace.so"
JOBS = BUILD / "tests/jobs"
TOOL = BUILD / "cli/mfutrace"
LAUNCH = SOURCE / "tests/jobs/launch.py"
TIMEOUT_S = 120
SKIPPED = 77
CRC_LIMIT_BYTES = 2 << 20  # checksums in Python take their time


class Outcome:
    """What a run left behind."""

    def __init__(self, status, stdout, stderr, folder, out):
        self.status, self.stdout, self.stderr = status, stdout, stderr
        self.folder, self.out, self.log_folder = folder, out, folder / "log"
        self._traces = None

    def trace_paths(self):
        return sorted(self.out.glob("*.mfut")) if self.out.is_dir() else []

    @property
    def traces(self):
        if self._traces is None:
            self._traces = [mfut.Trace(path, path.stat().st_size < CRC_LIMIT_BYTES)
                            for path in self.trace_paths()]
        return self._traces

    @property
    def trace(self):
        assert len(self.traces) == 1, f"expected one trace, found {self.trace_paths()}"
        return self.traces[0]

    @property
    def log(self):
        return truth.read(self.log_folder)

    def report(self, *args):
        """The JSON report of the traces, with the simulated device's peaks."""
        peaks = self.log_folder / "peaks.toml"
        options = ["--peaks", str(peaks)] if peaks.exists() else []
        done = subprocess.run([str(TOOL), "report", str(self.out), "--json", "-", *options, *args],
                              check=False, capture_output=True, timeout=TIMEOUT_S)
        assert done.returncode == 0, f"report: status {done.returncode}, {done.stderr!r}"
        return json.loads(done.stdout)

    def __str__(self):
        return (f"status {self.status}\nstdout: {self.stdout[-2000:]!r}\n"
                f"stderr: {self.stderr[-2000:]!r}")


class Bench:
    """A folder in which jobs are run; `close` removes it unless MFU_KEEP is set."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="mfutrace-e2e-"))
        self._runs = 0

    def close(self):
        if os.environ.get("MFU_KEEP"):
            sys.stderr.write(f"kept {self.folder}\n")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def new_folder(self):
        self._runs += 1
        folder = self.folder / f"run{self._runs}"
        folder.mkdir()
        return folder

    def run(self, command, preload=True, env=None, cwd=None, timeout=TIMEOUT_S, **options):
        folder = self.new_folder()
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith(("MFUTRACE_", "SIMGPU_", "LD_PRELOAD", "RANK",
                                              "WORLD_SIZE", "LOCAL_RANK", "CUDA_"))}
        environment.update(LD_LIBRARY_PATH=str(SIMGPU), SIMGPU_LOG=str(folder / "log"),
                           SIMGPU_DEVICES="8", TMPDIR=str(folder),
                           MFUTRACE_OUT=str(folder / "out"))
        if preload:
            environment["LD_PRELOAD"] = str(PRELOAD)
        environment.update({key: str(value) for key, value in (env or {}).items()})
        words = [str(word) for word in command]
        with subprocess.Popen(words, env=environment, cwd=cwd or folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              start_new_session=True, **options) as job:
            try:
                stdout, stderr = job.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                os.killpg(job.pid, signal.SIGKILL)
                stdout, stderr = job.communicate()
                raise AssertionError(
                    f"{words}: still running after {timeout} s\n{stderr[-2000:]!r}") from None
        return Outcome(job.returncode, stdout, stderr, folder, Path(environment["MFUTRACE_OUT"]))

    def job(self, name, *args, ranks=1, **options):
        require(JOBS / f"job_{name}")
        command = [JOBS / f"job_{name}", *args]
        if ranks > 1:
            command = [sys.executable, LAUNCH, ranks, "--timeout", TIMEOUT_S - 10, "--", *command]
        return self.run(command, **options)

    def good_job(self, name, *args, **options):
        outcome = self.job(name, *args, **options)
        assert outcome.status == 0, outcome
        return outcome

    def tool(self, *args, **options):
        return self.run([TOOL, *args], preload=False, **options)


def require(*paths):
    for path in paths:
        if not path.exists():
            raise unittest.SkipTest(f"not built: {path}")


class JobTest(unittest.TestCase):
    """Base of tests that start their own jobs, on a bench of their own."""

    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        require(SIMGPU, PRELOAD, JOBS)

    def setUp(self):
        self.bench = Bench()
        self.addCleanup(self.bench.close)

    def assert_same_as_without(self, name, *args, same_stderr=True, env=None, **options):
        """Runs a job with and without the library; returns the run with it."""
        bare = self.bench.job(name, *args, preload=False, env=env, **options)
        watched = self.bench.job(name, *args, env=env, **options)
        self.assertEqual(watched.status, bare.status, watched)
        self.assertEqual(watched.stdout, bare.stdout)
        if same_stderr:
            self.assertEqual(watched.stderr, bare.stderr)
        self.assertEqual(bare.trace_paths(), [])
        return watched


def gemm_ops(log, pid=None):
    return [op for op in log if op.kind == "gemm" and pid in (None, op.pid)]


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
    """Runs the tests of the calling file; exit status 77 (ctest: skipped) if none of them could run."""
    result = unittest.main(verbosity=2, exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    if len(result.skipped) >= result.testsRun:
        for _, reason in result.skipped:
            print(f"skipped: {reason}")
        sys.exit(SKIPPED)
