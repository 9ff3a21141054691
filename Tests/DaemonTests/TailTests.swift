import Foundation
import Testing

@testable import Daemon
@testable import Invalidation

@Suite struct TailTests {
  private static func change(
    _ kind: StreamedChange.Kind, table: String?, of roots: [String] = [], xid: UInt32 = 742,
    _ verdicts: [Explanation.Verdict] = []
  ) -> StreamedChange {
    StreamedChange(
      transaction: .init(xid: xid, position: LSN(0x16B_3748), commitTime: 1_500_000), kind: kind,
      table: table.map { TableName(schema: "public", name: $0) },
      ruledTables: Set(roots.map { TableName(schema: "public", name: $0) }), verdicts: verdicts)
  }

  private static func verdict(
    _ rule: Int, _ outcome: RuleOutcome = .rendered, _ keys: String..., problem: String? = nil
  ) -> Explanation.Verdict {
    Explanation.Verdict(rule: rule, outcome: outcome, keys: keys.map { Array($0.utf8) }, problem: problem)
  }

  private static let update = change(
    .rows(.update), table: "users", of: ["users"],
    [verdict(0, .rendered, "user:1", "user:\u{1B}[2J"), verdict(1, .otherOperation)])

  private static func format(rule: String? = nil, table: String? = nil, json: Bool = false) throws
    -> TailFormat
  {
    let table = table.map { TableName(schema: "public", name: $0) }
    return TailFormat(
      rules: try ExplainTests.rules(), filter: TailFilter(rule: rule, table: table), json: json)
  }

  /// A replication origin may say any of them.
  static let times: [(Int64, String)] = [
    (.min, "-infinity"), (.max, "infinity"), (.min + 1, "-4712-01-01T12:00:00.000Z"),
    (-211_813_488_000_000_000, "-4712-01-01T12:00:00.000Z"),
    (9_223_371_331_199_999_999, "294277-01-01T00:00:00.000Z"), (1_500_000, "2000-01-01T00:00:01.500Z"),
  ]

  @Test(arguments: times)
  func writesAnyTime(_ time: Int64, _ text: String) throws {
    var change = Self.update
    change.transaction.commitTime = time
    var lines = try Self.format()
    #expect(try lines.lines(change)?.hasPrefix("\(text)  0/16B3748  xid 742\n") == true)
    var json = try Self.format(json: true)
    #expect(try json.lines(change)?.hasPrefix(#"{"committed_at":"\#(text)","#) == true)
  }

  @Test func writesAsExplainDoesUnderALineForTheTransaction() throws {
    var format = try Self.format()
    let changes = [
      Self.update,
      Self.change(.rows(.insert), table: "orders_1", of: ["orders"], [Self.verdict(2, .conditionNotMet)]),
      Self.change(.rows(.truncate), table: "users", of: ["users"], xid: 743, [Self.verdict(0, .incomplete)]),
      Self.change(
        .definition(command: "ALTER TABLE"), table: nil, of: ["odd"], xid: 743, [Self.verdict(3, .incomplete)]
      ),
      Self.change(.rows(.delete), table: "audit", xid: 743),
      Self.change(.message, table: nil, xid: 743, [Self.verdict(0, .rendered, "page:1")]),
      Self.change(.message, table: nil, xid: 743, [Self.verdict(0, .incomplete, problem: "a key is empty")]),
      Self.change(.message, table: nil, xid: 743),
    ]
    #expect(
      try changes.compactMap { try format.lines($0) }.joined(separator: "\n") == #"""
        2000-01-01T00:00:01.500Z  0/16B3748  xid 742
          update public.users
            delete user:1  (public.users)
            delete "user:\u{1B}[2J"  (public.users)
            -      count: its on: does not name update
          insert public.orders_1, a partition of public.orders
            -      paid: its where: holds for no row of the change
        2000-01-01T00:00:01.500Z  0/16B3748  xid 743
          truncate public.users
            -      public.users: every key that matches user:*, user:email:* is flushed
          ALTER TABLE: perhaps any table
            -      odd: its keys have no common beginning to flush by: on_gap decides
          delete public.audit
            -      no rule names the table
          message
            delete page:1  (public.users)
          message
            -      public.users: a key is empty; every key that matches user:*, user:email:* is flushed
          message
            -      no rule takes messages
        """#)
  }

  @Test func saysWhatMendsARowThatLacksAColumn() throws {
    var format = try Self.format()
    let change = Self.change(
      .rows(.delete), table: "orders", of: ["orders"],
      [Self.verdict(2, .incomplete, problem: "rule paid: old rows lack \"total\"; run: ALTER TABLE")])
    #expect(
      try format.lines(change)?.hasSuffix(
        "-      paid: old rows lack \"total\"; run: ALTER TABLE; every key that matches order:* is flushed")
        == true)
  }

  @Test func writesAnObjectForEachChange() throws {
    var format = try Self.format(json: true)
    #expect(
      try format.lines(Self.update) == """
        {"committed_at":"2000-01-01T00:00:01.500Z","lsn":"0/16B3748","op":"update","rules":[\
        {"keys":["user:1","user:\\u001b[2J"],"rule":"public.users"},\
        {"keys":[],"reason":"its on: does not name update","rule":"count"}],"table":"public.users","xid":742}
        """)
    var gone = Self.change(.rows(.insert), table: "old")
    gone.mayHaveBeenPartition = true
    #expect(try format.lines(gone)?.contains(#""note":"the table is gone: if it was a partition"#) == true)
    let altered = Self.change(.definition(command: "DROP TABLE"), table: "users")
    #expect(try format.lines(altered)?.contains(#""command":"DROP TABLE""#) == true)
  }

  @Test func showsOneRuleOrOneTable() throws {
    var count = try Self.format(rule: "count")
    #expect(
      try count.lines(Self.update)?.hasSuffix(
        "update public.users\n    -      count: its on: does not name update")
        == true)
    let order = Self.change(.rows(.insert), table: "orders_1", of: ["orders"], [Self.verdict(2)])
    #expect(try count.lines(order) == nil)
    var orders = try Self.format(table: "orders")
    #expect(try orders.lines(order) != nil)
    #expect(try orders.lines(Self.update) == nil)
    // It may have been any table.
    #expect(try orders.lines(Self.change(.definition(command: "ALTER TABLE"), table: nil)) != nil)
    var leaf = try Self.format(table: "orders_1")
    #expect(try leaf.lines(order) != nil)
  }

  @Test func writesNoMoreThanSomebodyReads() throws {
    let pipe = Pipe()
    var output = LineOutput(pipe.fileHandleForWriting.fileDescriptor)
    let line = String(repeating: "x", count: 99)
    for _ in 0..<2_000 { output.append(line) }
    var blocks = 0
    struct Enough: Error {}
    #expect(throws: Enough.self) {
      try output.write { blocked in
        blocks += 1
        #expect(blocked >= Int64(blocks) * 1_000_000_000)
        if blocks == 2 { throw Enough() }
      }
    }
    try pipe.fileHandleForReading.close()
    #expect(throws: LineOutput.Failure.closed) { try output.write { _ in } }
  }
}
