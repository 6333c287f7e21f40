// See cupti_library.h. Flusher thread only.
#include "interpose/cupti/cupti_library.h"

#include <dlfcn.h>
#include <link.h>

#include <cstdlib>
#include <cstring>

#include "interpose/text.h"
#include "trace/contract.h"

namespace mfutrace::interpose::cupti {
namespace {

struct Neighbours {
  char cupti[4096];   // a CUPTI that is loaded
  char folder[4096];  // of a CUDA library that is loaded
  char major[8];      // of that library: "12", "13"; empty = not told
};

// Remembers where CUDA's runtime or cuBLAS was loaded from, and under which major version.
int Look(dl_phdr_info* info, size_t, void* context) {
  auto& found = *static_cast<Neighbours*>(context);
  const char* path = info->dlpi_name;
  if (path == nullptr) return 0;
  const char* slash = std::strrchr(path, '/');
  const char* name = slash == nullptr ? path : slash + 1;
  if (std::strncmp(name, "libcupti.so", 11) == 0) {
    Text(found.cupti, sizeof found.cupti).Add(path);
    return 0;
  }
  constexpr const char* kNeighbours[] = {"libcudart.so.", "libcublas.so."};
  for (const char* wanted : kNeighbours) {
    if (slash == nullptr || std::strncmp(name, wanted, std::strlen(wanted)) != 0) continue;
    Text(found.folder, sizeof found.folder).Add(path, static_cast<size_t>(slash - path));
    const char* version = name + std::strlen(wanted);
    const char* end = std::strchr(version, '.');
    Text(found.major, sizeof found.major)
        .Add(version, end == nullptr ? std::strlen(version) : static_cast<size_t>(end - version));
  }
  return 0;
}

void* OpenBeside(const Neighbours& found, const char* way, const char* major) {
  if (found.folder[0] == '\0') return nullptr;
  char path[4200];
  Text(path, sizeof path).Add(found.folder).Add(way).Add("libcupti.so.").Add(major);
  return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

void* OpenCupti() {
  Neighbours found{};
  dl_iterate_phdr(&Look, &found);
  if (found.cupti[0] != '\0') {
    if (void* handle = dlopen(found.cupti, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD)) return handle;
  }
  if (const char* path = std::getenv(trace::env::kCuptiPath)) {
    if (path[0] != '\0') return dlopen(path, RTLD_NOW | RTLD_LOCAL);  // asked for this one
  }
  constexpr const char* kMajors[] = {"13", "12"};
  for (const char* fallback : kMajors) {
    const char* major = found.major[0] != '\0' ? found.major : fallback;
    // The toolkit's folder; its CUPTI folder; the wheels' (nvidia/cuda_runtime/lib and, from CUDA
    // 13 on, one folder for all).
    constexpr const char* kWays[] = {"/", "/../extras/CUPTI/lib64/", "/../../cuda_cupti/lib/"};
    for (const char* way : kWays) {
      if (void* handle = OpenBeside(found, way, major)) return handle;
    }
    char name[32];
    Text(name, sizeof name).Add("libcupti.so.").Add(major);
    if (void* handle = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return handle;
    if (found.major[0] != '\0') break;
  }
  return nullptr;
}

template <typename Function>
bool Take(void* address, Function& function) {
  std::memcpy(&function, &address, sizeof address);
  return address != nullptr;
}

}  // namespace

const char* FindCupti(CuptiLibrary& library, void* (*find)(void* handle, const char* symbol)) {
  void* handle = OpenCupti();
  if (handle == nullptr) return "libcupti was not found";
  bool is_whole = true;
#define MFU_FIND(member, symbol, is_needed) \
  if (!Take(find(handle, #symbol), library.member) && is_needed) is_whole = false;
  MFU_CUPTI_FUNCTIONS(MFU_FIND)
#undef MFU_FIND
  return is_whole ? nullptr : "libcupti lacks functions: too old";
}

}  // namespace mfutrace::interpose::cupti
