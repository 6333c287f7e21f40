"""Inference on the simulated node: the report's phases, tokens and FLOPs against what job_serve itself counted,
query by query, and against the simulator's log. Lengths, page tables and offsets lie in GPU memory."""

import gzip
import json
import re

import harness

LENGTHS = {"MFUTRACE_DEVICE_LENGTHS": "1"}


class ServeTest(harness.JobTest):
    def serve(self, *args, env=None):
        harness.require(harness.TOOL, harness.JOBS / "job_serve")
        run = self.bench.good_job("serve", *args, env=env)
        return run, json.loads(run.stdout), run.report()

    def phases(self, report):
        names = {}
        for phase in report["serving"]["phases"]:
            names[f"{phase['model'] or 'target'} {phase['phase']}"] = phase
        return names

    def assert_phases_are_the_jobs(self, truth, report, graphs=False):
        found = self.phases(report)
        self.assertEqual(set(found), set(truth["phases"]))
        for name, expected in truth["phases"].items():
            phase = found[name]
            with self.subTest(name):
                self.assertEqual(phase["attention_calls"], expected["attention_calls"])
                self.assertEqual(phase["passes"], expected["passes"])
                if graphs and name == "target decode":
                    self.assertGreaterEqual(phase["new_tokens"], expected["tokens"])
                    self.assertTrue(phase["tokens_are_bounds"])
                    self.assertGreater(phase["flop_executed"], expected["flop"])
                    self.assertIsNone(phase["flop_useful"])
                    self.assertIsNone(phase["context_tokens"])
                    continue
                self.assertEqual(phase["new_tokens"], expected["tokens"])
                self.assertFalse(phase["tokens_are_bounds"])
                self.assertEqual(phase["context_tokens"], expected["context"])
                self.assertEqual(phase["kv_bytes_read"], expected["kv_bytes"])
                self.assertEqual(phase["flop_executed"], expected["flop"])
                self.assertEqual(phase["flop_bound"], 0)

    def assert_times_sum(self, report):
        for role in report["serving"]["roles"]:
            parts = (role["busy_ns"], role["idle_in_step_ns"], role["waiting_ns"])
            self.assertEqual(sum(parts), role["window_ns"])
            slices = sum(s["busy"] * role["slice_ns"] for s in role["load"][:-1])
            self.assertLessEqual(slices, role["busy_ns"] * role["devices"] * 1.001)

    def counted(self, run):
        return sum(op.flop for op in run.log if op.kind in ("gemm", "attention"))


class WithLengths(ServeTest):
    def test_whole_prompts(self):
        run, truth, report = self.serve("--requests", 12, env=LENGTHS)
        self.assert_phases_are_the_jobs(truth, report)
        self.assertEqual(report["run"]["flop_executed"], self.counted(run))
        self.assertEqual(sum(p["flop_executed"] for p in report["serving"]["phases"]),
                         report["run"]["flop_executed"])
        role, = report["serving"]["roles"]
        self.assertEqual(role["tokens_out"], truth["phases"]["target decode"]["tokens"])
        self.assert_times_sum(report)

    def test_chunks_are_mixed_with_decodes(self):
        run, truth, report = self.serve("--requests", 12, "--chunk", 32, "--seed", 5, env=LENGTHS)
        self.assertIn("target mixed", truth["phases"])
        role, = report["serving"]["roles"]
        self.assertEqual(role["tokens_out"], sum(truth["phases"].get(f"target {phase}", {}).get("generated", 0)
                                                 for phase in ("decode", "mixed")))
        self.assert_phases_are_the_jobs(truth, report)
        self.assertEqual(report["run"]["flop_executed"], self.counted(run))

    def test_a_cached_prefix_is_context_not_work(self):
        run, truth, report = self.serve("--requests", 10, "--prefix", 32, env=LENGTHS)
        self.assertGreater(truth["prefix_tokens"], 0)
        prefill = self.phases(report)["target prefill"]
        self.assertEqual(prefill["context_tokens"], truth["prefix_tokens"])
        self.assert_phases_are_the_jobs(truth, report)
        self.assertEqual(report["run"]["flop_executed"], self.counted(run))

    def test_graphs_of_decodes(self):
        _, truth, report = self.serve("--requests", 12, "--graphs", env=LENGTHS)
        self.assert_phases_are_the_jobs(truth, report, graphs=True)
        self.assert_times_sum(report)

    def test_waiting_is_apart_from_idle(self):
        _, _, report = self.serve("--requests", 17, "--pause", 60000, env=LENGTHS)
        role, = report["serving"]["roles"]
        self.assertGreaterEqual(role["waiting_ns"], 2 * 60_000_000)
        self.assertLess(role["idle_in_step_ns"], role["waiting_ns"])


