import Testing

@testable import Invalidation

struct SecondDeletesTests {
  private static let second: Int64 = 1_000_000_000

  private func rule(_ name: String, redeleteAfter: Duration? = nil) -> Rule {
    Rule(
      name: name, table: TableName(schema: "public", name: name),
      templates: [KeyTemplate(text: name + ":", segments: [.literal(Array((name + ":").utf8))])],
      redeleteAfter: redeleteAfter)
  }

  private func keys(_ entries: (rule: UInt32, text: String)...) -> KeyBuffer {
    var buffer = KeyBuffer()
    for entry in entries {
      buffer.write(Array(entry.text.utf8))
      buffer.close(rule: entry.rule)
    }
    return buffer
  }

  /// Takes out everything that is due, as text.
  private func take(_ deletes: inout SecondDeletes, at time: Int64) -> [String] {
    var taken: [String] = []
    while let due = deletes.due(at: time) {
      for index in 0..<due.keys.count { taken.append(String(decoding: due.keys[index], as: UTF8.self)) }
      deletes.dropFirst(of: due.lane)
    }
    return taken
  }

  @Test func rulesWithoutNeedCostNothing() {
    var deletes = SecondDeletes(rules: [rule("a")], hasReplicas: false)
    #expect(!deletes.isUsed)
    deletes.add(keys((0, "a:1")), commit: LSN(10), after: LSN(5), at: 0)
    #expect(deletes.keyCount == 0)
    #expect(deletes.floor == nil)
  }

  @Test func delayCountsFromVisibilityAndOnlyForItsRule() {
    var deletes = SecondDeletes(
      rules: [rule("a"), rule("b", redeleteAfter: .milliseconds(500))], hasReplicas: false)
    deletes.add(keys((0, "a:1"), (1, "b:1")), commit: LSN(10), after: LSN(5), at: 100)
    #expect(deletes.keyCount == 1)
    #expect(deletes.floor == LSN(5))
    #expect(deletes.nextDue == 500_000_100)
    #expect(take(&deletes, at: 500_000_099) == [])
    #expect(take(&deletes, at: 500_000_100) == ["b:1"])
    #expect(deletes.floor == nil)
    #expect(deletes.byteCount == 0)
  }

  @Test func replicaHasToPassTheCommitRecord() {
    var deletes = SecondDeletes(rules: [rule("a")], hasReplicas: true)
    deletes.add(keys((0, "a:1")), commit: LSN(10), after: LSN(5), at: 0)
    #expect(deletes.awaitedCommit == LSN(10))
    #expect(deletes.waitingSince == 0)
    deletes.pass(LSN(10), at: Self.second)
    #expect(take(&deletes, at: Self.second) == [])
    deletes.pass(LSN(11), at: 2 * Self.second)
    #expect(deletes.awaitedCommit == nil)
    #expect(take(&deletes, at: 2 * Self.second) == ["a:1"])
  }

  @Test func delayBeginsWhenTheReplicaHasPassed() {
    var deletes = SecondDeletes(rules: [rule("a", redeleteAfter: .seconds(1))], hasReplicas: true)
    deletes.add(keys((0, "a:1")), commit: LSN(10), after: LSN(5), at: 0)
    #expect(take(&deletes, at: 10 * Self.second) == [])
    deletes.pass(LSN(20), at: 10 * Self.second)
    #expect(deletes.nextDue == 11 * Self.second)
    #expect(take(&deletes, at: 11 * Self.second) == ["a:1"])
  }

  /// A transaction that was parked for long joins a late chunk with a low floor.
  @Test func floorIsTheLeastOfAllThatWait() {
    var deletes = SecondDeletes(rules: [rule("a")], hasReplicas: true)
    let span = SecondDeletes.chunkSpan
    deletes.add(keys((0, "a:1")), commit: LSN(50), after: LSN(40), at: 0)
    deletes.add(keys((0, "a:2")), commit: LSN(70), after: LSN(60), at: span)
    deletes.add(keys((0, "a:3")), commit: LSN(20), after: LSN(15), at: 2 * span)
    #expect(deletes.floor == LSN(15))
    deletes.pass(LSN(71), at: 3 * span)
    deletes.dropFirst(of: 0)
    #expect(deletes.floor == LSN(15))
    deletes.dropFirst(of: 0)
    #expect(deletes.floor == LSN(15))
    deletes.dropFirst(of: 0)
    #expect(deletes.floor == nil)
  }

  @Test func whatHasPassedTakesNoMoreKeys() {
    var deletes = SecondDeletes(rules: [rule("a")], hasReplicas: true)
    deletes.add(keys((0, "a:1")), commit: LSN(10), after: LSN(5), at: 0)
    deletes.pass(LSN(11), at: 1)
    deletes.add(keys((0, "a:2")), commit: LSN(20), after: LSN(11), at: 2)
    #expect(take(&deletes, at: 3) == ["a:1"])
    #expect(deletes.floor == LSN(11))
    #expect(deletes.awaitedCommit == LSN(20))
  }

  @Test func collapseNamesTheRulesThatHaveKeys() {
    var deletes = SecondDeletes(rules: [rule("a"), rule("b"), rule("c")], hasReplicas: true)
    deletes.add(keys((0, "a:1"), (2, "c:1"), (2, "c:2")), commit: LSN(10), after: LSN(5), at: 0)
    deletes.pass(LSN(11), at: 1)
    deletes.dropFirst(of: 0)
    deletes.add(keys((1, "b:1"), (2, "c:3")), commit: LSN(20), after: LSN(11), at: 2)
    #expect(deletes.collapse() == [1, 2])
    #expect(deletes.keyCount == 0)
    #expect(deletes.byteCount == 0)
    #expect(deletes.floor == nil)
  }

  @Test func memoryIsCounted() {
    var deletes = SecondDeletes(rules: [rule("a")], hasReplicas: true)
    let long = String(repeating: "k", count: 1 << 20)
    for number in 0..<32 {
      deletes.add(keys((0, long)), commit: LSN(UInt64(number)), after: LSN(0), at: 0)
      #expect(deletes.isOverfull == (number == 31))
    }
  }

  /// A transaction that was parked comes later and lies earlier: what the first one waits for is still awaited.
  @Test func aLaterChunkHidesNothingThatIsAwaited() {
    var deletes = SecondDeletes(rules: [rule("a")], hasReplicas: true)
    deletes.add(keys((0, "a:1")), commit: LSN(200), after: LSN(150), at: 0)
    deletes.add(keys((0, "a:2")), commit: LSN(100), after: LSN(90), at: 2 * SecondDeletes.chunkSpan)
    deletes.pass(LSN(160), at: 3 * SecondDeletes.chunkSpan)
    #expect(deletes.awaitedCommit == LSN(200))
  }
}
