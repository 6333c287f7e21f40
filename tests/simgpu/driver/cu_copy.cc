// libcuda.so.1: copies and fills. The bytes move when the host enqueues; the modelled time is the
// copy engine's: PCIe between host and device, twice the bytes through device memory inside a
// device.
#include <cuda.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstring>

#include "engine/memory.h"
#include "engine/objects.h"

namespace simgpu {

namespace {

enum class Direction : uint8_t { kHtoD, kDtoH, kDtoD, kHtoH };

constexpr const char* kDirectionNames[] = {"HtoD", "DtoH", "DtoD", "HtoH"};

bool OnDevice(uintptr_t address) {
  const Allocation* found = FindAllocation(address, 0);
  return found != nullptr && found->kind != MemoryKind::kHost;
}

Direction DirectionOf(uintptr_t to, uintptr_t from) {
  if (OnDevice(to)) return OnDevice(from) ? Direction::kDtoD : Direction::kHtoD;
  return OnDevice(from) ? Direction::kDtoH : Direction::kHtoH;
}

// Whether `address` may be what the caller says it is; host memory of any kind is the caller's
// word.
bool Valid(uintptr_t address, size_t bytes, bool device) {
  return device ? FindAllocation(address, bytes) != nullptr : address != 0;
}

CUresult Copy(const char* function, uintptr_t to, uintptr_t from, size_t bytes, Direction direction,
              CUstream handle, OpRef* done) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  if (bytes == 0) return CUDA_SUCCESS;
  const bool to_device = direction == Direction::kHtoD || direction == Direction::kDtoD;
  const bool from_device = direction == Direction::kDtoH || direction == Direction::kDtoD;
  if (!Valid(to, bytes, to_device) || !Valid(from, bytes, from_device))
    return CUDA_ERROR_INVALID_VALUE;
  if (done != nullptr) {
    if (stream->capture != nullptr) {
      Invalidate(stream->capture.get());
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    if (const CUresult status = CheckUnsafeCall()) return status;
  }
  const DeviceDescription& d = GetSettings().device;
  const double seconds = direction == Direction::kDtoD
                             ? 2 * static_cast<double>(bytes) / d.memory_bytes_per_s
                             : static_cast<double>(bytes) / d.pcie_bytes_per_s;
  Work work;
  work.kind = OpKind::kMemcpy;
  work.function = function;
  work.dims = std::string("direction=") + kDirectionNames[static_cast<int>(direction)];
  work.bytes = bytes;
  work.duration_ns = ScaledKernelNs(d.kernel_overhead_ns + seconds * 1e9);
  work.data = [to, from, bytes] {
    std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
  };
  return EnqueueOn({stream}, std::move(work), done);
}

CUresult CopyAndWait(const char* function, uintptr_t to, uintptr_t from, size_t bytes,
                     Direction direction) {
  OpRef done;
  if (const CUresult status = Copy(function, to, from, bytes, direction, nullptr, &done))
    return status;
  return Engine::Get().WaitFor(done);
}

Direction AskedDirection(uintptr_t to, uintptr_t from) {
  const Entered entered;
  return entered.status() ? Direction::kHtoH : DirectionOf(to, from);
}

// Whole pages of zeroes are given back to the kernel, which hands out zeroes again: clearing a
// large buffer that nobody wrote must not make it real.
void FillRow(uintptr_t to, uint64_t value, int width_bytes, size_t width) {
  constexpr uintptr_t kPage = 4096;
  const size_t bytes = width * static_cast<size_t>(width_bytes);
  auto* at = reinterpret_cast<unsigned char*>(to);
  const uintptr_t first = (to + kPage - 1) / kPage * kPage;
  const uintptr_t last = (to + bytes) / kPage * kPage;
  if (value == 0 && first < last &&
      madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED) == 0) {
    std::memset(at, 0, first - to);
    std::memset(reinterpret_cast<void*>(last), 0, to + bytes - last);
  } else if (width_bytes == 1) {
    std::memset(at, static_cast<int>(value), bytes);
  } else {
    for (size_t i = 0; i < bytes; i += static_cast<size_t>(width_bytes)) {
      std::memcpy(at + i, &value, static_cast<size_t>(width_bytes));
    }
  }
}

CUresult Fill(const char* function, uintptr_t to, size_t pitch, uint64_t value, int width_bytes,
              size_t width, size_t height, CUstream handle) {
  const Entered entered(true);
  if (entered.status()) return entered.status();
  Stream* stream = nullptr;
  if (const CUresult status = FindStream(handle, &stream)) return status;
  const size_t row_bytes = width * static_cast<size_t>(width_bytes);
  const size_t bytes = row_bytes * height;
  if (bytes == 0) return CUDA_SUCCESS;
  if (FindAllocation(to, (height - 1) * pitch + row_bytes) == nullptr)
    return CUDA_ERROR_INVALID_VALUE;
  const DeviceDescription& d = GetSettings().device;
  Work work;
  work.kind = OpKind::kMemset;
  work.function = function;
  work.bytes = bytes;
  work.duration_ns = ScaledKernelNs(d.kernel_overhead_ns +
                                    static_cast<double>(bytes) / d.memory_bytes_per_s * 1e9);
  work.data = [=] {
    for (size_t row = 0; row < height; ++row) FillRow(to + row * pitch, value, width_bytes, width);
  };
  return EnqueueOn({stream}, std::move(work));
}

}  // namespace
}  // namespace simgpu

