"""The flusher never breaks a stream capture, in whatever mode and for however long it lasts."""

import harness
import mfut


class Capture(harness.JobTest):
    ROUNDS, PER_ROUND, OUTSIDE, REPLAYS = 10, 4, 10, 3

    def check(self, run):
        rounds = self.ROUNDS
        flags = [bool(call.flags & mfut.CAPTURED) for call in run.trace.calls]
        self.assertEqual(flags.count(True), rounds * self.PER_ROUND)
        self.assertEqual(flags.count(False), rounds * self.OUTSIDE)
        ops = harness.gemm_ops(run.log)
        self.assertEqual(sum(op.graph for op in ops), rounds * self.PER_ROUND * self.REPLAYS)
        self.assertEqual(run.trace.gemm_flop(), sum(op.flop for op in ops if not op.graph))
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

    def test_a_careless_query_would_have_been_noticed(self):
        # The controls: without the library the job passes, and with one query of its own it fails.
        run = self.bench.good_job("capture", 2, 40, 1, preload=False)
        self.assertEqual(sum(op.graph for op in harness.gemm_ops(run.log)), 8)
        run = self.bench.job("capture", 2, 40, 1, "meddle", preload=False)
        self.assertEqual((run.status, run.stdout), (1, b""), run)


if __name__ == "__main__":
    harness.main()