class WithoutLengths(ServeTest):
    def test_unknown_is_said_and_nothing_is_wrong(self):
        run, truth, report = self.serve("--requests", 12, "--chunk", 32, "--seed", 5)
        found = self.phases(report)
        # One query each is sure; how many more is not.
        self.assertLessEqual(set(found), {"target decode", "target unknown"})
        calls = sum(phase["attention_calls"] for phase in truth["phases"].values())
        self.assertEqual(sum(phase["attention_calls"] for phase in found.values()), calls)
        self.assertEqual(found["target decode"]["attention_calls"],
                         truth["phases"]["target decode"]["attention_calls"])
        for phase in found.values():
            self.assertIsNone(phase["context_tokens"])
            self.assertIsNone(phase["flop_useful"])
            self.assertTrue(phase["kv_bytes_read"] is None or phase["kv_is_bound"])
            self.assertTrue(phase["new_tokens"] is None or phase["tokens_are_bounds"])
        self.assertGreater(report["run"]["flop_bound"], 0)
        self.assertGreaterEqual(report["run"]["flop_executed"], self.counted(run))
        self.assertTrue(any("device-lengths" in note for note in report["serving"]["notes"]))

    def test_nothing_is_said_of_speculation(self):
        _, _, report = self.serve("--requests", 6, "--draft", 3)
        self.assertEqual(report["serving"]["speculation"], [])
        self.assertNotIn("verify", {phase["phase"] for phase in report["serving"]["phases"]})


