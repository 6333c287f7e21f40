// What an inference server writes into the profile about each of its steps. Used by the Kineto
// import.
#pragma once

#include <optional>

#include "absl/strings/string_view.h"
#include "report/model/timeline.h"

namespace mfutrace::report {

// vLLM's range around a step (vllm/v1/worker/gpu_worker.py): requests and queries of both kinds,
// and in some versions sums over requests of queries, keys and their products:
//   execute_context_9(8155)_generation_37(37)
//   execute_8192_context_9(sq8155sk8430sqsq7475785sqsk7671310)_generation_37(sq37sk34489...)
// Times are the caller's. nullopt for any other name.
std::optional<ServingStep> ServingStepNamed(absl::string_view name);

}  // namespace mfutrace::report
