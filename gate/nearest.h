// The word that a mistyped one was meant to be; used for keys of gate files, verbs and options.
#pragma once

#include <string>
#include <vector>

namespace mfutrace::gate {

// The candidate most like `word`, empty if none is like it.
std::string Nearest(const std::string& word, const std::vector<std::string>& candidates);

// " (did you mean X?)" or nothing.
std::string DidYouMean(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace mfutrace::gate
