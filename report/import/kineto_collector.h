// From one event's fields to the flat records of a RawTrace: what is kept, and what is not.
//
// The handler fills `event` field by field and calls EndEvent; nothing here knows of JSON.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "report/import/kineto_fields.h"
#include "report/import/kineto_reader.h"

namespace mfutrace::report {

// The fields of the event being read. Texts are reused, so that events allocate nothing.
struct KinetoEvent {
  std::string name;
  std::string process;
  std::string thread;
  std::string dims;      // arguments end in ';', numbers in ',', tensors of a list in '/'
  std::string types;     // each ends in '\n'
  std::string concrete;  // each ends in '\n'
  RawCollective collective;
  int64_t begin_ns = 0;
  int64_t duration_ns = 0;
  int64_t correlation = kNoId;
  int64_t external_id = kNoId;
  int64_t device = -1;
  int64_t stream = -1;
  Category category = Category::kOther;
  char phase = 0;
  bool has_begin = false;
  bool has_bad_duration = false;
  bool has_dims = false;

  void Clear() {
    for (std::string* text :
         {&name, &process, &thread, &dims, &types, &concrete, &collective.name, &collective.dtype,
          &collective.group_name, &collective.group_description, &collective.group_ranks}) {
      text->clear();
    }
    collective.in_elements = collective.out_elements = collective.group_size = -1;
    begin_ns = duration_ns = 0;
    correlation = external_id = kNoId;
    device = stream = -1;
    category = Category::kOther;
    phase = 0;
    has_begin = has_bad_duration = has_dims = false;
  }
};

class KinetoCollector {
 public:
  explicit KinetoCollector(RawTrace* trace) : trace_(trace) {}

  // The event being read. Whoever begins one clears it.
  KinetoEvent event;
  void SetField(Field field, absl::string_view text);  // of the event itself
  void SetArg(Field field, absl::string_view text);    // of its "args"
  void EndEvent();

 private:
  Interval EventTime() const;
  void WidenHostWindow();
  void AddGpuEvent();
  void AddLaunch();
  void AddOperator();
  RawOp NewOp();
  uint32_t CollectiveIndex();
  uint32_t ThreadIndex();

  RawTrace* trace_;
  TextTable threads_;
  absl::flat_hash_map<std::string, uint32_t> signatures_;
  absl::flat_hash_map<std::string, uint32_t> collectives_;
  bool has_host_window_ = false;
};

}  // namespace mfutrace::report
