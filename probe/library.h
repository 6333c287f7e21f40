// A shared library of a vendor's, opened when it is asked for: the probe is built and starts where
// none is installed.
#pragma once

#include <dlfcn.h>

#include <string>
#include <vector>

namespace mfutrace::probe {

class Library {
 public:
  // The first of these names that the loader finds.
  explicit Library(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      handle_ = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (handle_ != nullptr) {
        name_ = name;
        return;
      }
      if (error_.empty()) error_ = dlerror();
    }
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  bool is_open() const { return handle_ != nullptr; }
  const std::string& name() const { return name_; }
  const std::string& error() const { return error_; }

  // nullptr into `function` where there is none of that name. Libraries stay open: their threads
  // may outlive any use.
  template <typename Function>
  bool Find(const char* symbol, Function*& function) const {
    function = handle_ == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(handle_, symbol));
    return function != nullptr;
  }

 private:
  void* handle_ = nullptr;
  std::string name_;
  std::string error_;
};

}  // namespace mfutrace::probe
