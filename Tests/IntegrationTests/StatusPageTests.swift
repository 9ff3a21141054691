import Foundation
import Testing

extension SlowChecks {
  /// The page at `/` in Chromium, over a real cdcd.
  @Suite struct StatusPage {
    private static let hostileName = "<img src=x onerror=alert(1)>"
    private static let narrow = 360
    private static let wide = 1_280

    private let installation: Installation
    private let browser: Browser
    private let address: String

    init() throws {
      var options = Installation.Options()
      options.rules += """

          - name: "\(Self.hostileName)"
            table: public.users
            keys: ["page:<b>{name}</b>"]
          - name: "\(String(repeating: "long", count: 50))"
            table: public.documents
            keys: ["page:{id}"]
        """
      options.flushRate = 100
      installation = try Installation(options)
      browser = try Browser(in: installation.folder)
      address = "http://127.0.0.1:\(try installation.cdcd.httpPort)/"
      try browser.open(address)
      try expectState("ready", "Ready")
    }

    private func expectState(_ kind: String, _ title: String, within limit: Duration = .seconds(30)) throws {
      try eventually(within: limit, "the page says \(title)") {
        try browser.text("#state[data-kind=\(kind)] h2") == title
      }
    }

    /// How many keys the rule has deleted, as the page shows it.
    private func keysDeleted(by rule: String) throws -> Int? {
      let rows = try browser.run(
        """
        return Array.from(document.querySelectorAll("#rules tbody tr"),
          row => [row.cells[0].innerText.trim(), row.cells[1].innerText])
        """)
      let row = (rows as? [[String]])?.first { $0[0] == rule }
      return row.flatMap { Int($0[1].replacing(",", with: "")) }
    }

    @Test("a change made in the database appears without a reload, and names that hold markup are text")
    func change() throws {
      try browser.run("window.isSamePage = true")
      #expect(try keysDeleted(by: "public.users") == 0)
      try installation.postgres.query("INSERT INTO users VALUES (7, 'Ada@example.org', '<i>Ada</i>')")
      try eventually("the page counts the keys of every rule") {
        try keysDeleted(by: "public.users") == 2 && keysDeleted(by: Self.hostileName) == 1
      }
      try eventually("the chart says when") {
        try browser.run("return charts.keys.points.some(point => point.keys > 0)") as? Bool == true
      }
      let label = try browser.run("return charts.keys.image.getAttribute('aria-label')") as? String
      #expect(label?.contains("Keys deleted per second over the last ten minutes: last ") == true)
      #expect(try browser.text("#charts .note")?.contains("p99") == true)
      let xid = try installation.postgres.value("SELECT xmin FROM users WHERE id = 7")
      for key in ["user:7", "user:email:ada@example.org", "page:<b><i>Ada</i></b>"] {
        try eventually("the page shows that \(key) went, and by which transaction") {
          let rows = try browser.run(
            "return Array.from(document.querySelectorAll('#invalidations tbody tr'), row => row.innerText)")
          return (rows as? [String])?.contains { $0.contains(key) && $0.contains(xid) } == true
        }
      }
      #expect(
        try browser.run("return document.querySelectorAll('main img, main td b, main td i').length") as? Int
          == 0)
      #expect(try browser.run("return window.isSamePage") as? Bool == true)
      #expect(try browser.consoleMessages().map(\.text) == [])
      let requests = Set(try browser.requests(of: address).filter { !$0.hasPrefix("data:") })
      #expect(requests == [address, address + "events"])
    }

    @Test("what is wrong is said in words and aloud, and when it is over")
    func outage() throws {
      try installation.redis.stop()
      try expectState("unready", "Not ready")
      #expect(try browser.text("#reasons")?.contains("redis") == true)
      let said = try browser.run("return document.getElementById('announcement').textContent") as? String
      #expect(said?.hasPrefix("Not ready. redis: ") == true, "\(said ?? "nothing")")
      #expect(try browser.run("return document.title") as? String == "Not ready · cdcd")
      try expectAccessible()
      try installation.redis.start()
      try expectState("ready", "Ready")
      #expect(try browser.text("#reasons") ?? "" == "")
    }

