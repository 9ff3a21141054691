import Foundation
import Testing

extension RealServers {
  /// What is not published is not streamed: cdcd has to say so, and to make up for it.
  @Suite struct Publications {
    @Test("a ruled table that is not published keeps cdcd from being ready, and is flushed once it is")
    func unpublishedTable() throws {
      let installation = try Installation()
      let first = try installation.cdcd
      first.process.signal(SIGTERM)
      #expect(try first.process.waitForExit(within: .seconds(10)) == 0)
      try installation.postgres.query("ALTER PUBLICATION cdcd DROP TABLE users")
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "stale")
      try redis("SET", "other:1", "kept")
      let second = try installation.startCDCD()
      try eventually("cdcd names the publication") {
        let answer = try second.get("/readyz")
        return answer.status == 503 && answer.body.contains("does not carry every change of public.users")
      }
      try installation.postgres.query("INSERT INTO users VALUES (1)")
      try installation.setUp()
      try second.waitUntilReady(within: .seconds(30))
      #expect(try !redis.exists("user:1"))
      #expect(try redis.exists("other:1"))
      let metrics = try second.get("/metrics").body
      #expect(metrics.contains("cdcd_gaps_total{reason=\"publication_changed\"} 1"))
    }

    @Test("a publication that leaves out a kind of change is refused")
    func missingOperation() throws {
      let installation = try Installation(start: false)
      try installation.setUp()
      try installation.postgres.query("ALTER PUBLICATION cdcd SET (publish = 'insert')")
      let cdcd = try installation.startCDCD()
      try eventually("cdcd names what is missing") {
        let answer = try cdcd.get("/readyz")
        return answer.status == 503 && answer.body.contains("leaves out kinds of changes")
      }
      try installation.postgres.query(
        "ALTER PUBLICATION cdcd SET (publish = 'insert, update, delete, truncate')")
      try cdcd.waitUntilReady(within: .seconds(30))
    }
  }
}
