"""Work that reaches an intercepted function more than once counts once: libraries that call each other,
and products that were refused and tried again elsewhere.
"""

import unittest
from collections import Counter

import harness
import truth


def logged(run):
    """{(m, n, k): how often} of the products that the simulator ran; other routines by their sizes too."""
    found = Counter()
    for op in harness.gemm_ops(run.log):
        dims = truth.numbers(op)
        found[op.function, dims["m"], dims["n"], dims["k"]] += 1
    return found


def recorded(run):
    found = Counter()
    for call in run.trace.calls:
        signature = run.trace.gemms.get(call.signature) or run.trace.matrices[call.signature]
        found[signature.entry, signature.m, signature.n, signature.k] += 1
    return found


class Nested(harness.JobTest):
    OWN = Counter({("cublasSgemm_v2", 8, 16, 24): 1, ("cublasSgemm_v2", 32, 40, 48): 3})
    INNER = Counter({("cublasSgemm_v2", 56, 64, 72): 3, ("cublasStrsm_v2", 80, 88, 0): 3,
                     ("cublasGemmEx", 96, 104, 112): 3})

    def solve(self, folder, **env):
        library = harness.JOBS / folder / "libcusolver.so.12"
        harness.require(library)
        run = self.bench.good_job("nested", "solver", library, env=env)
        self.assertEqual(run.stdout, b"solve: status 0\n" * 3)
        self.assertEqual(logged(run), self.OWN + self.INNER)
        return run

    def test_solver_that_calls_cublas_counts_each_product_once(self):
        run = self.solve("cusolver-linked")
        self.assertEqual(recorded(run), self.OWN + self.INNER)
        harness.require(harness.TOOL)
        self.assertEqual(run.report()["run"]["flop_executed"],
                         sum(op.flop for op in harness.gemm_ops(run.log)))

    def test_solver_that_looks_cublas_up_counts_nothing_twice(self):
        # Vendors' libraries look their own public names up in each other; what they find is the real
        # function (interpose/README.md), so these calls are not seen. What cuBLAS hands on to cuBLASLt
        # by the linker is, once.
        run = self.solve("cusolver-lookup")
        self.assertEqual(recorded(run), self.OWN + Counter({("cublasLtMatmul", 96, 104, 112): 3}))
        run = self.solve("cusolver-lookup", SIMGPU_CUBLAS_NESTED=0)
        self.assertEqual(recorded(run), self.OWN)

    def test_cublas_inside_cusolver_without_cublaslt(self):
        run = self.solve("cusolver-linked", SIMGPU_CUBLAS_NESTED=0)
        self.assertEqual(recorded(run), self.OWN + self.INNER)


class Retried(harness.JobTest):
    def retry(self, **env):
        run = self.bench.good_job("nested", "retry", env=env)
        bare = self.bench.good_job("nested", "retry", env=env, preload=False)
        self.assertEqual(run.stdout, bare.stdout)
        self.assertEqual(recorded(run), logged(run))
        return run, run.stdout.decode().splitlines()

    def test_nothing_fails(self):
        run, lines = self.retry()
        self.assertEqual(lines, [f"{i}: cublasLtMatmul 0" for i in range(1, 5)])
        self.assertEqual(len(run.trace.calls), 4)

    def test_a_product_that_cublaslt_refused_counts_once(self):
        run, lines = self.retry(SIMGPU_FAIL="cublasLtMatmul:2")
        self.assertRegex(lines[1], r"^2: cublasLtMatmul [1-9]\d*, cublasGemmEx 0$")
        self.assertEqual(recorded(run)["cublasGemmEx", 32, 50, 96], 1)
        self.assertEqual(len(run.trace.calls), 4)

    def test_a_product_that_nobody_did_counts_nothing(self):
        # The second cublasGemmEx of the solver fails because the cublasLtMatmul inside it does.
        run = self.bench.good_job("nested", "solver", harness.JOBS / "cusolver-linked/libcusolver.so.12",
                                  env={"SIMGPU_FAIL": "cublasLtMatmul:2"})
        self.assertRegex(run.stdout.decode(), r"status 0\nsolve: status [1-9]\d*\nsolve: status 0")
        self.assertEqual(recorded(run), logged(run))
        self.assertEqual(recorded(run)["cublasGemmEx", 96, 104, 112], 2)


if __name__ == "__main__":
    harness.main()
