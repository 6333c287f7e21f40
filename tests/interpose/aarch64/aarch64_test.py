#!/usr/bin/env python3
"""Cross-builds libmfutrace.so, the simulated node and the small jobs for aarch64 and runs them under
qemu-user: what is assembly there is tried as code, not read.

Exits with 77 (skipped) and the reason where the cross compiler or the emulator is missing.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SYSROOT = "/usr/aarch64-linux-gnu"
EMULATOR = ["qemu-aarch64", "-L", SYSROOT]
OPTIONS = None

TARGETS = ["mfutrace_preload", "hooks_under_test", "hooks_job", "linked_job", "nccl_job",
           "simgpu", "job_gpt_train"]


def missing():
    needed = {"aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu", "qemu-aarch64": "qemu-user"}
    return [f"{tool} (Debian package {package})" for tool, package in needed.items()
            if shutil.which(tool) is None]


def build():
    configure = ["cmake", "-S", OPTIONS.source, "-B", OPTIONS.build, "-G", "Ninja",
                 "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                 f"-DCMAKE_TOOLCHAIN_FILE={OPTIONS.source}/cmake/toolchain-aarch64.cmake",
                 f"-DMFU_CUDA_INCLUDE={OPTIONS.cuda_include}", f"-DMFU_NCCL_INCLUDE={OPTIONS.nccl_include}",
                 "-DMFUTRACE_BUILD_TOOLS=OFF", "-DMFUTRACE_BUILD_TESTS=OFF", "-DMFUTRACE_BUILD_SIMGPU=ON"]
    if shutil.which("ccache"):
        configure.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
    for command in (configure, ["cmake", "--build", OPTIONS.build, "--target", *TARGETS]):
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{done.stdout[-6000:]}")


def emulated(command, **env):
    settings = [word for key, value in env.items() for word in ("-E", f"{key}={value}")]
    clean = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    return subprocess.run([*EMULATOR, *settings, *map(str, command)], env=clean, text=True, timeout=300,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class Aarch64(unittest.TestCase):
    def test_diet(self):
        done = subprocess.run([f"{OPTIONS.source}/scripts/check_preload.sh",
                               f"{OPTIONS.build}/interpose/libmfutrace.so",
                               f"{OPTIONS.source}/interpose/entry_points.def"],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_hooks(self):
        hooks = Path(OPTIONS.build, "tests/interpose/hooks")
        env = dict(os.environ, HOOKS_LIBRARY=str(hooks / "libhooks_under_test.so"),
                   HOOKS_FAKES=str(hooks / "fakes"), HOOKS_JOBS=str(hooks),
                   HOOKS_EMULATOR=" ".join(EMULATOR))
        script = f"{OPTIONS.source}/tests/interpose/hooks/hooks_test.py"
        done = subprocess.run([sys.executable, "-B", script], env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_a_job_is_recorded_as_the_simulator_ran_it(self):
        sys.path.insert(0, f"{OPTIONS.source}/tests/e2e")
        import mfut
        import truth
        job = [f"{OPTIONS.build}/tests/jobs/job_gpt_train", "--layers", 2, "--hidden", 256, "--heads", 4,
               "--seq", 128, "--batch", 2, "--vocab", 1000, "--steps", 2]
        library = f"{OPTIONS.build}/interpose/libmfutrace.so"
        with tempfile.TemporaryDirectory(prefix="mfutrace-aarch64-") as name:
            folder = Path(name)
            common = {"LD_LIBRARY_PATH": f"{OPTIONS.build}/tests/simgpu/lib", "TMPDIR": name}
            bare = emulated(job, SIMGPU_LOG=folder / "bare", **common)
            self.assertEqual(bare.returncode, 0, bare.stderr)
            watched = emulated(job, SIMGPU_LOG=folder / "log", LD_PRELOAD=library,
                               MFUTRACE_OUT=folder / "out", MFUTRACE_TIMING="events", **common)
            # The job prints how long its steps took; all else is the same.
            words = [re.sub(r"[0-9.]+ ms", "T ms", run.stdout) for run in (bare, watched)]
            self.assertEqual((watched.returncode, words[1], watched.stderr),
                             (bare.returncode, words[0], bare.stderr))
            paths = list((folder / "out").glob("*.mfut"))
            self.assertEqual(len(paths), 1)
            trace = mfut.Trace(paths[0])
            self.assertEqual(trace.damage, "")
            logged = [op for op in truth.read(folder / "log") if op.kind == "gemm"]
            self.assertGreater(len(logged), 0)
            self.assertEqual(trace.gemm_flop(), sum(op.flop for op in logged))
            recorded = [call for call in trace.calls if not call.is_collective]
            self.assertEqual(len(recorded), len(logged))
            self.assertTrue(all(call.gpu_begin is not None for call in recorded))
            if OPTIONS.mfutrace and os.access(OPTIONS.mfutrace, os.X_OK):
                info = subprocess.run([OPTIONS.mfutrace, "info", str(paths[0])], text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                self.assertEqual(info.returncode, 0, info.stdout)


def main():
    global OPTIONS
    parser = argparse.ArgumentParser()
    for name in ("source", "build", "cuda-include", "nccl-include"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--mfutrace")
    OPTIONS, rest = parser.parse_known_args()
    if missing():
        print("skipped: no " + ", no ".join(missing()))
        return 77
    build()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
