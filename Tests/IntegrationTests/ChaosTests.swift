import Foundation
import Testing

extension RealServers {
  /// The promise, under load and under fire: after every fault, once settled, no cached value differs from its row.
  @Suite struct Chaos {
    enum Fault: CaseIterable {
      case killCDCD, killRedis, killPostgres, killBackend, freezeRedis, terminateCDCD
      /// A replica that has not seen the last of it takes over.
      case promoteRedis
      case killStandby
      /// Other rules by SIGHUP, with those that the load is about among them.
      case reload
    }

    private static let otherRules =
      "  - {name: orders, table: orders, keys: ['orders:{user_id}']}\n" + ExampleTables.rules

    /// Keys that no rule speaks of: nothing may take them away.
    private static let bystanders = (1...50).map { "session:\($0)" }

    private func strike(_ fault: Fault, _ installation: Installation) throws {
      switch fault {
      case .killCDCD, .terminateCDCD:
        let process = try installation.cdcd.process
        process.signal(fault == .killCDCD ? SIGKILL : SIGTERM)
        _ = try process.waitForExit()
        Thread.sleep(forTimeInterval: Double.random(in: 0...0.5))
        try installation.startCDCD()
      case .killRedis:
        try installation.redis.kill()
        Thread.sleep(forTimeInterval: Double.random(in: 0...0.5))
        try installation.redis.start()
      case .killPostgres:
        try installation.postgres.restart(.immediate)
      case .killBackend:
        // One backend that dies takes all of them with it: a crash restart without a new postmaster.
        let pid = try installation.postgres.value(
          "SELECT pid FROM pg_stat_replication UNION SELECT 0 ORDER BY 1 DESC")
        if let pid = pid_t(pid), pid > 0 { kill(pid, SIGKILL) }
      case .freezeRedis:
        installation.redis.freeze()
        Thread.sleep(forTimeInterval: 2)
        installation.redis.thaw()
      case .promoteRedis:
        try installation.redis.startReplica()
        Thread.sleep(forTimeInterval: Double.random(in: 0...0.5))
        try installation.redis.cutOffReplica()
        Thread.sleep(forTimeInterval: Double.random(in: 0.2...1))
        try installation.redis.failOver()
      case .killStandby:
        for standby in installation.standbys { try standby.restart(.immediate) }
      case .reload:
        try installation.reload(Self.otherRules)
        Thread.sleep(forTimeInterval: Double.random(in: 0...0.5))
        try installation.reload(ExampleTables.rules)
      }
    }

    /// Waits until cdcd has caught up with everything, and compares Redis with PostgreSQL.
    private func check(_ load: Load, _ installation: Installation, after fault: String) throws {
      try load.pause()
      try installation.cdcd.waitUntilReady(within: .seconds(60))
      try installation.expectSettled(within: .seconds(30))
      let stale = try load.staleValues()
      #expect(stale.isEmpty, "after \(fault): \(stale)")
      let redis = try installation.redis.client()
      let missing = try Self.bystanders.filter { try !redis.exists($0) }
      #expect(missing.isEmpty, "after \(fault), wrongly deleted: \(missing)")
    }

    private func run(_ faults: [Fault], redisOptions: [String], standbys: Int = 0, audit: Bool) throws {
      var options = Installation.Options()
      options.retain = "20s"
      options.standbys = standbys
      // Long enough for readers to see, and to fill from, what the primary has replaced.
      options.standbySettings = ["recovery_min_apply_delay=30ms"]
      options.redisOptions = redisOptions
      let installation = try Installation(options)
      let redis = try installation.redis.client()
      for key in Self.bystanders { try redis("SET", key, "kept") }
      // Redis refuses while it saves by itself.
      try eventually("Redis has saved") { try redis("SAVE") == .text("OK") }
      let load = try Load(
        postgres: installation.postgres, redis: installation.redis, standbys: installation.standbys)
      defer { #expect(throws: Never.self) { try load.stop() } }
      if audit {
        load.startAuditor { try installation.cdcd.settledPosition }
      }
      for fault in faults {
        load.resume()
        Thread.sleep(forTimeInterval: Double.random(in: 0.5...1.5))
        try strike(fault, installation)
        Thread.sleep(forTimeInterval: Double.random(in: 0.5...1.5))
        try check(load, installation, after: "\(fault)")
      }
      print("load: \(load.counts)")
      let counts = load.counts
      #expect(load.violations.isEmpty, "\(load.violations.prefix(5))")
      #expect(!audit || counts.audits > 100, "\(counts)")
      #expect(counts.commits > 100 && counts.fills > 100 && counts.hits > 100, "\(counts)")
    }

    @Test("kill -9 of cdcd at any moment under load: no read ever returns what a settled commit has replaced")
    func killedUnderLoad() throws {
      let faults: [Fault] = [
        .killCDCD, .reload, .killCDCD, .killBackend, .reload, .killCDCD, .freezeRedis, .killCDCD, .reload,
        .killCDCD,
      ]
      try run(faults, redisOptions: ["--save", "", "--appendonly", "yes"], audit: true)
    }

    @Test(
      "cdcd, Redis and PostgreSQL killed in turn under load: no stale value and no wrongly deleted key at the end",
      arguments: [["--save", "", "--appendonly", "yes"], ["--save", "1 1", "--appendonly", "no"]])
    func everythingKilled(redisOptions: [String]) throws {
      let faults: [Fault] = [
        .killCDCD, .killRedis, .killPostgres, .killBackend, .freezeRedis, .terminateCDCD, .killRedis,
        .killCDCD,
      ]
      try run(faults, redisOptions: redisOptions, audit: false)
    }

    @Test(
      "readers of a read replica under load, cdcd killed: no read returns what a settled commit has replaced")
    func replicaReaders() throws {
      try run(
        [.killCDCD, .killBackend, .killCDCD, .terminateCDCD],
        redisOptions: ["--save", "", "--appendonly", "yes"], standbys: 1, audit: true)
    }

    @Test("a minute of everything, with readers of a read replica: no stale value at rest")
    func aMinuteOfEverything() throws {
      var faults: [Fault] = [.promoteRedis, .killRedis, .killPostgres, .killCDCD, .killStandby]
      for _ in 0..<10 { faults.append(Fault.allCases.randomElement() ?? .killCDCD) }
      print("faults: \(faults.map { "\($0)" }.joined(separator: ", "))")
      try run(faults, redisOptions: ["--save", "1 1", "--appendonly", "no"], standbys: 1, audit: false)
    }
  }
}
