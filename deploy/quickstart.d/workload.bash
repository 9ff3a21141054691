# What the quickstart does while cdcd runs: caches values, changes rows, and watches the keys go. It talks to
# Redis through bash's own /dev/tcp, since starting redis-cli takes longer than what is measured here.
# Sourced by deploy/quickstart.
# shellcheck shell=bash disable=SC2034,SC2154

# Prints the answer of cdcd to GET /PATH. Usage: http_get PATH
http_get() {
  local http
  exec {http}<>"/dev/tcp/127.0.0.1/$status_port" || return 1
  printf 'GET /%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$1" >&"$http"
  timeout 5 cat <&"$http"
  exec {http}>&-
}

# Opens what stays open: a psql session, one Redis connection for commands and one that hears of every deletion.
open_connections() {
  local line
  coproc PSQL { exec psql -qAtX "$postgres_url" 2>&1; }
  exec {redis}<>"/dev/tcp/127.0.0.1/$redis_port" {deletions}<>"/dev/tcp/127.0.0.1/$redis_port"
  redis_command CONFIG SET notify-keyspace-events Eg
  printf 'SUBSCRIBE __keyevent@0__:del\r\n' >&"$deletions"
  for line in {1..6}; do read -r -t 5 -u "$deletions"; done
}

# Sends one command (no argument may hold a space) and puts the first line of the answer into $reply.
redis_command() {
  printf '%s\r\n' "$*" >&"$redis"
  read -r -t 5 -u "$redis" reply
  reply=${reply%$'\r'}
  if [[ $reply == -* ]]; then
    echo "Redis answered to $1: ${reply#-}" >&2
    return 1
  fi
}

# Runs a SELECT of one row and one column through the open psql; the answer is in $answer.
query() {
  printf '%s;\n' "$1" >&"${PSQL[1]}"
  read -r -t 10 -u "${PSQL[0]}" answer
}

# Caches a value under each key, as an application would have done.
cache() {
  local key
  for key in "$@"; do redis_command SET "$key" cached; done
}

# Takes the keys of the deletions announced until EXPECTED of them are there or five seconds have passed; keys
# of leases are left out. In $gone; $gone_at is when the last one was heard of, in microseconds since 1970.
# Usage: hear_deletions EXPECTED
hear_deletions() {
  local expected=$1 line part deadline=$((SECONDS + 5))
  while ((${#gone[@]} < expected && SECONDS < deadline)); do
    # A message is seven lines: *3, and three times a length and a text; the key is the last.
    for part in {1..7}; do read -r -t 5 -u "$deletions" line || return 0; done
    line=${line%$'\r'}
    if [[ $line != cdcd:* ]]; then
      gone+=("$line")
      gone_at=${EPOCHREALTIME/[.,]/}
    fi
  done
}

changes=0
keys_gone=0
latencies=()

# Caches the keys, runs the statement, and shows which keys went and when.
# Usage: change SQL KEY...
change() {
  local sql=$1 committed_at
  shift
  cache "$@"
  gone=() gone_at=0
  query "$sql; SELECT (extract(epoch FROM timestamp) * 1000000)::bigint FROM pg_last_committed_xact()"
  committed_at=$answer
  if [[ ! $committed_at =~ ^[0-9]+$ ]]; then
    echo "PostgreSQL answered: $committed_at" >&2
    return 1
  fi
  hear_deletions $#
  changes=$((changes + 1))
  keys_gone=$((keys_gone + ${#gone[@]}))
  local elapsed=$((gone_at > committed_at ? gone_at - committed_at : 0))
  if ((${#gone[@]} > 0)); then latencies+=("$elapsed"); fi
  show_change "$sql" "$elapsed" "${gone[@]}"
  if ((${#gone[@]} < $#)); then
    echo "      expected: $*" >&2
    return 1
  fi
}

# The value of a metric without labels, from cdcd itself; in $metric.
read_metric() {
  metric=$(http_get metrics | sed -n "s/^$1 \([0-9.e+]*\).*/\1/p" | head -n 1)
}

median() {
  local sorted
  mapfile -t sorted < <(printf '%s\n' "${latencies[@]}" | sort -n | tail -n 1000)
  to_milliseconds "${sorted[${#sorted[@]} / 2]:-0}"
}

names=(alan alonzo annie betty claude dorothy emmy haskell hedy ida jean joan john karen katherine kurt leslie
  margaret maurice niklaus radia robin rosa shafi sophie stephen)

# One change, chosen at random among those the example's rules speak of.
random_change() {
  local name=${names[RANDOM % ${#names[@]}]} id email owner line
  query "SELECT id || ' ' || email FROM users ORDER BY random() LIMIT 1"
  read -r id email <<<"$answer"
  case $((RANDOM % 7)) in
    0)
      query "SELECT nextval('users_id_seq')"
      change "INSERT INTO users (id, name, email) VALUES ($answer, '${name^}', '$name.$answer@example.org')" \
        "user:$answer" "user:email:$name.$answer@example.org" users:count
      ;;
    1)
      change "UPDATE users SET email = '$name.$RANDOM@example.org' WHERE id = $id" "user:$id" "user:email:$email"
      ;;
    2) change "UPDATE users SET name = '${name^} $RANDOM' WHERE id = $id" "user:$id" "user:email:$email" ;;
    3)
      query "SELECT nextval('orders_id_seq')"
      change "INSERT INTO orders (id, user_id, total) VALUES ($answer, $id, $((RANDOM % 90 + 10)))" \
        "order:$answer" "user:$id:orders"
      ;;
    4)
      query "SELECT id || ' ' || user_id FROM orders ORDER BY random() LIMIT 1"
      read -r id owner <<<"$answer"
      change "UPDATE orders SET status = 'paid', total = total + 1 WHERE id = $id" \
        "order:$id" "user:$owner:orders" "user:$owner:spending"
      ;;
    5)
      query "SELECT order_id || ' ' || line FROM order_items ORDER BY random() LIMIT 1"
      read -r id line <<<"$answer"
      change "UPDATE order_items SET quantity = quantity + 1 WHERE order_id = $id AND line = $line" \
        "order:{$id}:items" "order:{$id}:item:$line"
      ;;
    6)
      query "SELECT order_id || ' ' || max(line) FROM order_items GROUP BY order_id LIMIT 1"
      read -r id line <<<"$answer"
      change "INSERT INTO order_items (order_id, line, sku) VALUES ($id, $((line + 1)), 'sku-$((RANDOM % 9))')" \
        "order:{$id}:items" "order:{$id}:item:$((line + 1))"
      ;;
  esac
}

run_workload() {
  while true; do
    random_change || true
    if ! kill -0 "$cdcd_pid" 2>/dev/null; then
      echo "cdcd has ended" >&2
      return 1
    fi
    read_metric cdcd_lag_bytes
    median
    show_footer "lag ${metric:-?} bytes $dot changes $changes $dot keys $keys_gone $dot median $milliseconds\
 $dot http://127.0.0.1:$status_port/"
    sleep 1
  done
}
