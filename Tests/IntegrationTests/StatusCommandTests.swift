import Foundation
import Testing

extension RealServers {
  @Suite struct StatusCommand {
    /// Runs it with the file of the cdcd that runs.
    private func status(_ installation: Installation, _ words: String...) throws -> CommandResult {
      let port = try installation.cdcd.httpPort
      let path = try installation.configuration(httpPort: port, named: "status.yaml")
      return try CommandResult.of(
        [CDCDProcess.binary, "status", "--config", path] + words, in: installation.folder)
    }

    @Test("it is ready, and where everything stands", arguments: Installation.modes)
    func ready(mode: String) throws {
      var options = Installation.Options()
      options.mode = mode
      options.postgresSettings = ["max_slot_wal_keep_size=1GB"]
      let installation = try Installation(options)
      #expect(try installation.keysGone(of: ["user:1"], after: "INSERT INTO users VALUES (1)") == ["user:1"])
      try expectRetention(installation)
      let status = try status(installation)
      #expect(status.status == 0)
      #expect(status.output.hasPrefix("cdcd "), "\(status.output)")
      for part in [
        " is ready since ", "            \(mode)", "lag         none: all that PostgreSQL has told of",
        "retained    ", " 1 key deleted, 1 of which", "  public.users                    ",
      ] {
        #expect(status.output.contains(part), "\(status.output)")
      }
      let lines = status.output.split(separator: "\n")
      #expect(lines.allSatisfy { $0.count <= 80 }, "\(status.output)")

      let names = ["cdcd_transactions_total", "cdcd_commit_to_delete_seconds_count"]
      let before = try names.map { try installation.cdcd.metric($0) ?? 0 }
      try installation.postgres.query(
        "BEGIN; UPDATE users SET name = 'a'; UPDATE users SET name = 'b'; INSERT INTO users VALUES (2); COMMIT"
      )
      try installation.expectSettled()
      let counted = try names.map { try installation.cdcd.metric($0) ?? 0 }
      #expect(counted == before.map { $0 + 1 }, "a transaction counts once, and is timed once")
    }

    /// What the server keeps is asked for within seconds, and is what it keeps.
    private func expectRetention(_ installation: Installation) throws {
      let name = installation.mode == "notify" ? "cdcd_outbox_rows" : "cdcd_slot_retained_bytes"
      try eventually("\(name) is told") { try installation.cdcd.metric(name) != nil }
      guard installation.mode != "notify" else { return }
      let retained = try #require(try installation.cdcd.metric(name))
      let safe = try #require(try installation.cdcd.metric("cdcd_slot_safe_wal_size_bytes"))
      // Whole segments of 16 MiB are kept, or removed.
      #expect(abs(retained + safe - 1_024 * 1_024 * 1_024) < 32 * 1_024 * 1_024, "\(retained) and \(safe)")
      #expect(
        try installation.cdcd.get("/metrics").body.contains("cdcd_slot_wal_status{status=\"reserved\"} 1\n"))
    }

    @Test("--json is /status as it is")
    func json() throws {
      let installation = try Installation()
      let status = try status(installation, "--json")
      #expect(status.status == 0)
      let object = try JSONSerialization.jsonObject(with: Data(status.output.utf8)) as? [String: Any]
      #expect(object?["ready"] as? Bool == true, "\(status.output)")
      let answered = try installation.cdcd.get("/status").body
      #expect(status.output.split(separator: "\n").count == answered.split(separator: "\n").count)
    }

    @Test("it is not ready, and why")
    func notReady() throws {
      let installation = try Installation()
      try installation.redis.stop()
      try installation.expectNotReady(because: "redis")
      for words in [[], ["--json"]] as [[String]] {
        let status = try words.isEmpty ? status(installation) : status(installation, "--json")
        #expect(status.status == 1)
        #expect(status.output.contains(installation.redis.url), "\(status.output)")
      }
      #expect(try status(installation).output.contains(" is NOT READY since "))
    }

