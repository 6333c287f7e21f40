// The read side of a .mfut file: checks each block whole, then hands its records to the visitor.
//
// Called by report/model and trace/dump. Trusts nothing it reads: lengths are checked before use,
// and nothing of a block is shown before its checksum held.
#include "trace/reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"

namespace mfutrace::trace {
namespace {

// The newest record layout of each kind that this reader understands.
constexpr uint8_t kNewestKindVersion = 1;
// Later formats may lengthen the file header; more than this is damage.
constexpr uint32_t kMaxHeaderBytes = 1u << 16;

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

std::string ErrnoText(int error) { return std::strerror(error); }

// Adds without the undefined overflow that a forged base time could cause.
int64_t AddNs(int64_t base_ns, uint32_t delta_ns) {
  return static_cast<int64_t>(static_cast<uint64_t>(base_ns) + delta_ns);
}

// The growth rule: as much as both sides know, zeros for what the file does not have.
template <typename Record>
Record TakeRecord(const uint8_t* data, size_t bytes) {
  Record record{};
  if (bytes != 0) std::memcpy(&record, data, std::min(bytes, sizeof(Record)));
  return record;
}

bool IsKnown(uint16_t kind) {
  return kind >= static_cast<uint16_t>(BlockKind::kStrings) &&
         (kind <= static_cast<uint16_t>(BlockKind::kLaunchSequences) ||
          kind == static_cast<uint16_t>(BlockKind::kWindows) ||
          kind == static_cast<uint16_t>(BlockKind::kWindowSequences) ||
          (kind >= static_cast<uint16_t>(BlockKind::kForeignKernels) &&
           kind <= static_cast<uint16_t>(BlockKind::kTimingChanges)));
}

class Reader {
 public:
  Reader(std::string path, File file, uint64_t file_bytes, Visitor& visitor)
      : path_(std::move(path)),
        file_(std::move(file)),
        file_bytes_(file_bytes),
        visitor_(visitor) {}

  absl::StatusOr<Outcome> Read() {
    if (absl::Status status = ReadHeader(); !status.ok()) return status;
    outcome_.bytes_read = position_;
    while (outcome_.damage.empty() && position_ < file_bytes_) {
      if (absl::Status status = ReadBlock(); !status.ok()) return status;
    }
    outcome_.bytes_lost = file_bytes_ - outcome_.bytes_read;
    return std::move(outcome_);
  }

 private:
  std::string Where() const { return absl::StrCat("the block at byte ", block_begin_); }

  // False at the end of the file; a file that shrinks while it is read ends early like any other.
  bool Fill(void* to, size_t bytes) {
    if (bytes == 0) return true;
    const size_t got = std::fread(to, 1, bytes, file_.get());
    position_ += got;
    return got == bytes;
  }

  void Damage(std::string clause) { outcome_.damage = std::move(clause); }

  void DamageAtEnd() {
    if (std::ferror(file_.get()) != 0) {
      Damage(absl::StrCat("cannot be read beyond byte ", position_, ": ", ErrnoText(errno)));
    } else {
      Damage("ends in the middle of a block (process killed?)");
    }
  }

  // A block whose checksum holds and whose lengths do not add up: no disk did that.
  void Malformed(absl::string_view what) {
    Damage(absl::StrCat(Where(), " is malformed: ", what, " (written by a faulty program?)"));
  }

  absl::Status NewerStatus(absl::string_view what) const {
    return absl::UnimplementedError(absl::StrCat(path_, ": written by a newer mfutrace (", what,
                                                 "); read it with that version or a later one"));
  }

