"""Every compute entry point of cuBLAS, called through libmfutrace.so with dimensions that differ from each
other: what was recorded against what the simulated node logged, by name, and the FLOPs against its sums.

The rows of interpose/entry_points.def say what has to be there; a row that the job does not call fails
too.
"""

import re
import unittest
from collections import Counter, defaultdict

import harness
import mfut
import truth

# Entry points of the job that may lack a row, as patterns of whole names.
UNCOUNTED = []
# Rows of cuBLAS that do no arithmetic.
NOT_COMPUTE = set()

DTYPES = {"f64": 1, "f32": 2, "f16": 3, "bf16": 4, "i8": 14, "u8": 19, "c64": 21, "c32": 22, "ci8": 25}
ROUTINES = {"symm": 1, "hemm": 2, "syrk": 3, "herk": 4, "syr2k": 5, "her2k": 6, "syrkx": 7, "herkx": 8,
            "trmm": 9, "trsm": 10, "gemv": 11, "gbmv": 12, "symv": 13, "hemv": 14, "trmv": 15, "trsv": 16,
            "ger": 17, "syr": 18, "her": 19, "syr2": 20, "her2": 21, "geam": 22, "dgmm": 23, "getrf": 24,
            "getrs": 25, "getri": 26, "matinv": 27, "geqrf": 28, "gels": 29}
# Banded and packed forms are the routine with another way to store its matrix.
STORED = {"sbmv": "symv", "hbmv": "hemv", "spmv": "symv", "hpmv": "hemv", "tbmv": "trmv", "tpmv": "trmv",
          "tbsv": "trsv", "tpsv": "trsv", "spr": "syr", "hpr": "her", "spr2": "syr2", "hpr2": "her2",
          "spmm": "symm", "geru": "ger", "gerc": "ger"}
SIDES = {"left": 0, "right": 1}
BETAS = {"device": 0, "zero": 1, "nonzero": 2}


def routine_of(name):
    """"cublasCherk3mEx_64" -> "herk", by the name alone."""
    base = re.sub(r"_64$|_v2$", "", re.sub(r"_64$", "", name))
    base = re.sub(r"(StridedBatched|Batched|3mEx|Ex)$", "", base)
    base = re.fullmatch(r"cublas(?:Xt)?(?:HSH|HSS|TST|TSS|[SDCZH])(\w+)", base).group(1)
    return STORED.get(base, base)


def rows_of_the_table():
    text = (harness.SOURCE / "interpose/entry_points.def").read_text()
    return set(re.findall(r"^MFU_ENTRY\(\s*(\w+),\s*kCublas,", text, re.M)) - NOT_COMPUTE


def shapes_of_groups(text):
    found = Counter()
    for group in text.split("/"):
        m, n, k, count = map(int, group.split("x"))
        found[m, n, k] += count
    return found


