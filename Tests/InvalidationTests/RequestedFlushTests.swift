import Foundation
import Testing

@testable import Invalidation

@Suite struct RequestedFlushes {
  private static func rule(_ name: String, _ templates: String...) throws -> Rule {
    Rule(
      name: name, table: TableName(schema: "public", name: name),
      templates: try templates.map { try KeyTemplate(parsing: $0) })
  }

  private func makeFlush(
    of indices: [Int] = [1, 2], leases: Bool = true, rate: Int = 1_000, deletes: Bool = true
  ) throws -> RequestedFlush {
    let rules = [
      try Self.rule("left", "left:{id}"), try Self.rule("users", "user:{id}"),
      try Self.rule("mails", "mail:{id}:{kind}"),
    ]
    return RequestedFlush(
      of: indices, in: rules, command: .unlink, leases: leases, rate: rate, deletes: deletes)
  }

  private func page(_ cursor: String, _ keys: String...) -> RedisReply {
    .array([.bulk(Array(cursor.utf8)), .array(keys.map { .bulk(Array($0.utf8)) })])
  }

  /// The words of the command that it sends next, as soon as it may; none at the end.
  private func words(_ flush: inout RequestedFlush) throws -> [String] {
    var step = flush.next(at: 0)
    if case .wait(let until) = step { step = flush.next(at: until) }
    guard case .send(let bytes) = step else { return [] }
    let lines = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n").dropFirst()
    return lines.filter { !$0.isEmpty && !$0.hasPrefix("$") }
  }

  @Test("one walk for the leases of all rules, then one for their values")
  func order() throws {
    var flush = try makeFlush()
    var globs: [String] = []
    while case let words = try words(&flush), !words.isEmpty {
      #expect(words[0] == "SCAN" && words[1] == "0" && words[4...] == ["COUNT", "100"])
      globs.append(words[3])
      try flush.receive(page("0"))
    }
    #expect(globs == ["cdcd:l:*", "*"])
    #expect(flush.next(at: .max) == .finished)
    #expect(flush.fraction == 1)
    var bare = try makeFlush(leases: false)
    #expect(try words(&bare)[3] == "*")
    var one = try makeFlush(of: [1], leases: false)
    #expect(try words(&one)[3] == "user:*", "Redis picks out what a single glob covers")
  }

  @Test("what a page has found is deleted before the next page; keys of others and cdcd's own are left out")
  func pages() throws {
    var flush = try makeFlush(leases: false)
    _ = try words(&flush)
    try flush.receive(page("7", "user:1", "cdcd:wm:1:cdcd", "left:1", "user", "user:2", "mail:1"))
    #expect(try words(&flush) == ["UNLINK", "user:1", "user:2"])
    // Somebody else has deleted the other one.
    try flush.receive(.integer(1))
    #expect(flush.counts.foundKeys == 2 && flush.counts.deletedKeys == 1 && flush.counts.deletedLeases == 0)
    #expect(try words(&flush)[1] == "7")
    try flush.receive(page("9", "left:2", "cdcd:rules:1:cdcd"))
    #expect(try words(&flush)[1] == "9", "nothing to delete")
  }

  @Test("a page costs its keys; one without keys a little")
  func pace() throws {
    var flush = try makeFlush(leases: false, rate: 1_000)
    _ = flush.next(at: 5_000)
    try flush.receive(page("7", "user:1", "user:2", "user:3"))
    guard case .send = flush.next(at: 5_000) else { Issue.record("the delete does not wait"); return }
    try flush.receive(.integer(3))
    #expect(flush.next(at: 5_001) == .wait(until: 3_005_000))
    _ = flush.next(at: 3_005_000)
    try flush.receive(page("9"))
    #expect(flush.next(at: 3_005_000) == .wait(until: 3_505_000))
  }

  @Test("who only counts sends SCAN alone")
  func counting() throws {
    var flush = try makeFlush(deletes: false)
    let pages = [
      page("0", "cdcd:l:{user:1}", "cdcd:l:user:{1}", "cdcd:l:{left:1}", "cdcd:l:{mail:1:a}"),
      page("0", "user:1", "user:2", "left:1", "mail:1", "mail:1:a"),
    ]
    for page in pages {
      #expect(try words(&flush)[0] == "SCAN")
      try flush.receive(page)
    }
    #expect(flush.next(at: .max) == .finished)
    #expect(flush.foundByGlob == [[1, 1, 0, 1], [2, 1]])
    #expect(flush.counts.foundKeys == 3 && flush.counts.foundLeases == 3 && flush.counts.deletedKeys == 0)
    flush.restart()
    #expect(flush.foundByGlob == [[0, 0, 0, 0], [0, 0]] && flush.counts.foundKeys == 0)
  }

  @Test("a lease that a glob of values covers as well is counted once")
  func countingOnce() throws {
    var rule = try Self.rule("any", "user:{id}")
    rule.pattern = "*:{user:*"
    var flush = RequestedFlush(of: [0], in: [rule], command: .unlink, leases: true, rate: 1, deletes: false)
    for _ in 1...2 {
      _ = try words(&flush)
      try flush.receive(page("0", "cdcd:l:{user:1}", "a:{user:1"))
    }
    #expect(flush.counts.foundLeases == 1 && flush.counts.foundKeys == 1)
  }

  @Test("a refusal names the command and its keys; from there it begins anew and keeps what it has deleted")
  func refusals() throws {
    var flush = try makeFlush(leases: false)
    _ = try words(&flush)
    try flush.receive(page("7", "user:1"))
    _ = try words(&flush)
    try flush.receive(.integer(1))
    _ = try words(&flush)
    try flush.receive(page("0", "user:2"))
    _ = try words(&flush)
    let readOnly = Array("READONLY You can't write against a read only replica.".utf8)
    #expect(throws: RequestedFlush.Refusal(command: "unlink", pattern: "user:*", text: readOnly)) {
      try flush.receive(.error(readOnly))
    }
    flush.restart()
    #expect(try words(&flush)[1] == "0")
    #expect(flush.counts.deletedKeys == 1)
    let denied = Array("NOPERM".utf8)
    #expect(throws: RequestedFlush.Refusal(command: "scan", pattern: nil, text: denied)) {
      try flush.receive(.error(denied))
    }
    for reply in [RedisReply.null, .array([.integer(1)]), .status([])] {
      var other = try makeFlush()
      _ = try words(&other)
      #expect(throws: RequestedFlush.Refusal.self) { try other.receive(reply) }
    }
  }

  @Test(
    "a cursor tells how much of the table is behind it, whatever the table's size", arguments: [1, 4, 10])
  func fractions(bits: Int) {
    let size = 1 << bits
    for step in 1..<size {
      // The order of dictScan: the reversed bits count upwards.
      let cursor = (0..<bits).reduce(0) { $0 | (step >> $1 & 1) << (bits - 1 - $1) }
      #expect(RequestedFlush.fraction(ofCursor: Array(String(cursor).utf8)) == Double(step) / Double(size))
    }
    #expect(RequestedFlush.fraction(ofCursor: Array("0".utf8)) == 0)
    #expect(RequestedFlush.fraction(ofCursor: Array("18446744073709551615".utf8)) == 1)
    #expect(RequestedFlush.fraction(ofCursor: Array("no number".utf8)) == 0)
  }
}
