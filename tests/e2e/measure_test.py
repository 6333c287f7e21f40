"""`mfutrace peaks --measure` on the simulated node: the rates that it finds against the simulator's log, and what
a report makes of them."""

import json
import os
import subprocess

import harness
import truth


class Measure(harness.JobTest):
    def setUp(self):
        super().setUp()
        harness.require(harness.TOOL, harness.BUILD / "cli/mfutrace-probe")

    def measure(self, *args, libraries=harness.SIMGPU):
        folder = self.bench.new_folder()
        peaks = folder / "config/peaks.toml"
        environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries), "SIMGPU_LOG": str(folder)}
        done = subprocess.run([harness.TOOL, "peaks", "--measure", "--peaks", peaks, *args],
                              env=environment, capture_output=True, check=False,
                              timeout=harness.TIMEOUT_S)
        return done, peaks, folder

    def test_rates_are_the_simulators(self):
        done, peaks, folder = self.measure("--rates", "bf16,f8,f64_tensor", "--seconds", "1")
        self.assertEqual(done.returncode, 0, done)
        text = peaks.read_text()
        self.assertIn('name = "SimGPU H100"', text)
        ops = harness.gemm_ops(truth.read(folder))
        for rate, math in (("bf16", "bf16"), ("f8", "f8"), ("f64_tensor", "f64")):
            with self.subTest(rate):
                ran = [op for op in ops if truth.numbers(op)["math"].startswith(math)]
                modelled = ran[-1].flop / (ran[-1].end_ns - ran[-1].start_ns) * 1e9
                found = float(text.split(f"{rate} = ")[1].split(",")[0].split("}")[0])
                self.assertAlmostEqual(found / modelled, 1, delta=0.01)
        # Nothing is told of clocks and power where there is no NVML.
        if not (harness.SIMGPU / "libnvidia-ml.so.1").exists():
            self.assertNotIn("clock_mhz", text)

    def test_a_report_names_both_peaks(self):
        done, peaks, _ = self.measure("--rates", "bf16", "--seconds", "1")
        self.assertEqual(done.returncode, 0, done)
        run = self.bench.good_job("gemm_loop", "--count", 200, "--m", 2048, "--n", 2048, "--k", 2048)
        with open(peaks, "a", encoding="utf-8") as file:
            file.write((run.log_folder / "peaks.toml").read_text())
        measured = float(peaks.read_text().split("bf16 = ")[1].split()[0])
        text = self.bench.tool("report", run.out, "--json", "-", "--peaks", peaks).stdout
        report = json.loads(text)["run"]
        expected = report["flop_model"] / report["window_ns"] * 1e9 / measured
        self.assertAlmostEqual(report["mfu_of_measured"], expected)
        self.assertEqual(report["measured_flop_per_s"], int(measured))
        self.assertLess(report["mfu"], report["mfu_of_measured"])
        page = self.bench.tool("report", run.out, "--peaks", peaks).stdout.decode()
        self.assertIn("of measured", page)

    def test_without_a_gpu_it_says_so(self):
        done, peaks, _ = self.measure(libraries="/nonexistent")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"no NVIDIA driver", done.stderr)
        self.assertFalse(peaks.exists())


if __name__ == "__main__":
    harness.main()
