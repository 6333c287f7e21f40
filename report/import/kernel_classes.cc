// The table of kernel_classes.h. A profile says nothing about the API above a kernel that can be
// trusted more than its name: PyTorch hangs a collective's metadata on every kernel launched inside
// record_param_comms, plain copies included.
#include "report/import/kernel_classes.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace mfutrace::report {
namespace {

struct Row {
  absl::string_view part;  // lower case; anywhere in the name, in any case
  CommFamily family;
};

constexpr Row kRows[] = {
    {"nccl", CommFamily::kNccl},             // ncclKernel_*, ncclDevKernel_*
    {"rccl", CommFamily::kNccl},             // AMD's NCCL
    {"ep::internode", CommFamily::kCustom},  // DeepEP expert exchange
    {"ep::intranode", CommFamily::kCustom},
    {"ep::low_latency", CommFamily::kCustom},
    {"deep_ep::", CommFamily::kCustom},
    {"nvshmem", CommFamily::kCustom},
    {"cross_device_reduce", CommFamily::kCustom},  // vLLM, SGLang custom all-reduce
    {"_shot_all_reduce", CommFamily::kCustom},     // PyTorch symmetric memory: one_shot_, two_shot_
    {"multimem_", CommFamily::kCustom},            // PyTorch symmetric memory over NVLink SHARP
};

}  // namespace

CommFamily CommFamilyOf(absl::string_view kernel_name) {
  const std::string name = absl::AsciiStrToLower(kernel_name);
  for (const Row& row : kRows) {
    if (absl::StrContains(name, row.part)) return row.family;
  }
  return CommFamily::kNone;
}

}  // namespace mfutrace::report
