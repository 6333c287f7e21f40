// Names of the entry points, without the hooks behind them: unit tests of the runtime link neither
// the stubs nor the exported dlsym.
#include "interpose/entry_points.h"

namespace mfutrace::interpose {

const char* NameOf(Entry entry) {
  static constexpr const char* kNames[] = {
#define MFU_ENTRY(symbol, ...) #symbol,
#include "interpose/entry_points.def"
#undef MFU_ENTRY
  };
  return kNames[static_cast<uint32_t>(entry)];
}

}  // namespace mfutrace::interpose
