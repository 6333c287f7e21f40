"""cuDNN's graphs through libmfutrace.so: each call of job_cudnn_graphs against what the simulated node
executed, by operation, dimensions, provenance and FLOPs; and the report of a step that mixes all libraries.

The simulator evaluates a graph's mask for every pair of a query and a key; the counts here are made a third
time, pair by pair, from what the trace says of a call.
"""

import unittest
from collections import Counter

import harness
import mfut
import truth

EXACT, BOUND = 0, 3
DIRECTIONS = {"fprop": 0, "dgrad": 1, "wgrad": 2, "fwd": 0, "bwd": 1, "forward": 0, "data": 1, "weights": 2}
TOP_LEFT, BOTTOM_RIGHT, WINDOW_TOP_LEFT = 2, 3, 4
# One of the experts of the job's grouped product has no tokens: [48, 72] weights that nobody reads. Only device
# memory tells; the trace has all weights.
UNREAD_WEIGHTS = 48 * 72 * 2
DTYPES = {"f32": 2, "f16": 3, "bf16": 4, "tf32": 27}
COUNTED = {"gemm", "conv", "attention", "rnn"}


def kept_pairs(call, queries, keys):
    """Pairs of one head of one sequence that the recorded mask keeps."""
    shift = 0 if call.mask in (TOP_LEFT, WINDOW_TOP_LEFT) else keys - queries
    left, right = call.window_left, call.window_right
    if call.mask in (TOP_LEFT, BOTTOM_RIGHT):
        right = 0
    kept = 0
    for query in range(queries):
        for key in range(keys):
            distance = key - query - shift
            kept += (left < 0 or distance >= -left) and (right < 0 or distance <= right)
    return kept


def attention_flop(call):
    sequences = call.lengths or [(call.seq_q, call.seq_k, call.batch)]
    pairs = sum(count * kept_pairs(call, queries, keys) for queries, keys, count in sequences)
    forward = call.head_dim_qk + call.head_dim_v
    backward = 3 * call.head_dim_qk + 2 * call.head_dim_v
    return 2 * call.heads_q * pairs * (backward if call.direction else forward)


def extents(text):
    sizes = tuple(map(int, text.split("x")))
    return sizes + (1,) * (3 - len(sizes))


class GraphTest(unittest.TestCase):
    """Runs the job once for all tests of a class."""

    ENVIRONMENT = {}
    ARGUMENTS = ()
    EXACT_LENGTHS = False

    @classmethod
    def setUpClass(cls):
        if cls is GraphTest:
            raise unittest.SkipTest("base class")
        harness.require(harness.SIMGPU, harness.PRELOAD, harness.JOBS / "job_cudnn_graphs")
        cls.bench = harness.Bench()
        cls.run_ = cls.bench.good_job("cudnn_graphs", *cls.ARGUMENTS, env=cls.ENVIRONMENT)
        cls.trace = cls.run_.trace
        cls.log = [op for op in cls.run_.log if op.kind in COUNTED | {"graph"}]

    @classmethod
    def tearDownClass(cls):
        if cls is not GraphTest:
            cls.bench.close()

    @classmethod
    def signature(cls, index):
        trace = cls.trace
        for table in (trace.attentions, trace.convolutions, trace.gemms, trace.compounds, trace.opaque):
            if index in table:
                return table[index]
        raise AssertionError(f"no signature {index}")

    def pairs(self):
        calls = sorted(self.trace.calls, key=lambda call: call.host_begin)
        self.assertEqual(len(calls), len(self.log))
        return [(self.signature(call.signature), op, truth.numbers(op)) for call, op in zip(calls, self.log)]


