# The Debian packages that cdcd needs. Sourced by deploy/quickstart, Tests/run and Benchmarks.
# shellcheck shell=bash disable=SC2034

# To build: the two client libraries, and what the Swift toolchain takes from the system, for whoever unpacked it
# on a machine that has nothing else.
build_packages=(
  libpq-dev libhiredis-dev pkg-config
  git ca-certificates binutils libc6-dev libstdc++-12-dev zlib1g-dev tzdata
  libcurl4 libedit2 libncurses6 libpython3.11 libsqlite3-0 libxml2
)

# To run: the servers, their command line clients, and setpriv.
server_packages=(postgresql-15 redis-server redis-tools util-linux)

# To search the protocol's model: spin writes a verifier in C, which gcc compiles.
model_packages=(spin gcc libc6-dev)

# The output plugin that source.mode: wal2json streams with.
plugin_packages=(postgresql-15-wal2json)

# What must not stand between cdcd and PostgreSQL: the tests put it there.
pooler_packages=(pgbouncer)

# For the tests that run README's Python.
python_packages=(python3 python3-venv)

# For the Debezium that Benchmarks/run measures: a runtime, and the compiler for the program around it.
java_packages=(openjdk-17-jdk-headless)

# For the tests of the units in deploy: systemd-analyze, and what Tests/systemd boots.
unit_packages=(systemd libnss-systemd iproute2)

# For the slow checks (Tests/run --full): a browser for the status page, Prometheus for metrics and alerts, and what
# makes and judges the Debian package.
browser_packages=(chromium chromium-driver fonts-dejavu-core)
monitoring_packages=(prometheus)
packaging_packages=(dpkg-dev debhelper fakeroot lintian debootstrap)

# To count instructions: Benchmarks/instructions.
profiling_packages=(valgrind)
