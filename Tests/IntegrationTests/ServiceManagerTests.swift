import Foundation
import Testing

extension RealServers {
  /// What the daemon tells systemd, by a socket that stands in for it.
  @Suite struct ServiceManagement {
    private static let rules = "  - {name: users, table: users, keys: ['user:{id}']}\n"

    private static func watched(_ listener: NotifyListener) -> [String: String] {
      ["NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": "1000000"]
    }

    @Test("a service tells when it is ready, how it is, that it lives, that it reloads and that it stops")
    func life() throws {
      var options = Installation.Options()
      options.rules = Self.rules
      let installation = try Installation(options, start: false)
      try installation.setUp()
      let listener = try NotifyListener(in: installation.folder)
      let cdcd = try installation.startCDCD(environment: Self.watched(listener))
      try listener.expect("READY=1", "WATCHDOG=1", "STATUS=ready: streaming, lag ")
      #expect(listener.told.contains { $0.hasSuffix(", 1 rule") }, "\(listener.told)")
      try redisAway(installation, listener)
      try reloads(installation, listener)
      try watchdog(cdcd, listener)
      listener.forget()
      cdcd.process.signal(SIGTERM)
      #expect(try cdcd.process.waitForExit() == 0)
      try listener.expect("STOPPING=1", "STATUS=stopping")
    }

    private func redisAway(_ installation: Installation, _ listener: NotifyListener) throws {
      listener.forget()
      try installation.redis.stop()
      try listener.expect("STATUS=not ready: redis: ")
      listener.forget()
      try installation.redis.start()
      try listener.expect("STATUS=ready: streaming")
      #expect(!listener.told.contains("READY=1"), "readiness is no reload")
      try installation.expectLog("notice not ready: redis: ")
      try installation.expectLog("it was not for ")
    }

    private func reloads(_ installation: Installation, _ listener: NotifyListener) throws {
      listener.forget()
      try installation.reload(Self.rules + "  - {name: people, table: users, keys: ['person:{id}']}\n")
      try listener.expect("RELOADING=1", "MONOTONIC_USEC=", "READY=1", "STATUS=ready: streaming")
      try eventually("the number of rules is told") {
        listener.told.contains { $0.contains(", 2 rules") }
      }
      listener.forget()
      try installation.reload("  - {table: users, kyes: []}\n")
      try listener.expect("RELOADING=1", "MONOTONIC_USEC=", "READY=1")
      try installation.expectLog("the rules in force stay")
    }

    /// Twice in its time, and not at all by a process that does nothing.
    private func watchdog(_ cdcd: CDCDProcess, _ listener: NotifyListener) throws {
      listener.forget()
      Thread.sleep(forTimeInterval: 3)
      let signs = listener.told.count { $0 == "WATCHDOG=1" }
      #expect((4...8).contains(signs), "\(signs) signs of life in 3 seconds, and 6 are wanted")
      cdcd.process.signal(SIGSTOP)
      Thread.sleep(forTimeInterval: 0.1)
      listener.forget()
      Thread.sleep(forTimeInterval: 1.5)
      #expect(listener.told.isEmpty)
      cdcd.process.signal(SIGCONT)
      try listener.expect("WATCHDOG=1")
    }

    @Test("a start with no server at all is a start, and a watchdog for another process is not ours")
    func nothingThere() throws {
      let folder = try TemporaryFolder()
      let listener = try NotifyListener(in: folder, isAbstract: true)
      var environment = Self.watched(listener)
      environment["WATCHDOG_PID"] = "1"
      let cdcd = try CDCDProcess.withoutServers(
        in: folder, port: try LoopbackConnection.freePort(), environment: environment)
      try listener.expect("READY=1", "STATUS=not ready: source: ")
      #expect(try cdcd.get("/livez").status == 200)
      Thread.sleep(forTimeInterval: 1.5)
      #expect(!listener.told.contains("WATCHDOG=1"))
    }
  }
}