class Speculative(ServeTest):
    def test_accepted_tokens_are_the_seeded_ones(self):
        for accept in (0, 60, 100):
            with self.subTest(accept):
                run, truth, report = self.serve("--requests", 4, "--draft", 3, "--accept", accept,
                                                "--spread", "--seed", 3, env=LENGTHS)
                self.assert_phases_are_the_jobs(truth, report)
                found, = report["serving"]["speculation"]
                self.assertEqual(found["steps"], truth["phases"]["target verify"]["passes"])
                self.assertEqual(found["sequence_steps"], truth["sequence_steps"])
                self.assertEqual(found["drafted"], truth["drafted"])
                self.assertEqual(found["sequence_steps_known"], truth["known"])
                self.assertEqual(found["drafted_known"], truth["drafted_known"])
                self.assertEqual(found["accepted"], truth["accepted_known"])
                self.assertEqual(found["tokens"], truth["accepted_known"] + truth["known"])
                self.assertEqual(found["verify_flop"], truth["phases"]["target verify"]["flop"])
                drafts = [p["flop"] for name, p in truth["phases"].items() if name.startswith("draft")]
                self.assertEqual(found["draft_flop"], sum(drafts))
                self.assertEqual(report["run"]["flop_executed"], self.counted(run))
                ratio = found["executed_over_useful"]
                self.assertEqual(ratio, 1) if accept == 100 else self.assertGreater(ratio, 1.2)

    def test_changing_batches_are_never_misread(self):
        for seed in range(3):
            with self.subTest(seed):
                _, truth, report = self.serve("--requests", 14, "--draft", 2, "--seed", seed,
                                              "--pause", 1000, env=LENGTHS)
                self.assert_phases_are_the_jobs(truth, report)
                found, = report["serving"]["speculation"]
                self.assertEqual(found["drafted"], truth["drafted"])
                self.assertLessEqual(found["sequence_steps_known"], truth["known"])
                self.assertGreater(found["sequence_steps_known"], truth["known"] // 2)
                unknown = truth["known"] - found["sequence_steps_known"]
                self.assertLessEqual(found["accepted"], truth["accepted_known"])
                self.assertGreaterEqual(found["accepted"], truth["accepted_known"] - 2 * unknown)

    def test_the_page_says_why_naive_figures_exceed_the_peak(self):
        run, _, _ = self.serve("--requests", 4, "--draft", 3, "--spread", env=LENGTHS)
        text = self.bench.tool("report", run.out, "--only", "serving").stdout.decode()
        self.assertIn("rejected drafts", text)
        self.assertIn("can exceed 100 %", text)


class Disaggregated(ServeTest):
    def test_two_roles_are_one_report(self):
        harness.require(harness.TOOL, harness.JOBS / "job_serve")
        first = self.bench.good_job("serve", "--requests", 10, "--only", "prefill",
                                    env={**LENGTHS, "MFUTRACE_ROLE": "prefill"})
        second = self.bench.good_job("serve", "--requests", 10, "--only", "decode",
                                     env={**LENGTHS, "MFUTRACE_ROLE": "decode",
                                          "MFUTRACE_OUT": str(first.out)})
        report = first.report()
        phases = {(p["role"], p["phase"]): p for p in report["serving"]["phases"]}
        self.assertEqual(set(phases), {("prefill", "prefill"), ("decode", "decode")})
        for role, run in (("prefill", first), ("decode", second)):
            truth = json.loads(run.stdout)["phases"][f"target {role}"]
            self.assertEqual(phases[role, role]["flop_executed"], truth["flop"])
            self.assertEqual(phases[role, role]["new_tokens"], truth["tokens"])
        self.assertEqual([role["role"] for role in report["serving"]["roles"]], ["decode", "prefill"])


class ImportedMarks(harness.JobTest):
    """Profiles of vLLM, whose own marks say what a step ran (their names are read here by other means)."""

    def test_phases_of_real_traces(self):
        traces = sorted((harness.SHARED / "traces").glob("*vllm*.json.gz"))
        harness.require(harness.TOOL, *(traces or [harness.SHARED / "traces/vllm.json.gz"]))
        for path in traces:
            with self.subTest(path.name):
                events = json.loads(gzip.open(path).read())["traceEvents"]
                marks = [e["name"] for e in events if e.get("cat") == "user_annotation"
                         and e["name"].startswith("execute_")]
                shapes = [e["args"]["Input Dims"] for e in events
                          if e.get("cat") == "cpu_op" and e["name"] == "aten::mm"]
                report = json.loads(self.bench.tool("report", path, "--json", "-").stdout)
                phases = report["serving"]["phases"]
                self.assertEqual(sum(p["passes"] for p in phases), len(marks))
                tokens = requests = 0
                for mark in marks:
                    found = re.findall(r"_(?:context|generation)_(\d+)\(sq(\d+)sk", mark)
                    requests += sum(int(n) for n, _ in found)
                    tokens += sum(int(q) for _, q in found)
                    kind = "mixed" if all(int(n) for n, _ in found) else \
                        "decode" if int(found[1][0]) else "prefill"
                    self.assertIn(kind, {p["phase"] for p in phases})
                self.assertEqual(sum(p["new_tokens"] for p in phases), tokens)
                self.assertEqual(sum(p["sequences"]["mean"] * p["passes"] for p in phases), requests)
                flop = sum(2 * a[0] * a[1] * b[1] for a, b, *_ in shapes)
                self.assertEqual(sum(p["flop_executed"] for p in phases), flop)
                for phase in phases:
                    self.assertIsNone(phase["kv_bytes_read"])
                self.assertTrue(report["serving"]["notes"])


if __name__ == "__main__":
    harness.main()
