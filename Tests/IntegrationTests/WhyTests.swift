import Foundation
import Testing

extension RealServers {
  /// What deleted a key, as the running cdcd tells it.
  @Suite struct Why {
    private static let rules =
      ExampleTables.rules + "\n  - messages: true\n    pattern: \"note:*\"\n    redelete_after: 50ms"

    private func installation(mode: String) throws -> Installation {
      var options = Installation.Options()
      options.mode = mode
      options.rules = Self.rules
      return try Installation(options)
    }

    /// Runs `cdcd why` with the file of the cdcd that runs.
    private func why(_ key: String, _ installation: Installation, _ words: String...) throws -> CommandResult
    {
      let port = try installation.cdcd.httpPort
      let path = try installation.configuration(httpPort: port, named: "why.yaml")
      return try CommandResult.of(
        [CDCDProcess.binary, "why", key, "--config", path] + words, in: installation.folder)
    }

    /// What `/why` answers.
    private func answer(_ key: String, _ installation: Installation) throws -> [String: Any] {
      let response = try installation.cdcd.get("/why?key=\(key)")
      #expect(response.status == 200, "\(response.body)")
      let answer = try JSONSerialization.jsonObject(with: Data(response.body.utf8)) as? [String: Any]
      return answer ?? [:]
    }

    private func deletion(of key: String, _ installation: Installation) throws -> [String: Any] {
      try answer(key, installation)["deletion"] as? [String: Any] ?? [:]
    }

    @Test(
      "which transaction, table and rule deleted a key, and how long it took", arguments: Installation.modes)
    func found(mode: String) throws {
      let installation = try installation(mode: mode)
      let before = try installation.postgres.insertPosition()
      let xid = try installation.postgres.value(
        "INSERT INTO users VALUES (7, 'Ada@example.org') RETURNING pg_current_xact_id()")
      // Another transaction, which is not to be mistaken for it.
      try installation.postgres.query("INSERT INTO users VALUES (8)")
      try installation.expectSettled()
      for key in ["user:7", "user:email:ada@example.org"] {
        let result = try why(key, installation)
        #expect(result.status == 0)
        for part in [
          "\(key) was last deleted at 20",
          "rule        public.users\ntable       public.users\ntransaction xid \(xid)",
          " ms later ",
        ] {
          #expect(result.output.contains(part), "\(result.output)")
        }
        #expect(result.output.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(result.output)")
      }
      let deletion = try deletion(of: "user:7", installation)
      #expect(deletion["xid"] as? Int == Int(xid))
      let delay = try #require(deletion["milliseconds"] as? Double)
      #expect((0..<20_000).contains(delay))
      if mode == "notify" {
        #expect(deletion["lsn"] == nil)
        #expect(deletion["written_at"] != nil)
      } else {
        let lsn = try #require(deletion["lsn"] as? String)
        let isBetween = try installation.postgres.value(
          "SELECT '\(lsn)'::pg_lsn BETWEEN '\(before)' AND pg_current_wal_insert_lsn()")
        #expect(isBetween == "t", "\(lsn)")
        #expect(deletion["committed_at"] != nil)
      }
      let status =
        try JSONSerialization.jsonObject(
          with: Data(try installation.cdcd.get("/status").body.utf8)) as? [String: Any]
      let last = try #require(status?["last_invalidations"] as? [[String: Any]])
      #expect(last.map { $0["key"] as? String } == ["user:8", "user:email:ada@example.org", "user:7"])
      #expect(last[2]["xid"] as? Int == Int(xid))

      try messages(installation)
      try notSeen(installation)
      try flushed(installation)
      try renamed(installation)
    }

    /// Keys that an application names, and their second deletes.
    private func messages(_ installation: Installation) throws {
      let naming =
        installation.mode == "notify"
        ? "SELECT cdcd.invalidate('note:1')" : "SELECT pg_logical_emit_message(true, 'cdcd', 'key note:1')"
      try installation.postgres.query(naming)
      try installation.expectSettled()
      try eventually("it was deleted twice") {
        try deletion(of: "note:1", installation)["once_more_at"] != nil
      }
      let text = try why("note:1", installation).output
      #expect(text.contains("rule        messages\nmessage     the transaction named the key"), "\(text)")
      #expect(text.contains("\nonce more   at 20"), "\(text)")
    }

