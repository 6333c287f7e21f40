// Where CUPTI is left alone unless somebody asks for it by name.
//
// It serves one client, and some of its clients are started by the environment: whoever has set
// their variables wants that profiler, not this one. And it is known to hurt with drivers before
// CUDA 12.6, where tearing it down crashes processes with CUDA graphs (PyTorch keeps it loaded
// there for that reason).
#pragma once

namespace mfutrace::interpose::cupti {

// nullptr, or the reason (static storage). `driver_version` as cuDriverGetVersion tells it; 0 =
// unknown.
const char* ReasonToStayAway(int driver_version);

}  // namespace mfutrace::interpose::cupti
