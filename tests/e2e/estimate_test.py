"""`report --model` beside jobs whose model is known: the estimates, and a table of differences that has a
cause for every FLOP. The config.json says what the job was started with; expected figures are worked out
here from the model's dimensions."""

import json
import subprocess
import unittest

import harness

STEPS = 3
LAYERS, HIDDEN, HEADS, FFN, VOCAB, SEQ, BATCH = 4, 512, 8, 2048, 32000, 1024, 4
JOB = ["--layers", LAYERS, "--hidden", HIDDEN, "--heads", HEADS, "--ffn", FFN, "--swiglu", "--seq", SEQ,
       "--batch", BATCH, "--vocab", VOCAB, "--steps", STEPS]
CONFIG = {"model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": FFN, "num_hidden_layers": LAYERS,
          "num_attention_heads": HEADS, "vocab_size": VOCAB, "tie_word_embeddings": False}
# What is multiplied for a token, and the rest of the parameters.
WEIGHTS = LAYERS * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * FFN) + VOCAB * HIDDEN
EMBEDDING = VOCAB * HIDDEN
NORMS = (2 * LAYERS + 1) * HIDDEN
# The products of both attention multiplications, forward and twice backward, of one sequence.
SQUARE = 12 * LAYERS * HIDDEN * SEQ * SEQ
CAUSAL = 12 * LAYERS * HIDDEN * (SEQ * (SEQ + 1) // 2)


class Model(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.require(harness.SIMGPU, harness.PRELOAD, harness.JOBS)
        cls.bench = harness.Bench()
        cls.config = cls.bench.new_folder() / "config.json"
        cls.config.write_text(json.dumps(CONFIG))

    @classmethod
    def tearDownClass(cls):
        cls.bench.close()

    def model(self, run, *options):
        report = run.report("--model", str(self.config), *map(str, options))
        model = report["model"]
        rows = {row["name"]: row["flop"] for row in model["differences"]}
        # The table sums to the trace's own count, to the last FLOP.
        self.assertEqual(model["flop_estimate"] + sum(rows.values()) + model["unexplained"],
                         model["flop_executed"])
        self.assertEqual(sum(part["flop"] for part in model["unexplained_parts"]), model["unexplained"])
        self.assertEqual(model["flop_executed"], report["run"]["flop_executed"])
        self.assertEqual(model["steps"], STEPS)
        return model, rows

    def test_four_ranks_without_attention_calls(self):
        run = self.bench.good_job("gpt_train", *JOB, "--tp", 2, "--dp", 2, ranks=4)
        sequences = 2 * BATCH
        tokens = sequences * SEQ
        model, rows = self.model(run, "--batch", sequences, "--seq", SEQ)
        self.assertEqual(model["tensor_parallel"], 2)
        self.assertEqual(model["flop_estimate"], 6 * (WEIGHTS + EMBEDDING + NORMS) * tokens * STEPS)
        self.assertEqual(model["conventions"]["megatron"], 6 * WEIGHTS * tokens + SQUARE // 2 * sequences)
        self.assertEqual(rows, {"embedding": -6 * EMBEDDING * tokens * STEPS,
                                "norms and biases": -6 * NORMS * tokens * STEPS,
                                "attention": CAUSAL * sequences * STEPS,
                                "attention as called": -CAUSAL * sequences * STEPS})
        self.assertEqual(model["unexplained_parts"], [])
        self.assertEqual(model["flop_executed"], 6 * WEIGHTS * tokens * STEPS)

    def test_attention_written_out_and_padding(self):
        run = self.bench.good_job("gpt_train", *JOB, "--attention", "gemm")
        model, rows = self.model(run, "--batch", BATCH, "--seq", SEQ)
        self.assertEqual(rows["attention"] + rows["attention as called"], SQUARE * BATCH * STEPS)
        self.assertEqual(model["unexplained_parts"], [])
        # The user says 4000 tokens, the job's calls have 4096 rows.
        model, rows = self.model(run, "--tokens-per-step", 4000)
        self.assertEqual(rows["padding"], 6 * WEIGHTS * 96 * STEPS)
        self.assertEqual(rows["attention"], SQUARE * BATCH * STEPS)
        self.assertEqual(model["unexplained_parts"], [])

    def test_text_has_the_table(self):
        run = self.bench.good_job("gpt_train", *JOB)
        options = ["--only", "summary", "--model", str(self.config), "--batch", str(BATCH), "--seq", str(SEQ)]
        done = subprocess.run([str(harness.TOOL), "report", str(run.out), *options], check=False,
                              capture_output=True, timeout=harness.TIMEOUT_S)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.decode().splitlines()
        self.assertTrue(any(line.startswith("model  ") and f"{STEPS} steps of 4096 tokens" in line
                            for line in lines), lines)
        for name in ("6n", "megatron", "embedding", "unexplained", "executed"):
            self.assertTrue(any(line.strip().startswith(name) for line in lines), name)

    def test_wrong_use_is_one_line(self):
        run = self.bench.good_job("gpt_train", *JOB)
        for options, text in ((["--model", "/nowhere/config.json", "--batch", "1", "--seq", "8"], b"/nowhere"),
                              (["--model", str(self.config)], b"--batch"),
                              (["--model", str(self.config), "--batch", "1", "--seq", "8",
                                "--convention", "vllm"], b"--convention")):
            done = subprocess.run([str(harness.TOOL), "report", str(run.out), *options], check=False,
                                  capture_output=True, timeout=harness.TIMEOUT_S)
            self.assertEqual((done.returncode, done.stdout), (2, b""))
            self.assertIn(text, done.stderr)
            self.assertEqual(done.stderr.count(b"mfutrace: "), 1, done.stderr)


if __name__ == "__main__":
    harness.main()