    @Test("a flush shows its progress")
    func flush() throws {
      let redis = try installation.redis.client()
      for number in 0..<400 { try redis("SET", "user:\(number)", "cached") }
      try installation.postgres.query("TRUNCATE users")
      try eventually("the page shows the flush") {
        try browser.text("#flushes tbody")?.contains("deletes values") == true
      }
      try expectState("unready", "Not ready")
      try expectAccessible()
      try expectState("ready", "Ready")
      #expect(try browser.text("#flushes tbody") ?? "" == "")
    }

    @Test("a cdcd that hangs or is gone is told apart from one that is well, and found again")
    func lostConnection() throws {
      let cdcd = try installation.cdcd
      cdcd.process.signal(SIGSTOP)
      try expectState("lost", "Connection lost")
      #expect(try browser.text("#state-text")?.contains("It was ready then") == true)
      cdcd.process.signal(SIGCONT)
      try expectState("ready", "Ready")
      cdcd.process.signal(SIGKILL)
      _ = try cdcd.process.waitForExit()
      try expectState("lost", "Connection lost")
      try expectAccessible()
      let again = try CDCDProcess(
        [], configuration: installation.folder.file("cdcd.yaml"), httpPort: cdcd.httpPort,
        log: installation.folder.file("again.log"))
      try again.waitUntilReady()
      try expectState("ready", "Ready")
      #expect(try browser.text("#connection") == "live")
      #expect(try browser.consoleMessages().filter { $0.source != "network" }.map(\.text) == [])
    }

    @Test("both themes, a phone and a wide screen: nothing to scroll sideways, nothing for axe to find")
    func presentation() throws {
      try expectAccessible()
      for (isDark, color) in [(false, "rgb(245, 245, 242)"), (true, "rgb(13, 16, 19)")] {
        try browser.present(width: Self.wide, isDark: isDark)
        let background = "return getComputedStyle(document.body).backgroundColor"
        #expect(try browser.run(background) as? String == color)
      }
    }

    /// At every width and in both themes.
    private func expectAccessible(sourceLocation: SourceLocation = #_sourceLocation) throws {
      try browser.run(try Self.axe.get())
      for (width, isDark) in [
        (Self.narrow, false), (Self.narrow, true), (Self.wide, false), (Self.wide, true),
      ] {
        try browser.present(width: width, isDark: isDark)
        let scrolled = try browser.run("return document.documentElement.scrollWidth") as? Int
        #expect(scrolled == width, sourceLocation: sourceLocation)
        let found = try browser.runUntilDone(
          """
          document.querySelector("details").open = true;
          axe.run().then(result => done(result.violations.map(
            one => one.id + ": " + one.help + ": " + one.nodes.map(node => node.html.slice(0, 200)))))
          """)
        #expect(found as? [String] == [], "\(width) px, dark: \(isDark)", sourceLocation: sourceLocation)
      }
    }

    /// The text of axe-core, of Deque.
    private static let axe = Result {
      let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
      let folder = try TemporaryFolder()
      let made = try CommandResult.of(
        ["\(tests)/python-environment", "axe.txt"], in: folder, environment: ["PIP_NO_DEPS": "1"],
        within: .seconds(240))
      try #require(made.status == 0, "\(made.output)")
      let python = try #require(made.output.split(separator: "\n").last).trimmingCharacters(in: .whitespaces)
      let place = try CommandResult.of(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], in: folder)
      let packages = place.output.trimmingCharacters(in: .whitespacesAndNewlines)
      return try String(contentsOfFile: "\(packages)/axe_playwright_python/axe.min.js", encoding: .utf8)
    }
  }
}