  absl::Status ReadHeader() {
    FileHeader header{};
    const bool is_whole = Fill(&header, sizeof(header));
    if (std::ferror(file_.get()) != 0) {
      return absl::UnavailableError(absl::StrCat(path_, ": cannot be read: ", ErrnoText(errno)));
    }
    if (position_ == 0) {
      return absl::DataLossError(
          absl::StrCat(path_, ": is empty; the job ended before it wrote anything"));
    }
    const size_t magic_bytes = std::min<size_t>(position_, sizeof(kMagic));
    if (std::memcmp(header.magic, kMagic, magic_bytes) != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(path_, ": is not an mfutrace file (it does not start with \"mfutrace\")"));
    }
    if (!is_whole) {
      return absl::DataLossError(absl::StrCat(path_, ": ends inside its header, after ", position_,
                                              " of ", sizeof(header), " bytes"));
    }
    if (header.byte_order_mark == __builtin_bswap32(kByteOrderMark)) {
      return absl::UnimplementedError(absl::StrCat(
          path_, ": written on a big-endian machine, which this mfutrace cannot read"));
    }
    // FORMAT.md: the checksum of the first 64 bytes stays where it is in all formats, so a flipped
    // version is told from a newer one.
    if (header.crc32c != Crc32c(0, &header, offsetof(FileHeader, crc32c))) {
      return absl::DataLossError(absl::StrCat(
          path_, ": its header is damaged (checksum does not match); nothing can be read from it"));
    }
    if (header.format_version > kFormatVersion) {
      return NewerStatus(absl::StrCat("format ", header.format_version, ", this one reads up to ",
                                      kFormatVersion));
    }
    if (header.format_version == 0 || header.byte_order_mark != kByteOrderMark ||
        header.header_bytes < sizeof(FileHeader) || header.header_bytes > kMaxHeaderBytes) {
      return absl::DataLossError(absl::StrCat(path_, ": its header makes no sense (format ",
                                              header.format_version, ", ", header.header_bytes,
                                              " bytes); it was written by a faulty program"));
    }
    std::vector<uint8_t> rest(header.header_bytes - sizeof(FileHeader));
    if (!Fill(rest.data(), rest.size())) {
      return absl::DataLossError(absl::StrCat(path_, ": ends inside its header, after ", position_,
                                              " of ", header.header_bytes, " bytes"));
    }
    visitor_.OnHeader(header);
    return absl::OkStatus();
  }

  // Reads one block. Damage ends the loop of Read() and is no error.
  absl::Status ReadBlock() {
    block_begin_ = position_;
    BlockHeader header{};
    if (!Fill(&header, sizeof(header))) {
      DamageAtEnd();
      return absl::OkStatus();
    }
    if (header.sync != kBlockSync) {
      Damage(absl::StrCat(header.sync == 0 ? "holds zeros" : "is damaged", " at byte ",
                          block_begin_, ": no block starts there"));
      return absl::OkStatus();
    }
    if (header.payload_bytes > kMaxPayloadBytes) {
      Damage(absl::StrCat("is damaged at byte ", block_begin_, ": a block of ",
                          header.payload_bytes, " bytes is longer than any"));
      return absl::OkStatus();
    }
    if (header.payload_bytes > file_bytes_ - std::min(position_, file_bytes_)) {
      DamageAtEnd();
      return absl::OkStatus();
    }
    payload_.resize(header.payload_bytes);
    if (!Fill(payload_.data(), payload_.size())) {
      DamageAtEnd();
      return absl::OkStatus();
    }
    BlockHeader summed = header;
    summed.crc32c = 0;
    uint32_t crc = Crc32c(0, &summed, sizeof(summed));
    crc = Crc32c(crc, payload_.data(), payload_.size());
    if (crc != header.crc32c) {
      Damage(absl::StrCat("is damaged: the checksum of ", Where(), " does not match"));
      return absl::OkStatus();
    }

    const bool is_known = IsKnown(header.kind);
    if (!is_known && (header.flags & kMustUnderstand) != 0) {
      return NewerStatus(absl::StrCat("block kind ", header.kind, " at byte ", block_begin_,
                                      ", which must be understood"));
    }
    if (is_known && header.version > kNewestKindVersion) {
      return NewerStatus(absl::StrCat("version ", header.version, " of block kind ", header.kind,
                                      " at byte ", block_begin_, ", this one reads up to ",
                                      kNewestKindVersion));
    }
    visitor_.OnBlock(header, block_begin_);
    if (is_known) {
      VisitBlock(header);
      if (!outcome_.damage.empty()) return absl::OkStatus();
    } else {
      ++outcome_.blocks_skipped;
    }
    outcome_.bytes_read = position_;
    return absl::OkStatus();
  }

