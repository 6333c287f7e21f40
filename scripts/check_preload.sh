#!/usr/bin/env bash
# Asserts that a built libmfutrace.so keeps its diet: what a process loads with it, and from how old a
# C library. usage: check_preload.sh LIBRARY ENTRY_POINTS_DEF [LIMIT_BYTES [EXPORTS_BESIDE_THE_TABLE]]
#
# Reads with readelf alone, which understands every architecture. Prints one line a violation and exits
# with 1 if there was any. Run by ctest on both architectures, and on libraries that must not pass.
set -euo pipefail
LC_ALL=C
export LC_ALL

library=$1
table=$2
limit_bytes=${3:-200000}
extra_exports=${4:-dlsym dlvsym mfutrace_nccl_door}
floor_minor=17  # glibc 2.17, what CUDA itself asks for
failures=0

fail() {
  echo "check_preload: $*" >&2
  failures=$((failures + 1))
}

dynamic=$(readelf -dW "$library")
symbols=$(readelf --dyn-syms -W "$library")
sections=$(readelf -SW "$library")
relocations=$(readelf -rW "$library")
headers=$(readelf -lW "$library")

# 1. Nothing but the C library is loaded with it.
needed=$(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' <<<"$dynamic")
for name in $needed; do
  case $name in
    libc.so.6 | libdl.so.2 | libpthread.so.0 | ld-linux-x86-64.so.2 | ld-linux-aarch64.so.1) ;;
    *) fail "needs $name, which is not the C library" ;;
  esac
done

# 2. Before glibc 2.34 these functions lived in libraries of their own: a reference alone satisfies a
#    new glibc and kills every process on an old one. Names: libdl and libpthread of glibc 2.17.
declare -A home
for name in dlopen dlclose dlsym dlvsym dlerror dladdr dladdr1 dlinfo dlmopen; do
  home[$name]=libdl.so.2
done
for name in pthread_create pthread_join pthread_tryjoin_np pthread_timedjoin_np pthread_detach \
  pthread_once pthread_key_create pthread_key_delete pthread_getspecific pthread_setspecific \
  pthread_kill pthread_sigqueue pthread_sigmask pthread_cancel pthread_testcancel \
  pthread_getname_np pthread_setname_np pthread_getaffinity_np pthread_setaffinity_np \
  pthread_getattr_np pthread_attr_setstacksize pthread_attr_getstacksize pthread_attr_setstack \
  pthread_attr_getstack pthread_attr_setguardsize pthread_attr_getguardsize \
  pthread_attr_setaffinity_np pthread_attr_getaffinity_np pthread_getcpuclockid pthread_mutex_trylock \
  pthread_mutex_timedlock pthread_mutexattr_init pthread_mutexattr_settype pthread_mutexattr_setpshared \
  pthread_rwlock_init pthread_rwlock_rdlock pthread_rwlock_wrlock pthread_rwlock_unlock \
  pthread_rwlock_destroy pthread_spin_init pthread_spin_lock pthread_spin_trylock pthread_spin_unlock \
  pthread_barrier_init pthread_barrier_wait pthread_barrier_destroy pthread_yield \
  sem_init sem_destroy sem_wait sem_trywait sem_timedwait sem_post sem_getvalue sem_open sem_close; do
  home[$name]=libpthread.so.0
done
for name in shm_open shm_unlink timer_create timer_delete timer_settime timer_gettime mq_open mq_send \
  mq_receive aio_read aio_write aio_error aio_return; do
  home[$name]=librt.so.1
done
undefined=$(awk '$7 == "UND" && $8 != "" {print $5, $8}' <<<"$symbols")
while read -r _ versioned; do
  name=${versioned%%@*}
  library_of_name=${home[$name]:-}
  if [[ -n $library_of_name ]] && ! grep -qx "$library_of_name" <<<"$needed"; then
    fail "$name needs $library_of_name before glibc 2.34, and the library does not name it as NEEDED"
  fi
done <<<"$undefined"
for name in libdl.so.2 libpthread.so.0; do
  grep -qx "$name" <<<"$needed" || fail "does not name $name as NEEDED"
done

# 3. No reference is newer than the floor, and none is to a C++ runtime. What has no version must be
#    weak: the job can do without it.
while read -r binding versioned; do
  case $versioned in
    *@GLIBC_2.*)
      version=${versioned##*@GLIBC_2.}
      minor=${version%%.*}
      ((minor <= floor_minor)) || fail "$versioned is newer than GLIBC_2.$floor_minor"
      ;;
    __tls_get_addr*) fail "$versioned: a thread-local that is not initial-exec" ;;
    *@*) fail "$versioned is not a symbol of the C library" ;;
    *) [[ $binding == WEAK ]] || fail "$versioned has no version and is not weak" ;;
  esac
done <<<"$undefined"

# 4. Exports: the table and the dlsym family, nothing less, nothing more, without versions.
exported=$(awk '$7 != "UND" && $7 ~ /^[0-9A-Z]+$/ && $5 != "LOCAL" && $8 != "" {print $8}' <<<"$symbols" | sort -u)
wanted=$({
  sed -n 's/^MFU_ENTRY(\([A-Za-z0-9_]*\),.*/\1/p' "$table"
  tr ' ' '\n' <<<"$extra_exports"
} | sort -u)
while read -r name; do
  [[ -z $name ]] || fail "exports $name, which is not in the table"
done < <(comm -23 <(echo "$exported") <(echo "$wanted"))
while read -r name; do
  [[ -z $name ]] || fail "does not export $name"
done < <(comm -13 <(echo "$exported") <(echo "$wanted"))

# 5. No code runs when it is loaded: one .init_array entry is the compiler's own frame_dummy.
init_bytes=$(awk '{for (i = 1; i < NF; ++i) if ($i == ".init_array") print $(i + 4)}' <<<"$sections")
((16#${init_bytes:-0} <= 8)) || fail ".init_array holds constructors (0x$init_bytes bytes)"
grep -q '\.ctors' <<<"$sections" && fail "has a .ctors section"

# 6. Thread-locals in the static block; no text relocations; no executable stack.
grep -qE 'DTPMOD|TLSDESC|TLS_DTP' <<<"$relocations" && fail "thread-locals that are not initial-exec"
grep -q 'TEXTREL' <<<"$dynamic" && fail "has text relocations"
grep 'GNU_STACK' <<<"$headers" | grep -q 'RWE' && fail "asks for an executable stack"

# 7. Small: what is loaded from the file, without debug information.
loaded_bytes=0
while read -r file_bytes; do
  loaded_bytes=$((loaded_bytes + file_bytes))
done < <(awk '$1 == "LOAD" {print $5}' <<<"$headers")
((loaded_bytes < limit_bytes)) || fail "loads $loaded_bytes bytes, limit $limit_bytes"

if ((failures > 0)); then
  echo "check_preload: $failures violations in $library" >&2
  exit 1
fi
echo "check_preload: $library loads $loaded_bytes bytes, $(wc -l <<<"$exported") exports, GLIBC_2.$floor_minor or older"
