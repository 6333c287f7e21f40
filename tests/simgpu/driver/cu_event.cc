// libcuda.so.1: events.
#include <cuda.h>

#include "engine/objects.h"

namespace simgpu {

namespace {

// For calls that ask about an event's completion.
CUresult CheckQuestion(const Event& event) {
  if (event.capture != nullptr) {
    if (!event.capture->ended) Invalidate(event.capture.get());
    return CUDA_ERROR_CAPTURED_EVENT;
  }
  return CheckUnsafeCall();
}

int64_t StampNs(const Op& op) {
  const int64_t quantum_ns = GetSettings().event_quantum_ns;
  return quantum_ns <= 1 ? op.end_ns : op.end_ns / quantum_ns * quantum_ns;
}

}  // namespace
}  // namespace simgpu

using simgpu::All;
using simgpu::CheckQuestion;
using simgpu::CurrentContext;
using simgpu::Engine;
using simgpu::Entered;
using simgpu::Event;
using simgpu::FindEvent;
using simgpu::FindStream;
using simgpu::NowNs;
using simgpu::OpRef;
using simgpu::RecordEvent;
using simgpu::StampNs;
using simgpu::Stream;

extern "C" {

CUresult CUDAAPI cuEventCreate(CUevent* event, unsigned flags) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  constexpr unsigned kKnown =
      CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS;
  const bool interprocess = (flags & CU_EVENT_INTERPROCESS) != 0;
  if (event == nullptr || (flags & ~kKnown) != 0 ||
      (interprocess && (flags & CU_EVENT_DISABLE_TIMING) == 0)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  auto* made = new Event;
  made->context = CurrentContext();
  made->flags = flags;
  All().events.insert(made);
  *event = reinterpret_cast<CUevent>(made);
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuEventDestroy(CUevent handle) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Event* event = nullptr;
  if (const CUresult status = FindEvent(handle, &event)) return status;
  All().events.erase(event);
  delete event;
  return CUDA_SUCCESS;
}

CUresult CUDAAPI cuEventRecordWithFlags(CUevent event_handle, CUstream stream_handle,
                                        unsigned flags) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (flags > CU_EVENT_RECORD_EXTERNAL) return CUDA_ERROR_INVALID_VALUE;
  Event* event = nullptr;
  Stream* stream = nullptr;
  if (const CUresult status = FindEvent(event_handle, &event)) return status;
  if (const CUresult status = FindStream(stream_handle, &stream)) return status;
  return RecordEvent(event, stream, flags);
}

CUresult CUDAAPI cuEventRecord(CUevent event, CUstream stream) {
  return cuEventRecordWithFlags(event, stream, CU_EVENT_RECORD_DEFAULT);
}

CUresult CUDAAPI cuEventQuery(CUevent handle) {
  const Entered entered;
  if (entered.status()) return entered.status();
  Event* event = nullptr;
  if (const CUresult status = FindEvent(handle, &event)) return status;
  if (const CUresult status = CheckQuestion(*event)) return status;
  if (event->op == nullptr) return CUDA_SUCCESS;
  if (!event->op->resolved) Engine::Get().Poll();
  if (!event->op->resolved || event->op->end_ns > NowNs()) return CUDA_ERROR_NOT_READY;
  return event->op->failed ? CUDA_ERROR_LAUNCH_TIMEOUT : CUDA_SUCCESS;
}

CUresult CUDAAPI cuEventSynchronize(CUevent handle) {
  OpRef op;
  {
    const Entered entered;
    if (entered.status()) return entered.status();
    Event* event = nullptr;
    if (const CUresult status = FindEvent(handle, &event)) return status;
    if (const CUresult status = CheckQuestion(*event)) return status;
    op = event->op;
  }
  return Engine::Get().WaitFor(op);
}

CUresult CUDAAPI cuEventElapsedTime(float* milliseconds, CUevent start_handle, CUevent end_handle) {
  const Entered entered;
  if (entered.status()) return entered.status();
  if (milliseconds == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Event* start = nullptr;
  Event* end = nullptr;
  if (const CUresult status = FindEvent(start_handle, &start)) return status;
  if (const CUresult status = FindEvent(end_handle, &end)) return status;
  if (const CUresult status = CheckQuestion(*start)) return status;
  if (const CUresult status = CheckQuestion(*end)) return status;
  if (!start->timing() || !end->timing() || start->context != end->context ||
      start->op == nullptr || end->op == nullptr) {
    return CUDA_ERROR_INVALID_HANDLE;
  }
  Engine::Get().Poll();
  const int64_t now_ns = NowNs();
  for (const Event* event : {start, end}) {
    if (!event->op->resolved || event->op->end_ns > now_ns) return CUDA_ERROR_NOT_READY;
  }
  *milliseconds =
      static_cast<float>(static_cast<double>(StampNs(*end->op) - StampNs(*start->op)) / 1e6);
  return CUDA_SUCCESS;
}

// The name older runtimes ask for; the same function.
#undef cuEventElapsedTime
CUresult CUDAAPI cuEventElapsedTime(float* milliseconds, CUevent start, CUevent end) {
  return cuEventElapsedTime_v2(milliseconds, start, end);
}

}  // extern "C"
