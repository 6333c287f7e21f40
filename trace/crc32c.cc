// CRC-32C over bytes, four at a time from tables made at compile time.
//
// Called by the writer inside the job (flusher thread) and by the reader; no allocation, no CPU
// detection, no static constructors. A trace grows by a few MB a second at most, which these tables
// cover many hundred times over, so the SSE4.2 and ARMv8 instructions are not worth a second path.
#include <array>
#include <cstdint>
#include <cstring>

#include "trace/format.h"

namespace mfutrace::trace {
namespace {

// Castagnoli's polynomial, bits reflected (RFC 3720, appendix B.4).
constexpr uint32_t kPolynomial = 0x82f63b78;

using Tables = std::array<std::array<uint32_t, 256>, 4>;

// tables[0] is the classic byte table; tables[n] is the effect of a byte that stands n bytes
// earlier.
constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (uint32_t n = 1; n < 4; ++n) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[n - 1][byte];
      tables[n][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

}  // namespace

uint32_t Crc32c(uint32_t seed, const void* data, size_t bytes) {
  const uint8_t* at = static_cast<const uint8_t*>(data);
  uint32_t crc = ~seed;
  while (bytes >= 4) {
    uint32_t word = 0;
    std::memcpy(&word, at, 4);  // little endian, as the whole format
    word ^= crc;
    crc = kTables[3][word & 0xff] ^ kTables[2][(word >> 8) & 0xff] ^
          kTables[1][(word >> 16) & 0xff] ^ kTables[0][word >> 24];
    at += 4;
    bytes -= 4;
  }
  while (bytes-- > 0) crc = (crc >> 8) ^ kTables[0][(crc ^ *at++) & 0xff];
  return ~crc;
}

}  // namespace mfutrace::trace
