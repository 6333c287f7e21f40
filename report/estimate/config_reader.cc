#include "report/estimate/config_reader.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"

namespace mfutrace::report::estimate {
namespace {

std::optional<uint64_t> Whole(const rapidjson::Value& value, uint64_t limit) {
  if (value.IsUint64()) {
    return value.GetUint64() <= limit ? std::optional(value.GetUint64()) : std::nullopt;
  }
  if (!value.IsDouble()) return std::nullopt;
  const double number = value.GetDouble();
  if (!(number >= 0) || number > static_cast<double>(limit) || number != std::floor(number)) {
    return std::nullopt;
  }
  return static_cast<uint64_t>(number);
}

}  // namespace

ConfigReader::ConfigReader(const rapidjson::Value& root, std::string file)
    : file_(std::move(file)) {
  for (const char* name : {"text_config", "llm_config", "language_config"}) {
    const auto member = root.FindMember(name);
    if (member != root.MemberEnd() && member->value.IsObject()) objects_.push_back(&member->value);
  }
  objects_.push_back(&root);
}

ConfigReader::Found ConfigReader::Locate(Names names) const {
  for (const rapidjson::Value* object : objects_) {
    for (const char* name : names) {
      const auto member = object->FindMember(name);
      if (member != object->MemberEnd() && !member->value.IsNull()) return {name, &member->value};
    }
  }
  return {};
}

const rapidjson::Value* ConfigReader::Find(Names names) const { return Locate(names).value; }

std::optional<uint64_t> ConfigReader::Number(Names names, uint64_t limit) {
  const Found found = Locate(names);
  if (found.value == nullptr) return std::nullopt;
  const std::optional<uint64_t> number = Whole(*found.value, limit);
  if (!number.has_value()) {
    Complain(found.name, absl::StrCat("is not a whole number from 0 to ", limit));
  }
  return number;
}

uint64_t ConfigReader::Number(Names names, uint64_t limit, uint64_t fallback) {
  return Number(names, limit).value_or(fallback);
}

std::optional<bool> ConfigReader::Flag(Names names) {
  const Found found = Locate(names);
  if (found.value == nullptr) return std::nullopt;
  if (!found.value->IsBool()) {
    Complain(found.name, "is neither true nor false");
    return std::nullopt;
  }
  return found.value->GetBool();
}

std::string ConfigReader::Text(Names names) {
  const Found found = Locate(names);
  if (found.value == nullptr) return "";
  if (!found.value->IsString()) {
    Complain(found.name, "is not text");
    return "";
  }
  return std::string(found.value->GetString(), found.value->GetStringLength());
}

std::optional<std::vector<std::string>> ConfigReader::Texts(Names names) {
  const Found found = Locate(names);
  if (found.value == nullptr) return std::nullopt;
  std::vector<std::string> texts;
  if (found.value->IsArray()) {
    for (const rapidjson::Value& item : found.value->GetArray()) {
      if (!item.IsString()) break;
      texts.emplace_back(item.GetString(), item.GetStringLength());
    }
  }
  if (!found.value->IsArray() || texts.size() != found.value->Size()) {
    Complain(found.name, "is not a list of names");
    return std::nullopt;
  }
  return texts;
}

std::optional<std::vector<uint64_t>> ConfigReader::Numbers(Names names) {
  const Found found = Locate(names);
  if (found.value == nullptr) return std::nullopt;
  std::vector<uint64_t> numbers;
  if (found.value->IsArray()) {
    for (const rapidjson::Value& item : found.value->GetArray()) {
      const std::optional<uint64_t> number =
          item.IsBool() ? std::optional<uint64_t>(item.GetBool()) : Whole(item, kMaxDimension);
      if (!number.has_value()) break;
      numbers.push_back(*number);
    }
  }
  if (!found.value->IsArray() || numbers.size() != found.value->Size()) {
    Complain(found.name, "is not a list of whole numbers");
    return std::nullopt;
  }
  return numbers;
}

void ConfigReader::Complain(const std::string& key, const std::string& what) {
  Complain(absl::StrCat("\"", key, "\" ", what));
}

void ConfigReader::Complain(const std::string& sentence) {
  if (status_.ok()) status_ = absl::InvalidArgumentError(absl::StrCat(file_, ": ", sentence));
}

void ConfigReader::Require(const std::string& key) {
  Complain(
      absl::StrCat("no \"", key, "\": is this a model's config.json, as Hugging Face writes it?"));
}

}  // namespace mfutrace::report::estimate
