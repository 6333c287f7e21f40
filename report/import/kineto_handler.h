// What the JSON parser calls while it reads a Kineto trace: keeps track of where in the document it
// is, and hands fields to the collector. Used by kineto_reader.cc only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "report/import/kineto_collector.h"
#include "report/import/kineto_fields.h"
#include "report/import/kineto_reader.h"

namespace mfutrace::report {

// The interface is RapidJSON's: returning false stops the parse. Sizes are its SizeType.
class KinetoHandler {
 public:
  static constexpr size_t kMaxDepth = 64;

  explicit KinetoHandler(RawTrace* trace) : trace_(trace), collector_(trace) {}

  bool Null() { return Scalar({}, true); }
  bool Bool(bool value) { return Scalar(value ? "True" : "False", false); }
  bool RawNumber(const char* text, uint32_t size, bool) { return Scalar({text, size}, false); }
  bool String(const char* text, uint32_t size, bool) { return Scalar({text, size}, false); }
  // With numbers as strings these are not called.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(int64_t) { return false; }
  bool Uint64(uint64_t) { return false; }
  bool Double(double) { return false; }

  bool Key(const char* text, uint32_t size, bool);
  bool StartObject() { return Enter(true); }
  bool StartArray() { return Enter(false); }
  bool EndObject(uint32_t);
  bool EndArray(uint32_t);

  bool is_too_deep() const { return depth_ >= kMaxDepth; }

 private:
  // Where in the document a value stands.
  enum class Place : uint8_t {
    kSkipped,
    kTop,
    kEvents,
    kEvent,
    kArgs,
    kDims,       // "Input Dims"
    kDim,        // one argument's
    kTensor,     // one tensor's, in an argument that is a list of tensors
    kTypes,      // "Input type"
    kConcrete,   // "Concrete Inputs"
    kRanksText,  // "Process Group Ranks" written as an array
    kDevices,
    kDevice,
    kJob,  // distributedInfo
    kGroups,
    kGroup,
    kRanks,
  };

  bool Enter(bool is_object);
  Place ObjectIn(Place below);
  Place ArrayIn(Place below);
  bool Scalar(absl::string_view text, bool is_null);

  RawTrace* trace_;
  KinetoCollector collector_;
  std::array<Place, kMaxDepth> places_ = {};
  size_t depth_ = 0;
  Field key_ = Field::kOther;
  RawDevice device_;
  RawGroup group_;
};

}  // namespace mfutrace::report
