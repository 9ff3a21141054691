import Testing

extension RealServers {
  /// Several hosts in `source.postgres`: the primary is found, wherever it is.
  @Suite struct Hosts {
    @Test("behind one that is gone, one that answers nothing, and a standby; by the commands too")
    func primaryBehindOthers() throws {
      let installation = try Installation(start: false)
      let standby = try PostgresServer(standbyOf: installation.postgres, named: "standby")
      try standby.start()
      let mute = try PostgresServer(newClusterBeside: installation.postgres, named: "mute")
      try mute.start()
      mute.freeze()
      let ports = [try LoopbackConnection.freePort(), mute.port, standby.port, installation.postgres.port]
      installation.setSource(
        "postgresql://postgres@\(ports.map { "127.0.0.1:\($0)" }.joined(separator: ","))/postgres?connect_timeout=2"
      )
      try installation.setUp()
      try installation.startCDCD().waitUntilReady()
      #expect(
        try installation.keysGone(of: ["user:1", "user:2"], after: "INSERT INTO users VALUES (1)") == [
          "user:1"
        ])

      // The same again when the stream breaks.
      try installation.postgres.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_replication WHERE state = 'streaming'")
      #expect(
        try installation.keysGone(of: ["user:1", "user:2"], after: "DELETE FROM users WHERE id = 1") == [
          "user:1"
        ])
    }

    @Test("where none is a primary, cdcd says what became of each")
    func noPrimary() throws {
      let installation = try Installation(start: false)
      let standby = try PostgresServer(standbyOf: installation.postgres, named: "standby")
      try standby.start()
      try installation.postgres.stop()
      installation.setSource(
        "postgresql://postgres@127.0.0.1:\(installation.postgres.port),127.0.0.1:\(standby.port)/postgres")
      try installation.startCDCD()
      try eventually("cdcd tells of both") {
        let answer = try installation.cdcd.get("/readyz").body
        return answer.contains("port \(installation.postgres.port)")
          && answer.contains("port \(standby.port)")
      }
    }
  }
}
