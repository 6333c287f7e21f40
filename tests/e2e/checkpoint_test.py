"""Activation checkpointing on the simulated node: how often attention was computed again, and model FLOPs without
it, against what job_checkpointed_train counted itself."""

import json

import harness


class Attention(harness.JobTest):
    STEPS = 8

    def train(self, recompute):
        harness.require(harness.TOOL, harness.JOBS / "job_checkpointed_train")
        run = self.bench.good_job("checkpointed_train", "--recompute", recompute, "--steps", self.STEPS)
        return run, json.loads(run.stdout), run.report()

    def test_attention_computed_again(self):
        for recompute, share in (("none", 0), ("attention", 1), ("full", 1)):
            with self.subTest(recompute):
                run, truth, report = self.train(recompute)
                executed = truth["products"] + truth["attention"]
                self.assertEqual(report["run"]["flop_executed"], executed)
                self.assertEqual(sum(op.flop for op in run.log if op.kind in ("gemm", "attention")),
                                 executed)
                steps = {step["index"] for step in report["steps"]}
                self.assertGreaterEqual(len(steps), self.STEPS - 1)
                found = report["attention_recompute"]
                self.assertEqual(found["recomputed_calls"], share * found["backward_calls"])
                self.assertEqual(found["flop"] * self.STEPS,
                                 truth["recomputed_attention"] * len(steps))
                # What lies outside of the steps that were found stays in; products that were computed
                # again are the report's other matter.
                left = truth["recomputed_attention"] - found["flop"]
                products = report["run"]["flop_model"] - truth["attention_model"] - left
                self.assertLessEqual(products, truth["products"])
                self.assertGreaterEqual(products, truth["products"] - truth["recomputed_products"])

    def test_the_page_says_so(self):
        run, _, _ = self.train("attention")
        text = self.bench.tool("report", run.out).stdout.decode()
        self.assertIn("attention forwards", text)


if __name__ == "__main__":
    harness.main()
