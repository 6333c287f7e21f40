// See kineto_reader.h: the text as a stream, the parser, and its errors in plain words.
#include "report/import/kineto_reader.h"

#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "report/import/json_repair.h"
#include "report/import/kineto_handler.h"

namespace mfutrace::report {
namespace {

constexpr size_t kReadBytes = 256 << 10;

// Text as RapidJSON takes it: one character at a time, NUL at the end.
class RepairedStream {
 public:
  using Ch = char;

  explicit RepairedStream(ByteSource* source) : source_(source), raw_(kReadBytes) { Refill(); }

  Ch Peek() const { return at_ < end_ ? *at_ : '\0'; }
  Ch Take() {
    if (at_ == end_) return '\0';
    const Ch c = *at_++;
    if (at_ == end_) Refill();
    return c;
  }
  size_t Tell() const { return consumed_ + static_cast<size_t>(at_ - text_.data()); }

  // Writing into the text in place is not for streams.
  Ch* PutBegin() { return nullptr; }
  void Put(Ch) {}
  void Flush() {}
  size_t PutEnd(Ch*) { return 0; }

  const absl::Status& status() const { return status_; }
  uint64_t repairs() const { return repair_.repairs(); }

 private:
  void Refill() {
    consumed_ += text_.size();
    text_.clear();
    while (text_.empty() && !has_ended_) {
      absl::StatusOr<size_t> got = source_->Read(raw_.data(), raw_.size());
      if (!got.ok()) status_ = got.status();
      if (!got.ok() || *got == 0) {
        has_ended_ = true;
        repair_.Finish(&text_);
      } else {
        repair_.Append(absl::string_view(raw_.data(), *got), &text_);
      }
    }
    at_ = text_.data();
    end_ = at_ + text_.size();
  }

  ByteSource* source_;
  std::vector<char> raw_;
  JsonRepair repair_;
  std::string text_;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  size_t consumed_ = 0;
  bool has_ended_ = false;
  absl::Status status_;
};

}  // namespace

absl::Status ReadKineto(ByteSource* source, RawTrace* trace) {
  RepairedStream stream(source);
  KinetoHandler handler(trace);
  rapidjson::Reader reader;
  const rapidjson::ParseResult result =
      reader.Parse<rapidjson::kParseNumbersAsStringsFlag>(stream, handler);
  trace->repairs = stream.repairs();
  // What the source could not read explains what the parser then missed.
  if (!stream.status().ok()) return stream.status();
  if (handler.is_too_deep()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "is nested deeper than ", KinetoHandler::kMaxDepth, " levels: not a profiler's trace"));
  }
  if (result.IsError()) {
    if (result.Code() == rapidjson::kParseErrorDocumentEmpty) {
      return absl::InvalidArgumentError("is empty");
    }
    if (stream.Peek() == '\0' && trace->has_events_list) {
      return absl::DataLossError(absl::StrCat("ends early, after ", trace->events,
                                              " events: the JSON is truncated (was the job killed "
                                              "while it wrote the trace?)"));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("is not JSON: ", rapidjson::GetParseError_En(result.Code()), " (byte ",
                     result.Offset(), ")"));
  }
  if (!trace->has_events_list) {
    return absl::InvalidArgumentError(
        "is JSON, but not a trace: it has no \"traceEvents\" (expected a PyTorch profiler trace)");
  }
  return absl::OkStatus();
}

}  // namespace mfutrace::report
