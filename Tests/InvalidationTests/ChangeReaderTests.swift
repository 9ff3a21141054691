import Testing

@testable import Invalidation

@Suite struct ChangeReaderTests {
  private static let users = TableName(schema: "public", name: "users")
  private static let rules = [
    Rule(name: "users", table: users, templates: [testTemplate("user:", .column("id"))]),
    Rule(
      name: "moves", table: users, operations: .update,
      templates: [testTemplate("email:", .column("email"))]),
  ]

  private static func reader(moving: Set<TableName> = []) -> ChangeReader {
    ChangeReader(rules: rules, mode: .pgoutput, moving: moving)
  }

  private static func lineage(_ names: String...) -> TableLineage {
    TableLineage(names: Set(names.map { TableName(schema: "public", name: $0) }), isPublished: true)
  }

  /// Reads what tells of changes; a table is placed as `lineage` says.
  private func changes(
    _ payload: [UInt8], _ reader: inout ChangeReader,
    as lineage: TableLineage? = ChangeReaderTests.lineage("users")
  ) throws -> [StreamedChange] {
    var step = try read(TestMessage.data(payload), &reader)
    if case .unplaced(let table, let xid) = step {
      #expect(table == .identified(7) && xid == 42)
      reader.place(lineage)
      step = try read(TestMessage.data(payload), &reader)
    }
    guard case .changes(let changes) = step else {
      Issue.record("\(step)")
      return []
    }
    return changes
  }

  private func read(_ message: [UInt8], _ reader: inout ChangeReader) throws -> ChangeReader.Step {
    try reader.read(message.span)
  }

  private func keys(_ change: StreamedChange?) -> [String] {
    (change?.verdicts ?? []).flatMap(\.keys).map { String(decoding: $0, as: UTF8.self) }
  }

  private func begin(_ reader: inout ChangeReader, _ relation: Relation) throws {
    #expect(try changes(TestMessage.begin(xid: 42), &reader).isEmpty)
    #expect(try changes(TestMessage.relation(relation), &reader).isEmpty)
  }

  @Test func tellsTheKeysOfBothRowsAndTheTransaction() throws {
    var reader = Self.reader()
    try begin(&reader, testRelation(["id", "email"], identity: .full))
    let update = TestMessage.update(old: ["1", "a"], new: ["2", "b"])
    let change = try #require(try changes(update, &reader).first)
    #expect(change.transaction == .init(xid: 42, position: LSN(0x10), commitTime: 1_234))
    #expect(change.kind == .rows(.update))
    #expect(change.table == Self.users && change.ruledTables == [Self.users])
    #expect(keys(change) == ["user:2", "user:1", "email:b", "email:a"])
    let insert = try #require(try changes(TestMessage.insert(["3", nil]), &reader).first)
    #expect(insert.verdicts.map(\.outcome) == [.rendered, .otherOperation])
  }

  @Test func tellsTheKeysThatMessagesName() throws {
    var reader = ChangeReader(
      rules: Self.rules + [Rule(messages: "pages", pattern: "page:*")], mode: .pgoutput, moving: [])
    try begin(&reader, testRelation(["id", "email"], identity: .full))
    func message(_ text: String, isTransactional: Bool = true) -> [UInt8] {
      TestMessage.logicalMessage(Array(text.utf8), isTransactional: isTransactional)
    }
    let change = try #require(try changes(message("key page:1\nkey page:2"), &reader).first)
    #expect(change.kind == .message && change.table == nil)
    #expect(keys(change) == ["page:1", "page:2"])
    #expect(change.verdicts.map(\.rule) == [2] && change.verdicts.map(\.outcome) == [.rendered])
    let odd = try #require(try changes(message("key page:3\nkeys page:4"), &reader).first)
    #expect(keys(odd) == ["page:3"])
    #expect(odd.verdicts.first?.outcome == .incomplete)
    #expect(odd.verdicts.first?.problem?.contains("write `key user:42`") == true)
    let early = try read(TestMessage.data(message("key page:1", isTransactional: false)), &reader)
    guard case .refusedMessage = early else { throw DecodeError(problem: "\(early)", offset: 0) }
    var without = Self.reader()
    try begin(&without, testRelation(["id", "email"], identity: .full))
    #expect(try changes(message("key page:1"), &without).map(\.verdicts) == [[]])
  }

  @Test func countsForTheRulesOfTheRoot() throws {
    var reader = Self.reader()
    try begin(&reader, testRelation(["id", "email"], identity: .full, name: "users_1"))
    let insert = try changes(
      TestMessage.insert(["1", "a"]), &reader, as: Self.lineage("users_1", "users"))
    // An update may come as the delete from one partition and the insert into another.
    #expect(keys(insert.first) == ["user:1", "email:a"])
    #expect(insert.first?.ruledTables == [Self.users])
    #expect(insert.first?.table?.name == "users_1")
  }

