import Foundation
import Testing

extension SlowChecks {
  /// What Prometheus itself makes of the metrics, the alerts and the dashboard.
  @Suite struct Prometheus {
    @Test("promtool: the example's configuration is valid, and every alert does what its test says")
    func alertRules() throws {
      let folder = try TemporaryFolder()
      for (words, file) in [
        (["check", "config"], "prometheus.yml"), (["test", "rules"], "cdcd.rules.test.yml"),
      ] {
        let path = PrometheusServer.deployed("prometheus/\(file)").path
        let result = try CommandResult.of(["/usr/bin/promtool"] + words + [path], in: folder)
        #expect(result.status == 0, "\(result.output)")
      }
    }

    @Test("after a varied life promtool has nothing against the metrics", arguments: Installation.modes)
    func exposition(mode: String) throws {
      var options = Installation.Options()
      options.mode = mode
      options.standbys = 1
      let installation = try Installation(options)
      try live(installation)
      let metrics = try installation.cdcd.get("/metrics").body
      for family in ["cdcd_redis_errors_total", "cdcd_gaps_total", "cdcd_flushes_total"] {
        #expect(try installation.cdcd.metric(family) ?? 0 > 0, "\(family)")
      }
      let path = try installation.folder.write(metrics, to: "metrics.txt")
      let result = try CommandResult.of(
        ["/bin/sh", "-c", "/usr/bin/promtool check metrics < \(path)"], in: installation.folder)
      #expect(result.status == 0 && result.output.isEmpty, "\(result.output)")
    }

    /// Changes, a truncate, a lost Redis and other rules, one with a name that has to be escaped.
    private func live(_ installation: Installation) throws {
      try installation.postgres.query("INSERT INTO users VALUES (1), (2); UPDATE users SET name = 'x'")
      try installation.postgres.query("TRUNCATE users")
      try installation.expectSettled()
      try installation.redis.stop()
      try installation.expectNotReady(because: "redis")
      try installation.redis.start()
      try installation.cdcd.waitUntilReady()
      try installation.reload(
        """
        - name: 'a "name" with \\ and ä'
          table: public.users
          keys: ["user:{id}"]
        """)
      try installation.expectLog("rules")
      try installation.cdcd.waitUntilReady()
      try installation.postgres.query("INSERT INTO users VALUES (3)")
      try installation.expectSettled()
      try eventually("what the server keeps is told") {
        try installation.cdcd.metric("cdcd_outbox_rows")
          ?? installation.cdcd.metric("cdcd_slot_retained_bytes")
          != nil
      }
    }

    @Test("a real Prometheus scrapes, follows a change, answers every query, and raises the alarm")
    func scraped() throws {
      var options = Installation.Options()
      options.postgresSettings = ["max_slot_wal_keep_size=1GB"]
      options.standbys = 1
      let installation = try Installation(options)
      let prometheus = try PrometheusServer(scraping: try installation.cdcd, in: installation.folder)
      try eventually("the target is up") { try prometheus.query("up").first?.number == 1 }
      try eventually("it is ready") { try prometheus.query("cdcd_ready").first?.number == 1 }

      let updates = "cdcd_changes_total{table=\"public.users\",op=\"update\"}"
      try installation.postgres.query("INSERT INTO users VALUES (1)")
      for number in 1...3 {
        try installation.postgres.query("UPDATE users SET name = '\(number)'")
        try eventually("update \(number) is counted") {
          try prometheus.query(updates).first?.number == Double(number)
        }
      }
      try expectAnswers(prometheus)

      // The first start met a gap: the slot was new.
      let names = try Set(prometheus.alerts.compactMap { $0.labels["alertname"] })
      #expect(names.contains("CdcdGap"))
      #expect(names.isDisjoint(with: ["CdcdDown", "CdcdNotReady", "CdcdRedisErrors"]), "\(names)")
      try installation.redis.stop()
      for name in ["CdcdNotReady", "CdcdRedisErrors"] {
        try eventually("\(name) fires") {
          try prometheus.alerts.contains { $0.labels["alertname"] == name && $0.state == "firing" }
        }
      }
      try installation.redis.start()
      try eventually("CdcdNotReady is over") {
        try prometheus.alerts.allSatisfy { $0.labels["alertname"] != "CdcdNotReady" }
      }
      try installation.cdcd.process.signal(SIGKILL)
      try eventually("CdcdDown fires") {
        try prometheus.alerts.contains { $0.labels["alertname"] == "CdcdDown" && $0.state == "firing" }
      }
    }

    /// Every query of the dashboard is understood, and gives something as far as a daemon with a slot and a replica has it.
    private func expectAnswers(_ prometheus: PrometheusServer) throws {
      let queries = try Self.dashboardQueries()
      #expect(queries.count > 30)
      // Of an outbox, and of what has not happened.
      let isSilent: (String) -> Bool = { $0.contains("cdcd_outbox_rows") || $0.hasSuffix(" > 0") }
      for query in queries {
        try eventually("\(query) gives something") {
          try !prometheus.query(query).isEmpty || isSilent(query)
        }
      }
    }

    /// With values for the dashboard's variables.
    private static func dashboardQueries() throws -> [String] {
      let text = try String(contentsOf: PrometheusServer.deployed("grafana/cdcd.json"), encoding: .utf8)
      return try text.matches(of: /"expr": ("(?:[^"\\]|\\.)*")/).map { match in
        try JSONDecoder().decode(String.self, from: Data(match.output.1.utf8))
          .replacing("$__rate_interval", with: "5s").replacing("$instance", with: ".*")
      }
    }
  }
}
