// Reads collectives and follows communicators. A communicator's identity must be the same on all
// its ranks, which run in other processes: it is made from what NCCL itself shares between them
// (the unique id), or from the parent's identity and the order of its splits, which NCCL requires
// to be the same everywhere.
#include <nccl.h>

#include <climits>
#include <cstddef>
#include <cstring>

#include "interpose/clock.h"
#include "interpose/group.h"
#include "interpose/observe.h"
#include "interpose/shadow.h"
#include "trace/format.h"

namespace mfutrace::interpose::observe {
namespace {

using shapes::Dtype;
using trace::CommunicatorEvent;

// Codes that older headers lack (nccl.h 2.24 and later).
constexpr int kNcclF8E4M3 = 10;
constexpr int kNcclF8E5M2 = 11;
constexpr unsigned kConfigMagic = 0xcafebeef;  // nccl.h, NCCL_CONFIG_INITIALIZER

Dtype DtypeOfNccl(int dtype) {
  switch (dtype) {
    case ncclInt8:
      return Dtype::kI8;
    case ncclUint8:
      return Dtype::kU8;
    case ncclInt32:
      return Dtype::kI32;
    case ncclUint32:
      return Dtype::kU32;
    case ncclInt64:
      return Dtype::kI64;
    case ncclUint64:
      return Dtype::kU64;
    case ncclFloat16:
      return Dtype::kF16;
    case ncclFloat32:
      return Dtype::kF32;
    case ncclFloat64:
      return Dtype::kF64;
    case ncclBfloat16:
      return Dtype::kBf16;
    case kNcclF8E4M3:
      return Dtype::kF8E4M3;
    case kNcclF8E5M2:
      return Dtype::kF8E5M2;
    default:
      return Dtype::kUnknown;
  }
}

// A non-blocking communicator answers "in progress": accepted, and launched by another thread
// later.
bool HasSucceeded(int status) { return status == ncclSuccess || status == ncclInProgress; }

uint8_t ReductionOf(int reduction) {
  return reduction >= 0 && reduction < UINT8_MAX ? static_cast<uint8_t>(reduction) : UINT8_MAX;
}

// commName, if the struct the caller compiled against is long enough to have one.
void CopyName(Pointer config_pointer, CommunicatorIdentity* identity) {
#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0)
  const auto* config = static_cast<const ncclConfig_t*>(config_pointer);
  if (config == nullptr || config->magic != kConfigMagic) return;
  constexpr size_t kEnd = offsetof(ncclConfig_t, commName) + sizeof(config->commName);
  if (config->size < kEnd || config->commName == NCCL_CONFIG_UNDEF_PTR) return;
  std::strncpy(identity->name, config->commName, sizeof(identity->name) - 1);
#else
  static_cast<void>(config_pointer);
  static_cast<void>(identity);
#endif
}

// A communicator has been made, or is being made: `handle` points to the caller's variable.
void Created(const HookedCall& call, int status, Pointer handle,
             const CommunicatorIdentity& identity) {
  if (!HasSucceeded(status)) {
    Count(Counter::kFailedCalls);
    return;
  }
  auto* variable = static_cast<void**>(const_cast<void*>(handle));
  if (variable == nullptr) return;
  // In a group, or not blocking, NCCL may write the handle later, and asking it for the rank now
  // would make it print a warning; what the arguments said is kept until the first use.
  if (group::IsOpen() && group::HoldCreation(variable, identity)) return;
  if (*variable == nullptr) {
    if (status == ncclInProgress) AddOrphan(identity);
    return;  // or a split without a colour, which has no child here
  }
  Communicator* communicator = AddCommunicator(*variable, identity);
  if (communicator != nullptr && status == ncclSuccess) IndexOf(*communicator, call.library);
}

// A handle we did not see being made: a call we do not know, or a handle filled in later.
Communicator* Adopt(Pointer handle) {
  CommunicatorIdentity identity;
  if (!TakeOnlyOrphan(&identity)) {
    Count(Counter::kUnknownCommunicators);
    identity.id = PrivateId();
  }
  return AddCommunicator(handle, identity);
}

// The call frees the handle, whose value NCCL may reuse at once: forgotten before, recorded after.
void Ending(HookedCall& call, Pointer handle) {
  Communicator* communicator = FindCommunicator(handle);
  if (communicator == nullptr) return;
  call.communicator = IndexOf(*communicator, nullptr);
  RemoveCommunicator(handle);
}

void Ended(const HookedCall& call, int status, CommunicatorEvent event) {
  if (HasSucceeded(status) && call.communicator != 0) {
    RecordCommunicatorEnd(call.communicator, static_cast<uint8_t>(event));
  }
}

CommunicatorIdentity IdentityOf(Pointer unique_ids, int id_count, int rank, int size,
                                Pointer config) {
  CommunicatorIdentity identity;
  identity.id = HashBytes(unique_ids, static_cast<uint64_t>(id_count) * sizeof(ncclUniqueId));
  identity.rank = rank;
  identity.size = size;
  CopyName(config, &identity);
  return identity;
}

}  // namespace

void ObserveCollective(HookedCall& call, const CollectiveArguments& arguments) {
  Communicator* communicator = FindCommunicator(arguments.communicator);
  if (communicator == nullptr && arguments.communicator != nullptr) {
    communicator = Adopt(arguments.communicator);
  }
  uint32_t index = 0;
  uint32_t sequence = 0;
  shapes::Collective collective;
  if (communicator != nullptr) {
    index = IndexOf(*communicator, call.library);
    sequence = communicator->sequence.fetch_add(1, std::memory_order_relaxed) + 1;
    const int32_t size = communicator->identity.size;
    collective.rank_count = size > 0 ? static_cast<uint32_t>(size) : 0;
  }
  collective.count = static_cast<uint64_t>(arguments.count);
  collective.peer = arguments.peer;
  collective.kind = static_cast<shapes::CollectiveKind>(InfoOf(call.entry).detail);
  collective.dtype = DtypeOfNccl(arguments.dtype);
  collective.reduction = ReductionOf(arguments.reduction);
  const uint32_t signature = InternCollective(collective, index, call.entry);
  void* stream = const_cast<void*>(arguments.stream);
  if (!group::IsOpen()) {
    Begin(call, signature, stream, sequence);
    return;
  }
  call.stream = stream;
  call.stage = HookedCall::Stage::kHeld;
  call.open = HoldCall(signature, stream, sequence);
}

void FinishCollective(HookedCall& call, int status) {
  const bool has_succeeded = HasSucceeded(status);
  if (call.stage == HookedCall::Stage::kHeld && has_succeeded) {
    call.open.host_end_ns = MonotonicNs();  // its own end, not the group's
    if (group::Hold(call.open, call.stream)) return;
  }
  if (call.stage == HookedCall::Stage::kBegun && status == ncclInProgress) {
    // Another thread will launch it: the bracket would close before the work begins.
    DiscardBracket(call.open.bracket);
    call.open.bracket = {};
  }
  Finish(call, has_succeeded);
}

void GroupStart::After(HookedCall&, int status) {
  if (status == ncclSuccess) group::Start();
}

void GroupEnd::Before(HookedCall&) { group::OpensBrackets(); }

void GroupEnd::After(HookedCall& call, int status) {
  group::End(HasSucceeded(status), status == ncclSuccess, *call.library);
}

void GroupSimulateEnd::After(HookedCall&, int status, Pointer) {
  if (HasSucceeded(status)) group::Forget();
}

void CommInitRank::After(HookedCall& call, int status, Pointer communicator, int size,
                         const Bytes<128>& unique_id, int rank) {
  Created(call, status, communicator, IdentityOf(&unique_id, 1, rank, size, nullptr));
}

void CommInitRankConfig::After(HookedCall& call, int status, Pointer communicator, int size,
                               const Bytes<128>& unique_id, int rank, Pointer config) {
  Created(call, status, communicator, IdentityOf(&unique_id, 1, rank, size, config));
}

void CommInitRankScalable::After(HookedCall& call, int status, Pointer communicator, int size,
                                 int rank, int id_count, Pointer unique_ids, Pointer config) {
  if (unique_ids == nullptr || id_count < 1) return;
  Created(call, status, communicator, IdentityOf(unique_ids, id_count, rank, size, config));
}

void CommInitAll::After(HookedCall& call, int status, Pointer communicators, int device_count,
                        Pointer devices) {
  if (communicators == nullptr || device_count < 1) return;
  CommunicatorIdentity identity;
  identity.id = PrivateId();  // all ranks live in this process
  identity.size = device_count;
  const auto* handles = static_cast<ncclComm_t const*>(communicators);
  const auto* ordinals = static_cast<const int*>(devices);
  for (int rank = 0; rank < device_count; ++rank) {
    identity.rank = rank;
    identity.device = ordinals != nullptr ? ordinals[rank] : rank;
    Created(call, status, &handles[rank], identity);
    if (!HasSucceeded(status)) break;
  }
}

namespace {

void Parting(HookedCall& call, Pointer parent) {
  Communicator* communicator = FindCommunicator(parent);
  if (communicator == nullptr && parent != nullptr) communicator = Adopt(parent);
  // Counted at the call, whatever comes of it: the count must agree with the other ranks'.
  if (communicator != nullptr) {
    call.communicator = communicator->splits.fetch_add(1, std::memory_order_relaxed) + 1;
  }
}

// The child of the communicator that Parting counted; rank and size are NCCL's to say.
void Parted(const HookedCall& call, int status, Pointer parent, int color, uint64_t id_seed,
            Pointer communicator, Pointer config) {
  const Communicator* known = FindCommunicator(parent);
  if (known == nullptr) return;
  CommunicatorIdentity identity;
  identity.parent_id = known->identity.id;
  identity.split_index = call.communicator;
  identity.split_color = color;
  identity.id = SplitId(identity.parent_id ^ id_seed, identity.split_index, color);
  CopyName(config, &identity);
  Created(call, status, communicator, identity);
}

}  // namespace

void CommSplit::Before(HookedCall& call, Pointer parent, int, int, Pointer, Pointer) {
  Parting(call, parent);
}

void CommSplit::After(HookedCall& call, int status, Pointer parent, int color, int,
                      Pointer communicator, Pointer config) {
  if (color == NCCL_SPLIT_NOCOLOR && HasSucceeded(status)) return;
  Parted(call, status, parent, color, 0, communicator, config);
}

// Only the ranks that stay call it, all with the same list, though maybe in another order.
void CommShrink::Before(HookedCall& call, Pointer parent, Pointer, int, Pointer, Pointer, int) {
  Parting(call, parent);
}

void CommShrink::After(HookedCall& call, int status, Pointer parent, Pointer excluded,
                       int excluded_count, Pointer communicator, Pointer config, int) {
  const auto* ranks = static_cast<const int*>(excluded);
  uint64_t who = 0;
  for (int i = 0; ranks != nullptr && i < excluded_count; ++i) {
    who += HashBytes(&ranks[i], sizeof(int));
  }
  Parted(call, status, parent, -1, who, communicator, config);
}

void CommRevoke::Before(HookedCall& call, Pointer communicator, int) {
  Communicator* known = FindCommunicator(communicator);
  if (known != nullptr) call.communicator = IndexOf(*known, nullptr);
}

void CommRevoke::After(HookedCall& call, int status, Pointer, int) {
  Ended(call, status, CommunicatorEvent::kRevoked);
}

void CommRegister::After(HookedCall&, int status, Pointer, Pointer, int64_t, Pointer) {
  if (HasSucceeded(status)) Count(Counter::kNcclBuffers);
}

void CommWindowRegister::After(HookedCall&, int status, Pointer, Pointer, int64_t, Pointer, int) {
  if (HasSucceeded(status)) Count(Counter::kNcclWindows);
}

void CommFinalize::Before(HookedCall& call, Pointer communicator) {
  Communicator* known = FindCommunicator(communicator);
  if (known != nullptr) call.communicator = IndexOf(*known, nullptr);
}

void CommFinalize::After(HookedCall& call, int status, Pointer) {
  Ended(call, status, CommunicatorEvent::kFinalized);
}

void CommDestroy::Before(HookedCall& call, Pointer communicator) { Ending(call, communicator); }

void CommDestroy::After(HookedCall& call, int status, Pointer) {
  Ended(call, status, CommunicatorEvent::kDestroyed);
}

void CommAbort::Before(HookedCall& call, Pointer communicator) { Ending(call, communicator); }

void CommAbort::After(HookedCall& call, int status, Pointer) {
  Ended(call, status, CommunicatorEvent::kAborted);
}

}  // namespace mfutrace::interpose::observe
