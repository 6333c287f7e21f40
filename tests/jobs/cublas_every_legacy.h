// The legacy half of the job cublas_every: its header cannot stand beside cublas_v2.h.
#pragma once

#include "cublas_every.h"

namespace jobs {

void CallLegacy(const Operands& operands, bool only_lists);

}  // namespace jobs
