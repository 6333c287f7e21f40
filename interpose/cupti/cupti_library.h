// CUPTI's own library in the job's process, as a table of pointers.
#pragma once

#include <cupti.h>

namespace mfutrace::interpose::cupti {

// member, symbol, whether tracing is impossible without it
#define MFU_CUPTI_FUNCTIONS(X)                                                  \
  X(activity_register_callbacks, cuptiActivityRegisterCallbacks, true)          \
  X(activity_enable, cuptiActivityEnable, true)                                 \
  X(activity_disable, cuptiActivityDisable, true)                               \
  X(activity_flush_all, cuptiActivityFlushAll, true)                            \
  X(activity_get_next_record, cuptiActivityGetNextRecord, true)                 \
  X(activity_push_external_id, cuptiActivityPushExternalCorrelationId, true)    \
  X(activity_pop_external_id, cuptiActivityPopExternalCorrelationId, true)      \
  X(activity_enable_driver_api, cuptiActivityEnableDriverApi, false)            \
  X(activity_enable_runtime_api, cuptiActivityEnableRuntimeApi, false)          \
  X(activity_get_num_dropped_records, cuptiActivityGetNumDroppedRecords, false) \
  X(get_timestamp, cuptiGetTimestamp, true)                                     \
  X(get_version, cuptiGetVersion, true)                                         \
  X(subscribe, cuptiSubscribe, true)                                            \
  X(unsubscribe, cuptiUnsubscribe, true)

struct CuptiLibrary {
#define MFU_CUPTI_MEMBER(member, symbol, is_needed) decltype(&::symbol) member;
  MFU_CUPTI_FUNCTIONS(MFU_CUPTI_MEMBER)
#undef MFU_CUPTI_MEMBER
};

// Looks for CUPTI: what the process has loaded, then MFUTRACE_CUPTI, then beside the CUDA libraries
// that the process has loaded, then by name. nullptr and the table filled, or why not (static
// storage).
const char* FindCupti(CuptiLibrary& library, void* (*find)(void* handle, const char* symbol));

}  // namespace mfutrace::interpose::cupti
