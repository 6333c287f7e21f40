"""Mixture of experts on the simulated node: rows of each expert, idle experts, FLOPs and the exchange between
ranks against what each rank of job_moe_train counted itself."""

import json

import harness


class MoeTest(harness.JobTest):
    def train(self, *args, ranks=1, env=None):
        harness.require(harness.TOOL, harness.JOBS / "job_moe_train")
        run = self.bench.good_job("moe_train", *args, ranks=ranks, env=env)
        truths = [json.loads(line) for line in run.stdout.splitlines() if line.startswith(b"{")]
        self.assertEqual(len(truths), ranks)
        return run, sorted(truths, key=lambda truth: truth["rank"]), run.report()

    def forward(self, report, out, into):
        """The experts' product of so many outputs and inputs."""
        found = [p for p in report["experts"]["products"] if p["label"].endswith(f"{out}x{into}")]
        self.assertEqual(len(found), 1, report["experts"])
        return found[0]


class Experts(MoeTest):
    def test_rows_of_each_expert(self):
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                run, truths, report = self.train("--skew", 15, ranks=ranks)
                up = self.forward(report, 512, 128)
                rows = [count for truth in truths for count in truth["rows_by_expert"]]
                self.assertTrue(up["rows_are_known"])
                self.assertEqual(up["rows_by_expert"], rows)
                self.assertEqual(up["rows"], sum(rows))
                self.assertEqual(up["experts"], 8 // ranks)
                calls = sum(truth["calls"] for truth in truths)
                self.assertEqual(up["calls"], calls)
                self.assertAlmostEqual(up["idle_share"] * calls * up["experts"],
                                       sum(truth["idle"] for truth in truths))
                self.assertAlmostEqual(up["imbalance"]["max"], max(t["worst"] for t in truths))
                self.assertAlmostEqual(up["imbalance_of_sums"], max(rows) * len(rows) / sum(rows))
                # Every token chose two of eight.
                self.assertEqual(up["router_experts"], 8)
                self.assertAlmostEqual(up["active_share"], 2 / 8)
                self.assertEqual(sum(p["flop_executed"] for p in report["experts"]["products"]),
                                 sum(truth["expert_flop"] for truth in truths))
                self.assertEqual(report["run"]["flop_executed"], sum(t["flop"] for t in truths))
                self.assertEqual(report["run"]["flop_executed"],
                                 sum(op.flop for op in run.log if op.kind == "gemm"))

    def test_some_experts_idle(self):
        _, truths, report = self.train("--tokens", 4, "--experts", 16, "--skew", 30)
        self.assertGreater(truths[0]["idle"], 0)
        up = self.forward(report, 512, 128)
        self.assertAlmostEqual(up["idle_share"] * up["calls"] * 16, truths[0]["idle"])

    def test_rows_on_the_device_are_a_sum_alone(self):
        _, truths, report = self.train("--library", "cudnn")
        products = report["experts"]["products"]
        self.assertEqual(len(products), 2)
        for product in products:
            self.assertFalse(product["rows_are_known"])
            self.assertIsNone(product["rows_by_expert"])
            self.assertIsNone(product["imbalance"])
            self.assertIsNone(product["idle_share"])
            self.assertEqual(product["rows"], sum(truths[0]["rows_by_expert"]))
        self.assertEqual(sum(p["flop_executed"] for p in products), truths[0]["expert_flop"])
        self.assertEqual(report["run"]["flop_executed"], truths[0]["flop"])

    def test_the_page_names_them(self):
        run, _, _ = self.train()
        text = self.bench.tool("report", run.out, "--only", "experts").stdout.decode()
        self.assertIn("experts bf16 8 x 512x128", text)
        self.assertIn("25.0 %", text)


class Exchange(MoeTest):
    def test_bytes_by_rank(self):
        _, truths, report = self.train("--skew", 20, ranks=4)
        exchange, = report["experts"]["exchanges"]
        self.assertEqual([m["rank"] for m in exchange["members"]], [0, 1, 2, 3])
        for member, truth in zip(exchange["members"], truths):
            self.assertEqual(member["sent_bytes"], truth["sent_bytes"])
            self.assertEqual(member["received_bytes"], truth["received_bytes"])
        received = [truth["received_bytes"] for truth in truths]
        self.assertAlmostEqual(exchange["imbalance"], max(received) * 4 / sum(received))
        self.assertGreater(exchange["imbalance"], 1.05)


if __name__ == "__main__":
    harness.main()
