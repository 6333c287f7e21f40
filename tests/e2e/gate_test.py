"""`mfutrace gate` and `mfutrace diff` on runs of the simulated node: a gate that holds, one that fails on
a change made on purpose, and one without a verdict. Counts are compared with the simulator's log."""

import json
import subprocess
import unittest
import xml.etree.ElementTree

import harness

STEPS = 24
CONFIG = ["--hidden", 256, "--heads", 4, "--seq", 256, "--batch", 2, "--vocab", 1024, "--tp", 2,
          "--steps", STEPS]
# Products large enough that the time of a step is theirs, on a device five times slower.
LARGE = ["--layers", 2, "--hidden", 2048, "--heads", 16, "--seq", 1024, "--batch", 1, "--vocab", 4096,
         "--tp", 2, "--steps", STEPS]
COUNT = {"MFUTRACE_TIMING": "count"}
EVENTS = {"MFUTRACE_TIMING": "events", "SIMGPU_TIME_SCALE": "0.2"}
PASS, FAIL, BAD_USE, NO_VERDICT = 0, 1, 2, 3

EXACT = """version = 1
[baseline]
file = "baseline.toml"
[[gate]]
name = "work"
metric = "flop_per_step"
equals = "baseline"
[[gate]]
name = "no fp32"
metric = "flop_share"
where = { dtype = "fp32" }
max = 0
[[gate]]
name = "allreduces"
metric = "comm_calls_per_step"
where = { op = "allreduce" }
equals = "baseline"
[[gate]]
name = "bytes"
metric = "comm_bytes_per_step"
max_rise = "0%"
[[gate]]
name = "calls"
metric = "calls_per_step"
equals = "baseline"
"""
TIMING = """version = 1
[run]
min_steps = 12
[baseline]
file = "timing.toml"
[[gate]]
name = "mfu"
metric = "mfu_ratio"
max_drop = "20%"
"""


