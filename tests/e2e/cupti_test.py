"""Kernel times from CUPTI: every call against the simulator's log, kernels of nobody's call, fallback."""

import unittest

import harness
import match

MICROSECOND_NS = 1000
# Slow enough that the run outlasts the first rounds of the flusher, in which CUPTI is started.
CONFIG = ["--layers", 2, "--hidden", 512, "--heads", 8, "--ffn", 2048, "--seq", 512, "--batch", 2,
          "--vocab", 8000, "--steps", 30]
ENVIRONMENT = {"MFUTRACE_TIMING": "cupti", "SIMGPU_TIME_SCALE": "0.1", "MFUTRACE_FLUSH_MS": "20"}


class Cupti(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.require(harness.SIMGPU, harness.PRELOAD, harness.JOBS)
        cls.bench = harness.Bench()

    @classmethod
    def tearDownClass(cls):
        cls.bench.close()

    def pairs(self, trace, log):
        """(call, operation) of every stream in order; a shape that differs is an error."""
        calls, ops = match._by_stream(trace, log)
        for stream, its_calls in calls.items():
            work = [op for op in ops[stream] if op.kind != "event"]
            self.assertEqual(len(work), len(its_calls), stream)
            for call, op in zip(its_calls, work):
                self.assertTrue(match._same(trace, call, op), f"{call} is not {op}")
                yield call, op

    def check(self, run, ranks):
        log = run.log
        self.assertEqual(len(run.traces), ranks)
        for trace in run.traces:
            self.assertEqual(trace.facts["timing"], "cupti")
            sample = trace.clock_samples[-1]
            host_minus_device = (sample.host_min + sample.host_max) // 2 - sample.gpu
            # Calls before CUPTI had started have two events around them in the log.
            last_event_ns = {}
            for op in log:
                if op.pid == trace.pid and op.kind == "event":
                    last_event_ns[op.stream] = max(op.end_ns, last_event_ns.get(op.stream, 0))
            compared, epoch = 0, None
            for call, op in self.pairs(trace, log):
                self.assertIsNotNone(call.gpu_begin, f"untimed: {op}")
                if op.start_ns <= last_event_ns.get(op.stream, 0):
                    continue
                compared += 1
                if epoch is None:
                    epoch = op.start_ns - call.gpu_begin
                begin, end = call.gpu_begin + epoch, call.gpu_end + epoch
                self.assertLess(abs(begin - op.start_ns), MICROSECOND_NS, op)
                self.assertLess(abs(end - op.end_ns), MICROSECOND_NS, op)
            # Where the epoch lies on the host's clock, the trace knows to within a launch.
            self.assertLess(abs(epoch - host_minus_device), 100 * MICROSECOND_NS)
            self.assertGreater(compared, len(trace.calls) // 2)
            logged = sum(op.flop for op in harness.gemm_ops(log, trace.pid))
            self.assertEqual(trace.gemm_flop(), logged)

    def test_one_rank(self):
        self.check(self.bench.good_job("gpt_train", *CONFIG, env=ENVIRONMENT), 1)

    def test_ranks_with_collectives(self):
        self.check(self.bench.good_job("gpt_train", *CONFIG, "--tp", 2, ranks=2, env=ENVIRONMENT), 2)

    def test_without_cupti_there_are_events_and_the_reason(self):
        run = self.bench.good_job("gpt_train", *CONFIG,
                                  env={**ENVIRONMENT, "MFUTRACE_CUPTI": "/nonexistent/libcupti.so"})
        self.assertEqual(run.trace.facts["timing"], "events")
        self.assertEqual(run.trace.facts["timing_reason"], "libcupti was not found")


if __name__ == "__main__":
    harness.main()
