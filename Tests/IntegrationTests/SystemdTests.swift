import Foundation
import Testing

extension SlowChecks {
  /// The unit of deploy under a real systemd, with a PostgreSQL whose only door is peer authentication over a Unix socket.
  @Suite(.enabled(if: getuid() == 0 && FileManager.default.fileExists(atPath: "/sys/fs/cgroup/systemd")))
  struct Systemd {
    private static let program = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("systemd").path

    /// Each `say` is a line of the log that the test looks at.
    private static let script = #"""
      exec 2>&1
      say() { echo "$1: $(systemctl show cdcd -p "$2" --value)"; }
      await() { for i in $(seq 100); do systemctl show cdcd -p "$1" --value | grep -q "$2" && return; sleep 0.1; done; }
      sql() { su postgres -s /bin/sh -c "/usr/lib/postgresql/15/bin/psql -qAt -h /run/postgres-test $1 -c \"$2\""; }
      mkdir /etc/cdcd
      cat > /etc/cdcd/rules.yaml <<'YAML'
      source: {postgres: 'host=/run/postgres-test dbname=app user=cdcd'}
      redis: {url: 'unix:///run/redis/redis.sock'}
      rules: [{name: users, table: users, keys: ['user:{id}']}]
      YAML
      mkdir /etc/systemd/system/cdcd.service.d
      printf '[Service]\nWatchdogSec=3s\n' > /etc/systemd/system/cdcd.service.d/test.conf
      systemctl daemon-reload
      systemctl start cdcd
      say "without servers" ActiveState
      say "without servers" StatusText
      systemctl start redis-test postgres-test
      sql postgres "CREATE ROLE cdcd LOGIN REPLICATION"
      sql postgres "CREATE DATABASE app OWNER cdcd"
      sql app "CREATE TABLE users (id int PRIMARY KEY); ALTER TABLE users OWNER TO cdcd; CREATE PUBLICATION cdcd FOR TABLE users"
      await StatusText '^ready'
      say "with servers" StatusText
      redis-cli -s /run/redis/redis.sock SET user:1 cached
      sql app "INSERT INTO users VALUES (1)"
      for i in $(seq 50); do [ "$(redis-cli -s /run/redis/redis.sock EXISTS user:1)" = 0 ] && break; sleep 0.1; done
      echo "key: $(redis-cli -s /run/redis/redis.sock EXISTS user:1)"
      echo "metrics: $(python3 -c 'import urllib.request as r; print(r.urlopen("http://127.0.0.1:9810/metrics").read().decode())' \
        | grep -c ^process_start_time_seconds)"
      systemctl reload cdcd; sleep 1
      kill -STOP "$(systemctl show cdcd -p MainPID --value)"
      await NRestarts 1
      await StatusText '^ready'
      say "after the watchdog" NRestarts
      say "after the watchdog" StatusText
      systemctl stop cdcd
      say "stopped" Result
      echo nonsense >> /etc/cdcd/rules.yaml
      systemctl start cdcd; sleep 3
      say "wrong file" ActiveState
      say "wrong file" NRestarts
      echo "errors in the journal: $(journalctl -u cdcd -p err -o cat | grep -c start_refused)"
      journalctl -u cdcd --no-pager -o cat
      """#

    @Test("it starts without servers, deletes keys, is watched, stops, and is given up only for a wrong file")
    func life() throws {
      let folder = try TemporaryFolder()
      _ = try folder.write(Self.script, to: "script")
      let result = try CommandResult.of(
        [Self.program, CDCDProcess.binary, folder.path], in: folder, within: .seconds(150))
      try #require(result.status == 0, "\(result.output)")
      let log = try String(contentsOfFile: folder.file("log"), encoding: .utf8)
      for line in [
        "without servers: active\n", "without servers: not ready: source: ", "with servers: ready: streaming",
        "key: 0\n", "metrics: 1\n", "the rules were replaced", "after the watchdog: 1\n",
        "after the watchdog: ready: streaming", "stopped: success\n", "wrong file: failed\n",
        "wrong file: 0\n",
        "errors in the journal: 1\n",
      ] { #expect(log.contains(line), "\(line) is not in \(log)") }
      #expect(!log.contains("Failed to set thread priority"))
    }
  }
}
