// What the job's half (interpose) and the tools' half (cli, report) agree on besides the file
// format: names of files, environment variables and process facts. Both sides include this; nothing
// else is shared between them. docs/ENVIRONMENT.md explains each variable to users.
#pragma once

#include <string_view>

namespace mfutrace::trace {

inline constexpr std::string_view kPreloadLibraryName = "libmfutrace.so";
// Beside it: the profiler plugin that NCCL loads.
inline constexpr std::string_view kNcclPluginName = "libmfutrace_nccl.so";
inline constexpr std::string_view kFileSuffix = ".mfut";

// Environment of the job. Read once, at the first intercepted call.
namespace env {
inline constexpr char kDisable[] = "MFUTRACE_DISABLE";  // 1: pass every call through
inline constexpr char kOut[] = "MFUTRACE_OUT";        // folder for trace files, created if missing
inline constexpr char kTiming[] = "MFUTRACE_TIMING";  // auto | cupti | events | count
inline constexpr char kOnly[] = "MFUTRACE_ONLY";      // comma list of cublas,cublaslt,nccl
inline constexpr char kMaxSize[] = "MFUTRACE_MAX_SIZE";  // bytes of one file, K/M/G suffix
inline constexpr char kFlushMs[] = "MFUTRACE_FLUSH_MS";  // flusher period, default 250
inline constexpr char kEvents[] = "MFUTRACE_EVENTS";     // event pairs per context, default 4096
inline constexpr char kRingRecords[] = "MFUTRACE_RING";  // records per thread ring, default 4096
inline constexpr char kForceEvents[] =
    "MFUTRACE_FORCE_EVENTS";  // 1: also where it serialises streams
inline constexpr char kDeviceLengths[] =
    "MFUTRACE_DEVICE_LENGTHS";                        // 1: copy sequence lengths from the device
inline constexpr char kSample[] = "MFUTRACE_SAMPLE";  // all | none | ON/PERIOD, e.g. 10s/60s
inline constexpr char kOverheadBudget[] = "MFUTRACE_OVERHEAD_BUDGET";  // percent of the job's pace
inline constexpr char kKernels[] = "MFUTRACE_KERNELS";  // sum | each: kernels of nobody's call
inline constexpr char kCuptiPath[] =
    "MFUTRACE_CUPTI";                               // of libcupti, if not where the job finds it
inline constexpr char kQuiet[] = "MFUTRACE_QUIET";  // 1: say nothing on stderr
inline constexpr char kRole[] = "MFUTRACE_ROLE";    // free text, e.g. prefill

// Of the tool alone: where `run` finds the library, if not beside itself.
inline constexpr char kLibrary[] = "MFUTRACE_LIBRARY";
inline constexpr char kProm[] = "MFUTRACE_PROM";
}  // namespace env

// Keys of the facts block (format.h, kFacts): UTF-8 key and value, the last value of a key holds.
namespace fact {
inline constexpr std::string_view kHost = "host";
inline constexpr std::string_view kCommandLine =
    "command_line";                                             // arguments joined by one NUL each
inline constexpr std::string_view kRank = "rank";               // decimal; absent = unknown
inline constexpr std::string_view kRankSource = "rank_source";  // RANK, OMPI_COMM_WORLD_RANK, ...
inline constexpr std::string_view kWorldSize = "world_size";
inline constexpr std::string_view kLocalRank = "local_rank";
inline constexpr std::string_view kRole = "role";
inline constexpr std::string_view kRestart =
    "restart_attempt";  // TORCHELASTIC_RESTART_COUNT, SLURM_RESTART_COUNT
inline constexpr std::string_view kTimingBackend = "timing";  // count | events | cupti
inline constexpr std::string_view kTimingReason = "timing_reason";
inline constexpr std::string_view kSample = "sample";  // default | all | none | ON/PERIOD
inline constexpr std::string_view kOverheadBudget = "overhead_budget";  // percent; off
inline constexpr std::string_view kVersion = "mfutrace_version";
inline constexpr std::string_view kDriverVersion =
    "cuda_driver_version";  // cuDriverGetVersion, decimal
inline constexpr std::string_view kJobId = "job_id";
inline constexpr std::string_view kParentPid = "parent_pid";
}  // namespace fact

}  // namespace mfutrace::trace
