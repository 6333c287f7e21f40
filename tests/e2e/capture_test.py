"""The flusher never breaks a stream capture, in whatever mode and for however long it lasts."""

import harness
import mfut


class Capture(harness.JobTest):
    ROUNDS, PER_ROUND, OUTSIDE, REPLAYS = 10, 4, 10, 3

    def check(self, run):
        rounds, trace = self.ROUNDS, run.trace
        launches = trace.launches()
        self.assertEqual(len(launches), rounds * self.REPLAYS)
        flags = [bool(call.flags & mfut.CAPTURED) for call in trace.calls if call not in launches]
        self.assertEqual(flags.count(True), rounds * self.PER_ROUND)
        self.assertEqual(flags.count(False), rounds * self.OUTSIDE)
        ops = harness.gemm_ops(run.log)
        self.assertEqual(sum(op.graph for op in ops), rounds * self.PER_ROUND * self.REPLAYS)
        self.assertEqual(trace.gemm_flop(), sum(op.flop for op in ops if not op.graph))
        # What a launch ran is what was captured: each is credited the graph's own list.
        self.assertEqual(trace.launched_gemm_flop(), sum(op.flop for op in ops if op.graph))
        for call in launches:
            self.assertEqual(sum(count for _, count in trace.compounds[call.signature].members),
                             self.PER_ROUND)
        for call in run.trace.calls:
            if call.flags & mfut.CAPTURED:
                self.assertIsNone(call.gpu_begin)

    def test_fifty_global_captures_under_an_eager_flusher(self):
        for _ in range(5):
            self.check(self.bench.good_job("capture", self.ROUNDS, 40, self.REPLAYS,
                                           env={"MFUTRACE_FLUSH_MS": "1",
                                                "MFUTRACE_TIMING": "events"}))

    def test_captures_in_count_mode(self):
        self.check(self.bench.good_job("capture", self.ROUNDS, 10, self.REPLAYS,
                                       env={"MFUTRACE_FLUSH_MS": "1",
                                            "MFUTRACE_TIMING": "count"}))

    def test_captures_under_cupti(self):
        self.check(self.bench.good_job("capture", self.ROUNDS, 40, self.REPLAYS,
                                       env={"MFUTRACE_FLUSH_MS": "1",
                                            "MFUTRACE_TIMING": "cupti"}))

    def test_a_careless_query_would_have_been_noticed(self):
        # The controls: without the library the job passes, and with one query of its own it fails.
        run = self.bench.good_job("capture", 2, 40, 1, preload=False)
        self.assertEqual(sum(op.graph for op in harness.gemm_ops(run.log)), 8)
        run = self.bench.job("capture", 2, 40, 1, "meddle", preload=False)
        self.assertEqual((run.status, run.stdout), (1, b""), run)


if __name__ == "__main__":
    harness.main()