class Gate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.require(harness.SIMGPU, harness.PRELOAD, harness.JOBS, harness.TOOL)
        cls.bench = harness.Bench()
        cls.addClassCleanup(cls.bench.close)
        train = lambda *args, **env: cls.bench.good_job("gpt_train", *args, *CONFIG, ranks=2, env=env)
        cls.first = train("--layers", 2, **COUNT)
        cls.again = train("--layers", 2, **COUNT)
        cls.deeper = train("--layers", 3, **COUNT)
        cls.floats = train("--layers", 2, "--dtype", "fp32", **COUNT)
        cls.fast = cls.bench.good_job("gpt_train", *LARGE, ranks=2, env=EVENTS)
        cls.slow = cls.bench.good_job("gpt_train", *LARGE, ranks=2,
                                      env={"SIMGPU_GEMM_EFFICIENCY": "0.3", **EVENTS})

    def setUp(self):
        self.folder = self.bench.new_folder()
        self.exact = self.folder / "exact.toml"
        self.exact.write_text(EXACT)
        self.timing = self.folder / "timing-gates.toml"
        self.timing.write_text(TIMING)

    def tool(self, *args, env=None):
        return subprocess.run([str(harness.TOOL), *map(str, args)], capture_output=True, text=True,
                              timeout=harness.TIMEOUT_S, cwd=self.folder,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), **(env or {})})

    def gate(self, run, *args, file=None, env=None):
        return self.tool("gate", run.out, "--file", file or self.exact, *args, env=env)

    def verdicts(self, run, *args, **options):
        done = self.gate(run, "--json", "-", *args, **options)
        result = json.loads(done.stdout)
        self.assertEqual(result["exit_code"], done.returncode)
        return done.returncode, {gate["name"]: gate for gate in result["gates"]}

    def peaks(self, run):
        return ["--peaks", run.log_folder / "peaks.toml"]

    def test_the_same_work_passes_and_is_the_simulators(self):
        self.assertEqual(self.gate(self.first, "--update").returncode, PASS)
        status, gates = self.verdicts(self.again)
        self.assertEqual(status, PASS, gates)
        self.assertEqual({gate["outcome"] for gate in gates.values()}, {"pass"})
        logged = sum(op.flop for op in harness.gemm_ops(self.again.log))
        self.assertEqual(gates["work"]["exact"]["median"] * STEPS, logged)
        self.assertEqual(gates["work"]["exact"]["least"], gates["work"]["exact"]["most"])

    def test_one_layer_more_fails_and_names_what_grew(self):
        self.gate(self.first, "--update")
        status, gates = self.verdicts(self.deeper)
        self.assertEqual(status, FAIL)
        self.assertEqual({name for name, gate in gates.items() if gate["outcome"] == "fail"},
                         {"work", "allreduces", "bytes", "calls"})
        self.assertIn("gemm", gates["work"]["cause"])

    def test_silent_fp32_fails(self):
        self.gate(self.first, "--update")
        _, gates = self.verdicts(self.floats)
        self.assertEqual(gates["no fp32"]["outcome"], "fail")

    def test_without_a_baseline_there_is_no_verdict(self):
        status, gates = self.verdicts(self.first)
        self.assertEqual(status, NO_VERDICT)
        self.assertIn("mfutrace gate --update", gates["work"]["reason"])

    def test_nothing_to_read_is_no_verdict(self):
        self.assertEqual(self.tool("gate", "no-such-run", "--file", self.exact).returncode, NO_VERDICT)
        empty = self.folder / "empty"
        empty.mkdir()
        self.assertEqual(self.tool("gate", empty, "--file", self.exact).returncode, NO_VERDICT)

    def test_an_unknown_gpu_is_no_verdict(self):
        status, gates = self.verdicts(self.fast, file=self.timing)
        self.assertEqual(status, NO_VERDICT)
        self.assertIn("no peak is known", gates["mfu"]["reason"])

    def test_slower_kernels_fail_the_timing_gate(self):
        self.gate(self.fast, "--update", *self.peaks(self.fast), file=self.timing)
        status, gates = self.verdicts(self.slow, *self.peaks(self.slow), file=self.timing)
        self.assertEqual(status, FAIL, gates)
        self.assertIn("kernels below peak +", gates["mfu"]["cause"])

    def test_count_mode_against_times_is_no_verdict(self):
        self.gate(self.fast, "--update", *self.peaks(self.fast), file=self.timing)
        status, gates = self.verdicts(self.first, *self.peaks(self.first), file=self.timing)
        self.assertEqual(status, NO_VERDICT)
        self.assertIn("timing is count", gates["mfu"]["reason"])

    def test_a_typo_is_wrong_use(self):
        self.exact.write_text(EXACT.replace("max_rise", "max_rsie"))
        done = self.gate(self.first)
        self.assertEqual((done.returncode, done.stdout), (BAD_USE, ""))
        self.assertRegex(done.stderr, r"exact\.toml:\d+:1: unknown key \"max_rsie\".*max_rise")

    def test_published_forms(self):
        self.gate(self.first, "--update")
        done = self.gate(self.deeper, "--markdown", "summary.md", "--junit", "gate.xml",
                         env={"GITHUB_ACTIONS": "true"})
        self.assertEqual(done.returncode, FAIL)
        self.assertEqual(done.stdout.count("::error file="), 4)
        self.assertIn("line=4,title=work::", done.stdout)
        suite = xml.etree.ElementTree.parse(self.folder / "gate.xml").getroot().find("testsuite")
        self.assertEqual((suite.get("tests"), suite.get("failures"), suite.get("errors")),
                         ("5", "4", "0"))
        self.assertEqual(len(suite.findall("testcase/failure")), 4)
        self.assertIn("| FAIL | work |", (self.folder / "summary.md").read_text())
        bmf = json.loads(self.gate(self.deeper, "--format", "bmf").stdout)
        self.assertGreater(bmf["work"]["flop_per_step"]["value"], 0)
        smaller = json.loads(self.gate(self.deeper, "--format", "gha-benchmark-smaller").stdout)
        self.assertEqual({entry["unit"] for entry in smaller}, {"FLOP", "ratio", "calls", "bytes"})

    def test_diff_explains_the_change_as_a_sum(self):
        done = self.tool("diff", self.fast.out, self.slow.out, *self.peaks(self.fast), "--json", "-",
                         "--fail")
        self.assertEqual(done.returncode, FAIL, done.stderr)
        diff = json.loads(done.stdout)
        mfu = diff["mfu"]
        self.assertLess(mfu["new"], mfu["old"])
        self.assertAlmostEqual(sum(term["mfu_change"] for term in mfu["terms"]),
                               mfu["new"] - mfu["old"], places=12)
        slower = {row["name"] for row in diff["changes"] if row["tag"] == "slower"}
        self.assertTrue(any(name.startswith("gemm") for name in slower), slower)

    def test_diff_tells_what_is_called_more(self):
        done = self.tool("diff", self.first.out, self.deeper.out, "--json", "-")
        tags = {row["tag"] for row in json.loads(done.stdout)["changes"]}
        self.assertIn("more calls", tags)
        done = self.tool("diff", self.first.out, self.again.out, "--fail")
        self.assertEqual(done.returncode, PASS, done.stdout)
        self.assertNotIn("\033", done.stdout)


if __name__ == "__main__":
    harness.main()
