// Reads keys of a config.json that go by several names, nested language model first; the first
// value of a wrong type becomes the error. null is the same as absent.
#pragma once

#include <rapidjson/document.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace mfutrace::report::estimate {

// Dimensions beyond these are mistakes, and would overflow 128 bits when multiplied.
inline constexpr uint64_t kMaxDimension = uint64_t{1} << 24;
inline constexpr uint64_t kMaxVocabulary = uint64_t{1} << 28;
inline constexpr uint64_t kMaxLayers = 16384;
inline constexpr uint64_t kMaxHeads = 65536;

class ConfigReader {
 public:
  using Names = std::initializer_list<const char*>;

  // `root` must outlive this.
  ConfigReader(const rapidjson::Value& root, std::string file);

  // nullptr if none of the names is there.
  const rapidjson::Value* Find(Names names) const;
  bool Has(Names names) const { return Find(names) != nullptr; }

  std::optional<uint64_t> Number(Names names, uint64_t limit = kMaxDimension);
  uint64_t Number(Names names, uint64_t limit, uint64_t fallback);
  std::optional<bool> Flag(Names names);
  std::string Text(Names names);
  std::optional<std::vector<std::string>> Texts(Names names);
  // Numbers, or true and false as 1 and 0.
  std::optional<std::vector<uint64_t>> Numbers(Names names);

  // `what` is a clause about `key`: "is not a whole number".
  void Complain(const std::string& key, const std::string& what);
  void Complain(const std::string& sentence);
  // Notes that nothing goes on without one of these keys.
  void Require(const std::string& key);
  const absl::Status& status() const { return status_; }

 private:
  struct Found {
    const char* name = nullptr;
    const rapidjson::Value* value = nullptr;
  };
  Found Locate(Names names) const;

  std::vector<const rapidjson::Value*> objects_;  // inner before outer
  std::string file_;
  absl::Status status_;
};

}  // namespace mfutrace::report::estimate
