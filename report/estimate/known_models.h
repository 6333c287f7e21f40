// Dimensions of models that reference figures name without giving them: each source's own models.
// Used by `estimate --check` alone; a user's model is always read from the user's file.
#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"
#include "report/estimate/model_config.h"

namespace mfutrace::report::estimate {

struct KnownConfig {
  const char* name;
  const char* json;
};

extern const KnownConfig kMaxTextModels[];
extern const size_t kMaxTextModelCount;

enum class ModelSource { kMaxText, kVerl, kNemoRl };

// kNotFound if the source has no model of this name.
absl::StatusOr<ModelConfig> KnownModel(ModelSource source, std::string_view name);

}  // namespace mfutrace::report::estimate
