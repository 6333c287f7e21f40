// Reads the fields of one JSON object by name and remembers the first that was not as it should be,
// so that a caller reads them all and asks once. null is the same as absent.
//
// For verbs that take JSON files; the report's importers have streaming readers of their own.
#pragma once

#include <rapidjson/document.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mfutrace::cli {

class Fields {
 public:
  // `object` must outlive this; what is not an object has no fields.
  explicit Fields(const rapidjson::Value& object) : object_(object) {}

  bool Has(const char* name) const { return Find(name) != nullptr; }
  bool IsList(const char* name) const { return Has(name) && Find(name)->IsArray(); }
  bool IsText(const char* name) const { return Has(name) && Find(name)->IsString(); }
  // nullptr if absent.
  const rapidjson::Value* Find(const char* name) const;

  // Whole numbers that are not negative, also when written like 12.0.
  uint64_t Number(const char* name);
  uint64_t Number(const char* name, uint64_t fallback);
  std::optional<int64_t> Signed(const char* name);
  std::string Text(const char* name, const std::string& fallback = "");
  bool Flag(const char* name, bool fallback = false);
  std::vector<uint64_t> Numbers(const char* name);

  // Notes what is wrong, unless something already was.
  void Complain(const std::string& text);
  // Empty while everything was as it should be.
  const std::string& error() const { return error_; }

 private:
  const rapidjson::Value& object_;
  std::string error_;
};

// nullopt if `value` is no whole number of 64 bits without a sign.
std::optional<uint64_t> WholeNumber(const rapidjson::Value& value);

}  // namespace mfutrace::cli
