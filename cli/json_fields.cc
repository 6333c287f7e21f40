#include "cli/json_fields.h"

#include <cmath>

namespace mfutrace::cli {

std::optional<uint64_t> WholeNumber(const rapidjson::Value& value) {
  if (value.IsUint64()) return value.GetUint64();
  if (!value.IsDouble()) return std::nullopt;
  const double number = value.GetDouble();
  // 2^64 is the first double that does not fit.
  if (number < 0 || number >= 18446744073709551616.0 || number != std::floor(number)) {
    return std::nullopt;
  }
  return static_cast<uint64_t>(number);
}

const rapidjson::Value* Fields::Find(const char* name) const {
  if (!object_.IsObject()) return nullptr;
  const auto member = object_.FindMember(name);
  if (member == object_.MemberEnd() || member->value.IsNull()) return nullptr;
  return &member->value;
}

uint64_t Fields::Number(const char* name) {
  const rapidjson::Value* value = Find(name);
  if (value == nullptr) {
    Complain(std::string("no \"") + name + "\"");
    return 0;
  }
  const std::optional<uint64_t> number = WholeNumber(*value);
  if (!number.has_value()) Complain(std::string("\"") + name + "\" is not a whole number");
  return number.value_or(0);
}

uint64_t Fields::Number(const char* name, uint64_t fallback) {
  return Has(name) ? Number(name) : fallback;
}

std::optional<int64_t> Fields::Signed(const char* name) {
  const rapidjson::Value* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->IsInt64()) {
    Complain(std::string("\"") + name + "\" is not a whole number");
    return std::nullopt;
  }
  return value->GetInt64();
}

std::string Fields::Text(const char* name, const std::string& fallback) {
  const rapidjson::Value* value = Find(name);
  if (value == nullptr) return fallback;
  if (!value->IsString()) {
    Complain(std::string("\"") + name + "\" is not text");
    return fallback;
  }
  return std::string(value->GetString(), value->GetStringLength());
}

bool Fields::Flag(const char* name, bool fallback) {
  const rapidjson::Value* value = Find(name);
  if (value == nullptr) return fallback;
  if (!value->IsBool()) {
    Complain(std::string("\"") + name + "\" is neither true nor false");
    return fallback;
  }
  return value->GetBool();
}

std::vector<uint64_t> Fields::Numbers(const char* name) {
  std::vector<uint64_t> numbers;
  const rapidjson::Value* value = Find(name);
  if (value == nullptr || !value->IsArray()) {
    Complain(std::string("no list \"") + name + "\"");
    return numbers;
  }
  for (const rapidjson::Value& item : value->GetArray()) {
    const std::optional<uint64_t> number = WholeNumber(item);
    if (!number.has_value()) {
      Complain(std::string("\"") + name + "\" holds what is not a whole number");
      return {};
    }
    numbers.push_back(*number);
  }
  return numbers;
}

void Fields::Complain(const std::string& text) {
  if (error_.empty()) error_ = text;
}

}  // namespace mfutrace::cli
