// The cublasXt part of the job cublas_every.
#include <cublasXt.h>

#include "check.h"
#include "cublas_every_legacy.h"

namespace jobs {
namespace {

template <typename Function>
void Try(const char* name, Function* function, const Operands& operands, bool only_lists,
         const Manner& manner) {
  if (only_lists) {
    std::puts(name);
    return;
  }
  Call(function, operands, manner, [name](cublasStatus_t status) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    std::fprintf(stderr, "%s: status %d\n", name, static_cast<int>(status));
    std::exit(1);
  });
}

}  // namespace

#define ONE(name, ...) Try(#name, &name, with, only_lists, Manner{__VA_ARGS__});
#define COMPLEX(routine, ...) \
  ONE(cublasXtC##routine, __VA_ARGS__) ONE(cublasXtZ##routine, __VA_ARGS__)
#define FOUR(routine, ...)             \
  ONE(cublasXtS##routine, __VA_ARGS__) \
  ONE(cublasXtD##routine, __VA_ARGS__) COMPLEX(routine, __VA_ARGS__)

void CallXt(const Operands& operands, bool only_lists) {
  Operands with = operands;
  if (!only_lists) {
    int device = 0;
    Check(cublasXtCreate(&with.xt_handle));
    Check(cublasXtDeviceSelect(with.xt_handle, 1, &device));
  }
  FOUR(gemm)
  FOUR(syrk)
  COMPLEX(herk, .is_hermitian = true)
  FOUR(syr2k)
  COMPLEX(her2k, .is_hermitian = true)
  FOUR(syrkx)
  COMPLEX(herkx, .is_hermitian = true)
  FOUR(symm)
  COMPLEX(hemm)
  FOUR(spmm)
  FOUR(trmm)
  FOUR(trsm)
  if (!only_lists) Check(cublasXtDestroy(with.xt_handle));
}

}  // namespace jobs