class EveryEntry(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.require(harness.SIMGPU, harness.PRELOAD, harness.JOBS / "job_cublas_every")
        cls.bench = harness.Bench()
        listed = cls.bench.good_job("cublas_every", "--list", preload=False)
        cls.names = set(listed.stdout.decode().split())
        cls.run_ = cls.bench.good_job("cublas_every")
        cls.trace = cls.run_.trace
        cls.rows = rows_of_the_table()
        cls.logged = defaultdict(list)
        for op in harness.gemm_ops(cls.run_.log):
            cls.logged[op.function].append(op)
        cls.recorded = defaultdict(list)
        for call in sorted(cls.trace.calls, key=lambda call: call.host_begin):
            signature = cls.signature(call.signature)
            cls.recorded[signature.entry if signature else None].append(signature)

    @classmethod
    def tearDownClass(cls):
        cls.bench.close()

    @classmethod
    def signature(cls, index):
        trace = cls.trace
        return (trace.gemms.get(index) or trace.matrices.get(index) or trace.compounds.get(index))

    def compared(self):
        return sorted(self.names & self.rows)

    def test_job_calls_what_it_lists(self):
        self.assertEqual(set(self.logged), self.names)

    def test_no_two_dimensions_are_equal(self):
        for ops in self.logged.values():
            for op in ops:
                dims = truth.numbers(op)
                groups = dims.get("groups")
                for shape in (map(int, g.split("x")) for g in groups.split("/")) if groups else [
                        [dims[key] for key in ("m", "n", "k", "kl", "ku") if dims.get(key)] +
                        [dims["batch"]]]:
                    shape = list(shape)
                    self.assertEqual(len(set(shape)), len(shape), op)
                    self.assertNotIn(0, shape)

    def test_log_has_the_published_counts(self):
        """LAPACK Working Note 41 in closed form, real (complex) operands."""
        checked = 0
        for op in (op for ops in self.logged.values() for op in ops):
            dims = truth.numbers(op)
            if "groups" in dims:
                sizes = [map(int, g.split("x")) for g in dims["groups"].split("/")]
                self.assertEqual(op.flop, sum(2 * m * n * k * b for m, n, k, b in sizes), op)
                continue
            m, n, k, batch = (dims[key] for key in ("m", "n", "k", "batch"))
            is_complex = dims["dtype"].startswith("c")
            s, o = (n, m) if dims.get("side") == "right" else (m, n)
            times = 1 if not is_complex else 3 if "3m" in op.function else 4
            expected = {
                "gemm": times * 2 * m * n * k, "symm": times * 2 * s * s * o,
                "syrk": times * k * n * (n + 1), "syrkx": times * k * n * (n + 1),
                "syr2k": times * 2 * k * n * n, "trmm": o * s * s + is_complex * (3 * o * s * s + 2 * o * s),
                "trsm": o * s * s + is_complex * (3 * o * s * s + 2 * o * s), "gemv": times * 2 * m * n,
                "ger": times * 2 * m * n}.get(dims.get("routine", "gemm"))
            if expected is not None:
                self.assertEqual(op.flop, expected * batch, op)
                checked += 1
        self.assertGreater(checked, 700)

    def test_every_row_is_called(self):
        self.assertEqual(sorted(self.rows - self.names), [], "rows that the job does not call")

    def test_every_entry_point_has_a_row(self):
        missing = sorted(self.names - self.rows)
        allowed = [name for name in missing if any(re.fullmatch(p, name) for p in UNCOUNTED)]
        print(f"{len(self.names)} entry points, {len(self.rows & self.names)} with a row, "
              f"{len(allowed)} uncounted by intent")
        self.assertEqual([name for name in missing if name not in allowed], [])

    def test_nothing_else_is_recorded(self):
        expected = set(self.compared())
        if self.names - self.rows:
            expected.add("cublasLtMatmul")  # called inside one that has no row
        self.assertLessEqual(set(self.recorded), expected)
        self.assertEqual(self.trace.opaque, {})

    def test_every_call_has_the_logs_dimensions(self):
        calls = 0
        self.betas = Counter()
        for name in self.compared():
            found, ops = self.recorded[name], self.logged[name]
            with self.subTest(name):
                self.assertEqual(len(found), len(ops))
                for signature, op in zip(found, ops):
                    self.same(signature, truth.numbers(op))
                    calls += 1
        print(f"{len(self.compared())} entry points compared, {calls} calls, beta {dict(self.betas)}")
        self.assertGreater(self.betas["zero"], 400)
        self.assertGreater(self.betas["nonzero"], 400)

    def same(self, found, dims):
        message = f"{found} is not {dims}"
        if "groups" in dims:
            self.assertIsInstance(found, mfut.Compound)
            shapes = Counter()
            for member, count in found.members:
                gemm = self.trace.gemms[member]
                shapes[gemm.m, gemm.n, gemm.k] += gemm.batch * count
                self.assertEqual(gemm.a, DTYPES[dims["dtype"]], message)
            self.assertEqual(shapes, shapes_of_groups(dims["groups"]), message)
            return
        k = dims["k"]
        routine = dims.get("routine", "gemm")
        if routine in ("sbmv", "tbmv", "tbsv"):
            k += 1  # stored diagonals
        elif routine == "gbmv":
            k = dims["kl"] + dims["ku"] + 1
        expected = (dims["m"], dims["n"], k, dims["batch"])
        self.assertEqual((found.m, found.n, found.k, found.batch), expected, message)
        if "beta" in dims:
            self.assertEqual(found.beta, BETAS[dims["beta"]], message)
            self.betas[dims["beta"]] += 1
        if routine == "gemm":
            self.assertIsInstance(found, mfut.Gemm)
            self.assertEqual((found.a, found.d), (DTYPES[dims["dtype"]], DTYPES[dims["out"]]), message)
            return
        self.assertIsInstance(found, mfut.Matrix)
        self.assertEqual((found.dtype, found.result), (DTYPES[dims["dtype"]], DTYPES[dims["out"]]), message)
        self.assertEqual(found.routine, ROUTINES[routine_of(found.entry)], message)
        if "side" in dims:
            self.assertEqual(found.side, SIDES[dims["side"]], message)

    def test_report_has_the_logs_flop_of_each_routine(self):
        harness.require(harness.TOOL)
        report = self.run_.report()
        logged = Counter()
        for name in self.compared():
            for op in self.logged[name]:
                dims = truth.numbers(op)
                routine = routine_of(name) if "routine" in dims and dims["routine"] != "gemm" else "gemm"
                # The table of shapes/matrix.h counts a general band with its corners.
                if routine == "gbmv":
                    per_term = 8 if dims["dtype"].startswith("c") else 2
                    band = min(dims["m"], dims["kl"] + dims["ku"] + 1)
                    self.assertLessEqual(op.flop, per_term * band * dims["n"])
                    logged[routine] += per_term * band * dims["n"]
                else:
                    logged[routine] += op.flop
        if self.names - self.rows:
            for signature in self.recorded.get("cublasLtMatmul", []):
                logged["gemm"] += mfut.gemm_flop(signature)
        found = Counter()
        for op in report["ops"]:
            word = op["label"].split()[0]
            found[word if op["kind"] == "matrix" else "gemm"] += op["flop_executed"]
        self.assertEqual(found, logged)
        self.assertEqual(report["run"]["flop_executed"], sum(logged.values()))


if __name__ == "__main__":
    harness.main()
