#include "interpose/resolve.h"

#include <dlfcn.h>
#include <link.h>

#include <atomic>
#include <cstring>

#include "interpose/counters.h"
#include "interpose/dlsym_route.h"
#include "interpose/elf_symbols.h"
#include "interpose/stubs.h"

namespace mfutrace::interpose {

extern "C" {
constinit uint16_t mfu_thunk_codes[kThunkCount] = {};
}

namespace {

static_assert(kSlotsPerEntry < 1u << kRouteBits);

constexpr uint32_t kMaxLibraries = 32;
constexpr uint32_t kCallSites = 64;

constexpr const char* kGetterNames[] = {
#define MFU_GETTER_NAME(symbol) #symbol,
    MFU_GETTERS(MFU_GETTER_NAME)
#undef MFU_GETTER_NAME
};

// Everything below is lock-free: whoever comes second computes the same values and stores them
// again, so a thread that vanished in fork() half-way leaves nothing locked.
struct LibraryEntry {
  std::atomic<const link_map*> map;
  std::atomic<bool> is_ready;
  VendorLibrary library;
};

struct Slot {
  std::atomic<void*> real;
  std::atomic<const VendorLibrary*> library;
};

// Thunks are given away one after the other. Two threads that ask for the same one at once may take
// two; both do the same.
constinit std::atomic<uint32_t> g_thunks_given{0};
constinit std::atomic<uint16_t> g_thunks[kEntryCount][kSlotsPerEntry] = {};  // number + 1; 0 = none

// Which slot a call site of this thread uses. Keyed by entry as well, since one site may call
// several functions through a pointer.
struct CallSite {
  const void* return_address;
  uint32_t code;  // entry << kRouteBits | slot; 0 = empty, as slots count from 1
};

constinit LibraryEntry g_libraries[kMaxLibraries] = {};
constinit Slot g_slots[kEntryCount][kSlotsPerEntry] = {};
constinit const VendorLibrary g_no_library = {};
__thread CallSite t_call_sites[kCallSites];

// Finds `symbol` in any loaded file whose name starts with `file_prefix`.
struct VendorSearch {
  const char* file_prefix;
  const char* symbol;
  void* found;
};

int SearchObject(struct dl_phdr_info* object, size_t, void* data) {
  auto* search = static_cast<VendorSearch*>(data);
  if (!StartsWith(BaseName(object->dlpi_name), search->file_prefix)) return 0;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = object->dlpi_phdr[i];
    if (header.p_type != PT_DYNAMIC) continue;
    const auto* dynamic = reinterpret_cast<const ElfW(Dyn)*>(object->dlpi_addr + header.p_vaddr);
    search->found = FindInObject(object->dlpi_addr, dynamic, search->symbol);
  }
  return search->found != nullptr ? 1 : 0;
}

void* FindInAnyVendorFile(Library library, const char* symbol) {
  VendorSearch search = {FilePrefixOf(library), symbol, nullptr};
  dl_iterate_phdr(SearchObject, &search);
  return search.found;
}

Library LibraryOfGetter(const char* symbol) {
  if (StartsWith(symbol, "nccl")) return Library::kNccl;
  if (StartsWith(symbol, "cudnn")) return Library::kCudnn;
  return StartsWith(symbol, "cublasLt") ? Library::kCublasLt : Library::kCublas;
}

void* NotOurs(void* address) { return IsOwnStub(address) ? nullptr : address; }

// The first definition in the scope of one object and its dependencies.
void* LookUpFromObject(const link_map* object, const char* symbol) {
  if (object == nullptr || object->l_name[0] == '\0') return nullptr;  // the program: global scope
  void* handle = dlopen(object->l_name, RTLD_NOLOAD | RTLD_LAZY);
  if (handle == nullptr) return nullptr;
  void* found = RealDlsym(handle, symbol);
  dlclose(handle);
  return NotOurs(found);
}

void* LookUpBehindUs(const char* symbol) { return NotOurs(RealDlsym(RTLD_NEXT, symbol)); }

const VendorLibrary* LibraryAt(void* real) {
  const link_map* map = ObjectAt(real);
  if (map == nullptr) return &g_no_library;
  for (LibraryEntry& entry : g_libraries) {
    const link_map* expected = nullptr;
    if (entry.map.load(std::memory_order_acquire) != map &&
        !entry.map.compare_exchange_strong(expected, map, std::memory_order_acq_rel) &&
        expected != map) {
      continue;
    }
    if (entry.is_ready.load(std::memory_order_acquire)) return &entry.library;
    // Pinned from now on: dlclose keeps the code that slots and cached call sites point to.
    if (map->l_name[0] != '\0' &&
        dlopen(map->l_name, RTLD_NOLOAD | RTLD_LAZY | RTLD_NODELETE) == nullptr) {
      dlerror();
    }
    for (size_t i = 0; i < static_cast<size_t>(Getter::kCount); ++i) {
      void* found = FindInObject(map->l_addr, map->l_ld, kGetterNames[i]);
      // Another tool's wrapper may define the function itself without its companions.
      if (found == nullptr) {
        found = FindInAnyVendorFile(LibraryOfGetter(kGetterNames[i]), kGetterNames[i]);
      }
      __atomic_store_n(&entry.library.getters[i], found, __ATOMIC_RELAXED);
    }
    entry.is_ready.store(true, std::memory_order_release);
    return &entry.library;
  }
  return &g_no_library;
}

// The slot of `real`, claimed if it is new; 0 if all are taken by others.
uint32_t ClaimSlot(Entry entry, void* real) {
  Slot* slots = g_slots[static_cast<uint32_t>(entry)];
  for (uint32_t i = 0; i < kSlotsPerEntry; ++i) {
    void* expected = slots[i].real.load(std::memory_order_acquire);
    if (expected == nullptr) {
      slots[i].real.compare_exchange_strong(expected, real, std::memory_order_acq_rel);
      if (expected == nullptr) expected = real;
    }
    if (expected != real) continue;
    if (slots[i].library.load(std::memory_order_acquire) == nullptr) {
      slots[i].library.store(LibraryAt(real), std::memory_order_release);
    }
    return i + 1;
  }
  Count(Counter::kSlotsExhausted);
  return 0;
}

void* FindReal(Entry entry, const void* return_address) {
  const char* symbol = NameOf(entry);
  void* real = LookUpFromObject(ObjectAt(return_address), symbol);
  if (real == nullptr) real = LookUpBehindUs(symbol);
  // A caller that got at the function some other way, such as a jump from a third object.
  if (real == nullptr) real = FindInAnyVendorFile(InfoOf(entry).library, symbol);
  dlerror();  // failed attempts above are not the job's errors
  return real;
}

}  // namespace

