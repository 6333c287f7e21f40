#include "interpose/group.h"

#include "interpose/cupti_clock.h"
#include "interpose/lock.h"
#include "interpose/memory.h"

namespace mfutrace::interpose::group {
namespace {

constexpr uint32_t kCallsPerBuffer = 1024;
constexpr uint32_t kMaxBuffers = 64;  // 65536 calls in one group
constexpr uint32_t kMaxStreams = 64;
constexpr uint32_t kMaxCreations = 64;
constexpr uint32_t kNoStream = UINT32_MAX;

struct HeldCall {
  OpenCall call;
  uint32_t stream;  // index, kNoStream = beyond kMaxStreams
};

struct HeldCreation {
  void** handle;
  CommunicatorIdentity identity;
};

// Zeroed pages: what a group does not use is never touched. Streams and creations are those of the
// thread's first buffer.
struct Buffer {
  Buffer* next;
  uint32_t call_count;
  uint32_t stream_count;
  uint32_t creation_count;
  void* streams[kMaxStreams];
  Bracket brackets[kMaxStreams];
  HeldCreation creations[kMaxCreations];
  HeldCall calls[kCallsPerBuffer];
};

struct ThreadGroup {
  uint32_t depth;
  uint32_t buffer_count;
  bool has_brackets;
  Buffer* first;
  Buffer* last;
};
__thread ThreadGroup t_group;

constinit Lock g_lock;
constinit Buffer* g_free = nullptr;

Buffer* TakeBuffer() {
  {
    LockGuard guard(g_lock);
    if (g_free != nullptr) {
      Buffer* buffer = g_free;
      g_free = buffer->next;
      buffer->next = nullptr;
      buffer->call_count = buffer->stream_count = buffer->creation_count = 0;
      return buffer;
    }
  }
  return static_cast<Buffer*>(MapPages(sizeof(Buffer)));
}

void GiveBack(ThreadGroup& group) {
  if (group.first != nullptr) {
    LockGuard guard(g_lock);
    group.last->next = g_free;
    g_free = group.first;
  }
  group = {};
}

// The buffer with room for one more call; nullptr if there is none.
Buffer* RoomForCall(ThreadGroup& group) {
  if (group.last != nullptr && group.last->call_count < kCallsPerBuffer) return group.last;
  if (group.buffer_count == kMaxBuffers) return nullptr;
  Buffer* buffer = TakeBuffer();
  if (buffer == nullptr) return nullptr;
  (group.last != nullptr ? group.last->next : group.first) = buffer;
  group.last = buffer;
  ++group.buffer_count;
  return buffer;
}

uint32_t StreamIndex(Buffer& first, void* stream) {
  for (uint32_t i = first.stream_count; i-- > 0;) {
    if (first.streams[i] == stream) return i;
  }
  if (first.stream_count == kMaxStreams) return kNoStream;
  first.streams[first.stream_count] = stream;
  return first.stream_count++;
}

void RecordCalls(ThreadGroup& group) {
  Buffer& first = *group.first;
  for (Buffer* buffer = &first; buffer != nullptr; buffer = buffer->next) {
    for (uint32_t i = 0; i < buffer->call_count; ++i) {
      const HeldCall& held = buffer->calls[i];
      Bracket bracket;
      if (group.has_brackets && held.stream != kNoStream) {
        bracket = first.brackets[held.stream];
        // A share before each record: the flusher may have read the one before already. The share
        // that the bracket came with holds the pair until all are recorded.
        ShareBracket(bracket);
      }
      RecordHeld(held.call, bracket);
    }
  }
  if (!group.has_brackets) return;
  for (uint32_t i = 0; i < first.stream_count; ++i) DiscardBracket(first.brackets[i]);
}

}  // namespace

bool IsOpen() { return t_group.depth > 0; }

void Start() { ++t_group.depth; }

bool Hold(const OpenCall& call, void* stream) {
  ThreadGroup& group = t_group;
  Buffer* buffer = RoomForCall(group);
  if (buffer == nullptr) return false;
  buffer->calls[buffer->call_count++] = {call, StreamIndex(*group.first, stream)};
  return true;
}

OpenCall& Last() { return t_group.last->calls[t_group.last->call_count - 1].call; }

bool HoldCreation(void** handle, const CommunicatorIdentity& identity) {
  ThreadGroup& group = t_group;
  if (group.first == nullptr && RoomForCall(group) == nullptr) return false;
  Buffer& first = *group.first;
  if (first.creation_count == kMaxCreations) return false;
  first.creations[first.creation_count++] = {handle, identity};
  return true;
}

bool OpensBrackets() {
  ThreadGroup& group = t_group;
  if (group.depth != 1) return false;
  if (group.first == nullptr) return true;
  Buffer& first = *group.first;
  for (uint32_t i = 0; i < first.stream_count; ++i) {
    // CUPTI knows a launch's thread and not its stream: one ticket for the whole group.
    if (i != 0 && IsTicket(first.brackets[0].pair)) {
      ShareBracket(first.brackets[0]);
      first.brackets[i] = first.brackets[0];
    } else {
      first.brackets[i] = OpenBracket(first.streams[i]);
    }
  }
  group.has_brackets = true;
  return true;
}

void End(bool has_succeeded, bool was_launched, const VendorLibrary& library) {
  ThreadGroup& group = t_group;
  if (group.depth > 1) {
    --group.depth;
    return;
  }
  if (group.first == nullptr) {
    group = {};
    return;
  }
  Buffer& first = *group.first;
  if (group.has_brackets) {
    for (uint32_t i = 0; i < first.stream_count; ++i) {
      if (has_succeeded && was_launched) {
        CloseBracket(first.brackets[i], first.streams[i]);
      } else {
        DiscardBracket(first.brackets[i]);
      }
    }
    if (!was_launched) group.has_brackets = false;
  }
  if (has_succeeded) {
    for (uint32_t i = 0; i < first.creation_count; ++i) {
      const HeldCreation& creation = first.creations[i];
      if (*creation.handle == nullptr) {
        AddOrphan(creation.identity);
        continue;
      }
      Communicator* communicator = AddCommunicator(*creation.handle, creation.identity);
      if (communicator != nullptr && was_launched) IndexOf(*communicator, &library);
    }
    RecordCalls(group);
  } else {
    for (Buffer* buffer = &first; buffer != nullptr; buffer = buffer->next) {
      if (buffer->call_count != 0) Count(Counter::kFailedCalls, buffer->call_count);
    }
  }
  GiveBack(group);
}

void Forget() {
  if (t_group.depth > 1) {
    --t_group.depth;
  } else {
    GiveBack(t_group);
  }
}

}  // namespace mfutrace::interpose::group
