# Sourced by the scripts beside it: installs Debian packages that are missing, and names the folders.
# Not to be run on its own.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export DEBIAN_FRONTEND=noninteractive

TOOL_PACKAGES=(g++ cmake ninja-build python3 zlib1g-dev libabsl-dev libcli11-dev rapidjson-dev
  libtomlplusplus-dev libjs-chart.js libsqlite3-dev)
TEST_PACKAGES=(libgtest-dev nlohmann-json3-dev libbenchmark-dev binutils file procps util-linux
  g++-aarch64-linux-gnu qemu-user python3-pip chromium protobuf-compiler)
FUZZ_PACKAGES=(clang libclang-rt-14-dev)
LINT_PACKAGES=(clang-format)

# need_packages NAME...: installs what is missing; without root says what it would install and stops.
need_packages() {
  local missing=()
  local name
  for name in "$@"; do
    dpkg-query -W -f='${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^ii' || missing+=("$name")
  done
  [ "${#missing[@]}" -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ]; then
    echo "mfutrace: these Debian packages are missing and this user cannot install them:" >&2
    echo "  sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "installing ${missing[*]}"
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Says what is wrong, once, where the CUDA headers are not in their usual place.
need_cuda_headers() {
  local home="${CUDA_HOME:-${CUDA_PATH:-/usr/local/cuda}}"
  if [ ! -e "$home/include/cublasLt.h" ]; then
    echo "mfutrace: no CUDA headers in $home/include; install the CUDA toolkit or set CUDA_HOME" >&2
    exit 1
  fi
}

# A Python package of the tests, kept in the build folder; a test without it says so and is skipped.
want_python_package() {
  local folder="$ROOT/build/python"
  export PYTHONPATH="$folder${PYTHONPATH:+:$PYTHONPATH}"
  python3 -c "import ${1%%==*}" 2>/dev/null && return 0
  python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore \
    --target "$folder" "$1" || echo "no $1 here: the tests that need it are skipped"
}

JOBS="${MFUTRACE_JOBS:-$(nproc)}"
