"""cuDNN's older interface: convolutions with groups, strides and dilation, recurrent networks, multi-head
attention, against what the simulated node counted.
"""

import unittest
from collections import Counter

import harness

KINDS = ("conv", "rnn", "attention", "gemm")


class OlderInterface(harness.JobTest):
    def test_report_has_the_logs_flop(self):
        harness.require(harness.TOOL, harness.SIMGPU / "libcudnn.so.9")
        run = self.bench.good_job("dlopen_cudnn")
        ops = [op for op in run.log if op.kind in KINDS]
        self.assertEqual(Counter(op.kind for op in ops), {"conv": 12, "rnn": 9, "attention": 6})
        self.assertEqual(run.trace.opaque, {})
        report = run.report()
        # Each call has sizes of its own, so that its FLOPs tell it: all of them, one by one.
        logged, found = Counter(), Counter()
        for op in ops:
            logged[op.function, op.flop] += 1
        calls = sum(row["calls"] for row in report["ops"])
        self.assertEqual(calls, len(ops), [row["label"] for row in report["ops"]])
        for row in report["ops"]:
            found[row["flop_executed"] // row["calls"]] += row["calls"]
        self.assertEqual(found, Counter(flop for (_, flop), n in logged.items() for _ in range(n)))
        self.assertEqual(report["run"]["flop_executed"], sum(op.flop for op in ops))
        labels = " | ".join(row["label"] for row in report["ops"])
        for part in ("conv fwd f16 b2 8x30x26 > 12x30x26 f3x3", "conv dgrad bf16 b3 16x28x24", " g4",
                     "conv wgrad f32 b4", "conv fwd tf32 b5 20x16x18", "lstm fwd f16 14 steps 96>64 l3 bi proj32",
                     "gru dgrad f16 31 steps", "rnn wgrad f16 14 steps 56>56 l1 skip"):
            self.assertIn(part, labels)

    def test_job_sees_no_difference(self):
        harness.require(harness.SIMGPU / "libcudnn.so.9")
        self.assert_same_as_without("dlopen_cudnn")


if __name__ == "__main__":
    harness.main()