  void VisitBlock(const BlockHeader& header) {
    if (header.prefix_bytes > header.payload_bytes)
      return Malformed("its prefix is longer than it");
    const auto kind = static_cast<BlockKind>(header.kind);
    const uint8_t* records = payload_.data() + header.prefix_bytes;
    const size_t bytes = payload_.size() - header.prefix_bytes;
    switch (kind) {
      case BlockKind::kStrings:
        return VisitStrings(records, bytes);
      case BlockKind::kFacts:
        return VisitFacts(records, bytes);
      default:
        break;
    }
    if (header.record_bytes == 0) return Malformed("its records have no size");
    if (bytes % header.record_bytes != 0) return Malformed("its last record is cut short");
    const auto prefix = TakeRecord<CallPrefix>(payload_.data(), header.prefix_bytes);
    for (size_t at = 0; at < bytes; at += header.record_bytes) {
      VisitRecord(kind, prefix, records + at, header.record_bytes);
    }
  }

  void VisitRecord(BlockKind kind, const CallPrefix& prefix, const uint8_t* data, size_t bytes) {
    switch (kind) {
      case BlockKind::kDevices:
        return visitor_.OnDevice(TakeRecord<DeviceRecord>(data, bytes));
      case BlockKind::kLanes:
        return visitor_.OnLane(TakeRecord<LaneRecord>(data, bytes));
      case BlockKind::kThreads:
        return visitor_.OnThread(TakeRecord<ThreadRecord>(data, bytes));
      case BlockKind::kCommunicators:
        return visitor_.OnCommunicator(TakeRecord<CommunicatorRecord>(data, bytes));
      case BlockKind::kGemmSignatures:
        return visitor_.OnGemmSignature(TakeRecord<GemmSignature>(data, bytes));
      case BlockKind::kCollectiveSignatures:
        return TakeCollectiveSignature(TakeRecord<CollectiveSignature>(data, bytes));
      case BlockKind::kOpaqueSignatures:
        return visitor_.OnOpaqueSignature(TakeRecord<OpaqueSignature>(data, bytes));
      case BlockKind::kCalls:
        return visitor_.OnCall(CallOf(prefix, TakeRecord<CallRecord>(data, bytes)));
      case BlockKind::kTimedCalls: {
        const auto record = TakeRecord<TimedCallRecord>(data, bytes);
        Call call = CallOf(prefix, record.call);
        SetGpuTimes(prefix, record.gpu_begin_delta_ns, record.gpu_duration_ns, &call);
        return visitor_.OnCall(call);
      }
      case BlockKind::kCollectives: {
        const auto record = TakeRecord<CollectiveRecord>(data, bytes);
        Call call = CallOf(prefix, record.call);
        call.sequence = record.sequence;
        return visitor_.OnCall(call);
      }
      case BlockKind::kTimedCollectives: {
        const auto record = TakeRecord<TimedCollectiveRecord>(data, bytes);
        Call call = CallOf(prefix, record.call);
        SetGpuTimes(prefix, record.gpu_begin_delta_ns, record.gpu_duration_ns, &call);
        call.sequence = record.sequence;
        return visitor_.OnCall(call);
      }
      case BlockKind::kWideCalls:
        return visitor_.OnCall(CallOf(TakeRecord<WideCallRecord>(data, bytes)));
      case BlockKind::kCounts:
        return visitor_.OnCount(TakeRecord<CountRecord>(data, bytes));
      case BlockKind::kCounters:
        return visitor_.OnCounter(TakeRecord<CounterRecord>(data, bytes));
      case BlockKind::kHostClock:
        return visitor_.OnHostClock(TakeRecord<HostClockRecord>(data, bytes));
      case BlockKind::kClockSamples:
        return visitor_.OnClockSample(TakeRecord<ClockSampleRecord>(data, bytes));
      case BlockKind::kEnd:
        outcome_.ended_in_order = true;
        return visitor_.OnEnd(TakeRecord<EndRecord>(data, bytes));
      case BlockKind::kMatrixSignatures:
        return visitor_.OnMatrixSignature(TakeRecord<MatrixSignature>(data, bytes));
      case BlockKind::kAttentionSignatures:
        return visitor_.OnAttentionSignature(TakeRecord<AttentionSignature>(data, bytes));
      case BlockKind::kConvolutionSignatures:
        return visitor_.OnConvolutionSignature(TakeRecord<ConvolutionSignature>(data, bytes));
      case BlockKind::kRnnSignatures:
        return visitor_.OnRnnSignature(TakeRecord<RnnSignature>(data, bytes));
      case BlockKind::kCompoundSignatures:
        return visitor_.OnCompoundSignature(TakeRecord<CompoundSignature>(data, bytes));
      case BlockKind::kCompoundMembers:
        return visitor_.OnCompoundMember(TakeRecord<CompoundMember>(data, bytes));
      case BlockKind::kSequenceLengths:
        return visitor_.OnSequenceLengths(TakeRecord<SequenceLengths>(data, bytes));
      case BlockKind::kLaunchSequences:
        return visitor_.OnLaunchSequence(TakeRecord<LaunchSequence>(data, bytes));
      case BlockKind::kWindows:
        return visitor_.OnWindow(TakeRecord<WindowRecord>(data, bytes));
      case BlockKind::kWindowSequences:
        return visitor_.OnWindowSequence(TakeRecord<WindowSequence>(data, bytes));
      case BlockKind::kForeignKernels:
        return visitor_.OnForeignKernels(TakeRecord<ForeignKernels>(data, bytes));
      case BlockKind::kForeignRuns:
        return visitor_.OnForeignRun(TakeRecord<ForeignRun>(data, bytes));
      case BlockKind::kForeignEach:
        return visitor_.OnForeignEach(TakeRecord<ForeignEach>(data, bytes));
      case BlockKind::kKernelLaunches:
        return visitor_.OnKernelLaunches(TakeRecord<KernelLaunches>(data, bytes));
      case BlockKind::kTimingChanges:
        return visitor_.OnTimingChange(TakeRecord<TimingChange>(data, bytes));
      case BlockKind::kStrings:
      case BlockKind::kFacts:
        return;  // records of their own lengths: VisitStrings, VisitFacts
    }
  }

