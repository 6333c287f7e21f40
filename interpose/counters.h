// Named health counters: every way in which the library can fail to see, time or store something.
// Incremented from any thread, written by the flusher, shown by `mfutrace info` and in the report's
// quality line. Append only at will; names, not values, are in the trace.
#pragma once

#include <cstdint>

namespace mfutrace::interpose {

#define MFU_COUNTERS(X)                                           \
  X(CallsDropped, "calls_dropped_ring_full")                      \
  X(SignaturesLost, "signatures_lost_table_full")                 \
  X(LanesLost, "lanes_lost_table_full")                           \
  X(UntimedPoolEmpty, "untimed_event_pool_empty")                 \
  X(UntimedCapturing, "untimed_stream_capturing")                 \
  X(UntimedNoContext, "untimed_no_context")                       \
  X(UntimedEventError, "untimed_event_error")                     \
  X(UntimedAtExit, "untimed_unfinished_at_exit")                  \
  X(UntimedLost, "untimed_context_destroyed")                     \
  X(NestedCalls, "nested_calls_not_counted")                      \
  X(FailedCalls, "failed_calls_not_counted")                      \
  X(UnresolvedCalls, "unresolved_calls")                          \
  X(SlotsExhausted, "real_functions_beyond_slots")                \
  X(UnreadableLayouts, "cublaslt_layouts_unreadable")             \
  X(UnknownCommunicators, "collectives_on_unknown_communicators") \
  X(ThreadsUnobserved, "threads_without_a_ring")                  \
  X(WriteErrors, "write_errors")                                  \
  X(UntimedBacklog, "untimed_backlog_too_long")                   \
  X(FlusherCpuNs, "flusher_cpu_ns")                               \
  X(BytesOverLimit, "calls_counted_only_after_size_limit")        \
  X(GraphPartsLost, "graph_operations_lost")                      \
  X(LengthsNotCopied, "device_lengths_not_copied")                \
  X(LengthsUnusable, "device_lengths_unusable")                   \
  X(LengthsLost, "device_lengths_lists_full")                     \
  X(KernelsLost, "cupti_records_lost")                            \
  X(UntimedNoTicket, "untimed_no_cupti_ticket")                   \
  X(UntimedNoKernel, "untimed_no_kernel_seen")                    \
  X(NcclBuffers, "nccl_buffers_registered")                       \
  X(NcclWindows, "nccl_windows_registered")                       \
  X(PluginCalls, "nccl_calls_seen_by_profiler_plugin")            \
  X(TimedCostPpm, "timed_cost_ppm")                               \
  X(ProbedCalls, "own_cost_probed_calls")                         \
  X(ProbedNs, "own_cost_probed_ns")                               \
  X(EventGpuNs, "event_gpu_ns")                                   \
  X(EventResolutionNs, "event_resolution_ns")

enum class Counter : uint8_t {
#define MFU_COUNTER_ENUM(name, text) k##name,
  MFU_COUNTERS(MFU_COUNTER_ENUM)
#undef MFU_COUNTER_ENUM
      kCount
};

// Relaxed atomic; safe anywhere, also before the session starts.
void Count(Counter counter, uint64_t by = 1);

}  // namespace mfutrace::interpose
