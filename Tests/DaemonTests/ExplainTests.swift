import Daemon
import Invalidation
import Testing

@Suite struct ExplainTests {
  static func rules() throws -> [Rule] {
    let text = """
      source: {postgres: 'host=db'}
      redis: {url: 'redis://localhost'}
      rules:
        - {table: users, keys: ['user:{id}', 'user:email:{email|lower}']}
        - {name: count, table: users, on: [insert, delete, truncate], keys: ['users:count']}
        - {name: paid, table: orders, when_changed: [total], where: {status: paid}, keys: ['order:{id}']}
        - {name: odd, table: odd, keys: ['{id}'], on_gap: halt}
        - {messages: true, pattern: 'note:*'}
      """
    return try Configuration.read(text, file: "r.yaml", environment: [:]).rules
  }

  static func lines(_ change: DescribedChange) throws -> [ChangeReport.Line] {
    try ChangeReport(change, rules: rules()).lines
  }

  @Test func namesTheKeysOfBothRows() throws {
    let change = try DescribedChange(
      table: "Users", operation: "update", old: #"{"id": 1, "email": "A@x"}"#,
      new: #"{"id": 1, "email": "B@x", "other": null}"#)
    #expect(
      try Self.lines(change) == [
        .init(rule: "public.users", keys: ["user:1", "user:email:b@x", "user:email:a@x"], reason: nil),
        .init(rule: "count", keys: [], reason: "its on: does not name update"),
        .init(rule: "paid", keys: [], reason: "its table is public.orders"),
        .init(rule: "odd", keys: [], reason: "its table is public.odd"),
        .init(rule: "messages", keys: [], reason: "it takes the keys that messages name, and no row's"),
      ])
  }

  @Test(
    arguments: [
      (#"{"table": "orders", "old": {"id": 1, "status": "paid", "total": 1.50}}"#, ["order:1"], nil),
      (
        #"{"table": "orders", "new": {"id": null, "status": "paid", "total": 1}}"#, [],
        "a column of each of its keys is NULL"
      ),
      (
        #"{"table": "orders", "new": {"id": 1, "status": "new", "total": 1}}"#, [],
        "its where: holds for no row of the change"
      ),
      (
        #"{"table": "orders", "old": {"id": 1, "status": "new", "total": 1.5}, "new": {"id": 1, "status": "paid", "total": 1.50}}"#,
        ["order:1"], nil
      ),
      (
        #"{"table": "orders", "op": "update", "old": {"id": 1, "status": "new", "total": 1.5}, "new": {"id": 1, "status": "paid", "total": 1.5}}"#,
        [], "nothing of its when_changed (total) changed"
      ),
      (#"{"table": "orders", "op": "truncate"}"#, [], "every key that matches order:* is flushed"),
    ] as [(String, [String], String?)])
  func explainsOneRule(line: String, keys: [String], reason: String?) throws {
    let change = try DescribedChange(line: line)
    #expect(try Self.lines(change)[2] == .init(rule: "paid", keys: keys, reason: reason))
  }

  @Test func saysWhatIsMissing() throws {
    let change = try DescribedChange(table: "orders", operation: nil, old: #"{"id": 1}"#, new: nil)
    let report = try ChangeReport(change, rules: Self.rules())
    #expect(report.isIncomplete)
    #expect(report.lines[2].reason == #"the old row lacks "total", "status""#)
  }

  @Test func saysWhatCannotBeFlushed() throws {
    let change = try DescribedChange(table: "odd", operation: "truncate", old: nil, new: nil)
    #expect(
      try Self.lines(change)[3].reason == "its keys have no common beginning to flush by: on_gap decides")
  }

  @Test func quotesWhatDisturbsATerminal() throws {
    let change = try DescribedChange(line: #"{"table": "odd", "new": {"id": "a\u001b[2Jb"}}"#)
    let text = try ChangeReport(change, rules: Self.rules()).text
    #expect(text.contains(#"delete "a\u{1B}[2Jb"  (odd)"#))
  }

  @Test(arguments: [
    ("[]", #"found no object, expected {"table": ..., "op": ..., "old": ..., "new": ...}"#),
    (#"{"new": {}}"#, #"found no "table""#),
    (#"{"table": "users"}"#, "found neither an old nor a new row"),
    (
      #"{"table": "users", "op": "updat"}"#,
      #"op: found "updat", expected one of insert, update, delete, truncate; the nearest is "update""#
    ),
    (
      #"{"table": "users", "op": "delete", "new": {}}"#,
      "op: an insert has a new row, a delete an old one, an update both, a truncate none"
    ),
    (
      #"{"table": "users", "nwe": {}}"#,
      #"found the unknown key "nwe", expected one of table, op, old, new; the nearest is "new""#
    ),
    (#"{"table": 1}"#, #"found "table", which is not a text"#),
    (#"{"table": "users", "new": 1}"#, #"new: expected an object such as {"id": 1}"#),
    (#"{"table": "users", "new": {"id": [1]}}"#, #"new: write "id" as PostgreSQL prints it, in quotes"#),
    (#"{"table": "users", "new": {"id": 1, "id": 2}}"#, "the line: byte 36: expected each name once"),
    (
      #"{"table": "a b"}"#,
      #"table: found the character " " outside of quotes, expected public.users, users or public."Order Items""#
    ),
  ])
  func refuses(line: String, expected: String) {
    #expect(throws: DescribedChange.Invalid(description: expected)) { try DescribedChange(line: line) }
  }

  @Test(
    arguments: [
      ("null", .null), (" true ", .boolean(true)), ("false", .boolean(false)),
      ("-0.50e+3", .number("-0.50e+3")), ("12345678901234567890.10", .number("12345678901234567890.10")),
      (#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00ü""#, .string("a\"\\/\u{8}\u{C}\n\r\té😀ü")),
      ("[1, [], {}]", .array([.number("1"), .array([]), .object([])])),
      (#"{"b": 1, "a": null}"#, .object([.init("b", .number("1")), .init("a", .null)])),
    ] as [(String, JSONText)])
  func readsJSON(text: String, value: JSONText) throws {
    #expect(try JSONText(parsing: text) == value)
  }

  @Test(arguments: [
    ("", 0), ("nul", 0), ("01", 1), ("1.", 2), ("-", 1), ("\"a", 2), ("\"\n\"", 1), (#""\x""#, 2),
    (#""\ud800""#, 7), (#""\udc00""#, 7), (#""\u12g4""#, 3), ("[1,]", 3), ("{\"a\" 1}", 5), ("{a: 1}", 1),
    ("1 2", 2),
    (String(repeating: "[", count: 100), 64),
  ])
  func refusesJSON(text: String, offset: Int) {
    let error = #expect(throws: JSONText.SyntaxError.self) { try JSONText(parsing: text) }
    #expect(error?.offset == offset)
  }
}
