// Names of the entries, and entries of names, by this library's own dynamic symbol table: a second
// copy of five hundred names would be a tenth of the library.
#include <link.h>

#include <atomic>

#include "interpose/elf_symbols.h"
#include "interpose/entry_table.h"
#include "interpose/stubs.h"

namespace mfutrace::interpose {
namespace {

constinit std::atomic<const link_map*> g_own_map{nullptr};
// Names by entry, filled by the first who asks: whoever comes second stores the same again.
constinit std::atomic<bool> g_has_names{false};
constinit std::atomic<const char*> g_names[kEntryCount] = {};

const link_map* OwnMap() {
  const link_map* map = g_own_map.load(std::memory_order_acquire);
  if (map == nullptr) {
    map = ObjectAt(mfu_stubs_begin);
    g_own_map.store(map, std::memory_order_release);
  }
  return map;
}

Entry EntryAt(const void* address) {
  if (address < mfu_stubs_begin || address >= mfu_thunks_begin) return Entry::kCount;
  const uint32_t index = StubAtOffset(
      static_cast<size_t>(static_cast<const unsigned char*>(address) - mfu_stubs_begin));
  return index < kEntryCount ? static_cast<Entry>(index) : Entry::kCount;
}

void Keep(const char* name, const void* address, void*) {
  const Entry entry = EntryAt(address);
  if (entry == Entry::kCount) return;
  g_names[static_cast<uint32_t>(entry)].store(name, std::memory_order_relaxed);
}

}  // namespace

const char* NameOf(Entry entry) {
  if (!g_has_names.load(std::memory_order_acquire)) {
    const link_map* map = OwnMap();
    if (map == nullptr) return "";
    VisitObject(map->l_addr, map->l_ld, &Keep, nullptr);
    g_has_names.store(true, std::memory_order_release);
  }
  const char* name = g_names[static_cast<uint32_t>(entry)].load(std::memory_order_relaxed);
  return name == nullptr ? "" : name;
}

Entry EntryNamed(const char* symbol) {
  const bool is_candidate = (symbol[0] == 'c' && symbol[1] == 'u') ||
                            (symbol[0] == 'n' && symbol[1] == 'c' && symbol[2] == 'c');
  if (!is_candidate) return Entry::kCount;
  const link_map* map = OwnMap();
  if (map == nullptr) return Entry::kCount;
  return EntryAt(FindInObject(map->l_addr, map->l_ld, symbol));
}

}  // namespace mfutrace::interpose
