import FoundationEssentials
import Testing

@testable import Daemon
@testable import Invalidation

@Suite struct WhyTests {
  // MARK: The request

  @Test(arguments: [
    ("key=user:7", "user:7"), ("key=user%3A7", "user:7"), ("key=a%26b%3dc", "a&b=c"), ("key=a=b", "a=b"),
    ("key=a+b", "a+b"), ("key=%C3%bc", "ü"), ("&key=x&", "x"), ("key=%25", "%"),
  ])
  func takesAKey(_ query: String, _ key: String) throws {
    #expect(try WhyRequest(query: query).key == Array(key.utf8))
  }

  @Test func aKeyNeedsNotBeUTF8() throws {
    #expect(try WhyRequest(query: "key=%ff%00").key == [0xFF, 0])
  }

  @Test(arguments: [
    (nil, "key is missing, expected a key of the cache like /why?key=user:7"),
    ("", "key is missing, expected a key of the cache like /why?key=user:7"),
    ("key=", "key is missing, expected a key of the cache like /why?key=user:7"),
    ("key", "key is missing, expected a key of the cache like /why?key=user:7"),
    ("key=a&b", "unknown parameter 'b'; there is key (an & in a key is %26)"),
    ("key=a&key=b", "the parameter 'key' is there twice, expected it once"),
    ("key=a%2", "key is 'a%2', expected two hexadecimal digits behind each %, or %25"),
    ("key=%+1", "key is '%+1', expected two hexadecimal digits behind each %, or %25"),
    ("key=%zz", "key is '%zz', expected two hexadecimal digits behind each %, or %25"),
  ])
  func refuses(_ query: String?, _ message: String) {
    #expect(throws: WhyRequestError(message)) { try WhyRequest(query: query) }
  }

  @Test(arguments: ["user:7", "a b&c=d+e%f/ü\u{0}~", "\u{1}\u{7F}"])
  func theClientAsksForTheSameKey(_ key: String) throws {
    #expect(try WhyRequest(query: "key=" + PercentEncoding.text(of: key.utf8)).key == Array(key.utf8))
  }

  // MARK: The answer

  private static let start: Int64 = 817_462_800_000_000  // 2025-11-26 09:00 UTC
  private static let second: Int64 = 1_000_000
  private static let users = Rule(
    name: "users", table: TableName(schema: "public", name: "users"),
    templates: [
      KeyTemplate(text: "user:{id}", segments: [.literal(Array("user:".utf8)), .column("id", [])])
    ])

  private static func history(_ origin: KeyOrigin? = nil, rule: Rule = users, key: String = "user:7")
    -> InvalidationHistory
  {
    var history = InvalidationHistory(rules: [rule], since: start)
    guard let origin else { return history }
    var keys = KeyBuffer()
    keys.write(Array(key.utf8))
    keys.close(rule: 0)
    var origins = KeyOrigins()
    origins.extend(to: 1, origin)
    history.add(history.describe(keys, origins), at: start + 10 * second)
    return history
  }

  private static let commit = KeyOrigin(
    kind: .commit, xid: 761, position: LSN(0x16B_3748), time: start + 10 * second - 800)

  private static func report(
    _ history: InvalidationHistory, key: String = "user:7", flushes: [EngineStatus.Flush] = []
  )
    -> WhyReport
  {
    let board = StatusBoard()
    var status = EngineStatus()
    status.openFlushes = flushes
    board.publish(status, Statistics(), history, at: Moment(monotonic: 0, wall: start))
    return WhyReport(Array(key.utf8), board.snapshot(), now: postgresTime(start + 72 * second))
  }

