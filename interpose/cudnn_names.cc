// See cudnn_names.h.
#include "interpose/cudnn_names.h"

#include <cstring>

namespace mfutrace::interpose {
namespace {

constinit char g_texts[4096] = {};  // terminated texts, one behind the other
constinit size_t g_bytes = 0;

}  // namespace

CudnnNames::CudnnNames(const char* beginning) {
  beginning_bytes_ = static_cast<uint32_t>(std::strlen(beginning));
  std::memcpy(text_, beginning, beginning_bytes_ + 1);
  bytes_ = beginning_bytes_;
}

void CudnnNames::Add(const char* name, size_t bytes) {
  // A name is a word; what a plan has in its place otherwise is not repeated.
  if (name == nullptr || bytes == 0 || bytes > 64) return;
  for (size_t i = 0; i < bytes; ++i) {
    if (name[i] <= ' ' || name[i] > '~') return;
  }
  for (uint32_t at = beginning_bytes_; at < bytes_;) {
    const char* word_end = std::strchr(text_ + at, '+');
    const auto end = word_end != nullptr ? static_cast<uint32_t>(word_end - text_) : bytes_;
    if (end - at == bytes && std::memcmp(text_ + at, name, bytes) == 0) return;
    at = end + 1;
  }
  ++count_;
  if (bytes_ + bytes + 2 > sizeof text_) return;
  if (bytes_ != beginning_bytes_) text_[bytes_++] = '+';
  std::memcpy(text_ + bytes_, name, bytes);
  bytes_ += static_cast<uint32_t>(bytes);
  text_[bytes_] = '\0';
}

const char* CudnnNames::Keep() const {
  for (size_t at = 0; at < g_bytes; at += std::strlen(g_texts + at) + 1) {
    if (std::strcmp(g_texts + at, text_) == 0) return g_texts + at;
  }
  if (g_bytes + bytes_ + 1 > sizeof g_texts) return "cudnn graph: other operations";
  char* kept = g_texts + g_bytes;
  std::memcpy(kept, text_, bytes_ + 1);
  g_bytes += bytes_ + 1;
  return kept;
}

}  // namespace mfutrace::interpose