class Graphs(GraphTest):
    """Every kind of graph, executed on a stream."""

    def test_one_call_an_operation(self):
        names = self.bench.good_job("cudnn_graphs", "--list", preload=False).stdout.decode().split()
        # One plan of three shapes; a refused call has no operation.
        self.assertEqual(len(self.log), len(names) + 2)
        self.assertEqual(self.trace.total_calls(), len(self.log))
        self.assertEqual(self.trace.counters.get("failed_calls_not_counted"), 1)

    def test_convolutions(self):
        compared = 0
        for call, op, dims in self.pairs():
            if op.kind != "conv":
                continue
            self.assertIsInstance(call, mfut.Convolution, op)
            self.assertEqual((call.batch, call.c_in, call.c_out, call.groups),
                             (dims["n"], dims["c"], dims["k"], dims["groups"]), op)
            self.assertEqual((call.x, call.w, call.y),
                             tuple(extents(dims[key]) for key in "xwy"), op)
            self.assertEqual((call.direction, call.dtype), (DIRECTIONS[dims["op"]], DTYPES[dims["math"]]), op)
            self.assertEqual(call.provenance, EXACT)
            taps = call.w[0] * call.w[1] * call.w[2] * call.c_in // call.groups
            self.assertEqual(op.flop, 2 * call.batch * call.c_out * call.y[0] * call.y[1] * call.y[2] * taps)
            compared += 1
        self.assertGreaterEqual(compared, 11)

    def test_products(self):
        compared = 0
        for call, op, dims in self.pairs():
            if op.kind != "gemm" or "groups" in dims:
                continue
            self.assertIsInstance(call, mfut.Gemm, op)
            self.assertEqual((call.m, call.n, call.k, call.batch),
                             (dims["m"], dims["n"], dims["k"], dims["batch"]), op)
            self.assertEqual((call.entry, call.a, call.provenance),
                             ("cudnnBackendExecute", DTYPES[dims["dtype"]], EXACT), op)
            self.assertEqual(mfut.gemm_flop(call), op.flop, op)
            compared += 1
        self.assertEqual(compared, 5)

    def test_attention(self):
        compared = 0
        for call, op, dims in self.pairs():
            if op.kind != "attention":
                continue
            self.assertIsInstance(call, mfut.Attention, op)
            self.assertEqual((call.batch, call.heads_q, call.heads_kv, call.seq_q, call.seq_k),
                             tuple(dims[key] for key in ("b", "hq", "hk", "sq", "sk")), op)
            self.assertEqual((call.head_dim_qk, call.head_dim_v, call.direction, call.dtype),
                             (dims["dqk"], dims["dv"], DIRECTIONS[dims["op"]], DTYPES[dims["dtype"]]), op)
            self.check_count(call, op, dims)
            compared += 1
        self.assertGreater(compared, 45)
        print(f"{compared} calls of attention compared")

    def check_count(self, call, op, dims):
        if not dims["lengths"]:
            self.assertEqual(call.provenance, EXACT, f"{call} {op}")
            self.assertEqual(attention_flop(call), op.flop, f"{call} {op}")
            return
        self.assertEqual(call.provenance, BOUND, f"{call} {op}")
        self.assertGreater(attention_flop(call), op.flop, f"{call} {op}")

    def test_experts(self):
        (call, op, dims), = [pair for pair in self.pairs()
                             if pair[1].kind == "gemm" and "groups" in pair[2]]
        self.assertEqual(op.flop, 2 * dims["rows"] * 72 * 48)
        rows = {mfut.Gemm: lambda: call.m * call.batch,
                mfut.Compound: lambda: sum(self.trace.gemms[member].m * count for member, count in call.members)}
        self.assertIn(type(call), rows, call)
        self.assertEqual(rows[type(call)](), dims["rows"])

    def test_what_is_not_understood_is_named(self):
        unknown = [call for call, op, _ in self.pairs() if op.kind == "graph"]
        self.assertEqual(len(unknown), 1)
        self.assertIn("NORM_FORWARD", unknown[0][1])

    def test_report_has_the_logs_operations(self):
        """By kind and FLOPs of a call, since calls of one label may differ in what they write."""
        harness.require(harness.TOOL)
        report = self.run_.report()
        logged, found = Counter(), Counter()
        bounds = 0
        for op in self.log:
            dims = truth.numbers(op)
            if op.kind == "attention" and dims["lengths"] and not self.EXACT_LENGTHS:
                bounds += op.flop
            elif op.kind in COUNTED:
                logged[op.kind, op.flop, "calls"] += 1
                logged[op.kind, op.flop, "bytes"] += op.bytes + (
                    UNREAD_WEIGHTS if op.kind == "gemm" and "groups" in dims else 0)
        kinds = {"convolution": "conv", "attention": "attention", "gemm": "gemm"}
        for op in report["ops"]:
            if op["provenance"] == "exact" and op["kind"] in kinds:
                flop = op["flop_executed"] // op["calls"]
                found[kinds[op["kind"]], flop, "calls"] += op["calls"]
                found[kinds[op["kind"]], flop, "bytes"] += op["bytes_least"]
                self.assertEqual(op["dtype"], "bf16", op)
                self.assertIsNotNone(op["peak_flop_per_s"], op)
        self.assertEqual((dict(found - logged), dict(logged - found)), ({}, {}))
        self.assertGreaterEqual(report["run"]["flop_executed"], sum(op.flop for op in self.log))
        self.assertLessEqual(bounds, report["run"]["flop_bound"])


