// The CUDA driver that is already in the process, as a table of pointers.
//
// Never linked and never loaded by the library: dlopen with RTLD_NOLOAD finds what the job has
// loaded or nothing. Declared with plain C types (handles are void*, a device is an int, a result
// is an int), so that no vendor header's macros rename them. The names are those of the legacy
// default stream: a stream handle of 0 means to us what it means to the vendor's libraries, which
// are themselves not built with per-thread default streams; a job that is passes them explicit
// handles.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mfutrace::interpose {

// member, symbol (tried in order, the second may be nullptr), parameters
#define MFU_DRIVER_FUNCTIONS(X)                                                                 \
  X(ctx_get_current, "cuCtxGetCurrent", nullptr, (void** context))                              \
  X(ctx_set_current, "cuCtxSetCurrent", nullptr, (void* context))                               \
  X(ctx_get_device, "cuCtxGetDevice", nullptr, (int* device))                                   \
  X(event_create, "cuEventCreate", nullptr, (void** event, unsigned flags))                     \
  X(event_record, "cuEventRecord", nullptr, (void* event, void* stream))                        \
  X(event_query, "cuEventQuery", nullptr, (void* event))                                        \
  X(event_elapsed_time, "cuEventElapsedTime_v2", "cuEventElapsedTime",                          \
    (float* milliseconds, void* begin, void* end))                                              \
  X(event_destroy, "cuEventDestroy_v2", "cuEventDestroy", (void* event))                        \
  X(stream_is_capturing, "cuStreamIsCapturing", nullptr, (void* stream, int* status))           \
  X(stream_get_capture_info, "cuStreamGetCaptureInfo_v2", nullptr,                              \
    (void* stream, int* status, uint64_t* id, void** graph, const void* const** front,          \
     size_t* front_count))                                                                      \
  X(stream_create, "cuStreamCreate", nullptr, (void** stream, unsigned flags))                  \
  X(thread_exchange_capture_mode, "cuThreadExchangeStreamCaptureMode", nullptr, (int* mode))    \
  X(stream_get_ctx, "cuStreamGetCtx", nullptr, (void* stream, void** context))                  \
  X(ctx_push_current, "cuCtxPushCurrent_v2", nullptr, (void* context))                          \
  X(ctx_pop_current, "cuCtxPopCurrent_v2", nullptr, (void** context))                           \
  X(driver_get_version, "cuDriverGetVersion", nullptr, (int* version))                          \
  X(device_get, "cuDeviceGet", nullptr, (int* device, int ordinal))                             \
  X(device_get_name, "cuDeviceGetName", nullptr, (char* name, int bytes, int device))           \
  X(device_get_pci_bus_id, "cuDeviceGetPCIBusId", nullptr, (char* name, int bytes, int device)) \
  X(device_get_uuid, "cuDeviceGetUuid_v2", "cuDeviceGetUuid", (uint8_t * uuid, int device))     \
  X(device_get_attribute, "cuDeviceGetAttribute", nullptr,                                      \
    (int* value, int attribute, int device))                                                    \
  X(device_total_mem, "cuDeviceTotalMem_v2", nullptr, (uint64_t * bytes, int device))           \
  X(mem_host_alloc, "cuMemHostAlloc", nullptr, (void** memory, size_t bytes, unsigned flags))   \
  X(func_get_name, "cuFuncGetName", nullptr, (const char** name, void* function))               \
  X(kernel_get_name, "cuKernelGetName", nullptr, (const char** name, void* kernel))             \
  X(memcpy_dtoh_async, "cuMemcpyDtoHAsync_v2", nullptr,                                         \
    (void* host, uint64_t device, size_t bytes, void* stream))

struct Driver {
#define MFU_DRIVER_MEMBER(member, symbol, other, parameters) int(*member) parameters;
  MFU_DRIVER_FUNCTIONS(MFU_DRIVER_MEMBER)
#undef MFU_DRIVER_MEMBER

  // Enough to time calls with events. The rest is optional wherever it is used.
  bool CanTime() const {
    return ctx_get_current != nullptr && ctx_set_current != nullptr && ctx_get_device != nullptr &&
           event_create != nullptr && event_record != nullptr && event_query != nullptr &&
           event_elapsed_time != nullptr && stream_is_capturing != nullptr &&
           thread_exchange_capture_mode != nullptr;
  }
};

// CUresult, CUstreamCaptureStatus and so on, as far as they are used (cuda.h, append-only).
namespace cuda {
inline constexpr int kSuccess = 0;
inline constexpr int kErrorInvalidHandle = 400;
inline constexpr int kErrorNotReady = 600;
inline constexpr int kCaptureStatusNone = 0;
inline constexpr int kCaptureModeRelaxed = 2;
inline constexpr unsigned kStreamNonBlocking = 1;
inline constexpr unsigned kEventDisableTiming = 2;
inline constexpr unsigned kHostAllocPortable = 1;
inline constexpr int kAttributeClockRate = 13;
inline constexpr int kAttributeMultiprocessorCount = 16;
inline constexpr int kAttributeComputeMajor = 75;
inline constexpr int kAttributeComputeMinor = 76;
}  // namespace cuda

// Fills the table; false if there is no driver in the process.
bool FindDriver(Driver& driver);

// A table to use in place of the process's driver, from the next session on; nullptr ends that.
void UseDriverForTesting(const Driver* driver);

}  // namespace mfutrace::interpose
