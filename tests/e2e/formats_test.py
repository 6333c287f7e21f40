"""Which arithmetic a product runs in and what it moves: formats, scales, epilogues, math modes, compute
types and environment, through libmfutrace.so, against the simulated node's own log.
"""

import re
import unittest

import harness
import truth

# shapes::Dtype and the other enumerators that traces hold (docs/FORMAT.md), by the log's words.
DTYPES = {"f64": 1, "f32": 2, "f16": 3, "bf16": 4, "f8e4m3": 5, "f8e5m2": 6, "f4e2m1": 10, "i32": 12,
          "i8": 14, "c64": 21, "c32": 22}
NAMES = {1: "f64", 2: "f32", 3: "f16", 4: "bf16", 5: "f8_e4m3", 6: "f8_e5m2", 10: "f4_e2m1", 14: "i8"}
MASK = 26  # of bits: shapes::Dtype::kBool
BETA = {"device": 0, "zero": 1, "nonzero": 2}
UNSCALED = 0  # the vendor's scale modes are ours less one
DEFAULT, TF32, REDUCED_F16, REDUCED_BF16, EMULATED_F32, EMULATED_F64, PEDANTIC = range(7)
REDUCED = {"tf32": TF32, "f16": REDUCED_F16, "bf16": REDUCED_BF16}
PEDANTIC_COMPUTE = {65, 69, 71, 73}  # cublasComputeType_t: 16F, 32F, 64F, 32I


def by_order(run):
    """(signature, dimensions of the log, operation) of each call of a job with one stream."""
    calls = sorted(run.trace.calls, key=lambda call: call.host_begin)
    ops = harness.gemm_ops(run.log)
    assert len(calls) == len(ops), f"{len(calls)} calls, {len(ops)} products"
    return [(run.trace.gemms[call.signature], truth.numbers(op), op) for call, op in zip(calls, ops)]


def row_of(report, found):
    rows = [row for row in report["ops"]
            if re.search(rf" {found.m}x{found.n}x{found.k}( |$)", row["label"])]
    assert len(rows) == 1, rows
    return rows[0]


class ScaledProducts(harness.JobTest):
    PEAK_F4 = 3957.8e12

    def setUp(self):
        super().setUp()
        device = self.bench.folder / "device"
        device.write_text(f"base = h100\npeak_f4 = {self.PEAK_F4}\n")
        self.env = {"SIMGPU_DEVICE": device}

    def test_calls_have_the_logs_scales_epilogues_and_formats(self):
        run = self.bench.good_job("lt_scaled", env=self.env)
        self.assertEqual(run.trace.opaque, {})
        pairs = by_order(run)
        self.assertGreaterEqual(len(pairs), 18)
        for found, dims, _ in pairs:
            with self.subTest(dims=dims):
                self.assertEqual(found.entry, "cublasLtMatmul")
                self.assertEqual((found.m, found.n, found.k, found.batch),
                                 (dims["m"], dims["n"], dims["k"], dims["batch"]))
                self.assertEqual((found.a, found.b, found.c, found.d),
                                 tuple(DTYPES[dims[key]] for key in ("dtype", "b", "c", "out")))
                self.assertEqual((found.scale_a, found.scale_b, found.scale_d),
                                 tuple(dims[key] + 1 for key in ("scale_a", "scale_b", "scale_d")))
                self.assertEqual(found.epilogue, dims["epilogue"])
                self.assertEqual(found.bias, DTYPES.get(dims["bias"], 0))
                aux = dims["aux"]
                self.assertEqual(found.aux, MASK if aux == "mask" else DTYPES.get(aux, 0))
                self.assertEqual(found.beta, BETA[dims["beta"]])
        seen = {key: {dims[key] for _, dims, _ in pairs} for key in ("scale_a", "scale_d", "aux", "beta")}
        self.assertEqual(seen["scale_a"], {-1, 0, 1, 2, 3, 4})
        self.assertEqual(seen["scale_d"], {-1, 0, 1, 2})
        self.assertEqual(seen["beta"], {"zero", "nonzero"})

    def test_report_has_the_logs_flop_bytes_and_peaks(self):
        harness.require(harness.TOOL)
        run = self.bench.good_job("lt_scaled", env=self.env)
        report = run.report()
        for found, dims, op in by_order(run):
            with self.subTest(dims=dims):
                row = row_of(report, found)
                self.assertEqual(row["flop_executed"], op.flop)
                self.assertEqual(row["bytes_least"], op.bytes)
                self.assertEqual(row["kind"], "gemm")
        self.assertEqual(report["run"]["flop_executed"], sum(op.flop for op in harness.gemm_ops(run.log)))
        labels = " ".join(row["label"] for row in report["ops"])
        for recipe in ("f4_e2m1(nvfp4)>bf16", "f8_e4m3*f8_e5m2(mxfp8)>bf16", "f8_e4m3(rowwise)>bf16",
                       "f8_e4m3(block128)>f32", "f32(bf16x9)", "f64(fixed)", "f32(tf32)"):
            self.assertIn(recipe, labels)