  void TakeCollectiveSignature(const CollectiveSignature& signature) {
    // Writers number signatures densely from 1; a damaged id must not become an allocation.
    constexpr uint32_t kMostSignatures = 1u << 24;
    if (signature.id < kMostSignatures) {
      if (signature.id >= is_collective_.size()) is_collective_.resize(signature.id + 1);
      is_collective_[signature.id] = true;
    }
    visitor_.OnCollectiveSignature(signature);
  }

  static void SetLane(uint32_t lane_flags, Call* call) {
    call->lane = lane_flags & 0x00ffffff;
    call->flags = static_cast<uint8_t>(lane_flags >> 24);
  }

  // The signature tells a collective, not the block: plain calls between collectives may share
  // theirs.
  bool IsCollective(uint32_t signature) const {
    return signature < is_collective_.size() && is_collective_[signature];
  }

  static void SetGpuTimes(const CallPrefix& prefix, uint32_t begin_delta_ns, uint32_t duration_ns,
                          Call* call) {
    call->is_timed = true;
    call->gpu_begin_ns = AddNs(prefix.gpu_base_ns, begin_delta_ns);
    call->gpu_end_ns = AddNs(call->gpu_begin_ns, duration_ns);
  }

  Call CallOf(const CallPrefix& prefix, const CallRecord& record) const {
    Call call;
    call.signature = record.signature;
    call.is_collective = IsCollective(record.signature);
    SetLane(record.lane_flags, &call);
    call.host_begin_ns = AddNs(prefix.host_base_ns, record.host_begin_delta_ns);
    call.host_end_ns = AddNs(call.host_begin_ns, record.host_duration_ns);
    return call;
  }