class DeviceLengths(Graphs):
    """The same with the lengths that lie in GPU memory read: nothing is a bound."""

    ENVIRONMENT = {"MFUTRACE_DEVICE_LENGTHS": "1"}
    EXACT_LENGTHS = True

    def check_count(self, call, op, dims):
        self.assertEqual(call.provenance, EXACT, f"{call} {op}")
        self.assertEqual(attention_flop(call), op.flop, f"{call} {op}")
        if dims["lengths"]:
            self.assertEqual(sum(count for _, _, count in call.lengths), call.batch, call)

    def test_report_sums_to_the_log(self):
        harness.require(harness.TOOL)
        run = self.run_.report()["run"]
        self.assertEqual((run["flop_executed"], run["flop_bound"]), (sum(op.flop for op in self.log), 0))


class OlderGraphs(DeviceLengths):
    """A cuDNN from before plans could be written as text: what was set of their descriptors gives the same."""

    ENVIRONMENT = {"MFUTRACE_DEVICE_LENGTHS": "1", "SIMGPU_CUDNN_NO_JSON": "1"}

    @classmethod
    def setUpClass(cls):
        harness.require(harness.SIMGPU, harness.PRELOAD, harness.JOBS / "job_cudnn_graphs")
        bench = harness.Bench()
        names = bench.good_job("cudnn_graphs", "--list", preload=False).stdout.decode().split()
        bench.close()
        # A plan cannot be made of text either.
        cls.ARGUMENTS = [name for name in names if name != "deserialized"]
        super().setUpClass()

    def test_one_call_an_operation(self):
        self.assertEqual(len(self.log), len(self.ARGUMENTS) + 2)
        self.assertEqual(self.trace.total_calls(), len(self.log))


class CudaGraphs(unittest.TestCase):
    """Graphs captured and replayed, and put into CUDA graphs by cuDNN itself: what each launch ran."""

    @classmethod
    def setUpClass(cls):
        harness.require(harness.SIMGPU, harness.PRELOAD, harness.TOOL, harness.JOBS / "job_cudnn_graphs")
        cls.bench = harness.Bench()
        cls.run_ = cls.bench.good_job("cudnn_graphs", "--graphs")
        cls.report = cls.run_.report()
        cls.log = [op for op in cls.run_.log if op.kind in COUNTED]

    @classmethod
    def tearDownClass(cls):
        cls.bench.close()

    def logged(self, kind, function):
        found = [op for op in self.log if (op.kind, op.function) == (kind, function)]
        return len(found), sum(op.flop for op in found)

    def ran(self, label):
        found = [op for op in self.report["ops"] if op["label"].startswith(label)]
        return sum(op["calls"] for op in found), sum(op["flop_executed"] for op in found)

    def test_each_replay_counts_what_was_captured(self):
        self.assertEqual(self.ran("conv fwd"), self.logged("conv", "cudnnBackendExecute"))
        calls, flop = self.logged("attention", "cudnnBackendExecute")
        self.assertEqual(self.ran("sdpa")[0], calls)
        self.assertGreater(self.ran("sdpa")[1], flop)

    def test_each_launch_counts_what_cudnn_put_in(self):
        self.assertEqual(self.ran("conv dgrad"), self.logged("conv", "cudnnBackendPopulateCudaGraph"))
        self.assertEqual(self.ran("conv wgrad"), self.logged("conv", "cudnnBackendUpdateCudaGraph"))


class Unnested(GraphTest):
    """Where cuDNN does not hand a product on, it is counted as where it does."""

    ENVIRONMENT = {"SIMGPU_CUDNN_NESTED": "0"}
    ARGUMENTS = ("matmul", "matmul_epilogue", "dynamic")

    def test_products(self):
        for call, op, dims in self.pairs():
            self.assertEqual((call.entry, call.m, call.n, call.k, call.batch),
                             ("cudnnBackendExecute", dims["m"], dims["n"], dims["k"], dims["batch"]), op)
        self.assertEqual(self.trace.gemm_flop(), sum(op.flop for op in self.log))


