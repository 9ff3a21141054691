# What Tests/Package/check looks at. Sourced by it.
# shellcheck shell=bash disable=SC2154

passed=0
failed=0

# Runs a command, which has to succeed; what it prints is shown when it does not. Usage: check WHAT COMMAND...
check() {
  local what=$1 output
  shift
  if output=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "  passed: $what"
  else
    failed=$((failed + 1))
    echo "  FAILED: $what" >&2
    tail -n 30 <<<"$output" >&2
  fi
}

# The other way round. Usage: check_not WHAT COMMAND...
check_not() {
  local what=$1
  shift
  check "$what" not "$@"
}
not() { ! "$@"; }

# Usage: matches REGEX COMMAND...: whether a line of the command's output matches.
matches() {
  local pattern=$1 output
  shift
  output=$("$@") || return 1
  grep -qE -- "$pattern" <<<"$output" || {
    echo "no line matches $pattern in:"
    echo "$output"
    return 1
  }
}

field() { dpkg-deb --field "$package" "$1"; }
listing() { dpkg-deb --contents "$package"; }
no_swift() { ! field Depends | grep -i swift; }
nothing_loose() { ! listing | grep -E '^.{5}w|^.{8}w' | grep -v '^l'; }

check_lintian() {
  echo "== lintian"
  check "lintian finds no error" lintian --fail-on error --allow-root "$package"
  lintian --allow-root "$package" || true
}

check_content() {
  echo "== content"
  check "it depends on libpq5" matches 'libpq5' field Depends
  check "it depends on libhiredis0.14" matches 'libhiredis0\.14' field Depends
  check "the Swift runtime is linked in" no_swift
  local path
  for path in usr/bin/cdcd etc/cdcd/rules.example.yaml lib/systemd/system/cdcd.service lib/systemd/system/cdcd@.service \
    usr/lib/sysusers.d/cdcd.conf usr/share/man/man1/cdcd.1.gz usr/share/man/man5/cdcd-rules.5.gz \
    usr/share/bash-completion/completions/cdcd usr/share/zsh/vendor-completions/_cdcd \
    usr/share/fish/vendor_completions.d/cdcd.fish usr/share/cdcd/sql/outbox.sql \
    usr/share/cdcd/prometheus/cdcd.rules.yml usr/share/cdcd/grafana/cdcd.json usr/share/doc/cdcd/deploy/README.md usr/share/doc/cdcd/copyright; do
    check "it has /$path" matches " \\./$path\$" listing
  done
  check "nothing in it may be written by others" nothing_loose
}

install_package() {
  cp "$1" "$debian/tmp/cdcd.deb"
  inside apt-get install --yes --no-install-recommends /tmp/cdcd.deb
  rm "$debian/tmp/cdcd.deb"
}