  @Test func rowsOfARuledTableMayMoveToAnotherPartition() throws {
    // It is a partition itself; or it is partitioned, and published under its own name.
    for (lineage, moving) in [
      (Self.lineage("users", "people"), Set()), (Self.lineage("users"), Set([Self.users])),
    ] {
      var reader = Self.reader(moving: moving)
      try begin(&reader, testRelation(["id", "email"], identity: .full))
      let insert = try changes(TestMessage.insert(["1", "a"]), &reader, as: lineage)
      #expect(keys(insert.first) == ["user:1", "email:a"])
    }
  }

  @Test func aTableThatIsGoneMayHaveBeenAPartition() throws {
    for moving in [[], [Self.users]] as [Set<TableName>] {
      var reader = Self.reader(moving: moving)
      try begin(&reader, testRelation(["id", "email"], identity: .full, name: "users_1"))
      let change = try changes(TestMessage.insert(["1", "a"]), &reader, as: nil).first
      #expect(change?.verdicts == [] && change?.mayHaveBeenPartition == !moving.isEmpty)
    }
  }

  @Test func namesWhatOldRowsLack() throws {
    var reader = Self.reader()
    try begin(&reader, testRelation(["id!", "email"]))
    let change = try changes(TestMessage.delete(key: ["1", nil]), &reader).first
    #expect(keys(change) == ["user:1"])
    let verdict = try #require(
      try changes(TestMessage.update(new: ["1", "a"]), &reader).first?.verdicts.last)
    #expect(verdict.outcome == .incomplete)
    #expect(verdict.problem?.contains("REPLICA IDENTITY FULL") == true)
  }

  @Test func tellsOfTruncatedAndAlteredTables() throws {
    var reader = Self.reader()
    try begin(&reader, testRelation(["id", "email"], identity: .full))
    let truncate = try changes(TestMessage.truncate([7]), &reader).first
    #expect(truncate?.kind == .rows(.truncate))
    #expect(truncate?.verdicts.map(\.outcome) == [.incomplete, .otherOperation])
    func altered(_ name: String) throws -> StreamedChange? {
      let message = TestMessage.logicalMessage(prefix: "cdcd.ddl", Array("ALTER TABLE\n\(name)".utf8))
      return try changes(message, &reader).first
    }
    #expect(try altered(#""public"."users""#)?.kind == .definition(command: "ALTER TABLE"))
    #expect(try altered(#""public"."users""#)?.verdicts.count == 2)
    #expect(try altered("*")?.verdicts.count == 2)
    #expect(try altered("*")?.table == nil)
    #expect(try altered(#""public"."other""#)?.verdicts.isEmpty == true)
    #expect(try altered("catalogue") == nil)
    // Whose partition it is has to be asked again.
    let step = try read(TestMessage.data(TestMessage.insert(["1", "a"])), &reader)
    #expect(step == .unplaced(.identified(7), xid: 42))
  }

  @Test func confirmsNothingOfAnOpenTransaction() throws {
    var reader = Self.reader()
    #expect(
      try read(TestMessage.keepalive(end: 8, reply: true), &reader) == .keepalive(replyRequested: true))
    #expect(reader.end == LSN(8))
    _ = try changes(TestMessage.begin(xid: 42), &reader)
    _ = try read(TestMessage.keepalive(end: 30, reply: false), &reader)
    #expect(reader.end == LSN(8))
    _ = try changes(TestMessage.commit(end: 24), &reader)
    #expect(reader.end == LSN(24))
  }

  @Test func refusesWhatNoServerSends() throws {
    var reader = Self.reader()
    #expect(throws: DecodeError.self) { try read([], &reader) }
    #expect(throws: DecodeError.self) {
      try read(TestMessage.data(TestMessage.insert(["1", "a"])), &reader)
    }
    _ = try changes(TestMessage.begin(xid: 42), &reader)
    #expect(throws: DecodeError.self) {
      try read(TestMessage.data(TestMessage.insert(["1", "a"])), &reader)
    }
    #expect(throws: DecodeError.self) {
      try read(TestMessage.data(TestMessage.logicalMessage(prefix: "cdcd.ddl")), &reader)
    }
  }

  @Test func readsTablesByTheirNames() throws {
    var reader = ChangeReader(rules: Self.rules, mode: .wal2json, moving: [])
    func readText(_ text: String) throws -> ChangeReader.Step {
      try read(TestMessage.data(Array(text.utf8)), &reader)
    }
    #expect(try readText(Wal2jsonDecoderTests.begin) == .changes([]))
    let update =
      #"{"action":"U","schema":"public","table":"users_1","columns":[{"name":"id","type":"integer","value":2}],"identity":[{"name":"email","type":"text","value":"a"},{"name":"id","type":"integer","value":1}]}"#
    let table = TableName(schema: "public", name: "users_1")
    #expect(try readText(update) == .unplaced(.named(table), xid: 742))
    reader.place(Self.lineage("users_1", "users"))
    guard case .changes(let changes) = try readText(update) else {
      throw DecodeError(problem: update, offset: 0)
    }
    #expect(keys(changes.first) == ["user:2", "user:1", "email:a"])
    #expect(try readText(Wal2jsonDecoderTests.commit) == .changes([]))
    #expect(reader.end == LSN(0x155_4BF0))
  }
}
