# What `deploy/quickstart --once` checks: one change of each kind, the keys that have to go, and the keys that have
# to stay. The expected keys are written here by hand; cdcd is not asked for them. Sourced by deploy/quickstart.
# shellcheck shell=bash disable=SC2154

checks=0
failures=0

# Usage: verdict yes|no WHAT
verdict() {
  checks=$((checks + 1))
  if [[ $1 == yes ]]; then
    printf '  %s%s%s %s\n' "$green" "$good" "$plain" "$2"
  else
    failures=$((failures + 1))
    printf '  %s%s%s %s\n' "$red" "$bad" "$plain" "$2"
  fi
}

# The change has to delete exactly these keys. Usage: check_change SQL KEY...
check_change() {
  local sql=$1 expected got
  shift
  change "$sql" "$@" || true
  expected=$(printf '%s\n' "$@" | sort)
  got=$(printf '%s\n' "${gone[@]}" | sort)
  if [[ $got == "$expected" ]]; then
    verdict yes "exactly these keys went"
  else
    verdict no "these keys had to go: $*"
  fi
}

# Usage: check_exists 1|0 KEY WHAT
check_exists() {
  redis_command EXISTS "$2"
  if [[ $reply == ":$1" ]]; then verdict yes "$3"; else verdict no "$3 ($2)"; fi
}

run_checks() {
  cache unrelated:key user:999 user:email:nobody@example.org
  redis_command SET 'cdcd:l:{user:1}' token

  check_change "INSERT INTO users (id, name, email) VALUES (7, 'Radia', 'radia@example.org')" \
    user:7 user:email:radia@example.org users:count
  check_change "UPDATE users SET email = 'Ada@Lovelace.org' WHERE id = 1" \
    user:1 user:email:ada@example.org user:email:ada@lovelace.org
  check_change "UPDATE users SET email = NULL WHERE id = 2" user:2 user:email:grace@example.org
  check_change "UPDATE orders SET status = 'paid' WHERE id = 103" order:103 user:3:orders user:3:spending
  cache user:4:spending user:5:spending
  check_change "UPDATE orders SET user_id = 5 WHERE id = 104" order:104 user:4:orders user:5:orders
  check_change "UPDATE order_items SET line = 9 WHERE order_id = 101 AND line = 2" \
    'order:{101}:items' 'order:{101}:item:2' 'order:{101}:item:9'
  check_change "DELETE FROM order_items WHERE order_id = 102 AND line = 1" \
    'order:{102}:items' 'order:{102}:item:1'

  # A rolled back transaction comes first in the log, so its keys would be gone before those of the next one.
  cache user:5 user:email:tony@example.org
  query "BEGIN; UPDATE users SET name = 'nobody' WHERE id = 5; ROLLBACK; SELECT 1"
  check_change "DELETE FROM users WHERE id = 7" user:7 user:email:radia@example.org users:count
  echo
  check_exists 1 user:5 "a rolled back UPDATE deleted nothing"
  check_exists 1 unrelated:key "a key of no rule stayed"
  check_exists 1 user:4:spending "an unpaid order left its owner's spending alone"
  check_exists 1 user:999 "the key of an untouched row stayed"
  check_exists 0 'cdcd:l:{user:1}' "the lease of a changed key went with it"

  read_metric cdcd_lag_bytes
  median
  printf '\n  %s changes, %s keys, median %s, lag %s bytes; %s checks, %s failed\n\n' \
    "$changes" "$keys_gone" "$milliseconds" "${metric:-?}" "$checks" "$failures"
  ((failures == 0))
}