check_install() {
  echo "== installation"
  check "the package sources answer" inside apt-get update
  paths_inside >"$server_folder/before"
  check "it installs" install_package "$package"
  check "its version is that of Version.swift" \
    matches "^$(sed -nE 's/.*current = "([^"]+)".*/\1/p' Sources/Daemon/Version.swift)\$" inside cdcd --version
  check "there is a user for it" matches '^cdcd:' inside getent passwd cdcd
  check "its folder is for root and that user" matches '^750 root cdcd$' stat_inside /etc/cdcd
  check "the example rules are valid" inside cdcd check --offline --config /etc/cdcd/rules.example.yaml
  check "the completions are bash" inside bash -n /usr/share/bash-completion/completions/cdcd
}

# Mode, owner and group by name, as the new Debian knows them.
stat_inside() { inside stat --format '%a %U %G' "$1"; }

check_units() {
  echo "== units"
  check "systemd finds nothing wrong with cdcd.service" \
    systemd-analyze verify --root="$debian" --man=no cdcd.service
  check "systemd finds nothing wrong with cdcd@.service" \
    systemd-analyze verify --root="$debian" --man=no cdcd@shop.service
  check "the service is enabled" test -L "$debian/etc/systemd/system/multi-user.target.wants/cdcd.service"
}

write_rules() {
  find_free_port
  http_port=$free_port
  cat >"$debian/etc/cdcd/rules.yaml" <<YAML
source:
  postgres: $postgres_url
  retain: 1s
redis:
  url: $redis_url
http:
  listen: 127.0.0.1:$http_port
rules:
  - table: public.users
    keys: ["user:{id}"]
YAML
  chroot "$debian" chown root:cdcd /etc/cdcd/rules.yaml
  chmod 640 "$debian/etc/cdcd/rules.yaml"
}

# Runs cdcd as the daemon's user. Usage: as_daemon ARGUMENT...
as_daemon() { chroot --userspec=cdcd:cdcd "$debian" /usr/bin/cdcd "$@" --config /etc/cdcd/rules.yaml; }

key_goes() {
  redis-cli -p "$redis_port" SET user:1 cached >/dev/null
  psql -qX "$postgres_url" -c "UPDATE users SET name = name || '!'"
  local tick
  for tick in {1..100}; do
    if [[ $(redis-cli -p "$redis_port" EXISTS user:1) == 0 ]]; then return 0; fi
    sleep 0.1
  done
  return 1
}

check_run() {
  echo "== running"
  start_postgres
  start_redis
  psql -qX "$postgres_url" -c "CREATE TABLE users (id bigint PRIMARY KEY, name text)" -c "INSERT INTO users VALUES (1, 'Ada')"
  write_rules
  check_not "others cannot read the rules" chroot --userspec=nobody:nogroup "$debian" cat /etc/cdcd/rules.yaml
  check "cdcd setup" as_daemon setup
  # The words of ExecStart, as the unit's user.
  local words
  read -ra words < <(sed -nE 's/^ExecStart=(.*)$/\1/p' "$debian/lib/systemd/system/cdcd.service")
  start_server TERM root "$server_folder/cdcd.log" chroot --userspec=cdcd:cdcd "$debian" "${words[@]}"
  local pid=$server_pid
  check "the daemon of the unit is ready" wait_until 30 "$pid" "$server_folder/cdcd.log" as_daemon status
  check "a changed row's key goes" key_goes
  kill -TERM "$pid"
  local status=0
  wait "$pid" || status=$?
  check "SIGTERM ends it with 0" test "$status" = 0
}

# A later version of the same files.
repack() {
  local tree=$server_folder/repacked
  dpkg-deb --raw-extract "$package" "$tree"
  sed -i -E 's/^(Version: .*)$/\1+next/' "$tree/DEBIAN/control"
  dpkg-deb --root-owner-group --build "$tree" "$server_folder/next.deb"
}

check_upgrade() {
  echo "== upgrade"
  local rules
  rules=$(md5sum "$debian/etc/cdcd/rules.yaml")
  echo '# mine' >>"$debian/etc/cdcd/rules.example.yaml"
  check "a later version is packed" repack
  check "it installs over the earlier" install_package "$server_folder/next.deb"
  check "it is the later one" matches '\+next$' inside dpkg-query --show --showformat '${Version}\n' cdcd
  check "the rules are what they were" test "$rules" = "$(md5sum "$debian/etc/cdcd/rules.yaml")"
  check "so is the changed example" grep -q '^# mine$' "$debian/etc/cdcd/rules.example.yaml"
  check "and so are the rights" matches '^640 root cdcd$' stat_inside /etc/cdcd/rules.yaml
}

# What is there and was not before the installation, but for what the package's dependencies brought.
left_behind() {
  paths_inside | LC_ALL=C comm -13 "$server_folder/before" - | grep -F cdcd
}

check_removal() {
  echo "== removal"
  check "it is removed" inside apt-get remove --yes cdcd
  check_not "the program is gone" test -e "$debian/usr/bin/cdcd"
  check "the example that was changed stays" test -e "$debian/etc/cdcd/rules.example.yaml"
  check "it is purged" inside apt-get purge --yes cdcd
  check_not "so is the example" test -e "$debian/etc/cdcd/rules.example.yaml"
  check "the rules, which it has not made, stay" test -e "$debian/etc/cdcd/rules.yaml"
  rm -r "$debian/etc/cdcd"
  check_not "nothing else is left behind" left_behind
}