  @Test func aRowOfATransaction() {
    let text = WhyText(Self.report(Self.history(Self.commit)))
    #expect(text.isFound)
    #expect(
      text.text == """
        user:7 was last deleted at 2025-11-26 09:00:10.000 UTC (1 min 2 s ago).

        rule        users
        table       public.users
        transaction xid 761, committed at 0/16B3748
        commit      2025-11-26 09:00:09.999 UTC; 0.8 ms later the key was out of Redis
        """)
  }

  @Test(arguments: TailTests.times)
  func aCommitOfAnyTime(_ time: Int64, _ text: String) {
    var origin = Self.commit
    origin.time = time
    let report = Self.report(Self.history(origin))
    #expect(report.deletion?.committedAt == text)
    let isFinite = time != .min && time != .max
    #expect((report.deletion?.milliseconds != nil) == isFinite)
    let line = "commit      " + text.replacing("T", with: " ").replacing("Z", with: " UTC")
    #expect(WhyText(report).text.contains(isFinite ? line + ";" : line), "\(WhyText(report).text)")
    #expect(WhyText(report).text.contains("later") == isFinite)
  }

  @Test func aMessageHasNoTable() {
    let history = Self.history(Self.commit, rule: Rule(messages: "pages", pattern: "page:*"), key: "page:1")
    let text = WhyText(Self.report(history, key: "page:1")).text
    #expect(
      text.contains("\nrule        pages\nmessage     the transaction named the key\ntransaction xid 761"),
      "\(text)")
  }

  @Test func aRowOfAnOutboxHasNoPosition() {
    let origin = KeyOrigin(kind: .outbox, xid: 762, time: Self.start + 9 * Self.second)
    let text = WhyText(Self.report(Self.history(origin))).text
    #expect(
      text.hasSuffix(
        """
        transaction xid 762
        written     to the outbox at 2025-11-26 09:00:09.000 UTC; 1,000.0 ms later the
                    key was out of Redis
        """), "\(text)")
  }

  @Test func aSecondDelete() {
    var history = Self.history(Self.commit)
    var keys = KeyBuffer()
    for key in ["user:7", "user:8"] {
      keys.write(Array(key.utf8))
      keys.close(rule: 0)
    }
    var origins = KeyOrigins()
    origins.extend(to: 2, .secondDelete)
    history.add(history.describe(keys, origins), at: Self.start + 60 * Self.second)
    let known = WhyText(Self.report(history)).text
    #expect(known.hasPrefix("user:7 was last deleted at 2025-11-26 09:01:00.000 UTC (12 s ago)."), "\(known)")
    #expect(known.contains("transaction xid 761"), "\(known)")
    #expect(
      known.contains("\nonce more   at 2025-11-26 09:01:00.000 UTC, for redelete_after or read"), "\(known)")
    let unknown = WhyText(Self.report(history, key: "user:8")).text
    #expect(
      unknown.contains("cause       its second delete; the first one, and its transaction, are no"),
      "\(unknown)")
  }

  @Test func notSeen() {
    let text = WhyText(Self.report(Self.history(), key: "user:9"))
    #expect(!text.isFound)
    #expect(
      text.text == """
        user:9 was not seen since 2025-11-26 09:00:00.000 UTC (the start of cdcd).

        rules       users may give such a key
                    cdcd tail shows changes as they come, and why a rule gives no key of
                    one
        """)
  }

  @Test func noRuleGivesSuchAKey() {
    let text = WhyText(Self.report(Self.history(Self.commit), key: "users:7")).text
    #expect(
      text.hasSuffix(
        """
        rules       no rule gives such a key
                    the nearest is user:{id} of rule users
        """), "\(text)")
  }

  @Test func flushesAfterTheDelete() {
    var history = Self.history(Self.commit)
    func flush(_ rule: String, ended: Int64, _ pattern: String) -> FinishedFlush {
      FinishedFlush(
        rule: rule, reason: .truncate, began: Self.start, ended: Self.start + ended * Self.second,
        patterns: [Array(pattern.utf8)])
    }
    history.add(flush("before", ended: 9, "user:*"))
    history.add(flush("other", ended: 20, "order:*"))
    history.add(flush("after", ended: 20, "user:*"))
    let open = ["users", "gone"].map {
      EngineStatus.Flush(rule: $0, reason: .tableChanged, phase: "leases", scannedKeys: 0, deletedKeys: 0)
    }
    let report = Self.report(history, flushes: open)
    #expect(report.flushes.map(\.rule) == ["users", "after"])
    let text = WhyText(report).text
    #expect(
      text.contains("\nflush       rule users is being flushed, which deletes such keys: a ruled"), "\(text)")
    #expect(
      text.contains("\nflush       rule after was flushed until 2025-11-26 09:00:20.000 UTC, which"),
      "\(text)")
    // Of a key that was not named, every flush counts.
    #expect(Self.report(history, key: "user:9").flushes.map(\.rule) == ["after", "before"])
  }

  @Test func theLastInvalidationsOfTheStatus() throws {
    let long = String(repeating: "ü", count: 150)
    for (key, shown) in [("user:7", "user:7"), (long, String(repeating: "ü", count: 99) + "…")] {
      let board = StatusBoard()
      board.publish(
        EngineStatus(), Statistics(), Self.history(Self.commit, key: key), at: Moment(monotonic: 0, wall: 0))
      let report = StatusReport(board.snapshot(), DaemonIdentity(version: "1"))
      let entry = try #require(report.lastInvalidations.first)
      #expect(entry.key == shown)
      #expect(entry.at == "2025-11-26T09:00:10.000Z")
      #expect([entry.rule, entry.table, entry.lsn] == ["users", "public.users", "0/16B3748"])
      #expect(entry.xid == 761)
      #expect(entry.milliseconds == 0.8)
    }
  }
}