    private func notSeen(_ installation: Installation) throws {
      let unseen = try why("user:999", installation)
      #expect(unseen.status == 1)
      #expect(unseen.output.contains("user:999 was not seen since 20"), "\(unseen.output)")
      #expect(unseen.output.contains("(the start of cdcd)"), "\(unseen.output)")
      #expect(unseen.output.contains("rules       public.users may give such a key"), "\(unseen.output)")
      let mistyped = try why("documnt:1", installation)
      #expect(mistyped.status == 1)
      #expect(mistyped.output.contains("no rule gives such a key"), "\(mistyped.output)")
      #expect(
        mistyped.output.contains("the nearest is document:{id} of rule public.documents"),
        "\(mistyped.output)")
      let json = try why("user:999", installation, "--json")
      #expect(json.status == 1)
      let object = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
      #expect(object?["found"] as? Bool == false)
      #expect(object?["since_start"] as? Bool == true)
      #expect(try installation.cdcd.get("/why?key=").status == 400)
      // Any bytes, as they come.
      #expect(try answer("a%20%2B%26%ff", installation)["key"] as? String == "a +&\u{FFFD}")
    }

    private func flushed(_ installation: Installation) throws {
      try installation.postgres.query("TRUNCATE users")
      try installation.expectSettled()
      let reasons = { (answer: [String: Any]) in
        (answer["flushes"] as? [[String: Any]] ?? []).map { $0["reason"] as? String }
      }
      try eventually("the flush has ended") {
        reasons(try answer("user:7", installation)) == ["truncate"]
      }
      let text = try why("user:7", installation)
      #expect(text.status == 0)
      #expect(text.output.contains("flush       rule public.users was flushed until 20"), "\(text.output)")
      #expect(reasons(try answer("note:1", installation)).isEmpty)
    }

    private func renamed(_ installation: Installation) throws {
      try installation.reload("  - name: people\n    table: public.users\n    keys: [\"user:{id}\"]")
      try installation.expectLog("the rules were replaced")
      try installation.cdcd.waitUntilReady()
      try installation.postgres.query("INSERT INTO users VALUES (9)")
      try installation.expectSettled()
      #expect(try deletion(of: "user:7", installation)["rule"] as? String == "public.users")
      #expect(try deletion(of: "note:1", installation)["rule"] as? String == "messages")
      #expect(try deletion(of: "user:9", installation)["rule"] as? String == "people")
      #expect(try answer("order:1", installation)["rules"] as? [String] == [])
    }

    @Test("the oldest of many keys are forgotten, and a restart forgets all")
    func forgotten() throws {
      let installation = try Installation()
      try installation.postgres.query("INSERT INTO users VALUES (1)")
      try installation.expectSettled()
      #expect(try deletion(of: "user:1", installation)["rule"] as? String == "public.users")
      try installation.postgres.query("INSERT INTO users SELECT generate_series(1001, 201000)")
      try installation.expectSettled(within: .seconds(60))
      let oldest = try why("user:1", installation)
      #expect(oldest.status == 1)
      #expect(oldest.output.contains("(older ones are"), "\(oldest.output)")
      for key in ["user:201000", "user:151000"] {
        #expect(try deletion(of: key, installation)["rule"] as? String == "public.users", "\(key)")
      }
      try installation.stopCDCD()
      try installation.startCDCD().waitUntilReady()
      let newest = try answer("user:201000", installation)
      #expect(newest["since_start"] as? Bool == true)
      #expect(newest["found"] as? Bool == false)
    }

    @Test("nobody answers")
    func notRunning() throws {
      let installation = try Installation(start: false)
      let away = try installation.command("why", "user:1")
      #expect(away.status == 69)
      #expect(away.output.contains("cdcd does not run, or with another file."), "\(away.output)")
      #expect(try installation.command("why").status == 64)
      #expect(try installation.command("why", "").status == 64)
      let long = try installation.command("why", String(repeating: "k", count: 9_000))
      #expect(long.status == 1)
      #expect(long.output.contains("The key is too long to be asked for"), "\(long.output)")
      // The shell's words are bytes; these are no UTF-8.
      let bytes = try CommandResult.of(
        ["/bin/sh", "-c", "exec \(CDCDProcess.binary) why \"$(printf 'page:\\377')\""],
        in: installation.folder)
      #expect(bytes.status == 64)
      #expect(bytes.output.contains("no UTF-8"), "\(bytes.output)")
    }
  }
}
