"""Whole models: the call lists of the reference vectors made as real library calls under the preloaded
library. What the report counts has to be what the lists sum to, call by call and in all.

Sums of a case: `recommended_executed_flops` and, where the case has it, `recommended_model_flops`, which
are exact for causal masks. Where a source counts otherwise, its `flops` differs by what the case's note
says. Rows of the lists that no library call performs are left out: `non_gemm`, and the input embedding
that verl counts as a product.
"""

import json
import unittest
from collections import Counter

import harness

FILES = ["models_megatron", "models_vllm", "models_verl_calls"]
# A step of GPT-3 on one device would take hours and all the memory of eight hundred: durations are of no
# matter here, and memory that nobody touches is none.
ENVIRONMENT = {"SIMGPU_TIME_SCALE": "20000"}
DEVICE = "base = h100\nmemory_bytes = 64000000000000\n"
ENTRIES = ["ex", "lt", "strided"]


def is_made(call):
    """False for what a source counts and no library call performs."""
    return call["op"] != "non_gemm" and "embedding" not in call.get("name", "")


def experts_of(case):
    for key in ("num_experts", "E", "num_moe_experts"):
        if case["args"].get(key):
            return min(int(case["args"][key]), 64)
    return 8


def parts_of(total, count):
    """`total` rows dealt out unevenly to `count` experts, none without a row where that is possible."""
    count = max(1, min(count, total))
    weights = [i + 1 for i in range(count)]
    spare, parts = total - count, []
    for weight in weights:
        parts.append(1 + spare * weight // sum(weights))
    parts[-1] += total - sum(parts)
    return parts


def is_routed(call):
    return "rows summed over experts" in call["name"] or call["name"] in ("moe_gate_up", "moe_down")


def gemm_line(call, index, experts):
    m, n, k, batch, count = (call[key] for key in ("m", "n", "k", "batch", "count"))
    if is_routed(call) and batch == 1:
        # The rows of all experts together; of a weight gradient they are the inner dimension.
        groups = [(m, n, part) if call["phase"] == "wgrad" else (part, n, k)
                  for part in parts_of(k if call["phase"] == "wgrad" else m, experts)]
        return f"grouped {count} " + " ".join(f"{m} {n} {k}" for m, n, k in groups)
    entry = ENTRIES[index % len(ENTRIES)] if batch == 1 else "strided"
    if entry == "strided" and batch == 1:
        batch = next((b for b in (8, 4, 3, 2) if m % b == 0), 1)
        m //= batch
    return f"gemm {entry} {m} {n} {k} {batch} {count}"


def sequences_of(call):
    """(how many in a row, queries, keys) of an attention row."""
    if not call["op"].startswith("attention_varlen"):
        return [(call["b"], call["s_q"], call["s_k"])]
    runs = []
    for q, k in zip(lengths_of(call["seqlens_q"]), lengths_of(call["seqlens_k"])):
        if runs and runs[-1][1:] == (q, k):
            runs[-1] = (runs[-1][0] + 1, q, k)
        else:
            runs.append((1, q, k))
    return runs


def lengths_of(written):
    """[2048, 1] is two sequences; [1, "x64"] is sixty-four of one length."""
    lengths = []
    for item in written:
        if isinstance(item, str):
            lengths += [lengths[-1]] * (int(item[1:]) - 1)
        else:
            lengths.append(item)
    return lengths


def attention_line(call):
    """Sequences of one length are a batch; sequences of several lengths are a graph each, as in a framework
    that has no ragged tensors."""
    mask = call["mask"] if call["mask"] == "none" else {"top_left": "causal_tl",
                                                        "bottom_right": "causal_br"}[call["align"]]
    heads = " ".join(str(call[key]) for key in ("h_q", "h_kv", "d_qk", "d_v"))
    direction = "bwd" if call["op"].endswith("bwd") else "fwd"
    return (f"attention {direction} {heads} {mask} {call['count']} " +
            " ".join(f"{b} {q} {k}" for b, q, k in sequences_of(call)))


def kind_of(call):
    return "gemm" if call["op"] == "gemm" else "attention"


def graphs_of(call):
    return 1 if call["op"] == "gemm" else len(sequences_of(call))


def lines_of(case, calls):
    """One line a call of the list, for the job."""
    experts = experts_of(case)
    return [gemm_line(call, i, experts) if call["op"] == "gemm" else attention_line(call)
            for i, call in enumerate(calls)]


def exact(call):
    """(executed, model) FLOPs of a row, all its calls together."""
    if call["op"] == "gemm":
        return call["flops"], call["flops"]
    return call.get("flops_exact_executed", call["flops_exact"]), call["flops_exact"]


class ModelCalls(harness.JobTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        harness.require(harness.TOOL, harness.SIMGPU / "libcudnn.so.9", *(harness.SHARED / f"vectors/{name}.json" for name in FILES))
        cls.cases = [case for name in FILES
                     for case in json.loads((harness.SHARED / f"vectors/{name}.json").read_text())
                     if case.get("calls")]

    def replay(self, case, calls):
        path = self.bench.folder / f"{case['id']}.txt"
        path.write_text("\n".join(lines_of(case, calls)) + "\n")
        device = self.bench.folder / "device"
        device.write_text(DEVICE)
        return self.bench.good_job("replay_calls", path, env={**ENVIRONMENT, "SIMGPU_DEVICE": device})

    def test_parts_of_the_routed_rows_are_all_of_them(self):
        for total, count in ((16384, 8), (5, 8), (131072, 64), (1, 1)):
            parts = parts_of(total, count)
            self.assertEqual(sum(parts), total)
            self.assertGreater(min(parts), 0)
        self.assertGreater(len(set(parts_of(16384, 8))), 1)

    def test_every_case(self):
        print(f"{'case':24}{'executed: expected':>22}{'got':>22}{'model: expected':>22}{'got':>22}")
        for case in self.cases:
            with self.subTest(case["id"], model=case["args"]["model"]):
                self.check(case, [call for call in case["calls"] if is_made(call)])

    def check(self, case, calls):
        run = self.replay(case, calls)
        executed = sum(exact(call)[0] for call in calls)
        model = sum(exact(call)[1] for call in calls)
        self.assertEqual(executed, case["recommended_executed_flops"])
        self.assertEqual(model, case.get("recommended_model_flops", model))
        self.assertEqual(sum(op.flop for op in run.log if op.kind in ("gemm", "attention")), executed)
        (run.log_folder / "peaks.toml").unlink()  # no report takes a GPU that fast
        report = run.report()
        got = report["run"]
        print(f"{case['id']:24}{executed:22}{got['flop_executed']:22}{model:22}{got['flop_model']:22}")
        self.assertEqual(got["flop_executed"], executed)
        self.assertEqual(got["flop_model"], model)
        self.assertEqual(got["flop_bound"], 0)
        self.assertEqual(got["flop_by_kind"]["gemm"],
                         sum(call["flops"] for call in calls if call["op"] == "gemm"))
        # Call by call: how many there are of each size. A row made as several graphs has only its sum.
        whole = [call for call in calls if graphs_of(call) == 1]
        split = [call for call in calls if graphs_of(call) > 1]
        expected, found = Counter(), Counter()
        for call in whole:
            count = call["count"]
            expected[kind_of(call), exact(call)[0] // count, exact(call)[1] // count] += count
        for op in report["ops"]:
            self.assertEqual(op["provenance"], "exact", op)
            if not split or op["kind"] == "gemm":
                sizes = (op["flop_executed"] // op["calls"], op["flop_model"] // op["calls"])
                found[(op["kind"], *sizes)] += op["calls"]
        self.assertEqual(found, expected)
        if split:
            self.assertEqual(got["flop_by_kind"]["attention"], sum(exact(call)[0] for call in split))
        self.assertEqual(sum(op["calls"] for op in report["ops"]),
                         sum(call["count"] * graphs_of(call) for call in calls))


if __name__ == "__main__":
    harness.main()
