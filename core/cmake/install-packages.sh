# Sourced by quickstart and run-tests: the Debian packages branchy needs and how to get them.
# shellcheck shell=bash disable=SC2034

# ninja-build builds; git only names the commit in results; ca-certificates serves `branchy data fetch`.
BRANCHY_BUILD_PACKAGES=(
  g++ cmake ninja-build git ca-certificates
  libdnnl-dev libopenblas-openmp-dev libfmt-dev nlohmann-json3-dev libcli11-dev libboost1.81-dev
  libstb-dev libcurl4-openssl-dev libarchive-dev libssl-dev libzstd-dev
  prometheus-cpp-dev
  zlib1g-dev
)
# libbenchmark-dev times operations. gnuplot-nox draws the plots of branchy-experiments, which its tests look at; python3 runs a client
# of the protocol; nginx-light and openssl are for two clouds behind one address; curl asks both
# servers what infer/CONVERSATION.md says.
BRANCHY_TEST_PACKAGES=(libgtest-dev libgmock-dev libbenchmark-dev gnuplot-nox python3 nginx-light openssl curl)

say() { printf '== %s\n' "$*"; }
fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# install_packages yes|no PACKAGE...   Installs what is missing, or with `no` stops and names it.
install_packages() {
  local allowed=$1 package missing=() run=()
  shift
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "not a Debian system: CMake will name what is missing (Debian packages: $*)"
    return
  fi
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
      missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    say "packages: all there"
    return
  fi
  [[ $allowed == yes ]] ||
    fail "packages missing: ${missing[*]}; install them or leave out --no-install"
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      fail "packages missing: ${missing[*]}; run as root or install sudo or them"
    run=(sudo)
  fi
  run+=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
  say "packages: installing ${missing[*]}"
  mkdir -p .build
  if ! { "${run[@]}" update && "${run[@]}" install --no-install-recommends "${missing[@]}"; } \
    </dev/null >.build/packages.log 2>&1; then
    fail "installing packages failed: $(grep -E '^E: ' .build/packages.log | head -n 1 || true) (all of it: $PWD/.build/packages.log)"
  fi
}

# Compilers running at once: as many as CPUs, but 1.5 GB of memory for each.
build_jobs() {
  local cpus memory
  cpus=$(nproc)
  memory=$(awk '/^MemAvailable:/ { print int($2 / 1500000) }' /proc/meminfo)
  ((memory < 1)) && memory=1
  echo $((memory < cpus ? memory : cpus))
}
