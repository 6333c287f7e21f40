// See driver.h.
#include "interpose/driver.h"

#include <atomic>
#include <cstring>

#include <dlfcn.h>
#include <link.h>

namespace mfutrace::interpose {

// dlsym_route.h's: the C library's own dlsym, past the one that this library exports. Absent in
// unit tests, which link the runtime without the routes.
[[gnu::weak]] void* RealDlsym(void* handle, const char* name);

namespace {

constinit std::atomic<const Driver*> g_testing_driver{nullptr};

void* Find(void* library, const char* symbol) {
  if (symbol == nullptr) return nullptr;
  return &RealDlsym != nullptr ? RealDlsym(library, symbol) : dlsym(library, symbol);
}

int IsDriver(dl_phdr_info* library, size_t, void* is_loaded) {
  const char* name = library->dlpi_name == nullptr ? "" : library->dlpi_name;
  if (std::strstr(name, "libcuda.so") == nullptr) return 0;
  *static_cast<bool*>(is_loaded) = true;
  return 1;
}

}  // namespace

void UseDriverForTesting(const Driver* driver) {
  g_testing_driver.store(driver, std::memory_order_release);
}

bool FindDriver(Driver& driver) {
  if (const Driver* testing = g_testing_driver.load(std::memory_order_acquire)) {
    driver = *testing;
    return true;
  }
  // dlopen alone would search the disk for a library that is not loaded, RTLD_NOLOAD or not.
  bool is_loaded = false;
  dl_iterate_phdr(&IsDriver, &is_loaded);
  if (!is_loaded) return false;
  // The handle is kept, as the driver is by everybody else.
  void* library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return false;
#define MFU_DRIVER_FIND(member, symbol, other, parameters) \
  {                                                        \
    void* found = Find(library, symbol);                   \
    if (found == nullptr) found = Find(library, other);    \
    std::memcpy(&driver.member, &found, sizeof found);     \
  }
  MFU_DRIVER_FUNCTIONS(MFU_DRIVER_FIND)
#undef MFU_DRIVER_FIND
  return true;
}

}  // namespace mfutrace::interpose