class Frontend(harness.JobTest):
    """NVIDIA's own cudnn-frontend, which finds the library by dlopen and dlsym."""

    def test_each_call_counts_what_ran(self):
        if not (harness.JOBS / "job_cudnn_frontend").exists():
            self.skipTest("not built: job_cudnn_frontend, which needs the headers of cudnn-frontend "
                          "(pip install nvidia-cudnn-frontend, then CUDNN_FRONTEND_HOME)")
        run = self.bench.good_job("cudnn_frontend", env=DeviceLengths.ENVIRONMENT)
        log = [op for op in run.log if op.kind in COUNTED]
        calls = sorted(run.trace.calls, key=lambda call: call.host_begin)
        self.assertEqual(len(calls), len(log))
        self.assertEqual(Counter(op.kind for op in log), {"conv": 1, "gemm": 1, "attention": 8})
        for call, op in zip(calls, log):
            attention = run.trace.attentions.get(call.signature)
            if op.kind == "attention":
                self.assertEqual((attention.provenance, attention_flop(attention)), (EXACT, op.flop), op)
        self.assertEqual(run.report()["run"]["flop_executed"], sum(op.flop for op in log))


class Mix(unittest.TestCase):
    """A step with convolutions, an LSTM, attention forward and backward, a grouped product and FP8."""

    @classmethod
    def setUpClass(cls):
        harness.require(harness.SIMGPU, harness.PRELOAD, harness.JOBS / "job_model_mix", harness.TOOL)
        cls.bench = harness.Bench()
        cls.run_ = cls.bench.good_job("model_mix")
        cls.report = cls.run_.report()
        cls.log = [op for op in cls.run_.log if op.kind in COUNTED]

    @classmethod
    def tearDownClass(cls):
        cls.bench.close()

    # (label begins with, kind, dtype): the log's (kind, function, op)
    EXPECTED = {
        ("conv fwd bf16 b4 64x30x28 > 96x30x26", "convolution", "bf16"): ("conv", "cudnnBackendExecute", "fprop"),
        ("conv dgrad bf16 b4 64x30x28 > 96x30x26", "convolution", "bf16"): ("conv", "cudnnBackendExecute", "dgrad"),
        ("conv wgrad bf16 b4 64x30x28 > 96x30x26", "convolution", "bf16"): ("conv", "cudnnBackendExecute", "wgrad"),
        ("conv fwd f16 b4 48x26x24 > 80x13x24", "convolution", "f16"): ("conv", "cudnnConvolutionForward", "fprop"),
        ("lstm fwd f16 46 steps 96>128 l2 bi", "rnn", "f16"): ("rnn", "cudnnRNNForward", "forward"),
        ("lstm dgrad f16 46 steps 96>128 l2 bi", "rnn", "f16"): ("rnn", "cudnnRNNBackwardData_v8", "data"),
        ("lstm wgrad f16 46 steps 96>128 l2 bi", "rnn", "f16"): ("rnn", "cudnnRNNBackwardWeights_v8", "weights"),
        ("sdpa bf16 b2 h16/4 s192/256 d128/64", "attention", "bf16"): ("attention", "cudnnBackendExecute", "fwd"),
        ("sdpa bwd bf16 b2 h16/4 s192/256 d128/64", "attention", "bf16"):
            ("attention", "cudnnBackendExecute", "bwd"),
        ("grouped gemm bf16 3 groups", "gemm", "bf16"): ("gemm", "cublasGemmGroupedBatchedEx", None),
        ("gemm f8_e4m3>bf16 128x96x160", "gemm", "f8_e4m3"): ("gemm", "cublasLtMatmul", None),
    }
    PEAKS = {"bf16": 989.4e12, "f16": 989.4e12, "f8_e4m3": 1978.9e12}

    def test_each_operation_has_its_label_format_flop_bytes_and_peak(self):
        left = list(self.report["ops"])
        for (label, kind, dtype), (log_kind, function, direction) in self.EXPECTED.items():
            found = [op for op in left if op["label"].startswith(label)]
            self.assertEqual(len(found), 1, f"{label}: {[op['label'] for op in left]}")
            op, = found
            left.remove(op)
            logged = [o for o in self.log if o.kind == log_kind and o.function == function
                      and truth.numbers(o).get("op") == direction]
            self.assertEqual(op["calls"], 3)
            self.assertEqual(len(logged), 3)
            self.assertEqual((op["kind"], op["dtype"]), (kind, dtype), label)
            self.assertEqual(op["flop_executed"], sum(o.flop for o in logged), label)
            self.assertEqual(op["bytes_least"], sum(o.bytes for o in logged), label)
            self.assertAlmostEqual(op["peak_flop_per_s"] / self.PEAKS[dtype], 1, places=3, msg=label)
            self.assertEqual(op["provenance"], "exact", label)
        self.assertEqual([op["label"] for op in left], [])

    def test_sum_equals_the_log(self):
        self.assertEqual(self.report["run"]["flop_executed"], sum(op.flop for op in self.log))
        self.assertEqual(sum(op["flop_executed"] for op in self.report["ops"]), sum(op.flop for op in self.log))

    def test_model_flop_leave_out_recomputed_scores(self):
        """Flash backward does five products, its model four: one of the width of queries less."""
        recomputed = sum(2 * truth.numbers(op)["pairs"] * truth.numbers(op)["dqk"] for op in self.log
                         if op.kind == "attention" and truth.numbers(op)["op"] == "bwd")
        self.assertGreater(recomputed, 0)
        self.assertEqual(self.report["run"]["flop_executed"] - self.report["run"]["flop_model"], recomputed)


