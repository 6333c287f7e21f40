// One case of a file of reference vectors, or one call in its list of calls: the named operation
// and its arguments put through the arithmetic of shapes/.
//
// Reads only what describes the work (op, args, calls), never the expected figures: those are
// shapes_check's, so that the two cannot be mixed up.
#pragma once

#include <rapidjson/document.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mfutrace::cli {

struct Figures {
  uint64_t executed_flop = 0;
  uint64_t model_flop = 0;
  uint64_t conventional_flop = 0;  // complex products by 8mnk; elsewhere executed
  // Attention without its mask, as executed and as model; elsewhere the same as with it.
  uint64_t full_executed_flop = 0;
  uint64_t full_model_flop = 0;
  // What the source says it counts, where the arguments say so: an epilogue, multiply-adds as one,
  // the full rectangle.
  std::optional<uint64_t> source_flop;
  std::optional<uint64_t> needed_taps_flop;
  std::optional<uint64_t> longest_flop;  // sequences of different lengths, all taken as the longest
  std::optional<uint64_t> least_bytes;   // of a collective: bus bytes
  std::optional<uint64_t> algorithm_bytes;
  std::optional<uint64_t> reduction_adds;
  std::vector<uint64_t> kept_pairs;  // attention, one number a sequence
  bool is_model = false;             // a list of calls: its bytes are a source's estimate
};

// Figures of `op` with `args`, or why there are none ("no arithmetic for ...").
struct FiguresOrError {
  std::optional<Figures> figures;
  std::string error;
};
FiguresOrError FiguresOf(const std::string& op, const rapidjson::Value& args);

// A call that a source counts and no library makes: arithmetic of norms and scans, or an embedding
// counted as a product.
bool IsNoLibraryCall(const std::string& op, const std::string& name);

// Adds `count` times `figures` to `sum`, saturating.
void AddFigures(const Figures& figures, uint64_t count, Figures* sum);

}  // namespace mfutrace::cli
