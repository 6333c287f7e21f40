// Every intercepted function as an enumerator, made from the one list in entry_points.def.
#pragma once

#include <cstdint>

namespace mfutrace::interpose {

enum class Entry : uint16_t {
#define MFU_ENTRY(symbol, ...) k_##symbol,
#include "interpose/entry_points.def"
#undef MFU_ENTRY
  kCount
};

inline constexpr uint32_t kEntryCount = static_cast<uint32_t>(Entry::kCount);

// "cublasSgemm_v2": static storage, terminated.
const char* NameOf(Entry entry);

}  // namespace mfutrace::interpose
