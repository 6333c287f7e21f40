// Parts of the job cublas_every: the legacy interface, whose header cannot stand beside
// cublas_v2.h, and cublasXt.
#pragma once

#include "cublas_every.h"

namespace jobs {

void CallLegacy(const Operands& operands, bool only_lists);
void CallXt(const Operands& operands, bool only_lists);

}  // namespace jobs
