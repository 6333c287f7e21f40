// The recorder's side of the seam, as a log: one line on stdout for each thing the hooks say,
// between the lines of the job and of the fake libraries, so that order shows. Linked with the real
// hooks into a library that tests preload in place of libmfutrace.so.
#include <cstdarg>
#include <cstdint>
#include <cstdio>

#include "interpose/counters.h"
#include "interpose/gpu_clock.h"
#include "interpose/graph_hooks.h"
#include "interpose/recorder.h"

namespace mfutrace::interpose {
namespace {

// Through the job's stdout: jobs print line by line and share its buffer with us.
void Log(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  flockfile(stdout);  // one line, whatever other threads print
  std::printf("  | ");
  std::vprintf(format, arguments);
  std::printf("\n");
  funlockfile(stdout);
  va_end(arguments);
}

unsigned long Number(const void* stream) { return reinterpret_cast<unsigned long>(stream); }

constexpr const char* kCounterTexts[] = {
#define MFU_COUNTER_TEXT(name, text) text,
    MFU_COUNTERS(MFU_COUNTER_TEXT)
#undef MFU_COUNTER_TEXT
};

uint32_t g_signatures = 0;
uint32_t g_communicators = 0;
uint32_t g_brackets = 0;

}  // namespace

void Count(Counter counter, uint64_t by) {
  Log("count %s %llu", kCounterTexts[static_cast<int>(counter)],
      static_cast<unsigned long long>(by));
}

bool Observing() { return true; }
bool HasSession() { return true; }
void CountLaunch(uint64_t) {}
void BeforeCuptiCall(const GraphCall& call) { Log("before %s", NameOf(call.entry)); }
void AfterCuptiCall(const GraphCall& call, int status) {
  Log("after %s %d", NameOf(call.entry), status);
}
void BeforeGraphCall(const GraphCall& call, OpenCall&) { Log("before %s", NameOf(call.entry)); }
void AfterGraphCall(const GraphCall& call, OpenCall&, int status) {
  Log("after %s, status %d", NameOf(call.entry), status);
}
void GraphFilledByLibrary(const void*, uint32_t signature, bool is_in_place) {
  Log("graph %s with %u", is_in_place ? "refilled" : "filled", signature);
}
bool IsWanted(Entry) { return true; }

uint32_t InternGemm(const shapes::Gemm& gemm, uint32_t compute_code, Entry entry,
                    shapes::Provenance) {
  Log("gemm %s %llux%llux%llu b%llu types %d,%d,%d,%d acc %d math %d op %d%d beta %d bcast %d%d "
      "code %d%s",
      NameOf(entry), static_cast<unsigned long long>(gemm.m),
      static_cast<unsigned long long>(gemm.n), static_cast<unsigned long long>(gemm.k),
      static_cast<unsigned long long>(gemm.batch), static_cast<int>(gemm.a),
      static_cast<int>(gemm.b), static_cast<int>(gemm.c), static_cast<int>(gemm.d),
      static_cast<int>(gemm.accumulate), static_cast<int>(gemm.math), static_cast<int>(gemm.op_a),
      static_cast<int>(gemm.op_b), static_cast<int>(gemm.beta), gemm.a_is_broadcast,
      gemm.b_is_broadcast, static_cast<int>(compute_code), gemm.gauss_3m ? " 3m" : "");
  return ++g_signatures;
}

uint32_t InternMatrix(const shapes::Matrix& matrix, uint32_t compute_code, Entry entry,
                      shapes::Provenance) {
  Log("matrix %s routine %d %llux%llux%llu b%llu types %d,%d acc %d math %d side %d beta %d 3m %d "
      "code %d",
      NameOf(entry), static_cast<int>(matrix.routine), static_cast<unsigned long long>(matrix.m),
      static_cast<unsigned long long>(matrix.n), static_cast<unsigned long long>(matrix.k),
      static_cast<unsigned long long>(matrix.batch), static_cast<int>(matrix.dtype),
      static_cast<int>(matrix.result), static_cast<int>(matrix.accumulate),
      static_cast<int>(matrix.math), static_cast<int>(matrix.side), static_cast<int>(matrix.beta),
      matrix.gauss_3m, static_cast<int>(compute_code));
  return ++g_signatures;
}

uint32_t InternCompound(Entry entry, const CompoundPart* parts, uint32_t count, const char*) {
  Log("compound %s of %u", NameOf(entry), count);
  for (uint32_t i = 0; i < count; ++i) {
    Log("part signature %u x%llu", parts[i].signature,
        static_cast<unsigned long long>(parts[i].count));
  }
  return ++g_signatures;
}

uint32_t InternConvolution(const shapes::Convolution& convolution, Entry entry,
                           shapes::Provenance) {
  Log("convolution %s b%llu %llu>%llu g%llu direction %d type %d", NameOf(entry),
      static_cast<unsigned long long>(convolution.batch),
      static_cast<unsigned long long>(convolution.c_in),
      static_cast<unsigned long long>(convolution.c_out),
      static_cast<unsigned long long>(convolution.groups), static_cast<int>(convolution.direction),
      static_cast<int>(convolution.dtype));
  return ++g_signatures;
}

uint32_t InternRnn(const shapes::Rnn& rnn, Entry entry, shapes::Provenance) {
  Log("rnn %s steps %llu pass %d", NameOf(entry), static_cast<unsigned long long>(rnn.steps),
      static_cast<int>(rnn.pass));
  return ++g_signatures;
}

uint32_t InternAttention(const shapes::Attention& attention, uint32_t, Entry entry,
                         shapes::Provenance) {
  Log("attention %s b%llu", NameOf(entry), static_cast<unsigned long long>(attention.batch));
  return ++g_signatures;
}

uint32_t InternCollective(const shapes::Collective& collective, uint32_t communicator,
                          Entry entry) {
  Log("collective %s kind %d count %llu type %d ranks %u peer %d op %d comm %u", NameOf(entry),
      static_cast<int>(collective.kind), static_cast<unsigned long long>(collective.count),
      static_cast<int>(collective.dtype), collective.rank_count, collective.peer,
      collective.reduction, communicator);
  return ++g_signatures;
}

uint32_t InternOpaque(Entry entry, const char* reason) {
  Log("opaque %s: %s", NameOf(entry), reason);
  return ++g_signatures;
}

OpenCall BeginCall(uint32_t signature, void* stream, uint32_t sequence) {
  Log("begin stream %lx sequence %u", Number(stream), sequence);
  OpenCall call;
  call.signature = signature;
  call.sequence = sequence;
  call.bracket.pair = ++g_brackets;
  return call;
}

OpenCall BeginAttention(const shapes::Attention&, const DeviceLengths& lengths, Entry entry,
                        void* stream) {
  Log("attention %s lengths q %lx%s%s/%llu k %lx%s%s/%llu of %u", NameOf(entry),
      Number(lengths.q.data), lengths.q.is_wide ? " wide" : "",
      lengths.q.is_offsets ? " offsets" : "", static_cast<unsigned long long>(lengths.q.divisor),
      Number(lengths.k.data), lengths.k.is_wide ? " wide" : "",
      lengths.k.is_offsets ? " offsets" : "", static_cast<unsigned long long>(lengths.k.divisor),
      lengths.sequences);
  return BeginCall(++g_signatures, stream, 0);
}

void EndCall(OpenCall& call, void* stream, bool succeeded) {
  Log("end stream %lx %s%s", Number(stream), succeeded ? "recorded" : "forgotten",
      call.bracket.pair == 0 ? " untimed" : "");
}

int64_t BeginProbe() { return 0; }
void EndProbe(int64_t, const OpenCall&) {}

OpenCall HoldCall(uint32_t signature, void* stream, uint32_t sequence) {
  Log("hold stream %lx sequence %u", Number(stream), sequence);
  OpenCall call;
  call.signature = signature;
  call.sequence = sequence;
  return call;
}

void RecordHeld(const OpenCall& call, Bracket bracket) {
  Log("recorded held sequence %u bracket %u", call.sequence, bracket.pair);
}

uint32_t RecordCommunicator(const CommunicatorFacts& facts) {
  Log("communicator %u rank %d size %d device %d color %d split %u name %s id %016llx parent "
      "%016llx",
      ++g_communicators, facts.rank, facts.size, facts.device, facts.split_color, facts.split_index,
      facts.name != nullptr ? facts.name : "-", static_cast<unsigned long long>(facts.id),
      static_cast<unsigned long long>(facts.parent_id));
  return g_communicators;
}

void RecordCommunicatorEnd(uint32_t index, uint8_t event) {
  Log("communicator %u ends, event %d", index, event);
}

Bracket OpenBracket(void* stream) {
  Log("open bracket %u on %lx", ++g_brackets, Number(stream));
  return {g_brackets};
}
void CloseBracket(Bracket bracket, void* stream) {
  Log("close bracket %u on %lx", bracket.pair, Number(stream));
}
void ShareBracket(Bracket bracket) { Log("share bracket %u", bracket.pair); }
void DiscardBracket(Bracket bracket) { Log("discard bracket %u", bracket.pair); }
bool IsCapturing(void*) { return false; }

}  // namespace mfutrace::interpose