class Older(unittest.TestCase):
    """job_cudnn_legacy: each call's FLOPs, in order."""

    @classmethod
    def setUpClass(cls):
        harness.require(harness.SIMGPU, harness.PRELOAD, harness.JOBS / "job_cudnn_legacy")
        cls.bench = harness.Bench()
        cls.run_ = cls.bench.good_job("cudnn_legacy")
        cls.trace = cls.run_.trace
        cls.log = [op for op in cls.run_.log if op.kind in COUNTED]

    @classmethod
    def tearDownClass(cls):
        cls.bench.close()

    def calls(self):
        trace = self.trace
        tables = (trace.convolutions, trace.rnns, trace.attentions, trace.compounds, trace.gemms)
        for call in sorted(trace.calls, key=lambda call: call.host_begin):
            yield next((table[call.signature] for table in tables if call.signature in table), None)

    def test_each_call_is_its_operation(self):
        calls = list(self.calls())
        self.assertEqual(len(calls), len(self.log))
        for call, op in zip(calls, self.log):
            dims = truth.numbers(op)
            self.assertIsNotNone(call, op)
            self.assertEqual(call.entry, op.function)
            if op.kind == "conv":
                self.assertEqual((call.batch, call.c_in, call.c_out, call.groups, call.direction),
                                 (dims["n"], dims["c"], dims["k"], dims["groups"], DIRECTIONS[dims["op"]]), op)
                self.assertEqual((call.x, call.w, call.y), tuple(extents(dims[key]) for key in "xwy"), op)
                self.assertEqual(call.dtype, DTYPES[dims["math"]], op)
            elif op.kind == "rnn":
                self.assertEqual((call.steps, call.input_size, call.hidden_size, call.projection_size, call.layers,
                                  call.directions, call.direction, call.flags & 1),
                                 (dims["steps"], dims["input"], dims["hidden"], dims["projection"], dims["layers"],
                                  dims["directions"], DIRECTIONS[dims["op"]], dims["skip"]), op)

    def test_report_sums_to_the_log(self):
        harness.require(harness.TOOL)
        report = self.run_.report()
        logged, found = Counter(), Counter()
        for op in self.log:
            logged[op.function if op.kind == "attention" else op.kind] += op.flop
        kinds = {"convolution": "conv", "rnn": "rnn"}
        for op in report["ops"]:
            found[kinds.get(op["kind"], "attention")] += op["flop_executed"]
        self.assertEqual(found["conv"], logged["conv"])
        self.assertEqual(found["rnn"], logged["rnn"])
        self.assertEqual(report["run"]["flop_executed"], sum(op.flop for op in self.log))


if __name__ == "__main__":
    harness.main()
