#include "interpose/elf_symbols.h"

#include <dlfcn.h>

#include <cstring>

namespace mfutrace::interpose {
namespace {

// What the dynamic section of one object says about its symbols.
struct SymbolTable {
  uintptr_t base = 0;
  const ElfW(Sym) * symbols = nullptr;
  const char* strings = nullptr;
  const ElfW(Half) * versions = nullptr;
  const uint32_t* gnu_hash = nullptr;
  const uint32_t* sysv_hash = nullptr;
};

constexpr ElfW(Half) kHiddenVersion = 0x8000;

// glibc relocates the pointers of a writable dynamic section in place; of a read-only one (the
// vdso) it does not, and other C libraries never do.
template <typename T>
const T* Pointer(uintptr_t base, ElfW(Addr) value) {
  return reinterpret_cast<const T*>(value < base ? base + value : value);
}

SymbolTable ReadDynamic(uintptr_t base, const ElfW(Dyn) * dynamic) {
  SymbolTable table;
  table.base = base;
  for (const ElfW(Dyn)* entry = dynamic; entry->d_tag != DT_NULL; ++entry) {
    const ElfW(Addr) value = entry->d_un.d_ptr;
    switch (entry->d_tag) {
      case DT_SYMTAB:
        table.symbols = Pointer<ElfW(Sym)>(base, value);
        break;
      case DT_STRTAB:
        table.strings = Pointer<char>(base, value);
        break;
      case DT_VERSYM:
        table.versions = Pointer<ElfW(Half)>(base, value);
        break;
      case DT_GNU_HASH:
        table.gnu_hash = Pointer<uint32_t>(base, value);
        break;
      case DT_HASH:
        table.sysv_hash = Pointer<uint32_t>(base, value);
        break;
      default:
        break;
    }
  }
  return table;
}

// Keeps the best definition seen: a default version ends the search, a hidden one is remembered.
struct Match {
  void* address = nullptr;

  bool Offer(const SymbolTable& table, uint32_t index, const char* name) {
    const ElfW(Sym)& symbol = table.symbols[index];
    const unsigned type = symbol.st_info & 0xfu;
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_value == 0) return false;
    if (type != STT_FUNC && type != STT_OBJECT && type != STT_NOTYPE) return false;
    if (std::strcmp(table.strings + symbol.st_name, name) != 0) return false;
    const bool is_hidden =
        table.versions != nullptr && (table.versions[index] & kHiddenVersion) != 0;
    if (address == nullptr || !is_hidden) {
      address = reinterpret_cast<void*>(table.base + symbol.st_value);
    }
    return !is_hidden;
  }
};

void* FindByGnuHash(const SymbolTable& table, const char* name) {
  const uint32_t bucket_count = table.gnu_hash[0];
  const uint32_t first_symbol = table.gnu_hash[1];
  const uint32_t bloom_words = table.gnu_hash[2];
  if (bucket_count == 0) return nullptr;
  const uint32_t* buckets = table.gnu_hash + 4 + bloom_words * (sizeof(ElfW(Addr)) / 4);
  const uint32_t* chains = buckets + bucket_count;
  uint32_t hash = 5381;
  for (const char* c = name; *c != '\0'; ++c) hash = hash * 33 + static_cast<unsigned char>(*c);
  uint32_t index = buckets[hash % bucket_count];
  if (index < first_symbol) return nullptr;
  Match match;
  for (;; ++index) {
    const uint32_t chain = chains[index - first_symbol];
    if (((chain ^ hash) >> 1) == 0 && match.Offer(table, index, name)) break;
    if ((chain & 1) != 0) break;  // last symbol of the bucket
  }
  return match.address;
}

void* FindBySysvHash(const SymbolTable& table, const char* name) {
  const uint32_t bucket_count = table.sysv_hash[0];
  if (bucket_count == 0) return nullptr;
  const uint32_t* buckets = table.sysv_hash + 2;
  const uint32_t* chains = buckets + bucket_count;
  uint32_t hash = 0;
  for (const char* c = name; *c != '\0'; ++c) {
    hash = (hash << 4) + static_cast<unsigned char>(*c);
    const uint32_t high = hash & 0xf0000000u;
    hash ^= high >> 24;
    hash &= ~high;
  }
  Match match;
  for (uint32_t index = buckets[hash % bucket_count]; index != STN_UNDEF; index = chains[index]) {
    if (match.Offer(table, index, name)) break;
  }
  return match.address;
}

}  // namespace

void* FindInObject(uintptr_t base, const ElfW(Dyn) * dynamic, const char* name) {
  if (dynamic == nullptr) return nullptr;
  const SymbolTable table = ReadDynamic(base, dynamic);
  if (table.symbols == nullptr || table.strings == nullptr) return nullptr;
  if (table.gnu_hash != nullptr) return FindByGnuHash(table, name);
  if (table.sysv_hash != nullptr) return FindBySysvHash(table, name);
  return nullptr;
}

void VisitObject(uintptr_t base, const ElfW(Dyn) * dynamic,
                 void (*visit)(const char* name, const void* address, void* context),
                 void* context) {
  const SymbolTable table = ReadDynamic(base, dynamic);
  if (table.symbols == nullptr || table.strings == nullptr || table.gnu_hash == nullptr) return;
  const uint32_t bucket_count = table.gnu_hash[0];
  const uint32_t first_symbol = table.gnu_hash[1];
  const uint32_t* buckets = table.gnu_hash + 4 + table.gnu_hash[2] * (sizeof(ElfW(Addr)) / 4);
  const uint32_t* chains = buckets + bucket_count;
  for (uint32_t bucket = 0; bucket < bucket_count; ++bucket) {
    uint32_t index = buckets[bucket];
    if (index < first_symbol) continue;
    do {
      const ElfW(Sym)& symbol = table.symbols[index];
      visit(table.strings + symbol.st_name,
            reinterpret_cast<const void*>(table.base + symbol.st_value), context);
    } while ((chains[index++ - first_symbol] & 1) == 0);
  }
}

const char* BaseName(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

bool StartsWith(const char* text, const char* prefix) {
  return std::strncmp(text, prefix, std::strlen(prefix)) == 0;
}

struct link_map* ObjectAt(const void* address) {
  Dl_info info;
  void* map = nullptr;
  if (dladdr1(address, &info, &map, RTLD_DL_LINKMAP) == 0) return nullptr;
  return static_cast<struct link_map*>(map);
}

}  // namespace mfutrace::interpose
