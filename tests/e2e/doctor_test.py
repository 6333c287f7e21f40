"""`mfutrace doctor`: what it says of jobs whose truth is known, on the simulated node."""

import os
import shutil
import subprocess

import harness

PROBE = harness.BUILD / "cli/mfutrace-probe"


class Doctor(harness.JobTest):
    def doctor(self, *command, env=None, options=()):
        harness.require(harness.TOOL, PROBE)
        run = self.bench.tool("doctor", *options, *(["--", *command] if command else []), env=env)
        self.assertEqual(run.status, 0, run)
        rows, subject = {}, None
        for line in run.stdout.decode().splitlines():
            if line.startswith(" "):
                rows[subject][2].append(line.strip())
                continue
            subject, verdict, text = line.split(None, 2)
            rows[subject] = (verdict, text, [])
        return run, rows

    def job(self, name):
        harness.require(harness.JOBS / f"job_{name}")
        return harness.JOBS / f"job_{name}"

    def test_the_machine_alone(self):
        _, rows = self.doctor(env={"SIMGPU_DEVICES": "3"})
        self.assertIn("3 × SimGPU H100", rows["device"][1])
        self.assertEqual(rows["preload"][0], "ok")
        self.assertEqual(rows["cupti"][0], "ok")
        self.assertIn("libcupti.so.13", rows["cupti"][1])
        self.assertNotIn("cublas", rows)

    def test_no_driver_no_cupti(self):
        _, rows = self.doctor(env={"LD_LIBRARY_PATH": "/nonexistent"})
        if rows["device"][0] == "ok":
            self.skipTest("a driver is installed here")
        self.assertEqual(rows["device"][0], "NO")
        self.assertIn("libcuda.so.1", rows["device"][1])

    def test_an_ordinary_program(self):
        run, rows = self.doctor(self.job("gemm_loop"), "--count", "40")
        self.assertEqual(rows["cublas"][:2], ("ok", "libcublas.so.13 (dynamic), 40 calls seen"))
        self.assertEqual(rows["nccl"][0], "--")
        self.assertEqual(run.trace_paths(), [])
        self.assertEqual(list(run.folder.glob("mfutrace-doctor-*")), [])  # nothing is left behind

    def test_calls_past_the_preload(self):
        _, rows = self.doctor(self.job("opened_plugin"), "deepbind",
                              harness.JOBS / "job_plugin_new.so", "300000")
        self.assertEqual(rows["cublas"][0], "NO")
        self.assertIn("job_plugin_new.so", rows["cublas"][2][0])
        self.assertIn("RTLD_DEEPBIND", rows["cublas"][2][0])
        _, rows = self.doctor(self.job("opened_plugin"), "local",
                              harness.JOBS / "job_plugin_new.so", "20000")
        self.assertEqual(rows["cublas"][:2], ("ok", "libcublas.so.13 (dynamic), 20000 calls seen"))

    def test_nccl_linked_statically(self):
        job = [harness.sys.executable, harness.LAUNCH, "2", "--", self.job("nccl_static")]
        slow = {"SIMGPU_TIME_SCALE": "0.002"}  # long enough to be looked at
        _, rows = self.doctor(*job, env=slow)
        self.assertEqual(rows["nccl"][0], "ok", rows)
        self.assertIn("linked into job_nccl_static", rows["nccl"][1])
        self.assertIn("through its profiler interface", rows["nccl"][1])
        _, rows = self.doctor(*job, env={"NCCL_PROFILER_PLUGIN": "none", **slow})
        self.assertEqual(rows["nccl"][0], "NO", rows)
        self.assertIn("NCCL_PROFILER_PLUGIN=none is set", rows["nccl"][2][0])

    def test_cublas_linked_statically(self):
        _, rows = self.doctor(self.job("static_cublas"))
        for name in ("cublas", "cublasLt"):
            self.assertEqual(rows[name][:2], ("NO", "linked into job_static_cublas; its calls cannot be "
                                                    "intercepted"))

    def test_a_stripped_copy_is_still_recognised(self):
        if shutil.which("strip") is None:
            self.skipTest("no strip here")
        job = self.bench.folder / "stripped"
        shutil.copy(self.job("nccl_static"), job)
        subprocess.run(["strip", job], check=True)
        _, rows = self.doctor(harness.sys.executable, harness.LAUNCH, "2", "--", job,
                              env={"SIMGPU_TIME_SCALE": "0.002"})
        self.assertIn("linked into stripped", rows["nccl"][1])

    def test_an_environment_that_is_stripped_on_the_way(self):
        job = f"env -i LD_LIBRARY_PATH={harness.SIMGPU} {self.job('gemm_loop')} --count 100000"
        _, rows = self.doctor("sh", "-c", job)
        self.assertEqual(rows["preload"][0], "part", rows)
        self.assertIn("job_gemm_loop", rows["preload"][1])

    def test_a_program_that_is_linked_statically(self):
        _, rows = self.doctor(harness.TOOL, "--version")
        if rows["preload"][0] == "ok":
            self.skipTest("the tools are not linked statically in this build")
        self.assertEqual(rows["preload"][0], "NO")
        self.assertIn("linked statically", rows["preload"][1])

    def test_other_profilers_are_named(self):
        _, rows = self.doctor(env={"CUDA_INJECTION64_PATH": "/opt/other/libinject.so"})
        self.assertEqual(rows["cupti"][0], "part")
        self.assertIn("CUDA_INJECTION64_PATH=/opt/other/libinject.so", rows["cupti"][2][0])

    def test_a_monitor_that_runs_is_named(self):
        monitor = self.bench.folder / "nv-hostengine"
        shutil.copy(shutil.which("sleep"), monitor)
        with subprocess.Popen([monitor, "60"]) as running:
            try:
                _, rows = self.doctor()
            finally:
                running.kill()
        self.assertIn("nv-hostengine runs", " ".join(rows["cupti"][2]))

    def test_a_program_that_does_not_end_is_stopped(self):
        run, rows = self.doctor("sh", "-c", "trap '' TERM; sleep 600 & wait; sleep 600",
                                options=["--for", "0.5"])
        self.assertIn(b"stopped after 0.5 s", run.stderr)
        self.assertEqual(rows["cublas"][0], "--")
        left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=False)
        self.assertNotIn("sleep 600", left.stdout.splitlines())

    def test_what_cannot_be_run(self):
        run = self.bench.tool("doctor", "--", "/no/such/program")
        self.assertEqual((run.status, run.stdout), (2, b""))
        self.assertIn(b"mfutrace: /no/such/program", run.stderr)


if __name__ == "__main__":
    os.umask(0o022)
    harness.main()
