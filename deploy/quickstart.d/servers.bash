# Private PostgreSQL and Redis servers in a temporary folder, on free loopback ports. They end with the script
# that sources this file, also when it is killed. Sourced by deploy/quickstart and by Benchmarks.
# shellcheck shell=bash disable=SC2034

postgres_bin=/usr/lib/postgresql/15/bin
server_folder=
server_pids=()

# A port of 127.0.0.1 on which nothing listens, outside the range that the kernel gives to clients. In $free_port.
find_free_port() {
  local attempt
  for attempt in {1..100}; do
    free_port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$free_port") 2>/dev/null; then return 0; fi
  done
  echo "found no free port on 127.0.0.1" >&2
  return 1
}

# Runs a command in the background, in a session of its own, so that Ctrl-C reaches this script alone; the
# kernel sends it SIGNAL when this script dies. Its pid is in $server_pid.
# Usage: start_server SIGNAL USER LOG COMMAND...
start_server() {
  local signal=$1 user=$2 log=$3
  shift 3
  local identity=()
  if ((EUID == 0)) && [[ $user != root ]]; then
    identity=(--reuid "$user" --regid "$user" --init-groups)
  fi
  setsid setpriv "${identity[@]}" --pdeathsig "$signal" -- "$@" </dev/null >"$log" 2>&1 &
  server_pid=$!
  server_pids+=("$server_pid")
}

# Ends a process of ours: SIGNAL, and SIGKILL when it is still there after SECONDS.
# Usage: stop_server SIGNAL SECONDS PID
stop_server() {
  local signal=$1 seconds=$2 pid=$3 tick
  kill -s "$signal" "$pid" 2>/dev/null || return 0
  for ((tick = 0; tick < seconds * 20; tick++)); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.05
  done
  kill -s KILL "$pid" 2>/dev/null || true
}

# Waits until COMMAND succeeds; fails with the end of LOG when PID ends first or SECONDS pass.
# Usage: wait_until SECONDS PID LOG COMMAND...
wait_until() {
  local seconds=$1 pid=$2 log=$3 tick
  shift 3
  for ((tick = 0; tick < seconds * 10; tick++)); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    if ! kill -0 "$pid" 2>/dev/null; then break; fi
    sleep 0.1
  done
  echo >&2
  echo "This did not succeed: $*" >&2
  tail -n 20 "$log" >&2
  return 1
}

make_server_folder() {
  server_folder=$(mktemp -d "${TMPDIR:-/tmp}/cdcd.XXXXXX")
  chmod 755 "$server_folder"
}

# Usage: start_postgres [SETTING=VALUE...]; sets postgres_port, postgres_pid and postgres_url.
start_postgres() {
  local user=root setting options=()
  local folder=$server_folder/postgres
  mkdir "$folder"
  chmod 700 "$folder"
  local as_owner=()
  if ((EUID == 0)); then
    # PostgreSQL refuses to run as root; Debian's package made this user.
    user=postgres
    chown postgres: "$folder"
    as_owner=(setpriv --reuid postgres --regid postgres --init-groups --)
  fi
  if ! (cd / && "${as_owner[@]}" "$postgres_bin/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 \
    --locale=C.UTF-8 --no-sync) >"$server_folder/initdb.log" 2>&1; then
    tail -n 20 "$server_folder/initdb.log" >&2
    return 1
  fi
  find_free_port
  postgres_port=$free_port
  for setting in wal_level=logical listen_addresses=127.0.0.1 "port=$postgres_port" \
    "unix_socket_directories=$folder" "$@"; do
    options+=(-c "$setting")
  done
  start_server QUIT "$user" "$server_folder/postgres.log" "$postgres_bin/postgres" -D "$folder/data" "${options[@]}"
  postgres_pid=$server_pid
  postgres_url=postgresql://postgres@127.0.0.1:$postgres_port/postgres
  wait_until 30 "$postgres_pid" "$server_folder/postgres.log" \
    "$postgres_bin/pg_isready" -q -h 127.0.0.1 -p "$postgres_port" -U postgres
}

# Usage: start_redis [OPTION...]; sets redis_port, redis_pid and redis_url.
start_redis() {
  find_free_port
  redis_port=$free_port
  mkdir "$server_folder/redis"
  start_server KILL root "$server_folder/redis.log" redis-server --port "$redis_port" --bind 127.0.0.1 \
    --dir "$server_folder/redis" --save '' --appendonly no "$@"
  redis_pid=$server_pid
  redis_url=redis://127.0.0.1:$redis_port/0
  wait_until 15 "$redis_pid" "$server_folder/redis.log" redis-cli -p "$redis_port" ping
}

# Ends every process that start_server started, the last one first, and removes the folder.
stop_servers() {
  local index signal
  for ((index = ${#server_pids[@]} - 1; index >= 0; index--)); do
    signal=TERM
    # For PostgreSQL SIGINT is the fast shutdown; SIGTERM would wait for every client.
    if [[ ${server_pids[index]} == "${postgres_pid:-}" ]]; then signal=INT; fi
    stop_server "$signal" 10 "${server_pids[index]}"
    wait "${server_pids[index]}" 2>/dev/null || true
  done
  server_pids=()
  if [[ -n $server_folder ]]; then rm -rf -- "$server_folder"; fi
}
