// cuBLAS routines other than products: their arithmetic against loops that count, and the arguments
// they refuse.
#include <cublas_v2.h>

#include "node.h"

namespace simgpu_test {
namespace {

struct Node {
  cublasHandle_t handle = nullptr;
  float* f = nullptr;
  cuComplex* c = nullptr;
  float** pointers = nullptr;
  Node() {
    EXPECT_EQ(cublasCreate(&handle), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&f), 1 << 20), cudaSuccess);
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&pointers), 1 << 10), cudaSuccess);
    c = reinterpret_cast<cuComplex*>(f);
  }
};

constexpr auto kLeft = CUBLAS_SIDE_LEFT;
constexpr auto kRight = CUBLAS_SIDE_RIGHT;
constexpr auto kLower = CUBLAS_FILL_MODE_LOWER;
constexpr auto kN = CUBLAS_OP_N;
constexpr auto kUnit = CUBLAS_DIAG_UNIT;
constexpr auto kRefused = CUBLAS_STATUS_INVALID_VALUE;
constexpr float kOne = 1;

// Forward substitution of one right-hand side after the other.
uint64_t CountSolve(int order, int columns, uint64_t multiplication, uint64_t addition) {
  uint64_t count = 0;
  for (int column = 0; column < columns; ++column) {
    for (int row = 0; row < order; ++row) {
      for (int i = 0; i < row; ++i) count += multiplication + addition;
      count += multiplication;  // by the diagonal's reciprocal
    }
  }
  return count;
}

uint64_t CountBand(int m, int n, int lower, int upper) {
  uint64_t count = 0;
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) count += i - j <= lower && j - i <= upper ? 2 : 0;
  }
  return count;
}

// Gaussian elimination by the pivots' reciprocals.
uint64_t CountElimination(int n) {
  uint64_t count = 0;
  for (int pivot = 0; pivot < n; ++pivot) {
    ++count;
    for (int i = pivot + 1; i < n; ++i) {
      ++count;
      for (int j = pivot + 1; j < n; ++j) count += 2;
    }
  }
  return count;
}

TEST(Routine, FlopsEqualCountedLoops) {
  const Log log = RunOne({}, [] {
    const Node x;
    const cuComplex one = {1, 0};
    EXPECT_EQ(cublasStrsm(x.handle, kLeft, kLower, kN, kUnit, 7, 5, &kOne, x.f, 7, x.f, 7), 0);
    EXPECT_EQ(cublasStrsm(x.handle, kRight, kLower, kN, kUnit, 7, 5, &kOne, x.f, 7, x.f, 7), 0);
    EXPECT_EQ(cublasCtrsm(x.handle, kRight, kLower, kN, kUnit, 7, 5, &one, x.c, 7, x.c, 7), 0);
    EXPECT_EQ(cublasSgbmv(x.handle, kN, 9, 6, 2, 3, &kOne, x.f, 6, x.f, 1, &kOne, x.f, 1), 0);
    EXPECT_EQ(cublasSgetrfBatched(x.handle, 8, x.pointers, 8, nullptr, nullptr, 3), 0);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  const Log found = Only(log, "gemm");
  const uint64_t expected[] = {CountSolve(7, 5, 1, 1), CountSolve(5, 7, 1, 1),
                               CountSolve(5, 7, 6, 2), CountBand(9, 6, 2, 3),
                               3 * CountElimination(8)};
  ASSERT_EQ(found.size(), std::size(expected));
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].flop, expected[i]) << found[i].function;
  }
}

TEST(Routine, RefusedArgumentsLeaveNoLine) {
  const Log log = RunOne({}, [] {
    const Node x;
    const auto h = x.handle;
    EXPECT_EQ(cublasSsymm(h, kLeft, kLower, 7, 5, &kOne, x.f, 6, x.f, 7, &kOne, x.f, 7), kRefused)
        << "leading dimension of A, 7 rows";
    EXPECT_EQ(cublasSsymm(h, kRight, kLower, 7, 5, &kOne, x.f, 5, x.f, 6, &kOne, x.f, 7), kRefused)
        << "leading dimension of B";
    EXPECT_EQ(cublasSsyrk(h, kLower, kN, -1, 5, &kOne, x.f, 7, &kOne, x.f, 7), kRefused);
    EXPECT_EQ(cublasCherk(h, kLower, CUBLAS_OP_T, 3, 5, &kOne, x.c, 7, &kOne, x.c, 7), kRefused)
        << "Hermitian updates are N or C";
    EXPECT_EQ(cublasSgemv(h, kN, 4, 5, &kOne, x.f, 4, x.f, 0, &kOne, x.f, 1), kRefused)
        << "increment 0";
    EXPECT_EQ(cublasSgbmv(h, kN, 9, 6, 2, 3, &kOne, x.f, 5, x.f, 1, &kOne, x.f, 1), kRefused)
        << "six diagonals";
    EXPECT_EQ(cublasSmatinvBatched(h, 33, x.pointers, 33, x.pointers, 33, nullptr, 2), kRefused)
        << "32 at most";
    int info = 7;
    EXPECT_EQ(cublasSgetrsBatched(h, kN, 4, 3, x.pointers, 3, nullptr, x.pointers, 4, &info, 2),
              kRefused);
    EXPECT_LT(info, 0);
    EXPECT_EQ(cublasSsyrk(nullptr, kLower, kN, 3, 5, &kOne, x.f, 7, &kOne, x.f, 7),
              CUBLAS_STATUS_NOT_INITIALIZED);
    EXPECT_EQ(cublasSsyrk(h, kLower, kN, 0, 5, &kOne, x.f, 7, &kOne, x.f, 7), 0) << "empty";
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  });
  EXPECT_TRUE(Only(log, "gemm").empty());
}

}  // namespace
}  // namespace simgpu_test