class MathModes(harness.JobTest):
    def compare(self, **env):
        run = self.bench.good_job("math_modes", env=env)
        seen = set()
        for found, dims, _ in by_order(run):
            is_single = dims["dtype"] in ("f32", "c32")
            is_double = dims["dtype"] == "f64"
            if dims.get("emulated") == "yes":
                expected = EMULATED_F32 if is_single else EMULATED_F64
            elif is_single and dims["math"] in REDUCED:
                expected = REDUCED[dims["math"]]
            else:
                expected = None  # the vendor's own arithmetic of the format, pedantic or not
            with self.subTest(dims=dims):
                if expected is None:
                    self.assertIn(found.math, (DEFAULT, PEDANTIC))
                    if dims["compute"] in PEDANTIC_COMPUTE:
                        self.assertEqual(found.math, PEDANTIC)
                else:
                    self.assertEqual(found.math, expected)
                self.assertEqual(found.compute_code, dims["compute"])
                self.assertEqual(found.accumulate, {64: 3, 65: 3, 70: 1, 71: 1, 79: 1, 72: 12}.get(
                    dims["compute"], 2))
                self.assertEqual(found.a, DTYPES[dims["dtype"]])
            self.assertTrue(is_single or is_double or dims["math"] == dims["dtype"])
            seen.add((dims["dtype"], dims["math"], dims.get("emulated", "no")))
        return run, seen

    def test_handle_and_compute_type_decide(self):
        run, seen = self.compare()
        self.assertLessEqual({("f32", "f32", "no"), ("f32", "tf32", "no"), ("f32", "f16", "no"),
                              ("f32", "bf16", "no"), ("f32", "f32", "yes"), ("c32", "tf32", "no"),
                              ("c32", "f32", "yes"), ("f64", "f64_tensor", "no"),
                              ("f64", "f64_tensor", "yes"), ("f16", "f16", "no")}, seen)
        # Flagged, counted as asked for, and held against no peak.
        harness.require(harness.TOOL)
        report = run.report()
        self.assertEqual(report["run"]["flop_executed"],
                         sum(op.flop for op in harness.gemm_ops(run.log)))
        emulated = [row for row in report["ops"] if "(bf16x9)" in row["label"] or "(fixed)" in row["label"]]
        self.assertGreaterEqual(len(emulated), 8)
        for row in emulated:
            self.assertIsNone(row["roofline_ns_per_call"], row)

    def test_override_of_tf32_goes_first(self):
        _, seen = self.compare(NVIDIA_TF32_OVERRIDE=0)
        self.assertNotIn("tf32", {math for _, math, _ in seen})
        self.assertIn(("f32", "f16", "no"), seen)

    def test_environment_turns_emulation_on(self):
        _, seen = self.compare(CUBLAS_EMULATE_SINGLE_PRECISION=1)
        self.assertIn(("f32", "tf32", "no"), seen)  # a compute type of its own
        self.assertIn(("f64", "f64_tensor", "no"), seen)
        _, seen = self.compare(CUBLAS_EMULATE_DOUBLE_PRECISION=1)
        self.assertIn(("f64", "f64_tensor", "yes"), seen)
        self.assertIn(("f32", "f32", "no"), seen)


if __name__ == "__main__":
    harness.main()
