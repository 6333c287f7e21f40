// The exported functions: CUPTI's activity API and what a client needs around it.
//
// What is not simulated (callbacks, metrics, events, samplers) is not exported; a client that looks
// for it finds nothing, as with an older CUPTI.
#include <time.h>

#include <cstdlib>

#include "cupti/profiler.h"

using simgpu::Profiler;

extern "C" {

CUptiResult CUPTIAPI cuptiGetVersion(uint32_t* version) {
  if (version == nullptr) return CUPTI_ERROR_INVALID_PARAMETER;
  const char* other = std::getenv("SIMGPU_CUPTI_VERSION");
  *version = other != nullptr ? static_cast<uint32_t>(std::atoi(other)) : CUPTI_API_VERSION;
  return CUPTI_SUCCESS;
}

CUptiResult CUPTIAPI cuptiGetResultString(CUptiResult result, const char** text) {
  if (text == nullptr) return CUPTI_ERROR_INVALID_PARAMETER;
  switch (result) {
    case CUPTI_SUCCESS:
      *text = "CUPTI_SUCCESS";
      break;
    case CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED:
      *text = "CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED";
      break;
    case CUPTI_ERROR_MAX_LIMIT_REACHED:
      *text = "CUPTI_ERROR_MAX_LIMIT_REACHED";
      break;
    default:
      *text = "CUPTI_ERROR";
      break;
  }
  return CUPTI_SUCCESS;
}

CUptiResult CUPTIAPI cuptiGetTimestamp(uint64_t* timestamp) {
  if (timestamp == nullptr) return CUPTI_ERROR_INVALID_PARAMETER;
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  *timestamp = Profiler::TimestampOf(static_cast<int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec);
  return CUPTI_SUCCESS;
}

CUptiResult CUPTIAPI cuptiSubscribe(CUpti_SubscriberHandle* subscriber, CUpti_CallbackFunc, void*) {
  return Profiler::Get().Subscribe(subscriber);
}

CUptiResult CUPTIAPI cuptiUnsubscribe(CUpti_SubscriberHandle subscriber) {
  return Profiler::Get().Unsubscribe(subscriber);
}

CUptiResult CUPTIAPI cuptiFinalize(void) {
  Profiler::Get().Finalize();
  return CUPTI_SUCCESS;
}

CUptiResult CUPTIAPI cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc request,
                                                    CUpti_BuffersCallbackCompleteFunc complete) {
  return Profiler::Get().RegisterCallbacks(request, complete);
}

CUptiResult CUPTIAPI cuptiActivityEnable(CUpti_ActivityKind kind) {
  return Profiler::Get().Enable(kind, true);
}

CUptiResult CUPTIAPI cuptiActivityDisable(CUpti_ActivityKind kind) {
  return Profiler::Get().Enable(kind, false);
}

CUptiResult CUPTIAPI cuptiActivityEnableDriverApi(CUpti_CallbackId cbid, uint8_t enable) {
  return Profiler::Get().EnableApi(true, cbid, enable != 0);
}

CUptiResult CUPTIAPI cuptiActivityEnableRuntimeApi(CUpti_CallbackId cbid, uint8_t enable) {
  return Profiler::Get().EnableApi(false, cbid, enable != 0);
}

CUptiResult CUPTIAPI cuptiActivityFlushAll(uint32_t flag) {
  return Profiler::Get().FlushAll((flag & CUPTI_ACTIVITY_FLAG_FLUSH_FORCED) != 0);
}

CUptiResult CUPTIAPI cuptiActivityFlushPeriod(uint32_t) { return CUPTI_SUCCESS; }

CUptiResult CUPTIAPI cuptiActivityGetNextRecord(uint8_t* buffer, size_t valid_bytes,
                                                CUpti_Activity** record) {
  if (buffer == nullptr || record == nullptr) return CUPTI_ERROR_INVALID_PARAMETER;
  size_t at = 0;
  if (*record != nullptr) {
    size_t bytes = 0;
    switch ((*record)->kind) {
      case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
        bytes = sizeof(CUpti_ActivityKernel10);
        break;
      case CUPTI_ACTIVITY_KIND_MEMCPY:
        bytes = sizeof(CUpti_ActivityMemcpy6);
        break;
      case CUPTI_ACTIVITY_KIND_MEMSET:
        bytes = sizeof(CUpti_ActivityMemset4);
        break;
      case CUPTI_ACTIVITY_KIND_GRAPH_TRACE:
        bytes = sizeof(CUpti_ActivityGraphTrace2);
        break;
      case CUPTI_ACTIVITY_KIND_DRIVER:
        bytes = sizeof(CUpti_ActivityAPI);
        break;
      case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION:
        bytes = sizeof(CUpti_ActivityExternalCorrelation);
        break;
      default:
        return CUPTI_ERROR_INVALID_KIND;
    }
    at = static_cast<size_t>(reinterpret_cast<uint8_t*>(*record) - buffer) + (bytes + 7) / 8 * 8;
  }
  if (at >= valid_bytes) return CUPTI_ERROR_MAX_LIMIT_REACHED;
  *record = reinterpret_cast<CUpti_Activity*>(buffer + at);
  return CUPTI_SUCCESS;
}

CUptiResult CUPTIAPI cuptiActivityGetNumDroppedRecords(CUcontext, uint32_t, size_t* dropped) {
  return Profiler::Get().Dropped(dropped);
}

CUptiResult CUPTIAPI cuptiActivityPushExternalCorrelationId(CUpti_ExternalCorrelationKind kind,
                                                            uint64_t id) {
  return Profiler::Get().Push(kind, id);
}

CUptiResult CUPTIAPI cuptiActivityPopExternalCorrelationId(CUpti_ExternalCorrelationKind kind,
                                                           uint64_t* last_id) {
  return Profiler::Get().Pop(kind, last_id);
}

}  // extern "C"
