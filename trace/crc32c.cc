// CRC-32C over bytes, four at a time from tables made at the first use: in the file they would be a
// fiftieth of what the preloaded library may load.
//
// Called by the writer inside the job (flusher thread) and by the reader; no allocation, no CPU
// detection, no static constructors. A trace grows by a few MB a second at most, which these tables
// cover many hundred times over, so the SSE4.2 and ARMv8 instructions are not worth a second path.
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "trace/format.h"

namespace mfutrace::trace {
namespace {

// Castagnoli's polynomial, bits reflected (RFC 3720, appendix B.4).
constexpr uint32_t kPolynomial = 0x82f63b78;

// Atomic, since several threads may make them at once: all write the same, and nobody waits for a
// thread that a fork has left behind.
using Tables = std::array<std::array<std::atomic<uint32_t>, 256>, 4>;
constinit Tables g_tables{};
constinit std::atomic<bool> g_are_made{false};

// tables[0] is the classic byte table; tables[n] is the effect of a byte that stands n bytes
// earlier.
void MakeTables() {
  constexpr std::memory_order kRelaxed = std::memory_order_relaxed;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    g_tables[0][byte].store(crc, kRelaxed);
  }
  for (uint32_t n = 1; n < 4; ++n) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = g_tables[n - 1][byte].load(kRelaxed);
      g_tables[n][byte].store((before >> 8) ^ g_tables[0][before & 0xff].load(kRelaxed), kRelaxed);
    }
  }
  g_are_made.store(true, std::memory_order_release);
}

uint32_t At(uint32_t table, uint32_t byte) {
  return g_tables[table][byte & 0xff].load(std::memory_order_relaxed);
}

}  // namespace

uint32_t Crc32c(uint32_t seed, const void* data, size_t bytes) {
  const uint8_t* at = static_cast<const uint8_t*>(data);
  if (!g_are_made.load(std::memory_order_acquire)) MakeTables();
  uint32_t crc = ~seed;
  while (bytes >= 4) {
    uint32_t word = 0;
    std::memcpy(&word, at, 4);  // little endian, as the whole format
    word ^= crc;
    crc = At(3, word) ^ At(2, word >> 8) ^ At(1, word >> 16) ^ At(0, word >> 24);
    at += 4;
    bytes -= 4;
  }
  while (bytes-- > 0) crc = (crc >> 8) ^ At(0, crc ^ *at++);
  return ~crc;
}

}  // namespace mfutrace::trace
