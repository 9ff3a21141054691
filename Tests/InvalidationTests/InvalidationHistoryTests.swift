import Testing

@testable import Invalidation

@Suite struct InvalidationHistoryTests {
  private static let users = Rule(
    name: "users", table: TableName(schema: "public", name: "users"),
    templates: [
      KeyTemplate(text: "user:{id}", segments: [.literal(Array("user:".utf8)), .column("id", [])])
    ])
  private static let messages = Rule(messages: "pages", pattern: "page:*")

  private static func commit(_ xid: UInt32, time: Int64 = 0) -> KeyOrigin {
    KeyOrigin(kind: .commit, xid: xid, position: LSN(UInt64(xid) * 100), time: time)
  }

  private static func bytes(_ key: String) -> [UInt8] { Array(key.utf8) }

  /// A batch with these keys, each of the rule and origin beside it.
  private static func batch(_ keys: [(key: String, rule: UInt32, origin: KeyOrigin)]) -> (
    KeyBuffer, KeyOrigins
  ) {
    var buffer = KeyBuffer()
    var origins = KeyOrigins()
    for entry in keys {
      buffer.write(bytes(entry.key))
      buffer.close(rule: entry.rule)
      origins.extend(to: buffer.count, entry.origin)
    }
    return (buffer, origins)
  }

  private static func history(since time: Int64 = 1) -> InvalidationHistory {
    InvalidationHistory(rules: [users, messages], seed: 7, since: time)
  }

  private static func delete(
    _ keys: [(key: String, rule: UInt32, origin: KeyOrigin)], at time: Int64,
    in history: inout InvalidationHistory
  ) {
    let (buffer, origins) = batch(keys)
    history.add(history.describe(buffer, origins), at: time)
  }

  @Test func aKeyIsFoundWithItsRuleAndTransaction() throws {
    var history = Self.history()
    Self.delete(
      [
        ("user:1", 0, Self.commit(10, time: 50)), ("user:2", 0, Self.commit(10, time: 50)),
        ("page:1", 1, Self.commit(11, time: 60)),
      ], at: 850, in: &history)
    let user = try #require(history.lastDeletion(of: Self.bytes("user:2")))
    #expect(user.rule == "users")
    #expect(user.table == TableName(schema: "public", name: "users"))
    #expect(user.cause == .commit(xid: 10, position: LSN(1_000), time: 50))
    #expect(user.acknowledged == 850)
    #expect(user.delay == 800)
    let page = try #require(history.lastDeletion(of: Self.bytes("page:1")))
    #expect(page.rule == "pages")
    #expect(page.table == nil)
    #expect(page.cause == .commit(xid: 11, position: LSN(1_100), time: 60))
    for other in ["user:3", "user:", "", "user:22"] {
      #expect(history.lastDeletion(of: Self.bytes(other)) == nil, "\(other)")
    }
    #expect(history.isWhole)
    #expect(history.completeSince == 1)
  }

