// See summary_file.h.
#include "report/analyze/summary_file.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "report/analyze/summary_fields.h"

namespace mfutrace::report {
namespace {

// docs/FORMAT.md, "Files of summaries". Numbers are little-endian, as in traces.
constexpr char kMagic[8] = {'m', 'f', 'u', 's', 'u', 'm', 's', '\n'};
constexpr uint32_t kVersion = 1;

enum class BlockKind : uint32_t { kDevice = 1, kLeftOut = 2, kEnd = 3 };

struct FileHead {
  char magic[8];
  uint32_t version;
  uint32_t reserved;
};
static_assert(sizeof(FileHead) == 16);

struct BlockHead {
  uint32_t kind;
  uint32_t crc32;  // of the payload
  uint64_t bytes;
};
static_assert(sizeof(BlockHead) == 16);

uint32_t ChecksumOf(const std::string& bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

void AppendBlock(BlockKind kind, const std::string& payload, std::string& file) {
  const BlockHead head = {static_cast<uint32_t>(kind), ChecksumOf(payload), payload.size()};
  file.append(reinterpret_cast<const char*>(&head), sizeof head);
  file += payload;
}

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(
      absl::StrCat("is damaged: ", what, "; make it again with mfutrace reduce"));
}

}  // namespace

bool IsSummaryFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char magic[sizeof kMagic] = {};
  file.read(magic, sizeof magic);
  return file.gcount() == sizeof magic && std::memcmp(magic, kMagic, sizeof magic) == 0;
}

void SortSummaries(std::vector<DeviceSummary>& devices) {
  const auto key = [](const DeviceSummary& device) {
    return std::tie(device.path, device.rank, device.device, device.host, device.pid);
  };
  std::stable_sort(devices.begin(), devices.end(),
                   [&](const DeviceSummary& a, const DeviceSummary& b) { return key(a) < key(b); });
}

std::string PackSummaries(Summaries summaries) {
  SortSummaries(summaries.devices);
  std::sort(summaries.left_out.begin(), summaries.left_out.end());
  FileHead head = {};
  std::memcpy(head.magic, kMagic, sizeof kMagic);
  head.version = kVersion;
  std::string file(reinterpret_cast<const char*>(&head), sizeof head);
  for (const DeviceSummary& device : summaries.devices) {
    ArchiveWriter writer;
    writer(device);
    AppendBlock(BlockKind::kDevice, writer.Take(), file);
  }
  for (const std::string& text : summaries.left_out) AppendBlock(BlockKind::kLeftOut, text, file);
  AppendBlock(BlockKind::kEnd, "", file);
  return file;
}

absl::StatusOr<Summaries> UnpackSummaries(const std::string& bytes) {
  FileHead head = {};
  if (bytes.size() < sizeof head) return Damaged("it ends inside its header");
  std::memcpy(&head, bytes.data(), sizeof head);
  if (std::memcmp(head.magic, kMagic, sizeof kMagic) != 0) {
    return absl::InvalidArgumentError("is no file of summaries");
  }
  if (head.version > kVersion) {
    return absl::UnimplementedError(
        absl::StrCat("written by a newer mfutrace (version ", head.version, " of summaries, this ",
                     "one reads up to ", kVersion, "); read it with that version or a later one"));
  }
  Summaries summaries;
  size_t at = sizeof head;
  while (true) {
    BlockHead block = {};
    if (bytes.size() - at < sizeof block) return Damaged("it ends early");
    std::memcpy(&block, bytes.data() + at, sizeof block);
    at += sizeof block;
    if (block.bytes > bytes.size() - at) return Damaged("it ends early");
    const std::string payload = bytes.substr(at, static_cast<size_t>(block.bytes));
    at += payload.size();
    if (ChecksumOf(payload) != block.crc32) {
      return Damaged(absl::StrCat("a checksum does not match before byte ", at));
    }
    switch (static_cast<BlockKind>(block.kind)) {
      case BlockKind::kEnd:
        if (at != bytes.size()) return Damaged("something follows its end");
        return summaries;
      case BlockKind::kLeftOut:
        summaries.left_out.push_back(payload);
        break;
      case BlockKind::kDevice: {
        ArchiveReader reader(payload);
        reader(summaries.devices.emplace_back());
        if (!reader.ok()) return Damaged("a summary makes no sense");
        break;
      }
      default:
        return absl::UnimplementedError(
            absl::StrCat("written by a newer mfutrace (block kind ", block.kind,
                         "); read it with that version or a later one"));
    }
  }
}

absl::StatusOr<Summaries> ReadSummaries(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file.bad() || !file.is_open()) {
    return absl::UnavailableError(absl::StrCat(path, ": cannot be read"));
  }
  absl::StatusOr<Summaries> summaries = UnpackSummaries(bytes);
  if (summaries.ok()) return summaries;
  return absl::Status(summaries.status().code(),
                      absl::StrCat(path, ": ", summaries.status().message()));
}

}  // namespace mfutrace::report