using simgpu::AskedDirection;
using simgpu::Copy;
using simgpu::CopyAndWait;
using simgpu::Direction;
using simgpu::Fill;

extern "C" {

CUresult CUDAAPI cuMemcpyHtoDAsync(CUdeviceptr to, const void* from, size_t bytes,
                                   CUstream stream) {
  return Copy("cuMemcpyHtoDAsync", to, reinterpret_cast<uintptr_t>(from), bytes, Direction::kHtoD,
              stream, nullptr);
}

CUresult CUDAAPI cuMemcpyDtoHAsync(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return Copy("cuMemcpyDtoHAsync", reinterpret_cast<uintptr_t>(to), from, bytes, Direction::kDtoH,
              stream, nullptr);
}

CUresult CUDAAPI cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                                   CUstream stream) {
  return Copy("cuMemcpyDtoDAsync", to, from, bytes, Direction::kDtoD, stream, nullptr);
}

CUresult CUDAAPI cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return Copy("cuMemcpyAsync", to, from, bytes, AskedDirection(to, from), stream, nullptr);
}

CUresult CUDAAPI cuMemcpyPeerAsync(CUdeviceptr to, CUcontext, CUdeviceptr from, CUcontext,
                                   size_t bytes, CUstream stream) {
  return Copy("cuMemcpyPeerAsync", to, from, bytes, Direction::kDtoD, stream, nullptr);
}

CUresult CUDAAPI cuMemcpyHtoD(CUdeviceptr to, const void* from, size_t bytes) {
  return CopyAndWait("cuMemcpyHtoD", to, reinterpret_cast<uintptr_t>(from), bytes,
                     Direction::kHtoD);
}

CUresult CUDAAPI cuMemcpyDtoH(void* to, CUdeviceptr from, size_t bytes) {
  return CopyAndWait("cuMemcpyDtoH", reinterpret_cast<uintptr_t>(to), from, bytes,
                     Direction::kDtoH);
}

// Inside the device a "synchronous" copy does not hold the host (CUDA: API synchronization
// behavior).
CUresult CUDAAPI cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return Copy("cuMemcpyDtoD", to, from, bytes, Direction::kDtoD, nullptr, nullptr);
}

CUresult CUDAAPI cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  const Direction direction = AskedDirection(to, from);
  if (direction == Direction::kDtoD)
    return Copy("cuMemcpy", to, from, bytes, direction, nullptr, nullptr);
  return CopyAndWait("cuMemcpy", to, from, bytes, direction);
}

CUresult CUDAAPI cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count,
                                 CUstream stream) {
  return Fill("cuMemsetD8Async", to, count, value, 1, count, 1, stream);
}

CUresult CUDAAPI cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count,
                                  CUstream stream) {
  return Fill("cuMemsetD16Async", to, 2 * count, value, 2, count, 1, stream);
}

CUresult CUDAAPI cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
  return Fill("cuMemsetD32Async", to, 4 * count, value, 4, count, 1, stream);
}

CUresult CUDAAPI cuMemsetD8(CUdeviceptr to, unsigned char value, size_t count) {
  return Fill("cuMemsetD8", to, count, value, 1, count, 1, nullptr);
}

CUresult CUDAAPI cuMemsetD16(CUdeviceptr to, unsigned short value, size_t count) {
  return Fill("cuMemsetD16", to, 2 * count, value, 2, count, 1, nullptr);
}

CUresult CUDAAPI cuMemsetD32(CUdeviceptr to, unsigned value, size_t count) {
  return Fill("cuMemsetD32", to, 4 * count, value, 4, count, 1, nullptr);
}

CUresult CUDAAPI cuMemsetD2D8Async(CUdeviceptr to, size_t pitch, unsigned char value, size_t width,
                                   size_t height, CUstream stream) {
  return Fill("cuMemsetD2D8Async", to, pitch, value, 1, width, height, stream);
}

CUresult CUDAAPI cuMemsetD2D32Async(CUdeviceptr to, size_t pitch, unsigned value, size_t width,
                                    size_t height, CUstream stream) {
  return Fill("cuMemsetD2D32Async", to, pitch, value, 4, width, height, stream);
}

}  // extern "C"