  @Test func theLastDeleteCounts() {
    var history = Self.history()
    // Twice in a batch, and in another one.
    Self.delete([("user:1", 0, Self.commit(1)), ("user:1", 0, Self.commit(2))], at: 10, in: &history)
    #expect(
      history.lastDeletion(of: Self.bytes("user:1"))?.cause == .commit(xid: 2, position: LSN(200), time: 0))
    Self.delete([("user:1", 0, Self.commit(3))], at: 20, in: &history)
    #expect(
      history.lastDeletion(of: Self.bytes("user:1"))?.cause == .commit(xid: 3, position: LSN(300), time: 0))
  }

  @Test func aSecondDeleteKeepsTheTransaction() {
    var history = Self.history()
    Self.delete([("user:1", 0, Self.commit(5))], at: 10, in: &history)
    Self.delete([("user:1", 0, .secondDelete), ("user:2", 0, .secondDelete)], at: 500, in: &history)
    let known = history.lastDeletion(of: Self.bytes("user:1"))
    #expect(known?.cause == .commit(xid: 5, position: LSN(500), time: 0))
    #expect(known?.acknowledged == 10)
    #expect(known?.onceMore == 500)
    #expect(known?.latest == 500)
    let unknown = history.lastDeletion(of: Self.bytes("user:2"))
    #expect(unknown?.cause == .secondDelete)
    #expect(unknown?.latest == 500)
    #expect(unknown?.delay == nil)
    // It was told of before.
    #expect(history.latestDeletions.map(\.key) == [Self.bytes("user:1")])
  }

  @Test func aClockThatIsBehindGivesNoNegativeDelay() {
    var history = Self.history()
    Self.delete([("user:1", 0, Self.commit(5, time: 100))], at: 10, in: &history)
    #expect(history.lastDeletion(of: Self.bytes("user:1"))?.delay == 0)
  }

  @Test(arguments: [
    (Int64.min, nil as Int64?), (.max, nil), (.min + 1, .max), (.max - 1, 0),
    (-211_813_488_000_000_000, 211_813_488_000_000_010),
  ])
  func anyTimeOfACommitGivesADelayOrNone(time: Int64, delay: Int64?) throws {
    var history = Self.history()
    Self.delete([("user:1", 0, Self.commit(5, time: time))], at: 10, in: &history)
    #expect(try #require(history.lastDeletion(of: Self.bytes("user:1"))).delay == delay)
  }

  @Test("memory is bounded, and the oldest are forgotten", arguments: [(1, 100_000), (1_000, 200_000)])
  func bounded(keysOfATransaction: Int, total: Int) throws {
    var history = Self.history()
    var largest = 0
    for first in stride(from: 0, to: total, by: 1_000) {
      let keys = (first..<first + 1_000).map {
        (key: "user:\($0)", rule: UInt32(0), origin: Self.commit(UInt32($0 / keysOfATransaction)))
      }
      Self.delete(keys, at: Int64(first), in: &history)
      largest = max(largest, history.byteCount)
    }
    #expect(largest <= InvalidationHistory.memoryLimit + 256 << 10)
    #expect(!history.isWhole)
    #expect(history.lastDeletion(of: Self.bytes("user:0")) == nil)
    // Whatever came after `completeSince` is there, and its neighbour before it is not.
    let oldest = Int(history.completeSince) + 1_000
    #expect(total - oldest >= 20_000)
    for number in stride(from: oldest, to: total, by: 997) {
      let found = try #require(history.lastDeletion(of: Self.bytes("user:\(number)")), "user:\(number)")
      let xid = UInt32(number / keysOfATransaction)
      #expect(found.cause == .commit(xid: xid, position: LSN(UInt64(xid) * 100), time: 0))
      #expect(found.acknowledged == Int64(number / 1_000 * 1_000))
    }
    #expect(history.lastDeletion(of: Self.bytes("user:\(oldest - 1)")) == nil)
  }

  @Test func aCopyStaysAsItIs() {
    var history = Self.history()
    Self.delete([("user:1", 0, Self.commit(1))], at: 10, in: &history)
    let copy = history
    for number in 0..<80 {
      let keys = (0..<1_000).map { ("user:\(number).\($0)", UInt32(0), Self.commit(UInt32($0))) }
      Self.delete(keys, at: 20, in: &history)
    }
    #expect(history.lastDeletion(of: Self.bytes("user:1")) == nil)
    #expect(copy.lastDeletion(of: Self.bytes("user:1"))?.acknowledged == 10)
    #expect(copy.lastDeletion(of: Self.bytes("user:79.999")) == nil)
    #expect(copy.latestDeletions.count == 1)
  }

  @Test func theLatestHaveTheirText() {
    var history = Self.history()
    let long = "page:" + String(repeating: "ü", count: 200)
    Self.delete((0..<30).map { ("user:\($0)", 0, Self.commit(1)) }, at: 10, in: &history)
    Self.delete([(long, 1, Self.commit(2))], at: 20, in: &history)
    let latest = history.latestDeletions
    #expect(latest.count == 20)
    #expect(latest[0].key == Array(Self.bytes(long).prefix(200)))
    #expect(latest[0].isCut)
    #expect(latest[0].deletion.rule == "pages")
    #expect(latest[1].key == Self.bytes("user:29"))
    #expect(!latest[1].isCut)
    #expect(latest[19].key == Self.bytes("user:11"))
  }

  @Test func otherRulesChangeNoPast() {
    var history = Self.history()
    Self.delete([("user:1", 0, Self.commit(1))], at: 10, in: &history)
    // On its way while the rules change.
    let (buffer, origins) = Self.batch([("page:1", 1, Self.commit(2))])
    let deleted = history.describe(buffer, origins)
    var renamed = Self.users
    renamed.name = "people"
    history.replaceRules([renamed])
    history.add(deleted, at: 20)
    Self.delete([("user:2", 0, Self.commit(3))], at: 30, in: &history)
    #expect(history.lastDeletion(of: Self.bytes("user:1"))?.rule == "users")
    #expect(history.lastDeletion(of: Self.bytes("page:1"))?.rule == "pages")
    #expect(history.lastDeletion(of: Self.bytes("user:2"))?.rule == "people")
    #expect(history.rules.map(\.name) == ["people"])
  }

  @Test func originsFollowTheKeysOfRulesThatStay() {
    var (buffer, origins) = Self.batch([
      ("user:1", 0, Self.commit(1)), ("page:1", 1, Self.commit(1)), ("page:2", 1, Self.commit(2)),
      ("user:2", 0, Self.commit(3)), ("user:3", 0, Self.commit(3)),
    ])
    let mapping = RuleMapping(from: [Self.users, Self.messages], to: [Self.users])
    origins.follow(mapping, rules: buffer.rules)
    buffer.follow(mapping)
    #expect(origins.runs.map(\.end) == [1, 1, 3])
    var history = InvalidationHistory(rules: [Self.users], since: 0)
    history.add(history.describe(buffer, origins), at: 5)
    let xids = ["user:1", "user:2", "user:3"].map { history.lastDeletion(of: Self.bytes($0))?.cause }
    #expect(xids == [1, 3, 3].map { .commit(xid: $0, position: LSN(UInt64($0) * 100), time: 0) })
  }

  @Test func theLastFlushOfEachRuleIsKept() {
    var history = Self.history()
    func flush(_ rule: String, _ ended: Int64) -> FinishedFlush {
      FinishedFlush(rule: rule, reason: .truncate, began: ended - 1, ended: ended, patterns: [])
    }
    for (rule, ended) in [("a", 1), ("b", 2), ("a", 3)] { history.add(flush(rule, Int64(ended))) }
    #expect(history.flushes == [flush("b", 2), flush("a", 3)])
    for number in 0..<10_000 { history.add(flush("\(number % 5_000)", 4)) }
    #expect(history.flushes.count == 4_096)
    #expect(history.flushes.last?.rule == "4999")
  }

  @Test func aHashKnowsEveryByteAndTheLength() {
    let hash = KeyHash(seed: 99)
    var known: Set<UInt64> = []
    for length in 0..<40 {
      known.insert(hash([UInt8](repeating: 0, count: length).span))
      for position in 0..<length {
        var key = [UInt8](repeating: 0, count: length)
        key[position] = 1
        known.insert(hash(key.span))
      }
    }
    #expect(known.count == 40 + (0..<40).reduce(0, +))
    let key = Self.bytes("user:1")
    #expect(hash(key.span) == hash((key + key).span.extracting(6..<12)))
    #expect(hash(key.span) != KeyHash(seed: 98)(key.span))
  }
}