    @Test("nobody answers, or somebody who is no cdcd")
    func notRunning() throws {
      let installation = try Installation(start: false)
      let away = try installation.command("status")
      #expect(away.status == 69)
      #expect(away.output.contains("cdcd does not run, or with another file."), "\(away.output)")
      // PostgreSQL speaks no HTTP.
      let path = try installation.configuration(httpPort: installation.postgres.port)
      let other = try CommandResult.of(
        [CDCDProcess.binary, "status", "--config", path], in: installation.folder)
      #expect(other.status == 69)
      #expect(other.output.contains("takes connections and does not answer"), "\(other.output)")
    }

    @Test("an address that stands for all of the machine is asked at the loopback one")
    func everyAddress() throws {
      let installation = try Installation(start: false)
      let port = try LoopbackConnection.freePort()
      let path = try installation.configuration(httpPort: port)
      let text = try String(contentsOfFile: path, encoding: .utf8)
      let open = try installation.folder.write(
        text.replacing("listen: 127.0.0.1:", with: "listen: 0.0.0.0:"), to: "open.yaml")
      let cdcd = try CDCDProcess(
        [], configuration: open, httpPort: port, log: installation.folder.file("open.log"))
      try eventually("it answers") { try cdcd.get("/livez").status == 200 }
      let status = try CommandResult.of([CDCDProcess.binary, "status", "-c", open], in: installation.folder)
      // There is no publication.
      #expect(status.status == 1)
      #expect(status.output.contains(" is NOT READY since "), "\(status.output)")
    }

    @Test("a socket and a token are asked as the file has them, and nothing shows the token")
    func socketAndToken() throws {
      let installation = try Installation(start: false)
      let port = try LoopbackConnection.freePort()
      let token = "geheim-0123456789"
      let secret = try installation.folder.write(token + "\n", to: "token")
      let text = try String(contentsOfFile: installation.configuration(httpPort: port), encoding: .utf8)
      func file(_ name: String, http: String) throws -> String {
        try installation.folder.write(
          text.replacing("http:\n  listen: 127.0.0.1:\(port)", with: "http: \(http)"), to: name)
      }
      let socket = "unix:\(installation.folder.file("http.sock"))"
      let known = "token: '${file:\(secret)}'"
      let both = try file("both.yaml", http: "{listen: [127.0.0.1:\(port), '\(socket)'], \(known)}")
      let cdcd = try CDCDProcess(
        [], configuration: both, httpPort: port, log: installation.folder.file("both.log"))
      try eventually("it answers") { try cdcd.get("/livez").status == 200 }
      #expect(try cdcd.get("/status").status == 401)
      let asked = try [both, file("socket.yaml", http: "{listen: '\(socket)', \(known)}")]
      for path in asked {
        let status = try CommandResult.of(
          [CDCDProcess.binary, "status", "-c", path], in: installation.folder)
        // There is no publication.
        #expect(status.status == 1)
        #expect(status.output.contains(" is NOT READY since "), "\(status.output)")
      }
      for (http, words) in [
        ("{listen: '\(socket)'}", "wants another token than http.token of the file, which has none."),
        (
          "{listen: '\(socket)', token: other-0123456789}", "wants another token than http.token of the file."
        ),
        ("{listen: off}", "http.listen is off, so that nobody can be asked"),
      ] {
        let path = try file("other.yaml", http: http)
        let status = try CommandResult.of(
          [CDCDProcess.binary, "status", "-c", path], in: installation.folder)
        #expect(status.status == 1)
        #expect(status.output.contains(words), "\(status.output)")
      }
      let second = try CommandResult.of(
        [CDCDProcess.binary, "-c", asked[1]], in: installation.folder)
      #expect(second.status == 1)
      #expect(second.output.contains("\(socket): another process listens there"), "\(second.output)")
      let log = try cdcd.process.output
      #expect(log.contains("http=\"127.0.0.1:\(port), \(socket)\""), "\(log)")
      #expect(!(log + second.output).contains("geheim"))
    }
  }
}