  Call CallOf(const WideCallRecord& record) const {
    Call call;
    call.signature = record.signature;
    SetLane(record.lane_flags, &call);
    call.host_begin_ns = record.host_begin_ns;
    call.host_end_ns = record.host_end_ns;
    if (record.is_timed != 0) {
      call.is_timed = true;
      call.gpu_begin_ns = record.gpu_begin_ns;
      call.gpu_end_ns = record.gpu_end_ns;
    }
    call.sequence = record.sequence;
    call.is_collective = IsCollective(record.signature);
    return call;
  }

  // Walks records of their own lengths. `take` gets the head and the text, which has as many bytes
  // as the lengths in the head add up to.
  template <typename Head, typename LengthOf, typename Take>
  void VisitVariable(const uint8_t* data, size_t bytes, LengthOf length_of, Take take) {
    size_t at = 0;
    while (at < bytes) {
      if (bytes - at < sizeof(Head)) return Malformed("its last record is cut short");
      const auto head = TakeRecord<Head>(data + at, sizeof(Head));
      at += sizeof(Head);
      const uint64_t length = length_of(head);
      if (length > bytes - at) return Malformed("a text is longer than it");
      take(head, reinterpret_cast<const char*>(data + at));
      at += std::min<size_t>((static_cast<size_t>(length) + 3) & ~size_t{3}, bytes - at);
    }
  }

  void VisitStrings(const uint8_t* data, size_t bytes) {
    VisitVariable<StringHeader>(
        data, bytes, [](const StringHeader& head) -> uint64_t { return head.bytes; },
        [this](const StringHeader& head, const char* text) {
          visitor_.OnString(head.id, absl::string_view(text, head.bytes));
        });
  }

  void VisitFacts(const uint8_t* data, size_t bytes) {
    VisitVariable<FactHeader>(
        data, bytes,
        [](const FactHeader& head) { return uint64_t{head.key_bytes} + head.value_bytes; },
        [this](const FactHeader& head, const char* text) {
          visitor_.OnFact(absl::string_view(text, head.key_bytes),
                          absl::string_view(text + head.key_bytes, head.value_bytes));
        });
  }

  const std::string path_;
  const File file_;
  const uint64_t file_bytes_;  // when it was opened: a running job may append to it
  Visitor& visitor_;
  std::vector<bool> is_collective_;  // by signature id
  uint64_t position_ = 0;
  uint64_t block_begin_ = 0;
  std::vector<uint8_t> payload_;
  Outcome outcome_;
};

}  // namespace

absl::StatusOr<Outcome> ReadTrace(const std::string& path, Visitor& visitor) {
  // O_NONBLOCK: a named pipe must be refused, not waited for.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      return absl::NotFoundError(absl::StrCat(path, ": no such file"));
    }
    return absl::PermissionDeniedError(
        absl::StrCat(path, ": cannot be opened: ", ErrnoText(error)));
  }
  struct stat facts = {};
  if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    close(fd);
    return absl::InvalidArgumentError(absl::StrCat(
        path, S_ISDIR(facts.st_mode) ? ": is a directory, not a trace file"
                                     : ": is not a regular file, so it cannot be a trace"));
  }
  File file(fdopen(fd, "rb"));
  if (file == nullptr) {
    const int error = errno;
    close(fd);
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": cannot be opened: ", ErrnoText(error)));
  }
  std::setvbuf(file.get(), nullptr, _IOFBF, 1 << 18);
  return Reader(path, std::move(file), static_cast<uint64_t>(facts.st_size), visitor).Read();
}

}  // namespace mfutrace::trace
