// See cublas_every_legacy.h.
#include "cublas_every_legacy.h"

#include <cublas.h>

namespace jobs {
namespace {

template <typename Function>
void Try(const char* name, Function* function, const Operands& operands, bool only_lists,
         const Manner& manner) {
  if (only_lists) {
    std::puts(name);
    return;
  }
  Call(function, operands, manner, [name] {
    const cublasStatus status = cublasGetError();
    if (status == CUBLAS_STATUS_SUCCESS) return;
    std::fprintf(stderr, "%s: status %d\n", name, static_cast<int>(status));
    std::exit(1);
  });
}

}  // namespace

#define ONE(name, ...) Try(#name, &name, operands, only_lists, Manner{__VA_ARGS__});
#define REAL(routine, ...) ONE(cublasS##routine, __VA_ARGS__) ONE(cublasD##routine, __VA_ARGS__)
#define COMPLEX(routine, ...) ONE(cublasC##routine, __VA_ARGS__) ONE(cublasZ##routine, __VA_ARGS__)
#define FOUR(routine, ...) REAL(routine, __VA_ARGS__) COMPLEX(routine, __VA_ARGS__)

void CallLegacy(const Operands& operands, bool only_lists) {
  if (!only_lists && cublasInit() != CUBLAS_STATUS_SUCCESS) {
    std::fprintf(stderr, "cublasInit failed\n");
    std::exit(1);
  }
  FOUR(gemm, .letters = "tt")
  FOUR(symm, .letters = "su")
  COMPLEX(hemm, .letters = "su")
  FOUR(syrk, .letters = "ut")
  COMPLEX(herk, .is_hermitian = true, .letters = "ut")
  FOUR(syr2k, .letters = "ut")
  COMPLEX(her2k, .is_hermitian = true, .letters = "ut")
  FOUR(trmm, .letters = "sutd")
  FOUR(trsm, .letters = "sutd")
  FOUR(gemv, .letters = "t")
  REAL(ger)
  COMPLEX(geru)
  COMPLEX(gerc)
  REAL(symv, .letters = "u")
  COMPLEX(hemv, .letters = "u")
  FOUR(gbmv, .is_band = true, .first = 5, .letters = "t")
  REAL(sbmv, .is_falling = true, .letters = "u")
  COMPLEX(hbmv, .is_falling = true, .letters = "u")
  REAL(spmv, .letters = "u")
  COMPLEX(hpmv, .letters = "u")
  FOUR(trmv, .letters = "utd")
  FOUR(trsv, .letters = "utd")
  FOUR(tbmv, .is_falling = true, .letters = "utd")
  FOUR(tbsv, .is_falling = true, .letters = "utd")
  FOUR(tpmv, .letters = "utd")
  FOUR(tpsv, .letters = "utd")
  REAL(syr, .letters = "u")
  COMPLEX(her, .letters = "u")
  REAL(spr, .letters = "u")
  COMPLEX(hpr, .letters = "u")
  REAL(syr2, .letters = "u")
  COMPLEX(her2, .letters = "u")
  REAL(spr2, .letters = "u")
  COMPLEX(hpr2, .letters = "u")
  if (!only_lists) cublasShutdown();
}

}  // namespace jobs