Target TargetOfSlot(Entry entry, uint32_t slot) {
  const Slot& found = g_slots[static_cast<uint32_t>(entry)][slot - 1];
  return {found.real.load(std::memory_order_acquire), found.library.load(std::memory_order_acquire),
          slot};
}

Target TargetOfPointer(Entry entry, void* real) {
  const uint32_t slot = ClaimSlot(entry, real);
  return slot != 0 ? TargetOfSlot(entry, slot) : Target{real, &g_no_library, 0};
}

bool IsHookedNccl(const void* address) {
  const link_map* map = ObjectAt(address);
  for (auto entry = static_cast<uint32_t>(Entry::k_ncclAllGather);
       entry <= static_cast<uint32_t>(Entry::k_ncclSend); ++entry) {
    for (const Slot& slot : g_slots[entry]) {
      void* real = slot.real.load(std::memory_order_acquire);
      if (real != nullptr && ObjectAt(real) == map) return true;
    }
  }
  return false;
}

Target TargetOfCaller(Entry entry, const void* return_address) {
  const auto address = reinterpret_cast<uintptr_t>(return_address);
  const auto number = static_cast<uint32_t>(entry);
  CallSite& site = t_call_sites[((address >> 2) ^ (address >> 9) ^ (number * 5)) % kCallSites];
  if (site.return_address == return_address && site.code >> kRouteBits == number &&
      site.code != 0) {
    const uint32_t slot = site.code & ((1u << kRouteBits) - 1);
    if (slot != 0) return TargetOfSlot(entry, slot);
  }
  void* real = FindReal(entry, return_address);
  if (real == nullptr) return {};
  const Target target = TargetOfPointer(entry, real);
  if (target.slot != 0) site = {return_address, number << kRouteBits | target.slot};
  return target;
}

void* LookUpBeyondUs(const char* symbol, const void* return_address) {
  void* found = LookUpBehindUs(symbol);
  if (found == nullptr && return_address != nullptr) {
    // Last, so that a failure leaves the message in dlerror() that the caller would see without us.
    found = LookUpFromObject(ObjectAt(return_address), symbol);
  }
  return found;
}

bool IsOwnStub(const void* address) {
  return address >= mfu_stubs_begin && address < mfu_stubs_end;
}

void* ThunkOf(Entry entry, uint32_t slot) {
  const auto index = static_cast<uint32_t>(entry);
  std::atomic<uint16_t>& given = g_thunks[index][slot - 1];
  uint32_t number = given.load(std::memory_order_acquire);
  if (number == 0) {
    number = g_thunks_given.load(std::memory_order_relaxed);
    do {
      if (number == kThunkCount) {
        Count(Counter::kSlotsExhausted);
        return nullptr;
      }
    } while (!g_thunks_given.compare_exchange_weak(number, number + 1, std::memory_order_relaxed));
    mfu_thunk_codes[number] = static_cast<uint16_t>(index << kRouteBits | slot);
    given.store(static_cast<uint16_t>(++number), std::memory_order_release);
  }
  return const_cast<unsigned char*>(mfu_thunks_begin) + StubOffset(number - 1);
}

bool IsVendorCode(const void* address) {
  // libcuda covers the driver, the runtime (libcudart) and their helpers, but not RAPIDS' libcudf.
  static constexpr const char* kPrefixes[] = {"libcuda",  "libcudnn", "libcublas", "libcusolver",
                                              "libnccl.", "libnv",    "libcupti"};
  const link_map* map = ObjectAt(address);
  if (map == nullptr) return false;
  if (map == ObjectAt(mfu_stubs_begin)) return true;
  const char* file = BaseName(map->l_name);
  for (const char* prefix : kPrefixes) {
    if (StartsWith(file, prefix)) return true;
  }
  return false;
}

}  // namespace mfutrace::interpose
