// What one case of a file of reference figures came to: the first mismatch is the one that is told.
#pragma once

#include <rapidjson/document.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/numeric/int128.h"

namespace mfutrace::cli {

class CaseVerdict {
 public:
  // `stated` is what the file says; absent, nothing is compared. Beyond 64 bits JSON's numbers are
  // doubles here, and then the nearest double to our figure must be the one stated.
  void CompareWide(const std::string& what, const rapidjson::Value* stated,
                   std::optional<absl::uint128> ours);
  void Compare(const std::string& what, const rapidjson::Value* stated,
               std::optional<uint64_t> ours) {
    CompareWide(what, stated,
                ours.has_value() ? std::optional(absl::uint128(*ours)) : std::nullopt);
  }
  // |stated - ours| <= tolerance x the larger of the two.
  void CompareWithin(const std::string& what, const rapidjson::Value* stated, double ours,
                     double tolerance);
  // |stated - ours| <= tolerance.
  void CompareNear(const std::string& what, const rapidjson::Value* stated, double ours,
                   double tolerance);
  void Fail(const std::string& text);

  bool has_compared() const { return compared_ > 0; }
  const std::string& failure() const { return failure_; }

 private:
  int compared_ = 0;
  std::string failure_;
};

}  // namespace mfutrace::cli
