// See device.h. Names are the versions that CUDA 11 to 13 export.
#include "probe/device.h"

namespace mfutrace::probe {

bool Device::Check(CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return true;
  if (error_.empty()) error_ = std::string(what) + ": CUDA error " + std::to_string(result);
  return false;
}

Device::Device(int ordinal) : library_({"libcuda.so.1"}) {
  if (!library_.is_open()) {
    error_ = "no NVIDIA driver: " + library_.error();
    return;
  }
  decltype(&cuInit) init = nullptr;
  decltype(&cuDeviceGet) get = nullptr;
  decltype(&cuDeviceGetName) get_name = nullptr;
  decltype(&cuDeviceGetPCIBusId) get_bus_id = nullptr;
  decltype(&cuDeviceTotalMem) total_mem = nullptr;
  decltype(&cuDevicePrimaryCtxRetain) retain = nullptr;
  decltype(&cuCtxSetCurrent) set_current = nullptr;
  decltype(&cuStreamCreate) stream_create = nullptr;
  decltype(&cuEventCreate) event_create = nullptr;
  const auto find = [this](const char* symbol, auto& function) {
    void (*found)() = nullptr;
    if (!library_.Find(symbol, found) && error_.empty()) {
      error_ = std::string("the driver has no ") + symbol;
    }
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(found);
  };
  find("cuInit", init);
  find("cuDeviceGet", get);
  find("cuDeviceGetName", get_name);
  find("cuDeviceGetPCIBusId", get_bus_id);
  find("cuDeviceTotalMem_v2", total_mem);
  find("cuDevicePrimaryCtxRetain", retain);
  find("cuCtxSetCurrent", set_current);
  find("cuStreamCreate", stream_create);
  find("cuEventCreate", event_create);
  find("cuMemAlloc_v2", mem_alloc_);
  find("cuMemFree_v2", mem_free_);
  find("cuEventRecord", event_record_);
  find("cuEventSynchronize", event_synchronize_);
  find("cuEventElapsedTime", event_elapsed_);
  if (!error_.empty()) return;
  CUdevice device = 0;
  CUcontext context = nullptr;
  char name[256] = "";
  char bus_id[32] = "";
  size_t bytes = 0;
  if (!Check(init(0), "cuInit") || !Check(get(&device, ordinal), "cuDeviceGet") ||
      !Check(get_name(name, sizeof name, device), "cuDeviceGetName") ||
      !Check(total_mem(&bytes, device), "cuDeviceTotalMem") ||
      !Check(retain(&context, device), "cuDevicePrimaryCtxRetain") ||
      !Check(set_current(context), "cuCtxSetCurrent") ||
      !Check(stream_create(&stream_, CU_STREAM_NON_BLOCKING), "cuStreamCreate") ||
      !Check(event_create(&begin_, CU_EVENT_DEFAULT), "cuEventCreate") ||
      !Check(event_create(&end_, CU_EVENT_DEFAULT), "cuEventCreate")) {
    return;
  }
  if (get_bus_id(bus_id, sizeof bus_id, device) == CUDA_SUCCESS) bus_id_ = bus_id;
  name_ = name;
  memory_bytes_ = bytes;
}

void* Device::Allocate(uint64_t bytes) {
  CUdeviceptr memory = 0;
  if (mem_alloc_(&memory, bytes) != CUDA_SUCCESS) return nullptr;
  return reinterpret_cast<void*>(memory);
}

void Device::Free(void* memory) {
  if (memory != nullptr) mem_free_(reinterpret_cast<CUdeviceptr>(memory));
}

bool Device::Start() { return event_record_(begin_, stream_) == CUDA_SUCCESS; }

std::optional<double> Device::Stop() {
  float ms = 0;
  if (event_record_(end_, stream_) != CUDA_SUCCESS || event_synchronize_(end_) != CUDA_SUCCESS ||
      event_elapsed_(&ms, begin_, end_) != CUDA_SUCCESS || ms <= 0) {
    return std::nullopt;
  }
  return static_cast<double>(ms) / 1e3;
}

}  // namespace mfutrace::probe
